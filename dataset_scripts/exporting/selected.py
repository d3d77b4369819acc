"""What is exported: the figures and conversations that people and `--where` leave."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from cephalo.cli.errors import CephaloError
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import conditions_on, takes
from cephalo.dataset_scripts.common.conversations import ANSWERED, turns_in
from cephalo.dataset_scripts.common.corrected import left_out
from cephalo.dataset_scripts.common.tables import Tables, config_rows

IMAGES = "images"
ENDINGS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp"}
"""Of image files, by Pillow's format."""
REASONS = {
    "person": "that a person rejected",
    "uncropped": "without an image of their corrected box",
    "where": "to which --where does not apply",
    "figure": "about figures that are left out",
    "corrected": "that quote a caption which was corrected since",
}
"""Why rows are left out, as it is told."""


class Picture(NamedTuple):
    """An encoded image, and the name of its file."""

    name: str
    data: bytes


class Talk(NamedTuple):
    """A conversation: its row, its images and its turns (question, answer)."""

    row: dict[str, Any]
    pictures: list[Picture]
    turns: list[tuple[str, str]]


class Selected:
    """The rows of tables that are exported; `left_out` counts the others by the reason."""

    def __init__(self, tables: Tables, where: str | None) -> None:
        """Raises CephaloError where `where` cannot be evaluated."""
        self.tables = tables
        self.where: dict[str, Where] = conditions_on(tables, where)
        self.left_out: Counter[str] = Counter()
        # By document and pixels, the figures that are exported, with a caption that was corrected.
        self._kept: dict[tuple[str, str], str] | None = None

    def figures(self, images: bool = True) -> Iterator[dict[str, Any]]:
        """The figures as people corrected them, in their order."""
        condition = self.where.get("figures")
        for _, row in config_rows("figures", self.tables, images):
            reason = left_out(row) or (None if takes(condition, row) else "where")
            if reason:
                self.left_out[f"figures {REASONS[reason]}"] += 1
            else:
                yield row

    def talks(self) -> Iterator[Talk]:
        """The conversations about these figures, without those that quote a caption which was
        corrected since. Where there are none, the captions make them."""
        condition = self.where.get("conversations")
        for _, row in config_rows("conversations", self.tables):
            reason = self.reason(row) or (None if takes(condition, row) else "where")
            if reason:
                self.left_out[f"conversations {REASONS[reason]}"] += 1
                continue
            pictures = [picture_of(image, row["document"]) for image in row["images"]]
            yield Talk(row, pictures, turns_in(row))

    def reason(self, row: dict[str, Any]) -> str | None:
        """Why a conversation is not exported; None if it is."""
        if not self.tables["figures"]:
            return None
        kept = self.kept()
        for figure in row["figures"]:
            caption = kept.get((row["document_sha256"], figure["image_sha256"]))
            if caption is None:
                return "figure"
            if caption not in (row["orig_caption"] or "") and row["task"] != ANSWERED:
                return "corrected"
        return None

    def kept(self) -> dict[tuple[str, str], str]:
        """The figures that are exported, each with its caption where a person corrected it, else
        an empty text."""
        if self._kept is None:
            before = Counter(self.left_out)
            self._kept = {}
            for row in self.figures(images=False):
                verdict = row["verdict"]
                corrected = verdict is not None and "caption" in verdict.values
                key = row["document_sha256"], row["image_sha256"]
                self._kept[key] = row["caption"] if corrected else ""
            self.left_out = before  # those count where the figures are written
        return self._kept


def picture_of(image: dict[str, Any] | None, document: str) -> Picture:
    """An image of a row, named by what it holds. Raises CephaloError if it is none."""
    data = (image or {}).get("bytes") or b""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            ending = ENDINGS[opened.format or ""]
    except (UnidentifiedImageError, KeyError, OSError, SyntaxError, ValueError) as error:
        raise CephaloError(
            f"an image of {document} cannot be read; remove its shard and run the step that made it"
        ) from error
    return Picture(f"{hashlib.sha256(data).hexdigest()[:24]}.{ending}", data)


def write_picture(picture: Picture, out: Path) -> str:
    """Write an image once to OUT/images; returns its path within OUT."""
    path = out / IMAGES / picture.name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture.data)
    return f"{IMAGES}/{picture.name}"
