"""Measure the cost of `cephalo publish` per paper and per pair of images.

    python -m benchmarks.bench_publish FOLDER

FOLDER is one of `cephalo extract`. Its rows are compared and written to a temporary folder; then
images with random hashes and the aspects of FOLDER's figures are compared, since only this part
grows quadratically with the corpus. Both give the CPU hours and the disk space, besides the output,
for more papers of this kind; sorting temporarily takes about as much disk again.
"""

import argparse
import resource
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from cephalo.cli.files import scratch_database
from cephalo.dataset_scripts.common.shards import read_rows
from cephalo.dataset_scripts.common.tables import find_tables
from cephalo.dataset_scripts.publication.dataset_folder import write_dataset
from cephalo.dataset_scripts.publication.dedup import select_rows
from cephalo.dataset_scripts.publication.dedup_images import SIDE, NearCopies, Thumbnail

PAPERS = (10_000, 1_000_000, 10_000_000)


def main() -> None:
    """Print rows and pairs per second, and the extrapolation to more papers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of `cephalo extract`")
    parser.add_argument("--pictures", type=int, default=100_000, help="that are compared alone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cephalo-") as scratch:
        seconds, size, documents, figures = publish_rows(arguments.folder, Path(scratch))
        rate = compare_pictures(arguments.folder, Path(scratch), arguments.pictures)
    print(f"{seconds / documents:.3f} CPU s and {size / documents / 1e3:.1f} kB on disk per paper")
    print(f"memory at its peak: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    print("    papers  CPU hours by the paper  by the pair of images  GB of disk")
    for papers in PAPERS:
        pairs = (papers * figures / documents) ** 2 / 2
        print(
            f"{papers:10,}  {papers * seconds / documents / 3600:22.1f}  "
            f"{pairs / rate / 3600:21.2f}  {papers * size / documents / 1e9:10.1f}"
        )


def publish_rows(folder: Path, scratch: Path) -> tuple[float, int, int, int]:
    """Compare and write the rows of FOLDER; return CPU seconds, bytes of the comparison data, and
    the numbers of documents and figures."""
    started = time.process_time()
    compared = scratch / "compared"
    with closing(select_rows(compared, find_tables([folder]))) as selection:
        selected = time.process_time()
        write_dataset(scratch / "dataset", selection, "a/b", [folder])
        written = time.process_time()
        size = sum(path.stat().st_size for path in compared.iterdir())
        documents, figures = len(selection.published()), selection.count_rows("figures")
        rows = sum(map(selection.count_rows, selection.configs()))
    print(
        f"{documents} documents, {figures} figures, {rows} rows of all configs: "
        f"{rows / (selected - started):.0f} rows per CPU second compared, "
        f"{rows / (written - selected):.0f} written"
    )
    return written - started, size, documents, figures


def compare_pictures(folder: Path, scratch: Path, count: int) -> float:
    """Compare images of noise; print and return the pairs per CPU second."""
    rng = np.random.default_rng(0)
    sizes = read_rows(find_tables([folder])["figures"], ["width", "height"], 1000)
    aspects = [row["width"] / row["height"] for row in sizes]
    with closing(scratch_database(scratch / "pictures.sqlite", "")) as database:
        copies = NearCopies(scratch, database)
        for number in range(count):
            pixels = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
            aspect = rng.choice(aspects) * rng.uniform(0.95, 1.05)
            phash = int(rng.integers(0, 2**64, dtype=np.uint64))
            copies.add(str(number), Thumbnail(phash, pixels, float(aspect)))
        started = time.process_time()
        copies.group(lambda one, other: True)
        rate = count**2 / 2 / (time.process_time() - started)
    print(f"{count} pictures: {rate / 1e9:.1f} billion pairs per CPU second")
    return rate


if __name__ == "__main__":
    main()
