"""Boxes of characters with the height of their type, even if the font does not state it.

The boxes of pdfium have the height stated in the font. Bitmap fonts, which TeX wrote for years,
state none. Small capitals state a small one, so that a line would be divided between "so" and "by".
Math fonts state up to five times the height of their letters.
"""

import ctypes
from itertools import repeat

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.graphics import TextObjects

_LOWEST = 0.65  # ratio to the size; fonts with a smaller height are measured
_HIGHEST = 2.2  # ratio to the size: Cambria Math has 5.6, stacked scripts 2
_ASCENDER = 0.69  # height of "b" and capitals in sizes: Computer Modern, Times
_ABOVE, _BELOW = 0.8, 0.2  # ratio to the size: box above and below the baseline


class CharBoxes:
    """Boxes of the characters of a page, by index.

    Attributes:
        factors: Factor for the size of each measured font.
        solid: Whether each character is not a space.
    """

    def __init__(
        self, page: fast.Page, textpage: ctypes.c_void_p, solid: np.ndarray, texts: TextObjects
    ) -> None:
        self.page = page
        self.textpage = textpage
        self.texts = texts
        self.factors: dict[int, float] = {}
        # For characters in measured fonts: size, baseline in user space, and counterclockwise
        # quarter turn of the text. The size is 0 for others.
        self._size = np.zeros(len(solid))
        self._base = np.zeros((len(solid), 2))
        self._along = np.zeros(len(solid), int)
        if texts.fonts is None or any(map(_is_vague, texts.fonts)):
            self._measure(np.flatnonzero(solid))

    def __call__(self, chars: np.ndarray) -> np.ndarray:
        """Return boxes (n, 4) of characters on the displayed page, in points."""
        boxes = fast.loose_boxes(self.textpage, chars)
        if self.factors:
            self._stretch(boxes, chars)
        return fast.map_boxes(boxes, self.page.to_display)

    def _stretch(self, boxes: np.ndarray, chars: np.ndarray) -> None:
        """Set the height of boxes (n, 4) of measured fonts in user space to the type height."""
        size, base, along = self._size[chars], self._base[chars], self._along[chars]
        for turn in np.unique(along[size > 0]).tolist():
            own = (size > 0) & (along == turn)
            axis = 1 - turn % 2  # across the lines: y for horizontal text
            up = 1 if turn in (0, 3) else -1
            ends = base[own, axis, None] + up * size[own, None] * (-_BELOW, _ABOVE)
            boxes[own, axis], boxes[own, axis + 2] = ends.min(axis=1), ends.max(axis=1)

    def _fonts(self, chars: np.ndarray) -> np.ndarray:
        """Return the font handles of characters, uint64 of shape (n,), 0 without a font."""
        owners = fast.text_objects(self.textpage, chars).tolist()
        fonts = {owner: fast.text_font(owner) for owner in set(owners)}
        return np.fromiter(map(fonts.__getitem__, owners), np.uint64, len(owners))

    def _measure(self, chars: np.ndarray) -> None:
        """Set the factors of fonts from the ink heights of most characters (0.9 quantile).

        The stated size is kept if it fits the ink. For bitmap fonts it is often arbitrary.
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
    """Return the stated font sizes of characters in points, float64 of shape (n,), above 0."""
    sizes = np.fromiter(map(fast.text_font_size, repeat(textpage), chars), float, len(chars))
    return np.maximum(sizes * np.hypot(matrices[:, 2], matrices[:, 3]), 1e-6)


def _directions(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counterclockwise quarter turn of text, int (n,), and whether it is exact.

    The x axis of the `matrices` (n, 6) is used, since bitmap fonts are mirrored.
    """
    angles = np.arctan2(matrices[:, 1], matrices[:, 0])
    turns = np.rint(angles / (np.pi / 2))
    return turns.astype(int) % 4, np.cos(angles - turns * np.pi / 2) > 0.99


def _is_vague(font: int) -> bool:
    """Return whether a font states no height, or an unlikely one."""
    if not font:
        return False
    name = ctypes.create_string_buffer(2)
    if fast.font_name(font, ctypes.addressof(name), 2) <= 1:  # bitmap fonts have no name
        return True
    metrics = (ctypes.c_float * 2)()
    start = ctypes.addressof(metrics)
    fast.font_ascent(font, 1.0, start)
    fast.font_descent(font, 1.0, start + 4)
    return not _LOWEST <= metrics[0] - metrics[1] <= _HIGHEST
