"""Measure the comparison of images: false near-copies, and recall of altered copies.

    python -m benchmarks.bench_dedup FOLDER

FOLDER is one of `cephalo extract`, whose figures should be distinct. Every pair of them that is
reported as near-copies is false; within a document this has no effect, since only equal pixels are
duplicates there. Then every figure is altered in the ways of `ALTERATIONS` and searched among all.
"""

import argparse
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance
from tqdm import tqdm

from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication.dedup_images import ImageIndex, open_grey, thumbnail


def scaled(factor: float) -> Callable[[Image.Image], Image.Image]:
    """Return an alteration to `factor` times the size."""
    return lambda image: image.resize(
        (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    )


def cut(left: float, top: float, right: float, bottom: float) -> Callable:
    """Return an alteration that crops shares of the width and height at the edges; negative shares
    pad."""

    def crop(image: Image.Image) -> Image.Image:
        box = left * image.width, top * image.height, right * image.width, bottom * image.height
        left_, top_, right_, bottom_ = map(round, box)
        page = Image.new("RGB", (image.width - left_ - right_, image.height - top_ - bottom_))
        page.paste("white", (0, 0, *page.size))
        page.paste(image, (-left_, -top_))
        return page

    return crop


def jpeg(quality: int) -> Callable[[Image.Image], Image.Image]:
    """Return an alteration to a JPEG file and back."""

    def compress(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return compress


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "scaled by 0.3": scaled(0.3),
    "scaled by 0.5": scaled(0.5),
    "scaled by 1.5": scaled(1.5),
    "JPEG of quality 40": jpeg(40),
    "grey": lambda image: image.convert("L"),
    "brightness 0.8": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "brightness 1.2": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast 0.7": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "margin of 2 %": cut(-0.02, -0.02, -0.02, -0.02),
    "cropped by 1 %": cut(0.01, 0.01, 0.01, 0.01),
    "cropped by 2 %": cut(0.02, 0.02, 0.02, 0.02),
    "cropped by 4 % left and below": cut(0.04, 0, 0, 0.04),
}


def main() -> None:
    """Print the false pairs, and for each alteration the share of copies found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of `cephalo extract`")
    shards = find_tables([parser.parse_args().folder])["figures"]
    columns = ["image", "document_sha256"]
    rows = [(row["document_sha256"], row["image"]["bytes"]) for row in read_rows(shards, columns)]
    index = ImageIndex()
    false = Counter()
    for number, (document, data) in enumerate(rows):
        picture = thumbnail(open_grey(data, f"figure {number}"))
        false.update(rows[other][0] == document for other in index.near(picture))
        index.add(picture)
    pairs = len(rows) * (len(rows) - 1) // 2
    print(f"{len(rows)} figures, {pairs} pairs: {false[False]} false across documents, ", end="")
    print(f"{false[True]} within one")
    found: Counter[str] = Counter()
    for number, (_, data) in enumerate(tqdm(rows, unit=" figures", disable=None)):
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for name, alter in ALTERATIONS.items():
            file = io.BytesIO()
            alter(image).save(file, "BMP")
            found[name] += number in index.near(thumbnail(open_grey(file.getvalue(), name)))
    for name in ALTERATIONS:
        print(f"{name:30} {found[name] / len(rows):6.1%} found")


if __name__ == "__main__":
    main()
