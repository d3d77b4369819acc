"""The table of families against features, and the tests that fill it."""

import json
from types import SimpleNamespace

import family_table
import pytest
from family_samples import FAMILIES
from moe_samples import MAKERS

from cephalo.cli.main import main
from cephalo.series import families
from cephalo.series.families import FEATURES, read_shown


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of two families, and no cells of this run."""
    path = tmp_path / "families.json"
    path.write_text('{"gemma3": ["packing", "chat"], "qwen3_vl": ["serve"]}')
    monkeypatch.setattr(families, "SHOWN", path)
    monkeypatch.setattr(family_table, "SHOWN", path)
    monkeypatch.setattr(family_table, "cells", {})
    return path


def ran(family: str, feature: str, *, passed: bool, when: str = "call") -> None:
    """A report of a test of one cell."""
    properties = [("shows", [family, feature]), ("other", 1)]
    report = SimpleNamespace(
        user_properties=properties, passed=passed, failed=not passed, when=when
    )
    family_table.note_report(report)


def test_the_table_is_what_the_tests_showed(table, capsys):
    main(["series", "--families"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    odd, even, gemma, qwen, _, *meanings = lines
    names = [name for pair in zip(odd.split(), even.split(), strict=True) for name in pair]
    assert names == [*FEATURES] and len(meanings) == len(FEATURES)
    # The middle of each name is that of its column.
    for number, name in enumerate(FEATURES):
        head = (odd, even)[number % 2]
        middle = len("qwen3_vl") + 6 * number + 3
        assert abs(head.index(name) + len(name) / 2 - middle) <= 1
    assert gemma.split() == ["gemma3", "yes", "-", "-", "-", "-", "-", "yes", "-", "-", "-"]
    assert qwen.split() == ["qwen3_vl", *"-------", "yes", "-", "-"]
    with pytest.raises(SystemExit, match="--families prints a separate table; leave out"):
        main(["series", "--families", "--scale", "check"])


def test_the_shipped_table_knows_its_families_and_features():
    for family, shown in read_shown().items():
        assert family in {*FAMILIES, *MAKERS}
        assert shown == [name for name in FEATURES if name in shown]


def test_a_run_fails_where_the_table_says_more_than_a_test_shows(table):
    ran("gemma3", "chat", passed=True)
    ran("gemma3", "serve", passed=True, when="setup")
    assert family_table.false_claims() == family_table.unclaimed() == []
    ran("gemma3", "packing", passed=True)
    ran("gemma3", "packing", passed=False)  # one of its tests is enough
    ran("gemma3", "packing", passed=True)
    ran("qwen3_vl", "packing", passed=True)
    ran("qwen3_vl", "serve", passed=False, when="setup")
    assert [line.split(",")[0] for line in family_table.false_claims()] == [
        "families.json says that gemma3 has packing",
        "families.json says that qwen3_vl has serve",
    ]
    assert family_table.unclaimed() == ["qwen3_vl packing"]
    family_table.write_table()
    assert json.loads(table.read_text()) == {"gemma3": ["chat"], "qwen3_vl": ["packing"]}
    assert family_table.false_claims() == family_table.unclaimed() == []


def test_a_cell_without_a_test_is_refused(table):
    item = SimpleNamespace(
        callspec=SimpleNamespace(params={"family": "gemma3"}),
        iter_markers=lambda _: [SimpleNamespace(args=("packing", "chat"))],
        user_properties=[],
    )
    config = SimpleNamespace(args_source=pytest.Config.ArgsSource.TESTPATHS)
    with pytest.raises(pytest.UsageError, match=r"no test shows: \[\('qwen3_vl', 'serve'\)\]"):
        family_table.note_cells(config, [item])
    assert item.user_properties == [
        ("shows", ["gemma3", "packing"]),
        ("shows", ["gemma3", "chat"]),
    ]
    config.args_source = pytest.Config.ArgsSource.ARGS
    family_table.note_cells(config, [item])
