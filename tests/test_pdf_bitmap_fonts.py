"""Papers in bitmap fonts, as TeX wrote them for long: no font says how high it is."""

from pathlib import Path

from pdf_samples import SENTENCE
from reportlab.lib.utils import simpleSplit

from cephalo.dataset_scripts.pdf.document import extract_document, read_pages
from cephalo.dataset_scripts.pdf.geometry import iou
from cephalo.dataset_scripts.pdf.pdfium import Pages, open_document
from cephalo.dataset_scripts.pdf.profile import body_style

_CHARACTERS = "".join(chr(code) for code in range(33, 127))
_LOW = set("acegmnopqrsuvwxyz")  # no higher than an "x"
_DEEP = set("gjpqy")
_SCALE = 0.12  # dots of a printer of 600 to the inch, in points


def _font(first: int) -> list[str]:
    """A Type 3 font of 10 points whose characters are black boxes, as objects from `first` on."""
    glyphs = []
    for character in _CHARACTERS:
        top = {".": 10, ",": 10, "-": 25}.get(character, 36 if character in _LOW else 58)
        low = -17 if character in _DEEP else 0
        box = f"4 {low} 34 {top - low}"
        glyphs.append(_stream(f"40 0 4 {low} 38 {top} d1 {box} re f"))
    names = [f"c{ord(character)}" for character in _CHARACTERS]
    procedures = " ".join(f"/{name} {first + 1 + k} 0 R" for k, name in enumerate(names))
    differences = " ".join(f"{ord(c)} /{name}" for c, name in zip(_CHARACTERS, names, strict=True))
    codes = "\n".join(f"<{ord(c):02x}> <{ord(c):04x}>" for c in _CHARACTERS)
    unicode = _stream(
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> "
        f"endcodespacerange {len(_CHARACTERS)} beginbfchar\n{codes}\nendbfchar endcmap end"
    )
    font = (
        f"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 0 0] /FontMatrix [1 0 0 1 0 0] "
        f"/FirstChar 33 /LastChar 126 /Widths [{'40 ' * len(names)}] "
        f"/CharProcs << {procedures} >> /Encoding << /Differences [{differences}] >> "
        f"/ToUnicode {first + 1 + len(names)} 0 R >>"
    )
    return [font, *glyphs, unicode]


def _stream(text: str) -> str:
    return f"<< /Length {len(text)} >> stream\n{text}\nendstream"


def _write(path: Path, content: str) -> None:
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F 5 0 R >> >> >>",
        _stream(content),
        *_font(5),
    ]
    data, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj {body} endobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    count = len(objects) + 1
    data += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer << /Size {count} /Root 1 0 R >>"
    data += f"\nstartxref\n{data.index('xref')}\n%%EOF"
    path.write_text(data)


def _text(x: float, y: float, text: str) -> str:
    """A line with its baseline at `y` from the top; TeX moves from word to word."""
    words, parts = text.split(), []
    for word in words:
        parts.append(
            f"BT /F 1 Tf {_SCALE} 0 0 {_SCALE} {x:.2f} {792 - y} Tm "
            f"({word.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) Tj ET"
        )
        x += (len(word) + 0.7) * 40 * _SCALE
    return "\n".join(parts)


def _paper(path: Path) -> None:
    content = ["150 600 300 120 re S"]
    content += [f"{150 + 10 * k} 620 m {160 + 10 * k} {700 - k} l S" for k in range(29)]
    content.append(_text(120, 210, "Figure 1: The spectra as measured (solid) and the mean of"))
    content.append(_text(120, 222, "seven runs over more years, a summary."))
    lines = simpleSplit(SENTENCE * 9, "Courier", 8, 380)
    content += [_text(120, 260 + 12 * row, line) for row, line in enumerate(lines[:38])]
    _write(path, "\n".join(content))


def test_lines_in_a_bitmap_font_are_whole_and_have_its_size(tmp_path):
    path = tmp_path / "bitmap.pdf"
    _paper(path)
    with open_document(path) as document:
        pages, _ = read_pages(Pages(document), 1)
    assert abs(body_style(pages).size - 10) <= 0.5
    texts = [line.text for line in pages[0].lines]
    assert "seven runs over more years, a summary." in texts


def test_a_figure_in_a_paper_in_bitmap_fonts(tmp_path):
    path = tmp_path / "bitmap.pdf"
    _paper(path)
    (row,) = extract_document(path).rows
    assert row["label"] == "Figure 1"
    assert row["caption"] == (
        "The spectra as measured (solid) and the mean of seven runs over more years, a summary."
    )
    assert iou(row["bbox"], [150, 72, 450, 192]) > 0.9
