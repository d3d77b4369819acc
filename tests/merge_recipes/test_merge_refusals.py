"""Recipes and sources that no model can be made of are refused before any work, by name."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from merge_samples import TEXTS, make_pair, recipe_text, run
from safetensors.torch import load_file, save_file

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes import weight_files
from cephalo.merge_recipes.recipe import read_recipe
from modeling_cephalo.tiny import make_tiny_idefics2


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, list[Path]]:
    root = tmp_path_factory.mktemp("sources")
    return {family: make_pair(root, family) for family in ("idefics2", "phi3_v")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"merge_methd": "linear"}, "merge_methd: Extra inputs are not permitted"),
        ({"merge_method": "linear"}, "merge_method: Input should be 'passthrough'"),
        ({"slices": []}, "slices: "),
    ],
)
def test_wrong_recipes_are_named(tmp_path, changes, message):
    path = tmp_path / "recipe.yml"
    path.write_text(recipe_text(Path("a"), Path("b"), **changes))
    with pytest.raises(CephaloError, match=message):
        read_recipe(str(path))


def test_empty_layer_range_broken_yaml_and_missing_recipe_are_named(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(recipe_text(Path("a"), Path("b"), ranges=((0, 2), (2, 2))))
    with pytest.raises(CephaloError, match=r"slices.1.sources.0.layer_range: .*is not a range"):
        read_recipe(str(path))
    path.write_text("slices: [")
    with pytest.raises(CephaloError, match="is not valid YAML"):
        read_recipe(str(path))
    with pytest.raises(CephaloError, match=r"no recipe none.yml; .*10b.yml, 12b.yml"):
        read_recipe("none.yml")


def refused(text: str, out: Path) -> str:
    with pytest.raises(CephaloError) as refusal:
        run(text, out)
    assert not list(out.parent.glob(f"{out.name}*"))
    return str(refusal.value)


def test_layers_that_the_source_has_not_are_refused(sources, tmp_path):
    text = recipe_text(*sources["phi3_v"], ranges=((0, 2), (1, 3)))
    message = refused(text, tmp_path / "out")
    assert message == "layers [1, 3) of phi3_v-1: it has only 2"


def test_sources_of_other_family_or_vocabulary_are_refused(sources, tmp_path):
    text = recipe_text(sources["idefics2"][0], sources["phi3_v"][1])
    assert "phi3_v-1 is phi3_v, idefics2-0 is idefics2" in refused(text, tmp_path / "out")
    make_tiny_idefics2(tmp_path / "wider", [*TEXTS, "Zirconium hydride platelets, quenched."])
    text = recipe_text(sources["idefics2"][0], tmp_path / "wider")
    assert "lm_head.weight is (" in refused(text, tmp_path / "out")


def test_source_without_a_tensor_of_a_deeper_layer_is_refused(sources, tmp_path):
    folder = tmp_path / "holed"
    shutil.copytree(sources["phi3_v"][1], folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.o_proj.weight"]
    save_file(tensors, folder / "model.safetensors")
    message = refused(recipe_text(sources["phi3_v"][0], folder), tmp_path / "out")
    kind, _, names = message.partition(" in the checkpoint: ")
    assert kind.endswith("holed: missing keys")
    assert names == "model.layers.1.self_attn.o_proj.weight"


def test_quantised_weights_are_refused(sources, tmp_path):
    folder = tmp_path / "quantised"
    shutil.copytree(sources["phi3_v"][1], folder)
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    save_file(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, folder / "model.safetensors")
    message = refused(recipe_text(sources["phi3_v"][0], folder), tmp_path / "out")
    assert message.startswith(f"{name} of quantised is F8_E4M3, as quantized weights are; only F64")


def test_file_that_is_cut_short_is_refused(sources, tmp_path):
    folder = tmp_path / "short"
    shutil.copytree(sources["phi3_v"][1], folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    message = refused(recipe_text(sources["phi3_v"][0], folder), tmp_path / "out")
    assert "short/model.safetensors is not a complete safetensors file: " in message


def test_folder_that_is_no_checkpoint_is_refused(sources, tmp_path):
    (tmp_path / "empty").mkdir()
    text = recipe_text(sources["idefics2"][0], tmp_path / "empty")
    assert "empty is not a checkpoint" in refused(text, tmp_path / "out")
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "bert"}')
    weights = tmp_path / "empty" / "model.safetensors"
    save_file({"encoder.layer.0.weight": torch.ones(1)}, weights)
    message = refused(recipe_text(tmp_path / "empty", tmp_path / "empty"), tmp_path / "out")
    assert message == "empty is a bert model with no decoder layers; it cannot be merged"
    weights.unlink()
    (tmp_path / "empty" / "config.json").write_text('{"model_type": "idefics2"}')
    assert "has no model.safetensors" in refused(text, tmp_path / "out")


def test_full_disk_is_seen_before_a_byte_is_written(sources, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 0, 5_000_000)
    monkeypatch.setattr(weight_files.shutil, "disk_usage", lambda path: usage)
    message = refused(recipe_text(*sources["idefics2"]), tmp_path / "out")
    assert "0.0 GB free; free disk space" in message
