"""2,000 figures of 400 KB go from folder to Hub in less than 1 GB of memory."""

import hashlib
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figure_samples import figure_row

from cephalo.dataset_scripts.common.pixels import encode_png
from cephalo.dataset_scripts.common.schema import FIGURES

DOCUMENTS, FIGURES_EACH = 250, 8

# A child starts at its parent's resident size, so one that has imported nothing starts the command.
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(code)
"""


def picture(seed: int) -> bytes:
    """A PNG file of 1600 by 1200 pixels and about 400 KB: a picture of noise on a plain page."""
    pixels = np.full((1200, 1600, 3), 255, np.uint8)
    noise = np.random.default_rng(seed).integers(0, 255, (365, 365, 3), np.uint8)
    top, left = seed * 7 % 800, seed * 13 % 1200
    pixels[100:1100, 100:1500] = 200
    pixels[top : top + 365, left : left + 365] = noise
    return encode_png(pixels)


@pytest.mark.slow
def test_two_thousand_figures_are_published_in_less_than_1_gb(hub, tmp_path):
    figures = tmp_path / "made" / "figures"
    figures.mkdir(parents=True)
    size = 0
    for document in range(DOCUMENTS):
        rows = []
        for number in range(FIGURES_EACH):
            data = picture(document * FIGURES_EACH + number)
            size += len(data)
            image = {"bytes": data, "path": None}
            pixels = hashlib.sha256(data).hexdigest()
            row = figure_row(document, number, image=image, image_sha256=pixels)
            rows.append(row | {"width": 1600, "height": 1200})
        table = pa.Table.from_pylist(rows, schema=FIGURES.arrow_schema)
        pq.write_table(table, figures / f"{document:03}.parquet")
    assert size > 0.75e9
    publish = [sys.executable, "-m", "cephalo.cli.main", "publish", str(tmp_path / "made")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *publish, "alice/large"],
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    peak = float(done.stdout.split()[-1])
    print(f"{size / 1e6:.0f} MB of images, peak {peak:.0f} MiB")
    assert peak < 1000
