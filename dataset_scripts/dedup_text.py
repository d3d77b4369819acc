"""Near-copies of text: MinHash finds candidates, the overlap of their shingles decides."""

import re

from datasketch import MinHash, MinHashLSH

SHINGLE = 3  # words
MIN_SIMILARITY = 0.8  # Jaccard index of the sets of shingles
MIN_WORDS = 10  # shorter text recurs by chance ("Experimental setup.")
# 25 bands of 5 rows find 99.99 % of pairs at the threshold; those below it are compared and left.
BANDS, ROWS = 25, 5


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without punctuation."""
    return re.findall(r"\w+", text.casefold())


def shingles(text: str) -> set[str]:
    """All runs of `SHINGLE` words; of a shorter text, its words as one."""
    found = words(text)
    return {
        " ".join(found[start : start + SHINGLE])
        for start in range(max(len(found) - SHINGLE + 1, 1))
    }


def same_text(one: str, other: str) -> bool:
    """Whether two texts are equal or near-copies."""
    first, second = shingles(one), shingles(other)
    return len(first & second) >= MIN_SIMILARITY * len(first | second)


class TextIndex:
    """Texts of documents, of which `add` tells the near-copies; about 10 KB each."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, str]] = []
        self._empty = MinHash(BANDS * ROWS)
        self._lsh = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))

    def add(self, document: str, text: str) -> str | None:
        """The document that held a near-copy of `text` first; None, and it is kept, without one.

        Texts of less than `MIN_WORDS` words have none and are not kept.
        """
        if len(words(text)) < MIN_WORDS:
            return None
        minhash = self._empty.copy()
        minhash.update_batch(shingle.encode() for shingle in shingles(text))
        for number in sorted(self._lsh.query(minhash)):
            earlier, similar = self._texts[number]
            if same_text(text, similar):
                return earlier
        self._lsh.insert(len(self._texts), minhash)
        self._texts.append((document, text))
        return None
