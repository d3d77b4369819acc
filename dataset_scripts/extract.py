"""`cephalo extract`: PDF files to the `figures` table, one Parquet shard for each document."""

import json
import os
import re
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole
from cephalo.dataset_scripts.pdf.document import EXTRACTOR_VERSION, KINDS, Settings, file_sha256
from cephalo.dataset_scripts.pdf.shard import Outcome, extract_to_shard
from cephalo.dataset_scripts.workers import worker_pool

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class Job:
    """A document to read: its file, the SHA-256 of its bytes, and where its rows go."""

    path: Path
    sha256: str
    shard: Path


@dataclass
class Counts:
    """What a run did. `failures` maps a file to its reason, one line."""

    documents: int = 0
    pages: int = 0
    figures: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@app.command()
def extract(
    paths: Annotated[list[Path], typer.Argument(help="PDF files, and folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards, the page and the failures.")],
    dpi: Annotated[int, typer.Option(min=36, max=1200, help="Resolution of the crops.")] = 200,
    kinds: Annotated[
        str, typer.Option(help=f"What to keep, comma separated: {', '.join(KINDS)}.")
    ] = "figure,scheme,chart,plate",
    uncaptioned: Annotated[
        bool,
        typer.Option("--uncaptioned", help="Keep figures without a caption: graphical abstracts."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one per core if not given.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one document.")] = 60.0,
    review: Annotated[
        bool,
        typer.Option("--review", help="Also write OUT/review.html: every page with its boxes."),
    ] = False,
) -> None:
    """Read figures and captions from PDF files.

    Writes OUT/figures/*.parquet (one shard a document), OUT/index.html to look at, and
    OUT/failures.jsonl. Run it again after an interruption: it does only what is missing.

    Example: cephalo extract papers/ --out runs/figures
    """
    started = time.monotonic()
    settings = Settings(dpi, parse_kinds(kinds), uncaptioned)
    files = find_pdfs(paths)
    prepare(out, settings)
    with locked(out):
        jobs, done, unread = plan(files, out / "figures")
        counts = run_jobs(jobs, unread, out, settings, workers or os.cpu_count() or 1, timeout)
        figures = write_page(out, counts.failures)
        if review:
            from cephalo.dataset_scripts.review import write_review

            write_review(out, files, workers or os.cpu_count() or 1, timeout)
    seconds = time.monotonic() - started
    print(
        f"{counts.documents} documents read, {done} read before, {counts.pages} pages, "
        f"{counts.figures} figures ({figures} in all), {len(counts.failures)} failures, "
        f"{seconds:.1f} s → {out / 'index.html'}"
    )
    if counts.failures and not counts.documents and not done:
        reason = next(iter(counts.failures.values()))
        raise CephaloError(
            f"none of {len(counts.failures)} documents could be read ({reason}); "
            f"see {out / 'failures.jsonl'}"
        )


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds named in a comma separated list, in the order of KINDS. Raises CephaloError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = names - set(KINDS)
    if unknown or not names:
        raise CephaloError(f"--kinds {text!r}: choose from {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)


def find_pdfs(paths: list[Path]) -> list[Path]:
    """The PDF files among `paths` and in the folders among them, sorted, each once.

    A file that is named is taken whatever its name. Raises CephaloError where there are none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() == ".pdf" and p.is_file())
            found.update(dict.fromkeys(sorted(inside)))
        elif path.exists():
            found[path] = None
        else:
            raise CephaloError(f"{path}: no such file or folder; give PDF files or folders")
    if not found:
        names = ", ".join(map(str, paths))
        raise CephaloError(f"no PDF files in {names}; give PDF files or folders that hold some")
    return list(found)


def prepare(out: Path, settings: Settings) -> None:
    """Make the output folder, or check that the one there was made with the same settings.

    Raises CephaloError where it was not, or where the folder cannot be written.
    """
    record = out / "extract.json"
    wanted = {"version": EXTRACTOR_VERSION, **asdict(settings), "kinds": list(settings.kinds)}
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        if record.exists():
            made = json.loads(record.read_text())
            other = [f"{key} {made.get(key)!r}" for key in wanted if made.get(key) != wanted[key]]
            if other:
                raise CephaloError(
                    f"{out} was made with {', '.join(other)}; use the same or another --out"
                )
        else:
            write_whole(record, json.dumps(wanted) + "\n")
        for left in (out / "figures").glob(".*.tmp"):
            left.unlink()  # of a run that was killed
    except OSError as error:
        raise CephaloError(
            f"cannot write to {out}: {error.strerror}; choose another --out"
        ) from error
    except ValueError as error:
        raise CephaloError(f"{record} is damaged; delete it, or use another --out") from error


def plan(files: list[Path], folder: Path) -> tuple[list[Job], int, dict[str, str]]:
    """What is to be read: jobs, the number of documents that have a shard, and unreadable files.

    The same bytes under two names are one document.
    """
    finished = {path.stem.rpartition("-")[2] for path in folder.glob("*.parquet")}
    jobs, seen, done, unread = [], set(), 0, {}
    for path in files:
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            unread[str(path)] = f"the file cannot be read: {error.strerror}"
            continue
        if sha256 in seen:
            continue
        seen.add(sha256)
        if sha256[:12] in finished:
            done += 1
        else:
            jobs.append(Job(path, sha256, folder / f"{_safe(path.stem)}-{sha256[:12]}.parquet"))
    return jobs, done, unread


def _safe(stem: str) -> str:
    """A file name that any file system takes, from a document's."""
    return re.sub(r"[^\w.+]+", "-", stem).strip("-.")[:80] or "document"


def run_jobs(
    jobs: list[Job],
    unread: dict[str, str],
    out: Path,
    settings: Settings,
    workers: int,
    timeout: float,
) -> Counts:
    """Read the documents in worker processes; `failures.jsonl` is kept up to date meanwhile.

    Raises CephaloError where a shard cannot be written.
    """
    from tqdm import tqdm

    counts = Counts(failures=dict(unread))
    write_failures(out, counts.failures)
    if not jobs:
        return counts
    with worker_pool(min(workers, len(jobs))) as pool:
        futures = {
            pool.schedule(
                extract_to_shard,
                args=[job.path, job.sha256, job.shard, settings],
                timeout=timeout,
            ): job
            for job in jobs
        }
        for future in tqdm(as_completed(futures), total=len(jobs), unit=" documents", disable=None):
            outcome = _outcome(future, timeout)
            if outcome.error is None:
                counts.documents += 1
                counts.pages += outcome.pages
                counts.figures += outcome.figures
            else:
                counts.failures[str(futures[future].path)] = outcome.error
                write_failures(out, counts.failures)
    return counts


def _outcome(future, timeout: float) -> Outcome:
    """The outcome of a job; a worker that hung or died is an outcome too."""
    from pebble import ProcessExpired

    from cephalo.dataset_scripts.pdf.shard import ShardError

    try:
        return future.result()
    except ShardError as error:
        raise CephaloError(f"cannot write {error}; free some space and run it again") from error
    except FutureTimeoutError:
        return Outcome(error=f"took longer than {timeout:g} s; raise --timeout to give it more")
    except ProcessExpired as error:
        return Outcome(error=f"its worker died (exit code {error.exitcode}), maybe out of memory")
    except Exception as error:  # a bug met one document: name it, and read the others
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(error=f"internal error: {text[:200]}")


def write_failures(out: Path, failures: dict[str, str]) -> None:
    """Write `failures.jsonl` whole: a line for each file, with the reason."""
    lines = (
        json.dumps({"file": name, "reason": reason}, ensure_ascii=False) + "\n"
        for name, reason in sorted(failures.items())
    )
    write_whole(out / "failures.jsonl", "".join(lines))


def write_page(out: Path, failures: dict[str, str]) -> int:
    """Write OUT/index.html over all shards; returns the number of figures on it."""
    from cephalo.dataset_scripts.gallery import write_gallery

    return write_gallery(out / "figures", out / "index.html", failures)
