"""Extract pages in turn: fetched in this process, parsed and decoded in a worker process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cephalo.dataset_scripts.common.document_shards import DocumentOutcome, shard_name
from cephalo.dataset_scripts.common.workers import result_of, worker_pool
from cephalo.dataset_scripts.wikipedia.api import MAX_IMAGE, Wiki
from cephalo.dataset_scripts.wikipedia.article import WebFigure, read_article
from cephalo.dataset_scripts.wikipedia.client import Client, PageError, checked_contact
from cephalo.dataset_scripts.wikipedia.rows import Picture, page_to_shard
from cephalo.dataset_scripts.wikipedia.settings import WebSettings
from cephalo.dataset_scripts.wikipedia.sources import (
    DUMPS,
    HTML,
    PageSource,
    address_key,
    from_dump,
    from_html,
    from_titles,
    local_image,
)

if TYPE_CHECKING:
    from pebble import ProcessPool

T = TypeVar("T")


def is_web_file(path: Path) -> bool:
    """Return whether a file name is that of HTML or a dump."""
    return path.name.lower().endswith(HTML) or is_dump(path)


def is_dump(path: Path) -> bool:
    """Return whether a file name is that of a dump."""
    return path.name.lower().endswith(DUMPS)


def read_pages(
    titles: list[str], files: list[Path], out: Path, settings: WebSettings
) -> Iterator[tuple[str, DocumentOutcome | None]]:
    """Extract pages into OUT/figures and OUT/text; answers of the wiki are cached in OUT/cache.

    Yields the name of each page with its outcome, None if it was done before. Raises CephaloError
    if the wiki is unreachable.
    """
    dumps = [path for path in files if is_dump(path)]
    with ExitStack() as stack:
        wiki = None
        if titles or dumps:
            contact = checked_contact(settings.contact)
            wiki = Wiki(stack.enter_context(Client(out / "cache", contact)), settings.wiki)
        pool = stack.enter_context(worker_pool(1))
        folder = out / "figures"
        finished = {path.stem.rpartition("-")[2] for path in folder.glob("*.parquet")}
        for source in _sources(titles, files, wiki):
            done = source.key[:12] in finished
            yield source.name, None if done else _read(source, wiki, folder, pool, settings)


def _sources(titles: list[str], files: list[Path], wiki: Wiki | None) -> Iterator[PageSource]:
    for path in files:
        if is_dump(path):
            yield from from_dump(path)
        else:
            yield from_html(path)
    if wiki:
        yield from from_titles(wiki, titles)


def _read(
    source: PageSource, wiki: Wiki | None, folder: Path, pool: "ProcessPool", settings: WebSettings
) -> DocumentOutcome | None:
    try:
        page = source.load()
        key = source.key if source.folder else address_key(page.document)
        shard = folder / shard_name(page.title or page.document, key)
        if shard.exists():  # under a title that redirects to the same page
            return None
        article = _run(pool, settings.timeout, read_article, page.html)
        if isinstance(article, DocumentOutcome):
            return article
        pictures, missing = find_pictures(article.figures, source.folder, wiki, settings.width)
    except PageError as error:
        return DocumentOutcome(error=str(error))
    except OSError as error:
        return DocumentOutcome(error=f"the file cannot be read: {error.strerror or error}")
    job = (page, article, pictures, shard, settings.width, settings.text)
    outcome = _run(pool, settings.timeout, page_to_shard, *job)
    outcome.left_out.update(missing)
    return outcome


def _run(
    pool: "ProcessPool",
    timeout: float,
    function: Callable[..., T],
    *arguments: object,
) -> T | DocumentOutcome:
    return result_of(pool.schedule(function, args=arguments, timeout=timeout), timeout)


def find_pictures(
    figures: list[WebFigure], folder: Path | None, wiki: Wiki | None, width: int
) -> tuple[list[Picture], dict[str, str]]:
    """Return the images of figures, from `folder` or the wiki, and the reasons for missing ones.

    Raises PageError if the wiki refuses, CephaloError if it is unreachable.
    """
    pictures, missing = [], {}
    if folder:
        for figure in figures:
            path = local_image(folder, figure.source)
            if path:
                pictures.append(Picture(figure, path))
            else:
                missing[figure.name or figure.source[:200]] = "its image was not saved"
        return pictures, missing
    assert wiki is not None  # a folder or a wiki is given
    named = {figure.name: figure for figure in figures if figure.name}
    files = wiki.files(list(named), width)
    for figure in figures:
        file = files.get(figure.name or "")
        if file is None:
            missing[figure.name or figure.source[:200]] = "the wiki has no picture of that name"
            continue
        try:
            path = wiki.client.fetch(file.url, MAX_IMAGE)
        except PageError as error:
            missing[figure.name] = str(error)
            continue
        pictures.append(Picture(figure, path, file.page, file.license, file.author))
    return pictures, missing
