"""HTML pages to be shared: one file where it is small, else several, with their pictures in files.

Of NAME.html the others are NAME-2.html, ..., and the pictures NAME_files/*.jpg.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cephalo.cli.files import replacing

MAX_FIGURES = 200  # of a page; with their pictures inside, it has some 10 MB


@dataclass(frozen=True)
class PageLink:
    """A page among several: its file, its number from 1, and whether it is the one at hand."""

    file: str
    number: int
    here: bool


class StaticPages:
    """The files of NAME.html that are written anew; what an earlier run left is removed."""

    def __init__(self, page: Path, count: int) -> None:
        """`count`: the number of pages; of one alone the pictures are inside."""
        self.page, self.count = page, max(1, count)
        self.pictures = page.with_name(f"{page.stem}_files")
        self._used: set[str] = set()

    def name(self, number: int) -> str:
        """The file of a page, by its number from 1."""
        return self.page.name if number == 1 else f"{self.page.stem}-{number}{self.page.suffix}"

    def links(self, number: int) -> list[PageLink]:
        """The links to all pages, on the page of a number; none where it is the only one."""
        numbers = range(1, self.count + 1) if self.count > 1 else ()
        return [PageLink(self.name(one), one, one == number) for one in numbers]

    def picture(self, jpeg: bytes) -> str:
        """The address of a JPEG image: of a file beside, or the image itself."""
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
        """Write a page whole. Half a surrogate pair, which UTF-8 cannot hold, becomes "?"."""
        with (
            replacing(self.page.with_name(self.name(number))) as aside,
            aside.open("w", encoding="utf-8", errors="replace") as file,
        ):
            for piece in pieces:
                file.write(piece)

    def close(self) -> None:
        """Remove the pages and pictures of an earlier run that are not those of this one."""
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
    """Files in their order, in groups of at most so many figures; a file is never parted."""
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
