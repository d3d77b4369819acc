"""Write the review page: every page of every document, with its boxes and the reasons for them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader
from PIL import Image
from tqdm import tqdm

from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.document_shards import read_left_out
from cephalo.dataset_scripts.common.gallery import shards_of
from cephalo.dataset_scripts.common.inputs import file_sha256
from cephalo.dataset_scripts.common.static_pages import StaticPages
from cephalo.dataset_scripts.common.workers import worker_pool
from cephalo.dataset_scripts.pdf.explain import Explanation, explain_document

if TYPE_CHECKING:
    from pebble import ProcessPool

MAX_DOCUMENTS = 20  # per page; with their images inline, such a page has about 10 MB
DPI = 50  # enough to distinguish figures from text
DOUBT = 2.0  # log-odds; a decision nearer to 0 is expected to be wrong at least once in eight times
COLUMNS = ["document", "document_sha256", "label", "kind", "caption", "page"]
COLUMNS += ["bbox", "caption_bbox", "panels", "text_faults"]


@dataclass(frozen=True)
class PagePicture:
    """A page as displayed: its size in points, and a small JPEG; no bytes where it cannot be
    drawn."""

    width: float
    height: float
    jpeg: bytes


@dataclass
class Entry:
    """The entry of a caption or figure in the list beside a page.

    `row` is the row of the `figures` table, or None. `why` is the reason why the line is a caption
    or not, None if unknown. `key` is shared by all entries of a figure.
    """

    key: str
    row: dict[str, Any] | None
    why: Explanation | None

    @property
    def rejected(self) -> bool:
        """Whether it is a line that only begins like a caption."""
        return self.why is not None and not self.why.accepted

    @property
    def lost(self) -> bool:
        """Whether it is a caption without a figure."""
        return self.why is not None and self.why.accepted and self.why.figure is None


@dataclass
class ReviewPage:
    """A page with its entries: captions on it, and figures on it whose captions are elsewhere."""

    picture: PagePicture
    number: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def bare(self) -> bool:
        """Whether neither a figure nor a caption without a figure is on this page."""
        return not any(self.shows(entry) or entry.lost for entry in self.entries)

    def shows(self, entry: Entry) -> bool:
        """Return whether the figure of an entry is on this page."""
        return entry.row is not None and entry.row["page"] == self.number

    def has_caption(self, entry: Entry) -> bool:
        """Return whether the caption of an entry is on this page."""
        return entry.why is None or entry.why.page == self.number

    def caption_box(self, entry: Entry) -> list[float] | None:
        """Return the box of an entry's caption on this page, in points, or None if it has none
        here."""
        row = entry.row if self.shows(entry) else None
        if row is not None and row["caption"] and row["caption_bbox"]:
            return row["caption_bbox"]
        return list(entry.why.box) if entry.why and entry.why.page == self.number else None


def write_review(out: Path, files: list[Path], workers: int, timeout: float) -> None:
    """Write OUT/review.html for the shards below `out` whose documents are among `files`.

    Above `MAX_DOCUMENTS` there are several pages, with the images in files beside them. Documents
    whose pages cannot be drawn, or whose decisions cannot be reproduced, within `timeout` seconds
    are listed there instead.
    """
    paths = {file_sha256(path): path for path in files if path.is_file()}
    # Labels, captions and file names are untrusted: everything is escaped.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,  # no blank lines
        lstrip_blocks=True,
    )
    template = environment.get_template("review.html.jinja")
    chosen = documents_of(out, paths)
    pages = StaticPages(out / "review.html", -(-len(chosen) // MAX_DOCUMENTS))
    with worker_pool(workers) as pool:
        reviewed = review_documents(chosen, pool, timeout)
        for number in range(1, pages.count + 1):
            some = islice(reviewed, MAX_DOCUMENTS)
            facts = {"pages": pages, "links": pages.links(number), "doubt": DOUBT}
            pages.write(number, template.generate(documents=some, **facts))
    pages.close()


def documents_of(out: Path, paths: dict[str, Path]) -> list[tuple[Path, Path]]:
    """Return the files with a shard below `out`, each with its shard. `paths` are by SHA-256."""
    found = []
    for shard in shards_of(out / "figures"):
        path = next((path for sha, path in paths.items() if sha[:12] in shard.stem), None)
        if path is not None:
            found.append((path, shard))
    return found


def review_documents(
    chosen: list[tuple[Path, Path]], pool: "ProcessPool", timeout: float
) -> Iterator[dict[str, Any]]:
    """For each document with its shard: {"name", "figures", "faults", "pages": [ReviewPage]}."""
    tasks = draw_pages, explain_document
    jobs = []
    for path, shard in chosen:
        work = [pool.schedule(job, args=[path], timeout=timeout) for job in tasks]
        jobs.append((path, shard, work))
    for number, (path, shard, (drawing, deciding)) in enumerate(
        tqdm(jobs, unit=" documents", desc="review", disable=no_bars())
    ):
        faults = list(read_left_out(shard).values())
        pictures = _result(drawing, "Its pages could not be drawn", faults)
        reasons = _result(deciding, "Its decisions could not be reproduced", faults)
        rows = pq.read_table(shard, columns=COLUMNS).to_pylist()
        pages = [ReviewPage(picture, index) for index, picture in enumerate(pictures)]
        for entry in make_entries(rows, reasons, f"d{number}"):
            for index in _pages_of(entry):
                if index < len(pages):
                    pages[index].entries.append(entry)
        yield {"name": path.name, "faults": faults, "pages": pages, "figures": len(rows)}


def _result(future: Any, problem: str, faults: list[str]) -> list[Any]:
    """Return the result of a job; empty, with a line in `faults`, if it failed."""
    try:
        return future.result()
    # A file that hung or crashed its worker, or a defect: name it and continue.
    except Exception as error:
        faults.append(f"{problem}: {type(error).__name__}: {error}")
        return []


def make_entries(
    rows: list[dict[str, Any]], reasons: list[Explanation], prefix: str
) -> Iterator[Entry]:
    """Yield an entry for each row and for each line that starts like a caption, matched with each
    other.

    Their keys begin with `prefix`.
    """
    left = list(rows)
    for number, one in enumerate(reasons):
        row = next((row for row in left if _is_of(row, one)), None)
        if row:
            left.remove(row)
        yield Entry(f"{prefix}-{number}", row, one)
    for number, row in enumerate(left, len(reasons)):
        yield Entry(f"{prefix}-{number}", row, None)


def _is_of(row: dict[str, Any], one: Explanation) -> bool:
    """Return whether a row is the figure that was assigned to a caption."""
    if one.figure is None or (row["page"], row["label"]) != (one.figure.page, one.label):
        return False
    # A text elsewhere that was assigned to a figure under a bare label counts as its caption.
    here = one.page == row["page"]
    return row["caption"] == one.text and (row["caption_bbox"] is not None) == here


def _pages_of(entry: Entry) -> set[int]:
    """Return the pages of an entry: that of the caption and that of the figure."""
    pages = {entry.row["page"]} if entry.row else set()
    return pages | ({entry.why.page} if entry.why else set())


def draw_pages(path: Path) -> list[PagePicture]:
    """Render every page of a PDF file as a small image; call it in a worker process."""
    import pypdfium2.raw as pdfium

    from cephalo.dataset_scripts.pdf import pdfium as fast
    from cephalo.dataset_scripts.pdf import rendering

    pictures = []
    with fast.open_document(path) as document:
        for number in range(pdfium.FPDF_GetPageCount(document)):
            try:
                with fast.open_page(document, number) as page:
                    box = fast.page_box(page)
                    pixels, _ = rendering.render(page, box, DPI)
            except fast.UnreadableError:
                pictures.append(PagePicture(1, 1, b""))
                continue
            pictures.append(PagePicture(box[2] - box[0], box[3] - box[1], small_jpeg(pixels)))
    return pictures


def small_jpeg(pixels: np.ndarray) -> bytes:
    """Encode pixels, uint8 (height, width, 3), as a small JPEG."""
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=60)
    return jpeg.getvalue()
