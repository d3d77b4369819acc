"""Plan a merge with mergekit: from which layer of which source each tensor comes.

Every tensor of a passthrough merge is one tensor of one source, so its bytes are then copied from
file to file; mergekit's own executor, which takes each through memory, needs far longer for it.
"""

from typing import Any

from mergekit.architecture.base import ModelArchitecture, ModuleDefinition, WeightInfo
from mergekit.architecture.json_definitions import (
    JsonLayerTemplates,
    JsonModuleArchDef,
    JsonModuleArchitecture,
)
from mergekit.config import MergeConfiguration
from mergekit.options import MergeOptions
from mergekit.plan import MergePlanner

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.merge_recipes.sources import TEXT_LAYERS, Checkpoint
from cephalo.merge_recipes.weight_files import Planned, locate, plan_tensor
from modeling_cephalo import register


def plan_layers(recipe: DepthRecipe, found: dict[str, Checkpoint]) -> dict[str, Planned]:
    """What to write for each tensor of the merged model, by mergekit's plan of `recipe`.

    Args:
        found: the checkpoint of each model that the recipe names.

    Raises CephaloError if a source lacks a tensor.
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
        architecture(found[recipe.sources[0].model]),
        MergeOptions(trust_remote_code=False),
        configuration.referenced_models()[0].config(trust_remote_code=False),
    )
    planned = {}
    # The last would close mergekit's own files. The types of the others are made as it runs.
    tasks: list[Any] = planner.plan_to_disk(out_path="")[:-1]
    for task in tasks:
        [(model, source)] = task.tensor_task.gather_tensors.weight_info.items()
        checkpoint, piece = by_folder[model.model.path], places[model.model.path].get(source.name)
        if piece is None:
            raise CephaloError(f"{checkpoint.name} lacks {source.name}")
        shape = checkpoint.tensors[source.name].shape
        planned[task.tensor_name] = plan_tensor(shape, [piece], recipe.dtype)
    return planned


def architecture(checkpoint: Checkpoint) -> ModelArchitecture:
    """The architecture of `checkpoint` for mergekit, which knows none of the families.

    It is built from the checkpoint's own keys, so no tensor can be forgotten. All that is not in a
    layer is listed as `pre_weights`, which mergekit takes from the first slice's model.
    """
    names = checkpoint.config["architectures"]
    definition = JsonModuleArchDef(
        model_type=checkpoint.family,
        architectures=names,
        pre_weights=[WeightInfo(name=name) for name in checkpoint.other_tensors()],
        layer_templates=JsonLayerTemplates(
            weights=[WeightInfo(name=name) for name in checkpoint.layer_template()]
        ),
        post_weights=[],
        num_layers_config_key=TEXT_LAYERS[checkpoint.family][1],
    )
    module = ModuleDefinition(architecture=JsonModuleArchitecture(definition=definition))
    return ModelArchitecture(
        modules={"default": module}, architectures=names, model_type=checkpoint.family
    )
