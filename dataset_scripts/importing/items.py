"""What a row of a table says: its images, a caption or turns, and what is known of its document."""

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
"""Of the files that are taken for images in a folder."""
FACTS = ("label", "kind", "document", "title", "doi", "license", "author", "source_url", "teacher")
LONGEST = 20_000  # characters of a text, as of a corrected caption
ASKS = ("human", "user")
SAYS = ("gpt", "assistant", "model", "chatgpt", "bing", "bard")
PAIR = ("user", "assistant")  # keys of a question with its answer, as in The Cauldron
TOKEN = "<image>"
SHEET_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # all but tabs, line and page breaks


ImageFile = Path | StoredImage


class RowError(ValueError):
    """A row cannot be taken. The message is one line without the place."""


@dataclass
class Item:
    """A row: `images` are files, `turns` questions with their answers; either may be missing."""

    place: str
    images: list[ImageFile]
    caption: str = ""
    turns: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def item_of(record: Record, columns: dict[str, str], folder: Path | None) -> Item:
    """The item of a row of a table whose images are in a folder, or all in the table itself.

    Raises RowError.
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
        raise RowError(f"it has {there} and no {missing}")
    if question:
        item.turns.append((question, answer))
    return item


def text(values: dict[str, Any], role: str) -> str:
    """A value as a text, without the space around it. Raises RowError."""
    value = values.get(role)
    if value is None or value != value:  # NaN, as pandas writes what is missing
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(f"its {role} is no text")
    value = str(value).strip()
    if len(value) > LONGEST:
        raise RowError(f"its {role} has {len(value):,} characters; {LONGEST:,} are the most")
    if any("\ud800" <= one <= "\udfff" for one in value):
        raise RowError(f"its {role} has half a character (a lone surrogate)")
    if found := CONTROL.search(value):
        raise RowError(f"its {role} has a control character, U+{ord(found[0]):04X}")
    if value in SHEET_ERRORS:
        raise RowError(f"its {role} is {value}, an error of the spreadsheet; correct the cell")
    return value


def names_of(value: Any) -> list[str | StoredImage]:
    """The images or file names that a row has, one or a list. Raises RowError."""
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
            raise RowError("its image is no file name")
        names.append(name.strip())
    return [name for name in names if name]


def find_images(name: str | StoredImage, folder: Path | None) -> list[ImageFile]:
    """The file of an image, or the files between whose names there are semicolons. Raises
    RowError."""
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
    """The file of an image. Raises RowError where there is none."""
    if "://" in name or name.startswith("data:"):
        raise RowError(f"its image {name[:60]!r} is an address; download it and name the file")
    try:
        for path in (folder / name, folder / PureWindowsPath(name).as_posix()):
            if path.is_file():
                plain = Path(os.path.normpath(path))  # one file, one path
                return plain if plain.is_file() and plain.samefile(path) else path
    except (OSError, ValueError):  # a name that no file can have
        pass
    raise RowError(f"its image {name[:200]!r} is not in {folder}")


def turns_of(value: Any) -> Iterator[tuple[str, str]]:
    """The questions and answers of a conversation in LLaVA's or ShareGPT's form, or that of
    chat templates; what a system message says begins the first question. Raises RowError.
    """
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise RowError("its conversation is no list of messages")
    if value and all({"user", "assistant"} <= one.keys() for one in value):  # pairs
        value = [{"role": role, "content": one[role]} for one in value for role in PAIR]
    system, question = "", ""
    for message in value:
        role = message.get("from", message.get("role"))
        said = said_in(message.get("value", message.get("content")))
        if role == "system" and not question:
            system = said
        elif role in ASKS and not question:
            question = "\n\n".join(filter(None, (system, said)))
            system = ""
            if not question:
                raise RowError("its conversation has an empty question")
        elif role in SAYS and question:
            if not said:
                raise RowError("its conversation has an empty answer")
            yield question, said
            question = ""
        else:
            raise RowError(f"its conversation has a message of {role!r} out of turn")
    if question:
        raise RowError("its conversation ends with a question")


def said_in(content: Any) -> str:
    """The text of a message, which may be in parts, without the places of images. Raises
    RowError."""
    if isinstance(content, list):
        parts = [one for one in content if isinstance(one, dict) and one.get("type") == "text"]
        content = "\n".join(str(one.get("text", "")) for one in parts)
    return text({"message": content}, "message").replace(TOKEN, "").strip()


def items_in(folder: Path) -> Iterator[Item]:
    """The images in a folder and those below it, each with the caption that stands in a text file
    of its name; the folders are their classes."""
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
                raise CephaloError(f"{beside} is no caption in UTF-8 ({error}); mend it") from error
        yield item
