"""Correct the text layer of a page where it differs from the printed glyphs.

Symbol fonts often have no character mapping or a wrong one. A minus is then read as a control
character and lost, or as "2", "$" or "¼". Glyphs that cannot be the character of the layer, by
their code or extent, are rendered and recognised by shape (`glyphs`). Unrecognised ones become
UNREAD, so that a row can report them.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import repeat

import numpy as np

from cephalo.dataset_scripts.pdf import glyphs
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.glyph_kinds import Kinds, read_kinds, unusual
from cephalo.dataset_scripts.pdf.symbol_codes import ADOBE, GREEK_FOR, IN_SYMBOL, SYMBOL

UNREAD = "\ufffd"  # placeholder for a glyph without a correct character
_FAULTS = {
    "unread glyphs": re.compile(UNREAD),
    "private-use characters": re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]"),
}
_MAX_DRAWN = 200  # glyphs per page; a text layer with more doubtful ones is useless
_FEW = 4  # characters of a font; if so few, most may be wrong
_CLEARLY = 0.1  # smallest difference of distances to replace a character

_SELDOM = "§©®¶?!&@#%$"  # signs that are seldom correct for a letter shape
_LIKE_ONE = "[]|"  # signs similar to a "1" in some sans serif fonts
_VERY_LIKE = 0.15  # largest distance to one of these

# Fonts of signs and Greek letters under ASCII codes: Arbortext, MathPi, MathType. Other such fonts
# are detected by the extents of their glyphs.
_SIGN_FONT = re.compile(
    r"AdvP(?:S|i|SMP)?[\dA-F]+|Adv\w*sym|math.?pi|^PI_|TeX_CM_(?:Bold_)?Math|greek|MT-?Extra|EuclidExtra"
    r"|SymbolMT|^Symbol|\+Symbol|Wingding|Webding",
    re.I,
)

# Meaning of the control codes of TeX text fonts, in the order of two encodings.
_TEX_CODES = dict(zip(range(0x0B, 0x10), ["ff", "fi", "fl", "ffi", "ffl"], strict=True))
_TEX_CODES |= dict(zip(range(0x1B, 0x20), ["ff", "fi", "fl", "ffi", "ffl"], strict=True))
_WITH_F = "f", "ff", "fi", "fl", "ffi", "ffl"

_ICON_FONT = re.compile(r"awesome|academicons|fontello|ionicons|material.?icons", re.I)

# Extents of the ink of characters, in ems: smallest and largest height, lowest bottom, highest top.
# The fonts of 89 papers are within them, including small capitals and old-style figures.
_EXTENTS = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ": (0.35, 1.3, -0.4, 1.4),
    "abcdehiklmnorstuvwx": (0.33, 1.2, -0.15, 1.4),
    "fgjpqyz": (0.28, 1.3, -0.5, 1.4),
    "0123456789": (0.36, 1.1, -0.4, 1.2),
    "()[]{}/\\|": (0.5, 9.0, -9.0, 9.0),
    "$%&#@!?§¶£¥¢¡¿": (0.4, 1.5, -0.5, 1.4),
    "+": (0.2, 0.9, -0.3, 0.95),
    "=": (0.08, 0.55, -0.2, 0.8),
    "<>": (0.2, 0.9, -0.3, 0.95),
    "-": (0.0, 0.25, -0.1, 0.8),
    ",": (0.0, 0.5, -0.4, 0.35),
    ".": (0.0, 0.35, -0.15, 0.35),
    ";:": (0.25, 0.95, -0.4, 0.9),
    "¼½¾": (0.4, 1.3, -0.3, 1.3),
    "ðÞ": (0.45, 1.2, -0.12, 1.3),
    "þ": (0.65, 1.3, -0.5, 1.3),
    "ªº": (0.1, 0.55, 0.05, 1.2),
}


def _extent_table() -> np.ndarray:
    """Return `_EXTENTS` by code, of shape (257, 4). The last row, for other codes, is unlimited."""
    table = np.full((257, 4), (0.0, np.inf, -np.inf, np.inf))
    for chars, extent in _EXTENTS.items():
        table[[ord(char) for char in chars]] = extent
    return table


_EXTENT_OF = _extent_table()

_PLACEHOLDERS = 0x10F000  # private codes for glyphs of several characters
EXPANSIONS = {_PLACEHOLDERS + k: text for k, text in enumerate(glyphs.LIGATURES)}
"""Text of the ligature codes returned by `repair`, for `str.translate`."""
_CODES = {text: code for code, text in EXPANSIONS.items()}


Memory = dict[tuple, int]
"""Codes found for kinds of characters in a document, by font name, code and extent."""


def repair(
    page: fast.Page, textpage: ctypes.c_void_p, codes: np.ndarray, memory: Memory | None = None
) -> np.ndarray:
    """Correct the character codes of a page.

    Args:
        page: Page of pdfium.
        textpage: Text page handle of pdfium.
        codes: Code points of the text layer, uint32 of shape (n,).
        memory: Results of other pages of the document, extended in place.

    Returns:
        Corrected codes, uint32 of shape (n,).
    """
    chars = unusual(codes)
    if not len(chars):
        return codes
    kinds, members = read_kinds(textpage, chars, codes)
    memory = {} if memory is None else memory
    found = _Drawn(page, textpage, kinds).read(memory)
    fs = np.flatnonzero(codes == ord("f"))
    new = _put(found, kinds, members, chars, codes)
    if not len(fs) or "" not in kinds.names:
        return new
    # In an unnamed bitmap font, the code of an "f" may be that of a ligature.
    kinds, members = read_kinds(textpage, fs, codes)
    return _put(_Drawn(page, textpage, kinds).ligatures(memory), kinds, members, fs, new)


def _put(
    found: dict[int, int], kinds: Kinds, members: np.ndarray, chars: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Insert the codes `found` for kinds, whose characters are `chars` with kinds `members`."""
    if not found:
        return codes
    new = np.zeros(len(kinds.codes) + 1, codes.dtype)  # last: characters without a kind
    new[list(found)] = list(found.values())
    put = new[members]
    codes = codes.copy()
    codes[chars[put > 0]] = put[put > 0]
    return codes


def _has_table(codes: np.ndarray) -> np.ndarray:
    """Return which codes are in a code table, regardless of their glyph."""
    return np.array([code in ADOBE or code in SYMBOL for code in codes.tolist()], bool)


class _Drawn:
    """The kinds of characters of a page, with their rendered glyphs."""

    def __init__(self, page: fast.Page, textpage: ctypes.c_void_p, kinds: Kinds) -> None:
        self.page = page
        self.kinds = kinds
        samples = kinds.samples.tolist()
        self.boxes = _finite(fast.ink_boxes(textpage, samples))
        matrices = _finite(fast.text_matrices(textpage, samples).astype(float))
        sizes = np.fromiter(map(fast.text_font_size, repeat(textpage), samples), float)
        self.ems = np.maximum(sizes * np.hypot(matrices[:, 2], matrices[:, 3]), 1e-6)
        self.turns = np.rint(np.arctan2(matrices[:, 1], matrices[:, 0]) / (np.pi / 2)).astype(int)
        self.extents = self._extents(_finite(fast.origins(textpage, samples)))

    def read(self, memory: Memory) -> dict[int, int]:
        """Return the corrected codes of kinds that differ from the text layer, by index."""
        kinds = self.kinds
        unnamed, doubtful = self._suspects()
        blank = unnamed & (self.extents[:, 0] >= self.extents[:, 1]) & ~_has_table(kinds.codes)
        found = dict.fromkeys(np.flatnonzero(blank).tolist(), ord(" "))
        found |= self._look(unnamed & ~blank, self._name, memory)
        wrong = self._look(doubtful & ~unnamed, self._correct, memory)
        if wrong:  # one wrong sign makes the whole font doubtful
            others = np.isin(kinds.fonts, kinds.fonts[list(wrong)]) & ~kinds.words[kinds.fonts]
            others &= (kinds.codes < 256) & ~doubtful & ~unnamed
            wrong |= self._look(others, self._correct, memory)
        return found | wrong | self._in_symbol(wrong, memory)

    def ligatures(self, memory: Memory) -> dict[int, int]:
        """Return the codes of kinds in unnamed fonts that are ligatures by their shape."""
        nameless = np.array([not name for name in self.kinds.names])[self.kinds.fonts]
        return self._look(nameless, self._ligature, memory)

    def _in_symbol(self, wrong: dict[int, int], memory: Memory) -> dict[int, int]:
        """Return the Greek letters of fonts encoded like Symbol.

        A font is recognised by two of its letters on this page or earlier ones. In a font of signs
        by name, one letter that has another place in the alphabet is sufficient.
        """
        kinds = self.kinds
        letters = {k: code for k, code in wrong.items() if int(kinds.codes[k]) in IN_SYMBOL}
        seen = {
            (kinds.names[kinds.fonts[kind]], int(kinds.codes[kind])): code
            for kind, code in letters.items()
        }
        for (judge, name, code, *_), put in memory.items():
            if judge == self._correct.__name__ and put and code in IN_SYMBOL:
                seen.setdefault((name, code), put)
        votes = Counter(name for name, _ in seen)
        for (name, code), put in seen.items():
            if put != IN_SYMBOL[code]:
                votes[name] = 0
        for name, code in seen:
            own_place = len(set(GREEK_FOR[code])) > 1
            votes[name] += votes[name] == 1 and own_place and bool(_SIGN_FONT.search(name))
        codes = kinds.codes.tolist()
        return {
            kind: IN_SYMBOL[codes[kind]]
            for kind, font in enumerate(kinds.fonts.tolist())
            if votes[kinds.names[font]] > 1 and codes[kind] in IN_SYMBOL and not kinds.words[font]
        }

    def _look(
        self, chosen: np.ndarray, judge: Callable[[int], int], memory: Memory
    ) -> dict[int, int]:
        """Return the nonzero results of `judge` for the kinds for which `chosen` is true."""
        found = {}
        kinds = self.kinds
        for kind in np.flatnonzero(chosen)[:_MAX_DRAWN].tolist():
            name, code = kinds.names[kinds.fonts[kind]], int(kinds.codes[kind])
            extent = tuple(self.extents[kind].round(2).tolist())
            key = (judge.__name__, name, code, bool(kinds.unmapped[kind]), extent)
            if key not in memory:
                memory[key] = judge(kind)
            if memory[key]:
                found[kind] = memory[key]
        return found

    def _extents(self, origins: np.ndarray) -> np.ndarray:
        """Return bottom and top of the ink above the baseline and its width, in ems: (n, 3)."""
        down_left, up_right = self.boxes[:, :2] - origins, self.boxes[:, 2:] - origins
        turns = self.turns % 4
        level = np.stack([down_left[:, 1], up_right[:, 1]], axis=1)
        level[turns == 1] = np.stack([-up_right[:, 0], -down_left[:, 0]], axis=1)[turns == 1]
        level[turns == 2] = np.stack([-up_right[:, 1], -down_left[:, 1]], axis=1)[turns == 2]
        level[turns == 3] = np.stack([down_left[:, 0], up_right[:, 0]], axis=1)[turns == 3]
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        width = np.where(turns % 2, sides[:, 1], sides[:, 0])
        return np.column_stack([level, width]) / self.ems[:, None]

    def _suspects(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which kinds have no character, and which may have a wrong one: bool (n,) each."""
        kinds = self.kinds
        codes, fonts = kinds.codes, kinds.fonts
        controls = (codes < 32) | (codes >= 0x7F) & (codes < 0xA0)
        hyphens = ((codes == 2) | (codes == 0xFFFE)) & ~kinds.unmapped  # at line ends
        private = (codes >= 0xE000) & (codes < 0xF900) | (codes == ord(UNREAD))
        # A font in which all characters are unmapped mostly has ASCII codes.
        count = np.bincount(fonts)
        some = np.bincount(fonts, kinds.unmapped) < 0.5 * count
        unnamed = (controls & ~hyphens) | private
        unnamed |= kinds.unmapped & (some[fonts] | (codes > 255))
        height = self.extents[:, 1] - self.extents[:, 0]
        least, greatest, bottom, top = _EXTENT_OF[np.minimum(codes, 256)].T
        odd = (height < least) | (height > greatest)
        odd |= (self.extents[:, 0] < bottom) | (self.extents[:, 1] > top)
        odd &= height > 0
        # If most glyphs are odd, the font size is not that of the type.
        count = np.bincount(fonts, minlength=len(kinds.names))
        strange = (np.bincount(fonts, odd, len(count)) > 0.5 * count) & (count > _FEW)
        signs = np.array([bool(_SIGN_FONT.search(name)) for name in kinds.names])
        strange |= np.array([not name for name in kinds.names])  # bitmap fonts: arbitrary sizes
        doubtful = odd & ~strange[fonts]
        doubtful |= (signs & ~kinds.words)[fonts] & (codes < 256)
        return unnamed, doubtful & ~hyphens & (codes > 32)

    def _name(self, kind: int) -> int:
        """Return the code of a kind that has no character in the text layer."""
        code, name = int(self.kinds.codes[kind]), self.kinds.names[self.kinds.fonts[kind]]
        if _ICON_FONT.search(name):
            return ord(" ")
        if code in ADOBE:
            return ADOBE[code]
        if code in SYMBOL and "symbol" in name.lower():
            return SYMBOL[code]
        glyph = self._glyph(kind)
        if glyph is None:
            return ord(UNREAD)
        of_signs = not self.kinds.words[self.kinds.fonts[kind]]
        text, distances = glyphs.known_glyphs().recognise(glyph, of_signs)
        usual = _TEX_CODES.get(code, "") if not of_signs else ""
        if distances.get(usual, np.inf) < glyphs.UNLIKE:
            return _code(usual)
        if text:
            return _code(text)
        # The code of an unmapped glyph may be ASCII, or U+F000 plus ASCII in Windows fonts.
        ascii_code = code - 0xF000 if 0xF021 <= code < 0xF07F else code
        likely = ascii_code != code or (self.kinds.unmapped[kind] and 32 < code < 127)
        likely = likely and distances.get(chr(ascii_code), np.inf) < glyphs.UNLIKE
        return ascii_code if likely else ord(UNREAD)

    def _ligature(self, kind: int) -> int:
        """Return the code of the ligature that is drawn for an "f", 0 if it is an "f"."""
        glyph = self._glyph(kind)
        if glyph is None:
            return 0
        distances = glyphs.known_glyphs().distances(glyph)
        own, *others = [distances.get(char, np.inf) for char in _WITH_F]
        least = min(others)
        if least >= min(glyphs.UNLIKE, own - _CLEARLY):
            return 0
        return _code(glyphs.by_dot(_WITH_F[1 + others.index(least)], glyph))

    def _correct(self, kind: int) -> int:
        """Return the code of the sign drawn instead of the layer's character, 0 if none is."""
        glyph = self._glyph(kind)
        if glyph is None:
            return 0
        text, distances = glyphs.known_glyphs().recognise(glyph, of_signs=True)
        code = int(self.kinds.codes[kind])
        own = distances.get(glyphs.SPELLINGS.get(chr(code), chr(code)), np.inf)
        most = min(glyphs.UNLIKE, own - _CLEARLY)
        greek = [(distances.get(char, np.inf), char) for char in GREEK_FOR.get(code, "")]
        distance, letter = min(greek, default=(np.inf, ""))
        if distance < most:
            return ord(letter)
        if not text or text.isalnum():
            return 0
        seldom = text in _SELDOM or (code == ord("1") and text in _LIKE_ONE)
        most = min(most, _VERY_LIKE) if seldom else most
        return _code(text) if distances[text] < most else 0

    def _glyph(self, kind: int) -> glyphs.Glyph | None:
        """Return the glyph of a kind, upright."""
        owner = ctypes.cast(int(self.kinds.owners[kind]), glyphs.PageObject)
        coverage = glyphs.draw_part(self.page, owner, self.boxes[kind])
        if coverage is None:
            return None
        upright = np.rot90(coverage, -self.turns[kind])
        return glyphs.make_glyph(np.ascontiguousarray(upright), *self.extents[kind].tolist())


def text_faults(columns: dict[str, Iterable[str]]) -> list[str]:
    """Return the faults in the texts of a row by column: "unread glyphs in caption", ..."""
    return [
        f"{fault} in {column}"
        for column, texts in columns.items()
        for fault, pattern in _FAULTS.items()
        if any(map(pattern.search, texts))
    ]


def _finite(values: np.ndarray) -> np.ndarray:
    """Replace numbers that are not finite by 0."""
    values[~np.isfinite(values)] = 0.0
    return values


def _code(text: str) -> int:
    """Return the code of a character or ligature."""
    return _CODES[text] if text in _CODES else ord(text)
