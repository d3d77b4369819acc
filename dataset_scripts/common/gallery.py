"""Write the gallery: every figure beside its caption, as HTML pages."""

import base64
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.static_pages import MAX_FIGURES, StaticPages, groups_of
from cephalo.inference.data_urls import shrunk
from cephalo.inference.images import as_rgb

THUMBNAIL = 560  # pixels, the longer side


def write_gallery(folder: Path, page: Path, failures: dict[str, str]) -> int:
    """Write an HTML page of all `figures` shards in `folder`, and return the number of figures.

    Past `MAX_FIGURES` there are several pages, with the pictures beside them. `failures` maps each
    file that could not be read to the reason. Pages are written atomically and document by
    document, so memory does not grow with the number of papers.
    """
    # Captions and file names are untrusted: everything is escaped.
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    template = environment.get_template("gallery.html.jinja")
    shards = shards_of(folder)
    counts = [(shard, pq.read_metadata(shard).num_rows) for shard in shards]
    total = sum(count for _, count in counts)
    groups = list(groups_of(counts, MAX_FIGURES)) or [[]]
    pages = StaticPages(page, len(groups))
    for number, group in enumerate(groups, 1):
        pieces = template.generate(
            documents=documents(group, pages),
            shards=len(shards),
            figures=total,
            failures=failures if number == len(groups) else {},
            failed=len(failures),
            links=pages.links(number),
            last=pages.name(len(groups)),
        )
        pages.write(number, pieces)
    pages.close()
    return total


def shards_of(folder: Path) -> list[Path]:
    """Return the shards in `folder`, in the order of the gallery and the review page."""
    return sorted(folder.glob("*.parquet"))


def documents(shards: list[Path], pages: StaticPages) -> Iterator[dict]:
    """Yield name, sha256, title, doi, license and figures of each shard with figures."""
    columns = [
        *("caption", "label", "kind", "page", "width", "height", "document"),
        *("document_sha256", "title", "doi", "license", "author", "panels", "mentions"),
    ]
    for shard in shards:
        rows = pq.read_table(shard, columns=columns).to_pylist()
        if not rows:
            continue
        first = rows[0]
        yield {
            "name": first["document"],
            "sha256": first["document_sha256"],
            "title": first["title"],
            "doi": first["doi"],
            "license": common(row["license"] for row in rows),
            "figures": with_thumbnails(shard, rows, pages),
        }


def common(values: Iterable[str | None]) -> str | None:
    """Return the value that all of `values` share, or None."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def with_thumbnails(shard: Path, rows: list[Row], pages: StaticPages) -> list[Row]:
    """Return the rows of a shard with the addresses of their pictures. One image at a time is in
    memory, since those of a shard can have gigabytes."""
    with pq.ParquetFile(shard) as file:
        batches = file.iter_batches(1, columns=["image"])
        return [
            row | {"thumbnail": pages.picture(small_jpeg(batch["image"][0].as_py()["bytes"]))}
            for row, batch in zip(rows, batches, strict=True)
        ]


def thumbnail(image: bytes) -> str:
    """Encode `image` as a small JPEG in a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(small_jpeg(image)).decode()


def small_jpeg(image: bytes) -> bytes:
    """Encode `image` as a small JPEG."""
    small = shrunk(as_rgb(Image.open(io.BytesIO(image))), THUMBNAIL)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return out.getvalue()
