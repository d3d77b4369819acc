"""`cephalo merge`: stack decoder layers with mergekit, keeping all other weights."""

# Untyped or partially typed: transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateUsage=false

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cephalo.cli.errors import CephaloError
from cephalo.cli.files import check_outside, locked_name, written_aside
from cephalo.merge_recipes.depth import (
    SINGLE,
    check_settings,
    lists_by_layer,
    read_source,
    spelled_as,
    stack,
)
from cephalo.merge_recipes.provenance import check_same, merge_of, merged_facts, read_merge
from cephalo.merge_recipes.recipe import DepthRecipe, read_recipe
from cephalo.merge_recipes.sources import (
    Checkpoint,
    check_ranges,
    check_sources,
    fetch,
    hashed_meanwhile,
)
from cephalo.model_cards.model_card import write_card
from cephalo.model_cards.model_folder import count_parameters, read_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)

# Files copied from the first source besides the weights: processor, tokenizer, chat template.
COMPANIONS = (
    "*processor_config.json",
    "generation_config.json",
    "chat_template.*",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
)


# Texts of tokens, which may look like any name.
VOCABULARIES = ("tokenizer.json", "added_tokens.json")


@app.command()
def merge(
    recipe: Annotated[
        str, typer.Argument(help="YAML file, or the name of a shipped one such as 10b.yml.")
    ],
    out: Annotated[
        Path, typer.Option(help="Output folder of the merged checkpoint; written atomically.")
    ],
) -> None:
    """Stack decoder layers of checkpoints into a deeper model, following a mergekit recipe.

    Sources are folders or Hub ids; NAME@REVISION pins a revision. All weights outside the decoder
    layers, the processor and the tokenizer come from the first source. The result is loaded on the
    meta device before it appears: no key may be missing, unexpected or of another shape.

    \b
    Example:
      cephalo merge 10b.yml --out runs/cephalo-10b
    """
    text, parsed = read_recipe(recipe)
    done = "merged" if run_merge(text, parsed, out) else "made before: merged"
    print(f"{done} {parsed.layers} layers into {out}")


def run_merge(text: str, recipe: DepthRecipe, out: Path) -> bool:
    """Merge into `out`, which is written atomically. Returns False if `out` is the result of an
    earlier identical run.

    Raises CephaloError before anything is written if `out` is something else, if the sources do not
    match each other or the recipe, or if the disk is too small; and afterwards if the result does
    not load completely.
    """
    check_outside(out, [source.model for source in recipe.sources])
    with locked_name(out):
        kept = read_merge(out)
        found = {name: fetch(name) for name in dict.fromkeys(s.model for s in recipe.sources)}
        checkpoints = [found[source.model] for source in recipe.sources]
        check_ranges(checkpoints, [source.layer_range for source in recipe.sources])
        with hashed_meanwhile(found.values()) as digests:
            if kept:
                check_same(kept, text, found, digests, out)
            else:
                check_sources(checkpoints)
                merge_checkpoints(text, recipe, out, found, digests)
    return kept is None


def merge_checkpoints(
    text: str,
    recipe: DepthRecipe,
    out: Path,
    found: dict[str, Checkpoint],
    digests: dict[Path, Future[str]],
) -> None:
    """Merge the checkpoints in `found`, by name in the recipe, into `out`; see `run_merge`."""
    from cephalo.merge_recipes.readers import check_readers
    from cephalo.merge_recipes.stacking import plan_layers
    from cephalo.merge_recipes.weight_files import write_index, write_weights
    from modeling_cephalo.checkpoint import check_model

    first = found[recipe.sources[0].model]
    alike = {name: spelled_as(first, checkpoint) for name, checkpoint in found.items()}
    sources = {name: read_source(checkpoint) for name, checkpoint in alike.items()}
    check_settings(list(sources.values()))
    period, lists = stack(
        [sources[source.model] for source in recipe.sources],
        [source.layer_range for source in recipe.sources],
    )
    check_readers([first, *found.values()])
    config = merged_config(first, recipe, lists)
    planned = plan_layers(recipe, alike, period)
    with written_aside(out) as aside:
        write_index(write_weights(planned, digests, aside), aside)
        write_json(config, aside / "config.json")
        copy_companions(first.folder, aside)
        write_code(aside)
        check_model(aside)
        merge = merge_of(text, found, digests, recipe.layers)
        write_card(aside, merged_facts(out.name, first.family, count_parameters(aside), merge))


def merged_config(
    first: Checkpoint, recipe: DepthRecipe, lists: dict[str, list[object]]
) -> dict[str, Any]:
    """Return config.json of the first source with the new depth, per-layer lists and dtype.

    References to remote code are removed, since none of another repository, at no fixed revision,
    should run; and so is the attention implementation, which the machine chooses. Raises
    CephaloError if transformers derives other lists from it.
    """
    config = without_code(json.loads(json.dumps(first.config)))
    for name in ("_attn_implementation", "attn_implementation"):
        config.pop(name, None)
    # Older checkpoints have the decoder's settings on the level of the other parts.
    part = config.get("text_config", config)
    part["num_hidden_layers"] = recipe.layers
    for name, values in lists.items():
        if name == SINGLE:
            # Derived from layer_types if the source does not set it.
            if name in part:
                part[name] = {str(place): own for place, own in enumerate(values) if own}
        elif name in part or any(value != values[0] for value in values):
            part[name] = values
    if theta := (part.get("rope_parameters") or {}).get("rope_theta"):
        part.setdefault("rope_theta", theta)  # where other programs look for it
    for name in ("dtype", "torch_dtype"):
        config.pop(name, None)
    config["dtype"] = recipe.dtype
    check_lists(config, lists)
    return config


def check_lists(config: dict[str, Any], lists: dict[str, list[object]]) -> None:
    """Raise CephaloError if transformers derives other per-layer lists from a configuration."""
    from transformers import CONFIG_MAPPING

    read = CONFIG_MAPPING[config["model_type"]].from_dict(json.loads(json.dumps(config)))
    made = lists_by_layer(read.get_text_config())
    for name, values in lists.items():
        found = made.get(name, [{}] * len(values))
        for place, (own, wanted) in enumerate(zip(found, values, strict=True)):
            if own != wanted:
                raise CephaloError(
                    f"layer {place} of the merged model would be {wanted}, and is {own} in every "
                    f"{read.model_type} model of {len(values)} layers ({name}); end with another"
                )


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Write a JSON file as transformers does."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def write_code(folder: Path) -> None:
    """Write this package's code beside the weights of a family that transformers lacks, so that
    they load with `trust_remote_code` without this package."""
    from transformers.dynamic_module_utils import custom_object_save

    from modeling_cephalo.checkpoint import read_config, read_processor
    from modeling_cephalo.published import on_meta

    config = read_config(folder)
    model = on_meta(config)
    if model._auto_class is None:
        return
    custom_object_save(model, folder, config=cast("dict[str, object]", config))
    read_processor(folder, config).save_pretrained(folder)
    stored = read_json(folder / "config.json") | {"auto_map": config.to_dict()["auto_map"]}
    write_json(stored, folder / "config.json")


def copy_companions(source: Path, folder: Path) -> None:
    """Copy processor, tokenizer, chat template and generation config, without references to
    code."""
    for path in (path for pattern in COMPANIONS for path in source.glob(pattern)):
        shutil.copyfile(path, folder / path.name)
        if path.suffix != ".json" or path.name in VOCABULARIES:
            continue
        if (kept := without_code(found := read_json(path))) != found:
            write_json(kept, folder / path.name)


def without_code(found: Any) -> Any:  # of the type that it is given
    """Remove references to remote code from a JSON value, at any depth."""
    if not isinstance(found, dict):
        return found
    return {key: without_code(value) for key, value in found.items() if key != "auto_map"}
