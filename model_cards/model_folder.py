"""Files of a model folder, and what they contain."""

import hashlib
import math
from pathlib import Path
from typing import Any

from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import read_object
from cephalo.cli.logs import no_bars
from cephalo.cli.weights import read_header
from cephalo.model_cards.hub_names import NAME

FACTS = "card.json"  # what the card is made from
LOSS_PLOT = "loss.png"

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "adapter_config.json")
# The files that `from_pretrained` reads, without checkpoints, optimizer states, pickled arguments
# and local information.
MODEL_FILES = (
    *WEIGHTS,
    "config.json",
    "generation_config.json",
    "*processor_config.json",
    "*.py",  # code of phi3_v and cephalo_moe, for trust_remote_code=True
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
CARD_FILES = ("README.md", FACTS, LOSS_PLOT, ".eval_results/*.yaml")
RESULTS = "results.json"  # of `cephalo eval`


def pushed_files(folder: Path) -> list[str]:
    """Return the files of a model's folder that are uploaded, with "/"."""
    found = {path for name in (*MODEL_FILES, *CARD_FILES) for path in folder.glob(name)}
    return sorted(path.relative_to(folder).as_posix() for path in (*found, *results_files(folder)))


def results_files(folder: Path) -> list[Path]:
    """Return every results.json in or below the folder, except those of checkpoints and hidden
    folders."""

    def skipped(path: Path) -> bool:
        parts = path.relative_to(folder).parts
        return any(part.startswith((".", "checkpoint-")) for part in parts)

    return sorted(path for path in folder.rglob(RESULTS) if not skipped(path))


def model_sha256(folder: Path) -> str:
    """Return one hash of the names and bytes of all files of the model."""
    paths = sorted({path for name in MODEL_FILES for path in folder.glob(name)})
    digest = hashlib.sha256()
    for path in tqdm(paths, desc=f"hashing {folder.name}", delay=2, disable=no_bars()):
        content = file_sha256(path)
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_parameters(folder: Path) -> int:
    """Count the values of all tensors, by the headers of the safetensors files.

    Raises CephaloError if there is none, or one is damaged.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise CephaloError(f"{folder} contains no *.safetensors; give the folder of a saved model")
    count = 0
    for path in paths:
        header = read_header(path)
        count += sum(
            math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"
        )
    return count


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, {} if the file is missing. Its keys and values are not
    validated, since other programs write such files. Raises CephaloError if it is damaged."""
    try:
        return read_object(path, "save the model again")
    except FileNotFoundError:
        return {}


def hub_id(name_or_path: str) -> str | None:
    """Return the Hub id of a model given by id or folder, or None if unknown.

    A folder has an id if it was pushed by that name, or if it is a snapshot in the Hub's cache.
    """
    path, name = Path(name_or_path), name_or_path
    if name and path.is_dir():
        name = read_json(path / FACTS).get("repo_id", "")
        cached = path.absolute().parent.parent.name
        if path.absolute().parent.name == "snapshots" and cached.startswith("models--"):
            name = cached.removeprefix("models--").replace("--", "/", 1)
    parts = name.split("/") if isinstance(name, str) else []
    return name if len(parts) == 2 and all(NAME.fullmatch(part) for part in parts) else None
