"""Depth merges of families of transformers beyond the three of the paper."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from merge_samples import TEXTS, recipe_text, run, weights
from moe_samples import ask
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.depth import read_source, stack
from cephalo.merge_recipes.merge import check_lists, merged_config
from cephalo.merge_recipes.moe_sources import Dense
from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.merge_recipes.sources import fetch

FAMILIES = [family for family in MAKERS if family != "gemma4"]  # whose layers share keys
RANGES = ((0, 4), (0, 4))  # whole periods of every family
QUESTIONS = ("What is shown in this image?", "Is it in rows?")


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, list[Path]]:
    """Two checkpoints of each family, of four layers, with different weights."""
    root = tmp_path_factory.mktemp("sources")
    return {
        family: [make_family(root / f"{family}-{seed}", family, TEXTS, seed) for seed in (0, 1)]
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def merged(sources, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("merged")
    return {
        family: run(recipe_text(*pair, ranges=RANGES), root / family)
        for family, pair in sources.items()
    }


def load(folder: Path) -> torch.nn.Module:
    model, loading = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values())
    return model.eval()


def stacked(first: Path, second: Path) -> torch.nn.Module:
    """The first model with the layers of the second on top, put together in torch."""
    model = load(first)
    text = model.config.get_text_config()
    layers = model.get_decoder().layers
    layers.extend(copy.deepcopy(load(second).get_decoder().layers))
    for index, layer in enumerate(layers):
        for part in layer.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = index
    text.num_hidden_layers = len(layers)
    # Gemma 4's note of how many layers have keys of their own, which is all of them here.
    model.get_decoder().first_kv_shared_layer_idx = len(layers)
    if getattr(text, "layer_types", None):
        text.layer_types = [*text.layer_types, *text.layer_types]
    return model


@pytest.mark.shows("merged")
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_concatenated_layers(family, sources, merged):
    """With images, and of answers written with and without a cache."""
    model, expected = load(merged[family]), stacked(*sources[family])
    batch = ask(sources[family][0], *QUESTIONS)
    with torch.inference_mode():
        found = model(**batch).logits
        assert torch.equal(found, expected(**batch).logits)
        assert not torch.allclose(found, load(sources[family][0])(**batch).logits, atol=1e-3)
    settings = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    settings["suppress_tokens"] = [model.config.image_token_id]
    cached, uncached = (model.generate(**batch, **settings, use_cache=on) for on in (True, False))
    assert torch.equal(cached, uncached)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_placed(family, sources, merged):
    """Under the names of the first source, of which all but the layers comes."""
    first, second = (load_file(source / "model.safetensors") for source in sources[family])
    found = weights(merged[family])
    layer = re.compile(r"(.*(?:model)\.layers\.)(\d+)(\..*)")
    decoder = [name for name in first if (match := layer.fullmatch(name)) and "vis" not in name]
    assert len(decoder) >= 4 * 9 and len(found) == len(first) + len(decoder)
    for name, tensor in found.items():
        match = layer.fullmatch(name) if "vis" not in name else None
        number = int(match[2]) if match else 0
        own = f"{match[1]}{number - 4}{match[3]}" if number > 3 else name
        assert torch.equal(tensor, (second if number > 3 else first)[own]), name


# Kinds of layers


def refused(text: str, out: Path) -> str:
    with pytest.raises(CephaloError) as refusal:
        run(text, out)
    assert not list(out.parent.glob(f"{out.name}*")) and "\n" not in str(refusal.value)
    return str(refusal.value)


def copied(source: Path, folder: Path, **changes: object) -> Path:
    """A copy of a checkpoint with other keys in its decoder's configuration; None removes one."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    text = {**config["text_config"], **changes}
    config["text_config"] = {name: value for name, value in text.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_windows_follow_their_layers(sources, merged, tmp_path):
    """Also of a configuration that has the pattern alone, as the published ones do."""
    text = json.loads((merged["gemma3"] / "config.json").read_text())["text_config"]
    assert text["layer_types"] == ["sliding_attention", "full_attention"] * 4
    older = [
        copied(source, tmp_path / source.name, layer_types=None, sliding_window_pattern=2)
        for source in sources["gemma3"]
    ]
    out = run(recipe_text(*older, ranges=RANGES), tmp_path / "out")
    assert load(out).config.text_config.layer_types == text["layer_types"]
    assert all(map(torch.equal, weights(out).values(), weights(merged["gemma3"]).values()))


@pytest.mark.parametrize(
    ("ranges", "layer"),
    [(((0, 4), (1, 4)), (1, 4)), (((1, 3), (0, 4)), (1, 0)), (((0, 3), (2, 4)), (2, 3))],
)
def test_ranges_that_break_a_period_are_refused(ranges, layer, sources, tmp_path):
    message = refused(recipe_text(*sources["gemma3"], ranges=ranges), tmp_path / "out")
    assert f"layer {layer[0]} of gemma3-" in message and f"would be layer {layer[1]}:" in message
    assert "the layer_types of gemma3-0, which repeat every 2 layers, have" in message
    assert "ranges that begin and end at multiples of 2, or where the one before ended" in message


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_activation": "relu"}, "hidden_activation is 'relu', not 'gelu_pytorch_tanh'"),
        ({"rms_norm_eps": 0.1}, "rms_norm_eps is 0.1, not 1e-06"),
        ({"query_pre_attn_scalar": 3}, "query_pre_attn_scalar is 3, not 256"),
        ({"sliding_window": 8}, "sliding_window is 8, not 32"),
    ],
)
def test_layers_that_would_compute_something_else_are_refused(changes, named, sources, tmp_path):
    other = copied(sources["gemma3"][1], tmp_path / "other", **changes)
    message = refused(recipe_text(sources["gemma3"][0], other, ranges=RANGES), tmp_path / "out")
    assert message == (
        f"other differs from gemma3-0 in its config: {named}; its layers would compute something "
        "else in the merged model"
    )


def test_features_that_would_be_others_are_refused(sources, tmp_path):
    other = copied(sources["qwen3_vl"][1], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["vision_config"]["deepstack_visual_indexes"] = [1, 0]
    (other / "config.json").write_text(json.dumps(config))
    message = refused(recipe_text(sources["qwen3_vl"][0], other, ranges=RANGES), tmp_path / "out")
    assert "config: vision_config.deepstack_visual_indexes is [1, 0], not [0, 1]; its" in message


def test_what_layers_do_not_compute_with_may_differ(sources, tmp_path):
    other = {"max_position_embeddings": 99, "attention_dropout": 0.5, "use_cache": False}
    second = copied(sources["gemma3"][1], tmp_path / "other", **other, eos_token_id=7)
    recipe = recipe_text(sources["gemma3"][0], second, ranges=RANGES)
    assert load(run(recipe, tmp_path / "out")).config.text_config.max_position_embeddings == 4096


# Tokenizers and processors


def edited(source: Path, folder: Path, name: str, change: Callable[[Any], None]) -> Path:
    """A copy of a checkpoint with another JSON file."""
    shutil.copytree(source, folder)
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    return folder


def swap(tokenizer: Any) -> None:
    """Two letters change their ids."""
    ids = tokenizer["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3"])
def test_a_source_with_other_ids_of_tokens_is_refused(family, sources, tmp_path):
    first, second = sources[family]
    ids = json.loads((second / "tokenizer.json").read_text())["model"]["vocab"]
    other = edited(second, tmp_path / "other", "tokenizer.json", swap)
    assert refused(recipe_text(first, other, ranges=RANGES), tmp_path / "out") == (
        f"other has other token ids than {family}-0: 'b' is {ids['a']}, not {ids['b']}, "
        f"'a' is {ids['b']}, not {ids['a']}; its layers would read other words than they were "
        "trained on"
    )


def test_an_id_of_another_token_is_refused_and_one_more_token_is_not(sources, tmp_path):
    """Rows of the embeddings beyond the first tokenizer's say nothing to its words."""
    first, second = sources["gemma3"]
    count = len(json.loads((second / "tokenizer.json").read_text())["model"]["vocab"])

    def rename(tokenizer: Any) -> None:
        ids = tokenizer["model"]["vocab"]
        ids["zzz"] = ids.pop("z")

    other = edited(second, tmp_path / "other", "tokenizer.json", rename)
    message = refused(recipe_text(first, other, ranges=RANGES), tmp_path / "out")
    assert re.search(r"gemma3-0: \d+ is 'zzz', not 'z'; its layers", message)
    fewer = tmp_path / "fewer"

    def drop(tokenizer: Any) -> None:
        ids, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
        last = max(ids, key=ids.__getitem__)
        assert ids.pop(last) == count - 1
        tokenizer["model"]["merges"] = [pair for pair in merges if "".join(pair) != last]

    edited(second, fewer, "tokenizer.json", drop)
    assert run(recipe_text(first, fewer, ranges=RANGES), tmp_path / "out").exists()


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3"])
def test_a_source_that_reads_images_otherwise_is_named(family, sources, tmp_path, caplog):
    first, second = sources[family]

    def darken(processor: Any) -> None:
        processor["image_processor"]["image_mean"] = [0.1, 0.2, 0.3]

    other = edited(second, tmp_path / "other", "processor_config.json", darken)
    (other / "chat_template.jinja").write_text("{{ messages[0]['content'][0]['text'] }}")
    run(recipe_text(first, other, ranges=RANGES), tmp_path / "out")
    [warning] = caplog.messages
    assert warning.startswith(
        f"other processes texts or images differently from {family}-0, whose processor "
        "the result has: image_processor.image_mean is [0.1, 0.2, 0.3], not ["
    )
    assert "tokenizer.chat_template is " in warning


def test_a_second_source_is_whole_or_weights_alone(sources, tmp_path, caplog):
    first, second = sources["qwen3_vl"]
    for name in ("tokenizer.json", "processor_config.json"):
        holed = tmp_path / f"without-{name}"
        shutil.copytree(second, holed)
        (holed / name).unlink()
        message = refused(recipe_text(first, holed, ranges=RANGES), tmp_path / "out")
        assert f"without-{name} has no " in message
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(second / name, bare / name)
    out = run(recipe_text(first, bare, ranges=RANGES), tmp_path / "out")
    whole = run(recipe_text(first, second, ranges=RANGES), tmp_path / "whole")
    assert all(map(torch.equal, weights(out).values(), weights(whole).values()))
    assert not caplog.messages


def test_a_range_may_begin_where_the_one_before_ended(sources, tmp_path):
    out = run(recipe_text(*sources["gemma3"], ranges=((0, 3), (1, 4))), tmp_path / "out")
    kinds = load(out).config.text_config.layer_types
    assert kinds == ["sliding_attention", "full_attention"] * 3


def test_layers_that_get_features_of_images_stay_first(sources, tmp_path):
    """Qwen3-VL adds features of two vision layers after layers 0 and 1."""
    for ranges in (((1, 4), (0, 4)), ((0, 1), (2, 4)), ((0, 1), (0, 4))):
        message = refused(recipe_text(*sources["qwen3_vl"], ranges=ranges), tmp_path / "out")
        assert message.startswith("features of images are added after layers 0 to 1 of qwen3_vl-0")
    out = run(recipe_text(*sources["qwen3_vl"], ranges=((0, 1), (1, 4))), tmp_path / "out")
    batch = ask(sources["qwen3_vl"][0], *QUESTIONS)
    model, expected = load(out), load(sources["qwen3_vl"][0])
    for place, layer in enumerate(load(sources["qwen3_vl"][1]).get_decoder().layers[1:], 1):
        expected.get_decoder().layers[place] = layer
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, expected(**batch).logits)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_kv_shared_layers": 2}, "its last layers use keys and values of earlier ones"),
        ({"hidden_size_per_layer_input": 8}, "its embeddings have a part for each layer"),
        ({"cross_attention_layers": [1, 3, 5]}, "its layers are identified by their numbers"),
    ],
)
def test_decoders_that_cannot_be_cut_are_refused_with_the_reason(
    changes, reason, sources, tmp_path
):
    folder = copied(sources["internvl"][0], tmp_path / "other", **changes)
    message = refused(recipe_text(folder, folder, ranges=RANGES), tmp_path / "out")
    assert message == f"other cannot be stacked: {reason} ({next(iter(changes))})"


def test_a_list_that_a_family_makes_otherwise_is_refused():
    """The last layer of Gemma 4 has full attention, whatever its configuration says."""
    kinds = ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]
    text = {"num_hidden_layers": 7, "layer_types": kinds, "num_kv_shared_layers": 0}
    with pytest.raises(CephaloError, match=r"layer 6 of the merged model would be sliding_attent"):
        check_lists({"model_type": "gemma4", "text_config": text}, {"layer_types": kinds})
    text["layer_types"] = kinds[:6]
    check_lists(
        {"model_type": "gemma4", "text_config": {**text, "num_hidden_layers": 6}},
        {"layer_types": kinds[:6]},
    )


# Spellings


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3", "llava_onevision"])
@pytest.mark.parametrize("which", [0, 1])
def test_sources_may_spell_their_tensors_in_two_ways(which, family, sources, merged, tmp_path):
    """As published and as the modules are called; the result has the names of the first."""
    pair = list(sources[family])
    dense = Dense(fetch(str(pair[which])))
    tensors = load_file(pair[which] / "model.safetensors")
    renamed = {name: tensors[file] for name, file in dense.files.items()}
    assert renamed.keys() != tensors.keys() and len(renamed) == len(tensors)
    pair[which] = tmp_path / "renamed"
    shutil.copytree(sources[family][which], pair[which])
    save_file(renamed, pair[which] / "model.safetensors", metadata={"format": "pt"})
    out = run(recipe_text(*pair, ranges=RANGES), tmp_path / "out")
    found, expected = weights(out), weights(merged[family])
    assert len(found) == len(expected) and (found.keys() == expected.keys()) == (which == 1)
    batch = ask(sources[family][0], *QUESTIONS)
    with torch.inference_mode():
        assert torch.equal(load(out)(**batch).logits, load(merged[family])(**batch).logits)


@pytest.mark.parametrize("family", ["qwen3_vl", "idefics3"])
def test_a_head_that_is_the_embeddings_stays_so(family, sources, tmp_path):
    """Its weights are in the files of one of the sources only."""
    pair = []
    for source in sources[family]:
        folder = copied(source, tmp_path / source.name, tie_word_embeddings=True)
        config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
        (folder / "config.json").write_text(json.dumps(config))
        tensors = load_file(folder / "model.safetensors")
        [head] = (name for name in tensors if name.endswith("lm_head.weight"))
        if source is sources[family][1]:
            [words] = (name for name in tensors if name.endswith("embed_tokens.weight"))
            tensors[head] = tensors[words].clone()
        else:
            del tensors[head]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        pair.append(folder)
    out = run(recipe_text(*pair, ranges=RANGES), tmp_path / "out")
    model, expected = load(out), stacked(*pair)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert not any("lm_head" in name for name in weights(out))
    batch = ask(pair[0], *QUESTIONS)
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, expected(**batch).logits)


@pytest.mark.parametrize("tied", [0, 1])
def test_a_head_of_its_own_and_one_that_is_the_embeddings_are_refused(tied, sources, tmp_path):
    pair = list(sources["qwen3_vl"])
    pair[tied] = copied(pair[tied], tmp_path / "tied", tie_word_embeddings=True)
    config = json.loads((pair[tied] / "config.json").read_text()) | {"tie_word_embeddings": True}
    (pair[tied] / "config.json").write_text(json.dumps(config))
    line = f"head of tied shares the weights of its embeddings, and {pair[1 - tied].name} has a sep"
    with pytest.raises(CephaloError, match=line):
        run(recipe_text(*pair, ranges=RANGES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_of_single_layers_follow_them(sources, tmp_path):
    """Gemma 4's layers of full attention have heads of another size; files name them by number."""
    folder = copied(sources["gemma4_dense"][0], tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["per_layer_config"] = {"1": {"head_dim": 32}, "03": {"head_dim": 32}}
    source = replace(fetch(str(folder)), name="other")
    (folder / "config.json").write_text(json.dumps(config))
    ranges = ((0, 4), (2, 4))
    recipe = DepthRecipe.model_validate(
        yaml.safe_load(recipe_text(Path("other"), Path("other"), ranges=ranges))
    )
    _, lists = stack([read_source(source)] * 2, ranges)
    written = merged_config(source, recipe, lists)["text_config"]
    assert written["per_layer_config"] == {str(n): {"head_dim": 32} for n in (1, 3, 5)}
    assert written["layer_types"] == ["sliding_attention", "full_attention"] * 3
