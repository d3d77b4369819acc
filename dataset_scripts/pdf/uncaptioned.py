"""Figures without a caption, such as graphical abstracts: large graphics that no caption claims.

Portraits of authors, which stand beside or over their biographies, are none.
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
    """What makes a graphic without a caption a figure."""

    least_lines: int = 6  # of body text: what is lower or narrower is a logo, a badge or a rule
    text: float = 0.2  # of its area may be lines; more is a boxed abstract, a table or a notice
    leading: float = 1.2  # of the body's size, the height of a line that is meant above
    beside: float = 3.0  # body sizes from a portrait to the biography that it belongs to
    place: float = 2.0  # points; edges that differ by less are at one place of several pages


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
    """For each scene the large graphics outside its pairs, as pairs with an empty caption.

    What stands at one place on several pages is a publisher's mark and no figure.
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
    """The share of a box's area that lines of text take."""
    lines = [line.box for block in scene.blocks for line in block.lines]
    return sum(covered(line, box) * area(line) for line in lines) / area(box)


def _is_portrait(box: Box, scene: Scene, reach: float) -> bool:
    """Whether text beside a graphic or under it tells of a person's career."""
    around = grow(box, reach)
    return any(
        overlap_x(block.box, around) > 0
        and overlap_y(block.box, around) > 0
        and _BIOGRAPHY.search(join_text([line.text for line in block.lines]))
        for block in scene.blocks
    )


def _place(box: Box) -> tuple[int, ...]:
    return tuple(round(edge / P.place) for edge in box)


def _no_caption(atom: Atom, scene: Scene) -> Caption:
    """An empty caption at the lower edge of the graphic."""
    x0, _, x1, y1 = atom.box
    return Caption("figure", "", "", "", (x0, y1, x1, y1), scene.page.number, [], 0.0)
