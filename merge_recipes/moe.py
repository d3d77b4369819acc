"""`cephalo moe`: build a mixture of experts from checkpoints, and train its gates from example
prompts."""

# Untyped or partially typed: safetensors, torch and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import shutil
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked_name, written_aside
from cephalo.merge_recipes.moe_recipe import MoeRecipe, read_moe_recipe
from cephalo.merge_recipes.provenance import check_same, merge_of, merged_facts, read_merge
from cephalo.merge_recipes.sources import check_sources, fetch, hashed_meanwhile
from cephalo.model_cards.model_card import Gates, write_card

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig

    from cephalo.merge_recipes.moe_sources import Dense
    from modeling_cephalo.annotations import Processor
    from modeling_cephalo.modeling_cephalo_moe import RoutedGeneration


app = typer.Typer(rich_markup_mode=None, add_completion=False)

GATES_FILE = "model-gates.safetensors"


@app.command()
def moe(
    recipe: Annotated[
        str,
        typer.Argument(help="YAML file, or the name of a shipped one such as moe-3x8b.yml."),
    ],
    out: Annotated[Path, typer.Option(help="Output folder of the mixture; written atomically.")],
) -> None:
    """Combine the decoder MLPs of several models as experts, and train gates that choose among
    them.

    Sources are folders or Hub ids (NAME@REVISION pins a revision) that differ only in their
    weights. Weights are copied from file to file with little memory. Then the mixture is loaded, on
    a GPU if available, and its gates are trained on each expert's example prompts.

    \b
    Example:
      cephalo moe moe-3x8b.yml --out runs/cephalo-3x8b
    """
    text, parsed = read_moe_recipe(recipe)
    made, gates = run_moe(text, parsed, out)
    done = "mixed" if made else "made before: mixed"
    print(f"{done} {len(parsed.experts)} experts into {out}: {gates.routing_line}")


def run_moe(text: str, recipe: MoeRecipe, out: Path) -> tuple[bool, Gates]:
    """Build the mixture of `recipe`, whose YAML is `text`, in `out`, written atomically.

    Returns False if `out` is the result of an earlier identical run, else True, and the gates.
    Raises CephaloError before anything is written if `out` is something else, if the base's family
    does not support mixtures, if an expert differs from it in more than weights, or if the disk is
    too small.
    """
    names = [recipe.base_model, *(expert.source_model for expert in recipe.experts)]
    check_outside(out, names)
    with locked_name(out):
        kept = read_merge(out)
        from cephalo.merge_recipes.moe_sources import Dense, check_same_but_weights
        from cephalo.merge_recipes.readers import check_readers

        found = {name: Dense(fetch(name)) for name in dict.fromkeys(names)}
        base, *experts = (found[name] for name in names)
        config_of_mixture(base, recipe)
        check_same_but_weights(base, experts)
        checkpoints = {name: dense.checkpoint for name, dense in found.items()}
        with hashed_meanwhile(checkpoints.values()) as digests:
            if kept and kept.gates:
                check_same(kept, text, checkpoints, digests, out)
                return False, kept.gates
            if kept:
                raise CephaloError(f"{out} exists; remove it or give another --out")
            check_sources(checkpoints[name] for name in names)
            check_readers(checkpoints[name] for name in names)
            return True, mix(text, recipe, out, found, digests)


def mix(
    text: str,
    recipe: MoeRecipe,
    out: Path,
    found: "dict[str, Dense]",
    digests: dict[Path, Future[str]],
) -> Gates:
    """Build the mixture of the models in `found`, by their names in the recipe; see `run_moe`."""
    from cephalo.merge_recipes.moe_sources import plan_mixture
    from cephalo.merge_recipes.weight_files import write_weights
    from modeling_cephalo.checkpoint import check_model

    base, experts = found[recipe.base_model], [found[one.source_model] for one in recipe.experts]
    checkpoints = {name: dense.checkpoint for name, dense in found.items()}
    skeleton = empty_mixture(config_of_mixture(base, recipe))
    shapes = {name: tuple(value.shape) for name, value in skeleton.state_dict().items()}
    planned = plan_mixture(shapes, base, experts, recipe.dtype)
    with written_aside(out) as aside:
        places = write_weights(planned, digests, aside)
        model, processor = build(places, skeleton, base.checkpoint.folder, recipe, aside)
        routing = teach_gates(model, processor, recipe)
        gates = Gates(experts=len(experts), experts_per_token=recipe.experts_per_token, **routing)
        layers = model.config.get_text_config().num_hidden_layers
        merge = merge_of(text, checkpoints, digests, layers, gates)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        save_gates(model, aside)
        model.config.save_pretrained(aside)
        check_model(aside)
        write_card(aside, merged_facts(out.name, model.config.model_type, parameters, merge))
    return gates


def config_of_mixture(base: "Dense", recipe: MoeRecipe) -> "PreTrainedConfig":
    """Return the configuration of a mixture around `base`.

    Raises CephaloError, with the reason, for a family or a decoder that does not support mixtures.
    """
    from modeling_cephalo import mixture_config

    try:
        return mixture_config(
            base.config,
            dtype=recipe.dtype,
            num_experts=len(recipe.experts),
            num_experts_per_tok=recipe.experts_per_token,
        )
    except ValueError as error:
        raise CephaloError(f"no mixture of {base.name}: {error}") from error


def empty_mixture(config: "PreTrainedConfig") -> "RoutedGeneration":
    """Create the mixture on the meta device."""
    from modeling_cephalo.published import on_meta

    model = cast("RoutedGeneration", on_meta(config))
    config.architectures = [type(model).__name__]
    return model


def build(
    places: dict[str, str],
    skeleton: "RoutedGeneration",
    base: Path,
    recipe: MoeRecipe,
    folder: Path,
) -> "tuple[RoutedGeneration, Processor]":
    """Add empty gates, code and processor to the weights in `folder`, and load the mixture.

    `places` maps each weight to its file. Returns the model and the processor.
    """
    import torch
    from transformers.dynamic_module_utils import custom_object_save

    from cephalo.merge_recipes.weight_files import write_index
    from modeling_cephalo.checkpoint import read_processor

    for router in skeleton.routers:
        router.to_empty(device="cpu")
        for parameter in router.parameters():
            torch.nn.init.zeros_(parameter)
    write_index(places | dict.fromkeys(save_gates(skeleton, folder), GATES_FILE), folder)
    custom_object_save(skeleton, folder, config=cast("dict[str, object]", skeleton.config))
    processor = read_processor(base, skeleton.config)
    processor.save_pretrained(folder)
    if (path := base / "generation_config.json").exists():
        shutil.copyfile(path, folder / path.name)
    model = type(skeleton).from_pretrained(
        folder,
        config=skeleton.config,
        dtype=recipe.dtype,
        device_map="auto" if torch.cuda.is_available() else None,
    )
    return model, processor


def save_gates(model: "torch.nn.Module", folder: Path) -> list[str]:
    """Write the gates, float32, to a separate file; return their names."""
    from safetensors.torch import save_file

    gates = {
        name: parameter.detach().float().cpu()
        for name, parameter in model.named_parameters()
        if ".mlp.gate." in name
    }
    save_file(gates, folder / GATES_FILE, metadata={"format": "pt"})
    return list(gates)


def teach_gates(
    model: "RoutedGeneration", processor: "Processor", recipe: MoeRecipe
) -> dict[str, Any]:
    """Train the gates and measure them: on the test prompts, or on the others if there are none.

    Returns the results as fields of Gates.
    """
    from cephalo.merge_recipes.gates import measure_routing, train_gates

    train_gates(
        model, processor, [expert.positive_prompts for expert in recipe.experts], recipe.gates
    )
    unseen = all(expert.test_prompts for expert in recipe.experts)
    routing = measure_routing(
        model,
        processor,
        [expert.test_prompts if unseen else expert.positive_prompts for expert in recipe.experts],
    )
    return {
        "prompts": routing.prompts,
        "unseen": unseen,
        "accuracy": routing.accuracy,
        "token_share": routing.token_share,
    }
