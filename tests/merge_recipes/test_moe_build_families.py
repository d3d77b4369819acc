"""`cephalo moe` on families of transformers beyond the three of the paper."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from family_samples import FAMILIES as MAKERS
from family_samples import make_family
from moe_samples import ask, load_dense, make_mixture
from phi3_v_samples import picture
from test_moe_build import DOMAINS, FEW, SEEN, TEXTS, UNSEEN, load
from torch.nn.functional import cross_entropy
from transformers import AutoModelForImageTextToText, PreTrainedModel

from cephalo.cli.errors import CephaloError
from cephalo.cli.main import main
from cephalo.merge_recipes.gates import measure_routing, train_gates
from cephalo.merge_recipes.moe import run_moe
from cephalo.merge_recipes.moe_recipe import Prompt, read_moe_recipe
from modeling_cephalo.tiny import weights_of

FAMILIES = [family for family in MAKERS if not family.startswith("gemma4")]  # which is refused


def slow_but(*quick: str) -> list[Any]:
    """The families, of which the default suite tests some."""
    return [
        pytest.param(family, marks=() if family in quick else pytest.mark.slow)
        for family in FAMILIES
    ]


def make_sources(root: Path, family: str) -> list[Path]:
    """Three dense checkpoints of a family, that differ in their weights only."""
    return [make_family(root / f"{family}-{seed}", family, TEXTS, seed) for seed in range(3)]


def write_recipe(path: Path, folders: list[Path], **changes: object) -> str:
    """A recipe of few prompts, one of them with an image, and few steps."""
    picture(60, 50).save(path.with_suffix(".png"))
    image = {"text": "What is shown?", "image": path.with_suffix(".png").name}
    experts = [
        {"source_model": str(folder), "positive_prompts": [seen[0], image]}
        for folder, seen in zip(folders, SEEN, strict=True)
    ]
    recipe = {"base_model": str(folders[0]), "dtype": "float32", "experts": experts, "gates": FEW}
    path.write_text(yaml.safe_dump({**recipe, **changes}))
    return str(path)


@pytest.mark.parametrize("family", slow_but("qwen2_vl", "qwen3_vl", "gemma3", "smolvlm"))
def test_mixture_has_the_logits_of_one_put_together_in_torch(family, tmp_path):
    """About images; of weights under published names, too."""
    sources = make_sources(tmp_path, family)
    main(["moe", write_recipe(tmp_path / "r.yml", sources), "--out", str(tmp_path / "out")])
    model, _ = load(tmp_path / "out")
    expected = make_mixture(family, [load_dense(folder) for folder in sources])
    for router, own in zip(expected.routers, model.routers, strict=True):
        assert own.weight.abs().max() > 0
        router.load_state_dict(own.state_dict())
    batch = ask(tmp_path / "out", UNSEEN[0][0], UNSEEN[1][0])
    with torch.inference_mode():
        assert torch.equal(model(**batch).logits, expected(**batch).logits)


def wide(family: str, seed: int) -> tuple[PreTrainedModel, Any]:
    """A model whose decoder has the hidden size, 128, that the tiny models of the paper's families
    have: random weights of half that say less of the words that went through them."""
    config, processor = MAKERS[family](TEXTS)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.head_dim = 128, 256, 32
    if "mrope_section" in text.rope_parameters:
        text.rope_parameters["mrope_section"] = [8, 4, 4]
        vision.out_hidden_size = 128
    if family == "qwen2_vl":
        vision.hidden_size = 128
    with weights_of(seed):
        model = AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5)
    return model, processor


def teach_words(model: PreTrainedModel, processor: Any) -> None:
    """Train a base to answer a question with the words of its domain, so that it carries them on.

    From weights as they are made, as others forget: 400 steps.
    """
    with torch.no_grad():
        for parameter in model.get_decoder().layers.parameters():
            if parameter.ndim == 2:
                parameter.div_(5)
    rows = []
    for text in (text for own in SEEN for text in own):
        words = sorted((text.index(word), word) for own in DOMAINS for word in own if word in text)
        answer = " ".join([word for _, word in words] * 2)
        rows.append(f"<s>user\n{text}</s>\n<s>assistant\n{answer}</s>\n")
    batch = processor.tokenizer(rows, padding=True, padding_side="right", return_tensors="pt")
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(400):
        drawn = torch.randperm(len(rows), generator=generator)[:24]
        logits = model(input_ids=batch["input_ids"][drawn], use_cache=False).logits
        cross_entropy(logits[:, :-1].flatten(0, 1), labels[drawn][:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


@pytest.mark.parametrize("family", slow_but("qwen3_vl"))
def test_gates_route_unseen_prompts_of_a_domain_to_its_expert(family):
    """Full attention with random weights means what went before, so words of a domain are seen in
    all tokens after them. Linear attention with random weights mixes them with random signs: the
    best linear classifier in the first layer is right for 44 % of tokens, as gates are, who route
    52 % of prompts. A base that was trained to remember words carries them on."""
    if family == "qwen3_5":
        base, processor = wide(family, 0)
        teach_words(base, processor)
        models, share = [base] * 3, 0.45
    else:
        models, processors = zip(*(wide(family, seed) for seed in range(3)), strict=True)
        processor, share = processors[0], 0.6
    mixture = make_mixture(family, models)
    seen, unseen = (
        [[Prompt(text=text) for text in own] for own in part] for part in (SEEN, UNSEEN)
    )
    train_gates(mixture, processor, seen)
    found = measure_routing(mixture, processor, unseen)
    print(f"{family}: {found}")
    assert found.accuracy >= 0.95
    assert found.token_share > share


def refused(recipe: str, out: Path) -> str:
    with pytest.raises(CephaloError) as refusal:
        run_moe(*read_moe_recipe(recipe), out)
    assert not list(out.parent.glob(f"{out.name}*"))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model_type": "qwen3_vl_moe"},
            "the base is of type 'qwen3_vl_moe'; mixtures support",
        ),
        (
            {"text_config": {"model_type": "qwen2_moe"}},
            "the decoder is of type 'qwen2_moe'; experts",
        ),
        ({"text_config": {"model_type": "llama", "mlp_bias": True}}, "have biases"),
    ],
)
def test_what_no_mixture_is_made_of_is_refused(settings, message, tmp_path):
    """With the reason, before weights are read."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "internvl", **settings}))
    recipe = write_recipe(tmp_path / "r.yml", [folder, *make_sources(tmp_path, "internvl")[1:]])
    found = refused(recipe, tmp_path / "out")
    assert found.startswith("no mixture of other: ") and message in found
