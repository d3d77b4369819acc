"""The step of `cephalo refine --slurm`: refine the shards of a task.

Each shard is refined like a folder with this shard alone on one machine, with its own file of
replies, so that its conversations do not depend on the task that processes it.
"""

import logging
import os
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import show_notes
from cephalo.dataset_scripts.cluster.cluster import Cluster
from cephalo.dataset_scripts.cluster.manifest import File, list_files, read_share
from cephalo.dataset_scripts.cluster.runs import Begun, Run
from cephalo.dataset_scripts.cluster.slurm import check_idle, submit
from cephalo.dataset_scripts.cluster.store import is_remote, open_filesystem
from cephalo.dataset_scripts.common.corrected import CROPS, verdicts_of
from cephalo.dataset_scripts.common.corrections import NAME as CORRECTIONS
from cephalo.dataset_scripts.common.corrections import facts_of
from cephalo.dataset_scripts.common.decisions import add_decisions
from cephalo.dataset_scripts.common.inputs import told
from cephalo.dataset_scripts.refinement.asking import VERSION, refine_shards
from cephalo.dataset_scripts.refinement.documents import set_aside
from cephalo.dataset_scripts.refinement.options import Asking, Keys
from cephalo.dataset_scripts.refinement.own_checks import checks_digest, load_checks
from cephalo.dataset_scripts.refinement.report import Spending, write_report
from cephalo.dataset_scripts.refinement.run import Outcome
from cephalo.dataset_scripts.refinement.tasks import Task
from cephalo.dataset_scripts.refinement.teachers import CaptionTeacher
from cephalo.inference.questions import Usage

logger = logging.getLogger(__name__)

# What determines the conversations; servers may move or differ in speed.
DECIDING = ("teacher", "model", "tasks", "temperature", "max_tokens", "seed", "max_image_edge")
DECIDING += ("text_only", "judges", "judge_threshold", "no_verify", "text_judge", "checks", "where")
OUTCOME = ("documents", "answered", "unanswered")
USAGE = ("requests", "retries", "replies", "cached", "prompt_tokens", "completion_tokens")
KEYS = {"api": "OPENAI_API_KEY", "judge": "JUDGE_API_KEY"}


def record(asking: Asking) -> dict[str, Any]:
    """Return what determines the rows of a run besides its files."""
    given = asdict(asking)
    deciding = {name: given[name] for name in DECIDING}
    deciding |= {"checks": checks_digest(asking.checks)}
    tasks = {task.name: task.version for task in asking.wanted()}
    return {"version": VERSION, **deciding, "versions": tasks}


@dataclass(frozen=True)
class RefineShards:
    """Refines the shards of one task in turn, skipping finished ones.

    datatrove calls it in a separate process on any machine. Keys are in the environment. Raises
    CephaloError if the code's version or the settings are not those of the run, and if a model
    cannot be queried.
    """

    out: str
    asking: Asking

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        """Refine the share of task `rank` of `world_size`; `data` of earlier steps is not used."""
        show_notes()  # into the log of the task
        run = Run(self.out, "refine")
        run.check(record(self.asking))
        manifest = run.name("manifest.jsonl")
        for number, shards in read_share(run.store, manifest, 1, rank, world_size):
            if shards and not run.is_done(number):
                self.refine(run, number, shards[0])

    def refine(self, run: Run, number: int, shard: File) -> None:
        """Refine one shard, and record the outcome if it is complete."""
        started = time.monotonic()
        replies = Path(self.out) / run.name(f"replies/{number:06d}.sqlite")
        replies.parent.mkdir(parents=True, exist_ok=True)
        keys = Keys(*(os.environ.get(KEYS[name]) for name in ("api", "judge")))
        with tempfile.TemporaryDirectory(prefix="cephalo-") as folder:
            local = fetch(shard, Path(folder))
            corrected = facts_of(verdicts_of(local))
            asked = refine_shards([local], Path(self.out), self.asking, keys, replies)
        outcome, usage = asked.outcome, asked.spending.usage
        if outcome.stopped:
            raise CephaloError(f"{shard.path}: stopped: {outcome.stopped}; submit it again")
        if outcome.unanswered and not outcome.answered and not outcome.done_before:
            raise CephaloError(f"{shard.path}: no question got an answer: {outcome.reason}")
        facts = {name: getattr(outcome, name) for name in OUTCOME}
        facts |= {name: getattr(usage, name) if usage else 0 for name in USAGE}
        facts |= {"teacher": asked.teacher.name, "params": asked.teacher.params()}
        facts |= {"corrected": corrected}
        run.finish(number, facts | {"seconds": round(time.monotonic() - started, 2)})


def fetch(shard: File, folder: Path) -> Path:
    """Return a shard as a local file with its manual corrections. Downloaded files have a fixed
    date, since the record of inputs includes it."""
    if not is_remote(shard.path):
        return Path(shard.path)
    fs, path = open_filesystem(shard.path)
    local = folder / "figures" / PurePosixPath(path).name
    local.parent.mkdir()
    fs.get_file(path, str(local))
    os.utime(local, (0, 0))
    root = PurePosixPath(path).parent.parent
    if fs.exists(str(root / CORRECTIONS)):
        fs.get_file(str(root / CORRECTIONS), str(folder / CORRECTIONS))
    for crop in (one.crop for one in verdicts_of(local).values() if one.crop):
        crop.parent.mkdir(exist_ok=True)
        if fs.exists(str(root / CROPS / crop.name)):
            fs.get_file(str(root / CROPS / crop.name), str(crop))
    return local


def submit_refinement(
    figures: str,
    out: Path,
    asking: Asking,
    keys: Keys,
    cluster: Cluster,
    decisions: Path | None = None,
) -> str:
    """Submit the unfinished part of a run, or summarize it if nothing is left; return the message.

    `decisions` is a file of manual decisions; the shards that it concerns are refined again. Raises
    CephaloError if an input cannot be read or the job cannot be submitted.
    """
    if is_remote(str(out)) or ":/" in str(out):
        raise CephaloError(
            f"{out}: replies are cached while it runs; give --out a folder that all machines share"
        )
    run = Run(str(out.absolute()), "refine")
    files = list_files([f"{figures.rstrip('/')}/figures"], ".parquet", str(out / "refine-run"))
    begun = run.begin(files, 1, record(asking), lambda begun: leave_out(run, out, begun))
    if gone := begun.gone():
        logger.warning(told(gone))
    chunks = begun.chunks
    if asking.retry_rejected:
        do_again(run, {path.stem for path in (Path(run.out) / "rejected").glob("*.jsonl")})
    if decisions:
        do_again(run, add_decisions(out, decisions))
    if not is_remote(figures):
        do_corrected_again(run)
    os.environ.update(
        {KEYS[name]: key for name, key in asdict(keys).items() if key}
    )  # Slurm passes the environment on, so no file contains a key
    if job := submit(run, RefineShards(run.out, asking), chunks, cluster):
        done = f"{len(run.done())} of {chunks} shards are done"
        return f"submitted job {job}: {done}; run it again later to see how many"
    summary = sum_up(run, Path(figures), out, asking)
    return f"all {chunks} shards are done: {summary} → {out / 'report.html'}"


def leave_out(run: Run, out: Path, begun: Begun) -> None:
    """Move the output of removed shards to OUT/removed and that of returned ones back; delete the
    conversations of shards to refine again.

    Raises CephaloError while tasks are pending or running.
    """
    check_idle(run)
    set_aside(out, set(begun.removed), set(begun.returned))
    for name in (*begun.edited, *begun.returned):
        (out / "conversations" / name).unlink(missing_ok=True)


def do_again(run: Run, stems: set[str]) -> None:
    """Mark the shards of these names as unfinished."""
    for number, shards in read_share(run.store, run.name("manifest.jsonl"), 1, 0, 1):
        if shards and PurePosixPath(shards[0].path).stem in stems:
            run.store.remove(run.name(f"chunks/{number:06d}.json"))


def do_corrected_again(run: Run) -> None:
    """Mark the shards with newer manual corrections as unfinished."""
    manifest = run.name("manifest.jsonl")
    for number, shards in read_share(run.store, manifest, 1, 0, 1):
        name = run.name(f"chunks/{number:06d}.json")
        if not shards or not Path(shards[0].path).exists() or not run.is_done(number):
            continue
        if run.store.read_json(name).get("corrected", []) != facts_of(
            verdicts_of(Path(shards[0].path))
        ):
            run.store.remove(name)


@dataclass(frozen=True)
class Told:
    """The teacher as recorded by the tasks, for the report."""

    name: str
    given: dict[str, Any]
    tasks: tuple[Task, ...]

    def params(self) -> dict[str, Any]:
        """Return what determines the answers besides figures and tasks."""
        return self.given


def sum_up(run: Run, figures: Path, out: Path, asking: Asking) -> str:
    """Write report.json and report.html about all shards. Returns a summary of one line."""
    counts: Counter[str] = Counter()
    facts: dict[str, Any] = {}
    for facts in run.facts():
        counts.update({name: facts[name] for name in (*OUTCOME, *USAGE, "seconds")})
    captions = asking.teacher == "caption"
    spending = Spending(asking.price_in, asking.price_out)
    if not captions:
        spending.usage = Usage(**{name: counts[name] for name in USAGE})
    tasks = CaptionTeacher.tasks if captions else tuple(asking.wanted())
    teacher = Told(facts["teacher"], facts["params"], tasks)
    numbers: dict[str, Any] = {name: counts[name] for name in OUTCOME}
    outcome = Outcome(**numbers)
    checks = load_checks(asking.checks)
    return write_report(figures, out, teacher, outcome, spending, counts["seconds"], checks)
