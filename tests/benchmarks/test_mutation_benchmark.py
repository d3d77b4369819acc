"""The mutation run: what of the core it changes, and that the core is where its list says."""

from contextlib import closing
from pathlib import Path

import pytest
from cosmic_ray.commands import init
from cosmic_ray.work_db import WorkDB

from benchmarks.mutation import __main__ as mutation
from benchmarks.mutation.core import CORE, Core

ROOT = Path(__file__).parents[2]


def test_every_function_of_the_core_and_its_tests_are_there():
    for module, core in CORE.items():
        bodies = list(mutation.bodies_of(ROOT / module, core.functions))
        assert len(bodies) == len(core.functions) and all(bodies)
        assert all((ROOT / "tests" / test).is_file() for test in core.tests)


MODULE = '''
def chosen(number: int | None = 3) -> bool:
    """Larger than 4."""
    return number > 4 and number != 7


class Kept:
    def other(self):
        return 1 + 2
'''


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("module.py").write_text(MODULE)
    with closing(WorkDB("session.sqlite", WorkDB.Mode.create)) as made:
        init([Path("module.py")], made, {})
        yield made


def test_one_mutant_is_tried_at_each_place_of_the_bodies(database, monkeypatch):
    def tried(*functions: str, count: int = 100, seed: int = 0) -> list[tuple[int, int]]:
        monkeypatch.setattr(mutation, "CORE", {"module.py": Core(functions, ())})
        items = mutation.sample(database, count, seed)
        assert not any(item.mutations[0].operator_name.endswith("_NotEq_IsNot") for item in items)
        return [item.mutations[0].start_pos for item in items]

    all_places = tried("chosen")
    # Two comparisons, their two numbers, `and`; the annotation and the default are none.
    assert {line for line, _ in all_places} == {4} and len(all_places) == len(set(all_places))
    assert tried("chosen") == all_places != tried("chosen", seed=1)
    assert len(tried("chosen", count=2)) == 2
    assert {line for line, _ in tried("Kept.other")} == {9}
    with pytest.raises(KeyError, match="gone"):
        tried("gone")


def test_a_mutant_is_shown_by_its_lines(database, monkeypatch):
    monkeypatch.setattr(mutation, "CORE", {"module.py": Core(("Kept.other",), ())})
    item = mutation.sample(database, 1, 0)[0].mutations[0]
    changed = MODULE.replace("1 + 2", "1 - 2")
    assert mutation.difference(item, MODULE, changed).split("\n") == [
        "+++ module.py",
        "@@ -9 +9 @@",
        "-        return 1 + 2",
        "+        return 1 - 2",
    ]
