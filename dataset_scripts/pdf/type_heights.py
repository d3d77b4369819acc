"""Boxes of characters, as high as their type also where the font does not say how high that is.

pdfium makes a box as high as the font is by its own word. Bitmap fonts, which TeX wrote for long,
have no such word, and of small capitals it is short; there a box is as high as the ink of its
character, and a line would fall to pieces between "so" and "by".
"""

import ctypes
from itertools import repeat

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast

_SAMPLE = 12  # characters of a page that are asked for their font before all are
_LOWEST = 0.65  # of the size; a font that says that it is less high is measured
_ASCENDER = 0.69  # the height of "b" and of capitals over the size, in Computer Modern and Times


class CharBoxes:
    """The boxes of a page's characters, by their numbers.

    `sizes` has the sizes in points of the fonts that had to be measured, by pdfium's handle.
    `solid` tells which characters are no spaces.
    """

    def __init__(self, page: fast.Page, textpage: int, solid: np.ndarray) -> None:
        self.page = page
        self.textpage = textpage
        self.sizes: dict[int, float] = {}
        # Of each character in such a font: size and baseline, in user space; 0 for all others.
        self._size = np.zeros(len(solid))
        self._base = np.zeros(len(solid))
        chars = np.flatnonzero(solid)
        sample = chars[:: max(1, len(chars) // _SAMPLE)]
        if any(_is_vague(font) for font in set(self._fonts(sample))):
            self._measure(chars)

    def __call__(self, chars: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of some characters on the displayed page, in points."""
        boxes = fast.loose_boxes(self.textpage, chars)
        if self.sizes:
            size, base = self._size[chars], self._base[chars]
            measured = size > 0
            boxes[measured, 1] = (base - 0.2 * size)[measured]
            boxes[measured, 3] = (base + 0.8 * size)[measured]
        return fast.map_boxes(boxes, self.page.to_display)

    def _fonts(self, chars: np.ndarray) -> list[int]:
        """Handles of the fonts of some characters, 0 without one."""
        owners = list(map(fast.text_object, repeat(self.textpage), chars.tolist()))
        fonts = {owner: fast.text_font(owner) or 0 if owner else 0 for owner in set(owners)}
        return [fonts[owner] for owner in owners]

    def _level(self, chars: np.ndarray) -> np.ndarray:
        angles = map(fast.text_angle, repeat(self.textpage), chars.tolist())
        return np.cos(np.fromiter(angles, float, len(chars))) > 0.99

    def _measure(self, chars: np.ndarray) -> None:
        """Set the sizes of fonts from how high the ink of nine characters in ten is.

        A font's own size is right where it fits that ink; that of bitmaps often means nothing.
        """
        fonts = np.array(self._fonts(chars), np.uint64)
        for font in np.unique(fonts).tolist():
            if not _is_vague(font):
                continue
            own = chars[fonts == font]
            own = own[self._level(own)]
            if not len(own):
                continue
            base = fast.origins(self.textpage, own.tolist())[:, 1]
            ink = float(np.quantile(fast.loose_boxes(self.textpage, own)[:, 3] - base, 0.9))
            if ink <= 0:
                continue
            first = own[:1].tolist()
            told = fast.text_font_size(self.textpage, first[0])
            told *= fast.text_scales(self.textpage, first)[0]
            self.sizes[font] = told if 1.1 < told / ink < 2.6 else ink / _ASCENDER
            self._size[own], self._base[own] = self.sizes[font], base


def _is_vague(font: int) -> bool:
    """Whether a font does not say how high it is, or less than is likely."""
    if not font:
        return False
    name = ctypes.create_string_buffer(2)
    if fast.font_name(font, ctypes.addressof(name), 2) <= 1:  # a bitmap font has no name
        return True
    metrics = (ctypes.c_float * 2)()
    start = ctypes.addressof(metrics)
    fast.font_ascent(font, 1.0, start)
    fast.font_descent(font, 1.0, start + 4)
    return metrics[0] - metrics[1] < _LOWEST
