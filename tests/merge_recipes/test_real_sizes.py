"""Merges and mixtures at the sizes of published models, on the meta device."""

from pathlib import Path

import pytest
import yaml
from merge_samples import recipe_text
from published_sizes import SIZES, write_hollow

from cephalo.merge_recipes.depth import read_source, stack
from cephalo.merge_recipes.merge import merged_config, write_json
from cephalo.merge_recipes.recipe import DepthRecipe
from cephalo.merge_recipes.sources import check_ranges, fetch
from cephalo.merge_recipes.stacking import plan_layers
from modeling_cephalo import mixture_config
from modeling_cephalo.checkpoint import read_config
from modeling_cephalo.published import on_meta

# Layers that follow the whole decoder in a deeper one: by default the last eight again. Gemma 3's
# decoder of 34 layers ends with the fourth of a period of six, so the fifth of another follows.
AGAIN = {"gemma3": (10, 34)}
QUICK = ("gemma3", "qwen3_vl", "qwen3_5")
CASES = [
    pytest.param(family, marks=() if family in QUICK else pytest.mark.slow) for family in SIZES
]


@pytest.mark.parametrize("family", CASES)
def test_deeper_models_of_real_size(family, tmp_path):
    config = SIZES[family]()
    dense = on_meta(config)
    config.architectures = [type(dense).__name__]
    shapes = {name: list(tensor.shape) for name, tensor in dense.named_parameters()}
    checkpoint = fetch(str(write_hollow(config, shapes, tmp_path / family)))
    count = config.get_text_config().num_hidden_layers
    ranges = ((0, count), AGAIN.get(family, (count - 8, count)))
    check_ranges([checkpoint] * 2, ranges)
    period, lists = stack([read_source(checkpoint)] * 2, ranges)
    assert period == {"gemma3": 6, "qwen3_5": 4}.get(family, 1)

    text = recipe_text(Path(family), Path(family), ranges=ranges, dtype="bfloat16")
    recipe = DepthRecipe.model_validate(yaml.safe_load(text))
    planned = plan_layers(recipe, {family: checkpoint}, period)
    (tmp_path / "deep").mkdir()
    write_json(merged_config(checkpoint, recipe, lists), tmp_path / "deep" / "config.json")
    deep = on_meta(read_config(tmp_path / "deep"))
    assert len(deep.get_decoder().layers) == count + ranges[1][1] - ranges[1][0]
    expected = {name: tuple(tensor.shape) for name, tensor in deep.named_parameters()}
    assert {name: tensor.shape for name, tensor in planned.items()} == expected
    if family == "gemma3":
        kinds = deep.config.get_text_config().layer_types
        assert [place for place, kind in enumerate(kinds) if kind == "full_attention"] == [
            *range(5, 58, 6)
        ]


@pytest.mark.parametrize("family", CASES)
def test_mixtures_of_real_size(family):
    """Beside what the dense model has: two more MLPs, and a gate, in each layer."""
    dense = SIZES[family]()
    text = dense.get_text_config()
    mixture = on_meta(mixture_config(dense, num_experts=3))
    mlp, gate = 3 * text.hidden_size * text.intermediate_size, 3 * (text.hidden_size + 1)
    more = mixture.num_parameters() - on_meta(dense).num_parameters()
    assert more == text.num_hidden_layers * (2 * mlp + gate)
