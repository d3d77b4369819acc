"""Read the text of a dataset on the Hub into the `text` table."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from huggingface_hub import constants

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import replacing
from cephalo.cli.logs import no_bars
from cephalo.cli.rows import Row
from cephalo.dataset_scripts.common.document_shards import shard_name
from cephalo.dataset_scripts.common.passages import text_rows
from cephalo.model_cards.hub_names import resolve
from cephalo.model_cards.licenses import find_license

if TYPE_CHECKING:
    from datasets import Dataset

BATCH = 1000  # rows of the dataset per row group


def read_dataset(name: str, folder: Path) -> int | None:
    """Write the passages in the column `text` of "NAMESPACE/NAME" or "NAMESPACE/NAME:CONFIG".

    The shard is of one revision of the split `train`. Returns the number of passages, or None if
    the shard exists already. Raises CephaloError if the Hub has no such dataset or column.
    """
    from datasets import load_dataset

    repo_id, _, config = name.partition(":")
    info = resolve(repo_id, repo_type="dataset", mend="correct --dataset")
    key = hashlib.sha256(f"{name}@{info.sha}".encode()).hexdigest()
    shard = folder / shard_name(name, key)
    if shard.exists():
        return None
    try:
        rows = load_dataset(repo_id, config or None, split="train", revision=info.sha)
    except (OSError, ValueError) as error:
        raise CephaloError(f"--dataset {name} cannot be loaded: {error}") from error
    if "text" not in rows.column_names:
        raise CephaloError(
            f"--dataset {name} has no column text, only {', '.join(rows.column_names)}; questions "
            "and answers need no extraction: name them in text_dataset_name of `cephalo train`"
        )
    whole = {
        "title": None,
        "doi": None,
        "license": find_license(str(info.card_data.license).upper()) if info.card_data else None,
        "author": info.author,
        "source_url": f"{constants.ENDPOINT}/datasets/{repo_id}",
        "revision": info.sha,
    }
    return write_passages(rows, name, whole, shard)


def write_passages(rows: "Dataset", name: str, whole: Row, shard: Path) -> int:
    """Write the passages of a dataset to `shard` atomically; return their number.

    Every row counts as a separate document. `whole` are the columns that all rows have in common.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from cephalo.dataset_scripts.common.schema import TEXT

    count = 0
    with (
        replacing(shard, shared=True) as aside,
        pq.ParquetWriter(aside, TEXT.arrow_schema) as writer,
    ):
        for group in _passages(rows, name, whole):
            writer.write_table(pa.Table.from_pylist(group, schema=TEXT.arrow_schema))
            count += len(group)
    return count


def _passages(rows: "Dataset", name: str, whole: Row) -> Iterator[list[Row]]:
    from tqdm import tqdm

    group: list[Row] = []
    texts = cast("Iterable[dict[str, str | None]]", rows.select_columns("text"))
    for number, row in enumerate(tqdm(texts, unit=" rows", desc=name, disable=no_bars())):
        text = row["text"] or ""
        sha256 = hashlib.sha256(text.encode(errors="replace")).hexdigest()
        document = {"document": f"{name}#{number}", "document_sha256": sha256, **whole}
        paragraphs = filter(None, map(str.strip, text.split("\n\n")))
        group += text_rows(((0, paragraph) for paragraph in paragraphs), document)
        if len(group) >= BATCH:
            yield group
            group = []
    if group:
        yield group
