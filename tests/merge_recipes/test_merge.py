"""Depth merges keep every layer, and what was killed or made before is told apart."""

import copy
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import HfApi
from merge_samples import MAKERS, make_pair, recipe_text, run, weights
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from warm_python import kill, warm_python

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes import merge as merge_module
from cephalo.merge_recipes.merge import run_merge
from cephalo.merge_recipes.recipe import DepthRecipe, read_recipe
from cephalo.merge_recipes.sources import fetch, hashed_meanwhile
from cephalo.merge_recipes.stacking import plan_layers
from cephalo.merge_recipes.weight_files import write_weights
from cephalo.model_cards.upload import push_folder
from modeling_cephalo.checkpoint import check_weights


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, list[Path]]:
    root = tmp_path_factory.mktemp("sources")
    return {family: make_pair(root, family) for family in MAKERS}


@pytest.fixture(scope="module")
def merged(sources, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("merged")
    return {family: run(recipe_text(*pair), root / family) for family, pair in sources.items()}


def decoder(model: torch.nn.Module) -> torch.nn.Module:
    """The decoder of any of the three families."""
    inner = model.model
    for name in ("text_model", "language_model"):
        inner = getattr(inner, name, inner)
    return inner


def concatenated(first: Path, second: Path) -> torch.nn.Module:
    """The first model with the last layer of the second on top, put together in torch."""
    model, other = (AutoModelForImageTextToText.from_pretrained(path) for path in (first, second))
    layers = decoder(model).layers
    layers.append(copy.deepcopy(decoder(other).layers[1]))
    for index, layer in enumerate(layers):
        layer.self_attn.layer_idx = index
    model.config.get_text_config().num_hidden_layers = len(layers)
    return model.eval()


@pytest.mark.shows("merged")
@pytest.mark.parametrize("family", MAKERS)
def test_merged_model_has_all_layers_and_the_logits_of_concatenating_them(family, sources, merged):
    expected = concatenated(*sources[family])
    model, loading = AutoModelForImageTextToText.from_pretrained(
        merged[family], output_loading_info=True
    )
    assert not any(loading.values())
    assert model.config.get_text_config().num_hidden_layers == 3
    assert len(decoder(model).layers) == 3
    ids = torch.arange(7, 31).reshape(2, 12)
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, expected(input_ids=ids).logits)
        shallow = AutoModelForImageTextToText.from_pretrained(sources[family][0])
        assert not torch.allclose(model(input_ids=ids).logits, shallow(input_ids=ids).logits)


@pytest.mark.parametrize("family", MAKERS)
def test_cached_and_uncached_generation_agree(family, merged):
    model = AutoModelForImageTextToText.from_pretrained(merged[family]).eval()
    ids = torch.arange(7, 19)[None]
    outputs = [
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            use_cache=cached,
        )
        for cached in (True, False)
    ]
    assert outputs[0].shape[1] > 13
    assert torch.equal(*outputs)


@pytest.mark.parametrize("family", MAKERS)
def test_processor_template_and_generation_config_come_along(family, sources, merged):
    for name in ("chat_template.jinja", "tokenizer.json", "generation_config.json"):
        assert (merged[family] / name).read_bytes() == (sources[family][0] / name).read_bytes()
    processor = AutoProcessor.from_pretrained(merged[family])
    message = {"role": "user", "content": [{"type": "text", "text": "nacre"}]}
    assert "nacre" in processor.apply_chat_template([message], add_generation_prompt=True)


def test_rope_theta_is_written_where_other_programs_look(sources, tmp_path):
    """Of a source that transformers 5 alone has saved, too."""
    source = tmp_path / "source"
    shutil.copytree(sources["idefics2"][0], source)
    config = json.loads((source / "config.json").read_text())
    del config["text_config"]["rope_theta"]
    config["text_config"]["rope_parameters"]["rope_theta"] = 250_000.0
    (source / "config.json").write_text(json.dumps(config))
    out = run(recipe_text(source, source), tmp_path / "out")
    assert json.loads((out / "config.json").read_text())["text_config"]["rope_theta"] == 250_000


def test_merged_phi3_v_carries_its_code(merged):
    """And no other family, which transformers has."""
    for family, folder in merged.items():
        places = json.loads((folder / "config.json").read_text()).get("auto_map", {})
        assert ("AutoModelForMultimodalLM" in places) == (family == "phi3_v")
        for place in places.values():
            module, name = place.split(".")
            assert f"class {name}(" in (folder / f"{module}.py").read_text()


def test_card_holds_recipe_and_hashes_of_the_sources(sources, merged):
    import hashlib

    text = (merged["idefics2"] / "README.md").read_text(encoding="utf-8")
    for source in sources["idefics2"]:
        digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
        assert f"`model.safetensors` SHA-256 `{digest}`" in text
    assert "stacked with mergekit into 3 layers" in text
    assert "merge_method: passthrough" in text
    parameters = sum(tensor.numel() for tensor in weights(merged["idefics2"]).values())
    assert f"{parameters:,} parameters" in text


@pytest.mark.parametrize(("name", "layers"), [("10b.yml", 40), ("12b.yml", 48)])
def test_shipped_recipes_are_short_and_have_the_published_depth(name, layers):
    text, recipe = read_recipe(name)
    assert recipe.layers == layers
    assert 5 <= len([line for line in text.splitlines() if line and line[0] != "#"]) <= 25
    assert [source.model for source in recipe.sources] == [
        "lamm-mit/Cephalo-Idefics-2-vision-8b-beta",
        "HuggingFaceM4/idefics2-8b-chatty",
    ]


def test_weights_are_converted_and_whole_numbers_are_not(sources, tmp_path):
    folder = tmp_path / "older"  # files of older transformers hold such buffers
    shutil.copytree(sources["idefics2"][0], folder)
    name = "model.vision_model.embeddings.position_ids"
    tensors = load_file(folder / "model.safetensors") | {name: torch.arange(1000)}
    save_file(tensors, folder / "model.safetensors")
    text = recipe_text(folder, folder, dtype="bfloat16")
    planned = plan_layers(
        DepthRecipe.model_validate(yaml.safe_load(text)), {str(folder): fetch(str(folder))}
    )
    with hashed_meanwhile([fetch(str(folder))]) as digests:
        write_weights(planned, digests, tmp_path)
    found = weights(tmp_path)
    assert torch.equal(found.pop(name), torch.arange(1000))
    for name, tensor in found.items():
        source = re.sub(r"(text_model.layers)\.2\.", r"\1.1.", name)
        assert torch.equal(tensor, tensors[source].bfloat16())
    assert len(found) == len(tensors) - 1 + 9


def test_what_a_kill_left_behind_is_replaced_and_an_existing_model_is_not(sources, tmp_path):
    left = tmp_path / ".out.partial-1"
    left.mkdir()
    (left / "model-00001.safetensors").write_bytes(b"half")
    out = run(recipe_text(*sources["phi3_v"]), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (out / "model-00001.safetensors").exists()
    (tmp_path / "else").mkdir()
    with pytest.raises(CephaloError, match="else exists; remove it"):
        run(recipe_text(*sources["phi3_v"]), tmp_path / "else")


def test_the_same_merge_again_is_done_and_another_one_is_refused(sources, tmp_path):
    text = recipe_text(*sources["phi3_v"])
    out = run(text, tmp_path / "out")
    made = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run_merge(text, DepthRecipe.model_validate(yaml.safe_load(text)), out) is False
    with pytest.raises(CephaloError, match="made by another recipe"):
        run(recipe_text(*sources["phi3_v"], dtype="bfloat16"), out)
    changed = tmp_path / "changed" / sources["phi3_v"][1].name
    shutil.copytree(sources["phi3_v"][1], changed)
    tensors = load_file(changed / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"] + 1
    save_file(tensors, changed / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CephaloError, match="made from other weights"):
        run(recipe_text(sources["phi3_v"][0], changed), out)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == made


def test_killed_merge_is_no_model_and_the_same_command_completes_it(sources, tmp_path):
    """Killed for good while it writes; many layers, so that there is time."""
    pair, copies = sources["phi3_v"], 50
    slices = yaml.safe_load(recipe_text(*pair))["slices"] * copies
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(recipe_text(*pair, slices=slices))
    command = [warm_python(), "-m", "cephalo.cli.main", "merge", "recipe.yml", "--out", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob(".out.partial-*/*.safetensors")):
        assert process.poll() is None
        time.sleep(0.001)
    kill(process)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.partial-*/config.json"))
    subprocess.run(command, cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "recipe.yml"]
    tensors = weights(tmp_path / "out")
    first, second = (load_file(path / "model.safetensors") for path in pair)
    name = "model.layers.{}.mlp.down_proj.weight".format
    for start in range(0, 3 * copies, 3):
        assert torch.equal(tensors[name(start + 1)], first[name(1)])
        assert torch.equal(tensors[name(start + 2)], second[name(1)])
    assert name(3 * copies) not in tensors


def test_failure_while_stacking_leaves_nothing_that_looks_like_a_model(
    sources, tmp_path, monkeypatch
):
    def broken(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merge_module, "write_json", broken)
    with pytest.raises(OSError, match="No space left"):
        run(recipe_text(*sources["phi3_v"]), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", MAKERS)
def test_a_dropped_layer_is_found_and_named(family, merged, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(merged[family], folder)
    tensors = weights(folder)
    name = next(name for name in tensors if ".layers.2." in name and "input_layernorm" in name)
    del tensors[name]
    file = folder / "model-00001-of-00001.safetensors"
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(CephaloError, match=r"missing.*layers.2.input_layernorm.weight"):
        check_weights(folder)


def test_layers_that_the_config_does_not_count_are_found(merged, tmp_path):
    """The published merge's defect: tensors for more layers than config.json says."""
    folder = tmp_path / "broken"
    shutil.copytree(merged["idefics2"], folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CephaloError, match=r"unexpected keys.*layers\.2\."):
        check_weights(folder)


def test_hashes_and_layers_are_read_from_the_files(sources):
    checkpoint = fetch(str(sources["llava_next"][1]))
    assert (checkpoint.family, checkpoint.revision) == ("llava_next", None)
    assert [len(layer) for layer in checkpoint.layers] == [9, 9]
    assert all(name[0] == "." for layer in checkpoint.layers for name in layer)
    assert len(checkpoint.tensors) == 2 * 9 + len(checkpoint.other_tensors())


def test_sources_come_from_the_hub_at_a_pinned_revision(hub, sources, tmp_path):
    """Two commits of one repository: the recipe takes its layers from the first."""
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    shas = []
    for folder in sources["phi3_v"]:
        files = [path.name for path in folder.iterdir() if path.suffix != ".py"]
        push = {"repo_type": "model", "private": False, "files": files}
        shas.append(push_folder(api, folder, "alice/layers", **push))
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(recipe_text(Path(f"alice/layers@{shas[0]}"), Path("alice/layers")))
    process = subprocess.run(
        [warm_python(), "-m", "cephalo.cli.main", "merge", str(recipe), "--out", "out"],
        cwd=tmp_path,
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    merged = weights(tmp_path / "out")
    first, second = (load_file(path / "model.safetensors") for path in sources["phi3_v"])
    name = "model.layers.{}.mlp.down_proj.weight".format
    assert torch.equal(merged[name(1)], first[name(1)])
    assert torch.equal(merged[name(2)], second[name(1)])
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert all(f"`alice/layers` at revision `{sha}`" in text for sha in shas)
    assert "base_model_relation: merge" in text


def test_model_that_the_hub_has_not_is_one_line(hub, sources, tmp_path):
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(recipe_text(sources["phi3_v"][0], Path("alice/none")))
    process = subprocess.run(
        [warm_python(), "-m", "cephalo.cli.main", "merge", str(recipe), "--out", "out"],
        cwd=tmp_path,
        env=hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    assert process.stderr.startswith("cephalo: error: no folder and no model alice/none on http")
    assert process.stderr.count("\n") == 1
