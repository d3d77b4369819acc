"""Whole pages in the layouts that papers have: captions, boxes and labels, made on the spot."""

import io
from dataclasses import replace

import numpy as np
import pypdfium2
import pytest
from pdf_samples import (
    COLUMN,
    FULL,
    LEFT,
    RIGHT,
    SENTENCE,
    Sheet,
    check,
    one_figure,
    read,
    text_only,
)
from PIL import Image, ImageCms
from reportlab.lib.units import inch

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf import embedded
from cephalo.dataset_scripts.pdf.document import extract_document
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.text import is_bold


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "sample.pdf")


@pytest.mark.parametrize(
    ("printed", "label", "kind"),
    [
        ("Figure 1.", "Figure 1", "figure"),
        ("Fig. 2 |", "Fig. 2", "figure"),
        ("FIG. 3.", "FIG. 3", "figure"),
        ("Figure S1:", "Figure S1", "figure"),
        ("Extended Data Fig. 1 |", "Extended Data Fig. 1", "figure"),
        ("Scheme 1.", "Scheme 1", "scheme"),
        ("Chart 1.", "Chart 1", "chart"),
        ("Abb. 1:", "Abb. 1", "figure"),
        ("Figura 1.", "Figura 1", "figure"),
        ("Figure 1.2:", "Figure 1.2", "figure"),
    ],
)
def test_labels_of_many_journals(sheet, printed, label, kind):
    box = [LEFT, 72, LEFT + COLUMN, 222]
    sheet.image(box)
    sheet.caption(LEFT, 230, printed, "Hardness of the samples.")
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 72, 700)
    rows = read(sheet)
    check(rows, [(label, "Hardness of the samples.", 0, box)])
    assert rows[0]["kind"] == kind


def test_a_vector_plot_with_its_tick_labels(sheet):
    box = [RIGHT, 72, RIGHT + COLUMN, 222]
    sheet.plot(box)
    sheet.caption(RIGHT, 232, "Figure 1.", "Counts against time.")
    sheet.body(LEFT, 72, 700)
    sheet.body(RIGHT, 290, 700)
    check(read(sheet), [("Figure 1", "Counts against time.", 0, box)])


def test_a_figure_across_both_columns(sheet):
    left, right = [LEFT, 72, LEFT + 220, 222], [RIGHT + 16, 72, RIGHT + COLUMN, 222]
    sheet.image(left, 1)
    sheet.image(right, 2)
    sheet.caption(LEFT, 232, "Figure 1.", "Two pictures that are one figure.", FULL)
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 290, 700)
    whole = [LEFT, 72, RIGHT + COLUMN, 222]
    check(read(sheet), [("Figure 1", "Two pictures that are one figure.", 0, whole)])


def test_stacked_figures_and_captions_of_many_lines(sheet):
    long = "The first of two, " + "told at length and in many words, " * 12 + "to its end."
    first, second = [LEFT, 72, LEFT + COLUMN, 200], [LEFT, 380, LEFT + COLUMN, 500]
    sheet.image(first, 1)
    sheet.caption(LEFT, 208, "Figure 1.", long)
    sheet.plot(second)
    sheet.caption(LEFT, 510, "Figure 2.", "The second of two.")
    sheet.body(LEFT, 560, 700)
    sheet.body(RIGHT, 72, 700)
    check(
        read(sheet),
        [("Figure 1", long, 0, first), ("Figure 2", "The second of two.", 0, second)],
    )


def test_figures_side_by_side_with_a_caption_each(sheet):
    first, second = [LEFT, 72, LEFT + COLUMN, 200], [RIGHT, 72, RIGHT + COLUMN, 200]
    sheet.image(first, 1)
    sheet.image(second, 2)
    sheet.caption(LEFT, 208, "Figure 1.", "The left picture, which came first of all the two.")
    sheet.caption(RIGHT, 208, "Figure 2.", "The right picture, which came after it in time.")
    sheet.body(LEFT, 260, 700)
    sheet.body(RIGHT, 260, 700)
    check(
        read(sheet),
        [
            ("Figure 1", "The left picture, which came first of all the two.", 0, first),
            ("Figure 2", "The right picture, which came after it in time.", 0, second),
        ],
    )


def test_captions_above(sheet):
    for page in range(2):
        sheet.caption(LEFT, 72, f"Figure {page + 1}.", "Set above its picture.")
        sheet.image([LEFT, 90, LEFT + COLUMN, 240], page)
        sheet.body(LEFT, 270, 700)
        sheet.body(RIGHT, 72, 700)
        sheet.next()
    box = [LEFT, 90, LEFT + COLUMN, 240]
    caption = "Set above its picture."
    check(read(sheet), [("Figure 1", caption, 0, box), ("Figure 2", caption, 1, box)])


@pytest.mark.parametrize("side", ["left", "right"])
def test_captions_beside(sheet, side):
    x, cap = (LEFT, LEFT + 300) if side == "right" else (LEFT + 192, LEFT)
    box = [x, 72, x + 290, 260]
    sheet.image(box)
    text = "Set beside its picture, in as many lines as the narrow space at its side may need."
    sheet.caption(cap, 76, "Figure 1.", text, 180)
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 290, 700)
    check(read(sheet), [("Figure 1", text, 0, box)])


def test_a_caption_inside_a_frame(sheet):
    frame = [LEFT, 72, LEFT + COLUMN, 280]
    box = [LEFT + 20, 84, LEFT + COLUMN - 20, 240]
    sheet.image(box)
    sheet.canvas.rect(frame[0], 792 - frame[3], frame[2] - frame[0], frame[3] - frame[1])
    sheet.caption(LEFT + 6, 250, "Figure 1.", "In a frame with its picture.", COLUMN - 12)
    sheet.body(LEFT, 310, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "In a frame with its picture.", 0, box)])


def test_a_sideways_figure_on_its_own_page(sheet):
    sheet.body(LEFT, 72, 700)
    sheet.body(RIGHT, 72, 700)
    sheet.next()
    canvas = sheet.canvas
    canvas.saveState()
    canvas.translate(612, 0)
    canvas.rotate(90)  # reads from the bottom of the page to its top
    height = sheet_height = 612.0
    canvas.setFont("Times-Bold", 9)
    canvas.drawString(100, height - 420, "Figure 1.")
    canvas.setFont("Times-Roman", 9)
    canvas.drawString(140, height - 420, "Turned by a quarter, with its caption at its foot.")
    canvas.rect(100, sheet_height - 400, 500, 330, fill=1)
    canvas.restoreState()
    caption = "Turned by a quarter, with its caption at its foot."
    check(read(sheet), [("Figure 1", caption, 1, [70, 192, 400, 692])])


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotated_pages_give_boxes_as_displayed(tmp_path, turn):
    one_figure(tmp_path / "plain.pdf")
    plain = extract_document(tmp_path / "plain.pdf").rows[0]
    document = pypdfium2.PdfDocument(tmp_path / "plain.pdf")
    document[0].set_rotation(turn)
    document.save(tmp_path / "turned.pdf")
    row = extract_document(tmp_path / "turned.pdf").rows[0]
    x0, y0, x1, y1 = plain["bbox"]
    expected = {
        90: [792 - y1, x0, 792 - y0, x1],
        180: [612 - x1, 792 - y1, 612 - x0, 792 - y0],
        270: [y0, 612 - x1, y1, 612 - x0],
    }[turn]
    assert iou(row["bbox"], expected) > 0.95
    assert row["caption"] == plain["caption"]


def test_a_crop_box_with_an_offset(sheet):
    sheet.canvas.setCropBox((40, 60, 572, 752))
    sheet.image([LEFT, 72, LEFT + COLUMN, 222])
    sheet.caption(LEFT, 230, "Figure 1.", "Hardness of the samples.")
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 72, 700)
    check(
        read(sheet),
        [("Figure 1", "Hardness of the samples.", 0, [LEFT - 40, 32, LEFT + COLUMN - 40, 182])],
    )


def test_body_sentences_that_begin_like_captions_are_none(tmp_path):
    text_only(tmp_path / "none.pdf")
    assert extract_document(tmp_path / "none.pdf").rows == []


def test_a_list_of_figures_and_running_heads_give_nothing(sheet):
    for page in range(3):
        sheet.canvas.setFont("Times-Italic", 8)
        sheet.canvas.drawString(LEFT, 792 - 40, "Journal of Samples 12 (2024)")
        sheet.canvas.rect(LEFT, 792 - 52, 30, 9, fill=1)  # a logo
        sheet.canvas.line(LEFT, 792 - 55, RIGHT + COLUMN, 792 - 55)
        if page == 0:
            for k in range(8):
                sheet.text(
                    LEFT, 80 + 14 * k, f"Figure {k + 1}. The name of a figure . . . {k}", 400
                )
            sheet.body(LEFT, 240, 700)
        else:
            sheet.body(LEFT, 72, 700)
        sheet.body(RIGHT, 72, 700)
        sheet.next()
    assert read(sheet) == []


def test_text_that_is_clipped_away_is_not_read(sheet):
    canvas = sheet.canvas
    box = [LEFT, 72, LEFT + COLUMN, 222]
    sheet.image(box)
    canvas.saveState()
    path = canvas.beginPath()
    path.rect(0, 0, 10, 10)
    canvas.clipPath(path, stroke=0)
    sheet.caption(LEFT, 236, "Figure 7.", "Left over from the next page, where none can see it.")
    canvas.restoreState()
    sheet.caption(LEFT, 230, "Figure 1.", "The caption that a reader sees.")
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 72, 700)
    check(read(sheet), [("Figure 1", "The caption that a reader sees.", 0, box)])


def rows_of_cells(sheet: Sheet, x: float, top: float, width: float) -> None:
    """Five rows of three cells between rules."""
    sheet.canvas.line(x, 792 - top - 4, x + width, 792 - top - 4)
    for row in range(5):
        for column, text in enumerate((f"S{row}", f"{3.1 + row:.1f}", f"{40 + row}")):
            sheet.text(x + width / 3 * column, top + 8 + 12 * row, text, size=9)
    sheet.canvas.line(x, 792 - top - 72, x + width, 792 - top - 72)


def test_a_table_beside_its_caption(sheet):
    text = "Hardness of five samples in the long test, with the load at which each of them broke."
    sheet.caption(LEFT, 72, "Table 1.", text, 110)
    rows_of_cells(sheet, LEFT + 130, 68, 362)
    sheet.body(LEFT, 170, 700)
    sheet.body(RIGHT, 170, 700)
    rows = extract_document(sheet.save(), Settings(kinds=("table",))).rows
    check(rows, [("Table 1", text, 0, [LEFT + 130, 72, LEFT + 492, 140])])


@pytest.mark.parametrize("said", ["(Continued)", "Continued.", "Hardness of five samples (cont.)"])
def test_a_table_on_two_pages_is_one_row(sheet, said):
    for text in ("Hardness of five samples.", said):
        top = sheet.caption(LEFT, 72, "Table 1.", text)
        rows_of_cells(sheet, LEFT, top, COLUMN)
        sheet.body(LEFT, 190, 700)
        sheet.body(RIGHT, 72, 700)
        sheet.next()
    rows = extract_document(sheet.save(), Settings(kinds=("table",))).rows
    assert [(row["label"], row["page"]) for row in rows] == [("Table 1", 0)]


def test_tables_are_given_when_asked_for(sheet):
    top = sheet.caption(LEFT, 72, "Table 1.", "Hardness of five samples.")
    rows_of_cells(sheet, LEFT, top, COLUMN)
    sheet.body(LEFT, 190, 700)
    sheet.body(RIGHT, 72, 700)
    path = sheet.save()
    assert extract_document(path).rows == []
    rows = extract_document(path, Settings(kinds=("table",))).rows
    check(rows, [("Table 1", "Hardness of five samples.", 0, [60, top + 4, 296, top + 72])])


def test_panels_carry_their_share_of_the_caption(sheet):
    first, second = [LEFT, 72, LEFT + 220, 222], [RIGHT, 72, RIGHT + 220, 222]
    sheet.image(first, 1)
    sheet.image(second, 2)
    text = "Two samples. (a) Before the test, in air. (b) After the test."
    sheet.caption(LEFT, 232, "Figure 1.", text, FULL)
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT, 290, 700)
    panels = read(sheet)[0]["panels"]
    assert [(panel["letter"], panel["caption"]) for panel in panels] == [
        ("a", "Before the test, in air"),
        ("b", "After the test"),
    ]
    assert iou(panels[0]["bbox"], first) > 0.9
    assert iou(panels[1]["bbox"], second) > 0.9


def test_mentions_title_doi_and_licence(sheet):
    sheet.text(LEFT, 60, "On the hardness of samples that were never made", FULL, 18)
    sheet.text(LEFT, 90, "https://doi.org/10.1234/sample.5678", FULL, 8)
    sheet.text(
        LEFT, 102, "Distributed under https://creativecommons.org/licenses/by/4.0/.", FULL, 8
    )
    box = [LEFT, 130, LEFT + COLUMN, 280]
    sheet.image(box)
    sheet.caption(LEFT, 288, "Figure 1.", "Hardness of the samples.")
    cites = "The hardness is shown in Fig. 1 for all of the samples that we have."
    y = sheet.text(LEFT, 330, cites)
    sheet.body(LEFT, y + 24, 700)
    sheet.body(RIGHT, 130, 700)
    row = read(sheet)[0]
    assert row["title"] == "On the hardness of samples that were never made"
    assert row["doi"] == "10.1234/sample.5678"
    assert row["license"] == "CC-BY-4.0"
    assert row["mentions"] == [cites]


def test_a_page_of_a_million_points_is_rendered_within_the_cap(tmp_path):
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "large.pdf"), pagesize=(150 * inch, 150 * inch), invariant=1)
    canvas.setFont("Times-Roman", 100)
    canvas.rect(500, 2000, 9000, 7000, fill=1)
    canvas.drawString(500, 1800, "Figure 1. As large as a wall.")
    canvas.save()
    (row,) = extract_document(tmp_path / "large.pdf").rows
    assert row["width"] * row["height"] <= 16_000_000
    assert row["dpi"] < 200


def jpeg_page(sheet: Sheet, letter: str = "") -> bytes:
    """A figure that is one JPEG, with `letter` drawn over it; returns the JPEG."""
    out = io.BytesIO()
    noise = np.random.default_rng(3).integers(0, 255, (12, 20, 3), np.uint8)
    Image.fromarray(noise).resize((480, 300)).save(out, "JPEG", quality=85)
    path = sheet.path.with_suffix(".jpg")
    path.write_bytes(out.getvalue())
    sheet.canvas.drawImage(str(path), LEFT, 792 - 222, 240, 150)
    sheet.text(LEFT + 10, 80, letter, size=8)
    sheet.caption(LEFT, 230, "Figure 1.", "Hardness of the samples.")
    sheet.body(LEFT, 290, 700)
    sheet.body(RIGHT + 10, 72, 700)
    return out.getvalue()


def test_a_figure_that_is_one_jpeg_keeps_its_bytes(sheet, monkeypatch):
    monkeypatch.setattr("reportlab.rl_config.useA85", 0)  # as all other producers
    jpeg = jpeg_page(sheet)
    (row,) = read(sheet)
    assert row["image"]["bytes"] == jpeg
    assert (row["width"], row["height"], row["dpi"]) == (480, 300, 144)
    assert iou(row["bbox"], [LEFT, 72, LEFT + 240, 222]) > 0.99


def test_a_jpeg_with_a_letter_over_it_is_rendered(sheet):
    jpeg_page(sheet, "(a)")
    (row,) = read(sheet)
    assert row["image"]["bytes"].startswith(b"\x89PNG")
    assert row["dpi"] == 200


def test_a_jpeg_that_the_page_inverts_is_rendered(sheet, monkeypatch):
    monkeypatch.setattr("reportlab.rl_config.useA85", 0)
    jpeg_page(sheet)
    path = sheet.save()
    space = b"/ColorSpace /DeviceRGB"
    data = path.read_bytes()
    assert space in data
    path.write_bytes(data.replace(space, b"/Decode [1 0 1 0 1 0] " + space))
    (row,) = extract_document(path).rows
    assert row["image"]["bytes"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (b"/ColorSpace [/ICCBased 99 0 R]", True),
        (b"/ColorSpace [/ICCBased 99 0 R] /Decode [1 0 1 0 1 0]", False),
        (b"/ColorSpace /DeviceRGB", True),
    ],
    ids=["profile", "inverted", "no profile"],
)
def test_a_large_jpeg_is_drawn_only_where_its_page_may_change_it(sheet, monkeypatch, entry, kept):
    monkeypatch.setattr("reportlab.rl_config.useA85", 0)
    monkeypatch.setattr(embedded, "P", replace(embedded.P, drawn_pixels=0))
    drawn = []
    render = embedded.rendering.render
    monkeypatch.setattr(
        embedded.rendering, "render", lambda *given: drawn.append(given[1]) or render(*given)
    )
    jpeg = jpeg_page(sheet)
    path = sheet.save()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = b"\n99 0 obj\n<< /N 3 /Length %d >>\nstream\n%s\nendstream\nendobj\nxref"
    data = path.read_bytes().replace(b"/ColorSpace /DeviceRGB", entry)
    path.write_bytes(data.replace(b"\nxref", stream % (len(profile), profile), 1))
    (row,) = extract_document(path).rows
    assert (row["image"]["bytes"] == jpeg) is kept
    assert (not drawn) is kept


def test_a_volume_of_two_articles_has_two_first_figures(sheet):
    box = [LEFT, 72, LEFT + COLUMN, 222]
    for article in ("first", "second"):
        sheet.image(box, len(article))
        sheet.caption(LEFT, 230, "Figure 1.", f"Hardness in the {article} article.")
        sheet.body(LEFT, 290, 700)
        sheet.body(RIGHT, 72, 700)
        sheet.next()
    check(
        read(sheet),
        [
            ("Figure 1", "Hardness in the first article.", 0, box),
            ("Figure 1", "Hardness in the second article.", 1, box),
        ],
    )


def test_graphical_abstracts_are_kept_only_on_request_and_logos_never(sheet):
    abstract, figure = [RIGHT, 100, RIGHT + COLUMN, 260], [LEFT, 72, LEFT + COLUMN, 222]
    for page in range(3):
        sheet.image([500, 20, 560, 44], seed=7)  # a journal's mark, small
        sheet.image([LEFT, 600, LEFT + COLUMN, 700], seed=8)  # and a banner, on every page
        if page == 0:
            sheet.image(abstract, seed=1)
            sheet.body(LEFT, 72, 580)
            sheet.canvas.rect(RIGHT, 792 - 640, COLUMN, 130)  # a boxed notice is no figure
            sheet.text(RIGHT + 6, 520, SENTENCE * 2, COLUMN - 12, 8, font="Helvetica")
            sheet.body(RIGHT, 280, 500)
        else:
            sheet.image(figure, seed=page + 1)
            sheet.caption(LEFT, 230, f"Figure {page}.", "Hardness of the samples.")
            sheet.body(LEFT, 290, 580)
            sheet.body(RIGHT, 72, 700)
        sheet.next()
    path = sheet.save()
    captioned = extract_document(path).rows
    assert [row["label"] for row in captioned] == ["Figure 1", "Figure 2"]
    rows = extract_document(path, Settings(uncaptioned=True)).rows
    check(
        rows,
        [
            ("", "", 0, abstract),
            ("Figure 1", "Hardness of the samples.", 1, figure),
            ("Figure 2", "Hardness of the samples.", 2, figure),
        ],
    )
    assert rows[1:] == captioned
    assert rows[0]["kind"] == "figure" and rows[0]["mentions"] == []


def test_portraits_of_authors_are_no_figures_on_request_either(sheet):
    """A portrait stands beside its biography; the picture in the other column is a figure."""
    sheet.body(LEFT, 72, 500)
    biography = "Ana Silva received the Ph.D. degree in physics from a university in the south."
    sheet.image([LEFT, 520, LEFT + 90, 630], seed=1)
    sheet.text(LEFT + 98, 520, f"{biography} {SENTENCE * 3}", COLUMN - 98, 10)
    sheet.image([RIGHT, 100, RIGHT + COLUMN, 260], seed=2)
    sheet.body(RIGHT, 280, 700)
    sheet.next()
    rows = extract_document(sheet.save(), Settings(uncaptioned=True)).rows
    check(rows, [("", "", 0, [RIGHT, 100, RIGHT + COLUMN, 260])])


def test_bold_faces_are_known_by_their_names():
    faces = ("Times-Bold", "CMBX10", "SFBX1000", "SFSX0900", "CMSSBX10", "NimbusRomNo9L-Medi")
    assert all(map(is_bold, faces))
    assert not any(map(is_bold, ("Times-Roman", "CMR10", "SFRM1000", "CMSS10", "Helvetica")))
