"""Styles of characters: font name, size in points and visibility, by their text objects."""

import ctypes
from itertools import repeat

import numpy as np
import pypdfium2.raw as pdfium

from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.type_heights import CharBoxes

_SAMPLED = 16  # characters of a run with several sizes that are looked at
_SHARE = 0.25  # of them in larger type: less is a sign of a formula, or an initial
_ALIKE = 0.03  # by which sizes that are one differ, at most
_OFF_BASELINE = 0.05  # font sizes that a script stands off the baseline; small capitals do not
_INVISIBLE = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE


class Styles:
    """Font name, size in points and visibility of characters, remembered by text object."""

    def __init__(self, boxes: CharBoxes) -> None:
        self.textpage = boxes.textpage
        self.factors = boxes.factors
        self.beneath = boxes.texts.beneath
        self.objects: dict[int, tuple[str, float, bool]] = {}
        self.fonts: dict[int, str] = {}
        self.buffer = ctypes.create_string_buffer(256)

    def read(self, chars: list[int]) -> list[tuple[str, float, bool]]:
        """The styles of characters, by their numbers."""
        owners = list(map(fast.text_object, repeat(self.textpage), chars))
        self._take({o: c for o, c in zip(owners, chars, strict=True) if o not in self.objects})
        return [self.objects[owner] for owner in owners]

    def _take(self, new: dict[int, int]) -> None:
        """Read the styles of text objects from a character of each."""
        if not new:
            return
        chars = list(new.values())
        sizes = map(fast.text_font_size, repeat(self.textpage), chars)
        scales = fast.text_scales(self.textpage, chars)
        fonts = map(fast.text_font, new)
        seen = _is_visible(list(new))
        for owner, size, scale, font, visible in zip(new, sizes, scales, fonts, seen, strict=True):
            size *= scale * self.factors.get(font, 1.0)
            self.objects[owner] = self._name(font), size, visible and owner not in self.beneath

    def _name(self, font: int) -> str:
        if not font:
            return ""
        if font not in self.fonts:
            fast.font_name(font, ctypes.addressof(self.buffer), 256)
            name = self.buffer.value.decode("latin-1")
            self.fonts[font] = name[7:] if name[6:7] == "+" else name
        return self.fonts[font]


def _is_visible(texts: list[int]) -> list[bool]:
    """Which text objects leave a mark on white paper; 0, which stands for none, does."""
    modes = np.fromiter(map(fast.text_render_mode, texts), int, len(texts))
    marked = fast.marks(fast.object_fill, texts)
    return np.where(modes == 0, marked, modes != _INVISIBLE).tolist()


def choose_styles(
    styles: "Styles", solid: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[list[tuple], list[tuple], list[int]]:
    """For each run from `first` to `last`: the style of its first character, and its main style.

    Then the character that has the main one. `solid` is true for characters that are no spaces. A
    character in the middle may be a subscript; of three, the median is that of the line, unless it
    stands off the baseline of larger type: most characters of a formula are subscripts.
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
    for column, (a, b, c) in enumerate(zip(*inner, strict=True)):
        if a[1] == b[1]:
            row = 2 if a[1] <= c[1] else 1
        else:
            row = 1 + sorted(range(3), key=(a[1], b[1], c[1]).__getitem__)[1]
        main, base = found[row * count + column], int(places[row, column])
        if not leads[column][1] == a[1] == b[1] == c[1]:
            run = order[start[column] : start[column] + length[column]]
            main, base = _on_baseline(styles, run, main, base)
        mains.append(main)
        bases.append(base)
    return leads, mains, bases


def _on_baseline(
    styles: "Styles", run: np.ndarray, main: tuple[str, float, bool], base: int
) -> tuple[tuple[str, float, bool], int]:
    """The main style of a run, and a character of it, where those given may be of a script.

    `run` has the numbers of its characters, `base` one in the style `main`. Larger type that a
    good share of the run is set in, on another baseline, is what the scripts belong to.
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
