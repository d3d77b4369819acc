"""Browse the figures of a dataset, with captions and answers."""

import io
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.full_text import TOKENIZE, words_of
from cephalo.cli.rows import Row
from cephalo.inference.images import open_image

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


PAGE = 12  # figures
THUMBNAIL = 320  # pixels
# Conversations first: they contain the figures too, with answers.
CONFIGS = ("conversations", "figures")
SEARCHED = ("caption", "orig_caption", "label", "query", "answer", "title", "document")
"""Columns of texts that are searched, where a dataset has them."""


class Figure(NamedTuple):
    """One row; a text is empty if the dataset lacks it. `source` names the document."""

    image: Image.Image
    label: str
    caption: str
    question: str
    answer: str
    source: str


class Figures:
    """The rows of a dataset with an image."""

    def __init__(self, rows: "Dataset") -> None:
        self.rows = rows
        self._texts: sqlite3.Connection | None = None  # made by the first search
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def pages(self) -> int:
        """The number of pages of `PAGE` figures."""
        return -(-len(self) // PAGE)

    def on_page(self, number: int) -> list[int]:
        """Return the indices of the figures of a page; pages count from 1."""
        first = (min(max(number, 1), self.pages) - 1) * PAGE
        return list(range(first, min(first + PAGE, len(self))))

    def thumbnails(self, indices: Iterable[int]) -> list[tuple[Image.Image, str]]:
        """Return thumbnails of figures, with labels."""
        found = [self.figure(index) for index in indices]
        for figure in found:
            figure.image.thumbnail((THUMBNAIL, THUMBNAIL))
        return [(figure.image, figure.label) for figure in found]

    def search(self, text: str) -> list[int]:
        """Return the indices of the figures whose captions, questions, answers or documents have
        all words of a text, at most a page, the best first."""
        words = words_of(text)
        with self._lock:
            self._texts = self._texts or self._index()
            ranked = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rank, rowid LIMIT ?"
            found = self._texts.execute(ranked, (" ".join(words), PAGE)) if words else ()
            return [row for (row,) in found]

    def _index(self) -> sqlite3.Connection:
        texts = sqlite3.connect(":memory:", check_same_thread=False)
        columns = [name for name in SEARCHED if name in self.rows.column_names]
        texts.execute(f"CREATE VIRTUAL TABLE texts USING fts5 (words, tokenize='{TOKENIZE}')")
        rows: Any = self.rows.select_columns(columns) if columns else ()
        for number, row in enumerate(rows):
            words = "\n".join(text(row, name) for name in columns)
            texts.execute("INSERT INTO texts (rowid, words) VALUES (?, ?)", (number, words))
        return texts

    def figure(self, index: int) -> Figure:
        """Return the figure of a row; for a broken image, a grey one with the reason as its
        caption."""
        row = self.rows[index]
        caption = text(row, "caption") or text(row, "orig_caption")
        try:
            image = image_of(row)
        except CephaloError as error:
            image, caption = Image.new("RGB", (90, 60), "gray"), f"{error}. {caption}"
        printed = (row.get("figures") or [row])[0]  # conversations have label and page in a list
        place = f"page {printed['page'] + 1}" if printed.get("page") is not None else ""
        return Figure(
            image,
            text(printed, "label") or f"Row {index + 1}",
            caption,
            text(row, "query"),
            text(row, "answer"),
            ", ".join(filter(None, (text(row, "document"), place, text(row, "license")))),
        )


def load_figures(name: str) -> Figures:
    """Load a dataset of `cephalo extract`, `refine` or `publish`, or one like Cephalo's original
    ones.

    `name` is a folder or a Hub name. Raises CephaloError if it cannot be loaded or has no images.
    """
    from datasets import Image as Undecoded
    from datasets import List, get_dataset_config_names, load_dataset

    try:
        if Path(name).is_dir() and (shards := shards_of(Path(name))):
            rows = load_dataset("parquet", data_files=shards, split="train")
        else:
            configs = get_dataset_config_names(name)
            chosen = next((config for config in CONFIGS if config in configs), configs[0])
            splits = load_dataset(name, chosen)
            rows = splits["train"] if "train" in splits else next(iter(splits.values()))
    except (OSError, ValueError) as error:
        raise CephaloError(f"cannot load dataset {name}: {error}") from error
    undecoded = Undecoded(decode=False)
    for column, feature in (("image", undecoded), ("images", List(undecoded))):
        if column in rows.features:
            rows = rows.cast_column(column, feature)
            if kept := rows_with_image(rows.data.column(column)):
                return Figures(rows.select(kept))
    raise CephaloError(
        f"dataset {name} has no images in a column `image` or `images`; give a folder that "
        "`cephalo extract` or `cephalo refine` wrote"
    )


def shards_of(folder: Path) -> list[str]:
    """Return the Parquet files of the first of `CONFIGS` that the folder has."""
    found = (sorted(map(str, (folder / config).glob("*.parquet"))) for config in CONFIGS)
    return next(filter(None, found), [])


def rows_with_image(column: "pa.ChunkedArray") -> list[int]:
    """Return the indices of the non-empty rows of an Arrow column of images or lists of images."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    compute: Any = pc  # its functions are created at import
    filled = (
        compute.greater(compute.list_value_length(column), 0) if lists else compute.is_valid(column)
    )
    return compute.indices_nonzero(filled.combine_chunks()).to_pylist()


def image_of(row: Row) -> Image.Image:
    """Return the first image of a row, from its bytes, since a path in a row is untrusted.

    Raises CephaloError if it is broken or missing.
    """
    value = row["image"] if "image" in row else row["images"][0]
    if not value["bytes"]:
        raise CephaloError("the image is not in the dataset's file")
    return open_image(io.BytesIO(value["bytes"]))


def text(row: Row, column: str) -> str:
    """Return the text of a column; empty if it is missing."""
    value = row.get(column)
    return value if isinstance(value, str) else ""
