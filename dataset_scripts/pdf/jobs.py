"""The documents of a run: find those that are not read yet, and read them in worker processes."""

import json
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import write_whole
from cephalo.cli.json_files import parse_object
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.document_shards import read_left_out, shard_name
from cephalo.dataset_scripts.common.inputs import DIGITS, file_sha256, key_of
from cephalo.dataset_scripts.common.outcomes import Counts
from cephalo.dataset_scripts.common.workers import result_of, worker_pool
from cephalo.dataset_scripts.pdf import ocr
from cephalo.dataset_scripts.pdf.document import EXTRACTOR_VERSION
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.pdf.shard import extract_to_shard


@dataclass(frozen=True)
class Job:
    """A document to read.

    Attributes:
        path: PDF file.
        sha256: SHA-256 of the file.
        shard: Output file for its rows.
    """

    path: Path
    sha256: str
    shard: Path


def prepare(out: Path, settings: Settings, thumbnail: int | None = None) -> None:
    """Create the output folder, or check that an existing one has the same settings.

    Args:
        out: Output folder.
        settings: Options of the extraction.
        thumbnail: Size of thumbnails in pixels, `None` for full images.

    Raises:
        CephaloError: If the folder was made with other settings or cannot be written.
    """
    record = out / "extract.json"
    wanted = {"version": EXTRACTOR_VERSION, **asdict(settings), "kinds": list(settings.kinds)}
    wanted["thumbnail"] = thumbnail
    try:
        if record.exists():
            made = parse_object(record.read_bytes())
            other = [
                as_option(key, made.get(key)) for key in wanted if made.get(key) != wanted[key]
            ]
            if other:
                # The user can repeat an option, but not another version.
                same = made.get("version") == EXTRACTOR_VERSION
                advice = "give the same or another --out" if same else "give another --out"
                raise CephaloError(f"{out} was made {', '.join(other)}; {advice}")
        for table in ("figures", "text") if settings.text else ("figures",):
            (out / table).mkdir(parents=True, exist_ok=True)
        if not record.exists():
            write_whole(record, json.dumps(wanted) + "\n")
        for left in (*out.glob("figures/.*.tmp"), *out.glob("text/.*.tmp")):
            left.unlink()  # left by a killed run
    except OSError as error:
        raise CephaloError(
            f"cannot write to {out}: {error.strerror}; choose another --out"
        ) from error
    except ValueError as error:
        raise CephaloError(f"{record} is damaged; delete it, or use another --out") from error


def as_option(key: str, value: Any) -> str:
    """Format a setting as the option of the command: "with --dpi 200", "without --text"."""
    if key == "version":
        return f"by version {value} of the extraction, not {EXTRACTOR_VERSION}"
    if value in (True, False, None):
        return f"{'with' if value else 'without'} --{key}"
    return f"with --{key} {','.join(value) if isinstance(value, list) else value}"


def hash_files(files: list[Path]) -> tuple[dict[Path, str], dict[str, str]]:
    """Return the SHA-256 of each readable file, and the reasons for the others by name."""
    hashes, unread = {}, {}
    for path in files:
        try:
            hashes[path] = file_sha256(path)
        except OSError as error:
            unread[str(path)] = f"the file cannot be read: {error.strerror}"
    return hashes, unread


def plan(hashes: dict[Path, str], folder: Path) -> tuple[list[Job], int, dict[str, str]]:
    """Choose the documents to read.

    Identical files with different names are one document. A document with skipped scans is read
    again when OCR is available.

    Returns:
        Jobs, the number of documents that have a shard, and messages about what these left out.
    """
    finished = {key_of(path): path for path in folder.glob("*.parquet")}
    jobs, seen, done, unread = [], set(), 0, {}
    for path, sha256 in hashes.items():
        if sha256 in seen:
            continue
        seen.add(sha256)
        shard = finished.get(sha256[:DIGITS])
        left_out = read_left_out(shard) if shard else {}
        if shard and not ("scans" in left_out and ocr.is_available()):
            done += 1
            unread |= {f"{path}: {what}": reason for what, reason in left_out.items()}
        else:
            jobs.append(Job(path, sha256, shard or folder / shard_name(path.stem, sha256)))
    return jobs, done, unread


def run_jobs(
    jobs: list[Job],
    unread: dict[str, str],
    out: Path,
    settings: Settings,
    workers: int,
    timeout: float,
) -> Counts:
    """Read the documents in worker processes. `failures.jsonl` is updated during the run.

    Args:
        jobs: Documents to read.
        unread: Reasons for files that failed before.
        out: Output folder.
        settings: Options of the extraction.
        workers: Number of processes.
        timeout: Seconds per document.

    Raises:
        CephaloError: If a shard cannot be written.
    """
    counts = Counts(failures=dict(unread))
    write_failures(out, counts.failures)
    if not jobs:
        return counts
    with worker_pool(min(workers, len(jobs))) as pool:
        futures = {schedule(pool, job, settings, timeout): job for job in jobs}
        for future in tqdm(
            as_completed(futures), total=len(jobs), unit=" documents", disable=no_bars()
        ):
            outcome = result_of(future, timeout)
            counts.add(str(futures[future].path), outcome)
            if outcome.error or outcome.left_out:
                write_failures(out, counts.failures)
    return counts


def schedule(pool: Any, job: Job, settings: Settings, timeout: float) -> Any:
    """Submit a document to a pool of workers and return its future."""
    work = [job.path, job.sha256, job.shard, settings]
    return pool.schedule(extract_to_shard, args=work, timeout=timeout)


def write_failures(out: Path, failures: dict[str, str]) -> None:
    """Write `failures.jsonl`: one line per file, with the reason."""
    lines = (
        json.dumps({"file": name, "reason": reason}, ensure_ascii=False) + "\n"
        for name, reason in sorted(failures.items())
    )
    write_whole(out / "failures.jsonl", "".join(lines))
