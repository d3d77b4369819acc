"""Features of where a caption may go on in another place: the next column or page, or under its
figure."""

from cephalo.dataset_scripts.pdf.caption_features import (
    SAME_SIZE,
    Growing,
    face_of,
    text_features,
    type_features,
)
from cephalo.dataset_scripts.pdf.text import Line

_FLUSH = 0.7  # font sizes between left edges; a label in a bar is set off by as much
_PARAGRAPH = 1.8  # font sizes; rows of one paragraph do not stand farther apart
_COLUMN_ENDS = 2.8  # font sizes by which the last column of a caption may be shorter: two rows
# What is looked at where a caption may go on in another place, by the name of the model.
_RESUMING = {
    "column": (
        "balanced",
        "dangling",
        "full",
        "full_unfinished",
        "in_order",
        "new_font",
        "own_label",
        "unusual_face",
        "usual_face",
    ),
    "page": (
        "body_follows",
        "dangling",
        "few_words",
        "fills_column",
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
        "all_bold",
        "body_follows",
        "capital",
        "centred",
        "flush",
        "in_order",
        "same_lead",
        "size_differs",
        "size_far",
        "turns_body",
        "usual_face",
    ),
}


def resume_features(
    model: str, caption: Growing, row: list[Line], following: list[Line]
) -> dict[str, float]:
    """Features of "the caption goes on in `row`", which does not stand below its last one.

    `model` tells where: in the next column of a caption set in two ("column"), at the head of the
    next page ("page"), or under the figure whose label stands above it ("under"). `following` are
    the lines under `row`, which show what it begins.
    """
    text = caption.text
    left, right = caption.span
    head, size = row[0], caption.last.size
    middle = (head.box[0] + row[-1].box[2]) / 2
    words = " ".join(line.text for line in row).split()
    found = type_features(caption, row) | text_features(caption, row)
    full = caption.last.box[2] > right - 2.5 * size
    ended = found["ended"]
    found |= {
        "balanced": _is_balanced(caption, row, following),
        "full": full,
        "full_unfinished": full and not ended,
        "lower_unfinished": found["lower"] and not ended,
        "in_order": head.continues(caption.last),
        "same_face": face_of(head) in {face_of(line) for line in caption.lines},
        "same_lead": head.lead == caption.lines[0].lead,
        "all_bold": all(line.bold for line in row) and not caption.last.bold,
        "flush": abs(head.box[0] - left) < _FLUSH * size,
        "centred": abs(middle - sum(text.column_of(head.box)) / 2) < 0.8 * size,
        "body_follows": sum(text.fills_column(line) for line in following) > 2,
        "capital": head.text[:1].isupper(),
        "few_words": len(words) < 4,
    }
    return {name: float(found[name]) for name in _RESUMING[model]}


def _is_balanced(caption: Growing, row: list[Line], following: list[Line]) -> bool:
    """Whether the text that a row begins ends beside the caption's last row, in the same size.

    So do the columns of a caption set in two; a column of running text goes on. `following` are
    the lines under the row.
    """
    last, size = caption.last, row[0].size
    if abs(size - last.size) > SAME_SIZE * size:
        return False
    foot = row[0].box[3]
    for line in sorted(following, key=lambda line: line.box[3]):
        if line.box[3] - foot > _PARAGRAPH * size:
            break
        if abs(line.size - size) < SAME_SIZE * size:
            foot = line.box[3]
    return -_COLUMN_ENDS * size < foot - last.box[3] < 0.5 * size
