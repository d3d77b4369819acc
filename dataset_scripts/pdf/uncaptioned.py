"""Figures without a caption, such as graphical abstracts: large graphics outside all pairs.

Portraits of authors, beside or above their biographies, are excluded.
"""

import re
from collections import Counter
from dataclasses import dataclass

from cephalo.dataset_scripts.common.geometry import Box, area, covered, grow, overlap_x, overlap_y
from cephalo.dataset_scripts.pdf.atoms import Atom
from cephalo.dataset_scripts.pdf.captions import Caption
from cephalo.dataset_scripts.pdf.joining import join_text
from cephalo.dataset_scripts.pdf.pairing import Pair
from cephalo.dataset_scripts.pdf.profile import TypeProfile
from cephalo.dataset_scripts.pdf.regions import Scene


@dataclass(frozen=True)
class Parameters:
    """Limits for figures without a caption."""

    least_lines: int = 6  # lines of body text; smaller graphics are logos, badges or rules
    text: float = 0.2  # largest share of text; more is a boxed abstract, table or notice
    leading: float = 1.2  # ratio to the body size: height of a line for `least_lines`
    beside: float = 3.0  # body sizes; largest gap from a portrait to its biography
    place: float = 2.0  # points; bin size of positions that repeat on several pages


P = Parameters()

_BIOGRAPHY = re.compile(
    r"\b(?:received|obtained|earned|holds|completed|got|has)\b[^.]{0,60}"
    r"\b(?:Ph\.?\s?D|[BM]\.?\s?(?:S|Sc|A|E|Eng|Tech)\b|doctora\w+|degrees?\b|bachelor|master)"
    r"|\b(?:is|was)\s+(?:currently\s+|now\s+)?(?:an?|the)\s+(?:[\w-]+\s+){0,4}"
    r"(?:professor|lecturer|student|researcher|scientist|engineer|fellow|candidate)\b"
    r"|\bwas born (?:in|on)\b|\bresearch interests?\b",
    re.I,
)


def find_uncaptioned(
    scenes: list[Scene], pairs: list[list[Pair]], body: TypeProfile
) -> list[list[Pair]]:
    """Return the large graphics outside the pairs of each scene, with an empty caption.

    Graphics at the same position on several pages are publishers' marks.

    Args:
        scenes: Scene of each page.
        pairs: Pairs of each page.
        body: Type of the body text.
    """
    seen = Counter(_place(atom.box) for scene in scenes for atom in scene.atoms)
    least = P.least_lines * P.leading * body.size
    return [
        [
            Pair(_no_caption(atom, scene), atom.box, None, [atom], atom.lines)
            for atom in scene.atoms
            if min(atom.box[2] - atom.box[0], atom.box[3] - atom.box[1]) >= least
            and seen[_place(atom.box)] == 1
            and not any(covered(atom.box, pair.box) for pair in own)
            and _text_share(atom.box, scene) <= P.text
            and not _is_portrait(atom.box, scene, P.beside * body.size)
        ]
        for scene, own in zip(scenes, pairs, strict=True)
    ]


def _text_share(box: Box, scene: Scene) -> float:
    """Return the share of a box's area covered by lines of text."""
    lines = [line.box for block in scene.blocks for line in block.lines]
    return sum(covered(line, box) * area(line) for line in lines) / area(box)


def _is_portrait(box: Box, scene: Scene, reach: float) -> bool:
    """Return whether text beside or below a graphic describes a person's career."""
    around = grow(box, reach)
    return any(
        overlap_x(block.box, around) > 0
        and overlap_y(block.box, around) > 0
        and _BIOGRAPHY.search(join_text([line.text for line in block.lines]))
        for block in scene.blocks
    )


def _place(box: Box) -> tuple[int, ...]:
    """Return the position of a box in bins."""
    return tuple(round(edge / P.place) for edge in box)


def _no_caption(atom: Atom, scene: Scene) -> Caption:
    """Return an empty caption at the lower edge of the graphic."""
    x0, _, x1, y1 = atom.box
    return Caption("figure", "", "", "", (x0, y1, x1, y1), scene.page.number, [], 0.0)
