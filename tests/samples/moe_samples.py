"""Dense models of the paper's families and mixtures of any, put together in torch; as fixtures."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from phi3_v_samples import picture
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel

from modeling_cephalo import mixture_config
from modeling_cephalo.modeling_cephalo_moe import RoutedGeneration
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

TEXTS = ["Scanning electron micrograph of nacre: aragonite tablets in rows under tension."] * 20
MAKERS = {
    "idefics2": make_tiny_idefics2,
    "llava_next": make_tiny_llava_next,
    "phi3_v": make_tiny_phi3_v,
}
IN_LANGUAGE_MODEL = (
    *("llava_next", "gemma3", "internvl", "llava_onevision", "mistral3"),
    *("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"),
)
DECODERS = {
    "phi3_v": "model",
    **dict.fromkeys(("idefics2", "idefics3", "smolvlm"), "model.text_model"),
    **dict.fromkeys(IN_LANGUAGE_MODEL, "model.language_model"),
}
QUESTIONS = ("What is shown in this image?", "Is the nacre in rows?")
IMPLEMENTATIONS = ("by_device", "grouped_mm", "batched_mm", "eager")


def make_dense(folder: Path, family: str, seed: int, texts: Sequence[str] = TEXTS) -> Path:
    """A tiny checkpoint whose decoder is lively: its layers change what goes through them."""
    MAKERS[family](folder, texts, seed=seed)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.get_submodule(DECODERS[family]).layers.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5)
    model.save_pretrained(folder)
    return folder


def fused_mlp(mlp: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """gate_up_proj and down_proj of a dense MLP of any family."""
    if hasattr(mlp, "gate_up_proj"):
        return mlp.gate_up_proj.weight, mlp.down_proj.weight
    return torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]), mlp.down_proj.weight


def make_mixture(
    family: str, dense: Sequence[PreTrainedModel], seed: int = 0, **settings: object
) -> RoutedGeneration:
    """A mixture of the MLPs of `dense` with random routers, everything else from the first."""
    base = dense[0]
    config = mixture_config(base.config, num_experts=len(dense), **settings)
    model = AutoModelForImageTextToText.from_config(config).eval()
    _, unexpected = model.load_state_dict(base.state_dict(), strict=False)
    assert all(".mlp." in name for name in unexpected)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for number, layer in enumerate(model.get_decoder().layers):
            for index, expert in enumerate(dense):
                own = expert.get_submodule(DECODERS[family]).layers[number].mlp
                gate_up, down = fused_mlp(own)
                layer.mlp.experts.gate_up_proj[index] = gate_up
                layer.mlp.experts.down_proj[index] = down
            weight = layer.mlp.gate.weight
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def load_dense(folder: Path) -> PreTrainedModel:
    """The dense model of a folder, ready to run."""
    return AutoModelForImageTextToText.from_pretrained(folder).eval()


def ask(folder: Path, *texts: str, images: bool = True) -> dict[str, torch.Tensor]:
    """A left padded batch of questions, each about its own picture."""
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    content = [{"type": "image"}] if images else []
    prompts = [
        processor.apply_chat_template(
            [{"role": "user", "content": [*content, {"type": "text", "text": text}]}],
            add_generation_prompt=True,
        )
        for text in texts
    ]
    pictures = [[picture(60 + 40 * index, 50)] for index in range(len(texts))] if images else None
    batch = processor(text=prompts, images=pictures, padding=True, return_tensors="pt")
    return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, list[Path]]:
    """Three dense checkpoints of each family."""
    root = tmp_path_factory.mktemp("dense")
    return {
        family: [make_dense(root / f"{family}-{seed}", family, seed) for seed in range(3)]
        for family in MAKERS
    }


@pytest.fixture(scope="module")
def dense(folders):
    return {family: [load_dense(path) for path in paths] for family, paths in folders.items()}


@pytest.fixture(scope="module")
def batches(folders):
    return {family: ask(paths[0], *QUESTIONS) for family, paths in folders.items()}


@pytest.fixture(scope="module")
def mixtures(dense):
    """Three different experts, k = 1; not to be changed."""
    return {family: make_mixture(family, models) for family, models in dense.items()}


def logits(model, batch) -> torch.Tensor:
    with torch.inference_mode():
        return model(**batch).logits[batch["attention_mask"].bool()]


def assert_saved_again_the_same(
    model: PreTrainedModel, saved: Path, folder: Path, family: str
) -> None:
    """A mixture of three, loaded from `saved`, is saved with the same weights and configuration."""
    model.save_pretrained(folder)
    before, after = (load_file(path / "model.safetensors") for path in (saved, folder))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    first, again = (json.loads((path / "config.json").read_text()) for path in (saved, folder))
    assert first == again
    assert first["model_type"] == f"cephalo_moe_{family}"
    assert first.get("text_config", first)["num_experts"] == 3
