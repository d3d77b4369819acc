"""Measure which copies of figures `cephalo publish` finds and assigns to one split.

    python -m benchmarks.copies FOLDER [--only WORDS...] [--strangers 200] [--exclude]

FOLDER is an output folder of `cephalo extract`, or has papers in `pdf`. For each kind of copy,
every figure is copied to a separate paper with another caption, and all are published. Then images
of one kind, each in a separate paper, are published: every link between them is a false pair.

With --exclude, the figures of every other paper are excluded like the dataset of a benchmark,
copies of all figures are published, and the excluded ones are counted.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.copies.alterations import ALTERATIONS, JOINED, PANEL, open_image, panels
from benchmarks.copies.strangers import strangers
from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.schema import FIGURES
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.selection import Selection

Row = dict[str, Any]


def main() -> None:
    """Print the leak table and the false pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="output folder of `cephalo extract`, or folder of a benchmark"
    )
    parser.add_argument("--only", nargs="*", help="kinds of copies, by words in their names")
    parser.add_argument("--strangers", type=int, default=200, help="images of each kind")
    parser.add_argument("--exclude", action="store_true", help="only measure `publish --exclude`")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cephalo-") as scratch:
        shards = find_tables([figures_of(arguments.folder, Path(scratch))])["figures"]
        rows = list(read_rows(shards, FIGURES))
        print(f"{len(rows)} figures of {len({row['document_sha256'] for row in rows})} papers")
        names = [
            name
            for name in (*ALTERATIONS, *JOINED, PANEL)
            if not arguments.only or any(word in name for word in arguments.only)
        ]
        if arguments.exclude:
            print(f"{'copy':24} copies  left out  others  left out")
            for name in names:
                print(f"{name:24} {kept_out(rows, name)}", flush=True)
            return
        print(f"{'copy':24} copies   found  one side  false links  ms CPU a figure")
        for name in names:
            print(f"{name:24} {leak(rows, name)}", flush=True)
        for name, pictures in strangers(arguments.strangers) if arguments.strangers else ():
            made = [row_of(rows[0], f"{name} {n}", one) for n, one in enumerate(pictures)]
            _, links, _, _ = publish(made)
            print(f"{name:24} {len(made)} strangers: {len(links)} false pairs", flush=True)


def figures_of(folder: Path, scratch: Path) -> Path:
    """Return FOLDER, or the folder of figures extracted from its papers."""
    if not (folder / "pdf").is_dir():
        return folder
    command = [sys.executable, "-m", "cephalo.cli.main", "extract", str(folder / "pdf")]
    subprocess.run([*command, "--out", str(scratch / "figures")], check=True)
    return scratch / "figures"


def leak(rows: list[Row], name: str) -> str:
    """Return the row of the table with the copies that are found and assigned to one split."""
    made = list(copies(rows, name))
    copied = [row_of(rows[number], f"copy of {number}", image) for number, image in made]
    numbers, links, splits, seconds = publish([*rows, *copied])
    groups = Groups(len(splits))
    for link in links:
        groups.merge(*link)
    pairs = [
        (numbers[rows[number]["document_sha256"]], numbers[copy["document_sha256"]])
        for (number, _), copy in zip(made, copied, strict=True)
    ]
    found = sum(groups.find(one) == groups.find(other) for one, other in pairs)
    # A copy that is excluded from the dataset leaks nothing.
    held = sum(len({splits[one], splits[other]} - {-1}) < 2 for one, other in pairs)
    originals = {numbers[row["document_sha256"]] for row in rows}
    false = len({link for link in links if set(link) <= originals})
    return (
        f"{len(pairs):6} {found / len(pairs):7.3f} {held / len(pairs):9.3f} {false:12} "
        f"{1e3 * seconds / (len(rows) + len(made)):16.1f}"
    )


def kept_out(rows: list[Row], name: str) -> str:
    """Return the row of the table with excluded copies, of excluded figures and of others."""
    papers = list(dict.fromkeys(row["document_sha256"] for row in rows))
    excluded = {n for n, row in enumerate(rows) if papers.index(row["document_sha256"]) % 2}
    made = list(copies(rows, name))
    copied = [row_of(rows[number], f"copy of {number}", image) for number, image in made]
    images = ((rows[n]["image"]["bytes"], f"figure {n}") for n in sorted(excluded))
    with selected(copied, {"excluded": images}) as selection:
        left_out = [not keep for _, keep in selection.decisions("figures")]
    counts = {True: [0, 0], False: [0, 0]}
    for (number, _), out in zip(made, left_out, strict=True):
        shown = {number, beside_which(rows, number)} if name in JOINED else {number}
        count = counts[not shown.isdisjoint(excluded)]
        count[0] += 1
        count[1] += out
    (own, found), (others, false) = counts[True], counts[False]
    return f"{own:6} {found / max(own, 1):9.3f} {others:7} {false:9}"


def copies(rows: list[Row], name: str) -> Iterator[tuple[int, Image.Image]]:
    """Yield the copies of one kind, each with the number of the figure's row."""
    for number, row in enumerate(rows):
        image = open_image(row)
        if name in JOINED:
            other = open_image(rows[beside_which(rows, number)])
            yield number, JOINED[name](image, other)
        elif name == PANEL:
            found = panels(row, image)
            if found:
                yield number, found[number % len(found)]
        else:
            yield number, ALTERATIONS[name](image)


def beside_which(rows: list[Row], number: int) -> int:
    """Return the index of the figure with which a figure is joined."""
    return (number + len(rows) // 2) % len(rows)


def row_of(row: Row, name: str, image: Image.Image) -> Row:
    """Return the row of an image as the only figure of another paper, with another caption."""
    # Long enough for a caption that is not excluded.
    words = [hashlib.sha256(f"{name} {n}".encode()).hexdigest()[:6] for n in range(12)]
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return row | {
        "image": {"bytes": file.getvalue(), "path": None},
        "image_sha256": hashlib.sha256(image.tobytes()).hexdigest(),
        "document_sha256": hashlib.sha256(name.encode()).hexdigest(),
        "document": name,
        "caption": " ".join(words),
        "title": None,  # by which versions of a paper are found
        "width": image.width,
        "height": image.height,
    }


def publish(rows: list[Row]) -> tuple[dict[str, int], list[tuple[int, int]], list[int], float]:
    """Publish rows.

    Returns:
        Document numbers by SHA-256, links between documents, their splits, and CPU seconds.
    """
    started = time.process_time()
    with selected(rows) as selection:
        seconds = time.process_time() - started
        links = [tuple(sorted(link)) for link in selection.links()]
        found = selection.database.execute("SELECT sha256, number FROM documents")
        return dict(found.fetchall()), links, selection.splits().tolist(), seconds


@contextmanager
def selected(
    rows: list[Row], exclude: dict[str, Iterable[tuple[bytes, str]]] | None = None
) -> Iterator[Selection]:
    """Yield the result of `select_rows`, without images of `exclude`."""
    with tempfile.TemporaryDirectory(prefix="cephalo-") as scratch:
        folder = Path(scratch) / "made"
        (folder / "figures").mkdir(parents=True)
        table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
        pq.write_table(table, folder / "figures" / "0.parquet", row_group_size=50)
        tables = find_tables([folder])
        with closing(select_rows(Path(scratch) / "compared", tables, exclude=exclude)) as selection:
            yield selection


if __name__ == "__main__":
    main()
