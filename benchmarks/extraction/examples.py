"""Training examples for the fitted decisions, from papers with known captions.

The ground truth is the text of a caption (JATS, TeX, or a generator). Lines are labelled by their
position in it. Any set of papers in the format of the benchmark can be used, with or without boxes.
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

SAME = 80.0  # percent; smallest similarity of a row and the caption text at its place
SHORT = 6  # characters; a shorter row must match literally
SLACK = 10  # characters; tolerance of the place in the ground truth
PART = 0.3  # share of a caption that a candidate must match to give examples
WHOLE = 0.7  # share of a caption; with less it is another text with the same beginning
_SPACE = re.compile(r"[\s\-\u00ad\u2010-\u2015\u0002\ufffe\uffff\u200b]+")


@dataclass(frozen=True)
class Example:
    """A decision with its correct answer.

    Attributes:
        model: Name of the model.
        features: Input of the model.
        answer: Correct answer.
        document: Name of the paper.
        group: Publisher or class of the paper.
    """

    model: str
    features: dict[str, float]
    answer: bool
    document: str
    group: str


@dataclass
class Truth:
    """A caption of the ground truth: kind and number of its label, and its normalised text."""

    kind: str
    number: str
    text: str
    page: int | None


@dataclass
class Guide:
    """Chooses the steps of a known caption, and records all candidates."""

    text: str
    document: str
    group: str
    place: int = 0
    examples: list[Example] = field(default_factory=list)
    refused: list[Example] = field(default_factory=list)  # since the last correct step

    def start(self, head: str) -> None:
        """Match the text of the first row."""
        self.place = self._end_of(head) or 0

    def __call__(self, caption: Growing, steps: list[Step]) -> Step | None:
        """Return the step whose row is next in the text, `None` at the end or without a match."""
        ends = [self._end_of(" ".join(line.text for line in step.row)) for step in steps]
        over = self.place >= len(self.text)
        right = [] if over else [k for k, end in enumerate(ends) if end is not None]
        examples = [
            Example(step.model, step.features, k in right[:1], self.document, self.group)
            for k, step in enumerate(steps)
            if not right or k <= right[0]  # rows after the correct one may match as well
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
        """Whether the whole text was found, except what may be printed differently."""
        return len(self.text) - self.place <= max(2, 0.02 * len(self.text))

    def finish(self) -> list[Example]:
        """Return all examples. The last rejected ones only count if the whole text was found."""
        return self.examples + (self.refused if self.ended else [])

    def _end_of(self, row: str) -> int | None:
        """Return the end of a row in the text, `None` if it does not match at the present place."""
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
    """Normalise a text for comparison: NFKC, casefolded, without spaces, hyphens and quotes."""
    text = unicodedata.normalize("NFKC", text).replace("\u00b5", "\u03bc").casefold()
    return _SPACE.sub("", re.sub("[\u2018\u2019\u201c\u201d\"'`\u00b4\u2212]", "", text))


def read_truth(path: Path) -> tuple[list[Truth], set[str], str, bool]:
    """Read a truth file: captions, the kinds it covers completely, its class, and "scanned"."""
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
    """Return the pages of a PDF file as input of the line decisions."""
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
    """Read paper `name` of a set in the format of the benchmark, `None` for a scan."""
    truths, kinds, group, scanned = read_truth(folder / "truth" / f"{name}.json")
    if scanned:
        return None
    texts = read_texts(folder / "pdf" / f"{name}.pdf")
    paper = Paper(name, group, texts, truths, kinds, folder / "truth" / f"{name}.json")
    compare(paper)
    return paper


def extent_examples(paper: Paper, usual: dict[str, frozenset]) -> Iterator[Example]:
    """Yield the candidate rows of the known captions with correct answers."""
    for candidate, truth in paper.known:
        guide = Guide(truth.text, paper.name, paper.group)
        guide.start(candidate.head)
        faces = usual.get(candidate.kind, frozenset())
        follow(candidate, guide, paper, faces)
        yield from guide.finish()


def follow(
    candidate: Candidate, guide: Guide, paper: Paper, faces: frozenset = frozenset()
) -> None:
    """Follow the correct steps of a candidate after its first row, on its page and the next."""
    text = candidate.growing.text
    grown = grow(candidate.first, candidate.kind, text, faces, guide)
    after = page_after(text, paper.texts)
    if after:
        grow_on_next_page(grown, after, guide)


def compare(paper: Paper) -> None:
    """Set which candidates of a paper are captions: `known` and `answers`.

    The part of a caption that can be reached does not depend on the weights, so this is done once.
    A second candidate with the whole text (in a list of legends) is neither correct nor wrong.
    """
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    shares: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for number, candidate in enumerate(candidates):
        # Sources that contain a figure once do not say where it is continued. Each such part is a
        # row; a table is one row, on any number of pages.
        continued = candidate.continued and candidate.kind != "table"
        is_wrong = candidate.kind in paper.kinds and not continued
        paper.answers[id(candidate.first)] = False if is_wrong else None
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
    """Return whether a candidate has the kind and number of a known caption."""
    own = re.sub(r"^(?:sup|app|onl|ext)", "", candidate.number)
    return candidate.kind == truth.kind and own == truth.number


def _share(candidate: Candidate, truth: Truth, paper: Paper) -> float:
    """Return the share of a known caption that a candidate reaches with all correct steps."""
    if not truth.text:
        return 0.0
    guide = Guide(truth.text, paper.name, paper.group)
    guide.start(candidate.head)
    if normalise(candidate.head) and not guide.place:
        return 0.0
    follow(candidate, guide, paper)
    return guide.place / len(truth.text)


def alone_examples(paper: Paper) -> Iterator[Example]:
    """Yield every candidate of a paper alone, collected with the current models."""
    for candidate in (c for text in paper.texts for c in find_candidates(text)):
        answer = paper.answers.get(id(candidate.first))
        if answer is not None:
            found = dict(candidate.features)
            yield Example("starts_alone", found, answer, paper.name, paper.group)


def together_examples(paper: Paper) -> Iterator[Example]:
    """Yield every candidate of a paper together with the others."""
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    weigh_alone(candidates)
    for candidate, found in zip(candidates, document_features(candidates), strict=True):
        answer = paper.answers.get(id(candidate.first))
        if answer is not None:
            yield Example("starts", found, answer, paper.name, paper.group)


def usual_of(paper: Paper) -> dict[str, frozenset]:
    """Return the usual faces of a paper's captions under the current models."""
    candidates = [candidate for text in paper.texts for candidate in find_candidates(text)]
    weigh_alone(candidates)
    return usual_faces(candidates)
