"""Figures as people corrected them: what every step reads that reads figures.

Of a figure whose box was corrected, the image is FOLDER/crops/NAME.png, which
`cephalo.dataset_scripts.pdf.crops` cuts from the page.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.correction_values import (
    REJECTED,
)
from cephalo.dataset_scripts.common.corrections import (
    KEY,
    NAME,
    Key,
    Verdict,
    corrections_of,
    verdict,
)
from cephalo.dataset_scripts.common.geometry import iou
from cephalo.dataset_scripts.common.pixels import perceptual_hash, pixel_hash
from cephalo.dataset_scripts.common.shards import read_rows

logger = logging.getLogger(__name__)

CROPS = "crops"
FIGURE_TEXT = "figure_text"  # text chunk of a crop: the lines of text in the box, as JSON
CROP_MODES = ("RGB", "L")  # of Pillow, which crops are written in
POINTS = 72.0  # an inch
DEFAULT_DPI = 200  # where a row tells none
NAMED = 10  # lost corrections listed by name; the rest are counted
COLUMNS = tuple(dict.fromkeys((*KEY, "caption", "kind", "panels", "dpi")))
"""Columns that verdicts are made from."""


def corrected_rows(
    shard: Path, columns: Iterable[str], batch_rows: int = 1
) -> Iterator[dict[str, Any]]:
    """The FIGURES rows of a shard in FOLDER/figures, with the decisions of people applied.

    Every row is there, with its `Verdict`, or None, as "verdict": a step leaves out those for which
    `left_out` gives a reason. Images are undecoded. Raises CephaloError if the shard cannot be read
    or a line of the corrections is none.
    """
    verdicts = verdicts_of(shard)
    for place, row in enumerate(read_rows([shard], columns, batch_rows)):
        yield apply(row, verdicts.get(place))


def read_corrected(
    shards: Iterable[Path], columns: Iterable[str], batch_rows: int = 1
) -> Iterator[dict[str, Any]]:
    """`corrected_rows` of one shard after the other."""
    columns = list(columns)
    for shard in shards:
        yield from corrected_rows(shard, columns, batch_rows)


def left_out(row: dict[str, Any]) -> str | None:
    """The reason for which a row of `corrected_rows` is no figure: "person" (rejected it), or
    "uncropped" (there is no image of its corrected box); None if it is one."""
    found: Verdict | None = row.get("verdict")
    if found is None:
        return None
    if found.state == REJECTED:
        return "person"
    return "uncropped" if found.crop and not found.crop.exists() else None


def verdicts_of(shard: Path) -> dict[int, Verdict]:
    """What people decided about the rows of a shard, by the place of the row."""
    corrections = corrections_of(folder_of(shard))
    if not corrections.by_document:
        return {}
    rows = list(read_rows([shard], COLUMNS, batch_rows=500))
    return {
        place: with_crop(verdict(rows[place], lines), rows[place], folder_of(shard))
        for place, lines in corrections.of_rows(rows)[0].items()
    }


def folder_of(shard: Path) -> Path:
    """The folder that FOLDER/figures/SHARD belongs to."""
    return shard.parent.parent


def with_crop(found: Verdict, row: dict[str, Any], folder: Path) -> Verdict:
    """A verdict about a row of a folder, with the file of its crop where the box was corrected."""
    if "bbox" in found.values:
        facts = [row["document_sha256"], row["page"], found.values["bbox"], dpi_of(row)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        found.crop = folder / CROPS / f"{digest[:32]}.png"
    return found


def dpi_of(row: dict[str, Any]) -> int:
    """The resolution at which the page of a row is cropped again."""
    return row["dpi"] or DEFAULT_DPI


def apply(row: dict[str, Any], found: Verdict | None) -> dict[str, Any]:
    """A row as people left it, with the verdict; columns that it lacks are not added."""
    row = row | {"verdict": found}
    if found is None:
        return row
    row |= {name: value for name, value in found.values.items() if name in row}
    if found.crop and found.crop.exists():
        state = found.crop.stat()
        facts = _crop_facts(found.crop, state.st_mtime_ns, tuple(found.values["bbox"]))
        row |= {name: value for name, value in facts.items() if name in row}
        if "image" in row:
            row["image"] = {"bytes": found.crop.read_bytes(), "path": None}
        if row.get("panels"):
            row["panels"] = [clipped(panel, found.values["bbox"]) for panel in row["panels"]]
    return row


@lru_cache(maxsize=10_000)
def _crop_facts(path: Path, _modified: int, bbox: tuple[float, ...]) -> dict[str, Any]:
    """The columns of FIGURES that depend on the image of a crop."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            if image.mode not in CROP_MODES:
                raise ValueError(f"mode {image.mode}")
            pixels = np.asarray(image)
            lines = json.loads(image.info.get(FIGURE_TEXT, "[]"))
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValueError(f"{FIGURE_TEXT} is no list of texts")
    except UnidentifiedImageError as error:
        raise CephaloError(f"{path} is no PNG image; delete it and run this again") from error
    except (OSError, SyntaxError, ValueError, RecursionError, DecompressionBombError) as error:
        raise CephaloError(f"{path} is damaged ({error}); delete it and run this again") from error
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    height, width = pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "dpi": max(1, round(POINTS * width / (bbox[2] - bbox[0]))),
        "image_sha256": pixel_hash(pixels),
        "phash": perceptual_hash(pixels),
        FIGURE_TEXT: lines,
    }


def clipped(panel: dict[str, Any], bbox: list[float]) -> dict[str, Any]:
    """A panel within the box of its figure; without a box of its own where it lies outside."""
    box = panel["bbox"]
    x0, y0, x1, y1 = bbox
    if not box or not iou(tuple(box), (x0, y0, x1, y1)):
        return panel | {"bbox": None}
    low, high = bbox[:2] * 2, bbox[2:] * 2
    inside = [min(max(side, low[i]), high[i]) for i, side in enumerate(box)]
    return panel | {"bbox": inside}


def tell_lost(folder: Path) -> None:
    """Warn, in one line, of corrections whose figure is not in FOLDER/figures."""
    corrections = corrections_of(folder)
    if not corrections.by_document:
        return
    met: set[Key] = set()
    for shard in sorted((folder / "figures").glob("*.parquet")):
        met |= corrections.of_rows(list(read_rows([shard], KEY, batch_rows=500)))[1]
    keys = [key for one in corrections.by_document.values() for key in one]
    if lost := [key.name for key in keys if key not in met]:
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        what = "1 figure that is" if len(lost) == 1 else f"{len(lost)} figures that are"
        logger.warning(
            "%s is about %s no longer there: %s%s",
            *(folder / NAME, what, "; ".join(lost[:NAMED]), more),
        )
