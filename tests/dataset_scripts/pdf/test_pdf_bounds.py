"""Pages with more on them than is read: nothing of it vanishes without a word."""

import json

import numpy as np
import pytest
from pdf_samples import COLUMN, LEFT, RIGHT, Sheet, one_figure

from cephalo.cli.main import run_command
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import graphics as drawn
from cephalo.dataset_scripts.pdf import pdfium as fast
from cephalo.dataset_scripts.pdf import reading, text
from cephalo.dataset_scripts.pdf.document import extract_document

CLOUD = [LEFT, 80.0, LEFT + COLUMN, 300.0]
PLOT = [LEFT, 360.0, LEFT + COLUMN, 520.0]
CUT = "1 of 1 pages have more objects or characters than are read"


def crowded(path, count: int = 3000):
    """A cloud of points, with a plot drawn after it."""
    sheet = Sheet(path)
    x0, y0, x1, y1 = CLOUD
    points = np.random.default_rng(0).uniform([x0, y0], [x1 - 2, y1 - 2], (count, 2))
    points[:2] = [x0, y0], [x1 - 2, y1 - 2]
    for x, y in points.tolist():
        sheet.canvas.rect(x, 792 - y - 2, 2, 2, stroke=0, fill=1)
    sheet.caption(LEFT, 310, "Figure 1.", "A cloud of points.")
    sheet.plot(PLOT)
    sheet.caption(LEFT, 530, "Figure 2.", "What is drawn after the cloud.")
    sheet.body(LEFT, 580, 700)
    sheet.body(RIGHT, 80, 700)
    return sheet.save()


@pytest.mark.parametrize("most", [200, 2500, 3010, 100_000])
def test_graphics_beyond_the_limit_are_found_by_their_ink(tmp_path, monkeypatch, most):
    monkeypatch.setattr(drawn, "MAX_OBJECTS", most)
    found = extract_document(crowded(tmp_path / "crowded.pdf"))
    assert [row["label"] for row in found.rows] == ["Figure 1", "Figure 2"]
    for row, box in zip(found.rows, (CLOUD, PLOT), strict=True):
        assert iou(row["bbox"], box) > 0.9
    assert (found.cut is None) == (most == 100_000)
    assert found.cut is None or found.cut.startswith(CUT)


def test_a_cut_page_is_listed_among_the_failures(tmp_path, capsys):
    path = crowded(tmp_path / "crowded.pdf", drawn.MAX_OBJECTS + 10)
    out = tmp_path / "out"
    for _ in range(2):  # the second time from what the shard says
        run_command("extract", [str(path), "--out", str(out), "--workers", "1"])
        (line,) = map(json.loads, (out / "failures.jsonl").read_text().splitlines())
        assert line["file"].endswith("crowded.pdf: cut pages")
        assert line["reason"].startswith(CUT)


def test_characters_beyond_the_limit_are_said(tmp_path, monkeypatch):
    one_figure(tmp_path / "one.pdf")
    assert extract_document(tmp_path / "one.pdf").cut is None
    monkeypatch.setattr(text, "MAX_CHARS", 1000)
    monkeypatch.setattr(reading, "MAX_CHARS", 1000)
    assert extract_document(tmp_path / "one.pdf").cut.startswith(CUT)


def graphics_of(path) -> drawn.Graphics:
    with fast.open_document(path) as document, fast.open_page(document, 0) as page:
        return drawn.read_graphics(page)


def clipped(path, corners: int, paths: int = 1):
    """A picture of the whole page, clipped to a disk around (200, 300) with a radius of 100."""
    sheet = Sheet(path)
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    points = np.stack([200 + 100 * np.cos(angles), 492 + 100 * np.sin(angles)], axis=1)
    for radius in [900.0] * (paths - 1) + [100.0]:
        outline = sheet.canvas.beginPath()
        outline.moveTo(*(points[0] - [200, 492]) * radius / 100 + [200, 492])
        for point in points[1:]:
            outline.lineTo(*(point - [200, 492]) * radius / 100 + [200, 492])
        outline.close()
        sheet.canvas.clipPath(outline, stroke=0, fill=0)
    sheet.image([0.0, 0.0, 612.0, 792.0])
    return sheet.save()


@pytest.mark.parametrize(("corners", "paths"), [(4, 1), (4, 30), (180, 1), (5000, 1)])
def test_a_clip_of_any_length_bounds_what_it_clips(tmp_path, corners, paths):
    found = graphics_of(clipped(tmp_path / "clip.pdf", corners, paths))
    assert not found.cut
    assert found.boxes[0] == pytest.approx([100, 200, 300, 400], abs=0.5)


def test_what_is_clipped_beyond_the_limit_is_found_by_its_ink(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "MAX_CLIP_POINTS", 1000)
    path = clipped(tmp_path / "clip.pdf", 5000)
    found = graphics_of(path)
    assert found.cut and not len(found.boxes)
    with fast.open_document(path) as document:
        (page,), gaps = reading.read_pages(fast.Pages(document), 1)
    assert gaps.cut == 1
    assert page.boxes[0] == pytest.approx([100, 200, 300, 400], abs=4)


def test_a_form_in_nine_others_is_one_graphic(tmp_path):
    sheet = Sheet(tmp_path / "forms.pdf")
    canvas = sheet.canvas
    canvas.beginForm("form0")
    canvas.rect(100, 300, 200, 150, fill=1)
    canvas.rect(120, 320, 20, 20, fill=1)
    canvas.endForm()
    for depth in range(1, 12):
        canvas.beginForm(f"form{depth}")
        canvas.doForm(f"form{depth - 1}")
        canvas.endForm()
    canvas.doForm("form11")
    found = graphics_of(sheet.save())
    assert len(found.boxes) == 1
    assert found.boxes[0] == pytest.approx([100, 342, 300, 492], abs=1.5)
