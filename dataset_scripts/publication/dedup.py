"""Decide which rows are published, and which documents share a split.

A row is dropped for the first of these reasons that applies:

- "repeated": an earlier shard of the same folder contains it, from the same document;
- "named": its document is excluded by name;
- "licence": its licence is not open, and only open ones are requested;
- "person": it was rejected manually;
- "uncropped": its box was corrected manually, and there is no image of the new box;
- "where": the condition on the rows to publish does not hold;
- "third_party": its caption states a third party's rights, and such figures are not requested;
- "excluded": its image is in an excluded dataset, is a part of an image there, or has one as a
  part;
- "recurring": it is a publisher's logo or a licence's badge;
- "duplicate": an earlier row has the same image and the same text;
- "figure": it is a conversation about a figure that is not published;
- "corrected": it is a conversation that quotes a caption which was corrected since.

Deduplication runs out of core. Memory grows by 4 bytes per image and about 40 bytes per document.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.cli.rows import Row
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import takes
from cephalo.dataset_scripts.common.conversations import ANSWERED
from cephalo.dataset_scripts.common.corrected import left_out
from cephalo.dataset_scripts.common.near_text import TextIndex, words
from cephalo.dataset_scripts.common.processes import Processes
from cephalo.dataset_scripts.common.shards import count_rows
from cephalo.dataset_scripts.common.tables import Tables, config_rows, source
from cephalo.dataset_scripts.publication import rights
from cephalo.dataset_scripts.publication.dedup_images import NearCopies
from cephalo.dataset_scripts.publication.dedup_text import TextCopies
from cephalo.dataset_scripts.publication.local_index import LocalIndex
from cephalo.dataset_scripts.publication.parts import (
    Described,
    describe,
    pairs_of_parts,
    same_on_disk,
)
from cephalo.dataset_scripts.publication.selection import Figure, Selection, content_hash
from cephalo.model_cards.licenses import is_open

# An image on so many pages or in so many documents recurs; it is excluded if it is also small or
# its caption has too few words.
RECURRING_DOCUMENTS, RECURRING_PAGES = 3, 5
SMALL_INCHES = 0.6  # the shorter side
WEB_DPI = 96  # CSS pixels, if a row has no resolution
NO_CAPTION_WORDS = 4  # with fewer, a caption is not a description
# The document of all excluded images, a number of 4 bytes in `LocalIndex`.
KEPT_OUT = 2**32 - 1
# Two documents are versions of one paper if they share this part of the shorter one's text; single
# passages recur between unrelated papers (a publisher's notices).
SHARED_TEXT = 0.2

EncodedImages = Iterable[tuple[bytes, str]]
"""Encoded images, each with its place for error messages."""

Refuse = Callable[[str, Row], str | None]
"""Takes a config and one of its rows. Returns why its document, its licence, a manual decision or a
condition excludes it, or None."""


def select_rows(
    folder: Path,
    tables: Tables,
    *,
    only_open: bool = False,
    third_party: bool = True,
    leave_out: Collection[str] = (),
    where: Mapping[str, Where] | None = None,
    exclude: Mapping[str, EncodedImages] | None = None,
    workers: int = 1,
) -> Selection:
    """Decide on every row of `tables`. Earlier rows take precedence over later ones.

    Args:
        folder: Created for the data of the comparisons: about 40 KB per figure, and 1 KB in
            addition to its length per passage or answer.
        tables: The shards of each config.
        only_open: Whether to include only rows under open licences.
        third_party: Whether to include figures whose captions state a third party's rights.
        leave_out: Names of documents to exclude.
        where: Conditions by config.
        exclude: Images to exclude, by the name of their dataset.
        workers: Number of processes that compare images; the result does not depend on it.

    Raises:
        CephaloError: If a shard or an image cannot be read.
    """
    selection = Selection(folder, tables, exclude or {})
    refuse = partial(
        refused, only_open=only_open, leave_out=frozenset(leave_out), where=where or {}
    )
    with closing(Processes(workers)) as processes:
        copies = NearCopies(selection.folder, selection.database)
        parts = LocalIndex(selection.folder)
        enter_kept_out(selection, copies, parts, exclude or {}, processes)
        enter_figures(selection, copies, parts, refuse, third_party, processes)
        parts.close()
        judge_figures(selection, copies, parts, processes)
    select_conversations(selection, refuse)
    select_text(selection, refuse)
    return selection


def refused(
    config: str,
    row: Row,
    only_open: bool,
    leave_out: Collection[str],
    where: Mapping[str, Where],
) -> str | None:
    """Return why a row is excluded independent of its content, or None: by its document, its
    licence, a manual decision, or the condition of its config."""
    if row["document"] in leave_out:
        return "named"
    if only_open and not is_open(row["license"]):
        return "licence"
    return left_out(row) or (None if takes(where.get(config), row) else "where")


# --- figures


def enter_kept_out(
    selection: Selection,
    copies: NearCopies,
    parts: LocalIndex,
    exclude: Mapping[str, EncodedImages],
    processes: Processes,
) -> None:
    """Insert the images of the excluded datasets, before all figures."""
    for name, images in exclude.items():
        for number, picture in enumerate(processes.map(describe, images)):
            selection.keep_out(copies.add(f"{name} {number}", picture.whole), name)
            parts.add(KEPT_OUT, picture.local)


def enter_figures(
    selection: Selection,
    copies: NearCopies,
    parts: LocalIndex,
    refuse: Refuse,
    third_party: bool,
    processes: Processes,
) -> None:
    """Insert the figures, with the reasons that are known without comparing images."""
    for shard, figure, reason, picture in described_figures(selection, refuse, processes):
        if not selection.tables["figures"] and selection.has_figure(figure.document, figure.image):
            continue
        image = None
        if selection.in_earlier_shard("figures", figure.document, shard) and selection.has_figure(
            figure.document, figure.image, figure.caption
        ):
            reason = "repeated"
        elif not reason and not third_party and rights.third_party(figure.caption):
            reason = "third_party"
        if not reason:
            image = copies.add(figure.image, picture.whole)
            if image == parts.size:
                # A logo or symbol by itself is part of figures of unrelated papers.
                local = picture.local
                parts.add(figure.document, local._replace(words=()) if figure.small else local)
        selection.enter_figure(figure, reason, image)


def judge_figures(
    selection: Selection, copies: NearCopies, parts: LocalIndex, processes: Processes
) -> None:
    """Decide on the figures by their images, and link the documents of near-copies and parts."""
    groups = copies.group(partial(same_on_disk, selection.folder))
    selection.enter_copies(groups)
    selection.enter_parts(pairs_of_parts(parts, groups, processes))
    selection.drop_kept_out()
    for numbers in selection.figures_of_groups():
        judge_near_copies(selection, numbers)
    selection.link_parts()


def described_figures(
    selection: Selection, refuse: Refuse, processes: Processes
) -> Iterator[tuple[Path, Figure, str | None, Described]]:
    """Yield `compared_figures` with the features of each image."""
    waiting: deque[tuple[Path, Figure, str | None]] = deque()

    def images() -> Iterator[tuple[bytes, str]]:
        for shard, figure, reason, data in compared_figures(selection, refuse):
            waiting.append((shard, figure, reason))
            yield data, f"a figure of document {selection.sha256(figure.document)}"

    for picture in processes.map(describe, images()):
        yield (*waiting.popleft(), picture)


def compared_figures(
    selection: Selection, refuse: Refuse
) -> Iterator[tuple[Path, Figure, str | None, bytes]]:
    """Yield every figure with its shard, the result of `refuse`, and its encoded image.

    Figures are the rows of the figures table. Without one, they are the images of the
    conversations, each once for consecutive conversations about one document.
    """
    if selection.tables["figures"]:
        for shard, row in read_with_progress("figures", selection.tables):
            inches = min(row["width"], row["height"]) / (row["dpi"] or WEB_DPI)
            figure = Figure(
                selection.document(row),
                row["image_sha256"],
                row["caption"] or "",
                row["page"],
                inches < SMALL_INCHES,
            )
            if row["verdict"] and "caption" in row["verdict"].values:
                selection.corrected[figure.document, figure.image] = figure.caption
            yield shard, figure, refuse("figures", row), row["image"]["bytes"]
        return
    of = -1
    met: set[str] = set()
    for shard, row in read_with_progress("conversations", selection.tables):
        if len(row["figures"]) != len(row["images"]):
            raise CephaloError(
                f"a conversation about {row['document']} has {len(row['images'])} images and the "
                f"keys of {len(row['figures'])}; write it again with `cephalo refine`"
            )
        document = selection.document(row)
        if document != of:
            of, met = document, set[str]()
        for key, image in zip(row["figures"], row["images"], strict=True):
            if key["image_sha256"] not in met:
                met.add(key["image_sha256"])
                caption = row["orig_caption"] or ""
                figure = Figure(document, key["image_sha256"], caption, key["page"], small=False)
                yield shard, figure, refuse("conversations", row), image["bytes"]


def judge_near_copies(selection: Selection, numbers: list[int]) -> None:
    """Drop recurring images and duplicates among near-copies, and link the documents of the rest.

    Within a document only equal pixels are duplicates, since a series of similar plots is
    intentional.
    """
    recurring = recurs(map(selection.figure, numbers))
    kept = TextIndex()
    last = None
    for number in numbers:
        figure = selection.figure(number)
        if recurring and (figure.small or len(words(figure.caption)) < NO_CAPTION_WORDS):
            selection.drop("figures", number, "recurring")
            continue
        if last is not None:
            selection.link(last, figure.document)
        last = figure.document
        if any(
            figure.document != earlier.document or figure.image == earlier.image
            for earlier in map(selection.figure, kept.near(figure.caption))
        ):
            selection.drop("figures", number, "duplicate")
        else:
            kept.add(figure.caption, number)


def recurs(figures: Iterable[Figure]) -> bool:
    """Return whether near-copies occur in many documents or on many pages."""
    documents: set[int] = set()
    pages: set[tuple[int, int | None]] = set()
    for figure in figures:
        documents.add(figure.document)
        pages.add((figure.document, figure.page))
        if len(documents) >= RECURRING_DOCUMENTS or len(pages) >= RECURRING_PAGES:
            return True
    return False


# --- text


def select_conversations(selection: Selection, refuse: Refuse) -> None:
    """Decide on the conversations; the first of equal answers across documents is published."""
    answers = TextCopies(selection.database, "answers")
    made_from = source("conversations", selection.tables)
    for shard, row in read_with_progress("conversations", selection.tables, images=False):
        document = selection.document(row)
        images = [key["image_sha256"] for key in row["figures"]]
        content = content_hash(*images, row["query"], row["answer"])
        reason = refuse("conversations", row)
        if selection.in_earlier_shard(made_from, document, shard) and selection.has_row(
            "conversations", document, content
        ):
            reason = "repeated"
        elif not reason and not all(
            selection.has_figure(document, image, published=True) for image in images
        ):
            reason = "figure"
        elif (
            not reason
            and row["task"] != ANSWERED
            and any(
                selection.corrected.get((document, image), "") not in (row["orig_caption"] or "")
                for image in images
            )
        ):
            reason = "corrected"
        number = selection.enter("conversations", document, reason, content)
        # Answers that people gave may be alike, "yes" among them: their images are compared.
        if reason is None and row["task"] != ANSWERED:
            answers.add(document, row["answer"], number)
    for number, document, original in answers.originals():
        if number is not None and original != document:
            selection.drop("conversations", number, "duplicate")


def select_text(selection: Selection, refuse: Refuse) -> None:
    """Decide on the passages, and link documents that share captions and passages or are versions
    of one paper."""
    texts = TextCopies(selection.database, "passages")
    if selection.tables["figures"]:
        for document, caption in selection.captions():
            texts.add(document, caption)
    for shard, row in read_with_progress("text", selection.tables):
        document = selection.document(row)
        content = content_hash(row["text"])
        reason = refuse("text", row)
        if selection.in_earlier_shard("text", document, shard) and selection.has_row(
            "text", document, content
        ):
            reason = "repeated"
        number = selection.enter("text", document, reason, content)
        if reason is None:
            texts.add(document, row["text"], number)
    for number, document, original in texts.originals():
        if number is not None:
            selection.drop("text", number, "duplicate")
        if original != document:
            selection.share(original, document)
    selection.link_by_shared_text(texts.table, SHARED_TEXT)
    for one, other in selection.versions.pairs(texts.table):
        selection.link(one, other)


def read_with_progress(
    config: str, tables: Tables, images: bool = True
) -> Iterator[tuple[Path, Row]]:
    """Yield `config_rows` with a progress bar."""
    return iter(
        tqdm(
            config_rows(config, tables, images),
            total=count_rows(tables[source(config, tables)]),
            desc=f"Reading {config}",
            unit=" rows",
            disable=no_bars(),
        )
    )
