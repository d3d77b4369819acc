"""Text read from page pictures: pose, pieces, lines, and the labels that OCR gets wrong."""

import socket
from pathlib import Path

import numpy as np
import pytest
from pdf_samples import COLUMN, LEFT, Sheet
from rapidfuzz.distance import Levenshtein
from scan_samples import CAPTIONS, DPI, Scan, paper, pictures, soil

from benchmarks import bench_extract
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.common.workers import worker_pool
from cephalo.dataset_scripts.pdf import ocr, pieces
from cephalo.dataset_scripts.pdf.pieces import Piece

needs_ocr = pytest.mark.skipif(not ocr.is_available(), reason=f"needs OCR: {ocr.INSTALL}")
SCALE = DPI / 72


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> np.ndarray:
    return pictures(paper(tmp_path_factory.mktemp("paper") / "paper.pdf"))[0]


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("F1gure l. Samples", "Figure 1. Samples"),
        ("Fig. 1O: Samples", "Fig. 10: Samples"),
        ("FlG. 2 Samples", "FIG. 2 Samples"),
        ("FiGure 2 Samples", "Figure 2 Samples"),
        ("Ficure 2: Samples", "Figure 2: Samples"),
        ("FIGURE 2: Samples", "FIGURE 2: Samples"),
        ("Fig. l2. Samples", "Fig. 12. Samples"),
        ("Tab1e 3 Samples", "Table 3 Samples"),
        ("Figure 1\uff1a\uff08a\uff09Samples", "Figure 1:(a)Samples"),
        ("Figure S1. Samples", "Figure S1. Samples"),
        ("Fig. 1l shows", "Fig. 1l shows"),
        ("Figure I. Samples", "Figure I. Samples"),
        ("Figure 3.2 Samples", "Figure 3.2 Samples"),
        ("图 2\uff1a样品\uff08甲\uff09", "图 2\uff1a样品\uff08甲\uff09"),
        ("Filling l. of it", "Filling l. of it"),
    ],
)
def test_labels_are_mended(read, meant):
    assert ocr.mend(read) == meant


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Figure 3. The", True),
        ("Fig. 3 | The", True),
        ("FIG. 3 The", True),
        ("Figure 3", True),
        ("Figure 3 shows the", False),
        ("Figure 3a and b", False),
        ("The Figure 3", False),
    ],
)
def test_a_citing_sentence_starts_no_caption(text, starts):
    assert ocr.starts_caption(text) is starts


def text_picture(tmp_path, size: float, text: str = "The samples were examined at once") -> tuple:
    sheet = Sheet(tmp_path / "line.pdf")
    sheet.text(100, 100, text, 400, size)
    dark = 1 - pictures(sheet.save())[0].astype(np.float32) / 255
    width = 0.46 * size * len(text)
    return dark, np.array([[97, 100 - 0.2 * size, 103 + width, 100 + 1.2 * size]]) * SCALE


@pytest.mark.parametrize("size", [7, 10, 14])
def test_the_size_and_baseline_of_a_line(tmp_path, size):
    dark, boxes = text_picture(tmp_path, size)
    (piece,) = pieces.measure(dark, boxes)
    assert piece.size / SCALE == pytest.approx(size, rel=0.12)
    assert piece.base / SCALE == pytest.approx(100 + 0.8 * size, abs=0.6)
    assert piece.box[0] / SCALE == pytest.approx(100, abs=1)
    assert not piece.sideways


def test_a_box_over_two_columns_is_cut_at_their_gutter(tmp_path):
    sheet = Sheet(tmp_path / "columns.pdf")
    for k in range(3):
        sheet.text(100, 100 + 12 * k, "The samples were heated in air", 200)
        sheet.text(238, 100 + 12 * k, "before their hardness was read", 200)
    sheet.text(100, 200, "The samples were heated.   Before that they were cooled", 400)
    dark = 1 - pictures(sheet.save())[0].astype(np.float32) / 255
    over = np.array([[98, 110, 370, 124], [98, 198, 370, 212]]) * SCALE
    found = pieces.measure(dark, over)
    assert [round(piece.box[0] / SCALE) for piece in found] == [100, 238, 100]


def lines(*places: tuple[float, float, float], size: float = 20.0) -> list[Piece]:
    """Pieces from (left, right, baseline)."""
    return [Piece((x0, y - 0.7 * size, x1, y), size, y) for x0, x1, y in places]


def test_pieces_of_a_line_are_joined_but_not_columns():
    joined = pieces.join(lines((0, 90, 100), (96, 300, 101), (330, 600, 100), (0, 90, 125)))
    assert sorted((piece.box[0], piece.box[2]) for piece in joined) == [
        (0, 90),
        (0, 300),
        (330, 600),
    ]


@pytest.mark.parametrize("leading", [24, 44])
def test_blocks_are_lines_at_one_distance(leading):
    column = [(0, 400, 100 + leading * k) for k in range(4)]
    caption = [(0, 400, 100 + leading * 5.5 + leading * k) for k in range(3)]
    beside = [(450, 850, 100 + leading * k) for k in range(7)]
    blocks = pieces.find_blocks(lines(*column, *caption, *beside))
    assert sorted(len(block) for block in blocks) == [3, 4, 7]


def test_the_sizes_of_ideographs_are_their_heights():
    block = lines((0, 400, 100), (0, 400, 124), size=26)
    for piece in block:
        piece.text = "样品在空气中加热后缓慢冷却"
    pieces.resize_ideographs([block])
    assert block[0].size == pytest.approx(0.7 * 26 / 0.95)


@pytest.mark.parametrize("sides", [(1280, 992), (992, 1280), (1280, 1280), (1280, 32), (32, 32)])
def test_strips_cover_a_page_and_show_what_lies_beyond_their_seams(sides):
    height, width = sides
    found = ocr.strips(height, width)
    assert [first for _, _, first, _ in found] == [0, *(last for *_, last in found[:-1])]
    assert found[-1][3] == height
    (high,) = {bottom - top for top, bottom, _, _ in found}
    assert high % 32 == 0 and high * width < 560_000
    for top, bottom, first, last in found:
        assert top >= 0 and bottom <= height
        assert first - top >= 32 or first == 0
        assert bottom - last >= 32 or last == height


@needs_ocr
def test_strips_find_the_text_that_the_whole_page_shows(picture, monkeypatch):
    grey = soil(picture, skew=0.4)
    strips = _level(ocr.find_text(grey)).tolist()
    monkeypatch.setattr(ocr, "_STRIP", 1 << 30)
    whole = _level(ocr.find_text(grey)).tolist()
    assert len(strips) == pytest.approx(len(whole), abs=3) and len(whole) > 60
    kept = sum(max(iou(box, other) for other in strips) > 0.6 for box in whole)
    assert kept > 0.95 * len(whole)


@needs_ocr
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
def test_a_worker_that_reads_a_scan_stays_under_350_mb(tmp_path, picture):
    sheet = Scan(tmp_path / "scan.pdf")
    sheet.page(soil(picture, skew=0.5))
    with worker_pool(1) as pool:
        measured = pool.schedule(bench_extract.measure, args=[sheet.save()]).result()
    assert [row["label"] for row in measured.rows] == sorted(CAPTIONS)
    assert 100 < measured.memory < 350


@needs_ocr
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_the_pose_of_a_page(picture, quarters):
    top = soil(picture, skew=0.7)[: len(picture) // 2]  # half a page has lines enough
    found, skew, quads = ocr.find_pose(np.ascontiguousarray(np.rot90(top, quarters)))
    assert found == quarters
    assert np.degrees(skew) == pytest.approx(-0.7, abs=0.15)
    assert len(quads) > 20


@needs_ocr
def test_captions_are_read_and_running_text_is_not(picture, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # nothing reaches the network
    found = ocr.read_page(picture, _level(ocr.find_text(picture)))
    texts = [piece.text for piece in found if piece.text]
    for label, caption in CAPTIONS.items():
        start = next(text for text in texts if text.startswith(label))
        assert Levenshtein.distance(start, f"{label}. {caption}"[: len(start)]) <= 2
    body = [piece for piece in found if piece.box[1] > 340 * SCALE and piece.box[0] < 300 * SCALE]
    assert len(body) > 25
    assert all(piece.text is None for piece in body)
    assert all(piece.box[2] - piece.box[0] < (COLUMN + 25) * SCALE for piece in body)
    assert min(piece.box[0] for piece in found) > (LEFT - 5) * SCALE


@needs_ocr
def test_reading_is_bounded(picture, monkeypatch):
    monkeypatch.setattr(ocr, "MAX_READS", 3)
    found = ocr.read_page(picture, _level(ocr.find_text(picture)))
    assert sum(piece.text is not None for piece in found) <= 3


def _level(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1)
