"""Features for whether a caption continues in another column or page, or below its figure."""

from dataclasses import dataclass
from statistics import median

from cephalo.dataset_scripts.pdf.caption_features import (
    Growing,
    face_of,
    text_features,
    type_features,
)
from cephalo.dataset_scripts.pdf.text import Line


@dataclass(frozen=True)
class Parameters:
    """Limits of these features. Lengths are in caption font sizes."""

    flush: float = 0.7  # tolerance between left edges; a label in a bar is indented by as much
    spanned: float = 8.0  # largest gap between a two-column caption and its figure


P = Parameters()

# Features used by each model.
_RESUMING = {
    "column": (
        "dangling",
        "ends_beside",
        "in_order",
        "same_face",
        "spanned",
    ),
    "page": (
        "body_follows",
        "flush",
        "full",
        "lower_unfinished",
        "own_label",
        "same_face",
        "stays_body",
        "stays_column",
        "turns_body",
    ),
    "under": (
        "body_follows",
        "capital",
        "centred",
        "flush",
        "size_differs",
        "size_far",
        "usual_face",
    ),
}


def resume_features(
    model: str, caption: Growing, row: list[Line], following: list[Line]
) -> dict[str, float]:
    """Return the features for the decision whether a caption continues in a distant row.

    Args:
        model: Where the row is: "column" (next column of a two-column caption), "page" (top of the
            next page) or "under" (below the figure whose label is above it).
        caption: The caption so far.
        row: Candidate row.
        following: Lines below the row.

    Returns:
        Features by name.
    """
    text = caption.text
    left, right = caption.span
    head, size = row[0], caption.last.size
    middle = (head.box[0] + row[-1].box[2]) / 2
    found = type_features(caption, row) | text_features(caption, row)
    full = caption.last.box[2] > right - 2.5 * size
    ended = found["ended"]
    found |= {
        "full": full,
        "lower_unfinished": found["lower"] and not ended,
        "in_order": head.continues(caption.last),
        "same_face": face_of(head) in {face_of(line) for line in caption.lines},
        "flush": abs(head.box[0] - left) < P.flush * size,
        "centred": abs(middle - sum(text.column_of(head.box)) / 2) < 0.8 * size,
        "body_follows": sum(text.fills_column(line) for line in following) > 2,
        "capital": head.text[:1].isupper(),
    }
    if model == "column":
        found |= _beside_features(caption, row)
    return {name: float(found[name]) for name in _RESUMING[model]}


def _beside_features(caption: Growing, row: list[Line]) -> dict[str, bool]:
    """Return features of a row beside the caption.

    These are whether its text ends at the same height as the caption, and whether a graphic near
    the caption extends over both.
    """
    text, last, head = caption.text, caption.last, row[0]
    size, right = last.size, caption.span[1]
    step = median(caption.steps() or [text.profile.leading / text.profile.size * size])
    foot = head.box[3]
    for line in text.rows.between(foot, last.box[3] + 3 * step):
        own = line.box[0] < row[-1].box[2] and line.box[2] > head.box[0]
        if own and line.box[3] - foot < 1.5 * step:
            foot = max(foot, line.box[3])
    boxes, top = text.solid, caption.own[0][0].box[1]
    over = (boxes[:, 0] < right - size) & (boxes[:, 2] > head.box[0] + size)
    near = (boxes[:, 3] < top + size) & (boxes[:, 3] > top - P.spanned * size)
    near |= (boxes[:, 1] > last.box[3] - size) & (boxes[:, 1] < last.box[3] + P.spanned * size)
    return {
        "ends_beside": foot < last.box[3] + 1.5 * step,
        "spanned": bool((over & near).any()),
    }
