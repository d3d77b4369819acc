"""Train a small Cephalo to read stresses and cracks from images of plates.

    python examples/science.py [--variant tower] [--out runs/science] [--gpu]

Computes the plates, builds a model, trains and evaluates it; each step is a command or a script
that
a user would run. A stopped or repeated run resumes. Variants share the plates and baselines.
OUT/report.md has a row for each variant that was run, on plates like those of training and on
families that are not in the training data. Unknown options are passed to `cephalo train`.
"""

import argparse
import json
from pathlib import Path

from science_base import make_base, read_texts
from science_tower import train_tower

from cephalo.cli.main import main as cephalo
from cephalo.dataset_scripts.plates.__main__ import app as fields
from cephalo.eval.baselines import TASKS
from cephalo.eval.baselines import app as baselines

REPOSITORY = Path(__file__).resolve().parents[1]
SPLITS = ("test", "unseen_families")
VARIANTS = {
    "tower": "convolutions, tower and connector taught numbers first and then frozen",
    "stem": "convolutions, everything learns from answers alone",
    "plain": "Idefics2 as it is, everything learns from answers alone",
}
FROZEN = ("--freeze_parts", "vision", "connector", "--feature_cache_gb", "4")
BARS = {
    "r2/stress_stdev": 0.92,
    "r2/stress_mean": 0.92,
    "r2/stress_median": 0.88,
    "accuracy": 0.92,
}
"""Values to reach on the split `test`."""


def main(arguments: list[str] | None = None) -> None:
    """Run all steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--samples", type=int, help="plates for stress; by default 20,000, with --gpu 100,000"
    )
    parser.add_argument(
        "--notched", type=int, help="plates with a notch; by default as many as --samples"
    )
    parser.add_argument("--cracks", type=int, default=1000, help="plates with crack growth")
    parser.add_argument("--pixels", type=int, default=64, help="side length of a plate")
    parser.add_argument(
        "--tower-epochs", type=float, default=10, help="epochs of pre-training of `tower`"
    )
    parser.add_argument("--variant", choices=VARIANTS, default="tower", help="training recipe")
    parser.add_argument("--gpu", action="store_true", help="train on a GPU, on more plates")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "runs" / "science")
    options, training = parser.parse_known_args(arguments)
    out: Path = options.out
    plates, own = out / "plates", out / options.variant
    samples = options.samples or (100_000 if options.gpu else 20_000)
    command = ["--out", plates, "--samples", samples, "--notched", options.notched or samples]
    command += ["--cracks", options.cracks]
    fields([*map(str, command), "--pixels", str(options.pixels)], standalone_mode=False)
    if not (out / "baselines" / [*TASKS][-1] / SPLITS[-1] / "results.json").exists():
        baselines(
            ["--dataset", str(plates), "--out", str(out / "baselines")], standalone_mode=False
        )
    base = own / "base"
    if not base.exists():
        make_base(base, read_texts(plates), stem=options.variant != "plain")
    if options.variant == "tower":
        base, training = own / "tower", [*FROZEN, *training]
        if not base.exists():
            train_tower(own / "base", plates, base, options.tower_epochs, options.gpu)
    model = own / "model"
    train = ["train", "--config", Path(__file__).with_suffix(".yaml"), "--dataset_name", plates]
    train += ["--model_name_or_path", base, "--output_dir", model]
    if options.gpu:
        train += ["--use_cpu", False, "--bf16", True]
    if not (model / "README.md").exists():  # training writes the card last
        cephalo([*map(str, train), *training])
    for name, task in TASKS.items():
        for split in SPLITS:
            ask = ["eval", model, "--task", task.metric, "--dataset", plates]
            ask += ["--where", task.where, "--config", "conversations", "--split", split]
            ask += ["--group-by", "family", "--max-new-tokens", 32, "--batch-size", 64]
            ask += ["--out", model / name / split]
            cephalo([*map(str, ask)])
    cephalo(["card", str(model)])
    (out / "report.md").write_text(report(out, options.variant), encoding="utf-8")
    print(report(out, options.variant))


def report(out: Path, variant: str) -> str:
    """Return a table of all variants and baselines, and whether `variant` reaches each bar."""
    lines = ["| reader | split | family | rows | measure | value | 95 % |", "|---" * 7 + "|"]
    found = {}
    tried = [name for name in VARIANTS if (out / name / "model" / "crack" / SPLITS[-1]).exists()]
    for split in SPLITS:
        folders = [out / "baselines" / task / split for task in TASKS]
        folders += [out / name / "model" / task / split for name in tried for task in TASKS]
        for folder in folders:
            results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
            for reader in results["models"]:
                own = folder.parents[1].name == "model"
                name = f"Cephalo, {folder.parents[2].name}" if own else reader["model"]
                groups = {"all": reader, **reader.get("groups", {})}
                for group, numbers in groups.items():
                    for measure in BARS.keys() & numbers["measures"].keys():
                        one = numbers["measures"][measure]
                        shown = " | ".join(
                            [name, split, group, str(numbers["n"]), measure, interval(one)]
                        )
                        lines.append(f"| {shown} |")
                        found[name, split, group, measure] = one["value"]
    lines = [*lines[:2], *sorted(lines[2:]), ""]
    lines += [f"- {name}: {VARIANTS[name]}." for name in tried]
    for measure, bar in BARS.items():
        value = found[f"Cephalo, {variant}", "test", "all", measure]
        verdict = "not defined" if value is None else "met" if value >= bar else "not met"
        lines.append(f"\n{measure}: bar {bar}, {verdict}.")
    return "\n".join(lines) + "\n"


def interval(found: dict[str, float | None]) -> str:
    """Return two table cells: the value and its interval."""
    value, low, high = (
        "" if found[key] is None else f"{found[key]:.3f}" for key in ("value", "low", "high")
    )
    return f"{value} | {low} to {high}" if low else f"{value} |"


if __name__ == "__main__":
    main()
