"""Step: `make science` with more plates, a reader of stresses trained from random weights.

The paper's figure is an R² of 0.98.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.plan import Scale
from benchmarks.gpu.results import Row

SCRIPT = Path(__file__).parents[2] / "examples" / "science.py"
BAR = "≥ 0.98"  # R² of stress statistics in arXiv 2405.19076
TINY = ("--samples", "40", "--notched", "20", "--cracks", "20", "--tower-epochs", "1")
TINY_EPOCHS = ("--num_train_epochs", "1")


def run(scale: Scale) -> Iterator[Row]:
    """Run the example, and report its measures on plates of the split `test`."""
    out = scale.out.parent / "science"  # kept: what is done there is not repeated
    command = [sys.executable, str(SCRIPT), "--out", str(out)]
    command += [*TINY, *TINY_EPOCHS] if scale.tiny else ["--gpu"]
    subprocess.run(command, check=True)
    for file in sorted((out / "tower" / "model").glob("*/test/results.json")):
        [reader] = json.loads(file.read_text(encoding="utf-8"))["models"]
        for name, measure in reader["measures"].items():
            bar = BAR if name.startswith("r2/") and not scale.tiny else ""
            if measure["value"] is not None:
                yield Row(f"{file.parents[1].name}: {name}", measure["value"], "", bar)
