"""Repos on disk: contents by hash, commits and refs as JSON.

A commit is a JSON file with its whole tree; its name is the sha1 of that JSON (these are not git
objects). A repo's `refs.json` lists the commits and the targets of its branches, tags and pull
requests. Contents are written first, then the commit, then `refs.json`: replacing that file makes a
commit visible, so a killed server leaves either the old state or the new one.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from cephalo.hub.disk import Disk, make_folder
from cephalo.hub.names import KINDS, RepoName

GIT_KEY = "git-"  # before the git hash of a content whose sha256 upstream did not state


class NotThere(LookupError):
    """`code` is the Hub's `X-Error-Code`: RepoNotFound, RevisionNotFound or EntryNotFound."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class FileEntry:
    """One file of a tree.

    `size` is in bytes. `oid` is git's sha1 of the content, or of the LFS pointer if `lfs` is set.
    `xet` is the Xet file hash if the content can be fetched over Xet.
    """

    size: int
    oid: str
    sha256: str
    lfs: bool = False
    xet: str | None = None

    @property
    def etag(self) -> str:
        """The tag by which a client recognizes a file."""
        return self.sha256 if self.lfs else self.oid


@dataclass(frozen=True)
class Commit:
    """`date` is ISO 8601 in UTC; `tree` maps paths to files; `parent` is None for the first."""

    sha: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    tree: dict[str, FileEntry]


@dataclass
class RepoState:
    """The content of `refs.json`.

    `refs` maps full names (refs/heads/main, refs/tags/v1, refs/pr/1) to commits; `commits` lists
    every commit that was ever visible, oldest first; `pulls` has title, author, date, status and
    events of each pull request, the first of which has number 1. `upstream` is the Hub from which
    the repo was fetched (see `mirror`), "" for one of this hub.
    """

    key: str = field(default_factory=lambda: secrets.token_hex(12))
    private: bool = False
    created: str = field(default_factory=lambda: now())
    refs: dict[str, str] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    upstream: str = ""

    def resolve(self, revision: str) -> str:
        """Return the commit of a branch, a tag, a full ref or the first 7 to 40 digits of a commit.

        Raises NotThere.
        """
        for ref in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if ref in self.refs:
                return self.refs[ref]
        if re.fullmatch(r"[0-9a-f]{7,40}", revision):
            for sha in self.commits:
                if sha.startswith(revision):
                    return sha
        raise NotThere("RevisionNotFound", f"Invalid rev id: {revision[:200]}")

    def branch(self, revision: str) -> str | None:
        """Return the full name of a branch or pull request, or None if it is neither."""
        for ref in (f"refs/heads/{revision}", revision):
            if ref in self.refs and not ref.startswith("refs/tags/"):
                return ref
        return None

    def new_pull(self, title: str, author: str, commit: str, base: str = "refs/heads/main") -> int:
        """Open a pull request against the branch `base` at `commit` and return its number."""
        self.pulls.append({"title": title, "author": author, "created": now(), "base": base})
        self.refs[f"refs/pr/{len(self.pulls)}"] = commit
        return len(self.pulls)


class Store:
    """Every repo and every content of one root."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._lock = threading.Lock()
        # A tree can have thousands of files and is read once per file: cache the last few.
        self._read_commit_cached = lru_cache(maxsize=8)(self._read_commit)

    # --- contents

    def folder(self, namespace: str) -> Path:
        """Return the folder of a namespace's contents."""
        return self.disk.root / "store" / namespace

    def object_path(self, namespace: str, sha256: str) -> Path:
        """Return the path of the content with this sha256, whether it exists or not."""
        return self.folder(namespace) / "objects" / sha256[:2] / sha256

    def add_content(self, namespace: str, data: bytes) -> FileEntry:
        """Store a small file and describe it as git does: a plain blob."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.object_path(namespace, sha256)
        if not path.exists():
            self.disk.write(path, data)
        return FileEntry(len(data), git_blob_sha1(data), sha256)

    def lfs_entry(self, namespace: str, sha256: str, xet: str | None) -> FileEntry:
        """Describe a stored large file as git does: an LFS pointer. Raises FileNotFoundError."""
        size = self.object_path(namespace, sha256).stat().st_size
        oid = git_blob_sha1(lfs_pointer(sha256, size))
        return FileEntry(size, oid, sha256, lfs=True, xet=xet)

    def share_content(self, source: str, target: str, sha256: str) -> None:
        """Link a content into another namespace: one file with two names. Raises NotThere."""
        path = self.object_path(target, sha256)
        if not path.exists():
            if not self.object_path(source, sha256).exists():
                raise NotThere("EntryNotFound", "A content was not fetched from upstream yet")
            make_folder(path.parent)
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(self.object_path(source, sha256))

    # --- repos

    def repo_path(self, repo: RepoName) -> Path:
        """Return the folder of a repo's refs and commits."""
        return self.disk.root / "repos" / f"{repo.kind}s" / repo.namespace / repo.name

    def names(self, kind: str) -> Iterator[RepoName]:
        """Yield every repo of a kind, in alphabetical order."""
        assert kind in KINDS
        for path in sorted((self.disk.root / "repos" / f"{kind}s").glob("*/*/refs.json")):
            yield RepoName(kind, path.parts[-3], path.parts[-2])

    def spelled(self, repo: RepoName) -> RepoName:
        """Return the repo with this name up to capitals; `repo` itself if there is none."""
        if self.repo_path(repo).exists():
            return repo
        wanted = repo.id.casefold()
        for path in (self.disk.root / "repos" / f"{repo.kind}s").glob("*"):
            if path.name.casefold() == repo.namespace.casefold():
                for folder in path.glob("*"):
                    if f"{path.name}/{folder.name}".casefold() == wanted:
                        return RepoName(repo.kind, path.name, folder.name)
        return repo

    def load(self, repo: RepoName) -> RepoState:
        """Return the state of a repo. Raises NotThere."""
        try:
            data = (self.repo_path(repo) / "refs.json").read_bytes()
        except FileNotFoundError as error:
            raise NotThere("RepoNotFound", "Repository not found") from error
        return RepoState(**json.loads(data))

    @contextmanager
    def edit(self, repo: RepoName) -> Iterator[RepoState]:
        """Yield the state of a repo; changes by the block become visible at its end, atomically.

        One writer at a time. Nothing is written if the block raises. Raises NotThere.
        """
        with self._lock:
            state = self.load(repo)
            yield state
            self._save(self.repo_path(repo), state)

    def create(
        self,
        repo: RepoName,
        private: bool,
        first: dict[str, FileEntry],
        title: str = "initial commit",
    ) -> bool:
        """Create a repo whose branch `main` has one commit; return False if it exists already."""
        with self._lock:
            if self.repo_path(self.spelled(repo)).exists():
                return False
            # Built under tmp/ and renamed: a repo without a commit is never visible.
            folder = self.disk.tmp / secrets.token_hex(16)
            state = RepoState(private=private)
            sha = self._write_commit(folder, None, first, title, "", repo.namespace)
            state.refs["refs/heads/main"] = sha
            state.commits.append(sha)
            self._save(folder, state)
            self.disk.move_folder(folder, self.repo_path(repo))
            return True

    def delete(self, repo: RepoName) -> None:
        """Delete the repo's refs and commits. Raises NotThere."""
        with self._lock:
            self.load(repo)
            self.disk.drop_folder(self.repo_path(repo))

    def move(self, repo: RepoName, target: RepoName) -> bool:
        """Rename a repo within its namespace; return False if `target` exists. Raises NotThere."""
        with self._lock:
            self.load(repo)
            taken = self.spelled(target)  # `repo` itself if only its capitals change
            if self.repo_path(taken).exists() and (taken == target or taken != repo):
                return False
            self.disk.move_folder(self.repo_path(repo), self.repo_path(target))
            self.disk.write(self._moved_path(repo), json.dumps(target.id).encode())
            return True

    def moved(self, repo: RepoName) -> RepoName | None:
        """Return the new name of a missing repo, or None if unknown."""
        seen: set[RepoName] = set()
        while repo not in seen and not self.repo_path(repo).exists():
            seen.add(repo)
            try:
                target = json.loads(self._moved_path(repo).read_bytes())
            except FileNotFoundError:
                return None
            repo = RepoName(repo.kind, *target.split("/"))
        return repo if seen and repo not in seen else None

    def _moved_path(self, repo: RepoName) -> Path:
        folder = self.disk.root / "moved" / f"{repo.kind}s" / repo.namespace
        return folder / f"{repo.name}.json"

    # --- commits

    def commit(self, repo: RepoName, sha: str) -> Commit:
        """Return a commit named by `RepoState.resolve` or a commit's `parent`. Raises NotThere."""
        try:
            return self._read_commit_cached(self.repo_path(repo) / "commits" / f"{sha}.json")
        except FileNotFoundError as error:
            # The repo was deleted or moved since its state was read.
            raise NotThere("RepoNotFound", "Repository not found") from error

    def history(self, repo: RepoName, sha: str) -> Iterator[Commit]:
        """Yield the commit and its ancestors, newest first."""
        parent: str | None = sha
        while parent is not None:
            commit = self.commit(repo, parent)
            yield commit
            parent = commit.parent

    def add_commit(
        self,
        repo: RepoName,
        state: RepoState,
        parent: str | None,
        tree: dict[str, FileEntry],
        title: str,
        message: str,
        author: str,
    ) -> str:
        """Write a commit and list it in `state`; within `edit`, the caller then moves a ref."""
        sha = self._write_commit(self.repo_path(repo), parent, tree, title, message, author)
        state.commits.append(sha)
        return sha

    def without(self, repo: RepoName, state: RepoState, sha256s: set[str]) -> None:
        """Rewrite the history without some contents; within `edit`."""
        renamed: dict[str, str] = {}
        for sha in state.commits:
            commit = self.commit(repo, sha)
            kept = {
                path: entry for path, entry in commit.tree.items() if entry.sha256 not in sha256s
            }
            parent = None if commit.parent is None else renamed[commit.parent]
            if len(kept) < len(commit.tree) or parent != commit.parent:
                written = commit.title, commit.message, commit.author, commit.date
                sha = self._write_commit(self.repo_path(repo), parent, kept, *written)
            renamed[commit.sha] = sha
        state.commits = list(dict.fromkeys(renamed[sha] for sha in state.commits))
        state.refs = {ref: renamed[sha] for ref, sha in state.refs.items()}
        for pull in state.pulls:
            if "merged" in pull:
                pull["merged"] = renamed[pull["merged"]]

    def _write_commit(
        self,
        folder: Path,
        parent: str | None,
        tree: dict[str, FileEntry],
        title: str,
        message: str,
        author: str,
        date: str | None = None,
    ) -> str:
        body = {
            "parent": parent,
            "title": title,
            "message": message,
            "author": author,
            "date": date or now(),
            # Two identical changes in one millisecond are two commits.
            "nonce": secrets.token_hex(8),
            "tree": {path: dataclasses.astuple(entry) for path, entry in tree.items()},
        }
        data = json.dumps(body).encode()
        sha = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        self.disk.write(folder / "commits" / f"{sha}.json", data)
        return sha

    def keep_mirrored(self, repo: RepoName, state: RepoState, commit: Commit) -> None:
        """Write a commit of another Hub under its name there."""
        body = dataclasses.asdict(commit) | {"nonce": ""}
        del body["sha"]
        body["tree"] = {path: dataclasses.astuple(entry) for path, entry in commit.tree.items()}
        folder = self.repo_path(repo)
        with self._lock:
            self.disk.write(folder / "commits" / f"{commit.sha}.json", json.dumps(body).encode())
            self._save(folder, state)

    def _read_commit(self, path: Path) -> Commit:
        body = json.loads(path.read_bytes())
        del body["nonce"]
        body["tree"] = {name: FileEntry(*entry) for name, entry in body["tree"].items()}
        return Commit(sha=path.stem, **body)

    def _save(self, folder: Path, state: RepoState) -> None:
        self.disk.write(folder / "refs.json", json.dumps(dataclasses.asdict(state)).encode())


def now() -> str:
    """Return the time in UTC as the Hub writes it, to the millisecond."""
    return as_told(datetime.now(UTC))


def as_told(time: datetime) -> str:
    """Format a time as the Hub writes it, in UTC to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def git_blob_sha1(data: bytes) -> str:
    """Return git's name of a file with this content, in hex."""
    return hashlib.sha1(git_blob_start(len(data)) + data, usedforsecurity=False).hexdigest()


def git_blob_start(size: int) -> bytes:
    """Return what git hashes before the `size` bytes of a file."""
    return b"blob %d\0" % size


def lfs_pointer(sha256: str, size: int) -> bytes:
    """Return the text that git stores in place of a large file of `size` bytes (git-lfs
    docs/spec.md)."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
    ).encode()
