"""Alterations of figures as they occur in other papers."""

import io
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageDraw, ImageOps

from benchmarks.bench_dedup import cut, jpeg

GAP = 10  # pixels between figures that are joined
LINE_HEIGHT = 14  # pixels between line numbers of a review copy

Alteration = Callable[[Image.Image], Image.Image]


def review_copy(image: Image.Image) -> Image.Image:
    """Convert to grey at half the resolution, compressed, beside the line numbers of the page."""
    grey = image.convert("L").resize((max(image.width // 2, 1), max(image.height // 2, 1)))
    margin = max(12, max(grey.size) // 10)
    page = Image.new("L", (grey.width + 2 * margin, grey.height + margin), 255)
    page.paste(grey, (3 * margin // 2, margin // 2))
    draw = ImageDraw.Draw(page)
    for number, y in enumerate(range(4, page.height - LINE_HEIGHT, LINE_HEIGHT)):
        draw.text((2, y), str(137 + number), fill=0)
    return jpeg(50)(page.convert("RGB"))


def stretched(horizontally: float, vertically: float) -> Alteration:
    """Return an alteration of width and height by factors."""
    return lambda image: image.resize(
        (round(image.width * horizontally), round(image.height * vertically))
    )


def beside(image: Image.Image, other: Image.Image) -> Image.Image:
    """Join a figure with another of its height on the right."""
    other = other.resize((max(1, other.width * image.height // other.height), image.height))
    page = Image.new("RGB", (image.width + GAP + other.width, image.height), "white")
    page.paste(image, (0, 0))
    page.paste(other, (image.width + GAP, 0))
    return page


def below(image: Image.Image, other: Image.Image) -> Image.Image:
    """Join a figure with another of its width above."""
    other = other.resize((image.width, max(1, other.height * image.width // other.width)))
    page = Image.new("RGB", (image.width, image.height + GAP + other.height), "white")
    page.paste(other, (0, 0))
    page.paste(image, (0, other.height + GAP))
    return page


TURN = Image.Transpose
ALTERATIONS: dict[str, Alteration] = {
    "cropped by 5 %": cut(0.05, 0.05, 0.05, 0.05),
    "cropped by 10 %": cut(0.1, 0.1, 0.1, 0.1),
    "cropped by 20 %": cut(0.2, 0.2, 0.2, 0.2),
    "crop of a corner": cut(0.35, 0.05, 0.05, 0.35),
    "crop of a strip": cut(0.05, 0.25, 0.05, 0.25),
    "crop by 20 %, JPEG": lambda image: jpeg(40)(cut(0.2, 0.2, 0.2, 0.2)(image)),
    "turned by 90°": lambda image: image.transpose(TURN.ROTATE_90),
    "turned by 180°": lambda image: image.transpose(TURN.ROTATE_180),
    "turned by 270°": lambda image: image.transpose(TURN.ROTATE_270),
    "mirrored": lambda image: image.transpose(TURN.FLIP_LEFT_RIGHT),
    "mirrored and turned": lambda image: image.transpose(TURN.TRANSPOSE),
    "15 % wider": stretched(1.15, 1),
    "15 % higher": stretched(1, 1.15),
    "white border": lambda image: ImageOps.expand(image, max(image.size) // 16, "white"),
    "review copy": review_copy,
}
JOINED = {"joined, left": beside, "joined, below": below}
PANEL = "one panel"


def panels(row: dict[str, Any], image: Image.Image) -> list[Image.Image]:
    """Return the panels of a figure cropped at their boxes; empty if there is only one."""
    box = row["bbox"]
    if not box or len(row["panels"]) < 2:
        return []
    scale = image.width / (box[2] - box[0]), image.height / (box[3] - box[1])
    corners = [
        [round((value - box[place % 2]) * scale[place % 2]) for place, value in enumerate(bbox)]
        for bbox in (panel["bbox"] for panel in row["panels"])
        if bbox
    ]
    whole = 0, 0, *image.size
    cropped = (
        (max(left, 0), max(top, 0), min(right, whole[2]), min(bottom, whole[3]))
        for left, top, right, bottom in corners
    )
    return [image.crop(box) for box in cropped if box[2] - box[0] > 20 and box[3] - box[1] > 20]


def open_image(row: dict[str, Any]) -> Image.Image:
    """Return the image of a figure's row."""
    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
