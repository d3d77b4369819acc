"""Styles of characters: font name, size in points and visibility, by text object."""

import ctypes
from itertools import repeat

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.type_heights import CharBoxes

_SAMPLED = 16  # characters sampled in a run with several sizes
_SHARE = 0.25  # smallest share in larger type; less is a sign or an initial
_ALIKE = 0.03  # relative tolerance of equal sizes
_OFF_BASELINE = 0.05  # smallest offset of a script from the baseline, in sizes
_INVISIBLE = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE


class Styles:
    """Font name, size in points and visibility of characters, cached by text object."""

    def __init__(self, boxes: CharBoxes) -> None:
        self.textpage = boxes.textpage
        self.factors = boxes.factors
        self.beneath = boxes.texts.beneath
        self.objects: dict[int, tuple[str, float, bool]] = {}
        self.fonts: dict[int, str] = {}
        self.buffer = ctypes.create_string_buffer(256)

    def read(self, chars: list[int]) -> list[tuple[str, float, bool]]:
        """Return the styles of characters, by their indices."""
        owners = list(map(fast.text_object, repeat(self.textpage), chars))
        self._take({o: c for o, c in zip(owners, chars, strict=True) if o not in self.objects})
        return [self.objects[owner] for owner in owners]

    def _take(self, new: dict[int, int]) -> None:
        """Read the styles of text objects from one character of each."""
        if not new:
            return
        chars = list(new.values())
        sizes = map(fast.text_font_size, repeat(self.textpage), chars)
        scales = fast.text_scales(self.textpage, chars)
        fonts = list(map(fast.text_font, new))
        known = {font: (self._name(font), self.factors.get(font, 1.0)) for font in set(fonts)}
        seen = _is_visible(list(new))
        for owner, size, scale, font, visible in zip(new, sizes, scales, fonts, seen, strict=True):
            name, factor = known[font]
            visible = visible and owner not in self.beneath
            self.objects[owner] = name, size * (scale * factor), visible

    def _name(self, font: int) -> str:
        """Return the name of a font, cached."""
        if not font:
            return ""
        if font not in self.fonts:
            fast.font_name(font, ctypes.addressof(self.buffer), 256)
            name = self.buffer.value.decode("latin-1")
            self.fonts[font] = name[7:] if name[6:7] == "+" else name
        return self.fonts[font]


def _is_visible(texts: list[int]) -> list[bool]:
    """Return which text objects are visible on white paper; 0, for no object, is visible."""
    modes = np.fromiter(map(fast.text_render_mode, texts), int, len(texts))
    marked = fast.marks(fast.object_fill, texts)
    return np.where(modes == 0, marked, modes != _INVISIBLE).tolist()


def choose_styles(
    styles: "Styles", solid: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[list[tuple], list[tuple], list[int]]:
    """Choose the styles of runs of characters.

    The main style is that of the median of three characters, since one in the middle may be a
    subscript. If that one is off the baseline of larger type, the larger type is used, because most
    characters of a formula are subscripts.

    Args:
        styles: Styles of the page.
        solid: Whether each character is not a space.
        first: Index of the first character of each run.
        last: Index of the last character of each run.

    Returns:
        For each run, the style of its first character, its main style, and a character in the main
        style.
    """
    order = np.flatnonzero(solid)
    start = np.searchsorted(order, first)
    length = np.searchsorted(order, last) - start + 1
    places = order[start + np.arange(4)[:, None] * length // 4]
    places = np.where(length > 3, places, first)
    found = styles.read(places.ravel().tolist())
    count = len(first)
    leads, *inner = (found[k * count : (k + 1) * count] for k in range(4))
    mains, bases = [], []
    usual = places[2].tolist()
    for column, (lead, a, b, c) in enumerate(zip(leads, *inner, strict=True)):
        if lead[1] == a[1] == b[1] == c[1]:
            mains.append(b)
            bases.append(usual[column])
            continue
        if a[1] == b[1]:
            row = 2 if a[1] <= c[1] else 1
        else:
            row = 1 + sorted(range(3), key=(a[1], b[1], c[1]).__getitem__)[1]
        main, base = found[row * count + column], int(places[row, column])
        run = order[start[column] : start[column] + length[column]]
        main, base = _on_baseline(styles, run, main, base)
        mains.append(main)
        bases.append(base)
    return leads, mains, bases


def _on_baseline(
    styles: "Styles", run: np.ndarray, main: tuple[str, float, bool], base: int
) -> tuple[tuple[str, float, bool], int]:
    """Return the main style of a run and a character in it, if the given ones are a script.

    `run` has the indices of its characters, `base` is one in the style `main`. The scripts belong
    to larger type on another baseline with a good share of the run.
    """
    some = run[np.linspace(0, len(run) - 1, min(len(run), _SAMPLED)).astype(int)].tolist()
    found = styles.read(some)
    sizes = np.array([size for _, size, _ in found])
    larger = np.flatnonzero(sizes > (1 + _ALIKE) * main[1])
    if len(larger) < _SHARE * len(some):
        return main, base
    chosen = larger[np.argsort(sizes[larger], kind="stable")[len(larger) // 2]]
    style, char = found[chosen], some[chosen]
    origins = fast.origins(styles.textpage, [char, base])
    along, across = np.abs(fast.text_matrices(styles.textpage, [char])[0, :2])
    off = np.abs(np.diff(origins[:, 0 if across > along else 1]))[0] / max(style[1], 1e-6)
    return (style, char) if off > _OFF_BASELINE else (main, base)
