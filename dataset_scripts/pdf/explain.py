"""Explain the captions and boxes of a document, for `cephalo extract --review`.

Rows do not store the reasons, so that the decisions are made again, without cropping.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.common.linear_model import Features
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.caption_extent import (
    Step,
    best_step,
    grow,
    grow_on_next_page,
    page_after,
)
from cephalo.dataset_scripts.pdf.caption_features import Growing, PageText
from cephalo.dataset_scripts.pdf.caption_starts import Candidate, box_of_caption
from cephalo.dataset_scripts.pdf.captions import Caption, weigh_candidates
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.document import Decisions, decide, displayed
from cephalo.dataset_scripts.pdf.layout import PageContent, set_layout
from cephalo.dataset_scripts.pdf.pairing import best_sides
from cephalo.dataset_scripts.pdf.reading import read_pages
from cephalo.dataset_scripts.pdf.regions import Scene
from cephalo.dataset_scripts.pdf.sight import Problem, choice_features, owners
from cephalo.dataset_scripts.pdf.text import Line

MAX_WORDS = 70  # characters shown of a row
MAX_REJECTED = 15  # rejected candidates shown per page, by score


@dataclass(frozen=True)
class Weighed:
    """An input of a fitted model with its score.

    Attributes:
        model: Name of the model in `weights.json`.
        words: Words of the row, or side of the figure.
        score: Log-odds of "yes".
        reasons: The strongest features with their contributions.
    """

    model: str
    words: str
    score: float
    reasons: list[tuple[str, float]]


@dataclass(frozen=True)
class Outline:
    """The region assigned to a caption.

    Attributes:
        page: Index of the page, from 0.
        box: Box on the displayed page, in points.
        side: Side of the caption on which the figure is, `None` for figures on another page.
        sides: Score of each side with graphics and of "none", with the other captions unchanged.
            Empty if no model decided: for figures on another page, tables and listings.
    """

    page: int
    box: Box
    side: str | None
    sides: list[Weighed]


@dataclass(frozen=True)
class Explanation:
    """Why a line that begins like a label was accepted or rejected as a caption.

    Attributes:
        page: Index of the page, from 0.
        kind: Kind of the figure.
        label: Label as printed.
        box: Box of the caption, or of the rejected candidate, on the displayed page, in points.
        alone: Score of the line alone.
        start: Score among all candidates of the document.
        accepted: Whether it is a caption.
        text: Text of the caption.
        weakest: The row of the caption with the lowest score, `None` for one row.
        refused: The most likely row that was not added, `None` if there was none.
        figure: Region of the figure, `None` for captions without a figure.
    """

    page: int
    kind: str
    label: str
    box: Box
    alone: Weighed
    start: Weighed
    accepted: bool = False
    text: str = ""
    weakest: Weighed | None = None
    refused: Weighed | None = None
    figure: Outline | None = None


def explain_document(path: Path) -> list[Explanation]:
    """Explain the captions of a PDF file, and the lines that begin like captions but are not.

    Args:
        path: PDF file.

    Returns:
        Explanations by page, from top to bottom.

    Raises:
        UnreadableError: If pdfium cannot read the file.
    """
    with fast.open_document(path) as document, closing(fast.Pages(document)) as pages:
        contents, _ = read_pages(pages, pdfium.FPDF_GetPageCount(document))
    body, blocks = set_layout(contents)
    weighed = weigh_candidates(contents, blocks, body)
    found = decide(contents, blocks, body)
    outlines = _outlines(contents, found)
    texts = [text for text, _ in weighed]
    explained = []
    for content, (_, candidates), captions in zip(contents, weighed, found.captions, strict=True):
        by_line = {id(caption.lines[0]): caption for caption in captions}
        rejected = [c for c in candidates if id(c.first) not in by_line]
        told = sorted(rejected, key=lambda c: -c.score)[:MAX_REJECTED]
        shown = {id(candidate) for candidate in told}
        for candidate in candidates:
            caption = by_line.get(id(candidate.first))
            if caption:
                explained.append(_accepted(content, candidate, caption, texts, outlines))
            elif id(candidate) in shown:
                explained.append(_rejected(content, candidate))
    return sorted(explained, key=lambda one: (one.page, one.box[1], one.box[0]))


def _accepted(
    content: PageContent,
    candidate: Candidate,
    caption: Caption,
    texts: list[PageText],
    outlines: dict[int, Outline],
) -> Explanation:
    """Return the explanation of a caption. Its rows are collected once more."""
    growing, record = candidate.growing, _Record()
    grow(candidate.first, candidate.kind, growing.text, growing.usual, record.choose)
    after = page_after(growing.text, texts)
    if after:
        grow_on_next_page(growing, after, record.choose)
    return replace(
        _rejected(content, candidate),
        accepted=True,
        text=caption.text,
        weakest=min(record.taken, key=_score, default=None),
        refused=max(record.refused, key=_score, default=None),
        figure=outlines.get(id(caption)),
    )


def _rejected(content: PageContent, candidate: Candidate) -> Explanation:
    """Return the explanation of a rejected candidate."""
    words = _words(candidate.growing.rows[0])
    alone = _weigh("starts_alone", words, candidate.features)
    start = _weigh("starts", words, candidate.features)
    box = displayed(box_of_caption(candidate.growing), content)
    return Explanation(content.number, candidate.kind, candidate.label, box, alone, start)


class _Record:
    """Chooses rows as `best_step` does, and records their scores.

    Attributes:
        taken: Rows that were added.
        refused: Candidates after the last row that was added.
    """

    def __init__(self) -> None:
        self.taken: list[Weighed] = []
        self.refused: list[Weighed] = []

    def choose(self, caption: Growing, steps: list[Step]) -> Step | None:
        """Return the choice of `best_step`."""
        chosen = best_step(caption, steps)
        if chosen is None:
            self.refused += [_weigh_step(step) for step in steps]
        else:
            self.taken.append(_weigh_step(chosen))
            self.refused = []
        return chosen


def _outlines(contents: list[PageContent], found: Decisions) -> dict[int, Outline]:
    """Return the regions of captions, by the id of the caption.

    If the text of a caption was given to a figure under a label without text, it has the region of
    that figure.
    """
    outlines, under_labels = {}, {}
    for content, scene, pairs in zip(contents, found.scenes, found.pairs, strict=True):
        sides = _sides(scene, found.prior) if scene else {}
        for pair in pairs:
            caption, box = pair.caption, displayed(pair.box, content)
            weighed = sides.get(id(caption), []) if pair.reasons else []
            outlines[id(caption)] = Outline(content.number, box, pair.side, weighed)
            under_labels[caption.kind, caption.number, caption.text] = outlines[id(caption)]
    for caption in (caption for own in found.captions for caption in own):
        key = caption.kind, caption.number, caption.text
        if caption.text and key in under_labels:
            outlines.setdefault(id(caption), replace(under_labels[key], side=None, sides=[]))
    return outlines


def _sides(scene: Scene, prior: dict[str, float]) -> dict[int, list[Weighed]]:
    """Score each side of each caption of a page, by the id of the caption.

    The other captions keep their best sides.
    """
    problem = Problem(scene, scene.captions, prior)
    best = dict(enumerate(best_sides(problem)))
    told = {}
    for index, caption in enumerate(problem.captions):
        options = []
        for side in problem.options(index):
            owner = owners(problem, {**best, index: side})
            if side and index not in owner.values():
                continue  # all graphics on that side belong to other captions
            features = choice_features(problem, index, side, owner)
            options.append(_weigh("pairs", side or "none", features))
        told[id(caption)] = sorted(options, key=_score, reverse=True)
    return told


def _weigh_step(step: Step) -> Weighed:
    """Return the score of a candidate row."""
    return _weigh(step.model, _words(step.row), step.features)


def _weigh(model: str, words: str, features: Features) -> Weighed:
    """Return the score of features under a model."""
    weights = load_models()[model]
    return Weighed(model, words, weights.score(features), weights.reasons(features))


def _words(row: list[Line]) -> str:
    """Return the words of a row, at most `MAX_WORDS` characters."""
    text = " ".join(line.text for line in row)
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "\u2026"


def _score(weighed: Weighed) -> float:
    return weighed.score
