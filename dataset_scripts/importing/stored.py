"""Read Parquet files and datasets of the Hub with `datasets`, for `cephalo import`.

`datasets` memory-maps the tables in its cache. Images are read on access, so only the texts of a
dataset are kept in memory.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyarrow.dataset import ParquetFragmentScanOptions
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.dataset_scripts.importing.sheets import Record
from cephalo.model_cards.hub_names import resolve
from cephalo.model_cards.licenses import find_license

PARQUET = ".parquet"
# NAMESPACE/NAME, then perhaps :CONFIG and @REVISION, as `cephalo publish --exclude` has them.
SPEC = re.compile(r"(?P<name>[^/:@\s]+/[^/:@\s]+)(?::(?P<config>[^@]+))?(?:@(?P<revision>.+))?")
BATCH = 32  # rows whose images are in memory at a time
ADVICE = "give a table, a folder of images, Parquet files, or NAMESPACE/NAME of a dataset"


@dataclass(frozen=True)
class StoredImage:
    """An encoded image in a row of a dataset, identified by the SHA-256 of its bytes.

    `name` is used in messages. `cell` is its position: row, column, index in a list.
    """

    sha256: str
    name: str = field(compare=False)
    dataset: "Stored" = field(compare=False, repr=False)
    cell: tuple[int, str, int] = field(compare=False)

    def read_bytes(self) -> bytes:
        """Return the encoded image.

        Raises:
            OSError: If its file cannot be read.
        """
        row, column, place = self.cell
        [record] = self.dataset.table(row, row + 1, [column])
        return self.dataset.bytes_of(cells_of(record[column])[place])


class Stored:
    """A split of a dataset.

    `rows` is a `datasets.Dataset`; `name` and `split` are used in messages. Image files are read
    only from `folders`. `facts` are values of every row.
    """

    def __init__(self, rows: Any, name: str, split: str, folders: list[Path]) -> None:
        self.rows = rows.with_format("arrow")
        self.features = rows.features
        self.name, self.split, self.folders = name, split, folders
        self.facts: dict[str, str] = {}

    def given(self) -> dict[str, str]:
        """Return the columns whose role follows from their type: the image, and classes."""
        found = {}
        images = [name for name in self.features if self.is_image(name)]
        if len(images) == 1:
            found["image"] = images[0]
        classes = [name for name in self.features if self.class_names(name)]
        if len(classes) == 1:
            found["kind"] = classes[0]
        return found

    def is_image(self, column: str) -> bool:
        """Return whether a column contains images, or lists of images."""
        from datasets import Image

        feature = self.features[column]
        return isinstance(getattr(feature, "feature", feature), Image)

    def class_names(self, column: str) -> list[str]:
        """Return the class names of a column, empty if it has none."""
        from datasets import ClassLabel

        feature = self.features[column]
        return list(feature.names or []) if isinstance(feature, ClassLabel) else []

    def table(self, start: int, end: int, columns: list[str]) -> list[dict[str, Any]]:
        """Return the columns of some rows, with images undecoded."""
        return self.rows.select_columns(columns)[start:end].to_pylist()

    def bytes_of(self, cell: Any) -> bytes:
        """Return the encoded image in a cell.

        A dataset may name any file of this machine; only files in its folders are read.

        Raises:
            OSError: If it is a file that cannot be read.
        """
        if isinstance(cell, bytes):
            return cell
        if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
            return cell["bytes"]
        path = self.own_file(cell)
        if path is None:
            raise FileNotFoundError("no image in the row")
        return path.read_bytes()

    def own_file(self, cell: Any) -> Path | None:
        """Return the file named in a cell, `None` if it is outside the dataset."""
        name = path_of(cell)
        if not isinstance(name, str) or "\0" in name:
            return None
        for folder in self.folders:
            # The cache of the Hub has links to blobs elsewhere, so links are not resolved.
            root = Path(os.path.normpath(folder.absolute()))
            path = Path(os.path.normpath(root / name))
            if path.is_relative_to(root) and path.is_file():
                return path
        return None

    def records(self, column_of_images: str | None) -> Iterator[Record]:
        """Yield the rows, with lists of `StoredImage` in the column of images."""
        names = {column: self.class_names(column) for column in self.features}
        others = [
            name for name in self.features if name == column_of_images or not self.is_image(name)
        ]
        steps = range(0, len(self.rows), BATCH)
        for start in tqdm(steps, unit=f" × {BATCH} rows", desc=self.name, disable=no_bars()):
            for number, row in enumerate(self.table(start, start + BATCH, others), start):
                for column, value in row.items():
                    if column == column_of_images:
                        row[column] = list(self.images_of(number, column, value))
                    elif names[column] and isinstance(value, int) and value >= 0:
                        row[column] = names[column][value]
                    else:
                        row[column] = as_list(value)
                yield Record(f"{self.split}, row {number + 1}", row)

    def images_of(self, row: int, column: str, value: Any) -> Iterator[Any]:
        """Yield the images of a cell. File names outside the dataset remain strings."""
        for place, cell in enumerate(cells_of(value)):
            try:
                data = self.bytes_of(cell)
            except OSError:
                yield path_of(cell)
                continue
            name = path_of(cell)
            base = re.split(r"[/\\]", name)[-1][-100:] if isinstance(name, str) else ""
            told = f"{self.split}/{row + 1}" + (f"-{place + 1}" if place else "")
            sha256 = hashlib.sha256(data).hexdigest()
            yield StoredImage(
                sha256, f"{told}/{base}" if base else told, self, (row, column, place)
            )


def cells_of(value: Any) -> list[Any]:
    """Return the images of a cell, a single one or a list."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


def path_of(cell: Any) -> Any:
    """Return the file name of an image."""
    return cell.get("path") if isinstance(cell, dict) else cell


def as_list(value: Any) -> Any:
    """Return a list of structs for a struct of lists, as `datasets` stored them up to version 3."""
    if not isinstance(value, dict) or not all(isinstance(one, list) for one in value.values()):
        return value
    if len({len(one) for one in value.values()}) != 1:
        return value
    return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]


def open_parquet(source: Path, split: str) -> Stored:
    """Open a Parquet file, or a folder of them as `datasets` finds its configurations.

    Raises:
        CephaloError: If `datasets` cannot open it.
    """
    folder = source if source.is_dir() else source.parent
    if source.is_dir():
        return Stored(load(str(source), split, str(source)), str(source), split, [folder])
    # Without these, whole row groups and up to a thousand images would be in memory.
    scan = ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
    small = {"batch_size": BATCH, "fragment_scan_options": scan}
    rows = load("parquet", "train", str(source), data_files=[str(source)], **small)
    return Stored(rows, str(source), source.name, [folder])


def open_hub(spec: str, split: str) -> Stored:
    """Open NAMESPACE/NAME[:CONFIG][@REVISION] of the Hub, at the commit of its revision.

    The licence of the card, the address and the commit are defaults for rows without their own.

    Raises:
        CephaloError: If there is no such dataset.
    """
    from datasets import config
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    match = SPEC.fullmatch(spec)
    if match is None:
        raise CephaloError(f"{spec}: no such file or folder; {ADVICE}")
    name = match["name"]
    info = resolve(name, match["revision"], "dataset", ADVICE)
    rows = load(name, split, spec, name=match["config"], revision=info.sha)
    cached = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="dataset")
    extracted = Path(config.EXTRACTED_DATASETS_PATH)  # of archives
    found = Stored(rows, spec, split, [cached, extracted])
    license_ = find_license(str(info.card_data.license).upper()) if info.card_data else None
    facts = {"license": license_, "source_url": f"{constants.ENDPOINT}/datasets/{name}"}
    facts |= {"author": name.partition("/")[0], "revision": info.sha}
    found.facts = {role: value for role, value in facts.items() if value}
    return found


def load(path: str, split: str, told: str, **options: Any) -> Any:
    """Return a split of a dataset.

    Raises:
        CephaloError: If it cannot be loaded.
    """
    import datasets

    try:
        return datasets.load_dataset(path, split=split, writer_batch_size=BATCH, **options)
    # The loaders raise almost anything if they cannot find or read something.
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise CephaloError(
            f"{told} cannot be loaded: {reason}; name its configuration with NAME:CONFIG, another "
            "split with --split"
        ) from error
