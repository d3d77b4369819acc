"""Measure cleanness and completeness of the passages of running text of generated papers.

    python -m benchmarks.papers --count 60 --seed 77 --out runs/papers
    python -m benchmarks.passages runs/papers

A part of a passage (between two empty lines) is clean if it equals a stretch of the paper's running
text, character by character, and starts and ends at sentence boundaries, not necessarily of a
paragraph. Expected are words without the hyphens of line ends, indices and exponents as in Unicode
("TiO₂", "s⁻¹") or TeX ("K_IC", "m^{1/2}"), and no numbers of references.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.papers.markup import to_plain
from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings

_REFERENCE = re.compile(r"\s?\[\d{1,2}\]|(?<!</i>)(?:\s|(?<=\w))<sup>\d{1,2}</sup>")
_SCRIPT = re.compile(r"<(sub|sup)>([^<]*)</\1>(?=(\w?))")
_RAISED = str.maketrans("0123456789+−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SCRIPT_SIGNS = frozenset("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉_^{}")
_ENDED = re.compile(r"[.。!?]\W*$")
_APART = 12  # letters of a missing or added piece that consists of words


@dataclass
class Score:
    """The results for the passages of some papers.

    `parts` and `words` count what was extracted, `clean_words` the part of it that equals the
    print, `told` the words of the papers' running text. `kinds` counts passages by the kinds of
    their faults.
    """

    passages: int = 0
    clean: int = 0
    told: int = 0
    words: int = 0
    clean_words: int = 0
    kinds: Counter[str] = field(default_factory=Counter)


def main(
    papers: Annotated[Path, typer.Argument(help="Folder that `benchmarks.papers` made.")],
    show: Annotated[int, typer.Option(help="Passages with faults to print.")] = 0,
) -> None:
    """Print how many passages are clean, the faults of the others, and how much text is
    extracted."""
    score = Score()
    for name, paragraphs in truths(papers):
        score.told += sum(len(text.split()) for text in paragraphs)
        for row in extract_document(papers / "pdf" / f"{name}.pdf", Settings(text=True)).passages:
            faults = judge(row["text"], paragraphs, score)
            if faults and show > 0:
                show -= 1
                print(f"{name}, page {row['page'] + 1}: {', '.join(sorted(faults))}")
                print("\n".join(f"    {fault}" for texts in faults.values() for fault in texts))
    print_score(score)


def truths(papers: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each paper, and the paragraphs that should be extracted from it."""
    files = sorted((papers / "truth").glob("*.json"))
    if not files:
        raise CephaloError(f"{papers}: no truth/*.json; make papers with benchmarks.papers")
    for file in files:
        truth = json.loads(file.read_text(encoding="utf-8"))
        if "paragraphs" not in truth:
            raise CephaloError(f"{file}: no running text; make the papers again")
        yield truth["id"], [expected(text) for text in truth["paragraphs"]]


def expected(text: str) -> str:
    """Return the expected passage for a paragraph with the tags of `markup`."""
    return to_plain(_SCRIPT.sub(_script, _REFERENCE.sub("", text)))


def _script(match: re.Match[str]) -> str:
    kind, text, after = match.groups()
    table, sign = (_RAISED, "^") if kind == "sup" else (_LOWERED, "_")
    if all(ord(char) in table for char in text):
        return text.translate(table)
    return f"{sign}{text}" if text.isalnum() and not after else f"{sign}{{{text}}}"


def judge(passage: str, paragraphs: list[str], score: Score) -> dict[str, list[str]]:
    """Add a passage to `score`; return its differences from `paragraphs`, by kind."""
    faults: dict[str, list[str]] = {}
    for part in passage.split("\n\n"):
        words = len(part.split())
        score.words += words
        if _holds(" ".join(paragraphs), part):
            score.clean_words += words
            continue
        for kind, fault in differences(part, nearest(part, paragraphs)):
            faults.setdefault(kind, []).append(fault)
    score.passages += 1
    score.clean += not faults
    score.kinds.update(faults.keys())
    return faults


def _holds(text: str, part: str) -> bool:
    """Return whether a text contains a part that starts and ends at sentence boundaries."""
    start = text.find(part)
    if start < 0 or not _ENDED.search(part):
        return False
    return start == 0 or bool(_ENDED.search(text[:start]))


def nearest(part: str, paragraphs: list[str]) -> str:
    """Return the paragraph that shares most pairs of words with a part, with its neighbours."""

    def pairs(text: str) -> set[tuple[str, str]]:
        return set(pairwise(text.split()))

    own = pairs(part)
    shared = [len(own & pairs(text)) for text in paragraphs]
    place = shared.index(max(shared))
    return " ".join(paragraphs[max(0, place - 1) : place + 2])


def differences(part: str, text: str) -> list[tuple[str, str]]:
    """Return the kind of each difference of a part from its paragraph, with its context."""
    matcher = SequenceMatcher(None, text, part, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size > 0]
    if not blocks:
        return [("other text", part[:80])]
    first, last = blocks[0].a, blocks[-1].a + blocks[-1].size
    found = []
    for what, a, b, c, d in matcher.get_opcodes():
        if what != "equal" and (d > c or first < a < b < last):
            around = f"{text[max(0, a - 20) : b + 20]!r} → {part[max(0, c - 20) : d + 20]!r}"
            found.append((_kind(text[a:b], part[c:d]), around))
    return found or [("part of a sentence", f"{part[:30]!r} … {part[-30:]!r}")]


def _kind(printed: str, read: str) -> str:
    """Return the kind of a difference between printed and extracted text."""
    if set(printed + read) & _SCRIPT_SIGNS or printed.isdigit() != read.isdigit():
        return "index, exponent or number"
    if (printed + read).isspace():
        return "space"
    if (printed + read).strip() in ("-", "\u2010"):
        return "hyphen"
    if _letters(read) >= _APART and _letters(read) > _letters(printed):
        return "other text"
    if _letters(printed) >= _APART:
        return "lost text"
    if _bare(printed) == _bare(read):
        return "accent"
    return "sign"


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _bare(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if not unicodedata.combining(char)).strip()


def print_score(score: Score) -> None:
    """Print a score."""
    passages, told = max(score.passages, 1), max(score.told, 1)
    print(f"passages: {score.passages}, clean {score.clean} ({score.clean / passages:.1%})")
    print(f"words: {score.told} in the papers, {score.words / told:.1%} kept, ", end="")
    print(f"{score.clean_words / told:.1%} in parts that are as printed")
    for kind, count in score.kinds.most_common():
        print(f"  {kind}: {count} passages")


if __name__ == "__main__":
    typer.run(main)
