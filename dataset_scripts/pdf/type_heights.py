"""Boxes of characters, as high as their type also where the font does not say how high that is.

pdfium makes a box as high as the font is by its own word. Bitmap fonts, which TeX wrote for long,
have no such word; that of small capitals is short, so that a line would fall to pieces between "so"
and "by"; and fonts made for formulas call themselves five times as high as their letters are.
"""

import ctypes
from itertools import repeat

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.graphics import TextObjects

_LOWEST = 0.65  # of the size; a font that says that it is less high is measured
_HIGHEST = 2.2  # of the size: Cambria Math says 5.6, scripts with stacked marks 2
_ASCENDER = 0.69  # the height of "b" and of capitals over the size, in Computer Modern and Times
_ABOVE, _BELOW = 0.8, 0.2  # of the size: what a box holds above and below the baseline


class CharBoxes:
    """The boxes of a page's characters, by their numbers.

    `factors` tells by what the sizes of those that had to be measured are multiplied. `solid` tells
    which characters are no spaces. Where not all fonts in `texts` are known, each is asked.
    """

    def __init__(
        self, page: fast.Page, textpage: ctypes.c_void_p, solid: np.ndarray, texts: TextObjects
    ) -> None:
        self.page = page
        self.textpage = textpage
        self.texts = texts
        self.factors: dict[int, float] = {}
        # Of each character in such a font: size, baseline in user space, and which quarter turn
        # counterclockwise its text runs along; a size of 0 for all others.
        self._size = np.zeros(len(solid))
        self._base = np.zeros((len(solid), 2))
        self._along = np.zeros(len(solid), int)
        if texts.fonts is None or any(map(_is_vague, texts.fonts)):
            self._measure(np.flatnonzero(solid))

    def __call__(self, chars: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of some characters on the displayed page, in points."""
        boxes = fast.loose_boxes(self.textpage, chars)
        if self.factors:
            self._stretch(boxes, chars)
        return fast.map_boxes(boxes, self.page.to_display)

    def _stretch(self, boxes: np.ndarray, chars: np.ndarray) -> None:
        """Make boxes (n, 4) in user space, in measured fonts, as high as their type."""
        size, base, along = self._size[chars], self._base[chars], self._along[chars]
        for turn in np.unique(along[size > 0]).tolist():
            own = (size > 0) & (along == turn)
            axis = 1 - turn % 2  # across the lines: y of level text
            up = 1 if turn in (0, 3) else -1
            ends = base[own, axis, None] + up * size[own, None] * (-_BELOW, _ABOVE)
            boxes[own, axis], boxes[own, axis + 2] = ends.min(axis=1), ends.max(axis=1)

    def _fonts(self, chars: np.ndarray) -> np.ndarray:
        """Handles of the fonts of some characters, 0 without one: uint64 (n,)."""
        owners = fast.text_objects(self.textpage, chars).tolist()
        fonts = {owner: fast.text_font(owner) for owner in set(owners)}
        return np.fromiter(map(fonts.__getitem__, owners), np.uint64, len(owners))

    def _measure(self, chars: np.ndarray) -> None:
        """Set the factors of fonts from how high the ink of nine characters in ten is.

        A font's own size is right where it fits that ink; that of bitmaps often means nothing.
        """
        fonts = self._fonts(chars)
        for font in np.unique(fonts).tolist():
            if not _is_vague(font):
                continue
            own = chars[fonts == font]
            matrices = fast.text_matrices(self.textpage, own.tolist())
            along, straight = _directions(matrices)
            own, along = own[straight], along[straight]
            if not len(own):
                continue
            told = _told_sizes(self.textpage, own.tolist(), matrices[straight])
            base = fast.origins(self.textpage, own.tolist())
            left, bottom, right, top = fast.ink_boxes(self.textpage, own.tolist()).T
            heights = [top - base[:, 1], base[:, 0] - left, base[:, 1] - bottom, right - base[:, 0]]
            ink = float(np.quantile(np.choose(along, heights) / told, 0.9))
            if ink <= 0:
                continue
            self.factors[font] = factor = 1.0 if 1.1 < 1 / ink < 2.6 else ink / _ASCENDER
            self._size[own], self._base[own], self._along[own] = factor * told, base, along


def _told_sizes(textpage: ctypes.c_void_p, chars: list[int], matrices: np.ndarray) -> np.ndarray:
    """The sizes in points of some characters, by their fonts' word: float64 (n,), above 0."""
    sizes = np.fromiter(map(fast.text_font_size, repeat(textpage), chars), float, len(chars))
    return np.maximum(sizes * np.hypot(matrices[:, 2], matrices[:, 3]), 1e-6)


def _directions(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Along which quarter turn counterclockwise text runs, int (n,), and whether it does so.

    By where the x axis of the `matrices` (n, 6) goes: those of bitmap fonts are mirrored.
    """
    angles = np.arctan2(matrices[:, 1], matrices[:, 0])
    turns = np.rint(angles / (np.pi / 2))
    return turns.astype(int) % 4, np.cos(angles - turns * np.pi / 2) > 0.99


def _is_vague(font: int) -> bool:
    """Whether a font does not say how high it is, or less or more than is likely."""
    if not font:
        return False
    name = ctypes.create_string_buffer(2)
    if fast.font_name(font, ctypes.addressof(name), 2) <= 1:  # a bitmap font has no name
        return True
    metrics = (ctypes.c_float * 2)()
    start = ctypes.addressof(metrics)
    fast.font_ascent(font, 1.0, start)
    fast.font_descent(font, 1.0, start + 4)
    return not _LOWEST <= metrics[0] - metrics[1] <= _HIGHEST
