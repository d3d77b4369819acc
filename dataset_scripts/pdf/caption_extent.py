"""Find where a caption ends, row by row from its first line.

The candidates for the next row are found by geometry: the rows below, the next column of a caption
set in two columns, the text below a figure whose label is above it, and the top of the next page. A
fitted model scores each candidate (see `caption_features`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cephalo.dataset_scripts.common.geometry import overlap_x, overlap_y
from cephalo.dataset_scripts.pdf.caption_features import (
    Growing,
    PageText,
    row_features,
)
from cephalo.dataset_scripts.pdf.caption_resuming import resume_features
from cephalo.dataset_scripts.pdf.decisions import load_models
from cephalo.dataset_scripts.pdf.labels import match_label
from cephalo.dataset_scripts.pdf.rows import joined
from cephalo.dataset_scripts.pdf.text import Line

MAX_ROWS = 150  # of a caption, more than fit on a page; bounds the time spent on a hostile page


@dataclass(frozen=True)
class Parameters:
    """Where a caption may continue. Lengths are in caption font sizes unless stated otherwise."""

    reach: float = 3.4  # distance to the next baseline; covers double spacing with a paragraph gap
    label_gap: float = 5.0  # largest gap between a label and its text on one line
    bridged: int = 40  # largest number of characters in a fraction or raised sign
    fraction_gap: float = 5.0  # largest gap between the words around a fraction
    column_gap: float = 6.0  # largest gap between two columns of one caption
    under_reach: float = 12.0  # depth below the graphics in which the text of a label is searched
    under_seen: int = 6  # rows scored there; the first are often tick labels
    fragment: int = 3  # characters; shorter pieces in smaller type are indices


P = Parameters()


@dataclass(frozen=True)
class Step:
    """A candidate for the next row of a caption.

    Attributes:
        model: Name of the model that scores it: "continues", "column", "under" or "page".
        row: The pieces of the row.
        features: Input of the model.
        turns: Whether the row begins another column.
    """

    model: str
    row: list[Line]
    features: dict[str, float]
    turns: bool = False


Choose = Callable[[Growing, list[Step]], Step | None]


def best_step(caption: Growing, steps: list[Step]) -> Step | None:
    """Return the step with the highest score, or `None` if all scores are negative."""
    if not steps:
        return None
    models = load_models()
    scores = [models[step.model].score(step.features) for step in steps]
    best = int(np.argmax(scores))
    return steps[best] if scores[best] > 0 else None


def grow(
    first: Line,
    kind: str,
    text: PageText,
    usual: frozenset[tuple[str, float]] = frozenset(),
    choose: Choose = best_step,
) -> Growing:
    """Collect the rows of a caption.

    Args:
        first: First line of the caption.
        kind: Kind of the figure, such as "figure" or "table".
        text: The page.
        usual: Faces (font and size) in which other captions of the document continue; may be empty.
        choose: Function that chooses the next row, `best_step` by default.

    Returns:
        The caption with its rows.
    """
    caption = Growing(kind, text, [first_row(first, text)], usual=usual)
    return _grow_on(caption, choose)


def grow_on_next_page(
    caption: Growing, text: PageText, choose: Choose = best_step
) -> Growing | None:
    """Return the part of a caption that continues at the top of the next page.

    Args:
        caption: Caption at the bottom of its page.
        text: The next page.
        choose: Function that chooses the next row.

    Returns:
        The rows on the next page, or `None` if the caption does not continue there.
    """
    if not _at_foot(caption):
        return None
    step = choose(caption, steps_on_page(caption, text))
    if step is None:
        return None
    after = Growing(caption.kind, text, [step.row], usual=caption.usual)
    return _grow_on(after, choose)


def page_after(text: PageText, texts: list[PageText]) -> PageText | None:
    """Return the page after `text` in the same orientation, or `None` if there is none."""
    page = text.page
    same = (
        other
        for other in texts
        if other.page.number == page.number + 1 and other.page.quarters == page.quarters
    )
    return next(same, None)


def _grow_on(caption: Growing, choose: Choose) -> Growing:
    """Add rows to a caption until no candidate is chosen."""
    while len(caption.rows) < MAX_ROWS:
        step = choose(caption, steps_below(caption)) or choose(caption, steps_aside(caption))
        if step is None:
            break
        if step.turns:
            caption.segment = len(caption.rows)
        caption.rows.append(step.row)
    return caption


def first_row(first: Line, text: PageText) -> list[Line]:
    """Return a first line with the pieces on the same baseline that belong to it.

    Pieces are separate if the line is justified with wide spaces or the label is followed by a tab.
    """
    level = text.rows.level(first)
    row = [line for line in joined(first, level, text.page.columns) if line.box[0] >= first.box[0]]
    if Growing("figure", text, [row]).label_only:
        for line in level:
            gap = (line.box[0] - row[-1].box[2]) / first.size
            tabbed = line.continues(row[-1]) and not match_label(line.text)
            if 0 < gap < P.label_gap and tabbed and line not in row:
                row += [
                    piece for piece in joined(line, level, text.page.columns) if piece not in row
                ]
    return _over_gaps(row, level, Growing("figure", text, [row]))


def steps_below(caption: Growing) -> list[Step]:
    """Return the nearest rows below the last row that overlap the caption horizontally."""
    text, last = caption.text, caption.last
    left, right = caption.span
    span = (left, right)
    if caption.label_only or right - left < 8 * last.size:
        column = text.column_of(last.box)
        span = (min(left, column[0]), max(right, column[1]))
    base = max(line.box[3] for line in caption.rows[-1])
    taken = {id(line) for line in caption.lines}
    steps = []
    for level in text.rows.below(base, P.reach * last.size, span, last.size):
        fresh = [line for line in level if id(line) not in taken and not _is_index(line, last)]
        if not fresh:
            continue
        head = min(fresh, key=lambda line: (not line.continues(last), abs(line.box[0] - left)))
        row = joined(head, text.rows.level(head), text.page.columns)
        row = [line for line in row if id(line) not in taken]
        row = _over_gaps(row, level, caption)
        if _is_stray(row, left, last) or (caption.label_only and not _has_letters(row)):
            continue
        steps.append(Step("continues", row, row_features(caption, row, level)))
        # Only pieces too small to be a row are skipped: parts of a fraction and stray marks.
        if not _is_fragment(row, last):
            break
    return steps


def _over_gaps(row: list[Line], level: list[Line], caption: Growing) -> list[Line]:
    """Extend a row over wide gaps: around a fraction, or between words of a justified line.

    The numerator and denominator of a fraction are pieces in smaller type above and below the
    baseline. The words of a justified row reach the right edge of the caption or its column.
    """
    text, size = caption.text, row[0].size
    edges = caption.span[1], text.column_of(caption.last.box)[1]
    for piece in level:
        gap = piece.box[0] - row[-1].box[2]
        if gap < 0 or abs(piece.size - row[-1].size) >= 0.04 * size or piece in row:
            continue
        justified = any(abs(piece.box[2] - edge) < 0.3 * size for edge in edges)
        in_order = 0 < piece.span[0] - row[-1].span[1] < P.bridged
        bridged = (
            in_order
            and gap < P.fraction_gap * size
            and any(
                line.size < 0.85 * size
                and row[-1].box[2] - size < line.box[0]
                and line.box[2] < piece.box[0] + size
                for line in text.rows.between(piece.box[3] - 1.2 * size, piece.box[3] + size)
            )
        )
        goes_on = bridged or (justified and piece.continues(row[-1]))
        if goes_on and not match_label(piece.text):
            row = [*row, piece]
    return row


def _is_stray(row: list[Line], left: float, last: Line) -> bool:
    """Return whether a row is a page number or an axis name, away from the caption's left edge."""
    text = row[0].text
    off = row[0].box[0] > left + 2 * last.size
    return len(row) == 1 and off and len(text) < P.fragment and text.isalnum()


def _has_letters(row: list[Line]) -> bool:
    """Return whether a row has a letter. Numbers below a lone label belong to an axis."""
    return any(sign.isalpha() for line in row for sign in line.text)


def _is_fragment(row: list[Line], last: Line) -> bool:
    """Return whether a row is a piece of a formula or a stray mark rather than text."""
    small = all(line.size < 0.85 * last.size for line in row)
    return small or sum(len(line.text) for line in row) <= P.fragment


def _is_index(line: Line, last: Line) -> bool:
    """Return whether a piece is a subscript or superscript of the row of `last`."""
    return line.size < 0.8 * last.size and len(line.text) <= P.fragment


def steps_aside(caption: Growing) -> list[Step]:
    """Return candidates in the next column and, for a label without text, below the figure."""
    return [*_in_next_column(caption), *_under_figure(caption)]


def _in_next_column(caption: Growing) -> list[Step]:
    """Return the row to the right of the first row of the present column, if it is near."""
    rows, text = caption.own, caption.text
    taken = {id(line) for line in caption.lines}
    # Use the second row if the first is a title across both columns.
    for number, row in enumerate(rows[:2]):
        right = max(line.box[2] for own in rows[number:] for line in own)
        level = text.rows.level(row[-1])
        beyond = [
            line
            for line in level
            if id(line) not in taken
            and 0.3 * line.size < line.box[0] - right < P.column_gap * line.size
        ]
        if beyond:
            found = joined(beyond[0], level, text.page.columns)
            found = [line for line in found if line.box[0] > right]
            if match_label(found[0].text):  # label of the neighbouring figure
                return []
            return [_resume(caption, found, text, "column")]
    return []


def _under_figure(caption: Growing) -> list[Step]:
    """Return the first rows below the graphics under a label without text."""
    if not caption.label_only or len(caption.rows) > 1:
        return []
    text, first = caption.text, caption.lines[0]
    column = text.column_of(first.box)
    window = (min(column[0], first.box[0]), max(column[1], first.box[2]))
    foot = _foot_of_graphics(text.solid, first, window)
    if foot is None:
        return []
    rows = text.rows.below(foot - first.size, P.under_reach * first.size, window, first.size)
    heads = [row[0] for row in rows if row[0].box[1] > foot - 0.5 * first.size]
    starts = (joined(h, text.rows.level(h), text.page.columns) for h in heads[: P.under_seen])
    return [_resume(caption, row, text, "under") for row in starts]


def _foot_of_graphics(boxes: np.ndarray, first: Line, window: tuple[float, float]) -> float | None:
    """Return the lower edge of the graphics below a label, or `None` without graphics.

    Each graphic begins within a few lines of the ones above it.
    """
    foot, found = first.box[3], False
    inside = (boxes[:, 0] < window[1]) & (boxes[:, 2] > window[0]) & (boxes[:, 3] > foot)
    for _, top, _, bottom in sorted(boxes[inside].tolist(), key=lambda box: box[1]):
        if top > foot + 4 * first.size:
            break
        found = True
        foot = max(foot, bottom)
    return foot if found else None


def steps_on_page(caption: Growing, text: PageText) -> list[Step]:
    """Return the top rows of the page `text`, under the caption's x range and in each column."""
    spans = [caption.span, *text.page.columns]
    rows: list[list[Line]] = []
    for left, right in spans:
        over = [
            line
            for line in text.rows.lines
            if min(line.box[2], right) > max(line.box[0], left) and not line.text.isdecimal()
        ]
        if not over:
            continue
        first = min(over, key=lambda line: line.box[1])
        level = [line for line in text.rows.level(first) if not line.text.isdecimal()]
        head = min([first, *level], key=lambda line: abs(line.box[0] - left))
        row = joined(head, level, text.page.columns)
        if all(row[0] is not other[0] for other in rows):
            rows.append(row)
    return [_resume(caption, row, text, "page") for row in rows]


def _resume(caption: Growing, row: list[Line], text: PageText, model: str) -> Step:
    """Return the step to a row in another column or on another page."""
    base = max(line.box[3] for line in row)
    following = [
        line
        for line in text.rows.between(base, base + 5 * text.profile.leading)
        if overlap_x(line.box, row[0].box) > 0
    ]
    return Step(model, row, resume_features(model, caption, row, following), turns=True)


def _at_foot(caption: Growing) -> bool:
    """Return whether nothing is below the caption of a figure on its page."""
    last = caption.last
    box = caption.span[0], last.box[1], caption.span[1], last.box[3]
    below = (line for line in caption.text.rows.between(last.box[3] + 0.5 * last.size, np.inf))
    return caption.kind != "table" and not any(
        overlap_x(line.box, box) > 0
        and overlap_y(line.box, box) <= 0.5 * last.size
        and not line.text.isdecimal()  # page number or line number
        for line in below
    )
