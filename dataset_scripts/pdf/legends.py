"""Legends: manuscripts print the captions in a list, and each figure on a page with its label."""

from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.pairing import Pair


def give_legends(captions: list[list[Caption]], pairs: list[list[Pair]]) -> list[list[Pair]]:
    """The pairs of each page, figures under a bare label with the caption of the same number.

    That caption must stand somewhere without a figure of its own: else the label only repeats it,
    and its pair is left out.
    """
    paired = {id(pair.caption) for own in pairs for pair in own}
    told = {(c.kind, c.number): c for own in captions for c in own if c.text}
    kept = []
    for own in pairs:
        kept.append([])
        for pair in own:
            legend = (
                None if pair.caption.text else told.get((pair.caption.kind, pair.caption.number))
            )
            if legend is not None and id(legend) in paired:
                continue
            if legend is not None:
                pair.caption.text = legend.text
            kept[-1].append(pair)
    return kept
