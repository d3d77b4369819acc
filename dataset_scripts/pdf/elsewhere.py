"""Pair figures with captions on another page.

A figure may fill its page, with its caption at the top of the next page or at the bottom of the
previous one. Manuscripts print the captions in a list and each figure on a separate page, with or
without its label.
"""

from collections import Counter
from dataclasses import dataclass

from cephalo.dataset_scripts.common.geometry import (
    Box,
    area,
    covered,
    hits,
    intersection,
    overlap_x,
    union,
)
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.layout import PageContent
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.regions import Scene, build_scene


@dataclass(frozen=True)
class Parameters:
    """Limits for graphics that may have a caption on another page."""

    least_side: float = 6.0  # body font sizes; smaller graphics are logos or rules
    lines_beside: int = 12  # running lines on a manuscript's figure page, at most


P = Parameters()


@dataclass
class Figure:
    """Graphics without a caption on a page, taken as one figure.

    Attributes:
        index: Index of the page in the list of contents.
        scene: Scene of the page.
        atoms: Indices of the atoms of the figure.
        box: Bounding box in the frame of the page, in points.
    """

    index: int
    scene: Scene
    atoms: list[int]
    box: Box

    def pair(self, caption: Caption) -> Pair:
        """Return the figure with its caption."""
        atoms = [self.scene.atoms[k] for k in self.atoms]
        return Pair(caption, self.box, None, atoms, [line for a in atoms for line in a.lines])


def pair_across_pages(
    pages: list[PageContent],
    scenes: list[Scene | None],
    captions: list[list[Caption]],
    pairs: list[list[Pair]],
) -> list[list[Pair]]:
    """Add pairs whose figure and caption are on different pages.

    Args:
        pages: Content of each page.
        scenes: Scene of each page, `None` for pages without a caption.
        captions: Captions of each page.
        pairs: Pairs found on single pages.

    Returns:
        Pairs of each page.
    """
    pairs = _give_legends(captions, pairs)
    told = {id(pair.caption) for own in pairs for pair in own}
    told |= {id(caption) for caption in _legends_used(captions, pairs)}
    orphans = [
        (index, caption)
        for index, own in enumerate(captions)
        for caption in own
        if caption.kind != "table" and caption.text and id(caption) not in told
    ]
    if not orphans:
        return pairs
    profile = next(scene.profile for scene in scenes if scene)
    every = [
        scene or build_scene(page, [], profile) for page, scene in zip(pages, scenes, strict=True)
    ]
    free = [figure for k, scene in enumerate(every) if (figure := _free_figure(k, scene, pairs))]
    count = Counter(index for index, _ in orphans)
    listed = [(index, caption) for index, caption in orphans if count[index] > 1]
    single = [(index, caption) for index, caption in orphans if count[index] == 1]
    found = _in_order(orphans, free, []) if listed else []
    found = found or _beside_page_break(single, free, every)
    found += _in_order(orphans, free, found)
    pairs = [list(own) for own in pairs]
    for figure, caption in found:
        pairs[figure.index].append(figure.pair(caption))
    return pairs


def _give_legends(captions: list[list[Caption]], pairs: list[list[Pair]]) -> list[list[Pair]]:
    """Give figures under a label without text the caption of the same number.

    That caption must be on some page without a figure. Otherwise the label only repeats it, and the
    pair of the label is dropped.
    """
    paired = {id(pair.caption) for own in pairs for pair in own}
    told = {(c.kind, c.number): c for own in captions for c in own if c.text}
    kept = []
    for own in pairs:
        kept.append([])
        for pair in own:
            key = pair.caption.kind, pair.caption.number
            legend = None if pair.caption.text else told.get(key)
            if legend is not None and id(legend) in paired:
                continue
            if legend is not None:
                pair.caption.text = legend.text
            kept[-1].append(pair)
    return kept


def _legends_used(captions: list[list[Caption]], pairs: list[list[Pair]]) -> list[Caption]:
    """Return captions whose text was given to a figure under a label without text."""
    numbers = {(p.caption.kind, p.caption.number) for own in pairs for p in own}
    return [c for own in captions for c in own if (c.kind, c.number) in numbers]


def _free_figure(index: int, scene: Scene, pairs: list[list[Pair]]) -> Figure | None:
    """Return the graphics without a caption on a page, if they are large enough for a figure."""
    least = P.least_side * scene.profile.size
    atoms = [
        number
        for number, atom in enumerate(scene.atoms)
        if not any(covered(atom.box, pair.box) for pair in pairs[index])
    ]
    large = [
        k
        for k in atoms
        if min(
            scene.atoms[k].box[2] - scene.atoms[k].box[0],
            scene.atoms[k].box[3] - scene.atoms[k].box[1],
        )
        >= least
    ]
    if not large:
        return None
    box = union([scene.atoms[k].box for k in large])
    if len(scene.barriers) and hits(scene.barriers, box).any():
        return None
    near = (box[0], box[1] - least, box[2], box[3] + least)
    inside = [k for k in atoms if area(intersection(scene.atoms[k].box, near)) > 0]
    box = union([scene.atoms[k].box for k in inside])
    if len(scene.barriers) and hits(scene.barriers, box).any():
        inside, box = large, union([scene.atoms[k].box for k in large])
    return Figure(index, scene, inside, box)


def _beside_page_break(
    orphans: list[tuple[int, Caption]], free: list[Figure], scenes: list[Scene]
) -> list[tuple[Figure, Caption]]:
    """Pair captions and figures on both sides of a page break."""
    by_page = {figure.index: figure for figure in free}
    found: list[tuple[Figure, Caption]] = []
    for index, caption in orphans:
        for step, place, side in (
            (-1, _is_first, _is_last_figure),
            (1, _is_last, _is_first_figure),
        ):
            figure = by_page.get(index + step)
            if figure and place(caption, scenes[index]) and side(figure):
                found.append((by_page.pop(index + step), caption))
                break
    return found


def _is_first(caption: Caption, scene: Scene) -> bool:
    """Return whether nothing is above a caption on its page."""
    return not _any_text(scene, caption.box, above=True) and not any(
        atom.box[3] < caption.box[1] and overlap_x(atom.box, caption.box) > 0
        for atom in scene.atoms
    )


def _is_last(caption: Caption, scene: Scene) -> bool:
    """Return whether nothing is below a caption on its page."""
    return not _any_text(scene, caption.box, above=False) and not any(
        atom.box[1] > caption.box[3] and overlap_x(atom.box, caption.box) > 0
        for atom in scene.atoms
    )


def _is_last_figure(figure: Figure) -> bool:
    """Return whether no running text is below a figure."""
    return not _any_text(figure.scene, figure.box, above=False)


def _is_first_figure(figure: Figure) -> bool:
    """Return whether no running text is above a figure."""
    return not _any_text(figure.scene, figure.box, above=True)


def _any_text(scene: Scene, box: Box, above: bool) -> bool:
    """Return whether running text or a caption is above or below `box`, in its x range."""
    texts = [tuple(wall) for wall in scene.barriers.tolist()]
    texts += [caption.box for caption in scene.captions]
    return any(
        overlap_x(text, box) > 0 and (text[3] <= box[1] if above else text[1] >= box[3])
        for text in texts
    )


def _in_order(
    orphans: list[tuple[int, Caption]], free: list[Figure], found: list[tuple[Figure, Caption]]
) -> list[tuple[Figure, Caption]]:
    """Pair the list of captions of a manuscript with its figure pages, if their numbers agree."""
    told = {id(caption) for _, caption in found}
    used = {figure.index for figure, _ in found}
    left = [caption for _, caption in orphans if id(caption) not in told]
    pages = [
        figure
        for figure in free
        if figure.index not in used and len(figure.scene.barriers) < P.lines_beside
    ]
    return list(zip(pages, left, strict=True)) if len(pages) == len(left) else []
