"""The pictures of the workbench: thumbnails and figures from shards, pages from PDF files.

Only pictures that were decoded and encoded again leave the server: what a shard holds is untrusted.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from pebble import ProcessPool

THUMBNAIL = 320  # pixels of the longer edge; shown at half that size on dense screens
LARGE = 1600  # pixels of the longer edge of a figure by itself
PAGE_DPI = 110  # enough to read a caption on the page
KEPT = 48 << 20  # bytes of encoded pictures that are kept
DECODED = 2  # pictures at a time, which bounds the memory: a scan can take 100 MB


def ready() -> None:
    """Do nothing, in a process that is started for it."""


class Pictures:
    """Encoded pictures of figures and pages; those asked for last are kept."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.images = Images()
        self.kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self.size = 0
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(DECODED)
        self._pool: ProcessPool | None = None
        self._pool_lock = threading.Lock()
        self._open = ExitStack()

    def figure(self, number: int, edge: int) -> bytes:
        """A figure as people left it, as a JPEG. Raises CephaloError if it is no picture."""
        entry = self.catalogue.entry(number)
        crop = entry.verdict.crop
        key = ("figure", number, crop, edge)
        return self._keep(key, lambda: self._shrunk(entry, crop, edge))

    def _shrunk(self, entry: Entry, crop: Path | None, edge: int) -> bytes:
        with self._decoding:
            if crop is not None and crop.exists():
                data = crop.read_bytes()
            else:
                data = self.images.image(entry.shard, entry.place)
            return jpeg(shrunk(open_image(io.BytesIO(data)), edge))

    def page(self, number: int) -> bytes:
        """The page of a figure as a JPEG, `PAGE_DPI` dots an inch.

        Raises CephaloError where it cannot be drawn, with the reason for the person.
        """
        entry = self.catalogue.entry(number)
        path = self.document(entry)
        key = ("page", entry.row["document_sha256"], entry.row["page"])
        return self._keep(key, lambda: self._drawn(path, entry.row["page"]))

    def problem(self, entry: Entry) -> str | None:
        """Why the page of a figure is not to be had, for the person; None where it is."""
        try:
            self.document(entry)
        except CephaloError as error:
            return str(error)
        return None

    def document(self, entry: Entry) -> Path:
        """The PDF file of a figure. Raises CephaloError where it is not to be had."""
        row = entry.row
        if not has_page(row):
            raise CephaloError("this figure was not cropped from a page")
        path = find_document(self.catalogue.folder, row["document_sha256"])
        if path is None:
            raise CephaloError(
                f"{row['document']} is not where it was read, or has changed; put it back and "
                "run `cephalo extract` on it to see its pages"
            )
        return path

    def _drawn(self, path: Path, page: int) -> bytes:
        try:
            job = self.pool().schedule(draw_page, args=[path, page, PAGE_DPI], timeout=TIMEOUT)
            return job.result()
        except FutureTimeoutError as error:
            raise CephaloError(f"page {page + 1} took longer than {TIMEOUT:g} s") from error
        except Exception as error:  # a file that killed its reader, or a fault of ours: say so
            why = " ".join(str(error).split()) or type(error).__name__
            raise CephaloError(f"page {page + 1} cannot be drawn: {why}") from error

    def crop(self, number: int, bbox: list[float]) -> None:
        """Cut the image of a box that a person draws, for `Catalogue.decide` to find.

        Raises CephaloError where that cannot be had.
        """
        entry, found = self.catalogue.tried(number, bbox)
        if found.crop and not found.crop.exists():
            self.document(entry)
            crop_to_file(self.pool(), self.catalogue.folder, entry.row, found)

    def pool(self) -> "ProcessPool":
        """The process that reads PDF files, started when it is first wanted."""
        from cephalo.dataset_scripts.common.workers import looking_pool

        with self._pool_lock:
            if self._pool is None:
                self._pool = self._open.enter_context(looking_pool())
            return self._pool

    def warm_up(self) -> None:
        """Start the process before it is wanted. A failure shows where a page is asked for."""
        with suppress(Exception):  # among them that the server is stopped meanwhile
            self.pool().schedule(ready)

    def close(self) -> None:
        """End the process."""
        self._open.close()

    def _keep(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
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
