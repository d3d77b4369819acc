"""When a figure keeps the JPEG of its authors, on boxes and pixels made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from cephalo.dataset_scripts.pdf import document
from cephalo.dataset_scripts.pdf.document import keep_jpeg
from cephalo.dataset_scripts.pdf.embedded import lone_picture


def inked(height: int, width: int, rows: int | None = None, columns: int | None = None):
    """A white picture whose first rows and columns are black; by default all."""
    pixels = np.full((height, width, 1), 255, np.uint8)
    pixels[: rows or height, : columns or width] = 0
    return pixels


@pytest.fixture
def kept(monkeypatch):
    """What is kept of a JPEG of `pixels` in a box of `points`, and what was asked on the way."""

    def keep(pixels, points, found=True, like=True):
        box = (5.0, 7.0, 5.0 + points[0], 7.0 + points[1]) if points else None
        monkeypatch.setattr(document, "lone_picture", lambda pair, content: box)
        monkeypatch.setattr(
            document, "read_jpeg", lambda page, where: (b"jpeg", pixels) if found else None
        )
        asked = []
        monkeypatch.setattr(
            document, "looks_like", lambda *given: bool(asked.append(given)) or like
        )
        crop = keep_jpeg("page", None, None, "path")
        assert crop is None or asked == [("page", box, b"jpeg", pixels, "path")]
        return crop

    return keep


def test_a_jpeg_that_fills_its_box_is_kept_with_its_bytes_and_resolution(kept):
    pixels = inked(100, 200)
    crop = kept(pixels, (72.0, 36.0))
    assert (crop.data, crop.box, crop.dpi) == (b"jpeg", (5.0, 7.0, 77.0, 43.0), 200)
    assert crop.pixels is pixels
    assert kept(inked(40, 40), (14400.0, 14400.0)).dpi == 1
    assert kept(inked(100, 101), (72.0, 72.0)).dpi == 101


def test_without_a_lone_picture_a_jpeg_or_the_same_on_the_page_nothing_is_kept(kept):
    pixels = inked(100, 100)
    assert kept(pixels, (72.0, 72.0)) is not None
    assert kept(pixels, None) is None
    assert kept(pixels, (72.0, 72.0), found=False) is None
    assert kept(pixels, (72.0, 72.0), like=False) is None


@pytest.mark.parametrize(
    ("shape", "points", "keeps"),
    [
        ((100, 100), (12.0, 12.0), True),  # points
        ((99, 100), (12.0, 11.9), False),
        ((100, 99), (11.9, 12.0), False),
        ((8, 8), (72.0, 72.0), True),  # pixels
        ((8, 7), (72.0, 80.0), False),
        ((7, 8), (80.0, 72.0), False),
        ((100, 102), (72.0, 72.0), True),  # scales across and down
        ((102, 100), (72.0, 72.0), True),
        ((100, 104), (72.0, 72.0), False),
        ((104, 100), (72.0, 72.0), False),
    ],
)
def test_a_thin_or_stretched_jpeg_is_not_kept(kept, shape, points, keeps):
    assert (kept(inked(*shape), points) is not None) == keeps


@pytest.mark.parametrize(
    ("rows", "columns", "keeps"),
    [(100, 91, True), (91, 100, True), (100, 90, False), (90, 100, False), (94, 94, False)],
)
def test_ink_takes_more_than_nine_tenths_of_a_jpeg_that_is_kept(kept, rows, columns, keeps):
    pixels = inked(100, 100, rows, columns)
    for placed in (pixels, pixels[::-1], pixels[:, ::-1]):
        assert (kept(placed, (72.0, 72.0)) is not None) == keeps


def test_a_white_jpeg_is_not_kept(kept):
    assert kept(np.full((100, 100, 1), 255, np.uint8), (72.0, 72.0)) is None


def test_a_lone_picture_fills_its_figure_and_nothing_is_drawn_on_it():
    box = (10.0, 10.0, 110.0, 60.0)

    def lone(images=(box,), boxes=(box,), lines=(), quarters=0, region=box):
        pair = SimpleNamespace(
            atoms=[SimpleNamespace(images=list(images))], lines=lines, box=region
        )
        content = SimpleNamespace(quarters=quarters, boxes=np.array(boxes).reshape(-1, 4))
        return lone_picture(pair, content)

    assert lone() == box
    assert lone(images=()) is None and lone(images=(box, box)) is None
    assert lone(lines=["a label"]) is None and lone(quarters=1) is None
    assert lone(boxes=()) is None
    assert lone(boxes=(box, (20.0, 20.0, 30.0, 30.0))) is None
    # What only touches its edge is drawn beside it, and what lies farther inside on it.
    assert lone(boxes=(box, (109.0, 10.0, 120.0, 60.0))) == box
    assert lone(boxes=(box, (108.5, 10.0, 120.0, 60.0))) is None
    assert lone(region=(10.0, 10.0, 113.0, 60.0)) == box
    assert lone(region=(10.0, 10.0, 114.0, 60.0)) is None
