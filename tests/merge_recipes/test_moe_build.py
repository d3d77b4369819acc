"""`cephalo moe`: mixtures built from files, gates that learn, and what is refused before work."""

import hashlib
import json
import random
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
import yaml
from moe_samples import MAKERS, ask, load_dense, make_dense, make_mixture
from phi3_v_samples import picture
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.merge_recipes import moe, weight_files
from cephalo.merge_recipes.gates import measure_routing, router_inputs, train_gates
from cephalo.merge_recipes.moe import run_moe
from cephalo.merge_recipes.moe_recipe import GateTraining, Prompt, read_moe_recipe

DOMAINS = (
    ["stress", "strain", "fracture", "crack", "tension", "load", "stiffness"],
    ["protein", "silk", "collagen", "tissue", "cell", "membrane", "enzyme"],
    ["integral", "tensor", "matrix", "equation", "derivative", "vector", "gradient"],
)
FRAMES = (
    "What is the {} of the {}?",
    "Explain how {} depends on {} here.",
    "Compare {} with {}, please.",
    "Describe {} and {} in one sentence.",
)


def questions(domain: int, count: int, seed: int) -> list[str]:
    """Different questions of the same frames in all domains, about two words of one domain."""
    draw = random.Random(f"{domain} {seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw.choice(FRAMES).format(*draw.sample(DOMAINS[domain], 2))] = None
    return list(found)


SEEN = [questions(domain, 40, seed=0) for domain in range(3)]
UNSEEN = [
    [text for text in questions(domain, 60, seed=1) if text not in SEEN[domain]]
    for domain in range(3)
]
TEXTS = [text for own in SEEN for text in own] * 3
FEW = {"steps": 5}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, list[Path]]:
    """Three dense checkpoints of each family, that differ in their weights only."""
    root = tmp_path_factory.mktemp("sources")
    return {
        family: [make_dense(root / f"{family}-{s}", family, s, TEXTS) for s in range(3)]
        for family in MAKERS
    }


def write_recipe(path: Path, folders: list[Path], **changes: object) -> str:
    recipe = {
        "base_model": str(folders[0]),
        "dtype": "float32",
        "experts": [
            {"source_model": str(folder), "positive_prompts": seen, "test_prompts": unseen}
            for folder, seen, unseen in zip(folders, SEEN, UNSEEN, strict=True)
        ],
        **changes,
    }
    path.write_text(yaml.safe_dump(recipe))
    return str(path)


def quick_recipe(path: Path, folders: list[Path], **changes: object) -> str:
    """A recipe of few prompts and steps, where what the gates learn is not looked at."""
    experts = [
        {"source_model": str(folder), "positive_prompts": seen[:2]}
        for folder, seen in zip(folders, SEEN, strict=True)
    ]
    return write_recipe(path, folders, experts=experts, gates=FEW, **changes)


def run(recipe: str, out: Path) -> Path:
    run_moe(*read_moe_recipe(recipe), out)
    return out


@pytest.fixture(scope="module")
def built(sources, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("built")
    for family, folders in sources.items():
        main(["moe", write_recipe(root / "recipe.yml", folders), "--out", str(root / family)])
    return {family: root / family for family in sources}


def load(folder: Path):
    model, loading = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values())
    return model.eval(), AutoProcessor.from_pretrained(folder)


# What is built


@pytest.mark.parametrize("family", MAKERS)
def test_mixture_has_the_logits_of_one_put_together_in_torch(family, built, sources):
    model, _ = load(built[family])
    expected = make_mixture(family, [load_dense(folder) for folder in sources[family]])
    for router, own in zip(expected.routers, model.routers, strict=True):
        assert own.weight.abs().max() > 0
        router.load_state_dict(own.state_dict())
    batch = ask(built[family], UNSEEN[0][0], UNSEEN[1][0])
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, expected(**batch).logits)


@pytest.mark.parametrize("family", MAKERS)
def test_gates_route_unseen_prompts_of_a_domain_to_its_expert(family, built):
    model, processor = load(built[family])
    prompts = [[Prompt(text=text) for text in own] for own in UNSEEN]
    assert min(len(own) for own in prompts) > 20
    found = measure_routing(model, processor, prompts)
    print(f"{family}: {found}")
    assert found.accuracy >= 0.95
    assert found.token_share > 0.6


def test_card_tells_recipe_sources_and_routing(built, sources):
    text = (built["phi3_v"] / "README.md").read_text(encoding="utf-8")
    assert f"base_model: {sources['phi3_v'][0].name}\n" in text and SEEN[0][0] in text
    assert str(sources["phi3_v"][0].parent) not in text
    digest = hashlib.sha256((sources["phi3_v"][2] / "model.safetensors").read_bytes()).hexdigest()
    assert f"SHA-256 `{digest}`" in text
    counted = sum(parameter.numel() for parameter in load(built["phi3_v"])[0].parameters())
    assert f"{counted:,} parameters" in text
    model, processor = load(built["phi3_v"])
    prompts = [[Prompt(text=text) for text in own] for own in UNSEEN]
    found = measure_routing(model, processor, prompts)
    assert f"{found.accuracy:.1%} of {found.prompts} unseen prompts go to their expert" in text


def test_files_of_several_shards_in_another_dtype(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(weight_files, "CHUNK_BYTES", 4096)
    write = weight_files.write_weights
    monkeypatch.setattr(
        weight_files, "write_weights", lambda *arguments: write(*arguments, shard_bytes=300_000)
    )
    recipe = quick_recipe(tmp_path / "r.yml", sources["phi3_v"], dtype="bfloat16")
    out = run(recipe, tmp_path / "out")
    index = json.loads((out / "model.safetensors.index.json").read_text())["weight_map"]
    assert len(set(index.values())) > 4
    tensors = {name: load_file(out / file)[name] for name, file in index.items()}
    for name, tensor in tensors.items():
        assert tensor.dtype == (torch.float32 if ".gate." in name else torch.bfloat16)
    dense = [load_file(folder / "model.safetensors") for folder in sources["phi3_v"]]
    experts = tensors["model.layers.1.mlp.experts.down_proj"]
    for expert, state in zip(experts, dense, strict=True):
        assert torch.equal(expert, state["model.layers.1.mlp.down_proj.weight"].bfloat16())
    model, _ = load(out)
    assert model.dtype == torch.bfloat16


def test_published_spelling_of_llava_keys(sources, tmp_path):
    """Published checkpoints say language_model.model, a fresh save model.language_model."""
    spellings = ("language_model.model.", "model.language_model.")
    folders = []
    for source, spelling in zip(sources["llava_next"], (*spellings, spellings[0]), strict=True):
        folder = tmp_path / source.name
        shutil.copytree(source, folder)
        tensors = {
            re.sub(r"^(language_model\.model|model\.language_model)\.", spelling, name): tensor
            for name, tensor in load_file(folder / "model.safetensors").items()
        }
        assert sum(name.startswith(spelling) for name in tensors) == 20
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        folders.append(folder)
    model, _ = load(run(quick_recipe(tmp_path / "r.yml", folders), tmp_path / "out"))
    expected = make_mixture("llava_next", [load_dense(path) for path in sources["llava_next"]])
    experts = [model.get_decoder().layers[1].mlp.experts for model in (model, expected)]
    assert torch.equal(experts[0].gate_up_proj, experts[1].gate_up_proj)


# Gates


def test_gates_see_what_they_will_see_at_run_time(built):
    """The output of the norm after the attention, at the routing that was asked for."""
    model, _ = load(built["idefics2"])
    batch = ask(built["idefics2"], UNSEEN[0][0], images=False)
    layers = model.get_decoder().layers
    normed: list[torch.Tensor] = []
    hooks = [
        layer.post_attention_layernorm.register_forward_hook(
            lambda _, args, output: normed.append(output.flatten(0, 1))
        )
        for layer in layers
    ]
    free, forced = (router_inputs(model, batch, expert) for expert in (None, 2))
    for hook in hooks:
        hook.remove()
    assert all(torch.equal(a, b) for a, b in zip([*free, *forced], normed, strict=True))
    with torch.no_grad():
        for layer in layers:
            layer.mlp.gate.weight.zero_()
            layer.mlp.gate.bias.copy_(torch.tensor([0.0, 0.0, 9.0]))
    for found, expected in zip(forced, router_inputs(model, batch, None), strict=True):
        assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(free[1], forced[1], atol=1e-4)


def test_gates_are_trained_again_after_loading_and_nothing_else(built):
    model, processor = load(built["phi3_v"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    turned = [[Prompt(text=text) for text in SEEN[(domain + 1) % 3]] for domain in range(3)]
    train_gates(model, processor, turned)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if ".mlp.gate." in name}
    assert measure_routing(model, processor, turned).accuracy > 0.95
    train_gates(model, processor, turned, GateTraining(**FEW))
    first = {name: after[name].clone() for name in changed}
    train_gates(model, processor, turned, GateTraining(**FEW))
    assert all(torch.equal(first[name], model.state_dict()[name]) for name in changed)
    train_gates(model, processor, turned, GateTraining(seed=1, **FEW))
    assert not all(torch.equal(first[name], model.state_dict()[name]) for name in changed)
    with pytest.raises(ValueError, match="prompts for 2 of 3 experts"):
        train_gates(model, processor, turned[:2])


def test_prompts_about_images(sources, tmp_path):
    for name, shade in (("dark", 20), ("bright", 230), ("grey", 128)):
        picture(60, 50).point(lambda _, shade=shade: shade).save(tmp_path / f"{name}.png")
    experts = [
        {
            "source_model": str(folder),
            "positive_prompts": [
                {"text": "What is the stress of the load?", "image": f"{name}.png"}
            ],
        }
        for folder, name in zip(sources["phi3_v"], ("dark", "bright", "grey"), strict=True)
    ]
    recipe = write_recipe(tmp_path / "r.yml", sources["phi3_v"], experts=experts)
    _, facts = run_moe(*read_moe_recipe(recipe), tmp_path / "out")
    assert (facts.accuracy, facts.unseen, facts.prompts) == (1.0, False, 3)
    (tmp_path / "grey.png").unlink()
    with pytest.raises(CephaloError, match=r"no image .*grey.png, of a prompt of .*phi3_v-2"):
        read_moe_recipe(recipe)


# What is refused


def refused(recipe: str, out: Path) -> str:
    with pytest.raises(CephaloError) as refusal:
        run(recipe, out)
    assert not list(out.parent.glob(f"{out.name}*"))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.fixture
def changed(sources, tmp_path):
    """A copy of the third phi3_v source, to be changed, and a recipe with it."""
    folder = tmp_path / "changed"
    shutil.copytree(sources["phi3_v"][2], folder)
    return folder, quick_recipe(tmp_path / "r.yml", [*sources["phi3_v"][:2], folder])


def test_expert_of_another_family_is_refused(sources, tmp_path):
    folders = [*sources["phi3_v"][:2], sources["idefics2"][2]]
    message = refused(write_recipe(tmp_path / "r.yml", folders), tmp_path / "out")
    assert message == (
        "idefics2-2 is idefics2, phi3_v-0 is phi3_v; an expert may differ from the base in its "
        "weights only"
    )


def test_expert_with_another_config_is_refused(changed, tmp_path):
    folder, recipe = changed
    config = json.loads((folder / "config.json").read_text())
    config |= {"rope_theta": 5000.0, "torch_dtype": "bfloat16", "transformers_version": "4.1"}
    (folder / "config.json").write_text(json.dumps(config))
    message = refused(recipe, tmp_path / "out")
    assert "changed differs from phi3_v-0 in its config: rope_theta is 5000.0, not 1" in message
    assert "dtype" not in message and "version" not in message


def test_expert_with_another_shape_or_lost_tensors_is_refused(changed, tmp_path):
    folder, recipe = changed
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    save_file({**tensors, name: tensors[name][:, :-1].clone()}, folder / "model.safetensors")
    message = refused(recipe, tmp_path / "out")
    assert f"in its tensors: {name} is [128, 255], not [128, 256];" in message
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    assert refused(recipe, tmp_path / "out") == f"changed lacks {name}"


def test_expert_with_another_tokenizer_is_refused(changed, tmp_path):
    folder, recipe = changed
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["truncation"] = {
        "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    read = moe.fetch(str(folder))
    assert read.family == "phi3_v"
    run(recipe, tmp_path / "fine")  # what training leaves behind is no difference
    vocabulary = content["model"]["vocab"]
    first, second = [token for token in vocabulary if len(token) == 1][:2]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    path.write_text(json.dumps(content))
    message = refused(recipe, tmp_path / "out")
    assert "changed differs from phi3_v-0 in its tokenizer: model.vocab is " in message


def test_expert_with_another_chat_template_is_refused(changed, tmp_path):
    folder, recipe = changed
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert "in its tokenizer: chat_template is " in refused(recipe, tmp_path / "out")


def test_expert_with_another_processor_is_named(changed, tmp_path, caplog):
    folder, recipe = changed
    path = folder / "processor_config.json"
    content = json.loads(path.read_text())
    content["image_processor"]["num_crops"] = 16
    path.write_text(json.dumps(content))
    run(recipe, tmp_path / "out")
    assert caplog.messages == [
        "changed processes texts or images differently from phi3_v-0, whose processor "
        "the result has: image_processor.num_crops is 16, not 4"
    ]
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).unlink()
    assert " has no image processor (" in refused(recipe, tmp_path / "other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experts_per_token": 4}, "experts_per_token is 4 of 3 experts"),
        ({"tokenizer": "base", "k": 1}, "k: Extra inputs .*; tokenizer: Extra inputs"),
        ({"dtype": "int8"}, "dtype: Input should be 'bfloat16', 'float16' or 'float32'"),
        ({"gates": {"epochs": 3}}, "gates.epochs: Extra inputs are not permitted"),
        (
            {"experts": [{"source_model": "a", "positive_prompts": ["b"]}]},
            "experts has 1 entries; a mixture needs two",
        ),
        ({"experts": [{"positive_prompts": [{"txt": "b"}]}] * 2}, r"experts.0.source_model: Field"),
        ({"base_model": None}, "base_model: Input should be a valid string"),
    ],
)
def test_wrong_recipes_are_refused_by_key(changes, message, sources, tmp_path):
    recipe = write_recipe(tmp_path / "r.yml", sources["phi3_v"], **changes)
    with pytest.raises(CephaloError, match=message):
        read_moe_recipe(recipe)


def test_files_that_are_no_recipe_are_refused(tmp_path):
    with pytest.raises(CephaloError, match=r"no recipe none.yml; .*moe-3x4b.yml, moe-3x8b.yml"):
        read_moe_recipe("none.yml")
    (tmp_path / "r.yml").write_text("a: [")
    with pytest.raises(CephaloError, match="is not valid YAML"):
        read_moe_recipe(str(tmp_path / "r.yml"))


@pytest.mark.parametrize("name", ["moe-3x4b.yml", "moe-3x8b.yml"])
def test_shipped_recipes(name):
    _, recipe = read_moe_recipe(name)
    assert len(recipe.experts) == 3 and recipe.experts_per_token == 1
    assert recipe.base_model == recipe.experts[0].source_model
    texts = [
        prompt.text
        for expert in recipe.experts
        for prompt in (*expert.positive_prompts, *expert.test_prompts)
    ]
    assert len(texts) == len(set(texts)) == 48


def test_full_disk_is_seen_before_a_byte_is_written(sources, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**12, 0, 4_000_000)
    monkeypatch.setattr(weight_files.shutil, "disk_usage", lambda path: usage)
    recipe = write_recipe(tmp_path / "r.yml", sources["phi3_v"])
    assert "0.0 GB free; free disk space" in refused(recipe, tmp_path / "out")


def test_failure_leaves_nothing_and_what_a_kill_left_is_no_model(sources, tmp_path, monkeypatch):
    recipe = quick_recipe(tmp_path / "r.yml", sources["phi3_v"])
    seen: list[set[str]] = []

    def killed(*_: object) -> None:
        [aside] = tmp_path.glob(".out.partial-*")
        seen.append({path.name for path in aside.iterdir()})
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(moe, "teach_gates", killed)
    with pytest.raises(OSError, match="No space left"):
        run(recipe, tmp_path / "out")
    assert "config.json" not in seen[0] and "model.safetensors.index.json" in seen[0]
    assert [path.name for path in tmp_path.iterdir()] == ["r.yml"]
    monkeypatch.undo()
    left = tmp_path / ".out.partial-1"
    left.mkdir()
    (left / "model-00009-of-00009.safetensors").write_bytes(b"half")
    out = run(recipe, tmp_path / "out")
    assert not (out / "model-00009-of-00009.safetensors").exists() and not left.exists()
    made = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run_moe(*read_moe_recipe(recipe), out)[0] is False  # as after a kill past the rename
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == made
