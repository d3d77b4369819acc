"""The counts of `make conformance`: a failure that is not listed fails it."""

import pytest

from benchmarks.conformance.__main__ import SUITES, main, out_of_scope, tell
from benchmarks.conformance.counts import by_class, failures, outcomes, too_long

HUB = SUITES[0]
TRANSFORMERS = next(suite for suite in SUITES if suite.library == "transformers")


def test_unlisted_failures_are_counted_and_named(capsys):
    lines = [
        ["tests/test_a.py::test_one", "passed", ""],
        ["tests/test_a.py::test_two", "out of scope", "buckets"],
        ["tests/test_a.py::test_three", "passed", ""],
        ["tests/test_a.py::test_three", "error", "while it was torn down"],
        ["tests/test_b.py", "error", "not imported"],
        ["tests/test_a.py::test_four", "failed", "E  assert 404 == 200"],
    ]
    assert tell(HUB, outcomes(lines), show=False) == 3
    printed = capsys.readouterr().out
    assert "'passed': 1, 'out of scope': 1, 'error': 2, 'failed': 1" in printed
    assert "   1 out of scope: buckets" in printed and "failed: tests/test_b.py" in printed
    assert tell(HUB, outcomes(lines[:2]), show=False) == 0


def test_a_failed_subtest_says_why():
    lines = [
        ["tests/test_a.py::A::test_one", "passed", ""],
        ["tests/test_a.py::A::test_one", "failed", "E  no gradient"],
        ["tests/test_a.py::A::test_one", "failed", "E  another"],
        ["tests/test_a.py::A::test_one", "passed", ""],
    ]
    (result,) = failures(outcomes(lines))
    assert result.text == "E  no gradient" and result.case == "test_a.py::A"


def test_failures_of_the_yardstick_are_told_and_do_not_count(capsys):
    lines = [
        ["tests/test_ours.py::Phi3V::test_one", "passed", ""],
        ["tests/test_ours.py::Phi3V::test_two", "skipped", ""],
        ["tests/test_yardstick.py::Idefics2::test_one", "failed", "E  no"],
    ]
    assert tell(TRANSFORMERS, outcomes(lines), show=False) == 0
    printed = capsys.readouterr().out
    assert "failed, of the yardstick: tests/test_yardstick.py::Idefics2::test_one" in printed
    rows = [line.split() for line in by_class(outcomes(lines)).splitlines()[1:]]
    assert rows == [
        ["test_ours.py::Phi3V", "1", "1", "0", "0"],
        ["test_yardstick.py::Idefics2", "0", "0", "1", "0"],
    ]
    lines[0][1] = "failed"
    assert tell(TRANSFORMERS, outcomes(lines), show=False) == 1


def test_the_list_may_be_ten_longer_than_the_failures_of_the_yardstick(capsys):
    assert too_long(12, 2) is None
    assert too_long(13, 2).endswith("at most 12 may be")
    lines = [[f"tests/test_ours.py::A::test_{n}", "out of scope", "why"] for n in range(11)]
    assert tell(TRANSFORMERS, outcomes(lines), show=False) == 1
    assert "11 of our tests are listed" in capsys.readouterr().out


def test_every_listed_test_has_a_reason():
    for library in ("huggingface_hub", "datasets", "transformers"):
        listed = out_of_scope(library)
        assert listed and all(len(row) == 2 and all(row) for row in listed)


def test_an_unknown_library_ends_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["conformance", "torch"])
    with pytest.raises(SystemExit):
        main()
    assert "no tests of torch; give datasets, huggingface_hub, transformers" in (
        capsys.readouterr().err
    )
