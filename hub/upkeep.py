"""Maintenance of a root that is not being served: garbage collection, checks and repairs."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.logs import no_bars
from cephalo.hub.cas import read_recipe, read_xorb, recipe_path, xorb_path
from cephalo.hub.names import KINDS, RepoName
from cephalo.hub.store import GIT_KEY, FileEntry, NotThere, Store, git_blob_start
from cephalo.hub.xet import BadXet, ShardFile, unpack_chunk

READ_BYTES = 1 << 20


@dataclass
class Named:
    """The contents that the commits of a namespace name, each with one of its paths.

    Those in `later` may be missing, since they are fetched from upstream on demand.
    """

    contents: dict[str, str] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    commits: set[Path] = field(default_factory=set)


def named(store: Store) -> dict[str, Named]:
    """Return what the commits of each namespace name. Raises CephaloError if one is invalid."""
    found: dict[str, Named] = {path.name: Named() for path in (store.disk.root / "store").glob("*")}
    for kind in KINDS:
        for repo in store.names(kind):
            of = found.setdefault(repo.namespace, Named())
            state = store.load(repo)
            for sha in state.commits:
                commit = store.repo_path(repo) / "commits" / f"{sha}.json"
                of.commits.add(commit)
                for path, entry in _tree(store, repo, sha, commit).items():
                    of.contents.setdefault(entry.sha256, f"{repo.url_path}: {path}")
                    if state.upstream:
                        of.later.add(entry.sha256)
    return found


def _tree(store: Store, repo: RepoName, sha: str, path: Path) -> dict[str, FileEntry]:
    """Return the files of a commit. Raises CephaloError before anything is changed on incomplete
    information."""
    try:
        return store.commit(repo, sha).tree
    except (NotThere, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CephaloError(f"{path} is missing or corrupt; restore it from a backup") from error


# --- gc


@dataclass
class Freed:
    """`files` were deleted, with `size` bytes in total."""

    files: int = 0
    size: int = 0

    def drop(self, path: Path) -> None:
        """Delete a file and count it; a content with a second name frees no space yet."""
        status = path.stat()
        self.files += 1
        self.size += status.st_size if status.st_nlink == 1 else 0
        path.unlink()


def collect(store: Store) -> Freed:
    """Delete contents, chunks, recipes and commits that no repo names."""
    freed, everything = Freed(), named(store)
    for namespace, names in everything.items():
        _collect_namespace(store, namespace, names, freed)
    commits = {path for names in everything.values() for path in names.commits}
    for path in (store.disk.root / "repos").glob("*/*/*/commits/*.json"):
        if path not in commits:
            freed.drop(path)
    return freed


def _collect_namespace(store: Store, namespace: str, names: Named, freed: Freed) -> None:
    folder = store.folder(namespace)
    for path in folder.glob("objects/*/*"):
        if path.name not in names.contents:
            freed.drop(path)
    kept = set()
    for path in folder.glob("xet/*/*.json"):
        if path.parent.name == "files" and path.stem in names.contents:
            kept |= _xorbs_of(path)
        else:
            freed.drop(path)
    unused = [path for path in folder.glob("xorbs/*/*") if path.name not in kept]
    if unused:
        _change_xet_address(store)
    for path in unused:
        freed.drop(path)


def _xorbs_of(recipe: Path) -> set[str]:
    """Return the xorbs of a recipe, empty if it is invalid."""
    try:
        return {term.xorb for term in read_recipe(recipe).terms}
    except (ValueError, TypeError):
        return set()


def _change_xet_address(store: Store) -> None:
    """Change the Xet address, by which clients remember which chunks exist and are not sent
    again."""
    store.disk.write(store.disk.root / "generation", secrets.token_hex(8).encode())


# --- check


@dataclass
class Checked:
    """The result of a check: the number of `contents`, and where the `mended` and `lost` ones are
    named."""

    contents: int = 0
    mended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)


def check(store: Store) -> Checked:
    """Read every referenced content; repair those that are missing or do not match their hash.

    A content is assembled again from its Xet chunks, or copied from another namespace. What cannot
    be repaired is moved to ROOT/corrupt, so that pushing the file again restores it. The same
    applies to Xet chunks that no longer produce their content; the file itself is still served.
    """
    result, everything = Checked(), named(store)
    total = sum(len(names.contents) for names in everything.values())
    with tqdm(total=total, desc="checking", unit="file", delay=2, disable=no_bars()) as progress:
        for namespace, names in everything.items():
            others = [other for other in everything if other != namespace]
            broken = []
            for key in names.contents:
                here = key not in names.later or store.object_path(namespace, key).exists()
                if here and not _check_content(store, namespace, names, key, result, others):
                    broken.append(recipe_path(store, namespace, True, key))
                progress.update()
            if broken:
                _drop_chunks(store, namespace, broken)
    return result


def _check_content(
    store: Store, namespace: str, names: Named, key: str, result: Checked, others: list[str]
) -> bool:
    """Check one content and repair it. Returns False if its Xet chunks no longer produce it."""
    place = names.contents[key]
    path = store.object_path(namespace, key)
    recipe = recipe_path(store, namespace, True, key)
    result.contents += 1
    chunked = not recipe.exists() or _digest_of_chunks(store, namespace, recipe) == key
    if not path.exists() or key_of(path, key) != key:
        copies = (store.object_path(other, key) for other in others)
        source = next((one for one in copies if one.exists() and key_of(one, key) == key), None)
        if recipe.exists() and chunked:
            _write(store, path, _pieces(store, namespace, read_recipe(recipe)))
        elif source is not None:
            _write(store, path, _blocks(source))
        else:
            _set_aside(store, namespace, path)
            if key not in names.later:  # upstream will be asked again
                result.lost.append(place)
                return chunked
        result.mended.append(place)
    if not chunked:
        result.chunks.append(place)
    return chunked


def _drop_chunks(store: Store, namespace: str, broken: list[Path]) -> None:
    """Delete recipes whose chunks are corrupt, with the xorbs that they name.

    A xorb does not identify the corrupt chunk, so all recipes that name it are deleted.
    """
    xorbs = set().union(*map(_xorbs_of, broken))
    for recipe in store.folder(namespace).glob("xet/*/*.json"):
        if recipe in broken or not xorbs.isdisjoint(_xorbs_of(recipe)):
            recipe.unlink()
    for xorb in xorbs:
        _set_aside(store, namespace, xorb_path(store, namespace, xorb))
    _change_xet_address(store)


def key_of(path: Path, like: str) -> str:
    """Return the name that a content should have: its sha256, or its git hash if `like` is one."""
    digest = hashlib.sha256()
    if like.startswith(GIT_KEY):
        digest = hashlib.sha1(git_blob_start(path.stat().st_size), usedforsecurity=False)
    for block in _blocks(path):
        digest.update(block)
    return (GIT_KEY if like.startswith(GIT_KEY) else "") + digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            yield block


def _pieces(store: Store, namespace: str, recipe: ShardFile) -> Iterator[bytes]:
    for term in recipe.terms:
        data, chunks = read_xorb(xorb_path(store, namespace, term.xorb))
        for chunk in chunks[term.start : term.end]:
            yield unpack_chunk(data, chunk)


def _digest_of_chunks(store: Store, namespace: str, path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        for piece in _pieces(store, namespace, read_recipe(path)):
            digest.update(piece)
    except (BadXet, FileNotFoundError, ValueError, TypeError):
        return None
    return digest.hexdigest()


def _write(store: Store, path: Path, blocks: Iterator[bytes]) -> None:
    with store.disk.stage() as staged:
        for block in blocks:
            staged.write(block)
        staged.publish(path)


def _set_aside(store: Store, namespace: str, path: Path) -> None:
    if path.exists():
        aside = store.disk.root / "corrupt" / namespace / path.name
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
