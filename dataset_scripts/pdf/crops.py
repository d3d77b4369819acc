"""Boxes that people corrected: the page to look at, and the image in the box, cut from it again."""

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

TIMEOUT = 60.0  # seconds for a page, as `cephalo extract` gives a document


def prepare_corrections(folder: Path) -> None:
    """Make what the corrections of a folder need before a step reads its figures, and warn of those
    that cannot be applied. Raises as `make_crops`."""
    make_crops(folder)
    tell_lost(folder)


def make_crops(folder: Path) -> None:
    """Write the images of corrected boxes that FOLDER/crops lacks; warn of those that cannot be.

    The pages are those of the files that FOLDER/inputs.json names, as far as they are still there,
    unchanged. Raises CephaloError if a shard or a line of the corrections cannot be read.
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
    """The rows, with `COLUMNS`, whose corrected box has no image yet."""
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
    """Write the image of a corrected box, cut from the page of the row in a process of `pool`.

    Raises CephaloError where that cannot be had.
    """
    name = f"{row['label'] or 'a figure'} of {row['document']}: its corrected box"
    path = find_document(folder, row["document_sha256"])
    if path is None:
        raise CephaloError(
            f"{name} cannot be cropped, since the file is not where it was read; put it back and "
            "run `cephalo extract` on it again"
        )
    box = tuple(found.values["bbox"])
    try:
        job = pool.schedule(crop_page, args=[path, row["page"], box, dpi_of(row)], timeout=TIMEOUT)
        data = job.result()
    except FutureTimeoutError as error:
        raise CephaloError(f"{name} took longer than {TIMEOUT:g} s to crop") from error
    except Exception as error:  # a file that killed its reader, or a fault of ours: name it
        why = " ".join(f"{error}".split()) or type(error).__name__
        raise CephaloError(f"{name} cannot be cropped from {path}: {why}") from error
    assert found.crop is not None
    found.crop.parent.mkdir(exist_ok=True)
    with replacing(found.crop, shared=True) as aside:
        aside.write_bytes(data)


def find_document(folder: Path, sha256: str) -> Path | None:
    """The file that a document of a folder was read from, if it is there and unchanged."""
    try:
        known = parse_object((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    paths = known.get(sha256[:DIGITS])
    known_paths = paths if isinstance(paths, list) else []
    for path in (Path(one) for one in known_paths if isinstance(one, str)):
        try:
            state = path.stat()
            if _sha256(path, state.st_mtime_ns, state.st_size) == sha256:
                return path
        except OSError:
            continue
    return None


@lru_cache(maxsize=4096)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    return file_sha256(path)


def crop_page(path: Path, number: int, box: Box, dpi: int) -> bytes:
    """The image of a box of a page as PNG, with the lines of text in it; run in a worker process.

    Args:
        path: a PDF file.
        number: of the page, from 0.
        box: of the displayed page, in points; what reaches beyond the page is cut off.
        dpi: dots an inch; fewer where the image would be too large.

    Raises:
        UnreadableError: if the page cannot be read, or the box is not on it.
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
    """The lines of text whose centres lie in a box of the displayed page, from top to bottom."""
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
    """A page as displayed, as a JPEG; run in a worker process. Raises UnreadableError."""
    from PIL import Image

    from cephalo.dataset_scripts.pdf import pdfium as fast
    from cephalo.dataset_scripts.pdf import rendering
    from cephalo.inference.data_urls import jpeg

    with fast.open_document(path) as document, fast.open_page(document, number) as page:
        pixels, _ = rendering.render(page, fast.page_box(page), dpi)
    return jpeg(Image.fromarray(pixels))
