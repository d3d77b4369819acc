"""Find captions: detect labels, collect the rows of each caption, and drop citing sentences."""

from collections import defaultdict
from dataclasses import dataclass, field

from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.pdf.caption_extent import grow, grow_on_next_page, page_after
from cephalo.dataset_scripts.pdf.caption_features import PageText
from cephalo.dataset_scripts.pdf.caption_starts import (
    Candidate,
    box_of_caption,
    find_candidates,
    usual_faces,
    weigh_alone,
    weigh_together,
)
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.layout import Block, PageContent
from cephalo.dataset_scripts.pdf.mentions import citation_key, cited
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits for rejecting candidates and for labels without text."""

    label_length: int = 40  # characters; longer lines on the page of a figure are running text
    hopeless: float = -5.0  # log-odds of the first model; the second accepts none below it


P = Parameters()


@dataclass
class Caption:
    """A caption on a page.

    Attributes:
        kind: Kind of the figure, such as "figure" or "table".
        label: Label as printed, without the closing mark.
        number: Number in the label, in lower case, "" without one.
        text: Text without the label.
        box: Bounding box in the frame of the page, in points.
        page: Index of the page, from 0.
        lines: Lines of the caption on its page.
        score: Log-odds that this is a caption.
        reasons: Features of the score with their contributions.
    """

    kind: str
    label: str
    number: str
    text: str
    box: Box
    page: int
    lines: list[Line]
    score: float
    reasons: list[tuple[str, float]] = field(default_factory=list)


def find_captions(
    pages: list[PageContent], blocks: list[list[Block]], profile: TypeProfile
) -> list[list[Caption]]:
    """Return the captions of each page of a document, from top to bottom.

    The lines of captions are tagged "caption", in place.

    Args:
        pages: Content of each page.
        blocks: Blocks of text of each page.
        profile: Type of the body text.
    """
    weighed = weigh_candidates(pages, blocks, profile)
    texts = [text for text, _ in weighed]
    every = [candidate for _, own in weighed for candidate in own]
    likely = [c for c in every if c.score > 0 and not c.elsewhere]
    if any(candidate.sort_alone for candidate in likely):
        told = _cited_figures(texts, every)
        likely = [c for c in likely if not c.sort_alone or citation_key(c.kind, c.number) in told]
    numbered = {c.kind for c in likely if c.number}
    # In documents with numbered figures, a word without a number is the end of a sentence.
    kept = {id(c) for c in likely if c.number or c.kind not in numbered}
    bare = {id(candidate) for candidate in _bare_labels(every, kept)}
    captions = []
    for text, own in weighed:
        chosen = [c for c in own if id(c) in kept or (id(c) in bare and c.elsewhere)]
        chosen = chosen or [c for c in own if id(c) in bare]
        after = page_after(text, texts) if chosen else None
        captions.append([_caption(candidate, after) for candidate in chosen])
    return captions


def weigh_candidates(
    pages: list[PageContent], blocks: list[list[Block]], profile: TypeProfile
) -> list[tuple[PageText, list[Candidate]]]:
    """Return each page of a document with its candidates, grown and scored."""
    texts = [PageText(page, profile, own) for page, own in zip(pages, blocks, strict=True)]
    candidates = [find_candidates(text) for text in texts]
    every = [candidate for own in candidates for candidate in own]
    weigh_alone(every)
    usual = usual_faces(every)
    for candidate in every:
        if usual[candidate.kind] and candidate.score > P.hopeless:
            growing = candidate.growing
            faces = usual[candidate.kind]
            candidate.growing = grow(candidate.first, candidate.kind, growing.text, faces)
    weigh_together(every)
    return list(zip(texts, candidates, strict=True))


def _caption(candidate: Candidate, after: PageText | None) -> Caption:
    """Convert a candidate to a caption, with its text on the page `after` it."""
    growing = candidate.growing
    pieces = candidate.pieces
    page = growing.text.page
    lines = growing.lines
    if after:
        more = grow_on_next_page(growing, after)
        if more:
            pieces += [line.text for line in more.lines]
            for line in more.lines:
                line.tags.add("caption")
    for line in lines:
        line.tags.add("caption")
    return Caption(
        candidate.kind,
        candidate.label,
        candidate.number,
        "" if candidate.elsewhere else join_text(pieces),
        box_of_caption(growing),
        page.number,
        lines,
        candidate.score,
        load_models()["starts"].reasons(candidate.features),
    )


def _bare_labels(candidates: list[Candidate], kept: set[int]) -> list[Candidate]:
    """Return labels without text that are figures.

    Either the label occurs once, on another page than the caption of the same number, or no caption
    has that number and the page has little besides a figure.
    """
    texts = (c for c in candidates if id(c) in kept and any(c.pieces))
    told = {(c.kind, c.number): c for c in texts}
    numbers = defaultdict(list)
    for candidate in candidates:
        if candidate.bare and id(candidate) not in kept:
            numbers[candidate.kind, candidate.number].append(candidate)
    found = []
    for key, group in numbers.items():
        text = group[0].growing.text
        elsewhere = key in told and text.page is not told[key].growing.text.page
        sole = key not in told and len(text.solid) and _sentences(text) == 0
        if len(group) == 1 and (elsewhere or sole):
            found.append(group[0])
    return found


def _cited_figures(texts: list[PageText], candidates: list[Candidate]) -> set[tuple[str, str]]:
    """Return the (kind, number) of figures cited in running text."""
    own = {id(candidate.first) for candidate in candidates}
    lines = (line for text in texts for line in text.page.lines if text.is_body(line))
    return {key for line in lines if id(line) not in own for key in cited(line.text)}


def _sentences(text: PageText) -> int:
    """Count the lines of a page that are as long as running text."""
    return sum(len(line.text) > P.label_length for line in text.page.lines)
