"""Corrected boxes: draw the page for review, and crop the image of the corrected box."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing
from cephalo.cli.json_files import parse_object
from cephalo.dataset_scripts.common.corrected import (
    COLUMNS,
    FIGURE_TEXT,
    dpi_of,
    tell_lost,
    verdicts_of,
)
from cephalo.dataset_scripts.common.corrections import Verdict, corrections_of
from cephalo.dataset_scripts.common.geometry import Box, intersection, turn
from cephalo.dataset_scripts.common.inputs import DIGITS, RECORD, file_sha256
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.workers import looking_pool

if TYPE_CHECKING:
    from pebble import ProcessPool

logger = logging.getLogger(__name__)

TIMEOUT = 60.0  # seconds per page; the default of `cephalo extract` per document


def prepare_corrections(folder: Path) -> None:
    """Crop missing images of corrected boxes, before a step reads the figures of a folder.

    A warning is logged for each correction that cannot be applied.

    Raises:
        CephaloError: If a shard or a line of the corrections cannot be read.
    """
    make_crops(folder)
    tell_lost(folder)


def make_crops(folder: Path) -> None:
    """Write the images of corrected boxes that are missing in FOLDER/crops.

    The pages are read from the files listed in FOLDER/inputs.json, if these still exist unchanged.
    A warning is logged for each image that cannot be made.

    Raises:
        CephaloError: If a shard or a line of the corrections cannot be read.
    """
    missing = list(_missing(folder))
    if not missing:
        return
    with looking_pool() as pool:
        for row, found in missing:
            try:
                crop_to_file(pool, folder, row, found)
            except CephaloError as error:
                logger.warning("%s; the figure is left out", error)


def _missing(folder: Path) -> Iterator[tuple[dict[str, Any], Verdict]]:
    """Yield the rows, with `COLUMNS`, whose corrected box has no image yet."""
    if not corrections_of(folder).by_document:
        return
    for shard in sorted((folder / "figures").glob("*.parquet")):
        wanted = {
            place: found
            for place, found in verdicts_of(shard).items()
            if found.crop and not found.crop.exists()
        }
        for place, row in enumerate(read_rows([shard], COLUMNS, 500) if wanted else ()):
            if place in wanted:
                yield row, wanted[place]


def crop_to_file(pool: "ProcessPool", folder: Path, row: dict[str, Any], found: Verdict) -> None:
    """Crop the corrected box of a row from its page in a worker process, and write the image.

    Args:
        pool: Pool of worker processes.
        folder: Folder of the extraction.
        row: Row of the `figures` table.
        found: Verdict with the corrected box.

    Raises:
        CephaloError: If the file is missing or changed, or the page cannot be read in time.
    """
    name = f"{row['label'] or 'a figure'} of {row['document']}: its corrected box"
    path = find_document(folder, row["document_sha256"])
    if path is None:
        raise CephaloError(
            f"{name} cannot be cropped, since its file was moved or changed; put it back and "
            "run `cephalo extract` on it again"
        )
    box = tuple(found.values["bbox"])
    try:
        job = pool.schedule(crop_page, args=[path, row["page"], box, dpi_of(row)], timeout=TIMEOUT)
        data = job.result()
    except FutureTimeoutError as error:
        raise CephaloError(f"{name} took longer than {TIMEOUT:g} s to crop") from error
    except Exception as error:  # also if the worker was killed or has a defect: report the file
        why = " ".join(f"{error}".split()) or type(error).__name__
        raise CephaloError(f"{name} cannot be cropped from {path}: {why}") from error
    assert found.crop is not None
    found.crop.parent.mkdir(exist_ok=True)
    with replacing(found.crop, shared=True) as aside:
        aside.write_bytes(data)


def find_document(folder: Path, sha256: str) -> Path | None:
    """Return the path of a document, or `None` if the file is missing or changed."""
    try:
        known = parse_object((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    paths = known.get(sha256[:DIGITS])
    for path in map(Path, paths if isinstance(paths, list) else ()):
        try:
            state = path.stat()
            if _sha256(path, state.st_mtime_ns, state.st_size) == sha256:
                return path
        except OSError:
            continue
    return None


@lru_cache(maxsize=4096)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    """Return the SHA-256 of a file, cached until it is modified."""
    return file_sha256(path)


def crop_page(path: Path, number: int, box: Box, dpi: int) -> bytes:
    """Crop a box of a page. Runs in a worker process.

    Args:
        path: PDF file.
        number: Index of the page, from 0.
        box: Box on the displayed page, in points. Parts outside the page are cut off.
        dpi: Resolution in dots per inch. Reduced if the image would be too large.

    Returns:
        PNG file with the lines of text in the box as metadata.

    Raises:
        UnreadableError: If the page cannot be read, or the box is not on it.
    """
    import io

    from PIL import Image, PngImagePlugin

    from cephalo.dataset_scripts.common.pixels import compact
    from cephalo.dataset_scripts.pdf import pdfium as fast
    from cephalo.dataset_scripts.pdf import rendering

    with fast.open_document(path) as document, fast.open_page(document, number) as page:
        shown = intersection(box, fast.page_box(page))
        if min(shown[2] - shown[0], shown[3] - shown[1]) < 1:
            raise fast.UnreadableError(f"the box is not on page {number + 1}")
        pixels, _ = rendering.render(page, shown, dpi)
        lines = _lines_in(page, shown)
    pixels = compact(pixels)
    told = PngImagePlugin.PngInfo()
    told.add_itxt(FIGURE_TEXT, json.dumps(lines, ensure_ascii=False))
    out = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(
        out, "PNG", pnginfo=told
    )
    return out.getvalue()


def _lines_in(page: Any, box: Box) -> list[str]:
    """Return the lines of text with their centre in a box, from top to bottom."""
    from cephalo.dataset_scripts.pdf.document import MAX_FIGURE_LINES
    from cephalo.dataset_scripts.pdf.text import read_lines

    found = []
    for line in read_lines(page):
        sides = (page.width, page.height)[:: -1 if line.quarters % 2 else 1]
        left, top, right, bottom = turn(np.array([line.box]), -line.quarters, *sides)[0]
        across, down = (left + right) / 2, (top + bottom) / 2
        inside = box[0] <= across <= box[2] and box[1] <= down <= box[3]
        if inside and line.visible and line.text.strip():
            found.append((top, left, line.text.strip()))
    return [text for _, _, text in sorted(found)[:MAX_FIGURE_LINES]]


def draw_page(path: Path, number: int, dpi: int) -> bytes:
    """Render a page as displayed. Runs in a worker process.

    Args:
        path: PDF file.
        number: Index of the page, from 0.
        dpi: Resolution in dots per inch.

    Returns:
        JPEG file.

    Raises:
        UnreadableError: If the page cannot be read.
    """
    from PIL import Image

    from cephalo.dataset_scripts.pdf import pdfium as fast
    from cephalo.dataset_scripts.pdf import rendering
    from cephalo.inference.data_urls import jpeg

    with fast.open_document(path) as document, fast.open_page(document, number) as page:
        pixels, _ = rendering.render(page, fast.page_box(page), dpi)
    return jpeg(Image.fromarray(pixels))
