"""Split running prose into passages, the rows of the `text` table.

The prompt of a row names the document and quotes the first sentence of the passage; the completion
is the rest. TRL can thus train on the authors' own words in the form of the conversations about
figures without extra code, and every row has a prompt and a completion.
"""

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar

from cephalo.cli.rows import Row

MIN_WORDS, MAX_WORDS = 80, 400
CONTINUE = "Here is the beginning of a passage from {source}:\n\n{first}\n\nContinue the passage."

_END = re.compile(
    r"[.!?][)\]\"'\u201d\u2019»]*\s+(?=[\"'\u201c\u2018«(\[]?[A-Z0-9©À-ÖØ-ÞΑ-ΩА-Я])|(?<=[\u3002\uff01\uff1f])"
)
_ABBREVIATION = re.compile(
    r"(?:\b[A-Z]|\b(?i:figs?|eqn?s?|refs?|secs?|sects?|tabs?|nos?|dr|prof|st|vs|cf|ca|al|resp|approx|n|pp?|"
    r"abb|nr|bzw|vgl|z\.\s?b|i\.e|e\.g))\.$"
)
# "Prop. 2", "(Acc. 19)": a short capitalized word, and a number.
_COUNTED = re.compile(r"(?:^|[\s(])[A-Z][a-z]{1,5}\.$")
_NUMBERED = re.compile(r"\b(?:[Ee]quations?|Figures?|Sections?)\.$")  # "Equation. (6)"
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")

Place = TypeVar("Place")


def sentences(text: str) -> list[str]:
    """Split a text into sentences; initials and common abbreviations do not end one."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        before = text[max(start, end - 16) : end].rstrip()
        counted = text[end : end + 1].isdecimal() and _COUNTED.search(before)
        counted = counted or (text[end : end + 1] == "(" and _NUMBERED.search(before))
        if not counted and not _ABBREVIATION.search(before):
            found.append(text[start:end].strip())
            start = end
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def count_words(text: str) -> int:
    """Count words; two characters of Chinese and Japanese count as one word."""
    return len(text.split()) + len(_IDEOGRAPH.findall(text)) // 2


def pack(paragraphs: Iterable[tuple[Place, str]]) -> Iterator[tuple[Place, str]]:
    """Yield passages of MIN_WORDS to MAX_WORDS words from the paragraphs of one document, in order.

    Short paragraphs are joined by an empty line, long ones are split between sentences. A passage
    has the place of its first paragraph. A short rest at the end is extended by sentences of the
    previous passage, or discarded if there is none.
    """
    ready: tuple[Place, list[str]] | None = None
    parts: list[str] = []
    place: Place | None = None
    words = 0
    for where, paragraph in paragraphs:
        for piece in _pieces(paragraph):
            more = count_words(piece)
            full = words >= MAX_WORDS // 2 or words + more > MAX_WORDS
            if parts and full:
                if words >= MIN_WORDS:
                    if ready:
                        yield ready[0], "\n\n".join(ready[1])
                    assert place is not None  # the place of the first part
                    ready = place, parts
                parts, words = [], 0
            if not parts:
                place = where
            parts.append(piece)
            words += more
    if ready and 0 < words < MIN_WORDS:
        _lengthen(parts, MIN_WORDS - words, ready[1])
        words = sum(map(count_words, parts))
    if ready:
        yield ready[0], "\n\n".join(ready[1])
    if words >= MIN_WORDS:
        assert place is not None
        yield place, "\n\n".join(parts)


def _lengthen(parts: list[str], wanted: int, before: list[str]) -> None:
    """Move the last sentences of a passage, at least `wanted` words, to the start of the next one.

    Nothing changes if fewer than MIN_WORDS would remain.
    """
    last = sentences(before[-1])
    moved: list[str] = []
    while len(last) > 1 and sum(map(count_words, moved)) < wanted:
        moved.insert(0, last.pop())
    left = sum(map(count_words, before[:-1])) + sum(map(count_words, last))
    if left >= MIN_WORDS and sum(map(count_words, moved)) >= wanted:
        before[-1] = " ".join(last)
        parts.insert(0, " ".join(moved))


def _pieces(paragraph: str) -> list[str]:
    """Split a long paragraph between sentences into parts of similar length."""
    total = count_words(paragraph)
    if total <= MAX_WORDS:
        return [paragraph]
    wanted = total / -(-total // (MAX_WORDS - 50))  # words per part
    pieces: list[str] = []
    words = 0
    for sentence in sentences(paragraph):
        more = count_words(sentence)
        if not pieces or words + more / 2 > wanted:
            pieces.append(sentence)
            words = more
        else:
            pieces[-1] += ("" if _IDEOGRAPH.match(sentence) else " ") + sentence
            words += more
    return [piece for piece in pieces if count_words(piece) <= MAX_WORDS]


def text_row(passage: str, document: Row, page: int) -> Row | None:
    """Build a row of TEXT. Returns None for a passage of a single sentence, which would have no
    completion.

    `document` has the columns "document", "document_sha256", "title", "doi", "license", "author",
    "source_url" and "revision".
    """
    first = sentences(passage)[0]
    rest = passage[len(first) :].strip()
    if not rest:
        return None
    title = document["title"]
    asked = CONTINUE.format(source=f'"{title}"' if title else "a scientific text", first=first)
    return {
        "images": [],
        "prompt": [_message("user", asked)],
        "completion": [_message("assistant", rest)],
        "text": passage,
        "page": page,
        **document,
    }


def _message(role: str, text: str) -> Row:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def text_rows(paragraphs: Iterable[tuple[int, str]], document: Row) -> list[Row]:
    """Build the rows of TEXT of a document, from its paragraphs and their pages."""
    rows = (text_row(passage, document, page) for page, passage in pack(paragraphs))
    return [row for row in rows if row]
