"""Mixtures in the published layout load, and compute what the published routing says."""

import json
from pathlib import Path

import pytest
import torch
from moe_samples import DECODERS, TEXTS, ask, load_dense, make_dense
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from modeling_cephalo import register
from modeling_cephalo.modeling_cephalo_moe import RoutedGeneration

register()

FAMILIES = ("phi3_v", "idefics2")
EXPERTS = 3


class PlainMixture(nn.Module):
    """Every expert on every token; the router's top k through a second softmax."""

    def __init__(self, experts: list[nn.Module], gate: nn.Linear, k: int) -> None:
        super().__init__()
        self.experts, self.gate, self.k = nn.ModuleList(experts), gate, k

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        values, chosen = self.gate(hidden).softmax(-1).topk(self.k)
        weights = torch.zeros(*hidden.shape[:-1], EXPERTS).scatter(-1, chosen, values.softmax(-1))
        outputs = torch.stack([expert(hidden) for expert in self.experts], dim=-1)
        return (outputs * weights[..., None, :]).sum(-1)


def plain_model(family: str, folders: list[Path], gates: list[nn.Linear], k: int) -> nn.Module:
    """The base with `PlainMixture` in the place of its MLPs."""
    models = [load_dense(folder) for folder in folders]
    decoders = [model.get_submodule(DECODERS[family]) for model in models]
    mixtures = [
        PlainMixture([decoder.layers[number].mlp for decoder in decoders], gate, k)
        for number, gate in enumerate(gates)
    ]
    for layer, mixture in zip(decoders[0].layers, mixtures, strict=True):
        layer.mlp = mixture
    return models[0]


def write_published(
    folder: Path, family: str, folders: list[Path], gates: list[nn.Linear], k: int
) -> None:
    """The files of a published mixture: flat config, an expert's linear layers each, two heads."""
    states = [load_file(path / "model.safetensors") for path in folders]
    tensors = {}
    for name, tensor in states[0].items():
        before, mlp, after = name.partition(".mlp.")
        if before.startswith(f"{DECODERS[family]}.layers.") and mlp:
            for index, state in enumerate(states):
                tensors[f"model.{before}.mlp.experts.{index}.{after}"] = state[name]
        else:
            tensors[f"model.{name}"] = tensor.clone()
    for number, gate in enumerate(gates):
        prefix = f"model.{DECODERS[family]}.layers.{number}.mlp.gating_layer.gate"
        tensors |= {f"{prefix}.{name}": value.data for name, value in gate.named_parameters()}
    tensors["lm_head.weight"] = torch.zeros_like(states[0]["lm_head.weight"])
    if family == "phi3_v":
        tensors["model.model.vision_embed_tokens.wte.weight"] = tensors[
            "model.model.embed_tokens.weight"
        ].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folders[0] / "config.json").read_text())
    module = {"phi3_v": "moe_phi3_v.Phi3V", "idefics2": "moe_idefics2.Idefics2"}[family]
    config |= {
        "model_type": f"{family}_moe",
        "architectures": f"{module.split('.')[1]}ForCausalLMMoE",
        "auto_map": {
            "AutoConfig": f"{module}ForCausalLMMoEConfig",
            "AutoModelForCausalLM": f"{module}ForCausalLMMoE",
        },
        "k": k,
        "num_expert_models": EXPERTS,
        "use_embeddings_in_router": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    AutoProcessor.from_pretrained(folders[0]).save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, list[Path]]:
    root = tmp_path_factory.mktemp("dense")
    return {
        family: [make_dense(root / f"{family}-{seed}", family, seed) for seed in range(EXPERTS)]
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def gates() -> list[nn.Linear]:
    torch.manual_seed(3)
    layers = [nn.Linear(128, EXPERTS) for _ in range(2)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=0.2)
    return layers


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_published_mixture_has_the_logits_of_a_plain_implementation(
    family, k, folders, gates, tmp_path
):
    write_published(tmp_path, family, folders[family], gates, k)
    for auto in (AutoModelForCausalLM, AutoModelForImageTextToText):
        model, loading = auto.from_pretrained(tmp_path, output_loading_info=True)
        assert isinstance(model, RoutedGeneration)
        assert not any(loading.values())
    routing = model.config.get_text_config()
    assert (routing.routing, routing.num_experts_per_tok) == ("published", k)
    batch = ask(tmp_path, TEXTS[0], "Is it?")
    plain = plain_model(family, folders[family], gates, k)
    with torch.inference_mode():
        found, expected = model.eval()(**batch).logits, plain(**batch).logits
    kept = batch["attention_mask"].bool()
    assert expected[kept].std() > 0.1
    assert torch.allclose(found[kept], expected[kept], atol=1e-5)
    if k == 2:  # the second softmax is not the renormalisation
        for router in model.routers:
            router.routing = "renormalised"
        with torch.inference_mode():
            assert not torch.allclose(model(**batch).logits[kept], expected[kept], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_published_mixture_is_saved_in_its_layout_and_loads_again(family, folders, gates, tmp_path):
    (first := tmp_path / "first").mkdir()
    write_published(first, family, folders[family], gates, 1)
    model = AutoModelForImageTextToText.from_pretrained(first)
    model.save_pretrained(tmp_path / "again")
    before, after = (load_file(tmp_path / n / "model.safetensors") for n in ("first", "again"))
    unused = {"lm_head.weight", "model.model.vision_embed_tokens.wte.weight"}
    assert after.keys() == before.keys() - unused
    assert all(torch.equal(after[name], before[name]) for name in after)
    again, loading = AutoModelForImageTextToText.from_pretrained(
        tmp_path / "again", output_loading_info=True
    )
    assert not any(loading.values())
    assert again.config.to_json_string() == model.config.to_json_string()
    assert "auto_map" not in again.config.to_dict()


def test_processor_of_a_published_mixture(folders, gates, tmp_path):
    write_published(tmp_path, "phi3_v", folders["phi3_v"], gates, 1)
    (tmp_path / "processor_config.json").unlink(missing_ok=True)
    processor = AutoProcessor.from_pretrained(tmp_path)
    assert type(processor).__name__ == "Phi3VProcessor"
    dense = AutoProcessor.from_pretrained(folders["phi3_v"][0])
    assert processor.tokenizer(TEXTS[0]).input_ids == dense.tokenizer(TEXTS[0]).input_ids


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_mixture_loads_without_its_head(family, folders, gates, tmp_path):
    write_published(tmp_path, family, folders[family], gates, 1)
    whole = AutoModelForImageTextToText.from_pretrained(tmp_path)
    headless, loading = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"]
    expected = whole.model.state_dict()
    found = headless.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
