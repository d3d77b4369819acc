"""mergekit at work: its architecture definition, its readers, its run."""

import json
import logging
from pathlib import Path

import torch
from mergekit.architecture.json_definitions import NAME_TO_ARCH, _load_architecture_json
from mergekit.common import ModelReference
from mergekit.config import MergeConfiguration
from mergekit.io.lazy_tensor_loader import LazyTensorLoader, ShardedTensorIndex
from mergekit.io.tasks import LoaderCache
from mergekit.merge import run_merge
from mergekit.options import MergeOptions

import modeling_cephalo  # noqa: F401  (so that mergekit can read a phi3_v config)
from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.merge_recipes.sources import TEXT_LAYERS, Checkpoint

SHARD_BYTES = 500_000_000  # one output shard is all that is held in memory


class UnmappingLoader(LazyTensorLoader):
    """Closes a source file after each tensor.

    mergekit keeps the file open, and with it every page that was read: a 5 GB shard would stay in
    memory whole. Here a tensor's pages go when its output shard is written.
    """

    def get_tensor(self, key: str, *args, **kwargs) -> torch.Tensor | None:
        """The tensor `key`, memory-mapped."""
        tensor = super().get_tensor(key, *args, **kwargs)
        self.flush()
        return tensor


def stack_layers(recipe: DepthRecipe, found: dict[str, Checkpoint], folder: Path) -> None:
    """Let mergekit write the weights of `recipe` into `folder`, from the folders in `found`."""
    register_architecture(found[recipe.sources[0].model])
    plain = recipe.model_dump(mode="json")
    for part in plain["slices"]:
        part["sources"][0]["model"] = str(found[part["sources"][0]["model"]].folder)
    for checkpoint in found.values():
        reference = ModelReference.model_validate(str(checkpoint.folder))
        LoaderCache().loaders[reference] = UnmappingLoader(
            ShardedTensorIndex.from_disk(str(checkpoint.folder))
        )
    logging.getLogger("mergekit").setLevel(logging.WARNING)
    try:
        run_merge(
            MergeConfiguration.model_validate(plain),
            str(folder),
            MergeOptions(
                out_shard_size=SHARD_BYTES,
                copy_tokenizer=False,
                write_model_card=False,
                trust_remote_code=False,
            ),
        )
    finally:
        LoaderCache().loaders.clear()


def register_architecture(checkpoint: Checkpoint) -> None:
    """Teach mergekit, which knows none of the families, the architecture of `checkpoint`.

    The definition is built from the checkpoint's own keys, so no tensor can be forgotten. All that
    is not in a layer is listed as `pre_weights`, which mergekit takes from the first slice's model.
    """
    names = checkpoint.config["architectures"]
    definition = {
        "kind": "module",
        "model_type": checkpoint.family,
        "architectures": names,
        "pre_weights": [{"name": name} for name in checkpoint.other_tensors()],
        "layer_templates": {"weights": [{"name": name} for name in checkpoint.layer_template()]},
        "post_weights": [],
        "num_layers_config_key": TEXT_LAYERS[checkpoint.family][1],
    }
    architecture = _load_architecture_json(json.dumps(definition))
    for name in names:
        NAME_TO_ARCH[name] = [architecture]
