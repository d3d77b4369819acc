"""Find nearly equal answers and questions over a whole corpus in bounded memory."""

from rapidfuzz import fuzz

from cephalo.dataset_scripts.common.near_text import TextIndex
from cephalo.dataset_scripts.refinement.words import folded, stem, stems

LIKENESS = 90.0  # percent similarity (rapidfuzz's ratio) from which two answers are nearly equal
MOST_CANDIDATES = 1000  # compared with one answer, to bound the time
# Shares of common words from which two questions, and their answers, are the same.
ASKED, ANSWERED = 0.7, 0.3
SAME_ANSWER = 0.7  # share for the answers if each question has words of its own
FEWEST_WORDS = 12  # shorter answers may legitimately be equal: "Scanning electron micrographs"


class NearEqual:
    """An index of the answers so far, on disk; candidates are compared by edit distance."""

    def __init__(self) -> None:
        self._answers = TextIndex()

    def match(self, answer: str) -> str | None:
        """Return an earlier answer that is nearly equal to this one, or None."""
        text = folded(answer)
        if len(text.split()) < FEWEST_WORDS:
            return None
        for _, other in self._answers.candidates(text, MOST_CANDIDATES):
            if fuzz.ratio(text, other, score_cutoff=LIKENESS):
                return other
        return None

    def add(self, answer: str) -> None:
        """Add an answer to the index."""
        text = folded(answer)
        if len(text.split()) >= FEWEST_WORDS:
            self._answers.add(text)


# Words that a question asks with, as opposed to its subject.
_ASKING = frozenset(
    map(
        stem,
        [
            "affect",
            "change",
            "connect",
            "depend",
            "describe",
            "effect",
            "explain",
            "happen",
            "influence",
            "mark",
            "respond",
            "role",
        ],
    )
)


def same_question(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether two questions about one figure, each with its answer, ask for the same.

    "What do the red circles mark?" and "What do the yellow circles mark?" each have a word of their
    own, and count as two unless their answers are the same.
    """
    (asked, said), (asked_too, said_too) = one, other
    first, second = stems(asked) - _ASKING, stems(asked_too) - _ASKING
    answers = share(stems(said), stems(said_too))
    if answers < ANSWERED:
        return False
    if first - second and second - first:
        return answers >= SAME_ANSWER and share(first, second) >= 1 - ASKED
    return share(first, second) >= ASKED


def share(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard index of two sets of stems."""
    return len(one & other) / max(1, len(one | other))
