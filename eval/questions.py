"""Read rows of any dataset as questions: a text, its images, the reference answer."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.inference.replies import one_line
from cephalo.model_cards.hub_names import resolve
from cephalo.model_cards.model_folder import model_sha256

if TYPE_CHECKING:
    from datasets import Dataset


# Known column names: Cephalo's, and those of most visual benchmarks.
QUESTION = ("query", "question")
ANSWER = ("answer", "answers", "label")
IMAGES = ("images", "image", "microstructure")
FIELDS = {"bytes", "path"}  # of an image that is not decoded


@dataclass(frozen=True)
class QuestionSource:
    """The rows to ask. `where` is COLUMN=VALUE; `revision` a branch or commit on the Hub."""

    dataset: str
    config: str | None = None
    split: str = "test"
    revision: str | None = None
    where: str | None = None
    max_samples: int | None = None


@dataclass(frozen=True)
class Question:
    """A row: `images` are encoded files. `group` is its value of the column to group by."""

    text: str
    images: tuple[bytes, ...]
    answer: str
    group: str | None = None


def load_questions(
    source: QuestionSource,
    question: str | None = None,
    answer: str | None = None,
    image: str | None = None,
    group: str | None = None,
) -> list[Question]:
    """Return the rows of a dataset on the Hub or in a folder; columns are found by name if not
    given.

    `max_samples` rows are sampled with a fixed seed. Raises CephaloError if the dataset, its split
    or a column cannot be loaded, or no row is left.
    """
    import datasets
    from datasets.config import HF_CACHE_HOME
    from datasets.exceptions import DatasetsError

    try:
        rows = datasets.load_dataset(
            source.dataset, source.config, split=source.split, revision=source.revision
        )
    except (OSError, ValueError, KeyError, DatasetsError) as error:
        name = source.dataset if source.config is None else f"{source.dataset} {source.config}"
        reason = one_line(str(error.__cause__ or error))
        raise CephaloError(f"cannot load {name}, split {source.split}: {reason}") from error
    columns = {
        "question": column(rows, question, QUESTION, "--question-column"),
        "answer": column(rows, answer, ANSWER, "--answer-column"),
    }
    check_plain(rows, columns["question"], "--question-column")
    check_plain(rows, columns["answer"], "--answer-column")
    pictures = image or next((name for name in IMAGES if name in rows.column_names), None)
    if pictures:
        columns["images"] = column(rows, pictures, IMAGES, "--image-column")
        check_pictures(rows, columns["images"], "--image-column")
    if group:
        columns["group"] = column(rows, group, (), "--group-by")
        check_plain(rows, columns["group"], "--group-by")
    if source.where:
        rows = rows.select(chosen(rows, source.where))
    if source.max_samples and source.max_samples < len(rows):
        rows = rows.shuffle(seed=0).select(range(source.max_samples))
    if not len(rows):
        raise CephaloError(f"{source.dataset} has no such rows; check --split and --where")
    rows = undecoded(rows.select_columns(sorted(set(columns.values()))))
    folders = [Path(HF_CACHE_HOME), Path(source.dataset)]
    found = cast("Iterable[Row]", rows)
    return [read_question(row, columns, folders) for row in found]


def column(rows: "Dataset", wanted: str | None, known: Iterable[str], option: str) -> str:
    """Return an existing column: the wanted one, or the first known one."""
    names = [wanted] if wanted else known
    found = next((name for name in names if name in rows.column_names), None)
    if found is None:
        raise CephaloError(
            f"the dataset has no column {wanted or ' or '.join(known)}; name one of "
            f"{', '.join(rows.column_names)} with {option}"
        )
    return found


def check_plain(rows: "Dataset", name: str, option: str) -> None:
    """Raise CephaloError for a column without texts, numbers or lists of them."""
    from datasets import ClassLabel, Value

    feature = rows.features[name]
    inner = getattr(feature, "feature", feature)
    if not isinstance(inner, (ClassLabel, Value)) or getattr(inner, "dtype", "") == "binary":
        raise CephaloError(
            f"column {name} has neither texts nor numbers; name another one with {option}"
        )


def check_pictures(rows: "Dataset", name: str, option: str) -> None:
    """Raise CephaloError for a column that holds neither images nor lists of them."""
    from datasets import Image

    feature = rows.features[name]
    inner = getattr(feature, "feature", feature)
    # Without the notes of `datasets` an image is a struct of these fields.
    if not isinstance(inner, Image) and not (isinstance(inner, dict) and inner.keys() == FIELDS):
        raise CephaloError(f"column {name} holds no images; name another one with {option}")


def chosen(rows: "Dataset", where: str) -> list[int]:
    """Return the indices of the rows for which COLUMN=VALUE holds. Raises CephaloError for another
    form."""
    name, equals, value = where.partition("=")
    if not equals:
        raise CephaloError(f"--where {where} is not COLUMN=VALUE, such as family=holes")
    name = column(rows, name, (), "--where")
    return [number for number, found in enumerate(rows[name]) if str(found) == value]


def undecoded(rows: "Dataset") -> "Dataset":
    """Return `rows` with images as bytes."""
    from datasets import Image, List

    for name, feature in rows.features.items():
        if isinstance(feature, Image):
            rows = rows.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image):
            rows = rows.cast_column(name, List(Image(decode=False)))
    return rows


def read_question(row: Row, columns: dict[str, str], folders: Iterable[Path]) -> Question:
    """Read one row; of several right answers, the first one. `folders` are those that may be
    read."""
    answer = row[columns["answer"]]
    answer = (answer or [""])[0] if isinstance(answer, list) else answer
    pictures = row[columns["images"]] if "images" in columns else []
    pictures = pictures if isinstance(pictures, list) else [pictures]
    images = tuple(image_bytes(picture, folders) for picture in pictures if picture)
    group = str(row[columns["group"]]) if "group" in columns else None
    return Question(str(row[columns["question"]]), images, str(answer), group)


class Undecoded(TypedDict):
    """An image as `datasets` has it undecoded; `path` if its file is beside the dataset."""

    bytes: bytes | None
    path: str | None


def image_bytes(picture: Undecoded, folders: Iterable[Path]) -> bytes:
    """Return the file of an undecoded image, from the row or a file beside it; empty if it is
    missing, which affects this row only.

    Raises CephaloError if a row names a file outside `folders`, since rows are untrusted.
    """
    if picture["bytes"] is not None:
        return picture["bytes"]
    if picture["path"] is None:
        return b""
    path = Path(picture["path"]).resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in folders):
        raise CephaloError(
            f"a row names the file {path} outside the dataset; do not trust this dataset"
        )
    return path.read_bytes() if path.is_file() else b""


def rows_sha256(questions: Iterable[Question]) -> str:
    """Return one hash of the questions: texts, images and true answers in order."""
    digest = hashlib.sha256()
    for question in questions:
        images = [hashlib.sha256(image).hexdigest() for image in question.images]
        digest.update(json.dumps([question.text, images, question.answer]).encode() + b"\n")
    return digest.hexdigest()


def hub_revision(name: str, revision: str | None, repo_type: str) -> str:
    """Return the commit of a model or dataset on the Hub; of a folder, a hash of its content.

    For a model's folder, only the files of the model count, since results and a card may be added.
    Raises CephaloError if there is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return model_sha256(folder) if repo_type == "model" else folder_sha256(folder)
    commit = resolve(name, revision, repo_type).sha
    assert commit  # every repository has a commit
    return commit


def folder_sha256(folder: Path) -> str:
    """Return one hash of the names and bytes of a folder's JSON, safetensors, Parquet and text
    files."""
    digest = hashlib.sha256()
    kinds = {".json", ".safetensors", ".parquet", ".jinja", ".model", ".txt"}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in kinds and path.is_file() and not hidden:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
