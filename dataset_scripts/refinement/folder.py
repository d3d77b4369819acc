"""Refine a folder of figures on this machine, and report the outcome."""

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.dataset_scripts.common.chosen import count_taken
from cephalo.dataset_scripts.common.decisions import add_decisions
from cephalo.dataset_scripts.common.inputs import gone_shards, told
from cephalo.dataset_scripts.refinement.asking import INTERRUPTED, refine_shards
from cephalo.dataset_scripts.refinement.documents import figure_shards, set_aside
from cephalo.dataset_scripts.refinement.options import Asking, Keys
from cephalo.dataset_scripts.refinement.own_checks import load_checks
from cephalo.dataset_scripts.refinement.report import write_report
from cephalo.dataset_scripts.refinement.review_page import write_review_page
from cephalo.dataset_scripts.refinement.run import Outcome

logger = logging.getLogger(__name__)


def refine_folder(
    figures: Path,
    out: Path,
    asking: Asking,
    keys: Keys,
    decisions: Path | None = None,
    review: bool = False,
) -> None:
    """Refine all unfinished shards of a folder, and write the reports.

    Args:
        figures: Folder that `cephalo extract` wrote.
        out: Folder for the conversations, the rejected answers and the reports.
        asking: The settings.
        keys: Keys of the endpoints.
        decisions: File of decisions about undecided conversations, added to those of `out`.
        review: Whether to write a page for such decisions.

    Raises:
        CephaloError: If the input cannot be read, `out` cannot be written, or no reply could be
            parsed.
        KeyboardInterrupt: After Ctrl-C, once the answers received so far are written.
    """
    shards = figure_shards(figures)
    with prepared(out):
        started = time.monotonic()
        if gone := set_aside(out, gone_shards([figures]), {shard.name for shard in shards}):
            logger.warning(told(gone))
        if where := asking.condition():
            taken, total = count_taken(shards, where)
            logger.info("--where takes %d of %d figures", taken, total)
            if not taken:
                raise CephaloError(f"--where {where.text!r} takes none of {total} figures")
        if decisions:
            add_decisions(out, decisions, {shard.stem for shard in shards})
        asked = refine_shards(shards, out, asking, keys, out / "cache" / "replies.sqlite")
        seconds = time.monotonic() - started
        checks = load_checks(asking.checks)
        summary = write_report(
            figures, out, asked.teacher, asked.outcome, asked.spending, seconds, checks
        )
        print(f"{summary} → {out / 'report.html'}")
        if review:
            print(write_review_page(figures, out))
    conclude(asked.outcome, out)


def conclude(outcome: Outcome, out: Path) -> None:
    """Report the outcome of a run. Raises as `refine_folder`."""
    if outcome.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    if outcome.unmatched:
        logger.warning("%d decisions match no conversation", outcome.unmatched)
    why = f"{outcome.reason}; see all in {out / 'report.html'}"
    if outcome.answered and not outcome.read and not outcome.done_before:
        raise CephaloError(f"no reply could be parsed: {why}")
    if outcome.unanswered and not outcome.answered and not outcome.done_before:
        raise CephaloError(f"no question got an answer: {why}")
    if outcome.stopped:
        logger.warning("stopped: %s; run the same command again to continue", outcome.stopped)


@contextmanager
def prepared(out: Path) -> Iterator[None]:
    """Create the output folder and lock it for this run. Raises CephaloError if that fails."""
    with locked(out):
        (out / "cache").mkdir(exist_ok=True)
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise CephaloError(f"cannot write below {out}: {error}; free disk space") from error
