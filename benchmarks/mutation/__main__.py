"""Measure how many small faults in the core the tests catch.

    python -m benchmarks.mutation [--mutants 150] [--seed 0] [--minutes 20]

cosmic-ray changes one operator, comparison, number or keyword at a time in a copy of the
repository, and runs the tests of the function there. Survivors are printed as a diff. An
interrupted run resumes, unless a file has changed.
"""

import argparse
import ast
import contextlib
import difflib
import hashlib
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult
from tqdm import tqdm

from benchmarks.mutation.core import CORE

BAR = 0.9  # of the mutants are caught
TIMES, SECONDS = 5, 20  # relative to the tests' time; a mutant that runs longer is caught
LIBRARIES = (
    "datasets",
    "datasketch",
    "detect_secrets.plugins.jwt",
    "huggingface_hub.hf_api",
    "hypothesis.strategies",
    "pyarrow.parquet",
    "pypdfium2.raw",
    "rapidfuzz.fuzz",
    "safetensors.numpy",
    "scipy.stats",
    "snowballstemmer",
)
# Equal numbers and names are mostly one object, so that the first four change nothing; the last
# breaks off where an exception is named with its module.
LEFT_OUT = ("_Eq_Is", "_NotEq_IsNot", "_Is_Eq", "_IsNot_NotEq", "/ExceptionReplacer")


def main() -> None:
    """Print the survivors and the share of caught mutants; exit with 1 if it is below the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/mutation"), help="output folder")
    parser.add_argument("--mutants", type=int, default=150, help="number of places to try")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of places")
    parser.add_argument("--minutes", type=float, default=20.0, help="time limit, in minutes")
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    tree = copy_repository(asked.out.resolve())
    session = asked.out.resolve() / f"{digest(tree)}.sqlite"
    for library in LIBRARIES:
        importlib.import_module(library)
    with contextlib.chdir(tree), use_db(session) as database:
        if not database.num_work_items:
            init([Path(module) for module in CORE], database, {})
        chosen = sample(database, asked.mutants, asked.seed)
        run(database, chosen, end)
        caught, tried = report(database, chosen)
    print(
        f"caught {caught} of {tried} mutants, {caught / max(tried, 1):.1%} (bar {BAR:.0%}); "
        f"{len(chosen) - tried} of {len(chosen)} were not tried"
    )
    sys.exit(caught < BAR * tried)


def copy_repository(out: Path) -> Path:
    """Copy all files that git does not ignore, so that packages are imported by their names."""
    tree = out / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], text=True
    )
    for name in filter(None, listed.split("\0")):
        if Path(name).is_file() or Path(name).is_symlink():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, tree / name, follow_symlinks=False)
    (tree / "cephalo").symlink_to("src/cephalo")
    return tree


def digest(tree: Path) -> str:
    """Return a hash of everything that decides whether a mutant is caught."""
    paths = sorted({path.resolve() for path in tree.rglob("*.py")})
    found = hashlib.sha256(b"".join(path.read_bytes() for path in paths))
    return found.hexdigest()[:16]


def sample(database: WorkDB, count: int, seed: int) -> list[WorkItem]:
    """Return one mutant at each of `count` places in bodies of functions of the core."""
    places = defaultdict(list)
    bodies = {module: list(bodies_of(Path(module), CORE[module].functions)) for module in CORE}
    for item in database.work_items:
        mutation = item.mutations[0]
        lines = bodies[mutation.module_path.as_posix()]
        inside = any(mutation.start_pos[0] in body for body in lines)
        if inside and not mutation.operator_name.endswith(LEFT_OUT):
            places[place_of(mutation)].append(item)
    chance = random.Random(seed)
    chosen = chance.sample(sorted(places), min(count, len(places)))
    return [chance.choice(sorted(places[place], key=order)) for place in chosen]


def place_of(mutation: MutationSpec) -> tuple[str, tuple[int, int], tuple[int, int]]:
    """Return the place of a mutation: file, start and end."""
    return mutation.module_path.as_posix(), mutation.start_pos, mutation.end_pos


def order(item: WorkItem) -> tuple[str, int]:
    """Return the order of the mutants at a place, since their ids are random."""
    return item.mutations[0].operator_name, item.mutations[0].occurrence


def bodies_of(module: Path, functions: Iterable[str]) -> Iterator[range]:
    """Yield the lines of the bodies of functions, since a mutated annotation changes nothing.

    Raises KeyError if a function is missing.
    """
    found = {}
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else []
        for name, function in [("", node), *((f"{node.name}.", one) for one in inner)]:
            if isinstance(function, ast.FunctionDef):
                lines = range(function.body[0].lineno, function.end_lineno + 1)
                found[f"{name}{function.name}"] = lines
    return (found[name] for name in functions)


def run(database: WorkDB, chosen: list[WorkItem], end: float) -> None:
    """Try each mutant without a result, until `end` (of time.monotonic)."""
    done = {job for job, _ in database.results}
    limits: dict[tuple[str, ...], float] = {}
    for item in tqdm(chosen, unit=" mutants", disable=None):
        if item.job_id in done or time.monotonic() > end:
            continue
        mutation = item.mutations[0]
        tests = CORE[mutation.module_path.as_posix()].tests
        if tests not in limits:
            start = time.monotonic()
            if not passes(tests):
                sys.exit(f"error: {' '.join(tests)} fails without a mutant; fix that first")
            limits[tests] = TIMES * (time.monotonic() - start) + SECONDS
        operator = get_operator(mutation.operator_name)()
        with use_mutation(mutation.module_path, operator, mutation.occurrence) as (before, after):
            survived = passes(tests, limits[tests])
        result = WorkResult(
            worker_outcome=WorkerOutcome.NORMAL,
            test_outcome=TestOutcome.SURVIVED if survived else TestOutcome.KILLED,
            diff=difference(mutation, before, after),
        )
        database.set_result(item.job_id, result)


def passes(tests: tuple[str, ...], limit: float | None = None) -> bool:
    """Return whether the tests pass within `limit` seconds.

    They run in a fork of this process, which has imported the libraries and nothing of Cephalo,
    since importing them takes longer than the tests.
    """
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=[tests])
    process.start()
    process.join(limit)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return process.exitcode == 0


def run_tests(tests: tuple[str, ...]) -> None:
    """Run tests silently, and end the process with their exit code."""
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path.cwd()))
    files = [f"tests/{test}" for test in tests]
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]))


def difference(mutation: MutationSpec, before: str, after: str) -> str:
    """Return the lines that a mutant changes."""
    name = mutation.module_path.as_posix()
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), name, name, "", "", 0, "")
    return "\n".join(list(lines)[1:])


def report(database: WorkDB, chosen: list[WorkItem]) -> tuple[int, int]:
    """Print the surviving mutants; return how many were caught, and tried."""
    results = dict(database.results)
    tried = [results[item.job_id] for item in chosen if item.job_id in results]
    survived = [one for one in tried if one.test_outcome == TestOutcome.SURVIVED]
    for one in sorted(survived, key=lambda one: one.diff):
        print(one.diff)
    return len(tried) - len(survived), len(tried)


if __name__ == "__main__":
    main()
