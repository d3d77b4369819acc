"""Images of the workbench: thumbnails and figures from shards, pages from PDF files.

Shards are untrusted: the server only sends images that it decoded and encoded again.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.pdf.crops import (
    TIMEOUT,
    crop_to_file,
    draw_page,
    find_document,
)
from cephalo.dataset_scripts.refinement.shard_images import Images
from cephalo.dataset_scripts.workbench.catalogue import Catalogue, Entry, has_page
from cephalo.inference.data_urls import jpeg, shrunk
from cephalo.inference.images import open_image

THUMBNAIL = 320  # pixels of the longer edge; displayed at half the size
LARGE = 1600  # pixels of the longer edge of a single figure
PAGE_DPI = 110  # dots per inch; sufficient to read captions
KEPT = 48 << 20  # bytes of cached encoded images
DECODED = 2  # images decoded at a time, since a scan can take 100 MB


def ready() -> None:
    """Do nothing. The first job of a worker process."""


class Pictures:
    """Encoded images of figures and pages, in a cache of the most recently used ones."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.images = Images()
        self.kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self.size = 0
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(DECODED)
        self._pool: Any = None
        self._pool_lock = threading.Lock()
        self._open = ExitStack()

    def figure(self, number: int, edge: int) -> bytes:
        """Return the corrected image of a figure as JPEG.

        Args:
            number: Number of the figure.
            edge: Largest width and height, in pixels.

        Raises:
            CephaloError: If the image cannot be decoded.
        """
        entry = self.catalogue.entry(number)
        crop = entry.verdict.crop
        key = ("figure", number, crop, edge)
        return self._keep(key, lambda: self._shrunk(entry, crop, edge))

    def _shrunk(self, entry: Entry, crop: Path | None, edge: int) -> bytes:
        """Return an image from the crop or the shard, reduced to `edge` pixels."""
        with self._decoding:
            if crop is not None and crop.exists():
                data = crop.read_bytes()
            else:
                data = self.images.image(entry.shard, entry.place)
            return jpeg(shrunk(open_image(io.BytesIO(data)), edge))

    def page(self, number: int) -> bytes:
        """Return the page of a figure as JPEG, at `PAGE_DPI` dots per inch.

        Raises:
            CephaloError: If it cannot be rendered, with the reason.
        """
        entry = self.catalogue.entry(number)
        path = self.document(entry)
        key = ("page", entry.row["document_sha256"], entry.row["page"])
        return self._keep(key, lambda: self._drawn(path, entry.row["page"]))

    def problem(self, entry: Entry) -> str | None:
        """Return why the page of a figure is not available, `None` if it is."""
        try:
            self.document(entry)
        except CephaloError as error:
            return str(error)
        return None

    def document(self, entry: Entry) -> Path:
        """Return the PDF file of a figure.

        Raises:
            CephaloError: If it is not available.
        """
        row = entry.row
        if not has_page(row):
            raise CephaloError("this figure was not cropped from a page")
        path = find_document(self.catalogue.folder, row["document_sha256"])
        if path is None:
            raise CephaloError(
                f"{row['document']} was moved or changed; put it back and "
                "run `cephalo extract` on it to see its pages"
            )
        return path

    def _drawn(self, path: Path, page: int) -> bytes:
        """Render a page in the worker process."""
        try:
            job = self.pool().schedule(draw_page, args=[path, page, PAGE_DPI], timeout=TIMEOUT)
            return job.result()
        except FutureTimeoutError as error:
            raise CephaloError(f"page {page + 1} took longer than {TIMEOUT:g} s") from error
        except Exception as error:  # also if the worker was killed or has a defect
            why = " ".join(str(error).split()) or type(error).__name__
            raise CephaloError(f"page {page + 1} cannot be drawn: {why}") from error

    def crop(self, number: int, bbox: list[float]) -> None:
        """Crop the image of a box drawn by the user, for `Catalogue.decide`.

        Args:
            number: Number of the figure.
            bbox: Box on the displayed page, in points.

        Raises:
            CephaloError: If the page cannot be read.
        """
        entry, found = self.catalogue.with_box(number, bbox)
        if found.crop and not found.crop.exists():
            self.document(entry)
            crop_to_file(self.pool(), self.catalogue.folder, entry.row, found)

    def pool(self) -> Any:
        """Return the worker process for PDF files, started on first use."""
        from cephalo.dataset_scripts.common.workers import looking_pool

        with self._pool_lock:
            if self._pool is None:
                self._pool = self._open.enter_context(looking_pool())
            return self._pool

    def warm_up(self) -> None:
        """Start the worker process in advance. A failure is reported when a page is requested."""
        with suppress(Exception):  # including a server that is stopped meanwhile
            self.pool().schedule(ready)

    def close(self) -> None:
        """Stop the worker process."""
        self._open.close()

    def _keep(self, key: tuple[Any, ...], make: Callable[[], bytes]) -> bytes:
        """Return an image from the cache, or make it."""
        with self._lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        data = make()
        with self._lock:
            if key not in self.kept:
                self.kept[key] = data
                self.size += len(data)
            while self.size > KEPT and len(self.kept) > 1:
                self.size -= len(self.kept.popitem(last=False)[1])
        return data
