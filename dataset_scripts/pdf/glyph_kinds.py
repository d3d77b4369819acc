"""Distinct characters of a page: one for each pair of font and code."""

import ctypes
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from cephalo.dataset_scripts.pdf import pdfium as fast

_LONG_WORD = 3  # letters
_LARGE = 1_000_000  # entries of the lookup table; a page has about 20 fonts with 100 codes each
_TEXT_FONT = 12  # distinct lowercase letters that a page uses of a text font, at least

_SPACE, _OTHER, _OPENING, _STOP, _LETTER, _UNIT = range(6)  # values of `_CLASS_OF`


def _class_table() -> np.ndarray:
    """Return the class of each code in a word: uint8 of shape (257,), the last for other codes."""
    table = np.full(257, _OTHER, np.uint8)
    table[[9, 10, 13, 32, 0xA0]] = _SPACE
    table[ord("(")] = _OPENING
    table[[ord(char) for char in ".,;:)"]] = _STOP
    table[[ord(char) + case for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for case in (0, 32)]] = _LETTER
    table[[ord(char) for char in "lmD"]] = _UNIT  # codes of μ and Δ
    return table


_CLASS_OF = _class_table()


@dataclass
class Kinds:
    """The distinct characters of a page, one for each pair of font and code.

    Attributes:
        fonts: Index of the font of each, of shape (n,).
        codes: Code of each in the text layer, of shape (n,).
        samples: Index of one character of each kind, of shape (n,).
        owners: Address of the text object of each sample, of shape (n,).
        unmapped: Whether pdfium found no character and returns the code in the font, of shape (n,).
        names: Names of the fonts.
        words: Whether each font sets words, judged by its distinct lowercase letters, of shape
            (fonts,).
    """

    fonts: np.ndarray
    codes: np.ndarray
    samples: np.ndarray
    owners: np.ndarray
    unmapped: np.ndarray
    names: list[str]
    words: np.ndarray


def unusual(codes: np.ndarray) -> np.ndarray:
    """Return the indices of characters outside white space and long words of plain letters.

    A symbol font sets no such words, but may set the first letter ("lmol" for "μmol") or a capital
    within a word ("aCY" for "a+Y"). In TeX fonts, the code of a carriage return is the ligature
    "fl", and the codes of tab and line feed are Greek letters. pdfium ends lines with a carriage
    return and a line feed.
    """
    classes = _CLASS_OF[np.minimum(codes, 256)]
    classes[(codes == 13) & (np.append(codes[1:], 0) != 10)] = _OTHER
    classes[(codes == 10) & (np.append(0, codes[:-1]) != 13) | (codes == 9)] = _OTHER
    solid = classes != _SPACE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], solid, [False]])))
    if not len(edges):
        return edges
    first, last = edges[::2], edges[1::2] - 1
    letters = np.concatenate([[0], np.cumsum(classes >= _LETTER)])
    count = letters[last + 1] - letters[first]
    others = last - first + 1 - count
    others -= (classes[first] == _OPENING).astype(int) + (classes[last] == _STOP)
    capital = (codes >= ord("A")) & (codes <= ord("Z"))
    inner = capital & np.append(False, (codes >= ord("a")) & (codes <= ord("z")))[:-1]
    inner_count = np.concatenate([[0], np.cumsum(inner)])
    plain = (others <= 0) & (count >= _LONG_WORD) & (classes[first] != _UNIT)
    plain &= inner_count[last + 1] == inner_count[first]
    return np.flatnonzero(solid)[np.repeat(~plain, last - first + 1)]


def _owners(textpage: ctypes.c_void_p, chars: np.ndarray) -> np.ndarray:
    """Return the addresses of the text objects of characters, in order, as uint64 of shape (n,).

    Within a word, only the first and last character are looked up. If both have the same object, so
    have the characters between, since another font begins another object.
    """
    begins = np.concatenate([[True], np.diff(chars) > 1])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(chars)) - 1
    long = last > first
    found = fast.text_objects(textpage, chars[np.append(first, last[long])])
    begin, end = found[: len(first)], found[: len(first)].copy()
    end[long] = found[len(first) :]
    owners = np.repeat(begin, last - first + 1)
    mixed = np.flatnonzero(np.repeat(begin != end, last - first + 1))
    asked = chars[mixed].tolist()
    owners[mixed] = np.fromiter(
        map(fast.text_object, repeat(textpage), asked), np.uint64, len(asked)
    )
    return owners


def read_kinds(
    textpage: ctypes.c_void_p, chars: np.ndarray, codes: np.ndarray
) -> tuple[Kinds, np.ndarray]:
    """Return the distinct characters among `chars`, and the index of the kind of each.

    Letters of fonts that set words are omitted; their index is -1.

    Args:
        textpage: Text page handle of pdfium.
        chars: Indices of characters.
        codes: Unicode code points of all characters of the page.
    """
    owners = _owners(textpage, chars)
    begins = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    runs = owners[begins].tolist()
    # In the order of the text, because at most _MAX_DRAWN kinds are drawn.
    handles = {owner: fast.text_font(owner) for owner in dict.fromkeys(runs)}
    numbers = {font: number for number, font in enumerate(dict.fromkeys(handles.values()))}
    of_runs = np.array([numbers[handles[owner]] for owner in runs])
    fonts = np.repeat(of_runs, np.diff(np.append(begins, len(chars))))
    first, members = _first_of_each(fonts, codes[chars])
    letters = _CLASS_OF[np.minimum(codes[chars[first]], 256)] >= _LETTER
    small = letters & (codes[chars[first]] >= ord("a"))
    words = np.bincount(fonts[first], small) >= _TEXT_FONT
    kept = ~(words[fonts[first]] & letters)
    members = np.where(kept, np.cumsum(kept) - 1, -1)[members]
    first = first[kept]
    samples = chars[first]
    unmapped = map(fast.text_unmapped, repeat(textpage), samples.tolist())
    kinds = Kinds(
        fonts[first],
        codes[samples],
        samples,
        owners[first],
        np.fromiter(unmapped, int, len(samples)) == 1,
        [font_name(font) for font in numbers],
        words,
    )
    return kinds, members


def _first_of_each(fonts: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first index of each pair of font and code, and the index of each character's pair.

    Same result as `np.unique`. A lookup table is several times faster, unless it is too large.
    """
    high, rank = np.unique(codes[codes > 255], return_inverse=True)
    columns = codes.astype(np.int64)
    columns[codes > 255] = 256 + rank
    keys = fonts * (256 + len(high)) + columns
    if keys.max() > _LARGE:
        return np.unique(keys, return_index=True, return_inverse=True)[1:]
    table = np.full(int(keys.max()) + 1, -1)
    table[keys[::-1]] = np.arange(len(keys))[::-1]
    present = table >= 0
    return table[present], (np.cumsum(present) - 1)[keys]


def font_name(font: int) -> str:
    """Return the PostScript name of a font in the document, "" if it has none."""
    if not font:
        return ""
    buffer = ctypes.create_string_buffer(256)
    fast.font_name(font, ctypes.addressof(buffer), 256)
    return buffer.value.decode("latin-1")
