"""Sources of a mixture: a base and experts that differ only in their weights."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText, PreTrainedConfig, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightRenaming, rename_source_key

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import Json, parse_object
from cephalo.merge_recipes.sources import Checkpoint, Tensor
from cephalo.merge_recipes.weight_files import Piece, Planned, locate, plan_tensor
from modeling_cephalo.checkpoint import read_config, told

# Where a checkpoint comes from or how it is run, as opposed to what it computes.
PROVENANCE = {
    "_name_or_path",
    "architectures",
    "auto_map",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}
STALE_BUFFERS = r"(rotary_emb\.inv_freq|position_ids)$"  # in files of older transformers
# State of tokenizer.json that training leaves behind.
TOKENIZER_STATE = ("padding", "truncation")
NAMED = 5  # maximum differences in an error


class Dense:
    """A checkpoint, and its tensors under the names of the modules of transformers' model."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Wrap a checkpoint. Raises CephaloError if its configuration names no family."""
        self.checkpoint = checkpoint
        self.name = checkpoint.name
        self.family = checkpoint.family

    @cached_property
    def config(self) -> PreTrainedConfig:
        """The configuration. Raises CephaloError if transformers cannot read it."""
        return read_config(self.checkpoint.folder)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model on the meta device: names and shapes without weights."""
        with torch.device("meta"):
            return AutoModelForImageTextToText.from_config(self.config)

    @cached_property
    def files(self) -> dict[str, str]:
        """Map names in the model to names in the files.

        Raises CephaloError with the missing or unexpected names.
        """
        known = self.model.state_dict()
        renamings = [
            transform
            for transform in get_model_conversion_mapping(self.model)
            if isinstance(transform, WeightRenaming)
        ]
        prefix = self.model.base_model_prefix
        found = {
            rename_source_key(name, renamings, [], prefix, known)[0]: name
            for name in self.checkpoint.tensors
        }
        missing = known.keys() - found.keys() - self.model.all_tied_weights_keys.keys()
        extra = {name for name in found.keys() - known.keys() if not self.is_ignored(name)}
        for kind, names in (("lacks", missing), ("has, unknown to its model,", extra)):
            if names:
                raise CephaloError(f"{self.name} {kind} {listed(sorted(names))}")
        return {name: found[name] for name in known if name in found}

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by its name in the model."""
        return {name: self.checkpoint.tensors[file] for name, file in self.files.items()}

    @cached_property
    def places(self) -> dict[str, Piece]:
        """Return the location of each tensor, by its name in the model."""
        places = locate(self.checkpoint)
        return {name: places[file] for name, file in self.files.items()}

    def is_ignored(self, name: str) -> bool:
        """Return whether transformers drops this tensor when it loads the model."""
        patterns = {*(self.model._keys_to_ignore_on_load_unexpected or ()), STALE_BUFFERS}
        return any(re.search(pattern, name) for pattern in patterns)

    def mlp_parts(self, name: str) -> list[str]:
        """Return the tensors that are concatenated to one tensor of an expert.

        `name` is that of a decoder MLP's `gate_up_proj` or `down_proj`, without ".weight". The
        fused projection of Mistral is `gate_proj`, then `up_proj`.
        """
        if f"{name}.weight" in self.files:
            return [f"{name}.weight"]
        stem = name.removesuffix("gate_up_proj")
        return [f"{stem}gate_proj.weight", f"{stem}up_proj.weight"]


def plan_mixture(
    shapes: dict[str, tuple[int, ...]], base: Dense, experts: list[Dense], dtype: str
) -> dict[str, Planned]:
    """Return the tensors to write for a mixture, without its gates.

    Stacking experts, and fusing the two projections of one, concatenates bytes, since both are
    along the first dimension.

    Args:
        shapes: Of all tensors of the mixture, by name.
        base: The base.
        experts: The experts in order.
        dtype: Such as "bfloat16".
    """
    planned = {}
    for name, shape in shapes.items():
        if ".mlp.experts." in name:
            own = name.replace(".experts.", ".")
            pieces = [expert.places[part] for expert in experts for part in expert.mlp_parts(own)]
        elif ".mlp.gate." in name or name not in base.places:  # a tied weight is not in the files
            continue
        else:
            pieces = [base.places[name]]
        planned[name] = plan_tensor(shape, pieces, dtype)
    return planned


def check_same_but_weights(base: Dense, experts: list[Dense]) -> None:
    """Raise CephaloError if an expert differs from the base in anything but weights.

    The message names the difference: the family, keys of the configuration, shapes of tensors,
    parts of the tokenizer, or the chat template.
    """
    base_tokenizer = tokenizer_parts(base)
    for expert in experts:
        if expert.family != base.family:
            raise CephaloError(
                f"{expert.name} is {expert.family}, {base.name} is {base.family}; an expert may "
                "differ from the base in its weights only"
            )
        parts = tokenizer_parts(expert)
        both = parts.keys() & base_tokenizer.keys()
        for what, ours, theirs in (
            ("config", settings(expert.config), settings(base.config)),
            ("tensors", shapes(expert), shapes(base)),
            ("tokenizer", {k: parts[k] for k in both}, {k: base_tokenizer[k] for k in both}),
        ):
            if found := differences(ours, theirs):
                raise CephaloError(
                    f"{expert.name} differs from {base.name} in its {what}: {listed(found)}; "
                    "an expert may differ from the base in its weights only"
                )


def settings(config: PreTrainedConfig) -> dict[str, object]:
    """Flatten a configuration to keys such as "text_config.rope_theta", without provenance."""
    return flat(config.to_dict())


def flat(part: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Flatten settings to keys that begin with `prefix`, without provenance."""
    found: dict[str, object] = {}
    for key, value in part.items():
        if key in PROVENANCE:
            continue
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def shapes(dense: Dense) -> dict[str, list[int]]:
    """Return the shape of each tensor."""
    return {name: list(tensor.shape) for name, tensor in dense.tensors.items()}


def tokenizer_parts(dense: Dense) -> dict[str, str]:
    """Return short hashes of the parts of tokenizer.json, of tokenizer.model and of the chat
    template.

    Missing files are skipped, since not every checkpoint has all. Raises CephaloError if one is
    broken.
    """
    with told(f"cannot load {dense.name}: its tokenizer"):
        return parts_in(dense.checkpoint.folder)


def parts_in(folder: Path) -> dict[str, str]:
    """Return `tokenizer_parts`, raising any error of the tokenizers library."""
    parts: dict[str, str] = {}
    if (path := folder / "tokenizer.json").exists():
        # Normalized by the current library: older versions write merges differently.
        content = json.loads(Tokenizer.from_file(str(path)).to_str())
        for key, value in content.items():
            if key == "model":
                parts |= {f"model.{name}": digest(part) for name, part in value.items()}
            elif key not in TOKENIZER_STATE:
                parts[key] = digest(value)
    if (path := folder / "tokenizer.model").exists():
        parts["tokenizer.model"] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    if template := chat_template(folder):
        parts["chat_template"] = digest(template)
    return parts


def chat_template(folder: Path) -> Json:
    """Return the chat template, from the first of the files that may contain it."""
    if (path := folder / "chat_template.jinja").exists():
        return path.read_text(encoding="utf-8")
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        if (path := folder / name).exists():
            template = parse_object(path.read_bytes()).get("chat_template")
            if template:
                return template
    return None


def digest(value: object) -> str:
    """Return a short hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def differences(ours: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """Return the differences between two flat mappings, by name."""
    absent = object()
    return [
        f"{key} is {ours.get(key, 'missing')!r}, not {theirs.get(key, 'missing')!r}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key, absent) != theirs.get(key, absent)
    ]


def listed(names: list[str]) -> str:
    """Format the first few names, and the number of the rest."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
