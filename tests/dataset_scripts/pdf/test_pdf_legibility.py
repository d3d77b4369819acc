"""Papers in fonts without a character mapping, and papers whose letters are drawn as paths."""

# ruff: noqa: RUF001
import string
from pathlib import Path

import numpy as np
import pytest
import reportlab
from pdf_samples import SENTENCE
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein
from raw_samples import stream, write_pdf
from reportlab.lib.utils import simpleSplit

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import ocr
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.legibility import is_garbled, is_soup

needs_ocr = pytest.mark.skipif(not ocr.is_available(), reason=f"needs OCR: {ocr.INSTALL}")
LANGUAGES = [
    SENTENCE,
    "Die Proben wurden an der Luft erhitzt und im Ofen abgekühlt, bevor ihre Härte an fünf Stellen "
    "gemessen wurde; angegeben ist der Mittelwert der fünf Messungen mit Standardabweichung.",
    "Próbki wygrzewano w powietrzu i chłodzono w piecu, po czym zmierzono ich twardość w pięciu "
    "miejscach; podano średnią z pięciu odczytów wraz z odchyleniem standardowym tej próby.",
    "Các mẫu được nung trong không khí và làm nguội trong lò trước khi đo độ cứng tại năm vị trí, "
    "và giá trị trung bình của năm lần đo được trình bày cùng với độ lệch chuẩn tại đây.",
    "Numuneler havada ısıtıldı ve fırında soğutuldu, ardından sertlikleri beş noktadan ölçüldü; "
    "beş ölçümün ortalaması standart sapması ile birlikte burada verilmektedir.",
    "Образцы нагревали на воздухе и охлаждали в печи, затем измеряли их твёрдость в пяти точках; "
    "приведено среднее из пяти измерений вместе со стандартным отклонением данной выборки.",
    "样品在空气中加热并在炉中冷却，然后在五个位置测量硬度。" * 8,
    "1.204 0.113 22.04 (3.1) 18.20 -0.77 4.19 ± 0.02 " * 8,
    f"Introduction {'. ' * 60}3 Methods {'. ' * 60}12 Results {'. ' * 60}15 ",
    "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDFSAGE",
    "GATTACAGATTACACCGGTTAACGT" * 20,
]


def shifted(text: str, by: int) -> str:
    return "".join(chr(ord(char) + by) for char in text)


@pytest.mark.parametrize("text", LANGUAGES)
def test_languages_numbers_and_sequences_have_a_meaning(text):
    assert not is_soup([text, text])


@pytest.mark.parametrize("by", [1, -1, 3, 5, -29, -31, 0xE000, 0xF0000])
def test_shifted_codes_have_none(by):
    assert is_soup([shifted(line, by) for line in (SENTENCE * 2).split()])


def test_letters_in_each_others_places_have_none():
    letters = np.array(list(string.ascii_lowercase))
    soup = 0
    for seed in range(100):
        mixed = "".join(np.random.default_rng(seed).permutation(letters))
        soup += is_soup(
            [(SENTENCE * 2).lower().translate(str.maketrans(string.ascii_lowercase, mixed))]
        )
    assert soup >= 70


def test_of_a_few_characters_nothing_is_said():
    assert not is_soup([shifted("Received in May", -29)])


def runs(character: str) -> str:
    """A letter in 38 by 90 units, as runs of ink."""
    picture = Image.new("L", (40, 90), 0)
    font = ImageFont.truetype(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf", 58)
    ImageDraw.Draw(picture).text((19, 66), character, 255, font, anchor="ms")
    found = []
    for row, line in enumerate(np.asarray(picture) > 128):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line, [0]])))
        found += [f"{a} {66 - row} {b - a} -1 re" for a, b in edges.reshape(-1, 2).tolist()]
    return " ".join(found)


def places() -> list[tuple[float, str]]:
    """The lines of a paper by their baselines: a caption and text."""
    caption = simpleSplit(f"Figure 1: {CAPTION}", "Courier", 8, 380)
    body = simpleSplit(SENTENCE * 9, "Courier", 8, 380)[:36]
    found = [(210.0 + 12 * row, line) for row, line in enumerate(caption)]
    return found + [(270.0 + 12 * row, line) for row, line in enumerate(body)]


def plot() -> list[str]:
    """What draws the figure."""
    lines = [f"{150 + 10 * k} 620 m {160 + 10 * k} {700 - k} l S" for k in range(29)]
    return ["150 600 300 120 re S", *lines]


def bitmap_font(first: int, count: int, width: int, bottom: int) -> str:
    """A font of `count` glyphs in 66 units above the line, from the code `first` on."""
    names = " ".join(f"/g{k}" for k in range(count))
    procedures = " ".join(f"/g{k} {6 + k} 0 R" for k in range(count))
    return (
        f"<< /Type /Font /Subtype /Type3 /FontBBox [0 {bottom} {width} 66] "
        f"/FontMatrix [1 0 0 1 0 0] /FirstChar {first} /LastChar {first + count - 1} "
        f"/Widths [{f'{width} ' * count}] /CharProcs << {procedures} >> "
        f"/Encoding << /Differences [{first} {names}] >> >>"
    )


def paper_in_codes(path: Path, shift: int) -> Path:
    """A plot, its caption and text in a bitmap font whose codes are those of other characters."""
    characters = [chr(code) for code in range(33, 127)]
    font = bitmap_font(33 + shift, 94, 40, -24)
    content = plot()
    for y, line in places():
        x = 110.0
        for word in line.split():
            codes = "".join(f"{ord(c) + shift:02x}" for c in word)
            content.append(f"BT /F 1 Tf 0.12 0 0 0.12 {x:.2f} {792 - y} Tm <{codes}> Tj ET")
            x += (len(word) + 0.8) * 40 * 0.12
    write_pdf(
        path,
        "\n".join(content),
        [font, *(stream(f"40 0 0 -24 40 66 d1 {runs(c)} f") for c in characters)],
    )
    return path


CAPTION = "Spectra of the samples before and after they were heated in air: means of seven runs."
UNMAPPED = "1 of 1 pages have fonts without a character mapping, which need OCR: pip"


@pytest.mark.parametrize("shift", [-30, 3, 120])
def test_a_paper_in_codes_without_meaning_is_said(tmp_path, monkeypatch, shift):
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    with pytest.raises(fast.UnreadableError, match=UNMAPPED):
        extract_document(paper_in_codes(tmp_path / "codes.pdf", shift))


@needs_ocr
@pytest.mark.parametrize("shift", [-30, 3])
def test_a_paper_in_codes_without_meaning_is_read_by_its_looks(tmp_path, shift):
    found = extract_document(paper_in_codes(tmp_path / "codes.pdf", shift))
    (row,) = found.rows
    assert row["label"] == "Figure 1"
    assert Levenshtein.normalized_distance(row["caption"], CAPTION) < 0.05
    assert iou(row["bbox"], [150, 72, 450, 192]) > 0.9
    assert found.unread is None


def paper_with_unknown_glyphs(path: Path, every: int) -> Path:
    """A page in Courier with a glyph of no known character after `every` words."""
    random = np.random.default_rng(3)
    blots = [
        " ".join(f"{x} {y} 6 6 re" for x, y in random.integers(0, 60, (40, 2)).tolist())
        for _ in range(8)
    ]
    font = bitmap_font(16, 8, 66, 0)
    content, count = plot(), 0
    for y, line in places():
        x = 110.0
        for word in line.split():
            shown = word.replace("(", "").replace(")", "")
            content.append(f"BT /T 8 Tf {x:.2f} {792 - y} Td ({shown} ) Tj ET")
            x += (len(shown) + 1) * 4.8
            count += 1
            if count % every == 0:
                code = 16 + count // every % 8
                content.append(f"BT /F 1 Tf 0.1 0 0 0.1 {x:.2f} {792 - y} Tm <{code:02x}> Tj ET")
                x += 12
    courier = "/T << /Type /Font /Subtype /Type1 /BaseFont /Courier >>"
    write_pdf(
        path,
        "\n".join(content),
        [font, *map(stream, [f"66 0 0 0 66 66 d1 {b} f" for b in blots])],
        courier,
    )
    return path


@pytest.mark.parametrize(("every", "told"), [(1, True), (2, True), (40, False)])
def test_pages_with_many_glyphs_of_unknown_character_are_said(tmp_path, every, told):
    found = extract_document(paper_with_unknown_glyphs(tmp_path / "unknown.pdf", every))
    assert (found.unread, found.cut) == (None, None)
    expected = (
        "1 of 1 pages have many glyphs whose characters are unknown; figures there may be "
        "missing, and captions wrong"
    )
    assert found.garbled == (expected if told else None)


def test_a_share_of_unknown_glyphs_is_garbled():
    assert is_garbled([SENTENCE, SENTENCE, "\ufffd" * 20])
    assert not is_garbled([SENTENCE, SENTENCE, "\ufffd"])
    assert not is_garbled(["\ufffd" * 20])  # too few characters to judge


def outlined(path: Path) -> Path:
    """The paper with its letters drawn as paths, as illustrators' programs export them."""
    content = plot()
    for y, line in places():
        for number, character in enumerate(line):
            if character != " ":
                at = f"{110 + 4.8 * number:.2f} {792 - y}"
                content.append(f"q 0.12 0 0 0.12 {at} cm {runs(character)} f Q")
    write_pdf(path, "\n".join(content), ["<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"])
    return path


def test_letters_that_are_paths_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    with pytest.raises(fast.UnreadableError, match="1 of 1 pages are scans, which need OCR: pip"):
        extract_document(outlined(tmp_path / "paths.pdf"))


@needs_ocr
def test_letters_that_are_paths_are_read(tmp_path):
    (row,) = extract_document(outlined(tmp_path / "paths.pdf")).rows
    assert Levenshtein.normalized_distance(row["caption"], CAPTION) < 0.05
    assert iou(row["bbox"], [150, 72, 450, 192]) > 0.9


def test_a_map_of_cells_without_text_is_no_text(tmp_path, monkeypatch):
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    cells = [f"{60 + 6 * k} {100 + 6 * row} 5 5 re f" for k in range(80) for row in range(100)]
    font = ["<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"]
    write_pdf(tmp_path / "cells.pdf", "\n".join(cells), font)
    found = extract_document(tmp_path / "cells.pdf")
    assert (found.rows, found.unread) == ([], None)
