"""The order of the files, and faults of extraction that are open: tests that fail today."""

from pathlib import Path

import family_table
import pytest
from hub_fixture import hub as hub  # one for all test files of a worker
from hypothesis import settings

# No example fails because the machine is busy.
settings.register_profile("cephalo", deadline=None)
settings.load_profile("cephalo")

# Files that take the most CPU time, the longest first: they begin first, so that no worker is left
# with one at the end.
LONGEST = (
    *("test_gpu.py", "test_import_datasets.py", "test_family_commands.py"),
    *("test_docs.py", "test_series.py", "test_demo_app.py", "test_moe_build.py"),
    *("test_mesh_generate.py", "test_publish_hub.py", "test_fields_dataset.py"),
    *("test_hub_clients.py", "test_eval_science.py", "test_eval.py", "test_scale.py"),
    *("test_merge.py", "test_demo.py", "test_upload_faults.py", "test_stages.py"),
    *("test_loop.py", "test_extract.py", "test_train.py"),
    *("test_family_apps.py", "test_train_families.py"),
    *("test_merge_families.py", "test_moe_families.py", "test_moe_build_families.py"),
)


@pytest.fixture(scope="session")
def taught_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, a tiny Phi-3-vision that tells bright pictures from dark ones, and the
    `base` that it was trained from; not to be changed."""
    from phi3_v_samples import make_base, taught_rows, teach

    folder = tmp_path_factory.mktemp("taught")
    teach(make_base(folder / "base"), folder / "model", taught_rows())
    return folder


# File → why → the tests that fail for it. Take a line out with its fault.
OPEN_FAULTS: dict[str, dict[str, list[str]]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-families",
        action="store_true",
        help="write what tests show of families into the table of `cephalo series --families`",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    family_table.note_report(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of families, or fail the run where it says more than tests show."""
    if hasattr(session.config, "workerinput"):  # of xdist, whose reports go to the main process
        return
    if session.config.getoption("--write-families"):
        family_table.write_table()
        return
    if more := family_table.unclaimed():
        print(f"\n--write-families would add: {', '.join(more)}")
    if found := family_table.false_claims():
        print("\n" + "\n".join(found))
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(tryfirst=True)  # before tests are deselected
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the files, and mark the tests of open faults: one that passes fails the run, so that its
    line goes."""
    family_table.note_cells(config, items)
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))
    for item in items:
        for reason, names in OPEN_FAULTS.get(item.path.name, {}).items():
            if item.name in names:
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
