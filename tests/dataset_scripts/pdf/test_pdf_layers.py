"""Scans with a layer of text: over or under the picture, turned, uneven, without meaning."""

from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from pdf_samples import HEIGHT, SENTENCE, WIDTH
from PIL import Image
from rapidfuzz.distance import Levenshtein
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from scan_samples import BOXES, CAPTIONS, paper, pictures, soil, turned

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import ocr
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.text import Line, read_lines

needs_ocr = pytest.mark.skipif(not ocr.is_available(), reason=f"needs OCR: {ocr.INSTALL}")


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> tuple[np.ndarray, list[Line]]:
    """The picture of a paper, and its lines."""
    path = paper(tmp_path_factory.mktemp("paper") / "paper.pdf")
    with fast.open_document(path) as document, fast.open_page(document, 0) as page:
        lines = read_lines(page)
    return soil(pictures(path)[0]), lines


@pytest.fixture
def no_ocr(monkeypatch):
    monkeypatch.setattr(ocr, "is_available", lambda: False)


class Layered:
    """A page that shows a picture, with a layer of text."""

    def __init__(self, path: Path, sheet: tuple[float, float] = (WIDTH, HEIGHT)) -> None:
        self.canvas = Canvas(str(path), pagesize=sheet, invariant=1)
        self.path = path

    def picture(self, picture: np.ndarray, strips: int = 1) -> None:
        """Draw a picture of a page, in strips from top to bottom."""
        for number, part in enumerate(np.array_split(picture, strips)):
            top = HEIGHT * number / strips
            image = ImageReader(Image.fromarray(np.ascontiguousarray(part)))
            self.canvas.drawImage(image, 0, HEIGHT - top - HEIGHT / strips, WIDTH, HEIGHT / strips)

    def text(self, lines: list[Line], mode: int = 3, uneven: float = 0.0, shift: int = 0) -> None:
        """Write lines in a mode of rendering, with codes shifted by `shift`.

        Their sizes, baselines and ends are off by about `uneven` times their sizes.
        """
        noise = np.random.default_rng(0)
        for line in lines:
            x0, _, x1, y1 = line.box
            size = line.size * (1 + uneven * noise.uniform(-1, 1))
            text = self.canvas.beginText()
            text.setTextRenderMode(mode)
            text.setFont("Times-Roman", size)
            off = uneven * line.size * noise.uniform(-1, 1, 3)
            text.setTextOrigin(x0 + off[0], HEIGHT - y1 + 0.2 * line.size + off[1] / 2)
            wide = self.canvas.stringWidth(line.text, "Times-Roman", size)
            text.setHorizScale(100 * (x1 - x0 + off[2]) / wide)
            text.textOut("".join(chr(ord(c) + shift) if c.isalnum() else c for c in line.text))
            self.canvas.drawText(text)

    def save(self, quarters: int = 0) -> Path:
        """Write the file, turned by quarters."""
        self.canvas.showPage()
        self.canvas.save()
        turned_path = self.path.with_name("turned.pdf")
        document = pypdfium2.PdfDocument(self.path)
        document[0].set_rotation(90 * quarters)
        document.save(turned_path)
        return turned_path


def check(path: Path, quarters: int = 0, least: float = 0.8) -> None:
    """The two figures of `paper` are found, as it lies turned by quarters."""
    rows = {row["label"]: row for row in extract_document(path).rows}
    assert sorted(rows) == sorted(CAPTIONS)
    for label, row in rows.items():
        assert Levenshtein.normalized_distance(row["caption"], CAPTIONS[label]) < 0.03
        assert iou(row["bbox"], turned(BOXES[label], quarters)) > least


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_an_uneven_layer(tmp_path, printed, no_ocr, quarters):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.picture(picture)
    sheet.text(lines, uneven=0.2)
    check(sheet.save(quarters), quarters)


@pytest.mark.parametrize("strips", [1, 9])
def test_text_under_the_picture(tmp_path, printed, no_ocr, strips):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.text(lines, mode=0)
    sheet.picture(picture, strips)
    check(sheet.save())


def test_a_scan_on_a_larger_sheet_with_terms_of_use(tmp_path, printed, no_ocr):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf", (WIDTH * 1.4, HEIGHT * 1.4))
    sheet.canvas.setFont("Helvetica", 6)
    terms = "Downloaded from a library on a Monday; see its terms of use for what is allowed. "
    for row in range(5):
        sheet.canvas.drawString(100, HEIGHT * 1.4 - 40 - 7 * row, terms * 2)
    sheet.canvas.translate(0.2 * WIDTH, 0.2 * HEIGHT)
    sheet.picture(picture)
    sheet.text(lines, uneven=0.1)
    path = sheet.save()
    rows = {row["label"]: row for row in extract_document(path).rows}
    assert {label: row["caption"] for label, row in rows.items()} == CAPTIONS
    for label, row in rows.items():
        x0, y0, x1, y1 = BOXES[label]
        across, down = 0.2 * WIDTH, 0.2 * HEIGHT
        assert iou(row["bbox"], [x0 + across, y0 + down, x1 + across, y1 + down]) > 0.8


def test_a_layer_without_meaning_is_said(tmp_path, printed, no_ocr):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.picture(picture)
    sheet.text(lines, shift=1)
    with pytest.raises(fast.UnreadableError, match=r"1 of 1 pages are scans, which need OCR: pip"):
        extract_document(sheet.save())


@needs_ocr
def test_a_layer_without_meaning_is_read_anew(tmp_path, printed):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.picture(picture)
    sheet.text(lines, shift=1)
    check(sheet.save())


@needs_ocr
def test_text_that_ocr_leaves_unread_comes_from_the_layer(tmp_path, printed):
    picture, lines = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.picture(picture)
    sheet.text(lines, uneven=0.1)
    path = sheet.save()
    check(path)
    passages = extract_document(path, Settings(text=True)).passages
    assert any(SENTENCE.strip() in passage["text"] for passage in passages)


@needs_ocr
def test_a_scan_with_more_text_than_is_read_is_said(tmp_path, printed, monkeypatch):
    picture, _ = printed
    sheet = Layered(tmp_path / "scan.pdf")
    sheet.picture(picture)
    path = sheet.save()
    assert extract_document(path).cut is None
    monkeypatch.setattr(ocr, "MAX_READS", 3)
    assert extract_document(path).cut.startswith("1 of 1 pages have more objects or characters")


def test_words_under_a_figure_as_large_as_its_page_are_no_layer(tmp_path, no_ocr):
    """Hidden words of another version; the caption is printed."""
    sheet = Layered(tmp_path / "plate.pdf")
    canvas = sheet.canvas
    canvas.setFont("Times-Roman", 10)
    canvas.drawString(80, 500, "Figure 8. What stood here before the figure was drawn over it.")
    noise = np.random.default_rng(0).integers(0, 255, (60, 50), np.uint8)
    canvas.drawImage(ImageReader(Image.fromarray(noise)), 20, 80, WIDTH - 40, HEIGHT - 100)
    canvas.drawString(60, 50, "Figure 1. A map of the region.")
    (row,) = extract_document(sheet.save()).rows
    assert (row["label"], row["caption"]) == ("Figure 1", "A map of the region.")
    assert iou(row["bbox"], [20, 20, WIDTH - 20, HEIGHT - 80]) > 0.95
