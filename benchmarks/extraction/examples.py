"""Examples for the fitted decisions, from papers whose captions are known.

The truth is a caption's text (JATS, TeX, or a generator); lines are told by where they stand in
it. So every set of papers in the benchmark's format serves, with or without boxes.
"""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2.raw as pdfium
from rapidfuzz import fuzz

from benchmarks.extraction.publishers import publisher_of
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.caption_extent import (
    Step,
    grow,
    grow_on_next_page,
    page_after,
)
from cephalo.dataset_scripts.pdf.caption_features import Growing, PageText
from cephalo.dataset_scripts.pdf.caption_starts import (
    Candidate,
    document_features,
    find_candidates,
    usual_faces,
    weigh_alone,
)
from cephalo.dataset_scripts.pdf.labels import kind_of, match_label, number_of
from cephalo.dataset_scripts.pdf.layout import set_layout
from cephalo.dataset_scripts.pdf.reading import read_pages

SAME = 80.0  # percent; a row is of a caption if it is that like the text at its place there
SHORT = 6  # characters; a shorter row must stand there literally
SLACK = 10  # characters by which the place in the truth may be off
PART = 0.3  # of a caption; a candidate that gets to less is no example of how captions go on
WHOLE = 0.7  # of a caption; less is taken for another text that begins alike
_SPACE = re.compile(r"[\s\-\u00ad\u2010-\u2015\u0002\ufffe\uffff\u200b]+")


@dataclass(frozen=True)
class Example:
    """A decision with its right answer. `group`: the publisher or class; `weight`: its share."""

    model: str
    features: dict[str, float]
    answer: bool
    document: str
    group: str


@dataclass
class Truth:
    """A caption as it should be read: kind and number of its label, and its normalised text."""

    kind: str
    number: str
    text: str
    page: int | None


@dataclass
class Guide:
    """Chooses the steps that a known caption takes, and notes all that were offered."""

    text: str
    document: str
    group: str
    place: int = 0
    examples: list[Example] = field(default_factory=list)
    refused: list[Example] = field(default_factory=list)  # since the last right step

    def start(self, head: str) -> None:
        """Take in the text of the first row."""
        self.place = self._end_of(head) or 0

    def __call__(self, caption: Growing, steps: list[Step]) -> Step | None:
        """The step whose row comes next in the text; None at its end, or where none does."""
        ends = [self._end_of(" ".join(line.text for line in step.row)) for step in steps]
        over = self.place >= len(self.text)
        right = [] if over else [k for k, end in enumerate(ends) if end is not None]
        examples = [
            Example(step.model, step.features, k in right[:1], self.document, self.group)
            for k, step in enumerate(steps)
            if not right or k <= right[0]  # what comes after the right row may be of the text, too
        ]
        if not right:
            self.refused += examples
            return None
        self.examples += self.refused + examples
        self.refused = []
        self.place = ends[right[0]]
        return steps[right[0]]

    @property
    def ended(self) -> bool:
        """Whether the whole text was found, but for what may be printed otherwise."""
        return len(self.text) - self.place <= max(2, 0.02 * len(self.text))

    def finish(self) -> list[Example]:
        """All examples; what was refused last counts only where the whole text was found."""
        return self.examples + (self.refused if self.ended else [])

    def _end_of(self, row: str) -> int | None:
        """Where a row ends in the text, if it stands at the present place."""
        own = normalise(row)
        if not own:
            return None
        start = max(0, self.place - SLACK)
        window = self.text[start : self.place + len(own) + SLACK]
        if len(own) < SHORT:
            found = window.find(own)
            return None if found < 0 else start + found + len(own)
        if len(window) < 0.8 * len(own):
            return None
        found = fuzz.partial_ratio_alignment(own, window, score_cutoff=SAME)
        return None if found is None else start + found.dest_end


def normalise(text: str) -> str:
    """Text for comparing: NFKC, case folded, without white space, hyphens and quotes."""
    text = unicodedata.normalize("NFKC", text).replace("\u00b5", "\u03bc").casefold()
    return _SPACE.sub("", re.sub("[\u2018\u2019\u201c\u201d\"'`\u00b4\u2212]", "", text))


def read_truth(path: Path) -> tuple[list[Truth], set[str], str, bool]:
    """The captions of a truth file, the kinds that it knows all of, its class, and "scanned"."""
    data = json.loads(path.read_text(encoding="utf-8"))
    found, kinds = [], {"figure", "scheme", "chart", "plate"}
    if data.get("tables"):
        kinds.add("table")
    for item in [*data["figures"], *data.get("tables", [])]:
        label = item.get("label") or ""
        match = match_label(label)
        if match is None:
            continue
        text = item.get("caption_printed") or item["caption"]
        own = match_label(text)
        text = text[own.end() :] if own else text
        found.append(
            Truth(kind_of(match), number_of(match), normalise(text), item.get("caption_page"))
        )
    group = publisher_of(data) or data.get("class") or path.stem.split("_")[0]
    return found, kinds, group, bool(data.get("scanned"))


def read_texts(path: Path) -> list[PageText]:
    """The pages of a PDF file as the line decisions see them."""
    with fast.open_document(path) as document, closing(fast.Pages(document)) as pages:
        contents, _ = read_pages(pages, pdfium.FPDF_GetPageCount(document))
    profile, blocks = set_layout(contents)
    return [PageText(page, profile, own) for page, own in zip(contents, blocks, strict=True)]


@dataclass
class Paper:
    """A paper that was read once, for the examples of several rounds."""

    name: str
    group: str
    texts: list[PageText]
    truths: list[Truth]
    kinds: set[str]
    truth: Path
    known: list[tuple[Candidate, Truth]] = field(default_factory=list)
    answers: dict[int, bool | None] = field(default_factory=dict)  # by the id of the first line


def read_paper(folder: Path, name: str) -> Paper | None:
    """Paper `name` of a set in the benchmark's format; None for a scan."""
    truths, kinds, group, scanned = read_truth(folder / "truth" / f"{name}.json")
    if scanned:
        return None
    texts = read_texts(folder / "pdf" / f"{name}.pdf")
    paper = Paper(name, group, texts, truths, kinds, folder / "truth" / f"{name}.json")
    compare(paper)
    return paper


def extent_examples(paper: Paper, usual: dict[str, frozenset]) -> Iterator[Example]:
    """What was offered to the paper's known captions while they grew, with the right answers."""
    for candidate, truth in paper.known:
        guide = Guide(truth.text, paper.name, paper.group)
        guide.start(candidate.head)
        faces = usual.get(candidate.kind, frozenset())
        follow(candidate, guide, paper, faces)
        yield from guide.finish()


def follow(
    candidate: Candidate, guide: Guide, paper: Paper, faces: frozenset = frozenset()
) -> None:
    """Let a candidate take the right steps after its first row, on its page and the next."""
    text = candidate.growing.text
    grown = grow(candidate.first, candidate.kind, text, faces, guide)
    after = page_after(text, paper.texts)
    if after:
        grow_on_next_page(grown, after, guide)


def compare(paper: Paper) -> None:
    """Set which candidates of a paper are its captions: `known` and `answers`.

    What a caption could get to does not depend on the weights, so this is done once. A second
    candidate that has a caption's whole text (a list of legends) is neither right nor wrong.
    """
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    shares: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for number, candidate in enumerate(candidates):
        # Sources that hold a figure once say nothing of where it is printed as continued. Each
        # such part is a row; a table is one, however many pages it goes on.
        continued = candidate.continued and candidate.kind != "table"
        told = candidate.kind in paper.kinds and not continued
        paper.answers[id(candidate.first)] = False if told else None
        for place, truth in enumerate(paper.truths):
            if same_label(candidate, truth):
                shares[place].append((_share(candidate, truth, paper), number))
    for place, group in shares.items():
        share, best = max(group)
        if share > PART:
            paper.known.append((candidates[best], paper.truths[place]))
        for other, number in group:
            if number == best or other > WHOLE:
                right = number == best and share > WHOLE
                paper.answers[id(candidates[number].first)] = True if right else None


def same_label(candidate: Candidate, truth: Truth) -> bool:
    """Whether a candidate has a known caption's kind and number."""
    own = re.sub(r"^(?:sup|app|onl|ext)", "", candidate.number)
    return candidate.kind == truth.kind and own == truth.number


def _share(candidate: Candidate, truth: Truth, paper: Paper) -> float:
    """How much of a known caption a candidate gets to, if it takes all the right steps."""
    if not truth.text:
        return 0.0
    guide = Guide(truth.text, paper.name, paper.group)
    guide.start(candidate.head)
    if normalise(candidate.head) and not guide.place:
        return 0.0
    follow(candidate, guide, paper)
    return guide.place / len(truth.text)


def alone_examples(paper: Paper) -> Iterator[Example]:
    """Every candidate of a paper by itself, as the models of now grow it."""
    for candidate in (c for text in paper.texts for c in find_candidates(text)):
        answer = paper.answers.get(id(candidate.first))
        if answer is not None:
            found = dict(candidate.features)
            yield Example("starts_alone", found, answer, paper.name, paper.group)


def together_examples(paper: Paper) -> Iterator[Example]:
    """Every candidate of a paper together with the others."""
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    weigh_alone(candidates)
    for candidate, found in zip(candidates, document_features(candidates), strict=True):
        answer = paper.answers.get(id(candidate.first))
        if answer is not None:
            yield Example("starts", found, answer, paper.name, paper.group)


def usual_of(paper: Paper) -> dict[str, frozenset]:
    """The usual faces of a paper's captions, as the models of now find them."""
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    weigh_alone(candidates)
    return usual_faces(candidates)
