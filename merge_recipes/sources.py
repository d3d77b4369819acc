"""Source checkpoints, downloaded at a pinned revision and read by their headers only."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import constants, snapshot_download

from cephalo.cli.errors import CephaloError, hub_failure
from cephalo.cli.json_files import parse_object
from cephalo.cli.weights import read_header, weight_files
from cephalo.model_cards.hub_names import resolve, split_revision

# Where a family keeps its decoder layers, and the key of its config that counts them. LLaVA-Next
# has two spellings: that of the published checkpoints and that of a fresh save.
TEXT_LAYERS = {
    "idefics2": (r"model\.text_model\.layers\.", "text_config.num_hidden_layers"),
    "llava_next": (
        r"(?:language_model\.model|model\.language_model)\.layers\.",
        "text_config.num_hidden_layers",
    ),
    "phi3_v": (r"model\.layers\.", "num_hidden_layers"),
}
CHECKPOINT_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")


@dataclass(frozen=True)
class Tensor:
    """A tensor as a safetensors header tells it: "BF16" and the like, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """A folder with config.json and safetensors; `name` and `revision` say where it is from."""

    name: str
    revision: str | None  # a commit sha; None for a folder
    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json. Raises CephaloError if it is missing or broken."""
        try:
            return parse_object((self.folder / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise CephaloError(
                f"{self.name} is not a checkpoint: its config.json: {error}"
            ) from error

    @cached_property
    def weight_files(self) -> list[Path]:
        """model.safetensors, or the files that model.safetensors.index.json names.

        Raises CephaloError if one is missing.
        """
        return weight_files(self.folder, self.name)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor, from the headers of the files."""
        return {
            name: Tensor(entry["dtype"], tuple(entry["shape"]))
            for path in self.weight_files
            for name, entry in read_header(path).items()
            if name != "__metadata__"
        }

    @property
    def family(self) -> str:
        """Its model_type. Raises CephaloError if it cannot be merged."""
        family = self.config.get("model_type")
        if family not in TEXT_LAYERS:
            raise CephaloError(
                f"{self.name} is of model_type {family!r}; only {', '.join(TEXT_LAYERS)} can merge"
            )
        return family

    @cached_property
    def layer_pattern(self) -> re.Pattern[str]:
        """Matches the name of a decoder-layer tensor: prefix, layer number, rest."""
        return re.compile(rf"({TEXT_LAYERS[self.family][0]})(\d+)(\..+)")

    @cached_property
    def layers(self) -> int:
        """The decoder layers that are in the files."""
        numbers = {
            int(match[2]) for name in self.tensors if (match := self.layer_pattern.fullmatch(name))
        }
        return max(numbers, default=-1) + 1

    def layer_template(self) -> dict[str, Tensor]:
        """The tensors of one decoder layer, named with "${layer_index}" for its number."""
        matches = ((self.layer_pattern.fullmatch(name), name) for name in self.tensors)
        return {
            f"{match[1]}${{layer_index}}{match[3]}": self.tensors[name]
            for match, name in matches
            if match and match[2] == "0"
        }

    def other_tensors(self) -> dict[str, Tensor]:
        """All tensors outside the decoder layers."""
        return {
            name: tensor
            for name, tensor in self.tensors.items()
            if not self.layer_pattern.fullmatch(name)
        }


def fetch(name: str) -> Checkpoint:
    """The checkpoint of a folder, or of a Hub id with an optional @REVISION.

    Raises CephaloError if there is none, or if the Hub does not answer.
    """
    folder = Path(name)
    if folder.is_dir():
        return Checkpoint(folder.name, None, folder)
    repo_id, revision = split_revision(name)
    sha = resolve(repo_id, revision).sha
    try:
        snapshot = snapshot_download(repo_id, revision=sha, allow_patterns=list(CHECKPOINT_FILES))
    except (httpx2.HTTPError, ConnectionError, ValueError) as error:
        raise hub_failure(error, constants.ENDPOINT, name) from error
    return Checkpoint(repo_id, sha, Path(snapshot))


@contextmanager
def hashed_meanwhile(checkpoints: Iterable[Checkpoint]) -> Iterator[dict[Path, Future[str]]]:
    """The SHA-256 of each weight file, being computed in another thread.

    It begins while libraries load, and what it reads the system keeps for the copy that follows.
    """
    paths = dict.fromkeys(path for own in checkpoints for path in own.weight_files)
    pool = ThreadPoolExecutor(1)
    try:
        yield {path: pool.submit(sha256_of, path) for path in paths}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sources(checkpoints: Iterable[Checkpoint]) -> None:
    """Raise CephaloError if a source is incomplete: the first with its tokenizer and processor,
    which the result takes over, the others with their weights."""
    from modeling_cephalo.checkpoint import check_model, check_weights

    first, *others = dict.fromkeys(checkpoint.folder for checkpoint in checkpoints)
    check_model(first)
    for folder in others:
        check_weights(folder)


def check_stackable(checkpoints: Iterable[Checkpoint], ranges: Iterable[tuple[int, int]]) -> None:
    """Reject sources that do not fit together.

    Raises CephaloError for a layer range outside its source and for sources of another family,
    another shape or another vocabulary than the first, with the names.
    """
    checkpoints = list(checkpoints)
    first = checkpoints[0]
    for checkpoint, (start, end) in zip(checkpoints, ranges, strict=True):
        if checkpoint.family != first.family:
            raise CephaloError(
                f"{checkpoint.name} is {checkpoint.family}, {first.name} is {first.family}; "
                "layers stack within one family only"
            )
        if end > checkpoint.layers:
            raise CephaloError(
                f"layers [{start}, {end}) of {checkpoint.name}: it has only {checkpoint.layers}"
            )
        ours = checkpoint.layer_template() | checkpoint.other_tensors()
        theirs = first.layer_template() | first.other_tensors()
        for name in sorted(ours.keys() | theirs.keys()):
            shapes = [part[name].shape if name in part else None for part in (ours, theirs)]
            if shapes[0] != shapes[1]:
                raise CephaloError(
                    f"{name} is {shapes[0]} in {checkpoint.name} and {shapes[1]} in {first.name}; "
                    "layers stack between models of the same shape and vocabulary only"
                )
