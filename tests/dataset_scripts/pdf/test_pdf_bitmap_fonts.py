"""Papers in bitmap fonts, as TeX wrote them for long: no font says how high it is."""

from pathlib import Path

import pytest
from pdf_samples import SENTENCE
from raw_samples import stream, write_pdf
from reportlab.lib.utils import simpleSplit
from scan_samples import turned

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.document import extract_document, read_pages
from cephalo.dataset_scripts.pdf.pdfium import Pages, open_document
from cephalo.dataset_scripts.pdf.profile import body_style

_CHARACTERS = "".join(chr(code) for code in range(33, 127))
_LOW = set("acegmnopqrsuvwxyz")  # no higher than an "x"
_DEEP = set("gjpqy")
_SCALE = 0.12  # dots of a printer of 600 to the inch, in points


def _font(first: int, mirrored: bool = False) -> list[str]:
    """A Type 3 font of 10 points whose characters are black boxes, as objects from `first` on.

    dvips writes `mirrored` ones, whose letters stand on their heads but for the font's matrix.
    """
    glyphs = []
    up = -1 if mirrored else 1
    for character in _CHARACTERS:
        top = {".": 10, ",": 10, "-": 25}.get(character, 36 if character in _LOW else 58)
        low = -17 if character in _DEEP else 0
        ends = sorted((up * low, up * top))
        box = f"4 {ends[0]} 34 {ends[1] - ends[0]}"
        glyphs.append(stream(f"40 0 4 {ends[0]} 38 {ends[1]} d1 {box} re f"))
    names = [f"c{ord(character)}" for character in _CHARACTERS]
    procedures = " ".join(f"/{name} {first + 1 + k} 0 R" for k, name in enumerate(names))
    differences = " ".join(f"{ord(c)} /{name}" for c, name in zip(_CHARACTERS, names, strict=True))
    codes = "\n".join(f"<{ord(c):02x}> <{ord(c):04x}>" for c in _CHARACTERS)
    unicode = stream(
        "/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> "
        f"endcodespacerange {len(_CHARACTERS)} beginbfchar\n{codes}\nendbfchar endcmap end"
    )
    font = (
        f"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 0 0] /FontMatrix [1 0 0 {up} 0 0] "
        f"/FirstChar 33 /LastChar 126 /Widths [{'40 ' * len(names)}] "
        f"/CharProcs << {procedures} >> /Encoding << /Differences [{differences}] >> "
        f"/ToUnicode {first + 1 + len(names)} 0 R >>"
    )
    return [font, *glyphs, unicode]


def _text(x: float, y: float, text: str, up: int = 1) -> str:
    """A line with its baseline at `y` from the top; TeX moves from word to word.

    With `up` of -1 its letters are mirrored.
    """
    words, parts = text.split(), []
    for word in words:
        parts.append(
            f"BT /F 1 Tf {_SCALE} 0 0 {up * _SCALE} {x:.2f} {792 - y} Tm "
            f"({word.replace('(', chr(92) + '(').replace(')', chr(92) + ')')}) Tj ET"
        )
        x += (len(word) + 0.7) * 40 * _SCALE
    return "\n".join(parts)


def _content(up: int = 1) -> str:
    content = ["150 600 300 120 re S"]
    content += [f"{150 + 10 * k} 620 m {160 + 10 * k} {700 - k} l S" for k in range(29)]
    content.append(_text(120, 210, "Figure 1: The spectra as measured (solid) and the mean of", up))
    content.append(_text(120, 222, "seven runs over more years, a summary.", up))
    lines = simpleSplit(SENTENCE * 9, "Courier", 8, 380)
    content += [_text(120, 260 + 12 * row, line, up) for row, line in enumerate(lines[:38])]
    return "\n".join(content)


def _paper(path: Path) -> None:
    write_pdf(path, _content(), _font(5))


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


_MATRICES = ["1 0 0 1 0 0", "0 -1 1 0 0 612", "-1 0 0 -1 612 792", "0 1 -1 0 792 0"]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("rotate", [0, 1, 3])
def test_turned_pages_in_mirrored_bitmap_fonts(tmp_path, quarters, rotate):
    path = tmp_path / "turned.pdf"
    content = f"{_MATRICES[quarters]} cm\n{_content(-1)}"
    sides = "792 612" if quarters % 2 else "612 792"
    write_pdf(path, content, _font(5, True), page=f"/MediaBox [0 0 {sides}] /Rotate {90 * rotate}")
    (row,) = extract_document(path).rows
    assert row["label"] == "Figure 1"
    assert row["caption"] == (
        "The spectra as measured (solid) and the mean of seven runs over more years, a summary."
    )
    assert iou(row["bbox"], turned([150, 72, 450, 192], quarters + rotate)) > 0.9


def test_a_caption_in_the_one_bitmap_font_of_a_page(tmp_path):
    path = tmp_path / "one.pdf"
    lines = simpleSplit(SENTENCE * 9, "Courier", 8, 380)[:38]
    content = ["150 600 300 120 re S"]
    for row, line in enumerate(lines):
        content.append(f"BT /H 10 Tf 120 {792 - 260 - 12 * row} Td ({line}) Tj ET")
    content.insert(3, _text(120, 210, "Figure 1: so, as by one."))  # few characters among many
    more = "/H << /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>"
    write_pdf(path, "\n".join(content), _font(5), more)
    (row,) = extract_document(path).rows
    assert row["caption"] == "so, as by one."
    assert row["caption_bbox"][3] - row["caption_bbox"][1] == pytest.approx(10, abs=0.5)


def test_a_font_that_calls_itself_five_times_as_high_as_it_is(tmp_path):
    path = tmp_path / "tall.pdf"
    content = ["150 600 300 120 re S"]
    lines = ["Figure 1: so we are as soon as anyone, on bare", "axes at low power or by heating."]
    for row, line in enumerate(lines):
        content.append(f"BT /F 9 Tf 120 {792 - 210 - 11 * row} Td ({line}) Tj ET")
    for row, line in enumerate(simpleSplit(SENTENCE * 9, "Courier", 8, 380)[:38]):
        content.append(f"BT /F 10 Tf 120 {792 - 260 - 12 * row} Td ({line}) Tj ET")
    font = (
        "<< /Type /Font /Subtype /TrueType /BaseFont /Cambria /FirstChar 32 /LastChar 126 "
        f"/Widths [{'500 ' * 95}] /Encoding /WinAnsiEncoding /FontDescriptor 6 0 R >>"
    )
    metrics = (
        "<< /Type /FontDescriptor /FontName /Cambria /Flags 32 /FontBBox [-1475 -2463 2867 3117] "
        "/ItalicAngle 0 /Ascent 3117 /Descent -2463 /CapHeight 667 /StemV 80 >>"
    )
    write_pdf(path, "\n".join(content), [font, metrics])
    with open_document(path) as document:
        pages, _ = read_pages(Pages(document), 1)
    assert (body_style(pages).size, body_style(pages).leading) == pytest.approx((10, 12), abs=0.1)
    assert pages[0].lines[0].box[3] - pages[0].lines[0].box[1] == pytest.approx(9, abs=1.1)
    (row,) = extract_document(path).rows
    assert row["caption"] == "so we are as soon as anyone, on bare axes at low power or by heating."
