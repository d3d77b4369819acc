"""Validate names of repos, refs and files in a repo. Every check returns its argument.

Repo names follow the Hub's own grammar (`huggingface_hub.utils.validate_repo_id`), refs a subset of
`git check-ref-format`. File paths never become paths on this server's disk, where contents are
named by hash; they become paths on the disk of downloaders, so paths that could leave their folder
are rejected here.
"""

import re
import unicodedata
from typing import NamedTuple

KINDS = ("model", "dataset", "space")
URL_PREFIX = {"model": "", "dataset": "datasets/", "space": "spaces/"}

MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255  # NAME_MAX of common file systems

_NAME = re.compile(r"\w(?:[\w.-]{0,94}\w)?", re.ASCII)
_REF = re.compile(r"\w[\w./+-]{0,199}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
# First segments of this server's own addresses.
_RESERVED = {"api", "buckets", "cas", "datasets", "lfs", "oauth", "spaces"}


class BadName(ValueError):
    """A name outside the grammar; the message states the rule."""


class BadPath(BadName):
    """A path that could leave the downloader's folder."""


class RepoName(NamedTuple):
    """`kind` is "model", "dataset" or "space"."""

    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> str:
        """NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"

    @property
    def url_path(self) -> str:
        """The address of the repo's page, without the leading slash."""
        return f"{URL_PREFIX[self.kind]}{self.id}"


def check_name(name: str) -> str:
    """Validate a user's or a repo's name. Raises BadName."""
    if not _NAME.fullmatch(name) or "--" in name or ".." in name or name.endswith(".git"):
        raise BadName(
            f"{name[:100]!r} is not a valid name: use 1 to 96 letters, digits, '-', '_', '.', "
            "without '-' or '.' at either end, without '--' or '..', and without '.git' at the end"
        )
    return name


def check_user(name: str) -> str:
    """Validate a user's name, which is also a namespace. Raises BadName."""
    if name in _RESERVED:
        raise BadName(f"{name!r} is taken by the hub's own addresses")
    return check_name(name)


def check_repo(kind: str, namespace: str, name: str) -> RepoName:
    """Validate the name of a repo. Raises BadName."""
    if kind not in KINDS:
        raise BadName(f"{kind[:100]!r} is not a type of repo; use one of {', '.join(KINDS)}")
    repo = RepoName(kind, check_user(namespace), check_name(name))
    if len(repo.id) > 96:
        raise BadName(f"{repo.id!r} is longer than 96 characters")
    return repo


def check_ref(name: str) -> str:
    """Validate a branch or a tag. Raises BadName."""
    segments = name.split("/")
    if (
        not _REF.fullmatch(name)
        or name.startswith("refs/")
        or _COMMIT.fullmatch(name)
        or ".." in name
        or any(not part or part[0] == "." or part.endswith((".", ".lock")) for part in segments)
    ):
        raise BadName(f"{name[:100]!r} is not a valid name for a branch or a tag")
    return name


def check_path(path: str) -> str:
    """Validate a file's path inside a repo. Raises BadPath for paths that could leave the
    downloader's folder."""
    shown = repr(path[:100])
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise BadPath(f"the path {shown} is not valid Unicode") from error
    if not path or size > MAX_PATH_BYTES:
        raise BadPath(f"the path {shown} is empty or longer than {MAX_PATH_BYTES} bytes")
    if "\\" in path or any(unicodedata.category(char) == "Cc" for char in path):
        raise BadPath(f"the path {shown} has a backslash or a control character")
    if re.match(r"[A-Za-z]:", path):
        raise BadPath(f"the path {shown} starts with a drive")
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise BadPath(f"the path {shown} has an empty, '.' or '..' segment")
        if len(segment.encode()) > MAX_SEGMENT_BYTES:
            raise BadPath(f"the path {shown} has a segment over {MAX_SEGMENT_BYTES} bytes")
        if _as_file_systems_see_it(segment) in ("", ".git", "git~1"):
            raise BadPath(f"the path {shown} goes through a .git or a parent folder")
    return path


def _as_file_systems_see_it(segment: str) -> str:
    """Return `segment` without what some file system ignores; "" if only dots were left.

    macOS drops invisible characters (Unicode class Cf) and folds case; Windows drops dots and
    spaces at the end, cuts at a colon, and has the short name `git~1` for `.git`.
    """
    visible = "".join(char for char in segment if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", visible).casefold().split(":")[0].rstrip(". ")
