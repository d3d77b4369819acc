"""Depth merges of families of transformers beyond the three of the paper."""

import copy
import re
from pathlib import Path

import pytest
import torch
from family_samples import FAMILIES, make_family
from merge_samples import TEXTS, recipe_text, run, weights
from moe_samples import ask
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

RANGES = ((0, 4), (2, 4))
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
    """The first model with the last two layers of the second on top, put together in torch."""
    model = load(first)
    text = model.config.get_text_config()
    own = [getattr(layer, "attention_type", None) for layer in model.get_decoder().layers]
    layers = model.get_decoder().layers
    layers.extend(copy.deepcopy(load(second).get_decoder().layers[2:]))
    for index, layer in enumerate(layers):
        layer.self_attn.layer_idx = index
    text.num_hidden_layers = len(layers)
    if getattr(text, "layer_types", None):
        text.layer_types = [*text.layer_types, *text.layer_types[2:]]
    assert len(own) == 4
    return model


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
    answers = [
        one.generate(**batch, **settings, use_cache=cached).tolist()
        for one, cached in ((model, True), (model, False), (expected, True))
    ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tensor_is_placed(family, sources, merged):
    """Under the names of the first source, of which all but the layers comes."""
    first, second = (load_file(source / "model.safetensors") for source in sources[family])
    found = weights(merged[family])
    layer = re.compile(r"(.*(?:model)\.layers\.)(\d+)(\..*)")
    decoder = [name for name in first if (match := layer.fullmatch(name)) and "vis" not in name]
    assert len(decoder) % 4 == 0 and len(found) == len(first) + len(decoder) // 2
    for name, tensor in found.items():
        match = layer.fullmatch(name) if "vis" not in name else None
        number = int(match[2]) if match else 0
        own = f"{match[1]}{number - 2}{match[3]}" if number > 3 else name
        assert torch.equal(tensor, (second if number > 3 else first)[own]), name
