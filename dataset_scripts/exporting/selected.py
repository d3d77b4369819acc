"""Select the figures and conversations to export: corrected, not rejected, matching `--where`."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.cli.where import Where
from cephalo.dataset_scripts.common.chosen import conditions_on, takes
from cephalo.dataset_scripts.common.conversations import ANSWERED, turns_in
from cephalo.dataset_scripts.common.corrected import left_out
from cephalo.dataset_scripts.common.decisions import count_rejected
from cephalo.dataset_scripts.common.tables import Tables, config_rows

IMAGES = "images"
ENDINGS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "GIF": "gif", "TIFF": "tif", "BMP": "bmp"}
"""Extensions of image files by Pillow's format."""
REASONS = {
    "person": "that were rejected in review",
    "uncropped": "without an image of their corrected box",
    "where": "that do not match --where",
    "figure": "about figures that were left out",
    "corrected": "that quote a caption corrected since then",
}
"""Reasons for omitted rows, as shown to the user."""


class Picture(NamedTuple):
    """An encoded image and its file name."""

    name: str
    data: bytes


class Talk(NamedTuple):
    """A conversation: its row, images, and turns of (question, answer)."""

    row: Row
    pictures: list[Picture]
    turns: list[tuple[str, str]]


class Selected:
    """The exported rows of tables. `left_out` counts the omitted ones by reason."""

    def __init__(self, tables: Tables, where: str | None) -> None:
        """Prepare the selection of rows.

        Args:
            tables: Tables of figures and conversations.
            where: Condition on the rows, or `None`.

        Raises:
            CephaloError: If the condition cannot be evaluated.
        """
        self.tables = tables
        self.where: dict[str, Where] = conditions_on(tables, where)
        self.left_out: Counter[str] = Counter()
        # The exported figures by document and pixels, with their corrected captions.
        self._exported: dict[tuple[str, str], str] | None = None

    def figures(self, images: bool = True) -> Iterator[Row]:
        """Yield the figures with corrections, in order."""
        condition = self.where.get("figures")
        for _, row in config_rows("figures", self.tables, images):
            reason = left_out(row) or (None if takes(condition, row) else "where")
            if reason:
                self.left_out[f"figures {REASONS[reason]}"] += 1
            else:
                yield row

    def talks(self) -> Iterator[Talk]:
        """Yield the conversations about these figures, without outdated quotes of captions.

        Conversations that quote a caption corrected since then are omitted. If there are no
        conversations, they are made from the captions.
        """
        condition = self.where.get("conversations")
        if rejected := count_rejected(self.tables["conversations"]):
            self.left_out[f"conversations {REASONS['person']}"] += rejected
        for _, row in config_rows("conversations", self.tables):
            reason = self.reason(row) or (None if takes(condition, row) else "where")
            if reason:
                self.left_out[f"conversations {REASONS[reason]}"] += 1
                continue
            pictures = [picture_of(image, row["document"]) for image in row["images"]]
            yield Talk(row, pictures, turns_in(row))

    def reason(self, row: Row) -> str | None:
        """Return why a conversation is omitted, `None` if it is exported."""
        if not self.tables["figures"]:
            return None
        exported = self.exported()
        for figure in row["figures"]:
            caption = exported.get((row["document_sha256"], figure["image_sha256"]))
            if caption is None:
                return "figure"
            if caption not in (row["orig_caption"] or "") and row["task"] != ANSWERED:
                return "corrected"
        return None

    def exported(self) -> dict[tuple[str, str], str]:
        """Return the exported figures with their corrected captions, "" if not corrected."""
        if self._exported is None:
            before = Counter(self.left_out)
            self._exported = {}
            for row in self.figures(images=False):
                verdict = row["verdict"]
                corrected = verdict is not None and "caption" in verdict.values
                key = row["document_sha256"], row["image_sha256"]
                self._exported[key] = row["caption"] if corrected else ""
            self.left_out = before  # these are counted when the figures are written
        return self._exported


def picture_of(image: Row | None, document: str) -> Picture:
    """Return an image of a row, named by its content.

    Raises:
        CephaloError: If it cannot be read.
    """
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
    """Write an image to OUT/images unless it exists. Return its path within OUT."""
    path = out / IMAGES / picture.name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture.data)
    return f"{IMAGES}/{picture.name}"
