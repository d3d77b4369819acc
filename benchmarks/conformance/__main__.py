"""`python -m benchmarks.conformance`: run, count, and fail on unlisted failures."""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cephalo.hub.local import LocalHub, local_hub

from .counts import LISTED, Result, by_class, failures, outcomes, too_long

HERE = Path(__file__).parent
DATASETS_USER = "__DUMMY_DATASETS_USER__"
# The users of huggingface_hub's tests; their names and tokens are in testing_constants.py.
USERS = {"USER": "TOKEN", "OTHER_USER": "OTHER_TOKEN", "ENTERPRISE_USER": "ENTERPRISE_TOKEN"}
TEST_SECONDS = 3600


@dataclass(frozen=True)
class Suite:
    """Test modules to run with those of one library, and our helpers by target path.

    The tests are those that pytest's `-k` selects with `keyword`. `stand_ins` are helpers for what
    an archive may lack. `arguments` are pytest's. Failures of the `yardstick` modules do not count,
    since they concern the library's own classes.
    """

    library: str
    modules: tuple[str, ...]
    helpers: dict[str, str]
    keyword: str = ""
    stand_ins: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    yardstick: tuple[str, ...] = ()


DATASETS_HELPERS = {
    "conftest.py": "datasets_conftest.py",
    "fixtures/__init__.py": "__init__.py",
    "fixtures/hub.py": "datasets_hub.py",
    "utils.py": "datasets_utils.py",
}
SUITES = (
    Suite(
        "huggingface_hub",
        (
            *("hf_api", "hf_file_system", "file_download", "snapshot_download", "commit_api"),
            *("commit_scheduler", "lfs", "repocard", "hub_mixin", "hub_mixin_pytorch"),
            *("upload_pipeline", "xet_download", "xet_upload", "cache_layout", "tree_cache"),
            *("cache_no_symlinks", "copy_files", "eval_results", "verification", "utils_errors"),
            *("utils_pagination", "utils_http", "local_folder", "utils_cache", "offline_utils"),
            *("buckets", "buckets_cli", "buckets_hf_file_system", "cli", "cli_discussions"),
            *("kernels", "utils_fixes", "shared_blobs", "auth", "jobs_api"),
        ),
        {"conftest.py": "huggingface_hub_conftest.py"},
    ),
    Suite("datasets", ("hub", "upstream_hub"), DATASETS_HELPERS),
    Suite("datasets", ("load", "inspect"), DATASETS_HELPERS, "private"),
    Suite(
        "transformers",
        ("ours", "processors", "yardstick", "yardstick_processors"),
        {
            "families.py": "transformers_families.py",
            "cases.py": "transformers_cases.py",
            "processor_cases.py": "transformers_processor_cases.py",
            "test_ours.py": "transformers_ours.py",
            "test_processors.py": "transformers_processors.py",
            "test_yardstick.py": "transformers_yardstick.py",
            "test_yardstick_processors.py": "transformers_yardstick_processors.py",
        },
        stand_ins={
            "exporters/test_export.py": "transformers_stand_ins/export.py",
            "generation/test_utils.py": "transformers_stand_ins/generation.py",
            "utils/test_configuration_utils.py": "transformers_stand_ins/configuration.py",
            "../utils/fetch_hub_objects_for_ci.py": "transformers_stand_ins/hub_objects.py",
        },
        arguments=("-n", "auto", "--dist", "loadscope"),
        yardstick=("yardstick", "yardstick_processors"),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__)
    libraries = sorted({suite.library for suite in SUITES})
    parser.add_argument("libraries", nargs="*", help=f"of {', '.join(libraries)}; all by default")
    parser.add_argument("--sources", type=Path, help="folder to keep the downloaded archives in")
    parser.add_argument("--only", help="tests to run, as pytest's -k")
    parser.add_argument("--show", action="store_true", help="print each failure's last lines")
    arguments = parser.parse_args()
    if unknown := set(arguments.libraries) - set(libraries):
        parser.error(f"no tests of {', '.join(sorted(unknown))}; give {', '.join(libraries)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, suite in enumerate(SUITES):
            if arguments.libraries and suite.library not in arguments.libraries:
                continue
            work = Path(folder) / str(number)
            work.mkdir()
            tests = unpack(suite, archive(suite.library, arguments.sources or work), work)
            failed += run(suite, tests, work, arguments.only, arguments.show)
    return int(failed > 0)


def archive(library: str, folder: Path) -> Path:
    """Return the library's source archive from PyPI, at the installed version."""
    version = importlib.metadata.version(library)
    path = folder / f"{library}-{version}.tar.gz"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:"]
        command += ["--no-deps", "--no-build-isolation", "--dest", str(folder)]
        subprocess.run([*command, f"{library}=={version}"], check=True)
    return path


def unpack(suite: Suite, path: Path, work: Path) -> Path:
    """Unpack the tests of an archive and add our helpers. Returns their folder."""
    with tarfile.open(path) as file:
        file.extractall(work, filter="data")
    tests = next(work.glob("*/tests"))
    (tests / "__init__.py").touch()
    lacking = {to: own for to, own in suite.stand_ins.items() if not (tests / to).exists()}
    for target, helper in (suite.helpers | lacking).items():
        (tests / target).parent.mkdir(exist_ok=True)
        (tests / target).write_bytes((HERE / "helpers" / helper).read_bytes())
    return tests


def run(suite: Suite, tests: Path, work: Path, only: str | None, show: bool) -> int:
    """Run a library's tests against a new hub. Returns the number of unexpected failures."""
    root = work / "hub"
    root.mkdir()
    (root / "tokens.json").write_text(json.dumps(tokens(tests)))
    results = work / "results.jsonl"
    results.touch()
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    command += ["-p", "benchmarks.conformance.helpers.recording"]
    command += ["--continue-on-collection-errors"] + (
        ["-k", only or suite.keyword] if only or suite.keyword else []
    )
    modules = [f"tests/test_{name}.py" for name in suite.modules]
    with local_hub(root, [DATASETS_USER]) as hub, (work / "log").open("wb") as log:
        environment = environment_of(hub, work, results, out_of_scope(suite.library))
        subprocess.run(
            [*command, *suite.arguments, *modules],
            cwd=tests.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=TEST_SECONDS,
        )
    if not results.stat().st_size:
        raise SystemExit(f"pytest found no tests of {suite.library}:\n{(work / 'log').read_text()}")
    lines = [json.loads(line) for line in results.open(encoding="utf-8")]
    return tell(suite, outcomes(lines), show)


def tokens(tests: Path) -> dict[str, str]:
    """Return the tokens of the users in huggingface_hub's tests."""
    path = tests / "testing_constants.py"
    if not path.exists():
        return {}
    names: dict[str, str] = {}
    exec(path.read_text(encoding="utf-8"), names)
    return {names[user]: names[token] for user, token in USERS.items()}


def environment_of(
    hub: LocalHub, work: Path, results: Path, skipped: list[list[str]]
) -> dict[str, str]:
    here = str(HERE.parent.parent)
    return {
        **hub.environment(DATASETS_USER, work / "home"),
        "HF_TOKEN": "",
        "PYTHONPATH": here,
        "CONFORMANCE_RESULTS": str(results),
        "CONFORMANCE_SKIPPED": json.dumps(skipped),
        "CONFORMANCE_DATASETS_TOKEN": hub.tokens[DATASETS_USER],
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
    }


def out_of_scope(library: str) -> list[list[str]]:
    """Return patterns of test names, each with the reason why such tests are not run."""
    lines = (HERE / "out_of_scope.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [row[1:] for row in rows if row[0] == library]


def tell(suite: Suite, results: list[Result], show: bool) -> int:
    """Print the counts and the failures. Returns the number of unexpected failures."""
    yardstick = tuple(f"tests/test_{name}.py:" for name in suite.yardstick)
    measures = [result for result in results if yardstick and result.test.startswith(yardstick)]
    ours = [result for result in results if result not in measures]
    counts = Counter(result.outcome for result in ours)
    print(f"{suite.library} {importlib.metadata.version(suite.library)}: {dict(counts)}")
    if suite.yardstick:
        print(by_class(results))
    reasons = Counter(result.text for result in ours if result.outcome == LISTED)
    for reason, count in reasons.most_common():
        print(f"  {count:4} out of scope: {reason}")
    for result in failures(measures):
        print(f"  failed, of the yardstick: {result.test}")
    for result in failures(ours):
        print(f"  failed: {result.test}")
        if show:
            print(result.text)
    fault = too_long(counts[LISTED], len(failures(measures))) if suite.yardstick else None
    if fault is not None:
        print(f"  {fault}")
    return len(failures(ours)) + (fault is not None)


if __name__ == "__main__":
    sys.exit(main())
