"""Source checkpoints, downloaded at a pinned revision and read by their headers only."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import constants, snapshot_download

from cephalo.cli.errors import CephaloError, hub_failure
from cephalo.cli.json_files import parse_object
from cephalo.cli.weights import read_header, weight_files
from cephalo.model_cards.hub_names import resolve, split_revision

# The name of a tensor of a decoder layer: prefix, index, rest. There are several spellings: those
# of published checkpoints, and those that transformers saves today.
DECODER_LAYER = re.compile(
    r"((?:model\.|(?:model\.)?(?:language_model|text_model)\.(?:model\.)?)layers\.)(\d+)(\..+)"
)
CHECKPOINT_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model")


@dataclass(frozen=True)
class Tensor:
    """A tensor as described by a safetensors header: dtype such as "BF16", and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """A folder with config.json and safetensors.

    Attributes:
        name: Where it is from.
        revision: SHA of the commit, None for a folder.
        spelling: Names for its tensors to be used instead of those in its files.
    """

    name: str
    revision: str | None
    folder: Path
    spelling: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Return config.json. Raises CephaloError if it is missing or broken."""
        try:
            return parse_object((self.folder / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise CephaloError(
                f"{self.name} is not a checkpoint: its config.json: {error}"
            ) from error

    @cached_property
    def weight_files(self) -> list[Path]:
        """Return model.safetensors, or the files in model.safetensors.index.json.

        Raises CephaloError if one is missing.
        """
        return weight_files(self.folder, self.name)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor, from the headers of the files."""
        return {
            self.spelling.get(name, name): Tensor(entry["dtype"], tuple(entry["shape"]))
            for path in self.weight_files
            for name, entry in read_header(path).items()
            if name != "__metadata__"
        }

    @property
    def family(self) -> str:
        """Return its model_type. Raises CephaloError if it has none."""
        family = self.config.get("model_type")
        if not isinstance(family, str):
            raise CephaloError(
                f"{self.name} is not a checkpoint: its config.json has no model_type"
            )
        return family

    @cached_property
    def layer_prefix(self) -> str:
        """Return what precedes the index of a decoder layer in the names of its tensors.

        Raises CephaloError if there is no layer, or if there are several stacks of layers.
        """
        prefixes = sorted({match[1] for match, _ in self.layer_tensors()})
        if len(prefixes) == 1:
            return prefixes[0]
        found = f"decoder layers as {' and '.join(prefixes)}N" if prefixes else "no decoder layers"
        raise CephaloError(
            f"{self.name} is a {self.family} model with {found}; it cannot be merged"
        )

    @cached_property
    def layers(self) -> list[dict[str, Tensor]]:
        """Return the tensors of each decoder layer in the files, by their names after the index."""
        found: dict[int, dict[str, Tensor]] = {}
        for match, tensor in self.layer_tensors():
            found.setdefault(int(match[2]), {})[match[3]] = tensor
        return [found.get(number, {}) for number in range(max(found, default=-1) + 1)]

    def layer_tensors(self) -> Iterator[tuple[re.Match[str], Tensor]]:
        """Yield the tensors of decoder layers, with the parts of their names."""
        for name, tensor in self.tensors.items():
            if match := DECODER_LAYER.fullmatch(name):
                yield match, tensor

    def other_tensors(self) -> dict[str, Tensor]:
        """Return all tensors outside the decoder layers."""
        return {
            name: tensor
            for name, tensor in self.tensors.items()
            if not DECODER_LAYER.fullmatch(name)
        }


def fetch(name: str) -> Checkpoint:
    """Return the checkpoint of a folder, or of a Hub id with an optional @REVISION.

    Raises CephaloError if there is none, if it cannot be a source, or if the Hub does not answer.
    """
    checkpoint = find_checkpoint(name)
    check_source(checkpoint)
    return checkpoint


def check_source(checkpoint: Checkpoint) -> None:
    """Raise CephaloError for an adapter, and for quantized weights."""
    from modeling_cephalo.checkpoint import check_whole, quantized

    check_whole(checkpoint.folder, checkpoint.name)
    if method := quantized(checkpoint.config):
        raise CephaloError(
            f"{checkpoint.name} is quantized ({method}), so its weights are codes that cannot be "
            "merged; give the model that was quantized, or save it dequantized, in bfloat16"
        )


def find_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint of a folder or of a Hub id; see `fetch`."""
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
    """Compute the SHA-256 of each weight file in another thread.

    It starts while libraries load, and leaves the files in the system's cache for the copy that
    follows.
    """
    paths = dict.fromkeys(path for own in checkpoints for path in own.weight_files)
    pool = ThreadPoolExecutor(1)
    try:
        yield {path: pool.submit(sha256_of, path) for path in paths}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sources(checkpoints: Iterable[Checkpoint]) -> None:
    """Raise CephaloError if a source is incomplete: the first with its tokenizer and processor,
    which the result inherits, the others with their weights."""
    from modeling_cephalo.checkpoint import check_model, check_weights

    first, *others = dict.fromkeys(checkpoint.folder for checkpoint in checkpoints)
    check_model(first)
    for folder in others:
        check_weights(folder)


def check_ranges(checkpoints: Iterable[Checkpoint], ranges: Iterable[tuple[int, int]]) -> None:
    """Raise CephaloError for a layer range outside its source and for sources of another family
    than the first, with the names."""
    checkpoints = list(checkpoints)
    first = checkpoints[0]
    for checkpoint, (start, end) in zip(checkpoints, ranges, strict=True):
        if checkpoint.family != first.family:
            raise CephaloError(
                f"{checkpoint.name} is {checkpoint.family}, {first.name} is {first.family}; "
                "layers stack within one family only"
            )
        if checkpoint.layer_prefix and end > len(checkpoint.layers):
            raise CephaloError(
                f"layers [{start}, {end}) of {checkpoint.name}: it has only "
                f"{len(checkpoint.layers)}"
            )
