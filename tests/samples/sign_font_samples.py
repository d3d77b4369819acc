"""Papers whose text layers misname the glyphs of a font of signs, made on the spot."""

import io
from importlib.util import find_spec
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

SANS = Path(find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"


class SignFont:
    """A font that draws `signs`, with the text layer's word for each in `layer`, "" for none."""

    def __init__(self, name: str, signs: str, layer: list[str]) -> None:
        self.name = name
        self.layer = dict(zip(signs, layer, strict=True))
        font = TTFont(SANS)
        options = subset.Options(notdef_outline=True, layout_features=[], name_IDs=[])
        cutter = subset.Subsetter(options)
        cutter.populate(text=signs)
        cutter.subset(font)
        self.glyphs = {sign: font.getGlyphID(font.getBestCmap()[ord(sign)]) for sign in signs}
        self.widths = [font["hmtx"][name][0] * 1000 // 2048 for name in font.getGlyphOrder()]
        file = io.BytesIO()
        font.save(file)
        self.data = file.getvalue()

    def codes(self, text: str) -> str:
        """The codes of signs, in hexadecimal."""
        return "".join(f"{self.glyphs[sign]:04x}" for sign in text)

    def objects(self, first: int) -> list[bytes]:
        """The font as PDF objects, numbered from `first` on."""
        named = {sign: word for sign, word in self.layer.items() if word}
        lines = [
            f"<{self.glyphs[sign]:04x}> <{word.encode('utf-16-be').hex()}>"
            for sign, word in named.items()
        ]
        cmap = (
            "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <ffff> "
            f"endcodespacerange {len(lines)} beginbfchar\n" + "\n".join(lines) + "\nendbfchar "
            "endcmap end"
        )
        unicode = f"/ToUnicode {first + 4} 0 R" if lines else ""
        return [
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{self.name} /Encoding /Identity-H "
            f"/DescendantFonts [{first + 1} 0 R] {unicode} >>".encode(),
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{self.name} /CIDToGIDMap /Identity "
            f"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
            f"/FontDescriptor {first + 2} 0 R /W [0 {self.widths}] >>".encode(),
            f"<< /Type /FontDescriptor /FontName /{self.name} /Flags 4 /FontBBox [-200 -300 1200 "
            f"1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 730 /StemV 80 "
            f"/FontFile2 {first + 3} 0 R >>".encode(),
            stream(self.data),
            stream(cmap.encode()),
        ]


def stream(data: bytes) -> bytes:
    """A PDF stream object."""
    return b"<< /Length %d >> stream\n%s\nendstream" % (len(data), data)


def line(x: float, y: float, parts: list[str]) -> str:
    """A line in 10 points from (`x`, `y`), in user space: words in Helvetica and, odd ones, signs.

    The signs are codes in hexadecimal (`SignFont.codes`).
    """
    shown = [
        f"/S 10 Tf <{part}> Tj" if k % 2 else f"/F 10 Tf ({part}) Tj"
        for k, part in enumerate(parts)
    ]
    return f"BT {x} {y} Td {' '.join(shown)} ET"


def write_paper(path: Path, font: SignFont, content: list[str]) -> None:
    """Write a PDF of one page with `content`, in the fonts F (Helvetica) and S."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F 5 0 R /S 6 0 R >> >> >>",
        stream("\n".join(content).encode()),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *font.objects(6),
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj %s endobj\n" % (number, body)
    start = len(data)
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    data += f"xref\n0 {count}\n0000000000 65535 f \n{table}".encode()
    data += f"trailer << /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF".encode()
    path.write_bytes(data)
