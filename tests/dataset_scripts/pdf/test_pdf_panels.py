"""Panels of compound figures: captions cut at their marks, letters, boxes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pdf_samples import FULL, LEFT, RIGHT, Sheet, read
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from scipy.ndimage import gaussian_filter

from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.pdf.panel_boxes import Picture, find_plate, split
from cephalo.dataset_scripts.pdf.panel_captions import caption_parts
from cephalo.dataset_scripts.pdf.panel_letters import find_letters
from cephalo.dataset_scripts.pdf.panels import find_panels
from cephalo.dataset_scripts.pdf.text import Line


@pytest.fixture
def sheet(tmp_path) -> Sheet:
    return Sheet(tmp_path / "sample.pdf")


LEADING = [
    (
        "SEM images of: (a) a film, (b) a fibre.",
        {"a": "a film", "b": "a fibre"},
    ),
    (
        "(a,b) Two rods before the test. (c) The rod after it.",
        {"a": "Two rods before the test", "b": "Two rods before the test", "c": "The rod after it"},
    ),
    ("(a) to (c) are marks. a) A rod. b) A wire.", {"a": "A rod", "b": "A wire"}),
    ("Rods (a to c) and wires (d).", {"a": "Rods", "b": "Rods", "c": "Rods", "d": "wires"}),
    ("A: The furnace. B: The press.", {"A": "The furnace", "B": "The press"}),
    ("a, The furnace. b, The press.", {"a": "The furnace", "b": "The press"}),
    ("Two plants. a The furnace; b The press", {"a": "The furnace", "b": "The press"}),
    (
        "Panel A shows the furnace. Panel B shows the press.",
        {"A": "shows the furnace", "B": "shows the press"},
    ),
    (
        "(a) A rod. (b). A wire. (c): A tube.",
        {"a": "A rod", "b": "A wire", "c": "A tube"},
    ),
    ("(i) The furnace, (ii) the press.", {"i": "The furnace", "ii": "the press"}),
    (
        "(i) One, (ii) two, (iii) three, (iv) four, (v) five.",
        {"i": "One", "ii": "two", "iii": "three", "iv": "four", "v": "five"},
    ),
    (
        "(A) A rod (diameter (a) of 2 mm and (b) of 3 mm). (B) A wire.",
        {
            "A": "A rod (diameter (a) of 2 mm and (b) of 3 mm)",
            "B": "A wire",
        },
    ),
]
FOLLOWING = [
    (
        "SEM images of the oxide (A) and composite (B\u2013D); TEM images of the foam (E,F).",
        {
            "A": "SEM images of the oxide",
            **dict.fromkeys("BCD", "composite"),
            **dict.fromkeys("EF", "TEM images of the foam"),
        },
    ),
    (
        "Hardness of rods (a), wires (b), and tubes (c). Bars give the deviation.",
        {"a": "Hardness of rods", "b": "wires", "c": "tubes"},
    ),
    (
        "Four tests. The first rod bent (see arrow) (a). Cracks were small. The second broke (b).",
        {"a": "The first rod bent (see arrow)", "b": "The second broke"},
    ),
    (
        "Growth of larvae (A,C), and adults (B,D).",
        {"A": "Growth of larvae", "B": "adults", "C": "Growth of larvae", "D": "adults"},
    ),
]
MIXED = [
    (
        "The frog in (a) lateral, (b) dorsal, and (c) ventral view. The foot (d) and hand (e).",
        {"a": "lateral", "b": "dorsal", "c": "ventral view", "d": "The foot", "e": "hand"},
    ),
    (
        "Steel with (a) 0 %, (c) 1 %, and (e) 2 % of carbon and enlarged images of (b) 0 %, "
        "(d) 1 % and (f) 2 % of carbon.",
        {
            "a": "0 %",
            "b": "0 %",
            "c": "1 %",
            "d": "1 %",
            "e": "2 % of carbon",
            "f": "2 % of carbon",
        },
    ),
]
LEADS_ON = [
    (
        "(a) Patterns of two oxides, high-resolution spectra of (b) carbon and (c) iron.",
        {"a": "Patterns of two oxides", "b": "carbon", "c": "iron"},
    ),
    (
        "(a) A plot; and photographs of a lamp: (b) at first and (c) after an hour.",
        {"a": "A plot", "b": "at first", "c": "after an hour"},
    ),
    ("(a) A rod and (b) a wire.", {"a": "A rod", "b": "a wire"}),
]
REFERENCES = [
    (
        "(a) The mean of all runs, taken as in Fig. 2(a) and (b), as a line. (b) Its variance.",
        {
            "a": "The mean of all runs, taken as in Fig. 2(a) and (b), as a line",
            "b": "Its variance",
        },
    ),
    (
        "Panel (a) shows the rod. Panel (b) shows the wire.",
        {"a": "shows the rod", "b": "shows the wire"},
    ),
    (
        "Bone (a) and soft tissue (b) of a patient with a mass in the bone (a) and the skin (b).",
        {"a": "Bone", "b": "soft tissue"},
    ),
    (
        "(a) The ingot of steel. The humps of its pattern (b) show that it is glass.",
        {"a": "The ingot of steel", "b": "show that it is glass"},
    ),
    (
        "(a) The rod. (b) The wire of (a), drawn. (c) The sum of (a) and (b).",
        {"a": "The rod", "b": "The wire of (a), drawn", "c": "The sum of (a) and (b)"},
    ),
]


@pytest.mark.parametrize(("caption", "parts"), LEADING + FOLLOWING + MIXED + LEADS_ON + REFERENCES)
def test_captions_are_cut_at_their_marks(caption, parts):
    assert caption_parts(caption) == parts


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "A rod, drawn from Fig. 2(a) and (b).",
        "Top: the rod. Bottom: the wire.",
        "Current (A) over voltage (V) at 300 K.",
        "Peaks: first (1), second (2), third (3).",
        "A film of a polymer and a metal under a load of a newton.",
        "The path in (b) is dashed.",
    ],
)
def test_captions_without_marks_have_no_parts(caption):
    assert caption_parts(caption) == {}


def test_letters_in_the_figure_settle_bare_marks():
    caption = "Growth in soil with a diesel oil and b waste oil."
    assert caption_parts(caption) == {}
    assert caption_parts(caption, {"a", "b"}) == {"a": "diesel oil", "b": "waste oil"}


@given(st.text(alphabet="abcABC().,;:- \n", max_size=120), st.sets(st.sampled_from("abc")))
def test_parts_of_any_caption_are_in_it(caption, seen):
    for part in caption_parts(caption, seen).values():
        assert part in caption


def plots(rows: int, columns: int) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """Line plots with ticks and labels in a grid, grey levels, and the boxes of the plots."""
    wide, high, gap = 230, 180, 14
    image = Image.new("L", (columns * (wide + gap), rows * (high + gap)), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    boxes = []
    for row in range(rows):
        for column in range(columns):
            x, y = 5 + column * (wide + gap), 5 + row * (high + gap)
            left, top, right, bottom = x + 45, y + 8, x + wide, y + high - 40
            draw.rectangle((left, top, right, bottom), outline=0, width=2)
            for tick in range(5):
                draw.text((x + 20, top + tick * 32 - 7), str(25 * tick), 0, font)
                draw.text((left + tick * 40, bottom + 5), str(2 * tick), 0, font)
            draw.text((left + 40, bottom + 22), "Time (h)", 0, font)
            draw.line((left, bottom, right, top), 0, 2)
            boxes.append((x + 20, y, x + wide, y + high))
    return np.asarray(image), boxes


def micrographs(rows: int, columns: int, gap: int) -> tuple[np.ndarray, list]:
    """Pictures of blurred noise, each of its own mean and contrast, and their boxes."""
    side, noise = 150, np.random.default_rng(gap)
    shape = rows * (side + gap) - gap, columns * (side + gap) - gap
    grey, boxes = np.full(shape, 255, np.uint8), []
    for row in range(rows):
        for column in range(columns):
            values = gaussian_filter(noise.normal(size=(side, side)), noise.uniform(1.5, 5))
            values = (values - values.min()) / np.ptp(values)
            low, high = noise.uniform(0, 90), noise.uniform(120, 205)
            x, y = column * (side + gap), row * (side + gap)
            grey[y : y + side, x : x + side] = low + values * (high - low)
            boxes.append((x, y, x + side, y + side))
    return grey, boxes


def shown(grey: np.ndarray) -> Picture:
    """A picture of one point a pixel."""
    return Picture(grey, (0.0, 0.0, float(grey.shape[1]), float(grey.shape[0])))


def all_found(found: list, boxes: list) -> bool:
    """Whether each box has one that was found, and none was found besides."""
    return len(found) == len(boxes) and all(
        max(iou(box, other) for other, _ in found) > 0.7 for box in boxes
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (2, 2), (2, 3), (3, 3), (4, 3), (5, 2)])
def test_grids_of_plots_are_cut_at_their_gutters(rows, columns):
    grey, boxes = plots(rows, columns)
    assert all_found(split(shown(grey), len(boxes)), boxes)


@pytest.mark.parametrize("gap", [0, 2, 6])
@pytest.mark.parametrize(("rows", "columns"), [(1, 3), (2, 2), (2, 4), (3, 3), (4, 5)])
def test_micrographs_are_cut_where_they_touch(rows, columns, gap):
    grey, boxes = micrographs(rows, columns, gap)
    assert all_found(split(shown(grey), len(boxes)), boxes)


def test_letters_decide_where_gutters_do_not():
    grey, boxes = plots(2, 2)
    left = (boxes[0][0], boxes[0][1], boxes[2][2], boxes[2][3])
    right = (boxes[1][0], boxes[1][1], boxes[3][2], boxes[3][3])
    anchors = [(box[0], box[1], box[0] + 8.0, box[1] + 8.0) for box in (right, left)]
    found = split(shown(grey), 2, anchors)
    assert [index for _, index in found] == [1, 0]
    assert iou(found[0][0], left) > 0.9 and iou(found[1][0], right) > 0.9


def test_letters_within_one_plot_part_nothing():
    image = Image.new("L", (300, 200), 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((4, 4, 295, 195), outline=0, width=3)
    for height in range(30, 190, 12):
        draw.line((4, height, 295, 195 - height), 0, 2)
    anchors = [(40.0 + 60 * index, 90.0, 48.0 + 60 * index, 98.0) for index in range(4)]
    assert split(shown(np.asarray(image)), 4, anchors) == []


def test_a_frame_around_the_figure_is_no_panel():
    grey, boxes = plots(1, 2)
    framed = np.pad(np.pad(grey, 10, constant_values=255), 2, constant_values=0)
    boxes = [tuple(side + 12 for side in box) for box in boxes]
    assert all_found(split(shown(framed), 2), boxes)


def test_plates_without_letters_are_parts_of_one_size():
    grey, boxes = micrographs(2, 3, 6)
    picture = shown(grey)
    found = find_plate(picture)
    assert sorted(found) == sorted(tuple(map(float, box)) for box in boxes)
    assert find_plate(shown(plots(2, 2)[0])) == []


@pytest.mark.parametrize("text", ["{}", "({})", "{})"])
@pytest.mark.parametrize("letters", ["abc", "ABCD"])
def test_letters_are_read_in_pictures(text, letters):
    grey, boxes = plots(1, len(letters))
    grey = np.pad(grey, ((40, 0), (0, 0)), constant_values=255)
    image = Image.fromarray(grey)
    font = ImageFont.load_default(28)
    for letter, box in zip(letters, boxes, strict=True):
        ImageDraw.Draw(image).text((box[0], 4), text.format(letter), 0, font)
    found = find_letters(np.asarray(image), 0.36, list(letters))
    assert set(found) == set(letters)
    for letter, box in zip(letters, boxes, strict=True):
        assert box[0] - 20 < found[letter][0] < box[0] + 40


@pytest.mark.parametrize("colour", [0, 255])
def test_letters_are_read_on_micrographs(colour):
    grey, boxes = micrographs(2, 3, 0)
    image = Image.fromarray(np.clip(grey, 80, 180))
    font = ImageFont.load_default(24)
    for letter, box in zip("abcdef", boxes, strict=True):
        ImageDraw.Draw(image).text((box[0] + 6, box[1] + 2), letter, colour, font)
    found = find_letters(np.asarray(image), 0.5, list("abcdef"))
    assert set(found) == set("abcdef")
    for letter, box in zip("abcdef", boxes, strict=True):
        assert box[0] < found[letter][0] < box[0] + 20 and box[1] < found[letter][1] < box[1] + 30


def test_letters_part_pictures_that_nothing_else_does():
    noise = np.random.default_rng(3).normal(120, 30, (300, 400))
    grey = np.clip(noise, 0, 200).astype(np.uint8)
    boxes = [(x, y, x + 200, y + 150) for y in (0, 150) for x in (0, 200)]
    anchors = [(x + 4.0, y + 4.0, x + 14.0, y + 18.0) for x, y, _, _ in boxes]
    assert all_found(split(shown(grey), 4, anchors), boxes)
    assert split(shown(grey), 4) == []


def test_letters_partly_read_tell_the_order_of_the_rest():
    grey, boxes = micrographs(2, 2, 0)
    image = Image.fromarray(np.clip(grey, 80, 180))
    for letter, box in zip("ACBD", boxes, strict=True):  # down the columns; D is not readable
        text = "" if letter == "D" else letter
        ImageDraw.Draw(image).text((box[0] + 6, box[1] + 2), text, 255, ImageFont.load_default(24))
    picture = shown(np.asarray(image))
    panels = find_panels([picture.box], [], "(A) 1, (B) 2, (C) 3, (D) 4.", lambda most: picture)
    corners = [(round(panel.box[0], -1), round(panel.box[1], -1)) for panel in panels]
    assert corners == [(0, 0), (0, 150), (150, 0), (150, 150)]


def lettered(texts: dict[str, tuple[int, int]], size: int = 24) -> np.ndarray:
    """A page of 400 x 300 pixels with texts at their places."""
    image = Image.new("L", (400, 300), 255)
    for text, place in texts.items():
        ImageDraw.Draw(image).text(place, text, 0, ImageFont.load_default(size))
    return np.asarray(image)


def test_a_bar_is_the_letter_i_in_its_row():
    grey = lettered({"G": (10, 100), "H": (130, 100), "J": (370, 100)}).copy()
    grey[106:123, 252:255] = 0  # a sans-serif "I"
    found = find_letters(grey, 0.36, list("GHIJ"))
    assert list(found["I"]) == [252, 106, 255, 123]


def test_letters_are_sought_in_the_order_of_reading():
    grey = lettered({"A": (10, 10), "B": (10, 150), "C": (210, 150)}).copy()
    image = Image.fromarray(grey)
    ImageDraw.Draw(image).text((300, 240), "A", 0, ImageFont.load_default(24))  # in a sequence
    found = find_letters(np.asarray(image), 0.36, list("ABC"))
    assert {letter: (x // 100, y // 100) for letter, (x, y, _, _) in found.items()} == {
        "A": (0, 0),
        "B": (0, 1),
        "C": (2, 1),
    }


def test_a_letter_that_is_no_text_lines_up_with_those_that_are():
    printed = {"A": (10, 14, 26, 31), "C": (10, 164, 26, 181), "D": (210, 164, 226, 181)}
    found = find_letters(lettered({"B": (120, 80)}), 0.36, list("ABCD"), printed)
    assert found == printed
    found = find_letters(lettered({"B": (210, 10)}), 0.36, list("ABCD"), printed)
    assert found.pop("B")[0] in range(208, 216) and found == printed


def test_letters_of_another_size_are_no_marks():
    grey, boxes = plots(2, 2)
    marks = [
        Line(letter, (box[0], box[1], box[0] + 8, box[1] + 12), 10.0, "Sans", "Sans")
        for letter, box in zip("bcd", boxes[1:], strict=True)
    ]
    x, y = boxes[3][0] + 60, boxes[3][1] + 60
    base = Line("a", (x, y, x + 5, y + 7), 6.0, "Sans", "Sans")  # of a sequence within (d)
    panels = find_panels([], [*marks, base], "(a) 1, (b) 2, (c) 3, (d) 4.", lambda _: shown(grey))
    corner = next(panel.box for panel in panels if panel.letter == "a")
    assert corner[0] == pytest.approx(boxes[0][0], abs=3)
    assert corner[1] == pytest.approx(boxes[0][1], abs=6)


def test_letters_go_on_after_those_of_the_caption():
    grey, boxes = plots(2, 2)
    marks = [
        Line(letter, (box[0], box[1], box[0] + 8, box[1] + 12), 10.0, "Sans", "Sans")
        for letter, box in zip("abcd", boxes, strict=True)
    ]
    caption = "(a) One, (b) two. Continued on next page"
    panels = find_panels([], marks, caption, lambda _: shown(grey))
    assert [panel.letter for panel in panels] == ["a", "b", "c", "d"]
    assert all(panel.box for panel in panels) and panels[3].caption == ""
    panels = find_panels([], [*marks[:2], *atoms(marks[2:])], caption, lambda _: shown(grey))
    assert [panel.letter for panel in panels] == ["a", "b"]


def atoms(lines: list[Line]) -> list[Line]:
    """The same lines in another type."""
    return [Line(line.text, line.box, 7.0, "Serif", "Serif") for line in lines]


def test_tick_labels_are_no_letters():
    assert find_letters(plots(2, 2)[0], 0.36, ["a", "b", "c", "d"]) == {}


def test_letters_in_a_picture_order_its_panels(sheet):
    grey, boxes = plots(2, 2)
    grey = np.pad(grey, ((40, 0), (0, 0)), constant_values=255)
    image = Image.fromarray(grey)
    font = ImageFont.load_default(18)
    for letter, box in zip("ACBD", boxes, strict=True):  # down the columns
        ImageDraw.Draw(image).text((box[0] - 20, box[1] + 60), letter, 0, font, stroke_width=1)
    stored = io.BytesIO()
    image.save(stored, "PNG")
    high = FULL * image.height / image.width
    sheet.canvas.drawImage(ImageReader(stored), LEFT, 792 - 72 - high, FULL, high)
    text = "Four runs. (A) First, (B) second, (C) third and (D) fourth."
    sheet.caption(LEFT, 72 + high + 10, "Figure 1.", text, FULL)
    sheet.body(LEFT, 72 + high + 60, 700)
    sheet.body(RIGHT, 72 + high + 60, 700)
    panels = read(sheet)[0]["panels"]
    assert [panel["caption"] for panel in panels] == ["First", "second", "third", "fourth"]
    lefts, tops = ([panel["bbox"][side] for panel in panels] for side in (0, 1))
    assert lefts[0] < LEFT + 30 and lefts[1] < LEFT + 30 < lefts[2] and lefts[3] > LEFT + 30
    assert tops[0] < tops[1] and tops[2] < tops[3]


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)),
    st.sampled_from(["(a) One. (b) Two.", "(i) One, (ii) two, (iii) three.", "None."]),
    st.lists(st.tuples(*[st.floats(-5, 60)] * 4), max_size=2),
)
def test_any_picture_can_be_searched(grey, caption, images):
    panels = find_panels(images, [], caption, lambda most: shown(grey))
    letters = {"(a) One. (b) Two.": "a b", "(i) One, (ii) two, (iii) three.": "i ii iii"}
    if caption in letters:
        assert " ".join(panel.letter for panel in panels) == letters[caption]


def test_the_order_of_parts_is_that_of_the_letters():
    parts = caption_parts("Rods of (a) 1 mm, (c) 2 mm and wires of (b) 1 mm, (d) 2 mm.")
    assert list(parts) == ["a", "b", "c", "d"]
    assert list(caption_parts("(i) One, (ii) two, (iii) three, (iv) four, (v) five.")) == [
        "i",
        "ii",
        "iii",
        "iv",
        "v",
    ]


def written(grey: np.ndarray, *texts: tuple[float, float, str, int]) -> np.ndarray:
    """Grey levels with texts at (x, y), each in its grey level."""
    image = Image.fromarray(grey)
    for x, y, text, colour in texts:
        ImageDraw.Draw(image).text((x, y), text, colour, ImageFont.load_default(24))
    return np.asarray(image)


def test_white_letters_are_read_on_light_micrographs():
    grey, boxes = micrographs(2, 2, 0)
    marks = [(box[0] + 6, box[1] + 2, mark, 255) for mark, box in zip("abcd", boxes, strict=True)]
    found = find_letters(written(np.clip(grey, 140, 180), *marks), 0.5, list("abcd"))
    assert set(found) == set("abcd")


def test_letters_decide_against_equal_rows():
    grey, boxes = plots(3, 1)
    upper = (boxes[0][0], boxes[0][1], boxes[1][2], boxes[1][3])
    anchors = [(box[0], box[1], box[0] + 8.0, box[1] + 8.0) for box in (upper, boxes[2])]
    assert all_found(split(shown(grey), 2, anchors), [upper, boxes[2]])


def test_a_colour_bar_is_no_panel_where_a_letter_is_missing():
    grey, boxes = plots(2, 2)
    high, wide = grey.shape
    grey = np.pad(grey, ((0, 0), (0, 40)), constant_values=255)
    grey[8 : high - 50, wide + 12 : wide + 30] = 90
    anchors = [(box[0], box[1], box[0] + 8.0, box[1] + 8.0) for box in boxes[:3]]
    assert all_found(split(shown(grey), 4, anchors), boxes)


def test_names_of_rows_and_columns_are_no_panels():
    grey, boxes = micrographs(3, 2, 6)
    grey = np.pad(grey, ((34, 0), (90, 0)), constant_values=255)
    boxes = [(x0 + 90, y0 + 34, x1 + 90, y1 + 34) for x0, y0, x1, y1 in boxes]
    names = [(4, box[1] + 60, f"{box[1]} s", 0) for box in boxes[::2]]
    grey = written(grey, *names, (boxes[0][0] + 60, 2, "x", 0), (boxes[1][0] + 60, 2, "y", 0))
    found = split(shown(grey), 6)
    assert all_found(found, boxes)
    assert min(box[0] for box, _ in found) == 90
    assert all_found([(box, None) for box in find_plate(shown(grey))], boxes)


def test_a_frame_may_have_lost_sides_when_it_was_scaled():
    grey, boxes = plots(1, 2)
    framed = np.pad(np.pad(grey, 10, constant_values=255), 2, constant_values=0)
    framed[-2:] = framed[:, -2:] = 255
    boxes = [tuple(side + 12 for side in box) for box in boxes]
    found = split(shown(framed), 2)
    assert all_found(found, boxes) and min(box[0] for box, _ in found) > 12


@pytest.mark.parametrize("caption", ["A rod. The dashed line in (b) is the path.", "A rod in (d)."])
def test_letters_that_a_caption_only_mentions_are_read(caption):
    grey, boxes = micrographs(1, 2, 8)
    marks = [(box[0] + 6, box[1] + 2, mark, 255) for mark, box in zip("ab", boxes, strict=True)]
    picture = shown(written(np.clip(grey, 80, 180), *marks))
    panels = find_panels([picture.box], [], caption, lambda most: picture)
    assert [(panel.letter, panel.caption) for panel in panels] == [("a", ""), ("b", "")]
    assert all_found([(panel.box, None) for panel in panels], boxes)


def test_things_on_black_within_a_white_margin_are_parted():
    image = Image.new("L", (420, 200), 255)
    draw = ImageDraw.Draw(image)
    draw.rectangle((6, 6, 412, 192), 0)
    boxes = [(20, 40, 120, 170), (150, 30, 260, 180), (300, 60, 400, 150)]
    for box in boxes:
        draw.ellipse(box, 160)
    assert all_found(split(shown(np.asarray(image)), 3), boxes)


@pytest.mark.parametrize("second", [1, 2])
def test_letters_of_a_drawing_may_be_drawn_while_its_numbers_are_text(second):
    grey, boxes = plots(3, 1)
    places = [boxes[0], boxes[second]]
    marks = [(box[0] + 70, box[1] + 8, mark, 0) for mark, box in zip("AB", places, strict=True)]
    picture = shown(written(grey, *marks))
    number = Line("0.5 A", (2, 300, 12, 308), 8, "Helvetica", "Helvetica")
    panels = find_panels([], [number], "A: One. B: Two.", lambda most: picture)
    upper = (boxes[0][0], boxes[0][1], boxes[second - 1][2], boxes[second - 1][3])
    lower = (boxes[second][0], boxes[second][1], boxes[2][2], boxes[2][3])
    assert all_found([(panel.box, None) for panel in panels], [upper, lower])


def test_what_stands_in_a_crossed_gutter_belongs_to_its_panel():
    grey = np.full((300, 500), 255, np.uint8)
    boxes = [(10, 10, 480, 149), (10, 150, 480, 290)]
    for _, top, _, bottom in boxes:
        grey[top : top + 12, 10:50] = grey[bottom - 30 : bottom, 10:480] = 0
        grey[top + 13 : top + 60, 100:480:50] = 0  # error bars
        grey[top + 50 : bottom - 31, 120:480:50] = 0
    assert all_found(split(shown(grey), 2), boxes)
