"""The counts of `make conformance`: a failure that is not listed fails it."""

from benchmarks.conformance.__main__ import SUITES, out_of_scope, tell


def test_unlisted_failures_are_counted_and_named(capsys):
    results = [
        ["tests/test_a.py::test_one", "passed", ""],
        ["tests/test_a.py::test_two", "out of scope", "buckets"],
        ["tests/test_a.py::test_three", "passed", ""],
        ["tests/test_a.py::test_three", "error", "while it was torn down"],
        ["tests/test_b.py", "error", "not imported"],
        ["tests/test_a.py::test_four", "failed", "E  assert 404 == 200"],
    ]
    assert tell(SUITES[0], results, show=False) == 3
    printed = capsys.readouterr().out
    assert "'passed': 1, 'out of scope': 1, 'error': 2, 'failed': 1" in printed
    assert "   1 out of scope: buckets" in printed and "failed: tests/test_b.py" in printed
    assert tell(SUITES[0], results[:2], show=False) == 0


def test_every_listed_test_has_a_reason():
    for library in ("huggingface_hub", "datasets"):
        listed = out_of_scope(library)
        assert listed and all(len(row) == 2 and all(row) for row in listed)
