"""Apply a `.gitignore` by the rules of `git help gitignore`.

Patterns are untrusted: each segment is matched without backtracking, and the total time is bounded.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_GITIGNORE_BYTES = 64 << 10
MAX_PATTERNS = 1000
# Comparisons of a segment of a pattern with one of a path, which take about two seconds. The 256
# files of a preupload at a depth of 8 folders and 1000 patterns such as "*.log" take 23 million.
MAX_STEPS = 32_000_000


class BadGitignore(ValueError):
    """A `.gitignore` that takes too long to apply."""


@dataclass(frozen=True)
class Pattern:
    """One line. `segments` are separated by "/"; "**" matches any number of segments.

    `include` is set for a line that starts with "!"; `folders` for one that ends with "/".
    """

    segments: tuple[str, ...]
    include: bool
    folders: bool


def parse(text: str) -> list[Pattern]:
    """Return the patterns of a `.gitignore` in order. Raises BadGitignore."""
    if len(text) > MAX_GITIGNORE_BYTES:
        raise BadGitignore(f".gitignore is longer than {MAX_GITIGNORE_BYTES} bytes")
    patterns = [pattern for line in text.splitlines() if (pattern := _parse_line(line))]
    if len(patterns) > MAX_PATTERNS:
        raise BadGitignore(f".gitignore has more than {MAX_PATTERNS} patterns")
    return patterns


def check_steps(patterns: list[Pattern], paths: Iterable[str]) -> None:
    """Raise BadGitignore if matching the paths could take more than MAX_STEPS comparisons."""
    segments = sum(len(pattern.segments) for pattern in patterns)
    depths = (path.count("/") + 1 for path in paths)
    # Each folder of a path is matched; a segment of a pattern may be compared with each of its
    # parts.
    if segments * sum(depth * (depth + 1) // 2 for depth in depths) > MAX_STEPS:
        raise BadGitignore(".gitignore has too many patterns for folders this deep")


def _parse_line(line: str) -> Pattern | None:
    bare = line.rstrip(" ")
    # A space after a backslash is significant.
    line = f"{bare} " if bare.endswith("\\") and bare != line else bare
    if not line or line.startswith("#"):
        return None
    include = line.startswith("!")
    line = line[1:] if include else line
    folders = line.endswith("/")
    line = line.rstrip("/")
    # A pattern with a "/" at the start or in the middle is anchored, others match in any folder.
    anchored = "/" in line
    segments = tuple(line.lstrip("/").split("/"))
    if segments == ("",):
        return None
    return Pattern(segments if anchored else ("**", *segments), include, folders)


def ignores(patterns: list[Pattern], path: str) -> bool:
    """Return whether a file is ignored: by the last matching pattern, or within an ignored
    folder."""
    parts = tuple(path.split("/"))
    for depth in range(1, len(parts) + 1):
        verdict = False
        for pattern in patterns:
            if pattern.folders and depth == len(parts):
                continue
            if pattern.include == verdict and _matches(pattern.segments, parts[:depth]):
                verdict = not pattern.include
        if verdict:
            return True
    return False


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Return whether a path matches; "**" is matched lazily, and only the last one is extended."""
    at, place = 0, 0
    resume: tuple[int, int] | None = None
    while place < len(parts):
        if at < len(pattern) and pattern[at] == "**":
            # At the end, "a/**" matches what is in a, not a itself.
            resume = at, place + (at == len(pattern) - 1)
            at, place = at + 1, resume[1]
        elif at < len(pattern) and _segment(pattern[at])(parts[place]):
            at, place = at + 1, place + 1
        elif resume is not None:
            resume = resume[0], resume[1] + 1
            at, place = resume[0] + 1, resume[1]
        else:
            return False
    return at == len(pattern)


@lru_cache(maxsize=4096)
def _segment(glob: str) -> Callable[[str], object]:
    """Return the matcher of one segment. `fnmatch.translate` makes atomic groups of every "*"."""
    quoted = re.sub(
        r"\\(.)", lambda match: f"[{match[1]}]" if match[1] in "*?[" else match[1], glob
    )
    return re.compile(fnmatch.translate(quoted.replace("[^", "[!"))).match
