"""cephalo_moe trains with TRL: in full, by its gates alone, by LoRA on its experts."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from moe_samples import MAKERS, TEXTS, ask, load_dense, make_dense, make_mixture
from peft import LoraConfig
from phi3_v_samples import picture
from safetensors.torch import load_file
from trainer_samples import as_rows, make_trainer
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.train.trainer import PackedTrainer

# CLIP is left at its inner layer, so what comes after it takes no gradient.
UNUSED = ("vision_model.encoder.layers.2.", "vision_tower.encoder.layers.2.", "post_layernorm.")


def row(answer: str, *pictures: object) -> dict:
    content = [{"type": "image", "text": None} for _ in pictures]
    content.append({"type": "text", "text": "What is shown?"})
    return {
        "images": list(pictures),
        "prompt": [{"role": "user", "content": content}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
    }


@pytest.fixture(scope="module")
def rows() -> Dataset:
    answers = [row("Nacre in rows.", picture(60, 50)), row("Under tension.", picture(50, 60))]
    return as_rows(answers)


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    """A mixture of each family, of three experts with k = 1, saved with its processor."""
    root = tmp_path_factory.mktemp("bases")
    for family in MAKERS:
        folders = [make_dense(root / f"{family}-{seed}", family, seed) for seed in range(3)]
        make_mixture(family, [load_dense(path) for path in folders]).save_pretrained(root / family)
        AutoProcessor.from_pretrained(folders[0]).save_pretrained(root / family)
    return {family: root / family for family in MAKERS}


def train(model: object, base: Path, out: Path, rows: Dataset, **settings) -> PackedTrainer:
    trainer = make_trainer(model, base, out, rows, **settings)
    trainer.train()
    trainer.save_model(out)
    return trainer


def moved(base: Path, out: Path) -> tuple[set[str], set[str]]:
    """The names of the tensors that changed, and of those that did not."""
    before, after = (load_file(place / "model.safetensors") for place in (base, out))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return changed, before.keys() - changed


@pytest.mark.parametrize("family", MAKERS)
def test_full_training_moves_every_gate_and_every_expert(family, bases, rows, tmp_path):
    trainer = train(str(bases[family]), bases[family], tmp_path, rows, max_steps=4)
    changed, still = moved(bases[family], tmp_path)
    assert all(any(part in name for part in UNUSED) for name in still), still
    # Within a tensor each expert moved, as each got tokens.
    before, after = (load_file(place / "model.safetensors") for place in (bases[family], tmp_path))
    experts = [name for name in changed if ".experts." in name]
    assert len(experts) == 4
    for name in experts:
        assert (before[name] != after[name]).flatten(1).any(1).tolist() == [True] * 3
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]
    # The trainer adds the load-balancing loss: at k = 1 it is 1 where the load is even.
    balance = [entry["aux_loss"] for entry in trainer.state.log_history if "aux_loss" in entry]
    assert len(balance) == 4 and all(0.5 < value < 3 for value in balance)


def test_gates_train_alone(bases, rows, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(bases["phi3_v"])
    model.requires_grad_(False)
    for router in model.routers:
        router.requires_grad_(True)
    train(model, bases["phi3_v"], tmp_path, rows)
    changed, _ = moved(bases["phi3_v"], tmp_path)
    assert changed == {
        f"model.layers.{layer}.mlp.gate.{name}" for layer in (0, 1) for name in ("weight", "bias")
    }


def test_lora_on_the_experts_moves_only_the_adapter(bases, rows, tmp_path):
    lora = LoraConfig(
        r=4,
        target_modules=[],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    )
    train(str(bases["phi3_v"]), bases["phi3_v"], tmp_path, rows, peft_config=lora)
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 2  # layers, projections, A and B
    assert all(".mlp.experts." in name for name in adapter)
    assert all(tensor.abs().sum() > 0 for name, tensor in adapter.items() if "lora_B" in name)
    model = AutoModelForImageTextToText.from_pretrained(bases["phi3_v"]).eval()
    batch = ask(bases["phi3_v"], TEXTS[0])
    with torch.inference_mode():
        before = model(**batch).logits
        model.load_adapter(tmp_path)
        adapted = model(**batch).logits
        model.disable_adapters()
        assert torch.allclose(model(**batch).logits, before, atol=1e-6)
    assert not torch.allclose(adapted, before, atol=1e-4)


def test_lora_on_the_attention_with_gates_saved_whole(bases, rows, tmp_path):
    lora = LoraConfig(
        r=4, target_modules=r".*layers\.\d+\.self_attn\.qkv_proj", modules_to_save=["gate"]
    )
    train(str(bases["phi3_v"]), bases["phi3_v"], tmp_path, rows, peft_config=lora)
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    gates = {name: tensor for name, tensor in adapter.items() if ".mlp.gate." in name}
    assert len(gates) == 4 and len(adapter) == 4 + 2 * 2
    before = load_file(bases["phi3_v"] / "model.safetensors")
    for name, tensor in gates.items():
        assert not torch.equal(tensor, before[name.removeprefix("base_model.model.")])
