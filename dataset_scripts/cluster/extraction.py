"""The step of `cephalo extract --slurm`: extract the chunks of a task to Parquet files.

A chunk is extracted like a folder on one machine, into a temporary local folder; its rows are then
written to OUT/figures/NNNNNN.parquet and OUT/text/NNNNNN.parquet.
"""

import json
import logging
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from datasets import Features

from cephalo.cli.logs import show_notes
from cephalo.dataset_scripts.cluster.cluster import Cluster
from cephalo.dataset_scripts.cluster.manifest import File, list_files, read_share
from cephalo.dataset_scripts.cluster.runs import Begun, Run
from cephalo.dataset_scripts.cluster.slurm import check_idle, submit
from cephalo.dataset_scripts.cluster.store import is_remote, open_filesystem
from cephalo.dataset_scripts.common.document_shards import DocumentOutcome
from cephalo.dataset_scripts.common.inputs import told
from cephalo.dataset_scripts.common.outcomes import Counts
from cephalo.dataset_scripts.common.schema import FIGURES, TEXT
from cephalo.dataset_scripts.common.workers import result_of, worker_pool
from cephalo.dataset_scripts.pdf.document import EXTRACTOR_VERSION, MAX_BYTES
from cephalo.dataset_scripts.pdf.jobs import (
    Job,
    hash_files,
    plan,
    prepare,
    run_jobs,
    schedule,
)
from cephalo.dataset_scripts.pdf.settings import Settings

if TYPE_CHECKING:
    from pebble import ProcessPool

logger = logging.getLogger(__name__)

CHUNK = 64  # documents: about 1,000 pages, which take one core 15 s
COUNTED = ("documents", "pages", "figures")
STRIKES = 3  # times that a document may crash its worker


def record(settings: Settings) -> dict[str, Any]:
    """Return what determines the rows of a run besides its files."""
    return {"version": EXTRACTOR_VERSION, **asdict(settings)}


@dataclass(frozen=True)
class ExtractChunks:
    """Extracts the chunks of one task in turn, skipping finished ones.

    datatrove calls it in a separate process on any machine. Raises CephaloError if the code's
    version or the settings are not those of the run.
    """

    out: str
    settings: Settings
    timeout: float  # seconds for one document
    workers: int  # processes of a task

    def __call__(self, data: object, rank: int, world_size: int) -> None:
        """Extract the share of task `rank` of `world_size`; `data` of earlier steps is not used."""
        show_notes()  # into the log of the task
        run = Run(self.out, "extract")
        made = run.check(record(self.settings))
        manifest = run.name("manifest.jsonl")
        for number, files in read_share(run.store, manifest, made["chunk"], rank, world_size):
            if not run.is_done(number):
                self.read_chunk(run, number, files)

    def read_chunk(self, run: Run, number: int, files: list[File]) -> None:
        """Extract the documents of a chunk, and write its rows and its totals."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cephalo-") as folder:
            scratch = Path(folder)
            prepare(scratch, self.settings)
            local, failures = fetch(files, scratch / "documents")
            hashes, unread = hash_files(list(local))
            jobs, _, _ = plan(hashes, scratch / "figures")
            counts = self.read_with_strikes(run, number, jobs, scratch)
            for path, reason in (counts.failures | unread).items():
                name, colon, detail = path.partition(": ")
                failures[local.get(Path(name), name) + colon + detail] = reason
            sizes = {}
            tables = [("text", TEXT)] if self.settings.text else []
            for table, features in (*tables, ("figures", FIGURES)):
                packed = scratch / f"{table}.parquet"
                pack([scratch / table / job.shard.name for job in jobs], packed, features)
                run.store.put(packed, f"{table}/{number:06d}.parquet")
                sizes[table] = packed.stat().st_size
        facts = {"documents": counts.documents, "pages": counts.pages, "figures": counts.figures}
        facts |= {"seconds": round(time.monotonic() - started, 2), "workers": self.workers}
        facts |= {"bytes_read": sum(file.size for file in files), "bytes": sizes}
        run.finish(number, facts | {"failures": dict(sorted(failures.items()))})
        run.store.remove(run.name(f"attempts/{number:06d}.json"))

    def read_with_strikes(self, run: Run, number: int, jobs: list[Job], scratch: Path) -> Counts:
        """Read documents, and exclude those that crash their worker or task `STRIKES` times.

        All are read at once at first. If that was interrupted (a task was killed, a node lost), and
        for documents whose worker died, each is read alone, and the record of attempts names it. A
        document that crashes its whole task is thus identified, and no other is blamed.
        """
        attempts = run.name(f"attempts/{number:06d}.json")
        before = run.store.read_json(attempts)
        strikes: dict[str, int] = before["strikes"] if before else {}
        if before and before["alone"]:
            strikes[before["alone"]] = strikes.get(before["alone"], 0) + 1
        counts, alone = Counts(), jobs
        if before is None:
            run.store.write(attempts, dump(None, strikes))
            counts = run_jobs(jobs, {}, scratch, self.settings, self.workers, self.timeout)
            alone = [job for job in jobs if str(job.path) in counts.died]
            strikes |= {job.sha256: 1 for job in alone}
        if alone:
            with worker_pool(1) as pool:
                for job in alone:
                    counts.failures.pop(str(job.path), None)
                    outcome = self.read_alone(run, attempts, pool, job, strikes)
                    counts.add(str(job.path), outcome)
        return counts

    def read_alone(
        self, run: Run, attempts: str, pool: "ProcessPool", job: Job, strikes: dict[str, int]
    ) -> DocumentOutcome:
        """Return the outcome of one document, which the record names while it is read."""
        reason: str | None = "its task did not come to its end"
        while strikes.get(job.sha256, 0) < STRIKES:
            run.store.write(attempts, dump(job.sha256, strikes))
            outcome = result_of(schedule(pool, job, self.settings, self.timeout), self.timeout)
            if not outcome.died:
                return outcome
            reason = outcome.error
            strikes[job.sha256] = strikes.get(job.sha256, 0) + 1
        return DocumentOutcome(error=f"set aside after {STRIKES} attempts: {reason}")


def submit_extraction(
    paths: list[str], out: str, settings: Settings, timeout: float, cluster: Cluster
) -> str:
    """Submit the unfinished part of a run, or summarize it if nothing is left; return the message.

    Removed and edited files are named, and their chunks are extracted again. Raises CephaloError if
    an input cannot be read or the job cannot be submitted.
    """
    run = Run(out, "extract")
    files = list_files(paths, ".pdf", out)
    begun = run.begin(files, CHUNK, record(settings), lambda begun: leave_out(run, begun))
    if gone := begun.gone():
        logger.warning(told(gone))
    chunks = begun.chunks
    step = ExtractChunks(run.store.url, settings, timeout, cluster.cpus_per_task)
    if job := submit(run, step, chunks, cluster):
        done = f"{len(run.done())} of {chunks} chunks are done"
        return f"submitted job {job}: {done}; run it again later to see how many"
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="cephalo-") as folder:
        failures = Path(folder) / "failures.jsonl"
        with failures.open("w", encoding="utf-8", errors="backslashreplace") as lines:
            for facts in run.facts():
                counts.update({name: facts[name] for name in COUNTED})
                for name, reason in facts["failures"].items():
                    counts["failures"] += 1
                    line = {"file": name, "reason": reason}
                    lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        run.store.put(failures, "failures.jsonl")
    said = ", ".join(f"{counts[name]} {name}" for name in (*COUNTED, "failures"))
    return f"all {chunks} chunks are done: {said} → {run.store.url}"


def leave_out(run: Run, begun: Begun) -> None:
    """Delete the rows of chunks with files that were removed or edited.

    Raises CephaloError while tasks are pending or running.
    """
    check_idle(run)
    for number in begun.changed:
        for table in ("figures", "text"):
            run.store.remove(f"{table}/{number:06d}.parquet")


def dump(alone: str | None, strikes: dict[str, int]) -> str:
    """Format a record of attempts: the document that is read alone, and how often each crashed."""
    return json.dumps({"alone": alone, "strikes": strikes}) + "\n"


def fetch(files: list[File], folder: Path) -> tuple[dict[Path, str], dict[str, str]]:
    """Download the files of a manifest, and return their paths, addresses and failures by address.

    Local paths are used in place. A downloaded file keeps its name, in a folder of its own.
    """
    local: dict[Path, str] = {}
    failures: dict[str, str] = {}
    for number, file in enumerate(files):
        if not is_remote(file.path):
            local[Path(file.path)] = file.path
            continue
        if file.size > MAX_BYTES:
            failures[file.path] = f"has more than {MAX_BYTES >> 30} GB"
            continue
        fs, path = open_filesystem(file.path)
        target = folder / str(number) / PurePosixPath(path).name
        target.parent.mkdir(parents=True)
        try:
            fs.get_file(path, str(target))
        except FileNotFoundError:
            failures[file.path] = "it was there when the manifest was made, and is gone"
        else:
            local[target] = file.path
    return local, failures


def pack(shards: list[Path], packed: Path, features: Features) -> None:
    """Concatenate the existing shards of documents into one file, in order."""
    schema = features.arrow_schema
    with pq.ParquetWriter(packed, schema, compression="none", use_dictionary=False) as writer:
        for shard in shards:
            if shard.exists() and (rows := pq.read_table(shard)).num_rows:
                writer.write_table(rows)
