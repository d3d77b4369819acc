"""Make random designs and reopen them from STL: closed, one body, the requested volume.

python -m benchmarks.bench_meshes --count 100
"""

import argparse
import gc
import io
import time
from collections import Counter
from typing import Any

import numpy as np
import trimesh
from pydantic import ValidationError
from tqdm import tqdm

from cephalo.apps.make_mesh.designs import Design, Gyroid, Honeycomb, Pollen, SchwarzP, bounds
from cephalo.apps.make_mesh.fields import solid_of
from cephalo.apps.make_mesh.measure import check
from cephalo.apps.make_mesh.surface import surface_with
from cephalo.cli.errors import CephaloError

ARCHITECTURES = (Gyroid, SchwarzP, Honeycomb, Pollen)
BAR = 0.02  # of the volume fraction, relative


def random_design(rng: np.random.Generator) -> tuple[Design, int]:
    """Return a design with each field drawn uniformly within its bounds, and how many earlier draws
    were rejected because their walls are too thin for the grid."""
    refused = 0
    while True:
        chosen = ARCHITECTURES[rng.integers(len(ARCHITECTURES))]
        values: dict[str, Any] = {}
        for name, field in chosen.model_fields.items():
            low, high = bounds(chosen, name)
            if field.annotation is int:
                values[name] = int(rng.integers(low, high + 1))
            elif field.annotation is float:
                values[name] = rng.uniform(low, high)
        try:
            return chosen(**values), refused
        except ValidationError:
            refused += 1


def relative_error(design: Design) -> float:
    """Return the relative error of the exported part's volume fraction.

    Raises CephaloError if the part is not closed or not one body.
    """
    surface = surface_with(solid_of(design), design.volume_fraction)
    reopened = trimesh.load_mesh(io.BytesIO(surface.mesh.export(file_type="stl")), file_type="stl")
    check(reopened)
    whole = surface.mesh.volume / surface.volume_fraction
    off = float(reopened.volume / whole / design.volume_fraction - 1)
    del surface, reopened
    gc.collect()  # trimesh's meshes have reference cycles and hundreds of megabytes
    return off


def main() -> None:
    """Print the outcome for each architecture, and each failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    errors: dict[str, list[float]] = {}
    refused, failures, started = 0, Counter(), time.process_time()
    for _ in tqdm(range(arguments.count), unit=" parts", disable=None):
        design, before = random_design(rng)
        refused += before
        try:
            off = relative_error(design)
        except CephaloError as error:
            failures[f"{design!r}: {error}"] += 1
            continue
        errors.setdefault(design.name, []).append(off)
        if abs(off) > BAR:
            failures[f"{design!r}: off by {off:.2%}"] += 1
    good = arguments.count - failures.total()
    print(f"{good} of {arguments.count} parts are closed single bodies within {BAR:.0%}")
    for name, found in sorted(errors.items()):
        print(
            f"  {name:10} {len(found):3} parts, volume fraction off by {max(map(abs, found)):.2%}"
        )
    print(f"{refused} more were rejected: walls too thin for the grid")
    print(f"{time.process_time() - started:.0f} s of CPU")
    for failure in failures:
        print(failure)


if __name__ == "__main__":
    main()
