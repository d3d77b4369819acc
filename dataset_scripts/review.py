"""The page to judge by: every page of every document, with boxes over its figures."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader
from PIL import Image
from tqdm import tqdm

from cephalo.dataset_scripts.gallery import shards_of
from cephalo.dataset_scripts.pdf.document import file_sha256
from cephalo.dataset_scripts.workers import worker_pool

DPI = 50  # enough to tell a figure from text
COLUMNS = ["document", "document_sha256", "label", "kind", "caption", "page"]
COLUMNS += ["bbox", "caption_bbox", "panels"]


@dataclass(frozen=True)
class PagePicture:
    """A page as displayed: its size in points, and a small JPEG as a data URI."""

    width: float
    height: float
    uri: str


def write_review(out: Path, files: list[Path], workers: int, timeout: float) -> None:
    """Write OUT/review.html over the shards below `out` whose documents are among `files`.

    A document whose pages cannot be drawn within `timeout` seconds is named there instead.
    """
    paths = {file_sha256(path): path for path in files if path.is_file()}
    # Labels, captions and file names are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("review.html.jinja")
    page = out / "review.html"
    aside = page.with_name(f".{page.name}.tmp")
    with worker_pool(workers) as pool, aside.open("w", encoding="utf-8", errors="replace") as file:
        drawn = drawn_documents(out, paths, pool, timeout)
        for piece in template.generate(documents=drawn):
            file.write(piece)
    aside.replace(page)


def drawn_documents(
    out: Path, paths: dict[str, Path], pool: Any, timeout: float
) -> Iterator[dict[str, Any]]:
    """For each document with a shard: {"name", "error", "pages": [{"picture", "figures"}]}."""
    jobs = []
    for shard in shards_of(out / "figures"):
        path = next((path for sha, path in paths.items() if sha[:12] in shard.stem), None)
        if path is not None:
            future = pool.schedule(draw_pages, args=[path], timeout=timeout)
            jobs.append((path, pq.read_table(shard, columns=COLUMNS).to_pylist(), future))
    for path, rows, future in tqdm(jobs, unit=" documents", desc="review", disable=None):
        try:
            pictures, error = future.result(), None
        # A file that hung or killed its worker, or a defect of ours: name it, show the others.
        except Exception as problem:
            pictures, error = [], f"{type(problem).__name__}: {problem}"
        pages = [
            {"picture": picture, "figures": [row for row in rows if row["page"] == number]}
            for number, picture in enumerate(pictures)
        ]
        yield {"name": path.name, "error": error, "pages": pages, "figures": len(rows)}


def draw_pages(path: Path) -> list[PagePicture]:
    """Every page of a PDF file as a small picture; run in a worker process."""
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
                pictures.append(PagePicture(1, 1, ""))
                continue
            pictures.append(PagePicture(box[2] - box[0], box[3] - box[1], jpeg_uri(pixels)))
    return pictures


def jpeg_uri(pixels: np.ndarray) -> str:
    """Pixels, uint8 (height, width, 3), as a small JPEG in a data URI."""
    jpeg = io.BytesIO()
    Image.fromarray(pixels).save(jpeg, "JPEG", quality=60)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
