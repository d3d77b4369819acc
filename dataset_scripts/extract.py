"""`cephalo extract`: PDF files and wiki pages to the `figures` and `text` tables.

One Parquet shard of each table for each document.
"""

import json
import os
import sys
import time
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked, write_whole
from cephalo.cli.json_files import parse_object
from cephalo.dataset_scripts.cluster.cluster import (
    Cluster,
    CpusPerTask,
    MemPerCpu,
    Partition,
    SlurmTasks,
    TimeLimit,
)
from cephalo.dataset_scripts.common.document_shards import read_left_out, shard_name
from cephalo.dataset_scripts.common.inputs import (
    DIGITS,
    REMOVED,
    file_sha256,
    key_of,
    leave_out_gone,
    told,
)
from cephalo.dataset_scripts.common.outcomes import Counts
from cephalo.dataset_scripts.common.workers import result_of, worker_pool
from cephalo.dataset_scripts.hub_text import read_dataset
from cephalo.dataset_scripts.pdf import ocr
from cephalo.dataset_scripts.pdf.document import EXTRACTOR_VERSION, KINDS, Settings
from cephalo.dataset_scripts.pdf.shard import extract_to_shard
from cephalo.dataset_scripts.wikipedia.client import checked_contact
from cephalo.dataset_scripts.wikipedia.run import WebSettings, is_dump, is_web_file, read_pages
from cephalo.dataset_scripts.wikipedia.sources import read_titles

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class Job:
    """A document to read: its file, the SHA-256 of its bytes, and where its rows go."""

    path: Path
    sha256: str
    shard: Path


@app.command()
def extract(
    out: Annotated[str, typer.Option(help="Folder for the shards, the page and the failures.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="PDF and saved HTML files, HTML dumps of wikis, folders of them."),
    ] = None,
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
    text: Annotated[
        bool, typer.Option("--text", help="Also write the running text: OUT/text/*.parquet.")
    ] = False,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMESPACE/NAME[:CONFIG]",
            help="A dataset of the Hub with a column `text`, for --text; repeatable.",
        ),
    ] = None,
    wikipedia: Annotated[
        list[str] | None,
        typer.Option(help='Title of a page, or "Category:NAME" for its articles; repeatable.'),
    ] = None,
    titles: Annotated[
        Path | None, typer.Option(help="File of such titles and categories, one a line.")
    ] = None,
    wiki: Annotated[str, typer.Option(help="The MediaWiki to ask.")] = "https://en.wikipedia.org",
    contact: Annotated[
        str | None,
        typer.Option(envvar="CEPHALO_CONTACT", help="Your mail address; Wikimedia asks for it."),
    ] = None,
    thumbnail: Annotated[
        int | None,
        typer.Option(min=32, max=1920, help="Maximum width of an image from a wiki, in pixels."),
    ] = None,
    review: Annotated[
        bool,
        typer.Option("--review", help="Also write OUT/review.html: pages, boxes, what decided."),
    ] = False,
    slurm: SlurmTasks = None,
    partition: Partition = None,
    time_limit: TimeLimit = "4:00:00",
    cpus_per_task: CpusPerTask = 1,
    mem_per_cpu: MemPerCpu = 2,
) -> None:
    """Read figures and captions from PDF files and from pages of Wikipedia.

    Writes OUT/figures/*.parquet (one shard a document), OUT/index.html to look at, and
    OUT/failures.jsonl. Run it again after an interruption: it does only what is missing.
    What a wiki answered is kept in OUT/cache and never asked for again.

    With --slurm the PDF files are read by many machines; PATHS and --out may be s3:// or hf://
    addresses. The command submits what is missing and returns; run it again to see what is done.

    \b
    Example:
      cephalo extract papers/ --out runs/figures --text
      cephalo extract --wikipedia Nacre --wikipedia "Category:Biomaterials" \\
        --contact you@example.org --out runs/wikipedia
      cephalo extract s3://lab/papers --out s3://lab/figures --slurm 200 --partition cpu
    """
    started = time.monotonic()
    settings = Settings(dpi, parse_kinds(kinds), uncaptioned, text)
    asked = [*(wikipedia or []), *(read_titles(titles) if titles else [])]
    if dataset and not text:
        raise CephaloError("--dataset gives text and no figures; add --text")
    if slurm:
        if asked or dataset or review or workers:
            raise CephaloError(
                "--slurm reads PDF files: without wikis, --dataset and --review, and with "
                "--cpus-per-task in place of --workers"
            )
        from cephalo.dataset_scripts.cluster.extraction import submit_extraction

        cluster = Cluster(slurm, partition, time_limit, cpus_per_task, mem_per_cpu)
        print(submit_extraction(paths or [], out, settings, timeout, cluster))
        return
    if remote := [name for name in (out, *(paths or [])) if "://" in name]:
        raise CephaloError(f"{remote[0]}: addresses are for --slurm; give a folder of this machine")
    if "" in (out, *(paths or [])):
        raise CephaloError("an empty path was given; give the name of a file or folder")
    folder = Path(out)
    files, web_files = find_files(
        [Path(name) for name in paths or []], folder, bool(asked or dataset)
    )
    if asked:
        checked_contact(contact)  # before hours of PDF files are read
    workers = workers or os.cpu_count() or 1
    with locked(folder):
        prepare(folder, settings, thumbnail)
        hashes, unread = hash_files(files)
        pages, lost = hash_files([path for path in web_files if not is_dump(path)])
        given = [Path(name) for name in paths or []]
        if gone := leave_out_gone(folder, given, hashes | pages, [*unread, *lost]):
            print(f"{told(gone)} → {folder / REMOVED}", file=sys.stderr)
        jobs, done, left_out = plan(hashes, folder / "figures")
        unread |= left_out
        counts = run_jobs(jobs, unread, folder, settings, workers, timeout)
        if asked or web_files:
            web = WebSettings(wiki, contact, thumbnail, text, timeout)
            done += run_pages(asked, web_files, folder, web, counts)
        for name in dataset or []:
            new = read_dataset(name, folder / "text") is not None
            counts.documents += new
            done += not new
        figures = write_page(folder, counts.failures)
        if review:
            from cephalo.dataset_scripts.review import write_review

            write_review(folder, files, workers, timeout)
    if counts.sentences:
        print(counts.describe_sentences())
    seconds = time.monotonic() - started
    print(
        f"{counts.documents} documents read, {done} read before, {counts.pages} pages, "
        f"{counts.figures} figures ({figures} in all), {len(counts.failures)} failures, "
        f"{seconds:.1f} s → {folder / 'index.html'}"
    )
    if counts.failures and not counts.documents and not done:
        reason = next(iter(counts.failures.values()))
        raise CephaloError(
            f"none of {len(counts.failures)} documents could be read ({reason}); "
            f"see {folder / 'failures.jsonl'}"
        )


def parse_kinds(text: str) -> tuple[str, ...]:
    """The kinds named in a comma separated list, in the order of KINDS. Raises CephaloError."""
    names = {name.strip() for name in text.split(",") if name.strip()}
    unknown = names - set(KINDS)
    if unknown or not names:
        raise CephaloError(f"--kinds {text!r}: choose from {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in names)


def find_files(paths: list[Path], out: Path, asked: bool) -> tuple[list[Path], list[Path]]:
    """The PDF files, and the web pages and dumps, among `paths` and in the folders among them.

    Each sorted and each once; what lies in `out` is our own. A file that is named and is no web
    page is taken for a PDF whatever its name. Raises CephaloError for a folder that `out` holds,
    and if there are none and nothing else was `asked` for.
    """
    found: dict[Path, None] = {}
    own = out.resolve()
    for path in paths:
        if path.is_dir():
            if own in (path.resolve(), *path.resolve().parents):
                raise CephaloError(f"--out {out} holds the folder {path}; give another --out")
            inside = (p for p in path.rglob("*") if is_document(p) and p.is_file())
            found.update(dict.fromkeys(sorted(p for p in inside if own not in p.resolve().parents)))
        elif path.exists():
            found[path] = None
        else:
            raise CephaloError(f"{path}: no such file or folder; give PDF files or folders")
    if not paths and not asked:
        raise CephaloError("nothing to read; give PDF files or folders that hold some")
    if not found and not asked:
        names = ", ".join(map(str, paths))
        raise CephaloError(f"no PDF files in {names}; give PDF files or folders that hold some")
    web = [path for path in found if is_web_file(path)]
    return [path for path in found if not is_web_file(path)], web


def is_document(path: Path) -> bool:
    """Whether a file in a folder is to be read; the folder of a saved page holds its parts."""
    if any(part.endswith("_files") for part in path.parts[:-1]):
        return False
    return path.suffix.lower() == ".pdf" or is_web_file(path)


def prepare(out: Path, settings: Settings, thumbnail: int | None = None) -> None:
    """Make the output folder, or check that the one there was made with the same settings.

    Raises CephaloError where it was not, or where the folder cannot be written.
    """
    record = out / "extract.json"
    wanted = {"version": EXTRACTOR_VERSION, **asdict(settings), "kinds": list(settings.kinds)}
    wanted["thumbnail"] = thumbnail
    try:
        for table in ("figures", "text") if settings.text else ("figures",):
            (out / table).mkdir(parents=True, exist_ok=True)
        if record.exists():
            made = parse_object(record.read_bytes())
            other = [
                as_option(key, made.get(key)) for key in wanted if made.get(key) != wanted[key]
            ]
            if other:
                raise CephaloError(
                    f"{out} was made {', '.join(other)}; give the same or another --out"
                )
        else:
            write_whole(record, json.dumps(wanted) + "\n")
        for left in (*out.glob("figures/.*.tmp"), *out.glob("text/.*.tmp")):
            left.unlink()  # of a run that was killed
    except OSError as error:
        raise CephaloError(
            f"cannot write to {out}: {error.strerror}; choose another --out"
        ) from error
    except ValueError as error:
        raise CephaloError(f"{record} is damaged; delete it, or use another --out") from error


def as_option(key: str, value: Any) -> str:
    """A setting of an earlier run as its user gave it: "with --dpi 200", "without --text"."""
    if key == "version":
        return f"by version {value} of the extraction"
    if value in (True, False, None):
        return f"{'with' if value else 'without'} --{key}"
    return f"with --{key} {','.join(value) if isinstance(value, list) else value}"


def hash_files(files: list[Path]) -> tuple[dict[Path, str], dict[str, str]]:
    """The SHA-256 of each file, and the reasons by the names of those that cannot be read."""
    hashes, unread = {}, {}
    for path in files:
        try:
            hashes[path] = file_sha256(path)
        except OSError as error:
            unread[str(path)] = f"the file cannot be read: {error.strerror}"
    return hashes, unread


def plan(hashes: dict[Path, str], folder: Path) -> tuple[list[Job], int, dict[str, str]]:
    """What is to be read: jobs, the number of documents that have a shard, and what was left out
    of those.

    The same bytes under two names are one document. One that was read but for some scans is read
    again as soon as there is OCR.
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
    """Read the documents in worker processes; `failures.jsonl` is kept up to date meanwhile.

    Raises CephaloError where a shard cannot be written.
    """
    from tqdm import tqdm

    counts = Counts(failures=dict(unread))
    write_failures(out, counts.failures)
    if not jobs:
        return counts
    with worker_pool(min(workers, len(jobs))) as pool:
        futures = {schedule(pool, job, settings, timeout): job for job in jobs}
        for future in tqdm(as_completed(futures), total=len(jobs), unit=" documents", disable=None):
            outcome = result_of(future, timeout)
            counts.add(str(futures[future].path), outcome)
            if outcome.error or outcome.left_out:
                write_failures(out, counts.failures)
    return counts


def schedule(pool: Any, job: Job, settings: Settings, timeout: float) -> Any:
    """Hand a document to a worker of the pool; returns its future."""
    work = [job.path, job.sha256, job.shard, settings]
    return pool.schedule(extract_to_shard, args=work, timeout=timeout)


def run_pages(
    titles: list[str], files: list[Path], out: Path, settings: WebSettings, counts: Counts
) -> int:
    """Read pages of a wiki, saved ones and dumps; returns how many were read before.

    Raises CephaloError where the wiki cannot be reached; what was read is kept.
    """
    from tqdm import tqdm

    done = 0
    read = read_pages(titles, files, out, settings)
    for name, outcome in tqdm(read, unit=" pages", disable=None):
        if outcome is None:
            done += 1
            continue
        counts.add(name, outcome)
        if outcome.error or outcome.left_out:
            write_failures(out, counts.failures)
    return done


def write_failures(out: Path, failures: dict[str, str]) -> None:
    """Write `failures.jsonl` whole: a line for each file, with the reason."""
    lines = (
        json.dumps({"file": name, "reason": reason}, ensure_ascii=False) + "\n"
        for name, reason in sorted(failures.items())
    )
    write_whole(out / "failures.jsonl", "".join(lines))


def write_page(out: Path, failures: dict[str, str]) -> int:
    """Write OUT/index.html over all shards; returns the number of figures on it."""
    from cephalo.dataset_scripts.common.gallery import write_gallery

    return write_gallery(out / "figures", out / "index.html", failures)
