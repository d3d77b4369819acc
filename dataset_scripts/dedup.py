"""Which rows are published, and which documents belong together.

A row is dropped for the first of these reasons that holds:

- "licence": its licence is not open, where only open ones are asked for;
- "excluded": its image is, nearly, one of a dataset that is kept out;
- "recurring": it is a publisher's logo or a licence's badge;
- "duplicate": an earlier row shows the same with the same text;
- "figure": a conversation about a figure that is not published.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.conversations import caption_conversation
from cephalo.dataset_scripts.dedup_images import ImageIndex, NearCopies, thumbnail
from cephalo.dataset_scripts.dedup_text import TextIndex, same_text, words
from cephalo.dataset_scripts.schema import CONVERSATIONS, FIGURES, TEXT
from cephalo.dataset_scripts.shards import count_rows, read_rows
from cephalo.model_cards.licenses import is_open

# An image in so many documents, or on so many pages, recurs; it is furniture if besides it is
# small or its caption says nothing.
RECURRING_DOCUMENTS, RECURRING_PAGES = 3, 5
SMALL_INCHES = 0.6  # the shorter side
WEB_DPI = 96  # where a row tells none: CSS pixels
NO_CAPTION_WORDS = 4  # fewer say nothing
# Two documents that share so much of the shorter one's text are versions of one paper; single
# passages recur between strangers (a publisher's notices).
SHARED_TEXT = 0.2

Tables = Mapping[str, list[Path]]
"""The shards of each config: "figures", "conversations", "text"."""


class Figure(NamedTuple):
    """What is compared of a figure; `small` as printed."""

    document: str
    image: str  # the sha256 of its pixels
    caption: str
    page: int | None
    small: bool


@dataclass
class Selection:
    """What is published.

    `kept[config][n]` tells whether row n of a config's rows is; `links` are pairs of documents
    that must share a split; `dropped` counts rows by (config, reason), `excluded` figures by the
    dataset that keeps them out; `near_copies` are the figures that have a near-copy elsewhere.
    """

    kept: dict[str, list[bool]] = field(default_factory=dict)
    documents: set[str] = field(default_factory=set)  # those with a row that is kept
    links: list[tuple[str, str]] = field(default_factory=list)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)


def select_rows(
    tables: Tables, *, only_open: bool = False, exclude: Mapping[str, ImageIndex] | None = None
) -> Selection:
    """Decide on every row of `tables`; `exclude` maps a dataset's name to its images.

    Earlier rows win over later ones. Memory grows by about 2 KB a figure and 10 KB a passage or
    answer, not with the images. Raises CephaloError for a shard or an image that cannot be read.
    """
    selection = Selection(excluded=Counter(dict.fromkeys(exclude or {}, 0)))
    published = select_figures(tables, selection, only_open, exclude or {})
    select_conversations(tables, selection, only_open, published)
    select_text(tables, selection, only_open)
    return selection


# --- the rows of each config, always in the same order


def figure_rows(tables: Tables) -> Iterator[dict[str, Any]]:
    """The rows of the figures table, with undecoded images."""
    return read_rows(tables["figures"], FIGURES, batch_rows=8)


def conversation_rows(tables: Tables, images: bool = True) -> Iterator[dict[str, Any]]:
    """The conversations; where no table holds any, those that the captions make.

    Without `images` the rows have none, and many are read at a time.
    """
    batch, left_out = (8, set()) if images else (500, {"image", "images"})
    if tables["conversations"]:
        columns = [name for name in CONVERSATIONS if name not in left_out]
        yield from read_rows(tables["conversations"], columns, batch)
        return
    columns = [name for name in FIGURES if name not in left_out]
    for figure in read_rows(tables["figures"], columns, batch):
        if figure["caption"]:
            yield caption_conversation({"image": None} | figure)


def text_rows(tables: Tables) -> Iterator[dict[str, Any]]:
    """The rows of the text table."""
    return read_rows(tables["text"], TEXT, batch_rows=500)


# --- figures


def select_figures(
    tables: Tables, selection: Selection, only_open: bool, exclude: Mapping[str, ImageIndex]
) -> set[tuple[str, str]]:
    """Decide on the figures; returns (document, image) of those that are published."""
    figures: list[Figure] = []
    reasons: list[str | None] = []
    copies = NearCopies()
    for figure, license, data in compared_figures(tables):
        figures.append(figure)
        picture = thumbnail(data, f"a figure of document {figure.document}")
        excluding = [name for name, images in exclude.items() if images.near(picture)]
        if only_open and not is_open(license):
            reasons.append("licence")
        elif excluding:
            reasons.append("excluded")
            selection.excluded.update(excluding)
        else:
            reasons.append(None)
            copies.add(figure.image, picture)
    groups = defaultdict(list)
    for number, figure in enumerate(figures):
        if reasons[number] is None:
            groups[copies.group(figure.image)].append(number)
    for numbers in groups.values():
        judge_near_copies(figures, numbers, reasons, selection.links)
    if tables["figures"]:
        record(selection, "figures", reasons, [figure.document for figure in figures])
    return {
        (figure.document, figure.image)
        for figure, reason in zip(figures, reasons, strict=True)
        if reason is None
    }


def compared_figures(tables: Tables) -> Iterator[tuple[Figure, str | None, bytes]]:
    """Every figure with its licence and its encoded image.

    They are the rows of the figures table; without one, the images of the conversations.
    """
    progress = {"unit": " images", "desc": "Comparing", "disable": None}
    if tables["figures"]:
        for row in tqdm(figure_rows(tables), total=count_rows(tables["figures"]), **progress):
            inches = min(row["width"], row["height"]) / (row["dpi"] or WEB_DPI)
            yield (
                Figure(
                    row["document_sha256"],
                    row["image_sha256"],
                    row["caption"] or "",
                    row["page"],
                    inches < SMALL_INCHES,
                ),
                row["license"],
                row["image"]["bytes"],
            )
        return
    seen = set()
    for row in tqdm(conversation_rows(tables), **progress):
        if len(row["figures"]) != len(row["images"]):
            raise CephaloError(
                f"a conversation about {row['document']} has {len(row['images'])} images and the "
                f"keys of {len(row['figures'])}; make it again with `cephalo refine`"
            )
        for key, image in zip(row["figures"], row["images"], strict=True):
            if (row["document_sha256"], key["image_sha256"]) not in seen:
                seen.add((row["document_sha256"], key["image_sha256"]))
                figure = Figure(
                    row["document_sha256"],
                    key["image_sha256"],
                    row["orig_caption"] or "",
                    key["page"],
                    small=False,
                )
                yield figure, row["license"], image["bytes"]


def judge_near_copies(
    figures: list[Figure],
    numbers: list[int],
    reasons: list[str | None],
    links: list[tuple[str, str]],
) -> None:
    """Give a reason to the furniture and the duplicates among near-copies; link the rest.

    Within a document only equal pixels are duplicates: a series of like plots is no copy.
    """
    documents = {figures[number].document for number in numbers}
    pages = {(figures[number].document, figures[number].page) for number in numbers}
    recurring = len(documents) >= RECURRING_DOCUMENTS or len(pages) >= RECURRING_PAGES
    linked: list[str] = []
    kept: list[Figure] = []
    for number in numbers:
        figure = figures[number]
        if recurring and (figure.small or len(words(figure.caption)) < NO_CAPTION_WORDS):
            reasons[number] = "recurring"
            continue
        linked.append(figure.document)
        if any(is_duplicate(figure, earlier) for earlier in kept):
            reasons[number] = "duplicate"
        else:
            kept.append(figure)
    links.extend((one, other) for one, other in pairwise(linked) if one != other)


def is_duplicate(figure: Figure, earlier: Figure) -> bool:
    """Whether a near-copy of an earlier figure has nothing to add to it."""
    another = figure.document != earlier.document or figure.image == earlier.image
    return another and same_text(figure.caption, earlier.caption)


# --- text


def select_conversations(
    tables: Tables, selection: Selection, only_open: bool, published: set[tuple[str, str]]
) -> None:
    """Decide on the conversations; of answers that agree across documents the first is kept."""
    answers = TextIndex()
    reasons: list[str | None] = []
    documents: list[str] = []
    for row in conversation_rows(tables, images=False):
        document = row["document_sha256"]
        documents.append(document)
        if only_open and not is_open(row["license"]):
            reasons.append("licence")
        elif any((document, key["image_sha256"]) not in published for key in row["figures"]):
            reasons.append("figure")
        else:
            original = answers.add(document, row["answer"])
            reasons.append("duplicate" if original not in (None, document) else None)
    record(selection, "conversations", reasons, documents)


def select_text(tables: Tables, selection: Selection, only_open: bool) -> None:
    """Decide on the passages, and link documents whose captions and passages agree."""
    seen = TextIndex()
    texts: Counter[str] = Counter()  # by document
    shared: Counter[tuple[str, str]] = Counter()

    def compare(document: str, text: str) -> bool:
        """Whether an earlier text agrees; count it for the documents that share it."""
        texts[document] += 1
        original = seen.add(document, text)
        if original not in (None, document):
            shared[original, document] += 1
        return original is not None

    figures = read_rows(tables["figures"], ["document_sha256", "caption"], batch_rows=500)
    for row, kept in zip(figures, selection.kept.get("figures", []), strict=True):
        if kept:
            compare(row["document_sha256"], row["caption"] or "")
    reasons: list[str | None] = []
    documents: list[str] = []
    for row in text_rows(tables):
        documents.append(row["document_sha256"])
        if only_open and not is_open(row["license"]):
            reasons.append("licence")
        else:
            reasons.append("duplicate" if compare(documents[-1], row["text"]) else None)
    record(selection, "text", reasons, documents)
    selection.links.extend(
        pair
        for pair, count in shared.items()
        if count >= SHARED_TEXT * min(texts[pair[0]], texts[pair[1]])
    )


def record(
    selection: Selection, config: str, reasons: list[str | None], documents: list[str]
) -> None:
    """Enter the decisions on a config's rows, which belong to `documents`."""
    selection.kept[config] = [reason is None for reason in reasons]
    selection.dropped.update((config, reason) for reason in reasons if reason)
    selection.documents.update(
        document for document, reason in zip(documents, reasons, strict=True) if reason is None
    )
