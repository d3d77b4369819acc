"""Extract files and pages on this machine into a folder of shards."""

import logging
import time
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import locked
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.common.gallery import write_gallery
from cephalo.dataset_scripts.common.inputs import REMOVED, leave_out_gone, told
from cephalo.dataset_scripts.common.outcomes import Counts
from cephalo.dataset_scripts.hub_text import read_dataset
from cephalo.dataset_scripts.pdf.jobs import hash_files, plan, prepare, run_jobs, write_failures
from cephalo.dataset_scripts.pdf.settings import Settings
from cephalo.dataset_scripts.wikipedia.api import checked_wiki
from cephalo.dataset_scripts.wikipedia.client import checked_contact
from cephalo.dataset_scripts.wikipedia.run import is_dump, is_web_file, read_pages
from cephalo.dataset_scripts.wikipedia.settings import WebSettings
from cephalo.dataset_scripts.wikipedia.sources import read_titles

logger = logging.getLogger(__name__)


def extract_folder(
    paths: list[Path],
    out: Path,
    settings: Settings,
    web: WebSettings,
    *,
    datasets: list[str],
    workers: int,
    timeout: float,
    review: bool,
) -> None:
    """Read all unread files and pages, and write shards, the gallery and the list of failures.

    Args:
        paths: PDF files, saved web pages, dumps of wikis, and folders of them.
        out: Folder for the shards.
        settings: How documents are read.
        web: Which pages of a wiki are read, and how.
        datasets: Datasets on the Hub with a column `text`.
        workers: Number of processes.
        timeout: Maximum seconds per document.
        review: Whether to write a page with all boxes and the reasons for them.

    Raises:
        CephaloError: If there is nothing to read, `out` cannot be written or was made with other
            settings, a wiki or the Hub cannot be reached, or no document could be read.
    """
    started = time.monotonic()
    asked = [*web.wikipedia, *(read_titles(web.titles) if web.titles else [])]
    files, web_files = find_files(paths, out, bool(asked or datasets))
    if asked:
        checked_contact(web.contact)  # before hours of PDF files
        checked_wiki(web.wiki)
    with locked(out):
        prepare(out, settings, web.thumbnail)
        hashes, unread = hash_files(files)
        pages, lost = hash_files([path for path in web_files if not is_dump(path)])
        if gone := leave_out_gone(out, paths, hashes | pages, [*unread, *lost]):
            logger.warning("%s → %s", told(gone), out / REMOVED)
        jobs, done, left_out = plan(hashes, out / "figures")
        counts = run_jobs(jobs, unread | left_out, out, settings, workers, timeout)
        if asked or web_files:
            web = replace(web, text=settings.text, timeout=timeout)
            done += run_pages(asked, web_files, out, web, counts)
        for name in datasets:
            new = read_dataset(name, out / "text") is not None
            counts.documents += new
            done += not new
        figures = write_gallery(out / "figures", out / "index.html", counts.failures)
        if review:
            from cephalo.dataset_scripts.review import write_review  # slow to import

            write_review(out, files, workers, timeout)
    conclude(counts, done, figures, out, time.monotonic() - started)


def conclude(counts: Counts, done: int, figures: int, out: Path, seconds: float) -> None:
    """Report the outcome of a run that found `done` documents read before and left `figures` in
    total.

    Raises CephaloError if none of its documents could be read.
    """
    if counts.sentences:
        print(counts.describe_sentences())
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


def find_files(paths: list[Path], out: Path, asked: bool) -> tuple[list[Path], list[Path]]:
    """Return the PDF files, and the web pages and dumps, among `paths` and in the folders among
    them.

    Both lists are sorted, without repetitions and files in `out`. A file that is given by name and
    is not a web page is assumed to be a PDF. Raises CephaloError for a folder inside of `out`, and
    if there are no files and nothing else was `asked` for.
    """
    found: dict[Path, None] = {}
    own = out.resolve()
    for path in paths:
        if path.is_dir():
            if own in (path.resolve(), *path.resolve().parents):
                raise CephaloError(f"--out {out} contains the folder {path}; give another --out")
            inside = (p for p in path.rglob("*") if is_document(p) and p.is_file())
            found.update(dict.fromkeys(sorted(p for p in inside if own not in p.resolve().parents)))
        elif path.exists():
            found[path] = None
        else:
            raise CephaloError(f"{path}: no such file or folder; give PDF files or folders")
    if not paths and not asked:
        raise CephaloError("nothing to read; give PDF files or folders that contain some")
    if not found and not asked:
        names = ", ".join(map(str, paths))
        raise CephaloError(f"no PDF files in {names}; give PDF files or folders that contain some")
    web = [path for path in found if is_web_file(path)]
    return [path for path in found if not is_web_file(path)], web


def is_document(path: Path) -> bool:
    """Return whether a file in a folder is a document, and not a resource of a saved page."""
    if any(part.endswith("_files") for part in path.parts[:-1]):
        return False
    return path.suffix.lower() == ".pdf" or is_web_file(path)


def run_pages(
    titles: list[str], files: list[Path], out: Path, settings: WebSettings, counts: Counts
) -> int:
    """Read pages of a wiki, saved pages and dumps; return how many were read before.

    Raises CephaloError if the wiki cannot be reached; what was read is stored.
    """
    done = 0
    read = read_pages(titles, files, out, settings)
    for name, outcome in tqdm(read, unit=" pages", disable=no_bars()):
        if outcome is None:
            done += 1
            continue
        counts.add(name, outcome)
        if outcome.error or outcome.left_out:
            write_failures(out, counts.failures)
    return done
