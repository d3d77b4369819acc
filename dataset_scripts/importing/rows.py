"""Convert items to rows of the `figures` and `conversations` tables."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.common.conversations import ANSWERED, QUERY, conversation
from cephalo.dataset_scripts.common.groups import Groups
from cephalo.dataset_scripts.common.pixels import compact, encode_png, perceptual_hash, pixel_hash
from cephalo.dataset_scripts.importing.items import ImageFile, Item
from cephalo.inference.images import open_image, reads_alike

TEACHER = "import"  # default if a table does not name the author of the answers
TASK_VERSION = "1"
POINTS = 72  # dots per inch, so that a pixel is a point
KEPT = {"PNG": "RGB L", "JPEG": "RGB L"}  # formats, with modes, whose bytes are kept
FACTS = ("title", "doi", "license", "author", "source_url")


class Picture:
    """An image file, its document, and the items about it.

    Attributes:
        path: The file, or the image in a dataset.
        name: Name of the file, for messages.
        items: Rows that name the image, in order.
        document: Name of the document, "" if the image is a document of its own.
        page: Index of the image in its document.
    """

    def __init__(self, path: ImageFile, name: str) -> None:
        self.path, self.name = path, name
        self.items: list[Item] = []
        self.document, self.page = "", 0


def unique_pictures(items: Iterable[Item], folder: Path) -> list[Picture]:
    """Return the images of items without repetition, in order of appearance.

    Images named in the same row, or in rows of the same document, belong to one document, so that
    publication keeps them in one split.
    """
    found: dict[ImageFile, Picture] = {}
    numbers: dict[ImageFile, int] = {}
    items = list(items)
    for item in items:
        for path in item.images:
            if path not in found:
                found[path] = Picture(path, relative_name(path, folder))
                numbers[path] = len(numbers)
            if not found[path].items or found[path].items[-1] is not item:
                found[path].items.append(item)
    pictures = list(found.values())
    groups = Groups(len(pictures))
    first: dict[str, int] = {}
    for item in items:
        own = [numbers[path] for path in item.images]
        named = item.facts.get("document")
        for number in own:
            groups.merge(own[0], number)
            if named:
                groups.merge(first.setdefault(named, number), number)
    members: dict[int, list[Picture]] = {}
    for number, picture in enumerate(pictures):
        members.setdefault(groups.find(number), []).append(picture)
    for group in members.values():
        names = [one.facts["document"] for picture in group for one in picture.items
                 if "document" in one.facts]  # fmt: skip
        for page, picture in enumerate(group):
            picture.page = page
            if names or len(group) > 1:
                picture.document = names[0] if names else group[0].name
    return pictures


def relative_name(path: ImageFile, folder: Path) -> str:
    """Return the path of a file relative to a folder, or its name if it is outside."""
    if not isinstance(path, Path):
        return path.name
    folder = Path(os.path.normpath(folder))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def figure_row(picture: Picture) -> dict[str, Any]:
    """Return the `figures` row of an image. The image is a page with one point per pixel.

    Raises:
        CephaloError: If the image cannot be read.
    """
    try:
        data = picture.path.read_bytes()
    except OSError as error:
        raise CephaloError(f"{picture.name} cannot be read: {error.strerror or error}") from error
    kept, pixels = decoded(data, picture.name)
    height, width = pixels.shape[:2]
    known: dict[str, str] = {}
    for item in picture.items:
        known = {**item.facts, **known}
    captions = captions_of(picture)
    # Include the name, since the same bytes under two names are two documents: publication treats a
    # document that occurs in a later shard again as read twice.
    source = picture.document.encode() if picture.document else picture.name.encode() + b"\0" + data
    return {
        "image": {"bytes": kept, "path": None},
        "caption": captions[0] if captions else "",
        "label": known.get("label", ""),
        "kind": known.get("kind", "figure"),
        "panels": [],
        "mentions": [],
        "figure_text": [],
        "text_faults": [],
        "document": picture.document or picture.name,
        "document_sha256": hashlib.sha256(source).hexdigest(),
        "page": picture.page,
        "bbox": [0.0, 0.0, float(width), float(height)],
        "caption_bbox": None,
        "width": width,
        "height": height,
        "dpi": POINTS,
        "image_sha256": pixel_hash(pixels),
        "phash": perceptual_hash(pixels),
        **{name: known.get(name) for name in FACTS},
        "revision": known.get("revision"),  # of a dataset
    }


def decoded(data: bytes, name: str) -> tuple[bytes, np.ndarray]:
    """Return bytes of an image that all decoders read alike, and its pixels.

    Raises:
        CephaloError: If the image cannot be decoded.
    """
    try:
        image = open_image(io.BytesIO(data))
    except CephaloError as error:
        raise CephaloError(str(error).replace("the image", name, 1)) from error
    pixels = compact(np.asarray(image))
    with Image.open(io.BytesIO(data)) as header:
        plain = header.mode in KEPT.get(header.format or "", "").split() and reads_alike(header)
    return (data if plain else encode_png(pixels)), pixels


def captions_of(picture: Picture) -> list[str]:
    """Return the distinct captions of an image, from rows without other images."""
    own = [item.caption for item in picture.items if item.caption and len(item.images) == 1]
    return list(dict.fromkeys(own))


def conversation_rows(
    picture: Picture, figures: dict[ImageFile, dict[str, Any]], captions: bool
) -> list[dict[str, Any]]:
    """Return the `conversations` rows of the items whose first image is `picture`.

    With `captions`, items without turns become a question for the caption.
    """
    talks, asked = [], set()
    for item in picture.items:
        if item.images[0] != picture.path or not all(path in figures for path in item.images):
            continue
        turns, task = item.turns, ANSWERED
        if not turns and captions and item.caption and item.caption not in asked:
            turns, task = [(QUERY, item.caption)], "caption"
            asked.add(item.caption)
        if turns:
            shown = [figures[path] for path in item.images]
            talk = conversation(
                shown,
                turns,
                teacher=item.facts.get("teacher", TEACHER),
                task=task,
                task_version=TASK_VERSION,
            )
            if item.caption:
                talk["orig_caption"] = item.caption
            talks.append(talk)
    return talks
