"""Label the panels of a figure by hand, with a grid and the extractor's proposal.

    python -m benchmarks.panels.label show ../shared/bench real DOCUMENT "Figure 2" --out sheet.png
    python -m benchmarks.panels.label set ../shared/bench real DOCUMENT "Figure 2" \\
        --publisher NAME --page 4 --figure 54 70 281 234 --panels \\
        "a=0,0,50,100" "b=50,0,100,100" "a:SEM image of GO" "b:SEM image of the composite"

`show` draws the figure with a grid in per cent and the boxes proposed by the extractor, and prints
the proposal as arguments of `set`. `set` takes boxes in per cent of the figure, shrinks them to
their ink, finds the parts in the benchmark's caption, and writes `truth.json`. A letter without a
box ("a=") is not counted for boxes. A letter with several parts has several correct readings.
Without panels, the figure is labelled as simple.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageDraw, ImageFont

from benchmarks.panels.score import find_row
from benchmarks.panels.truth import (
    LabelledFigure,
    LabelledPanel,
    read_caption,
    read_truth,
    with_figure,
    write_truth,
)
from cephalo.dataset_scripts.common.geometry import Box
from cephalo.dataset_scripts.pdf.document import extract_document

DPI = 120
INK = 235  # grey level below which a pixel is ink
GRID = 5  # per cent between grid lines
MARGIN = 28  # pixels around the figure for the numbers


def main() -> None:
    """Run the command "show" or "set"."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("show", "set"):
        command = commands.add_parser(name)
        command.add_argument("bench", type=Path)
        command.add_argument("set", help="folder of the benchmark: real or wide")
        command.add_argument("document")
        command.add_argument("label")
    commands.choices["show"].add_argument("--out", type=Path, required=True)
    setting = commands.choices["set"]
    setting.add_argument("--publisher", required=True)
    setting.add_argument("--page", type=int, required=True, help="0-based")
    setting.add_argument("--figure", type=float, nargs=4, required=True, help="its box, in points")
    setting.add_argument(
        "--panels", nargs="*", default=[], help='"a=x0,y0,x1,y1" in per cent, "a:caption part"'
    )
    options = parser.parse_args()
    if options.command == "show":
        show(options)
    else:
        figure = parse_figure(options)
        write_truth(with_figure(read_truth(), figure))
        print(figure)


def show(options: argparse.Namespace) -> None:
    """Draw the extracted figure with a grid, and print the proposal."""
    path = _pdf(options)
    blank = LabelledFigure(options.set, options.document, "", options.label, 0, ())
    caption = read_caption(options.bench, blank)
    rows = extract_document(path).rows
    found = (find_row(rows, replace(blank, page=row["page"]), caption) for row in rows)
    row = next((row for row in found if row), None)
    if row is None:
        raise SystemExit(f"no extracted figure has the caption of {options.label}; use `set`")
    box = tuple(row["bbox"])
    image = draw_grid(crop(path, row["page"], box))
    draw = ImageDraw.Draw(image)
    print(f"--page {row['page']} --figure", *(f"{side:.1f}" for side in box))
    for panel in row["panels"]:
        if panel["bbox"]:
            share = _to_share(panel["bbox"], box)
            print(f'"{panel["letter"]}=' + ",".join(f"{side:.1f}" for side in share) + '"')
            across, down = image.width - 2 * MARGIN, image.height - 2 * MARGIN
            corners = np.array(share) / 100 * [across, down, across, down] + MARGIN
            draw.rectangle(corners.tolist(), outline=(220, 0, 0), width=2)
        print(f'"{panel["letter"]}:{panel["caption"]}"')
    image.save(options.out)


def draw_grid(figure: Image.Image) -> Image.Image:
    """Return the figure with a margin and a numbered grid."""
    image = Image.new("RGB", (figure.width + 2 * MARGIN, figure.height + 2 * MARGIN), "white")
    image.paste(figure, (MARGIN, MARGIN))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for share in range(0, 101, GRID):
        x, y = MARGIN + figure.width * share / 100, MARGIN + figure.height * share / 100
        colour = (255, 0, 255) if share % (2 * GRID) == 0 else (120, 220, 255)
        draw.line([(x, MARGIN - 4), (x, MARGIN + figure.height)], fill=colour)
        draw.line([(MARGIN - 4, y), (MARGIN + figure.width, y)], fill=colour)
        if share % (2 * GRID) == 0:
            draw.text((x - 8, 6), str(share), fill="blue", font=font)
            draw.text((2, y - 7), str(share), fill="blue", font=font)
    return image


def parse_figure(options: argparse.Namespace) -> LabelledFigure:
    """Return the labelled figure described by the arguments of `set`.

    Raises:
        ValueError: If an argument is neither a box nor a part, or a part is not in the caption.
    """
    figure = LabelledFigure(
        options.set, options.document, options.publisher, options.label, options.page, ()
    )
    caption = read_caption(options.bench, figure)
    whole = tuple(options.figure)
    pixels = np.asarray(crop(_pdf(options), options.page, whole))
    boxes: dict[str, Box | None] = {}
    parts: dict[str, list[tuple[int, int]]] = {}
    for argument in options.panels:
        letter, kind, value = argument[:1], argument[1:2], argument[2:]
        if kind == "=":
            share = tuple(float(side) for side in value.split(",")) if value else None
            boxes[letter] = shrink(pixels, whole, share) if share else None
        elif kind == ":":
            start = caption.index(value)
            parts.setdefault(letter, []).append((start, start + len(value)))
        else:
            raise ValueError(f"{argument}: neither a box nor a caption part")
    panels = tuple(
        LabelledPanel(letter, boxes.get(letter), tuple(parts.get(letter, ())))
        for letter in sorted(boxes.keys() | parts.keys())
    )
    return replace(figure, panels=panels)


def shrink(pixels: np.ndarray, whole: Box, share: tuple[float, ...]) -> Box:
    """Shrink a box to its ink.

    Args:
        pixels: The figure, uint8 of shape (height, width, 3).
        whole: Box of the figure, in points.
        share: Box in per cent of the figure.

    Returns:
        Box in points, rounded to a tenth.
    """
    height, width = pixels.shape[:2]
    left, right = (round(side * width / 100) for side in (share[0], share[2]))
    top, bottom = (round(side * height / 100) for side in (share[1], share[3]))
    ink = pixels[top:bottom, left:right].min(axis=2) < INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows):
        bottom, top = top + int(rows[-1]) + 1, top + int(rows[0])
        right, left = left + int(columns[-1]) + 1, left + int(columns[0])
    across, down = (whole[2] - whole[0]) / width, (whole[3] - whole[1]) / height
    sides = (
        whole[0] + left * across,
        whole[1] + top * down,
        whole[0] + right * across,
        whole[1] + bottom * down,
    )
    return tuple(round(side, 1) for side in sides)


def crop(path: Path, page: int, box: Box) -> Image.Image:
    """Render a part of a page in RGB at `DPI` dots per inch."""
    scale = DPI / 72
    document = pdfium.PdfDocument(path)
    try:
        image = document[page].render(scale=scale).to_pil().convert("RGB")
    finally:
        document.close()
    return image.crop([max(0, int(side * scale)) for side in box])


def _pdf(options: argparse.Namespace) -> Path:
    """Return the path of the document."""
    return options.bench / options.set / "pdf" / f"{options.document}.pdf"


def _to_share(box: Box, whole: Box) -> tuple[float, ...]:
    """Convert a box from points to per cent of the figure."""
    across, down = 100 / (whole[2] - whole[0]), 100 / (whole[3] - whole[1])
    return (
        (box[0] - whole[0]) * across,
        (box[1] - whole[1]) * down,
        (box[2] - whole[0]) * across,
        (box[3] - whole[1]) * down,
    )


if __name__ == "__main__":
    main()
