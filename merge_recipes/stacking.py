"""Plan a merge with mergekit: from which layer of which source each tensor comes.

Every tensor of a passthrough merge is a tensor of one source, so its bytes are copied from file to
file; mergekit's own executor, which loads each into memory, takes much longer.
"""

from typing import Any

from mergekit.architecture.base import (
    ModelArchitecture,
    ModuleArchitecture,
    ModuleDefinition,
    WeightInfo,
)
from mergekit.config import MergeConfiguration
from mergekit.options import MergeOptions
from mergekit.plan import MergePlanner
from transformers import PretrainedConfig

from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.merge_recipes.sources import Checkpoint
from cephalo.merge_recipes.weight_files import Planned, locate, plan_tensor
from modeling_cephalo import register


def plan_layers(
    recipe: DepthRecipe, found: dict[str, Checkpoint], period: int = 1
) -> dict[str, Planned]:
    """Return what to write for each tensor of the merged model, by mergekit's plan of `recipe`.

    Args:
        recipe: The recipe.
        found: The checkpoint of each model in the recipe, all spelled like the first.
        period: Number of layers after which their tensors repeat.
    """
    register()  # mergekit reads each configuration with AutoConfig
    by_folder = {str(checkpoint.folder): checkpoint for checkpoint in found.values()}
    places = {folder: locate(checkpoint) for folder, checkpoint in by_folder.items()}
    plain = recipe.model_dump(mode="json")
    for part in plain["slices"]:
        [source] = part["sources"]
        source["model"] = {"model": {"path": str(found[source["model"]].folder)}}
    configuration = MergeConfiguration.model_validate(plain)
    planner = MergePlanner(
        configuration,
        architecture(found[recipe.sources[0].model], period),
        MergeOptions(trust_remote_code=False),
        configuration.referenced_models()[0].config(trust_remote_code=False),
    )
    planned = {}
    # The last one would close mergekit's files. The types of the others are created at run time.
    tasks: list[Any] = planner.plan_to_disk(out_path="")[:-1]
    for task in tasks:
        [(model, source)] = task.tensor_task.gather_tensors.weight_info.items()
        shape = by_folder[model.model.path].tensors[source.name].shape
        piece = places[model.model.path][source.name]
        planned[task.tensor_name] = plan_tensor(shape, [piece], recipe.dtype)
    return planned


class Layers(ModuleArchitecture):
    """A decoder for mergekit, which knows none of the families.

    It consists of the keys of the first checkpoint, so no tensor can be forgotten. Everything
    outside of the layers is listed before the layers, since mergekit takes that from the first
    slice's model.
    """

    def __init__(self, first: Checkpoint, period: int) -> None:
        self.first, self.period = first, period

    def pre_weights(self, config: PretrainedConfig) -> list[WeightInfo]:
        """Return all tensors outside the layers."""
        return [WeightInfo(name=name) for name in self.first.other_tensors()]

    def post_weights(self, config: PretrainedConfig) -> list[WeightInfo]:
        """Return an empty list."""
        return []

    def layer_weights(self, index: int, config: PretrainedConfig) -> list[WeightInfo]:
        """Return the tensors of a layer, in the same order for all of a kind."""
        names = sorted(self.first.layers[index % self.period])
        return [WeightInfo(name=f"{self.first.layer_prefix}{index}{name}") for name in names]


def architecture(first: Checkpoint, period: int) -> ModelArchitecture:
    """Return the architecture of `first` for mergekit."""
    return ModelArchitecture(
        modules={"default": ModuleDefinition(architecture=Layers(first, period))},
        architectures=first.config["architectures"],
        model_type=first.family,
    )
