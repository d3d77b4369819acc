"""From items to rows of FIGURES and CONVERSATIONS."""

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

TEACHER = "import"  # where a table does not say who or what gave the answers
TASK_VERSION = "1"
POINTS = 72  # an inch; a pixel of an image is a point
KEPT = {"PNG": "RGB L", "JPEG": "RGB L"}  # formats, with modes, that are kept byte for byte
FACTS = ("title", "doi", "license", "author", "source_url")


class Picture:
    """An image file with the items about it, and the document that it belongs to.

    Attributes:
        path: the file, or the image of a dataset.
        name: the file, as it is told.
        items: rows that name it, in their order.
        document: of the document; "" where the image is one of its own.
        page: its place among the images of the document.
    """

    def __init__(self, path: ImageFile, name: str) -> None:
        self.path, self.name = path, name
        self.items: list[Item] = []
        self.document, self.page = "", 0


def pictures_of(items: Iterable[Item], folder: Path) -> list[Picture]:
    """The images of items, each once, in the order in which they are named first.

    Images that one row names together, or rows say to be of one document, are of one document, so
    that publication does not part them.
    """
    found: dict[ImageFile, Picture] = {}
    numbers: dict[ImageFile, int] = {}
    items = list(items)
    for item in items:
        for path in item.images:
            if path not in found:
                found[path] = Picture(path, told(path, folder))
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


def told(path: ImageFile, folder: Path) -> str:
    """A file within a folder, or its name alone."""
    if not isinstance(path, Path):
        return path.name
    folder = Path(os.path.normpath(folder))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def figure_row(picture: Picture) -> dict[str, Any]:
    """The row of FIGURES of an image. Raises CephaloError if it cannot be read.

    The image is a page of its own, with a point for each pixel.
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
    # With its name, since the same bytes under two names are two documents: publication takes a
    # document that comes again in a later shard for one that was read twice.
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
    """The bytes of an image that any decoder reads alike, and its pixels. Raises CephaloError."""
    try:
        image = open_image(io.BytesIO(data))
    except CephaloError as error:
        raise CephaloError(str(error).replace("the image", name, 1)) from error
    pixels = compact(np.asarray(image))
    with Image.open(io.BytesIO(data)) as header:
        plain = header.mode in KEPT.get(header.format or "", "").split() and reads_alike(header)
    return (data if plain else encode_png(pixels)), pixels


def captions_of(picture: Picture) -> list[str]:
    """The different captions of an image, of rows that name no other."""
    own = [item.caption for item in picture.items if item.caption and len(item.images) == 1]
    return list(dict.fromkeys(own))


def talks_of(
    picture: Picture, figures: dict[ImageFile, dict[str, Any]], captions: bool
) -> list[dict[str, Any]]:
    """The rows of CONVERSATIONS of the items whose first image is this one.

    With `captions` those that have no turns are asked for their caption.
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
