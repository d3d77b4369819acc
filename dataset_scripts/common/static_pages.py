"""Static HTML pages: one file if it is small, else several files with separate images.

The pages of NAME.html are NAME.html, NAME-2.html, ...; the images are NAME_files/*.jpg.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cephalo.cli.files import replacing

MAX_FIGURES = 200  # figures per page, which is about 10 MB with inline images


@dataclass(frozen=True)
class PageLink:
    """A link to a page: its file, its number from 1, and whether it is the current page."""

    file: str
    number: int
    here: bool


class StaticPages:
    """Writes the files of NAME.html, and removes those of an earlier run."""

    def __init__(self, page: Path, count: int) -> None:
        """Set the first page, NAME.html, and the number of pages. One page has inline images."""
        self.page, self.count = page, max(1, count)
        self.pictures = page.with_name(f"{page.stem}_files")
        self._used: set[str] = set()

    def name(self, number: int) -> str:
        """Return the file name of a page, by its number from 1."""
        return self.page.name if number == 1 else f"{self.page.stem}-{number}{self.page.suffix}"

    def links(self, number: int) -> list[PageLink]:
        """Return the links to all pages for page `number`; empty for a single page."""
        numbers = range(1, self.count + 1) if self.count > 1 else ()
        return [PageLink(self.name(one), one, one == number) for one in numbers]

    def picture(self, jpeg: bytes) -> str:
        """Return the address of a JPEG image: a separate file, or a data URI."""
        if self.count == 1:
            return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
        name = f"{hashlib.sha256(jpeg).hexdigest()[:24]}.jpg"
        path = self.pictures / name
        if name not in self._used and not path.exists():
            self.pictures.mkdir(exist_ok=True)
            with replacing(path) as aside:
                aside.write_bytes(jpeg)
        self._used.add(name)
        return f"{self.pictures.name}/{name}"

    def write(self, number: int, pieces: Iterable[str]) -> None:
        """Write a page atomically. Lone surrogates, which UTF-8 cannot encode, become "?"."""
        with (
            replacing(self.page.with_name(self.name(number))) as aside,
            aside.open("w", encoding="utf-8", errors="replace") as file,
        ):
            for piece in pieces:
                file.write(piece)

    def close(self) -> None:
        """Remove pages and images of an earlier run."""
        for path in self.page.parent.glob(f"{self.page.stem}-*{self.page.suffix}"):
            found = re.fullmatch(rf"{re.escape(self.page.stem)}-([0-9]+)", path.stem)
            if found and int(found[1]) > self.count:
                path.unlink()
        for path in self.pictures.glob("*.jpg"):
            if path.name not in self._used:
                path.unlink()
        if self.pictures.is_dir() and not any(self.pictures.iterdir()):
            self.pictures.rmdir()


def groups_of(counts: Iterable[tuple[Path, int]], most: int) -> Iterator[list[Path]]:
    """Yield groups of consecutive files with at most `most` figures. A file is never divided."""
    group: list[Path] = []
    size = 0
    for path, count in counts:
        if group and size + count > most:
            yield group
            group, size = [], 0
        group.append(path)
        size += count
    if group:
        yield group
