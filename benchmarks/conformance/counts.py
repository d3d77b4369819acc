"""Summarize the results of a run: counts, failures, and whether they are acceptable."""

from collections import Counter
from dataclasses import dataclass

FAILED = ("failed", "error")
LISTED = "out of scope"
# The list may have this many more of our tests than the yardstick has failures.
ALLOWANCE = 10


@dataclass(frozen=True)
class Result:
    """The result of a test: its name in pytest, its outcome, and details."""

    test: str
    outcome: str
    text: str

    @property
    def case(self) -> str:
        """Return module and class: `test_ours.py::Phi3V`."""
        return self.test.partition("/")[2].rpartition("::")[0] or self.test


def outcomes(lines: list[list[str]]) -> list[Result]:
    """Return one result for each test of recorded lines.

    A test that passes and then fails in its teardown has two lines. One with subtests has more, of
    which the last, about the whole, may be a success. The first failure counts.
    """
    found: dict[str, Result] = {}
    for test, outcome, text in lines:
        if test not in found or found[test].outcome not in FAILED:
            found[test] = Result(test, outcome, text)
    return list(found.values())


def failures(results: list[Result]) -> list[Result]:
    """Return the tests that failed, or could not be run."""
    return [result for result in results if result.outcome in FAILED]


def by_class(results: list[Result]) -> str:
    """Format the counts of each test case as a table."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        outcome = "failed" if result.outcome in FAILED else result.outcome
        counts.setdefault(result.case, Counter())[outcome] += 1
    columns = ("passed", "skipped", "failed", LISTED)
    rows = [f"  {'':52}" + "".join(f"{column:>14}" for column in columns)]
    for case in sorted(counts):
        rows.append(f"  {case:52}" + "".join(f"{counts[case][column]:14}" for column in columns))
    return "\n".join(rows)


def too_long(listed: int, yardstick: int) -> str | None:
    """Return what is wrong with the length of the list of our tests, or None.

    Args:
        listed: Number of our tests that are not run.
        yardstick: Number of tests of transformers' own models that fail.
    """
    if listed <= yardstick + ALLOWANCE:
        return None
    return (
        f"{listed} of our tests are listed as out of scope; {yardstick} of the yardstick fail, so "
        f"at most {yardstick + ALLOWANCE} may be"
    )
