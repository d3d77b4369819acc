"""Items of a table: the images of a row, a caption or turns, and facts about its document."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.importing.sheets import Record
from cephalo.dataset_scripts.importing.stored import StoredImage

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
"""Extensions of image files in a folder."""
FACTS = ("label", "kind", "document", "title", "doi", "license", "author", "source_url", "teacher")
LONGEST = 20_000  # characters of a text, the same limit as for corrected captions
ASKS = ("human", "user")
SAYS = ("gpt", "assistant", "model", "chatgpt", "bing", "bard")
PAIR = ("user", "assistant")  # keys of a question with its answer, as in The Cauldron
TOKEN = "<image>"
SHEET_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # all except tabs, line breaks and page breaks


ImageFile = Path | StoredImage


class RowError(ValueError):
    """An invalid row. The message is one line without the place."""


@dataclass
class Item:
    """A row with its image files, and a caption or turns of (question, answer)."""

    place: str
    images: list[ImageFile]
    caption: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def item_of(record: Record, columns: dict[str, str], folder: Path | None) -> Item:
    """Convert a row of a table to an item.

    Args:
        record: The row.
        columns: Column of each role.
        folder: Folder of the images, `None` if the row contains them.

    Raises:
        RowError: If the row is invalid.
    """
    if record.error:
        raise RowError(record.error)
    values = {role: record.values.get(name) for role, name in columns.items()}
    images = [image for one in names_of(values.get("image")) for image in find_images(one, folder)]
    if not images:
        raise RowError("it names no image")
    item = Item(record.place, images, caption=text(values, "caption"))
    item.facts = {name: text(values, name) for name in FACTS if text(values, name)}
    if values.get("turns"):
        item.turns = list(turns_of(values["turns"]))
    asked, said = values.get("question"), values.get("answer")
    if isinstance(asked, list) and isinstance(said, list):  # of chat templates
        item.turns += turns_of(asked + said)
        return item
    question, answer = text(values, "question"), text(values, "answer")
    if bool(question) != bool(answer):
        there, missing = ("a question", "answer") if question else ("an answer", "question")
        raise RowError(f"it has {there} but no {missing}")
    if question:
        item.turns.append((question, answer))
    return item


def text(values: dict[str, Any], role: str) -> str:
    """Return a value as a stripped text.

    Raises:
        RowError: If it is not a valid text.
    """
    value = values.get(role)
    if value is None or value != value:  # NaN, which pandas writes for missing values
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(f"its {role} is not a text")
    value = str(value).strip()
    if len(value) > LONGEST:
        raise RowError(f"its {role} has {len(value):,} characters; the limit is {LONGEST:,}")
    if any("\ud800" <= one <= "\udfff" for one in value):
        raise RowError(f"its {role} has an invalid character (a lone surrogate)")
    if found := CONTROL.search(value):
        raise RowError(f"its {role} has a control character, U+{ord(found[0]):04X}")
    if value in SHEET_ERRORS:
        raise RowError(f"its {role} is {value}, an error of the spreadsheet; correct the cell")
    return value


def names_of(value: Any) -> list[str | StoredImage]:
    """Return the images or file names in a cell, a single one or a list.

    Raises:
        RowError: If a name is not a string.
    """
    values = value if isinstance(value, list) else [value]
    names: list[str | StoredImage] = []
    for one in values:
        if isinstance(one, StoredImage):
            names.append(one)
            continue
        name = one.get("path") or one.get("file_name") if isinstance(one, dict) else one
        if name is None or name == "":
            continue
        if not isinstance(name, str):
            raise RowError("its image is not a file name")
        names.append(name.strip())
    return [name for name in names if name]


def find_images(name: str | StoredImage, folder: Path | None) -> list[ImageFile]:
    """Return the image file, or the files of names separated by semicolons.

    Raises:
        RowError: If a file is missing.
    """
    if isinstance(name, StoredImage):
        return [name]
    if folder is None:
        raise RowError(f"its image {name[:200]!r} is neither in the row nor a file of the dataset")
    try:
        return [find_image(name, folder)]
    except RowError:
        if ";" not in name:
            raise
    return [find_image(one.strip(), folder) for one in name.split(";") if one.strip()]


def find_image(name: str, folder: Path) -> Path:
    """Return the file of an image.

    Raises:
        RowError: If it is missing.
    """
    if "://" in name or name.startswith("data:"):
        raise RowError(f"its image {name[:60]!r} is a URL; download it and give the file name")
    try:
        for path in (folder / name, folder / PureWindowsPath(name).as_posix()):
            if path.is_file():
                plain = Path(os.path.normpath(path))  # the same path for the same file
                return plain if plain.is_file() and plain.samefile(path) else path
    except (OSError, ValueError):  # not a valid file name
        pass
    raise RowError(f"its image {name[:200]!r} is not in {folder}")


def turns_of(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the questions and answers of a conversation.

    The format is that of LLaVA, ShareGPT or chat templates. A system message is prepended to the
    first question.

    Raises:
        RowError: If the conversation is invalid.
    """
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise RowError("its conversation is not a list of messages")
    if value and all({"user", "assistant"} <= one.keys() for one in value):  # pairs
        value = [{"role": role, "content": one[role]} for one in value for role in PAIR]
    system, question = "", ""
    for message in value:
        role = message.get("from", message.get("role"))
        content = message_text(message.get("value", message.get("content")))
        if role == "system" and not question:
            system = content
        elif role in ASKS and not question:
            question = "\n\n".join(filter(None, (system, content)))
            system = ""
            if not question:
                raise RowError("its conversation has an empty question")
        elif role in SAYS and question:
            if not content:
                raise RowError("its conversation has an empty answer")
            yield question, content
            question = ""
        else:
            raise RowError(f"its conversation has a message of {role!r} out of turn")
    if question:
        raise RowError("its conversation ends with a question")


def message_text(content: Any) -> str:
    """Return the text of a message, which may consist of parts, without image placeholders.

    Raises:
        RowError: If it is not a valid text.
    """
    if isinstance(content, list):
        parts = [one for one in content if isinstance(one, dict) and one.get("type") == "text"]
        content = "\n".join(str(one.get("text", "")) for one in parts)
    return text({"message": content}, "message").replace(TOKEN, "").strip()


def items_in(folder: Path) -> Iterator[Item]:
    """Yield the images in a folder and its subfolders.

    The caption is in a text file of the same name; the subfolder is the class.
    """
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in ENDINGS or not path.is_file():
            continue
        item = Item(path.relative_to(folder).as_posix(), [path])
        if path.parent != folder and path.parent.name not in ("images", "train", "validation"):
            item.facts["kind"] = path.parent.name
        beside = path.with_suffix(".txt")
        if beside.is_file():
            try:
                written = beside.read_bytes().decode("utf-8-sig")
                item.caption = text({"caption": written}, "caption")
            except (UnicodeDecodeError, RowError) as error:
                raise CephaloError(
                    f"{beside} is not a caption in UTF-8 ({error}); correct it"
                ) from error
        yield item
