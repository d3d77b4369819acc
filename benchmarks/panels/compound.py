"""Generated compound figures with exact panel boxes, for fitting the panel rules.

    python -m benchmarks.panels.compound --count 300 --seed 1

scores the panel stage on generated figures. They sample the properties of published figures: grids,
also with a short last row, unequal rows, mosaics; images that touch, are separated by a thin black
or white line or by a gap, on white or black; letters in a corner, above, beside or below their
panel, and letters missing in the caption or in the text; scale bars, insets, several images or
plots under one letter; plots, maps with a colour bar, schemes, gels; legends, also framed, and
shared names of axes, rows and columns; arrows between panels. A figure is a single image, a drawing
with text, or images with overprinted text.
"""

import argparse
import io
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from benchmarks.panels.arrangement import arrange
from benchmarks.panels.canvas import FACES, Canvas, Rect, join
from benchmarks.panels.contents import (
    WORDS,
    PlotStyle,
    choose_style,
    draw_boxed_legend,
    draw_companions,
    draw_gel,
    draw_legend,
    draw_levels,
    draw_mapped,
    draw_picture,
    draw_plot,
    draw_scheme,
    draw_specimens,
    draw_stack,
    draw_twins,
)
from benchmarks.panels.lettering import (
    Lettering,
    choose_lettering,
    without_strip,
    write_letter,
)
from benchmarks.panels.score import MIN_IOU, Score, line
from benchmarks.panels.textures import Drawer, choose_texture
from cephalo.dataset_scripts.common.geometry import Box, iou
from cephalo.dataset_scripts.common.pixels import thin
from cephalo.dataset_scripts.pdf.panel_boxes import Picture
from cephalo.dataset_scripts.pdf.panels import find_panels
from cephalo.dataset_scripts.pdf.text import Line

MIN_CELL = 9  # smallest side of a panel, in type sizes
LONGEST = 4.0  # largest ratio of a panel's sides
WIDTHS = (240.0, 510.0)  # points: width of a column and of a page
UNTOLD, UNREAD = 0.12, 0.12  # share of drawings with letters missing in caption, in text
DENSITIES = (150, 220, 300)  # pixels per inch
SHARED = (
    "legend below",
    "legend above",
    "legend beside",
    "boxed legend",
    "levels beside",
    "levels below",
)
NAMES = ("names of rows", "names of columns", "names of axes", "title")
PLOTS = (*[draw_plot] * 4, draw_stack, draw_twins, draw_mapped, draw_scheme, draw_gel)


@dataclass(frozen=True)
class Compound:
    """A figure as input of the panel stage, with its ground truth.

    `boxes` are those of the panels by letter, in points like `images` and `lines`. `kinds` are
    properties of the figure.
    """

    grey: np.ndarray
    scale: float
    images: list[Box]
    lines: list[Line]
    caption: str
    boxes: dict[str, Box]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """Choices made for a figure before drawing."""

    theme: str  # "pictures", "plots", "mixed", "specimens"
    apart: str  # "touching", "hairline", "line", "apart"
    form: str  # "picture", "drawing", "overprinted"
    gap: int
    lettering: Lettering
    style: PlotStyle
    texture: Drawer
    vary: float  # share of panels with a different texture


def main() -> None:
    """Score the panel stage on generated figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scores: dict[str, Score] = defaultdict(Score)
    for index in range(options.count):
        figure = draw_compound(np.random.default_rng((options.seed, index)))
        score = score_compound(figure)
        for kind in (*figure.kinds, "all"):
            scores[kind].add(score)
    for kind in sorted(scores, key=lambda kind: (kind == "all", kind)):
        print(line(kind, scores[kind]))


def score_compound(figure: Compound) -> Score:
    """Return the counts of the panel stage for one figure."""
    free = [panel for panel in read_compound(figure) if panel.box]
    score = Score(figures=1, boxes=len(figure.boxes), predicted=len(free))
    for letter, box in figure.boxes.items():
        best = max(free, key=lambda panel: iou(panel.box, box), default=None)
        if best is not None and iou(best.box, box) >= MIN_IOU:
            free.remove(best)
            score.matched += 1
            score.lettered += 1
            score.right_letters += best.letter == letter
    return score


def read_compound(figure: Compound) -> list:
    """Return the panels that the extractor finds in a figure."""
    high, wide = figure.grey.shape
    whole = (0.0, 0.0, wide * figure.scale, high * figure.scale)

    def draw(most: int) -> Picture:
        step = -(-max(high, wide) // most)
        return Picture(thin(figure.grey[..., None], step)[..., 0], whole)

    return find_panels(figure.images, figure.lines, figure.caption, draw)


def draw_compound(random: np.random.Generator) -> Compound:
    """Draw a random figure."""
    wide_pt, density = random.choice(WIDTHS), int(random.choice(DENSITIES))
    unit = density / 72  # pixels per point
    plan = _choose_plan(random, unit)
    wide = round(wide_pt * unit)
    high = round(wide * random.uniform(0.4, 1.3))
    black = (plan.apart != "apart" and random.random() < 0.3) or random.random() < 0.08
    black |= plan.theme == "specimens" and random.random() < 0.6
    ground = 0 if black else 255
    size = round(random.uniform(5.5, 9) * unit)
    image = Image.new("L", (wide, high), ground)
    canvas = Canvas(image, unit, ground, str(random.choice(FACES)), size)
    whole = (0, 0, wide, high)
    shared = str(random.choice(SHARED)) if random.random() < 0.2 else ""
    area = _draw_shared(canvas, random, whole, shared) if shared else whole
    named = str(random.choice(NAMES)) if random.random() < 0.2 else ""
    inner = _without_names(canvas, area, named)
    cells, arrangement = arrange(random, inner, plan.gap)
    if not _is_fit(cells, plan.lettering.strip + MIN_CELL * size):
        return draw_compound(random)
    if plan.lettering.place == "none" and arrangement == "mosaic":
        return draw_compound(random)
    if named:
        _draw_names(canvas, random, area, cells, named)
    boxes, contents = _draw_cells(canvas, random, plan, cells)
    if random.random() < 0.06 and _draw_arrow(canvas, boxes):
        contents.add("arrow")
    kinds = [plan.theme, plan.apart, plan.form, arrangement, f"letters {plan.lettering.place}"]
    kinds += [kind for kind in (shared, named, *contents) if kind]
    kinds += ["black ground"] if black else []
    return _finish(canvas, random, plan, boxes, tuple(kinds))


def _is_fit(cells: list[Rect], least: int) -> bool:
    """Return whether all cells have room for a plot and none is too long."""
    sides = [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in cells]
    return all(min(one) >= least and max(one) <= LONGEST * min(one) for one in sides)


def _choose_plan(random: np.random.Generator, unit: float) -> _Plan:
    """Draw the plan of a figure."""
    themes = ["pictures", "plots", "mixed", "specimens"]
    theme = str(random.choice(themes, p=[0.4, 0.32, 0.22, 0.06]))
    apart = "apart"
    if theme == "pictures":
        apart = str(
            random.choice(["touching", "hairline", "line", "apart"], p=[0.2, 0.2, 0.25, 0.35])
        )
    gap = {
        "touching": 0,
        "hairline": int(random.integers(1, 3)),
        "line": int(random.integers(3, 7)),
    }
    form = str(random.choice(["picture", "drawing", "overprinted"], p=[0.55, 0.3, 0.15]))
    return _Plan(
        theme=theme,
        apart=apart,
        form=form,
        gap=gap.get(apart, round(random.uniform(3, 18) * unit)),
        lettering=choose_lettering(random, unit, tight=apart != "apart"),
        style=choose_style(random),
        texture=choose_texture(random),
        vary=float(random.choice([0.0, 0.3, 1.0])),
    )


def _draw_shared(canvas: Canvas, random: np.random.Generator, area: Rect, shared: str) -> Rect:
    """Draw a legend or colour bar for all panels at a side. Return the remaining area."""
    x0, y0, x1, y1 = area
    size, gap = canvas.size, round(canvas.unit * random.uniform(3, 10))
    count = int(random.integers(2, 6))
    if shared == "legend beside":
        left = x1 - 7 * size
        draw_legend(canvas, random, (left, y0 + (y1 - y0) * random.uniform(0, 0.5)), count, size)
        return x0, y0, left - gap, y1
    if shared == "boxed legend":
        return x0, y0, x1, draw_boxed_legend(canvas, random, area)[1] - gap
    if shared == "levels beside":
        left = x1 - round(4.2 * size)
        draw_levels(canvas, (left, y0 + size, x1, y1 - size))
        return x0, y0, left - gap, y1
    if shared == "levels below":
        top = y1 - round(2.8 * size)
        inset = round((x1 - x0) * random.uniform(0, 0.3))
        draw_levels(canvas, (x0 + inset, top, x1 - inset, y1), lying=True)
        return x0, y0, x1, top - gap
    across = random.random() < 0.6
    count = min(count, max(1, (x1 - x0) // (9 * size))) if across else count
    high = size if across else round(1.5 * size * count)
    inset = round((x1 - x0) * random.uniform(0, 0.35)) if not across else 2
    top = y0 if shared == "legend above" else y1 - high
    draw_legend(canvas, random, (x0 + inset, top), count, size, across)
    if shared == "legend above":
        return x0, y0 + high + gap, x1, y1
    return x0, y0, x1, top - gap


def _without_names(canvas: Canvas, area: Rect, named: str) -> Rect:
    """Return the area without the space for names of rows, columns or axes, or a title."""
    x0, y0, x1, y1 = area
    strip = 2 * canvas.size
    left = x0 + strip if named in ("names of rows", "names of axes") else x0
    top = y0 + strip if named in ("names of columns", "title") else y0
    bottom = y1 - strip if named == "names of axes" else y1
    return left, top, x1, bottom


def _draw_names(
    canvas: Canvas, random: np.random.Generator, area: Rect, cells: list[Rect], named: str
) -> None:
    """Draw names of rows, columns or axes, or a title."""
    x0, y0, x1, y1 = area
    size = canvas.size
    if named == "names of rows":
        for top, bottom in sorted(
            {(cell[1], cell[3]) for cell in cells if cell[0] < x0 + 3 * size}
        ):
            word = str(random.choice(WORDS))
            canvas.write(word, x0 + 0.7 * size, (top + bottom) / 2, upright=True)
    elif named == "names of columns":
        for left, right in sorted(
            {(cell[0], cell[2]) for cell in cells if cell[1] < y0 + 3 * size}
        ):
            canvas.write(str(random.choice(WORDS)), (left + right) / 2, y0, "mt")
    elif named == "names of axes":
        canvas.write("Time of exposure (h)", (x0 + x1) / 2, y1, "mb")
        canvas.write("Share of the load (%)", x0 + 0.7 * size, (y0 + y1) / 2, upright=True)
    else:
        canvas.write("Response of the " + str(random.choice(WORDS)), (x0 + x1) / 2, y0, "mt")


def _draw_cells(
    canvas: Canvas, random: np.random.Generator, plan: _Plan, cells: list[Rect]
) -> tuple[dict[str, Rect], set[str]]:
    """Draw the panels. Return their boxes by letter, and notable kinds of content."""
    boxes: dict[str, Rect] = {}
    kinds = set()
    texture, lettered = plan.texture, plan.lettering.place != "none"
    companions = lettered and random.random() < 0.2
    for index, cell in enumerate(cells):
        texture = choose_texture(random) if random.random() < plan.vary else texture
        drawn = plan.theme == "plots" or (plan.theme == "mixed" and random.random() < 0.5)
        room = without_strip(plan.lettering, cell, drawn)
        if drawn:
            first = PLOTS if random.random() < plan.vary else (draw_plot,)
            drawer = first[int(random.integers(len(first)))]
            box = drawer(canvas, random, room, plan.style)
        else:
            drawer = draw_specimens if plan.theme == "specimens" else draw_picture
            if companions and random.random() < 0.5:
                drawer = draw_companions
            box = drawer(canvas, random, room, texture)
        kinds.add(drawer.__name__.removeprefix("draw_"))
        if lettered:
            free = drawn or plan.theme == "specimens"
            mark = write_letter(canvas, plan.lettering, index, cell, box, free)
            box = join([box, mark])
            if plan.lettering.named:
                word = str(random.choice(WORDS))
                end = "lt" if plan.lettering.place == "above" else "lb"
                side = mark[1] if end == "lt" else mark[3]
                canvas.write(word, mark[2] + canvas.size // 2, side, end)
        boxes[plan.lettering.letter(index)] = box
    return boxes, kinds - {"picture", "plot"}


def _draw_arrow(canvas: Canvas, boxes: dict[str, Rect]) -> bool:
    """Draw an arrow from the first to the second panel if they are side by side with a gap."""
    (_, y0, start, y1), (end, top, _, bottom) = list(boxes.values())[:2]
    size, height = canvas.size, (max(y0, top) + min(y1, bottom)) / 2
    if end - start < size // 3 or min(y1, bottom) - max(y0, top) < 2 * size:
        return False
    canvas.pen.line((start, height, end, height), canvas.ink, max(2, size // 6))
    head = (end - size // 3, height - size // 3, end - size // 3, height + size // 3)
    canvas.pen.polygon((end, height, *head), canvas.ink)
    return True


def _finish(
    canvas: Canvas,
    random: np.random.Generator,
    plan: _Plan,
    boxes: dict[str, Rect],
    kinds: tuple[str, ...],
) -> Compound:
    """Crop and store the figure like one in a paper, and return it with its text."""
    used = canvas.inked((0, 0, *canvas.image.size))
    margin = round(random.choice([0, 3, 8]) * canvas.unit) if plan.form == "picture" else 3
    frame = (used[0] - margin, used[1] - margin, used[2] + margin, used[3] + margin)
    paper = Image.new("L", (frame[2] - frame[0], frame[3] - frame[1]), canvas.ground)
    paper.paste(canvas.image, (-frame[0], -frame[1]))
    grey = np.asarray(paper)
    if plan.form == "picture" or plan.theme == "pictures":
        grey = _stored(random, grey)
    scale = 1 / canvas.unit

    def place(rect: Rect) -> Box:
        left, top = frame[:2]
        sides = rect[0] - left, rect[1] - top, rect[2] - left, rect[3] - top
        return tuple(side * scale for side in sides)

    lines = [_moved(one, frame[0] * scale, frame[1] * scale) for one in canvas.lines]
    if plan.form == "overprinted":
        lines = [one for one in lines if len(one.text) < 4]
    whole = place(frame)
    told, read = list(boxes), "letters read"
    if plan.form != "picture" and len(told) > 3:
        kind = random.random()
        if kind < UNTOLD:  # the rest of the caption is on the next page
            told, read = told[: int(random.integers(2, len(told)))], "letters untold"
        elif kind < UNTOLD + UNREAD:  # one letter is drawn as a path
            other = plan.lettering.text(int(random.integers(len(told))))
            lines, read = [one for one in lines if one.text != other], "letter unread"
    kinds = (*kinds, read) if plan.form != "picture" else kinds
    return Compound(
        grey,
        scale,
        images=[whole] if plan.form == "picture" else [place(rect) for rect in canvas.pictures],
        lines=[] if plan.form == "picture" else lines,
        caption=_caption(random, told),
        boxes={letter: place(rect) for letter, rect in boxes.items()},
        kinds=kinds,
    )


def _moved(one: Line, left: float, top: float) -> Line:
    """Return a line in the coordinates of the cropped figure."""
    x0, y0, x1, y1 = one.box
    return replace(one, box=(x0 - left, y0 - top, x1 - left, y1 - top))


def _stored(random: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Apply JPEG compression and resampling to some figures."""
    if random.random() < 0.7:
        stored = io.BytesIO()
        Image.fromarray(grey).save(stored, "JPEG", quality=int(random.integers(60, 96)))
        grey = np.asarray(Image.open(stored))
    if random.random() < 0.5:  # blurs one-pixel edges
        high, wide = grey.shape
        image = Image.fromarray(grey)
        image = image.resize((round(wide * 0.83), round(high * 0.83)), Image.Resampling.BICUBIC)
        grey = np.asarray(image.resize((wide, high), Image.Resampling.BICUBIC))
    return grey


def _caption(random: np.random.Generator, letters: list[str]) -> str:
    """Return a caption that names the letters."""
    parts = [f"({letter}) The {random.choice(WORDS)}" for letter in letters]
    return "Micrographs. " + ", ".join(parts) + "."


if __name__ == "__main__":
    main()
