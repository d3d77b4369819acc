"""Where captions end: lines that go on, and lines that do not."""

import pytest
from pdf_samples import COLUMN, FULL, LEFT, RIGHT, Sheet, check, read
from reportlab.lib.utils import simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont

from cephalo.dataset_scripts.common.geometry import iou


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "sample.pdf")


def table(sheet: Sheet, x: float, y: float, width: float = COLUMN) -> None:
    """Four rows of three cells between rules."""
    sheet.canvas.line(x, 792 - y, x + width, 792 - y)
    for row in range(4):
        for column, text in enumerate((f"S{row}", f"{3.1 + row:.1f}", f"{40 + row}")):
            sheet.text(x + width / 3 * column, y + 8 + 12 * row, text, size=9)
    sheet.canvas.line(x, 792 - y - 62, x + width, 792 - y - 62)


def test_the_captions_of_two_tables_side_by_side_do_not_end_each_other(sheet):
    first = "Results of the hardness of all samples in the front test against air."
    second = "Measurement results of the hardness of the same samples in water."
    for x, label, text in ((LEFT, "Table 3:", first), (LEFT + COLUMN + 4, "Table 4:", second)):
        end = sheet.caption(x, 72, label, text)
        assert end > 90  # two lines
        table(sheet, x, end + 6)
        sheet.body(x, 200, 700)
    rows = read(sheet, kinds=("table",))
    assert [row["caption"] for row in rows] == [first, second]


def test_a_ragged_caption_of_a_table_goes_on_with_a_longer_line(sheet):
    lines = (
        "Table 1. Tags and recapture of the samples that were found in the long survey",
        "Deepwater-Installation-Programme of the coast. Its length and years at liberty are given.",
    )
    for number, line in enumerate(lines):
        sheet.text(LEFT, 72 + 10.8 * number, line, FULL, 9)
    table(sheet, LEFT, 110, FULL)
    sheet.body(LEFT, 200, 700)
    sheet.body(RIGHT, 200, 700)
    (row,) = read(sheet, kinds=("table",))
    assert row["caption"] == " ".join(lines)[9:]


def test_a_last_line_that_repeats_at_the_foot_of_pages_is_no_running_foot(sheet):
    box = [LEFT, 500, LEFT + COLUMN, 690]
    for page in range(3):
        sheet.body(LEFT, 72, 480)
        sheet.body(RIGHT, 72, 700)
        sheet.image(box, page)
        sheet.text(
            LEFT, 700, f"Fig. {page + 1} Hardness of sample {page} in air. For details,", size=9
        )
        sheet.text(LEFT, 710.8, "see Methods", size=9)
        sheet.text(LEFT, 750, "Journal of Samples", size=9)
        sheet.next()
    captions = [f"Hardness of sample {page} in air. For details, see Methods" for page in range(3)]
    check(read(sheet), [(f"Fig. {k + 1}", captions[k], k, box) for k in range(3)])


def test_two_figures_in_one_column_with_ragged_captions(sheet):
    first, second = [LEFT, 72, LEFT + 110, 180], [LEFT + 126, 72, LEFT + 236, 180]
    for box, label in ((first, "Fig. 1."), (second, "Fig. 2.")):
        sheet.image(box, int(box[0]))
        sheet.caption(box[0], 186, label, "Hardness of the samples against time.", 110)
    sheet.body(LEFT, 260, 700)
    sheet.body(RIGHT, 72, 700)
    caption = "Hardness of the samples against time."
    check(read(sheet), [("Fig. 1", caption, 0, first), ("Fig. 2", caption, 0, second)])


@pytest.mark.parametrize("size", [9, 10])
def test_a_caption_goes_on_on_the_next_page_unless_that_is_body_text(sheet, size):
    text = "Hardness of the samples, " + "told at length and in many words, " * 12 + "to its end."
    lines = simpleSplit(f"Figure 1. {text}", "Times-Roman", 9, FULL)
    box = [LEFT, 400, RIGHT + COLUMN, 700]
    sheet.body(LEFT, 72, 390)
    sheet.body(RIGHT, 72, 390)
    sheet.image(box)
    sheet.text(LEFT, 710, lines[0], FULL + 10, 9)
    sheet.text(LEFT, 720.8, lines[1], FULL + 10, 9)
    sheet.next()
    for number, line in enumerate(lines[2:]):
        sheet.text(LEFT, 72 + 1.2 * size * number, line, FULL + 90, size)
    sheet.body(LEFT, 150, 700)
    sheet.body(RIGHT, 150, 700)
    whole = text if size == 9 else " ".join(lines[:2])[10:]
    check(read(sheet), [("Figure 1", whole, 0, box)])


def test_last_lines_that_repeat_within_pages_are_of_their_captions(sheet):
    box = [LEFT + 40, 72, LEFT + FULL - 40, 300]
    captions = [f"Hardness of sample {k} against time in air. Bars: deviations." for k in range(3)]
    for number, caption in enumerate(captions):
        sheet.plot(box)
        first, last = f"Figure {number + 1}. {caption}".split(" in air.")
        sheet.canvas.setFont("Times-Roman", 9)
        sheet.canvas.drawCentredString(306, 792 - 320, f"{first} in air.")
        sheet.canvas.drawCentredString(306, 792 - 331, last.strip())
        sheet.body(LEFT, 380, 700, FULL)
        sheet.next()
    check(read(sheet), [(f"Figure {k + 1}", captions[k], k, box) for k in range(3)])


@pytest.mark.parametrize("with_legends", [True, False])
def test_manuscripts_with_legends_on_a_page_and_figures_under_their_labels(sheet, with_legends):
    box = [LEFT, 100, LEFT + FULL, 500]
    legends = [f"Hardness of sample {k} against time, in air." for k in range(3)]
    sheet.body(LEFT, 72, 400, FULL)
    for number, legend in enumerate(legends if with_legends else []):
        sheet.text(LEFT, 430 + 40 * number, f"Figure {number + 1}. {legend}", FULL, 12)
    for number in range(3):
        sheet.next()
        sheet.plot(box)
        sheet.text(LEFT, 560, f"Figure {number + 1}", size=12)
    texts = legends if with_legends else [""] * 3
    check(read(sheet), [(f"Figure {k + 1}", texts[k], k + 1, box) for k in range(3)])


def test_a_label_that_repeats_that_of_a_figure_with_a_caption_makes_no_second_figure(sheet):
    box = [LEFT, 100, LEFT + FULL, 400]
    for page in range(2):
        sheet.image(box, page)
        sheet.caption(LEFT, 410, "Figure 1." if page == 0 else "Figure 1", "In air." * (page == 0))
        sheet.body(LEFT, 440, 700, FULL)
        sheet.next()
    check(read(sheet), [("Figure 1", "In air.", 0, box)])


def test_a_label_whose_word_and_number_are_parted_by_a_stretched_space(sheet):
    box = [LEFT, 72, LEFT + COLUMN, 222]
    sheet.image(box)
    for x, part in ((0, "Figure"), (40, "5."), (58, "Hardness of the samples in air")):
        sheet.text(LEFT + x, 230, part, COLUMN, 9)
    sheet.text(LEFT, 240.8, "against the time for which they were heated.", COLUMN, 9)
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 72, 700)
    caption = "Hardness of the samples in air against the time for which they were heated."
    check(read(sheet), [("Figure 5", caption, 0, box)])


def test_a_legend_beside_a_figure_is_not_taken_past_its_caption(sheet):
    upper, legend = [LEFT + 60, 72, LEFT + 300, 300], [LEFT + 320, 90, LEFT + 360, 280]
    lower = [LEFT + 20, 360, LEFT + 380, 560]
    sheet.image(upper, 1)
    sheet.image(legend, 2)
    sheet.caption(LEFT + 100, 310, "Figure 1.", "A mosaic of the samples.", 200)
    sheet.image(lower, 3)
    sheet.caption(
        LEFT + 60, 570, "Figure 2.", f"The samples as bars, {'side by side, ' * 4}all.", 300
    )
    sheet.body(LEFT, 610, 720, FULL)
    boxes = {row["label"]: row["bbox"] for row in read(sheet)}
    assert iou(boxes["Figure 2"], lower) > 0.9
    assert iou(boxes["Figure 1"], [LEFT + 60, 72, LEFT + 360, 300]) > 0.9


def test_a_short_chinese_sentence_above_a_figure_is_not_of_it(sheet):
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    style = {"font": "STSong-Light", "size": 12}
    row = "样品在空气中加热并在炉中冷却然后测定其硬度五次取平均值并给出标准差如下"
    for line in range(12):
        sheet.text(LEFT, 72 + 20 * line, row, FULL + 40, **style)
    sheet.text(LEFT + 24, 330, "附录中给出图片的示例见图 1。", FULL, **style)
    box = [LEFT + 80, 352, LEFT + 340, 540]
    sheet.image(box)
    sheet.text(LEFT + 130, 552, "图 1 样品的硬度", FULL, font="STSong-Light", size=11)
    assert iou(read(sheet)[0]["bbox"], box) > 0.95


def test_line_numbers_in_the_margin_are_of_no_figure_and_no_caption(sheet):
    box = [LEFT + 20, 72, LEFT + FULL - 20, 300]
    sheet.image(box)
    sheet.caption(LEFT, 312, "Figure 1.", "Hardness of the samples. " * 6 + "All in air.", FULL)
    sheet.body(LEFT, 372, 700, FULL)
    for number in range(52):
        sheet.text(LEFT - 24, 72 + 12 * number, str(number + 1), size=7)
    caption = "Hardness of the samples. " * 6 + "All in air."
    check(read(sheet), [("Figure 1", caption, 0, box)])


def test_a_continued_figure_is_a_row_of_its_own(sheet):
    box = [LEFT, 72, LEFT + FULL, 400]
    for page, text in enumerate(
        ("Hardness of the samples.", "(continued) Their hardness at last.")
    ):
        sheet.image(box, page)
        sheet.caption(LEFT, 410, "Figure 3.", text, FULL)
        sheet.body(LEFT, 450, 700, FULL)
        sheet.next()
    rows = read(sheet)
    assert [(row["label"], row["page"]) for row in rows] == [("Figure 3", 0), ("Figure 3", 1)]
    assert all(iou(row["bbox"], box) > 0.9 for row in rows)


@pytest.mark.parametrize("dot", [".", "\u00b7", "\u2022"])
def test_entries_of_a_list_of_figures_do_not_take_the_place_of_the_captions(sheet, dot):
    for k in range(2):  # as sure of themselves as the captions, and before them
        top = 100 + 16 * k
        entry = f"The name of a figure. {f'{dot} ' * 24}{k + 1}"
        sheet.caption(LEFT, top, f"Figure 2.{k + 1}.", entry, FULL)
    sheet.next()
    boxes = []
    for k in range(2):
        box = [LEFT, 72 + 320 * k, LEFT + COLUMN, 222 + 320 * k]
        sheet.image(box)
        sheet.text(LEFT, box[3] + 8, f"Figure 2.{k + 1} The name of a figure.")
        sheet.body(LEFT, box[3] + 60, box[3] + 160)
        boxes.append(box)
    sheet.body(RIGHT, 72, 700)
    check(
        read(sheet),
        [(f"Figure 2.{k + 1}", "The name of a figure.", 1, box) for k, box in enumerate(boxes)],
    )
