"""Rewrite a paper like old TeX output: text in Type 3 bitmap fonts, figures as images.

The paper is read with pdfium, glyph by glyph, and written again with every glyph in the same place,
so that the ground truth does not change. Character codes are ASCII, as in most such papers, or
arbitrary, so that the extracted text is meaningless.
"""

import ctypes
import math
import zlib
from dataclasses import dataclass, field

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as raw

Box = list[float]
# Pixels per point of glyphs (a 300 dpi printer) and of figures.
_GLYPHS, _FIGURES = 300 / 72, 2.0
# Grey level at which a pixel is ink, and largest thickness of a rule in points.
_DARK, _RULE = 128, 1.5
_CODES = 255
# Distances in thousandths of an em at which a character continues a run.
_NEAR = -500, 2000
# Text direction after 0 to 3 quarter turns.
_AXES = (1, 0), (0, 1), (-1, 0), (0, -1)


@dataclass
class _Font:
    """A Type 3 font of one face and size."""

    number: int
    codes: dict[tuple, int] = field(default_factory=dict)
    glyphs: dict[int, bytes] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Glyph:
    """A character on a page: its origin, box (left, bottom, right, top) and quarter turns."""

    code: int
    face: str
    size: float
    origin: tuple[float, float]
    box: tuple[float, float, float, float]
    advance: float
    quarters: int


@dataclass(frozen=True)
class _Shown:
    """A glyph as a code in a font; its width is in thousandths of an em."""

    font: int
    code: int
    width: int
    size: float
    origin: tuple[float, float]
    quarters: int


def in_bitmap_fonts(published: bytes, figures: list[tuple[int, Box]], named: bool) -> bytes:
    """Rewrite the paper in bitmap fonts.

    Args:
        published: The paper as PDF.
        figures: Page and box of each graphic, in points from the top left as displayed.
        named: Whether character codes are ASCII, as opposed to the order of first use.
    """
    writer = _Writer(named)
    with pdfium.PdfDocument(published) as document:
        for number in range(len(document)):
            page = document[number]
            turn = page.get_rotation()
            page.set_rotation(0)
            width, height = page.get_size()
            boxes = [box for at, box in figures if at == number]
            if turn:
                # Convert from the displayed page, a quarter turn to the left; see truth.py.
                boxes = [[width - y1, x0, width - y0, x1] for x0, y0, x1, y1 in boxes]
            boxes = [[x0, height - y1, x1, height - y0] for x0, y0, x1, y1 in boxes]
            writer.page(page, boxes, turn)
    return writer.document()


class _Writer:
    def __init__(self, named: bool) -> None:
        self.named = named
        self.objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
        self.kids: list[int] = []
        self.fonts: dict[tuple[str, float, int], _Font] = {}
        self.waiting: list[tuple[int, str]] = []

    def page(self, page: pdfium.PdfPage, figures: list[Box], turn: int) -> None:
        """Add a page; `figures` are boxes in PDF's own coordinates."""
        width, height = page.get_size()
        ink = page.render(scale=_GLYPHS, grayscale=True).to_numpy().squeeze() < _DARK
        content = [_rule(rule) for rule in _rules(page)]
        images = []
        for k, box in enumerate(figures):
            x0, y0, x1, y1 = box
            images.append(f"/I{k} {self._image(page, box)} 0 R")
            content.append(f"q {x1 - x0:.2f} 0 0 {y1 - y0:.2f} {x0:.2f} {y0:.2f} cm /I{k} Do Q")
        shown = []
        for glyph in _glyphs(page):
            x, y = (glyph.box[0] + glyph.box[2]) / 2, (glyph.box[1] + glyph.box[3]) / 2
            if not any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in figures):
                shown.append(self._show(glyph, ink, height))
        content += _text(shown)
        stream = self._add(_stream("\n".join(content).encode("latin-1")))
        head = f"/Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.2f} {height:.2f}] /Rotate {turn}"
        rest = f"/Contents {stream} 0 R /Resources << /XObject << {' '.join(images)} >> /Font FONTS"
        # The numbers of the fonts are known after all pages are read.
        self.waiting.append((len(self.objects), f"<< {head} {rest} >> >>"))
        self.kids.append(self._add(b""))

    def document(self) -> bytes:
        """Return the whole file."""
        numbers = [f"/F{k} {self._font(font)} 0 R" for k, font in enumerate(self.fonts.values())]
        for at, page in self.waiting:
            self.objects[at] = page.replace("FONTS", f"<< {' '.join(numbers)} >>").encode()
        kids = " ".join(f"{kid} 0 R" for kid in self.kids)
        self.objects[1] = f"<< /Type /Pages /Kids [{kids}] /Count {len(self.kids)} >>".encode()
        data, offsets = b"%PDF-1.4\n", []
        for number, body in enumerate(self.objects, start=1):
            offsets.append(len(data))
            data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        count = len(offsets) + 1
        tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(data))
        return data + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + tail

    def _add(self, body: bytes) -> int:
        self.objects.append(body)
        return len(self.objects)

    def _image(self, page: pdfium.PdfPage, box: Box) -> int:
        x0, y0, x1, y1 = (round(edge * _FIGURES) for edge in box)
        pixels = page.render(scale=_FIGURES, rev_byteorder=True).to_numpy()[..., :3]
        rows = pixels[len(pixels) - y1 : len(pixels) - y0, x0:x1]
        head = f"/Type /XObject /Subtype /Image /Width {rows.shape[1]} /Height {rows.shape[0]}"
        return self._add(
            _stream(rows.tobytes(), f"{head} /ColorSpace /DeviceRGB /BitsPerComponent 8")
        )

    def _show(self, glyph: _Glyph, ink: np.ndarray, height: float) -> _Shown:
        """Return a glyph as a code of a font, and add it to the font at its first use."""
        x0, y0, x1, y1 = glyph.box
        # Characters that differ only in shape, such as ligatures and small capitals, are distinct.
        key = glyph.code, round(5 * (x1 - x0)), round(5 * (y1 - y0)), glyph.quarters
        size = round(glyph.size, 1)
        numbers = ((glyph.face, size, part) for part in range(len(self.fonts) + 1))
        fonts = (self.fonts.setdefault(number, _Font(len(self.fonts))) for number in numbers)
        font = next(font for font in fonts if key in font.codes or len(font.codes) < _CODES)
        if key not in font.codes:
            wanted = [glyph.code, *range(128, 256)] if self.named else []
            codes = (code for code in [*wanted, *range(1, 256)] if code not in font.glyphs)
            code = font.codes[key] = next(code for code in codes if code < 256)
            font.glyphs[code] = _bitmap(glyph, ink, height)
            font.widths[code] = round(1000 * glyph.advance / glyph.size)
        code = font.codes[key]
        return _Shown(font.number, code, font.widths[code], size, glyph.origin, glyph.quarters)

    def _font(self, font: _Font) -> int:
        codes = sorted(font.glyphs)
        glyphs = {code: self._add(_stream(font.glyphs[code])) for code in codes}
        procedures = " ".join(f"/a{code} {glyphs[code]} 0 R" for code in codes)
        differences = " ".join(f"{code} /a{code}" for code in codes)
        first, last = codes[0], codes[-1]
        widths = " ".join(str(font.widths.get(code, 0)) for code in range(first, last + 1))
        head = "/Type /Font /Subtype /Type3 /FontBBox [0 0 0 0] /FontMatrix [.001 0 0 .001 0 0]"
        codes = f"/FirstChar {first} /LastChar {last} /Widths [{widths}] /Resources << >>"
        names = f"/CharProcs << {procedures} >> /Encoding << /Differences [{differences}] >>"
        return self._add(f"<< {head} {codes} {names} >>".encode())


def _text(shown: list[_Shown]) -> list[str]:
    """Return operators that show characters; consecutive ones on a line share an operator."""
    out: list[str] = []
    run: list[str] = []
    last: _Shown | None = None
    for item in shown:
        gap = _gap(last, item) if last else None
        if gap is None:
            if run:
                out.append(f"[{' '.join(run)}] TJ ET")
            cos, sin = _AXES[item.quarters]
            where = f"{cos} {sin} {-sin} {cos} {item.origin[0]:.3f} {item.origin[1]:.3f} Tm"
            out.append(f"BT /F{item.font} {item.size} Tf {where}")
            run = [f"<{item.code:02x}>"]
        else:
            run.append(f"{-gap:.0f} <{item.code:02x}>")
        last = item
    return [*out, f"[{' '.join(run)}] TJ ET"] if run else out


def _gap(last: _Shown, item: _Shown) -> float | None:
    """Return the gap before `item` in thousandths of an em, or None if it begins a new run."""
    cos, sin = _AXES[item.quarters]
    dx, dy = item.origin[0] - last.origin[0], item.origin[1] - last.origin[1]
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    gap = 1000 * along / item.size - last.width
    same = (last.font, last.quarters) == (item.font, item.quarters) and abs(across) < 0.01
    return gap if same and _NEAR[0] < gap < _NEAR[1] else None


def _stream(data: bytes, head: str = "") -> bytes:
    packed = zlib.compress(data)
    start = f"<< {head} /Filter /FlateDecode /Length {len(packed)} >>\nstream\n"
    return start.encode() + packed + b"\nendstream"


def _bitmap(glyph: _Glyph, ink: np.ndarray, height: float) -> bytes:
    """Return the procedure that paints a glyph, in thousandths of an em.

    The glyph is cropped from the `ink` of the page.
    """
    x0, y0, x1, y1 = glyph.box
    left, right = math.floor(x0 * _GLYPHS), math.ceil(x1 * _GLYPHS)
    top, bottom = math.floor((height - y1) * _GLYPHS), math.ceil((height - y0) * _GLYPHS)
    part = np.rot90(ink[max(top, 0) : bottom, max(left, 0) : right], -glyph.quarters)
    edges = [left / _GLYPHS, height - bottom / _GLYPHS, right / _GLYPHS, height - top / _GLYPHS]
    cos, sin = _AXES[glyph.quarters]
    corners = []
    for x, y in ((edges[0], edges[1]), (edges[2], edges[3])):
        dx, dy = x - glyph.origin[0], y - glyph.origin[1]
        corners.append((dx * cos + dy * sin, dy * cos - dx * sin))
    em = 1000 / glyph.size
    (gx0, gx1), (gy0, gy1) = (sorted(em * c[axis] for c in corners) for axis in (0, 1))
    advance = em * glyph.advance
    head = f"{advance:.0f} 0 {gx0:.0f} {gy0:.0f} {gx1:.0f} {gy1:.0f} d1\nq "
    head += f"{gx1 - gx0:.1f} 0 0 {gy1 - gy0:.1f} {gx0:.1f} {gy0:.1f} cm\n"
    head += f"BI /W {part.shape[1]} /H {part.shape[0]} /IM true /BPC 1 /F /AHx ID "
    # In an image mask 0 paints.
    return head.encode() + np.packbits(~part, axis=1).tobytes().hex().encode() + b">\nEI Q"


def _glyphs(page: pdfium.PdfPage) -> list[_Glyph]:
    """Return the glyphs on a page, in the order of its text, without spaces."""
    text = page.get_textpage()
    out: list[_Glyph] = []
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    matrix, loose = raw.FS_MATRIX(), raw.FS_RECTF()
    x, y = ctypes.c_double(), ctypes.c_double()
    for k in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text.raw, k)
        if raw.FPDFText_IsHyphen(text.raw, k):  # pdfium uses another code at line ends
            code = ord("-")
        box = text.get_charbox(k)
        if code <= 32 or raw.FPDFText_IsGenerated(text.raw, k) or box[2] - box[0] < 0.05:
            continue
        # A ligature is read as several characters at the same position.
        if out and out[-1].box == box:
            continue
        raw.FPDFText_GetFontInfo(text.raw, k, name, len(name), flags)
        raw.FPDFText_GetMatrix(text.raw, k, matrix)
        raw.FPDFText_GetCharOrigin(text.raw, k, x, y)
        raw.FPDFText_GetLooseCharBox(text.raw, k, loose)
        quarters = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
        wide, high = loose.right - loose.left, loose.top - loose.bottom
        size = raw.FPDFText_GetFontSize(text.raw, k) * math.hypot(matrix.a, matrix.b)
        advance = high if quarters % 2 else wide
        face = name.value.decode("latin-1")
        out.append(_Glyph(code, face, size, (x.value, y.value), box, advance, quarters))
    return out


def _rule(box: tuple[float, float, float, float]) -> str:
    x0, y0, x1, y1 = box
    return f"{x0:.2f} {y0:.2f} {max(x1 - x0, 0.4):.2f} {max(y1 - y0, 0.4):.2f} re f"


def _rules(page: pdfium.PdfPage) -> list[tuple[float, float, float, float]]:
    """Return the boxes of thin horizontal and vertical lines on a page."""
    paths = page.get_objects(filter=(raw.FPDF_PAGEOBJ_PATH,), max_depth=1)
    boxes = [path.get_bounds() for path in paths]
    return [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) < _RULE]
