"""What the text layer of a page says, put right where other glyphs are drawn.

Fonts of signs often come without a table of their characters, or with a wrong one. Then a minus
is read as a control character, and is lost, or as "2", "$" or "¼". Glyphs that cannot be what the
layer says, by their code or by their extent, are drawn and recognised by their shape (`glyphs`).
What is not recognised becomes UNREAD, so that a row can say so.
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

UNREAD = "\ufffd"  # stands for a glyph that the text layer names wrongly or not at all
_FAULTS = {
    "unread glyphs": re.compile(UNREAD),
    "private-use characters": re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]"),
}
_MAX_DRAWN = 200  # glyphs of a page; a text layer with more that are doubtful has no sense
_FEW = 4  # characters of a font; of so few, most may be misnamed
_CLEARLY = 0.1  # how much less like the named character than another a glyph must be

_SELDOM = "§©®¶?!&@#%$"  # signs that a letter is seldom put for
_LIKE_ONE = "[]|"  # signs that a "1" of some sans serif types resembles
_VERY_LIKE = 0.15  # how like one of these a glyph must be

# Fonts of signs and Greek letters in which ASCII codes stand for others: Arbortext's, MathPi,
# MathType's. A font that is not known here is found by the extents of its glyphs.
_SIGN_FONT = re.compile(
    r"AdvP(?:S|i|SMP)?[\dA-F]+|Adv\w*sym|math.?pi|^PI_|TeX_CM_(?:Bold_)?Math|greek|MT-?Extra|EuclidExtra"
    r"|SymbolMT|^Symbol|\+Symbol|Wingding|Webding",
    re.I,
)

# What the control codes of TeX's fonts for words stand for, in the order of two of its encodings.
_TEX_CODES = dict(zip(range(0x0B, 0x10), ["ff", "fi", "fl", "ffi", "ffl"], strict=True))
_TEX_CODES |= dict(zip(range(0x1B, 0x20), ["ff", "fi", "fl", "ffi", "ffl"], strict=True))
_WITH_F = "f", "ff", "fi", "fl", "ffi", "ffl"

_ICON_FONT = re.compile(r"awesome|academicons|fontello|ionicons|material.?icons", re.I)

# Heights of the ink of characters and how far it goes down and up, in ems. The fonts of 89 papers
# keep to it, small capitals and old-style figures too: least and greatest height, lowest bottom,
# highest top.
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
    """`_EXTENTS` by code, (257, 4); the last row is for all other codes, which are free."""
    table = np.full((257, 4), (0.0, np.inf, -np.inf, np.inf))
    for chars, extent in _EXTENTS.items():
        table[[ord(char) for char in chars]] = extent
    return table


_EXTENT_OF = _extent_table()

_PLACEHOLDERS = 0x10F000  # private codes for glyphs that are several characters
EXPANSIONS = {_PLACEHOLDERS + k: text for k, text in enumerate(glyphs.LIGATURES)}
"""What to put for the codes of ligatures that `repair` gives, for `str.translate`."""
_CODES = {text: code for code, text in EXPANSIONS.items()}


Memory = dict[tuple, int]
"""What was found of kinds of characters, by their font's name, code and extent. Of one document:
in another, a font of the same name may have other glyphs."""


def repair(
    page: fast.Page, textpage: ctypes.c_void_p, codes: np.ndarray, memory: Memory | None = None
) -> np.ndarray:
    """The codes of the characters of a page, uint32 (n,), with those put right that are wrong.

    `memory` holds what was found on other pages of the document.
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
    # In a bitmap font, which has no name, the code of an "f" may be that of a ligature.
    kinds, members = read_kinds(textpage, fs, codes)
    return _put(_Drawn(page, textpage, kinds).ligatures(memory), kinds, members, fs, new)


def _put(
    found: dict[int, int], kinds: Kinds, members: np.ndarray, chars: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """The codes of a page with those `found` for kinds, of which `chars` are `members`."""
    if not found:
        return codes
    new = np.zeros(len(kinds.codes) + 1, codes.dtype)  # the last is for members of none
    new[list(found)] = list(found.values())
    put = new[members]
    codes = codes.copy()
    codes[chars[put > 0]] = put[put > 0]
    return codes


def _has_table(codes: np.ndarray) -> np.ndarray:
    """Which codes are named by a table, whatever is drawn for them."""
    return np.array([code in ADOBE or code in SYMBOL for code in codes.tolist()], bool)


class _Drawn:
    """The kinds of characters of a page as they are drawn."""

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
        """The codes to put for kinds, by their number, where they differ from the text layer's."""
        kinds = self.kinds
        unnamed, doubtful = self._suspects()
        blank = unnamed & (self.extents[:, 0] >= self.extents[:, 1]) & ~_has_table(kinds.codes)
        found = dict.fromkeys(np.flatnonzero(blank).tolist(), ord(" "))
        found |= self._look(unnamed & ~blank, self._name, memory)
        wrong = self._look(doubtful & ~unnamed, self._correct, memory)
        # One misnamed sign makes all of its font doubtful.
        others = np.isin(kinds.fonts, kinds.fonts[list(wrong)]) & ~kinds.words[kinds.fonts]
        others &= (kinds.codes < 256) & ~doubtful & ~unnamed
        wrong |= self._look(others, self._correct, memory)
        return found | wrong | self._in_symbol(wrong, memory)

    def ligatures(self, memory: Memory) -> dict[int, int]:
        """The codes of the kinds without a font's name that are ligatures by their shape."""
        nameless = np.array([not name for name in self.kinds.names])[self.kinds.fonts]
        return self._look(nameless, self._ligature, memory)

    def _in_symbol(self, wrong: dict[int, int], memory: Memory) -> dict[int, int]:
        """The letters of fonts that have the codes of Symbol, as two of their letters show, on
        this page or on those before it; of a font of signs, by its name, one that has another
        place in the alphabet."""
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
        """What `judge` says of the kinds for which `chosen` is true, where it says something."""
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
        """Bottom and top of the ink above the baseline, and its width, in ems: (n, 3)."""
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
        """Which kinds the layer does not name, and which it may name wrongly: bool (n,) each."""
        kinds = self.kinds
        codes, fonts = kinds.codes, kinds.fonts
        controls = (codes < 32) | (codes >= 0x7F) & (codes < 0xA0)
        hyphens = ((codes == 2) | (codes == 0xFFFE)) & ~kinds.unmapped  # at the ends of lines
        private = (codes >= 0xE000) & (codes < 0xF900) | (codes == ord(UNREAD))
        # A font all of whose characters are unmapped has the codes of ASCII, most often.
        count = np.bincount(fonts)
        some = np.bincount(fonts, kinds.unmapped) < 0.5 * count
        unnamed = (controls & ~hyphens) | private
        unnamed |= kinds.unmapped & (some[fonts] | (codes > 255))
        height = self.extents[:, 1] - self.extents[:, 0]
        least, greatest, bottom, top = _EXTENT_OF[np.minimum(codes, 256)].T
        odd = (height < least) | (height > greatest)
        odd |= (self.extents[:, 0] < bottom) | (self.extents[:, 1] > top)
        odd &= height > 0
        # Where most are odd, the font's size is not that of its type.
        count = np.bincount(fonts, minlength=len(kinds.names))
        strange = (np.bincount(fonts, odd, len(count)) > 0.5 * count) & (count > _FEW)
        signs = np.array([bool(_SIGN_FONT.search(name)) for name in kinds.names])
        strange |= np.array([not name for name in kinds.names])  # bitmaps, whose sizes mean nothing
        doubtful = odd & ~strange[fonts]
        doubtful |= (signs & ~kinds.words)[fonts] & (codes < 256)
        return unnamed, doubtful & ~hyphens & (codes > 32)

    def _name(self, kind: int) -> int:
        """The code of a kind that the text layer does not name."""
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
        # The code of an unmapped glyph may be that of ASCII; a font for Windows has it higher up.
        ascii_code = code - 0xF000 if 0xF021 <= code < 0xF07F else code
        likely = ascii_code != code or (self.kinds.unmapped[kind] and 32 < code < 127)
        likely = likely and distances.get(chr(ascii_code), np.inf) < glyphs.UNLIKE
        return ascii_code if likely else ord(UNREAD)

    def _ligature(self, kind: int) -> int:
        """The code of the ligature that is drawn for an "f"; 0 if it is one."""
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
        """The code of a sign that is drawn for a kind instead of what the layer says; 0 if none."""
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
        """A kind as it is drawn, upright."""
        owner = ctypes.cast(int(self.kinds.owners[kind]), glyphs.PageObject)
        coverage = glyphs.draw_part(self.page, owner, self.boxes[kind])
        if coverage is None:
            return None
        upright = np.rot90(coverage, -self.turns[kind])
        return glyphs.make_glyph(np.ascontiguousarray(upright), *self.extents[kind].tolist())


def text_faults(columns: dict[str, Iterable[str]]) -> list[str]:
    """What is wrong with the texts of a row, by column: "unread glyphs in caption", ..."""
    return [
        f"{fault} in {column}"
        for column, texts in columns.items()
        for fault, pattern in _FAULTS.items()
        if any(map(pattern.search, texts))
    ]


def _finite(values: np.ndarray) -> np.ndarray:
    """Numbers of a paper, which may be anything, with 0 for those that are none."""
    values[~np.isfinite(values)] = 0.0
    return values


def _code(text: str) -> int:
    return _CODES[text] if text in _CODES else ord(text)
