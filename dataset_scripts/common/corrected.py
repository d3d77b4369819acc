"""Read figures with the manual corrections applied, as every step does.

If the box of a figure was corrected, its image is FOLDER/crops/NAME.png, which
`cephalo.dataset_scripts.pdf.crops` crops from the page.
"""

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.Image import DecompressionBombError

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
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
FIGURE_TEXT = "figure_text"  # text chunk of a crop: lines of text in the box, as JSON
CROP_MODES = ("RGB", "L")  # Pillow modes of crops
POINTS = 72.0  # per inch
DEFAULT_DPI = 200  # if a row has none
NAMED = 10  # lost corrections listed by name; the rest are counted
COLUMNS = tuple(dict.fromkeys((*KEY, "caption", "kind", "panels", "dpi")))
"""Columns that a verdict needs."""


def corrected_rows(shard: Path, columns: Iterable[str], batch_rows: int = 1) -> Iterator[Row]:
    """Yield the FIGURES rows of a shard in FOLDER/figures with manual corrections applied.

    All rows are yielded, with a `Verdict` or None as "verdict"; steps skip those for which
    `left_out` returns a reason. Images are undecoded. Raises CephaloError if the shard cannot be
    read or a line of the corrections is invalid.
    """
    verdicts = verdicts_of(shard)
    for place, row in enumerate(read_rows([shard], columns, batch_rows)):
        yield apply(row, verdicts.get(place))


def read_corrected(
    shards: Iterable[Path], columns: Iterable[str], batch_rows: int = 1
) -> Iterator[Row]:
    """Yield `corrected_rows` of several shards."""
    columns = list(columns)
    for shard in shards:
        yield from corrected_rows(shard, columns, batch_rows)


def left_out(row: Row) -> str | None:
    """Return why a row of `corrected_rows` is excluded: "person" (rejected manually), "uncropped"
    (no image of its corrected box), or None if it is included."""
    found: Verdict | None = row.get("verdict")
    if found is None:
        return None
    if found.state == REJECTED:
        return "person"
    return "uncropped" if found.crop and not found.crop.exists() else None


def verdicts_of(shard: Path) -> dict[int, Verdict]:
    """Return the manual decisions about the rows of a shard, by row number."""
    corrections = corrections_of(folder_of(shard))
    if not corrections.by_document:
        return {}
    rows = list(read_rows([shard], COLUMNS, batch_rows=500))
    return {
        place: with_crop(verdict(rows[place], lines), rows[place], folder_of(shard))
        for place, lines in corrections.of_rows(rows)[0].items()
    }


def folder_of(shard: Path) -> Path:
    """Return FOLDER for FOLDER/figures/SHARD."""
    return shard.parent.parent


def with_crop(found: Verdict, row: Row, folder: Path) -> Verdict:
    """Add the path of its crop to a verdict with a corrected box."""
    if "bbox" in found.values:
        facts = [row["document_sha256"], row["page"], found.values["bbox"], dpi_of(row)]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        found.crop = folder / CROPS / f"{digest[:32]}.png"
    return found


def dpi_of(row: Row) -> int:
    """Return the resolution at which the page of a row is cropped again."""
    return row["dpi"] or DEFAULT_DPI


def apply(row: Row, found: Verdict | None) -> Row:
    """Apply a verdict to a row; columns that the row lacks are not added."""
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
def _crop_facts(path: Path, _modified: int, bbox: tuple[float, ...]) -> dict[str, object]:
    """Return the columns of FIGURES that depend on the image of a crop."""
    try:
        with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
            if image.mode not in CROP_MODES:
                raise ValueError(f"mode {image.mode}")
            pixels = np.asarray(image)
            lines = json.loads(image.info.get(FIGURE_TEXT, "[]"))
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise ValueError(f"{FIGURE_TEXT} is not a list of strings")
    except UnidentifiedImageError as error:
        raise CephaloError(f"{path} is not a PNG image; delete it and run this again") from error
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


def clipped(panel: Row, bbox: list[float]) -> Row:
    """Clip a panel to the box of its figure; its box is null if it lies outside."""
    box = panel["bbox"]
    x0, y0, x1, y1 = bbox
    if not box or not iou(tuple(box), (x0, y0, x1, y1)):
        return panel | {"bbox": None}
    low, high = bbox[:2] * 2, bbox[2:] * 2
    inside = [min(max(side, low[i]), high[i]) for i, side in enumerate(box)]
    return panel | {"bbox": inside}


def tell_lost(folder: Path) -> None:
    """Warn in one line about corrections whose figure is no longer in FOLDER/figures."""
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
