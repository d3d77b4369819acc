"""Write results as an HTML page, and hash the query image."""

from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.dataset_scripts.common.corrected import corrected_rows
from cephalo.dataset_scripts.common.gallery import thumbnail
from cephalo.dataset_scripts.common.pixels import compact, perceptual_hash
from cephalo.dataset_scripts.searching.index import Hit
from cephalo.inference.images import open_image


def hash_of(image: Path) -> str:
    """Return the perceptual hash of an image file.

    Raises:
        CephaloError: If it is not an image.
    """
    return perceptual_hash(compact(np.asarray(open_image(image))))


def write_page(folder: Path, hits: list[Hit], asked: str, page: Path) -> None:
    """Write an HTML page of results with thumbnails.

    Args:
        folder: Folder of figures.
        hits: Results.
        asked: Description of the query.
        page: Output file.
    """
    # Captions and file names are untrusted, so everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("results.html.jinja")
    found = [hit._asdict() | {"thumbnail": picture(folder, hit)} for hit in hits]
    write_whole(page, template.render(folder=folder.resolve().name, asked=asked, found=found))


def picture(folder: Path, hit: Hit) -> str:
    """Return a thumbnail as a data URI, "" if the image cannot be read."""
    shard = folder / "figures" / hit.shard
    for place, row in enumerate(corrected_rows(shard, ["image"])):
        if place == hit.place:
            try:
                return thumbnail((row["image"] or {}).get("bytes") or b"")
            except (CephaloError, OSError, ValueError):
                return ""
    return ""
