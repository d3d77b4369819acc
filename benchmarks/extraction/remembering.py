"""Cache the features of growing captions, for fits and ablations with many weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cephalo.dataset_scripts.pdf import caption_extent
from cephalo.dataset_scripts.pdf.caption_extent import Step
from cephalo.dataset_scripts.pdf.caption_features import Growing


@contextmanager
def remembering() -> Iterator[None]:
    """Compute the candidate rows of each partial caption only once.

    They do not depend on weights. Parameters must not change in the meantime.
    """
    before = caption_extent.steps_below, caption_extent.steps_aside
    caption_extent.steps_below, caption_extent.steps_aside = map(_remember, before)
    try:
        yield
    finally:
        caption_extent.steps_below, caption_extent.steps_aside = before


def _remember(find: Callable[[Growing], list[Step]]) -> Callable[[Growing], list[Step]]:
    # The rows are kept alive, so that no other line gets the id of one of them.
    # The rows are kept too, for no other line may get the id of one of theirs.
    known: dict[tuple, tuple[list[Step], list]] = {}

    def find_once(caption: Growing) -> list[Step]:
        rows = tuple(tuple(map(id, row)) for row in caption.rows)
        key = caption.kind, caption.segment, caption.usual, rows
        if key not in known:
            known[key] = find(caption), list(caption.rows)
        return known[key][0]

    return find_once
