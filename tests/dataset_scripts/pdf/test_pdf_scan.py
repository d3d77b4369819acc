"""Scanned pages: found, straightened, their graphics told from text, and the whole way to rows."""

import json
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from datasets import load_dataset
from pdf_samples import COLUMN, HEIGHT, LEFT, SENTENCE, WIDTH, Sheet, one_figure
from PIL import Image
from rapidfuzz.distance import Levenshtein
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from scan_samples import BOXES, CAPTIONS, Scan, paper, pictures, soil, turned

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import run_command
from cephalo.dataset_scripts.common import workers
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import ink, ocr, scan
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.graphics import read_graphics
from cephalo.dataset_scripts.pdf.text import read_lines

LAYER = {  # what OCR left of `paper`, by the starts of its baselines
    (60.0, 268.0): "Figure 1. Hardness of the samples.",
    (316.0, 578.0): "Figure 2. Voids.",
    (60.0, 62.0): "On the Hardness of Annealed Samples",
}
LAYER |= {(60.0, 340 + 12.0 * k): SENTENCE[:50] for k in range(30)}
LAYER |= {(316.0, 108 + 12.0 * k): SENTENCE[50:100] for k in range(21)}
needs_ocr = pytest.mark.skipif(not ocr.is_available(), reason=f"needs OCR: {ocr.INSTALL}")


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> np.ndarray:
    return pictures(paper(tmp_path_factory.mktemp("paper") / "paper.pdf"))[0]


def judge(path: Path) -> bool:
    with fast.open_document(path) as document, fast.open_page(document, 0) as page:
        graphics = read_graphics(page)
        return scan.is_scan(page, read_lines(page, graphics.texts), graphics)


def check(path: Path, quarters: int = 0, page: int = 0) -> None:
    """The two figures of `paper` are found, as it lies turned by quarters."""
    rows = {row["label"]: row for row in extract_document(path).rows if row["page"] == page}
    assert sorted(rows) == sorted(CAPTIONS)
    for label, row in rows.items():
        assert Levenshtein.normalized_distance(row["caption"], CAPTIONS[label]) < 0.03
        assert iou(row["bbox"], turned(BOXES[label], quarters)) > 0.7


def test_a_scan_is_told_from_a_born_digital_page(tmp_path, picture):
    one_figure(tmp_path / "born.pdf")
    assert not judge(tmp_path / "born.pdf")
    bare = Scan(tmp_path / "bare.pdf")
    bare.page(picture)
    assert judge(bare.save())
    stamped = Scan(tmp_path / "stamped.pdf")
    stamped.page(picture, stamp="Downloaded from a library on a Monday. For personal use only.")
    assert judge(stamped.save())


def test_a_figure_that_fills_its_page_is_no_scan(tmp_path, monkeypatch):
    sheet = Sheet(tmp_path / "plate.pdf")
    box = [20.0, 20.0, WIDTH - 20, HEIGHT - 60]
    sheet.image(box)
    sheet.caption(60, HEIGHT - 50, "Figure 1.", "A map.", 400)
    sheet.save()
    monkeypatch.setattr(ocr, "find_text", None)  # it is never called
    (row,) = extract_document(tmp_path / "plate.pdf").rows
    assert row["caption"] == "A map."
    assert iou(row["bbox"], box) > 0.9


def test_text_over_a_background_is_no_scan(tmp_path, picture):
    sheet = Sheet(tmp_path / "slide.pdf")
    sheet.image([0, 0, WIDTH, HEIGHT])
    sheet.body(60, 100, 400)
    assert not judge(sheet.save())


def test_parts_are_labelled_like_a_flood():
    rng = np.random.default_rng(0)
    for share in (0.1, 0.4, 0.6):
        mask = rng.random((23, 31)) < share
        labels, count = ink.label_cells(mask)
        assert ((labels > 0) == mask).all()
        assert len(np.unique(labels[mask])) == count
        assert count == _flood(mask, labels)


def _flood(mask: np.ndarray, labels: np.ndarray) -> int:
    """Count the parts the slow way, and check that each has one label."""
    left, count = {tuple(cell) for cell in np.argwhere(mask).tolist()}, 0
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            near = {(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} & left
            left -= near
            edge |= near
        assert len({int(labels[cell]) for cell in part}) == 1
        count += 1
    return count


def straight(grey: np.ndarray, skew: float = 0.0, scale: float = 2.0) -> ink.Straight:
    return ink.straighten(grey, scale, 0, skew)


def test_graphics_are_the_ink_that_is_no_text():
    grey = np.full((1000, 800), 230.0)
    grey += 6 * np.random.default_rng(0).standard_normal(grey.shape)
    grey[100:300, 100:104] = grey[100:300, 396:400] = 20  # a frame
    grey[100:104, 100:400] = grey[296:300, 100:400] = 20
    grey[500:700, 450:700] = 150  # a pale picture
    grey[400:412, 100:300] = 0  # text
    grey[:, :15] = 30  # the shadow of the lid
    grey[900:902, 600:602] = 0  # a speck
    grey[800:900:20, 100:400:20] = grey[801:901:20, 100:400:20] = 0  # too pale to be ink
    found, fill = ink.find_graphics(
        straight(grey.clip(0, 255).astype(np.uint8)), np.array([[100, 400, 300, 412.0]])
    )
    expected = [[100, 100, 400, 300], [450, 500, 700, 700]]
    assert len(found) == 2
    order = np.argsort(found[:, 0])
    assert np.abs(found[order] - expected).max() < 6
    assert fill[order][0] < 0.2 < 0.8 < fill[order][1]


def test_small_marks_make_one_graphic():
    grey = np.full((600, 600), 255, np.uint8)
    for y in range(100, 300, 40):
        for x in range(100, 300, 40):
            grey[y : y + 12, x : x + 12] = 0
    found, _ = ink.find_graphics(straight(grey), np.zeros((0, 4)))
    assert np.abs(found - [[100, 100, 272, 272]]).max() < 6


def test_an_empty_page_has_no_graphics():
    found, fill = ink.find_graphics(straight(np.full((50, 40), 255, np.uint8)), np.zeros((0, 4)))
    assert found.shape == (0, 4) and fill.shape == (0,)
    assert ink.find_graphics(straight(np.zeros((1, 1), np.uint8)), found)[0].shape == (0, 4)


@pytest.mark.parametrize("degrees", [-1.5, 0.5])
def test_a_box_finds_back_to_its_place_on_a_skewed_page(degrees):
    level = np.full((800, 600), 255, np.uint8)
    level[100:160, 400:520] = 0
    turned_page = Image.fromarray(level).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    skewed = np.asarray(turned_page)
    picture = straight(skewed, -np.radians(degrees), scale=1.0)
    box = dark_box(picture.grey)
    assert np.abs(box - [400, 100, 520, 160]).max() <= 1
    back, seen = picture.to_points(box[None])[0], dark_box(skewed)
    assert np.abs((back[:2] + back[2:] - seen[:2] - seen[2:]) / 2).max() < 1


def dark_box(grey: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(grey < 128)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


def test_a_layer_that_ocr_left_is_used(tmp_path, monkeypatch, picture):
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    sheet = Scan(tmp_path / "layer.pdf")
    sheet.page(soil(picture), layer=LAYER)
    rows = {row["label"]: row for row in extract_document(sheet.save()).rows}
    assert rows["Figure 1"]["caption"] == "Hardness of the samples."
    assert rows["Figure 2"]["caption"] == "Voids."
    for label, box in BOXES.items():
        assert iou(rows[label]["bbox"], box) > 0.7


def layered(tmp_path: Path, picture: np.ndarray, share: float = 1.0) -> Path:
    """A scan with a text layer under its picture, which takes `share` of each side of the sheet."""
    canvas = Canvas(str(tmp_path / "layer.pdf"), pagesize=(WIDTH, HEIGHT), invariant=1)
    canvas.translate((1 - share) / 2 * WIDTH, (1 - share) / 2 * HEIGHT)
    canvas.scale(share, share)
    text = canvas.beginText()
    text.setTextRenderMode(3)
    text.setFont("Times-Roman", 10)
    for (x, y), line in LAYER.items():
        text.setTextOrigin(x, HEIGHT - y)
        text.textOut(line)
    canvas.drawText(text)
    canvas.drawImage(ImageReader(Image.fromarray(picture)), 0, 0, WIDTH, HEIGHT)
    canvas.save()
    return tmp_path / "layer.pdf"


def test_a_layer_under_the_picture_of_a_scan_on_a_larger_sheet(tmp_path, monkeypatch, picture):
    """Archives of journals set scans of small pages on Letter or A4."""
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    rows = extract_document(layered(tmp_path, picture, 0.75)).rows
    assert [row["caption"] for row in rows] == ["Hardness of the samples.", "Voids."]
    for row in rows:
        box = np.array(BOXES[row["label"]]) * 0.75
        box += np.tile([0.125 * WIDTH, 0.125 * HEIGHT], 2)
        assert iou(row["bbox"], box.tolist()) > 0.7


def test_text_without_ink_under_a_small_picture_is_no_text_of_the_page(tmp_path):
    sheet = Sheet(tmp_path / "plate.pdf")
    text = sheet.canvas.beginText(LEFT + 10, HEIGHT - 150)
    text.setTextRenderMode(3)
    text.setFont("Times-Roman", 9)
    text.textLine("Figure 7. What OCR made of a picture with a figure in it.")
    sheet.canvas.saveState()
    sheet.canvas.drawText(text)
    sheet.canvas.restoreState()
    sheet.image([LEFT, 72.0, LEFT + COLUMN, 222.0])
    sheet.caption(LEFT, 230, "Figure 1.", "A picture.")
    sheet.body(LEFT, 290, 700)
    (row,) = extract_document(sheet.save()).rows
    assert (row["label"], row["caption"]) == ("Figure 1", "A picture.")


def test_a_scan_read_by_its_layer_alone_is_told(tmp_path, monkeypatch, picture):
    path = layered(tmp_path, picture)
    with monkeypatch.context() as patch:
        patch.setattr(ocr, "is_available", lambda: False)
        found = extract_document(path)
    assert len(found.rows) == 2
    assert found.unread == (
        "1 of 1 pages are scans, read from another program's text layer, which may lack captions; "
        f"OCR reads the scans: {ocr.INSTALL}"
    )


def hide_extra(tmp_path: Path, monkeypatch) -> None:
    """Hide the extra from this process and from the workers, which are processes of their own."""
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import importlib.util as found\n"
        "find = found.find_spec\n"
        "found.find_spec = lambda name, *rest: None if name == 'rapidocr' else find(name, *rest)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hook))
    # Workers are forks of a process that has started already; these start by themselves.
    monkeypatch.setattr(workers, "quick_context", lambda: get_context("spawn"))


def test_without_the_extra_a_scan_is_a_failure_that_names_it(tmp_path, monkeypatch, picture):
    hide_extra(tmp_path, monkeypatch)
    bare = Scan(tmp_path / "scan.pdf")
    bare.page(picture)
    one_figure(tmp_path / "born.pdf")
    out = tmp_path / "out"
    run_command("extract", [str(bare.save()), str(tmp_path / "born.pdf"), "--out", str(out)])
    (line,) = (out / "failures.jsonl").read_text().splitlines()
    assert Path(json.loads(line)["file"]).name == "scan.pdf"
    assert json.loads(line)["reason"].endswith('pip install "cephalo[ocr]"')
    assert len(list((out / "figures").glob("*.parquet"))) == 1
    with pytest.raises(CephaloError, match="cephalo\\[ocr\\]"):
        run_command("extract", [str(tmp_path / "scan.pdf"), "--out", str(tmp_path / "other")])


def mixed(path: Path, picture: np.ndarray) -> Path:
    """A scan between two born-digital pages with a figure each."""
    whole = pypdfium2.PdfDocument.new()
    for number, label in enumerate(("Figure 7.", "", "Figure 8.")):
        part = path.with_name(f"{number}.pdf")
        sheet = Sheet(part) if label else Scan(part)
        if label:
            sheet.image([LEFT, 72.0, LEFT + COLUMN, 222.0], number)
            sheet.caption(LEFT, 230, label, "Born digital.")
            sheet.body(LEFT, 290, 700)
        else:
            sheet.page(picture)
        whole.import_pages(pypdfium2.PdfDocument(sheet.save()))
    whole.save(path)
    return path


def test_without_the_extra_a_mixed_document_gives_its_other_pages(tmp_path, monkeypatch, picture):
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    rows = extract_document(mixed(tmp_path / "mixed.pdf", picture)).rows
    assert [(row["page"], row["label"]) for row in rows] == [(0, "Figure 7"), (2, "Figure 8")]


@needs_ocr
def test_a_mixed_document_is_read_again_once_the_extra_is_there(tmp_path, picture, capsys):
    path, out = mixed(tmp_path / "mixed.pdf", picture), tmp_path / "out"
    command = [str(path), "--out", str(out), "--kinds", "figure"]

    def run() -> tuple[str, list[str], list[str]]:
        capsys.readouterr()
        run_command("extract", command)
        figures = load_dataset("parquet", data_files=[str(next(out.glob("figures/*.parquet")))])
        failures = map(json.loads, (out / "failures.jsonl").read_text().splitlines())
        told = [f"{Path(line['file']).name} {line['reason']}" for line in failures]
        return capsys.readouterr().out[:36], figures["train"]["label"], told

    born, told = ["Figure 7", "Figure 8"], f"1 of 3 pages are scans, which need OCR: {ocr.INSTALL}"
    with pytest.MonkeyPatch.context() as patch:
        hide_extra(tmp_path, patch)
        assert run() == ("1 documents read, 0 read before, 3 p", born, [f"mixed.pdf: scans {told}"])
        assert run() == ("0 documents read, 1 read before, 0 p", born, [f"mixed.pdf: scans {told}"])
    whole = ["Figure 7", "Figure 1", "Figure 2", "Figure 8"]
    assert run() == ("1 documents read, 0 read before, 3 p", whole, [])
    assert run() == ("0 documents read, 1 read before, 0 p", whole, [])
    assert len(list(out.glob("figures/*.parquet"))) == 1


@needs_ocr
def test_a_skewed_noisy_scan(tmp_path, picture):
    sheet = Scan(tmp_path / "scan.pdf")
    sheet.page(soil(picture, skew=0.5))
    check(sheet.save())


@needs_ocr
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_scan(tmp_path, picture, quarters):
    sheet = Scan(tmp_path / "scan.pdf")
    sheet.page(np.ascontiguousarray(np.rot90(soil(picture, skew=-0.4), -quarters)))
    check(sheet.save(), quarters)


@needs_ocr
def test_rotate_that_sets_a_turned_scan_upright(tmp_path, picture):
    sheet = Scan(tmp_path / "scan.pdf")
    sheet.page(np.ascontiguousarray(np.rot90(picture, 1)), rotate=90)
    check(sheet.save())


@needs_ocr
def test_a_mixed_document(tmp_path, picture):
    path = mixed(tmp_path / "mixed.pdf", picture)
    check(path, page=1)
    assert {row["page"] for row in extract_document(path).rows} == {0, 1, 2}
