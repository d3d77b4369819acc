"""phi3_v trains: TRL on rows with several images, one and none, LoRA, gradient checkpointing."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from phi3_v_samples import ASK_ONE, ASK_TEXT, ASK_TWO, TEXTS, load, make_model, picture
from safetensors.torch import load_file
from transformers import AutoProcessor
from trl import SFTConfig, SFTTrainer

import modeling_cephalo  # noqa: F401
from cephalo.dataset_scripts.schema import CONVERSATIONS
from cephalo.train.rows import COLUMNS, collator, without_special_tokens
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v

# CLIP is left at its inner layer, so what comes after it takes no gradient.
UNUSED = ("vision_model.encoder.layers.2.", "vision_model.post_layernorm.")


def row(answer: str, *pictures) -> dict:
    content = [{"type": "image", "text": None} for _ in pictures]
    content.append({"type": "text", "text": "What is shown in this image?"})
    return {
        "images": list(pictures),
        "prompt": [{"role": "user", "content": content}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": answer}]}],
    }


@pytest.fixture(scope="module")
def rows() -> Dataset:
    red, blue = (picture(60, 50).point(lambda _, c=c: c) for c in (250, 10))
    answers = [row("Bright nacre.", red), row("Dark steel.", blue), row("Only text.")]
    answers.append(row("Bright, then dark.", red, blue))
    features = {name: CONVERSATIONS[name] for name in COLUMNS}
    return Dataset.from_list(answers).cast(type(CONVERSATIONS)(features))


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    make_tiny_phi3_v(folder, [*TEXTS, "Bright nacre. Dark steel. Only text. then"])
    return folder


def train(base: Path, out: Path, rows: Dataset, **settings) -> SFTTrainer:
    peft_config = settings.pop("peft_config", None)
    arguments = SFTConfig(
        output_dir=str(out),
        max_length=None,
        bf16=False,
        use_cpu=True,
        logging_steps=5,
        save_strategy="no",
        per_device_train_batch_size=len(rows),
        **{"max_steps": 3, "learning_rate": 2e-3, **settings},
    )
    processor = AutoProcessor.from_pretrained(base)
    trainer = SFTTrainer(
        model=str(base),
        args=arguments,
        train_dataset=rows,
        processing_class=processor,
        data_collator=collator(processor),
        peft_config=peft_config,
    )
    trainer.train()
    trainer.save_model(out)
    return trainer


def test_training_moves_all_that_is_used_and_learns(base, rows, tmp_path):
    train(base, tmp_path, rows, max_steps=60)
    before, after = (load_file(place / "model.safetensors") for place in (base, tmp_path))
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [name for name in before if any(part in name for part in UNUSED)]
    model, processor = load(tmp_path)
    for one in rows:
        prompt = processor.apply_chat_template(one["prompt"], add_generation_prompt=True)
        batch = processor(prompt, one["images"])
        ids = model.generate(**batch, max_new_tokens=12)[0, batch["input_ids"].shape[1] :]
        answer = one["completion"][0]["content"][0]["text"]
        assert processor.decode(ids, skip_special_tokens=True).strip() == answer


def test_batches_of_text_alone_train(base, rows, tmp_path):
    train(base, tmp_path, rows.select([2]))
    before, after = (load_file(place / "model.safetensors") for place in (base, tmp_path))
    for name in before:
        assert torch.equal(before[name], after[name]) == ("vision_embed_tokens" in name), name


def test_lora_on_the_mlp_moves_only_the_adapter(base, rows, tmp_path):
    from peft import LoraConfig

    lora = LoraConfig(r=4, target_modules=["gate_up_proj", "down_proj"])
    trainer = train(base, tmp_path, rows, peft_config=lora)
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 2  # layers, projections, A and B
    assert all(".mlp." in name for name in adapter)
    assert all(tensor.abs().sum() > 0 for name, tensor in adapter.items() if "lora_B" in name)
    trained = [name for name, value in trainer.model.named_parameters() if value.requires_grad]
    assert len(trained) == 8
    model, processor = load(tmp_path)  # the adapter on its base
    batch = processor(ASK_ONE, picture(60, 50))
    with torch.inference_mode():
        adapted = model(**batch).logits
        model.disable_adapters()
        assert not torch.allclose(adapted, model(**batch).logits, atol=1e-4)


def test_loss_is_on_the_answer_and_text_begins_as_at_inference(base, rows):
    processor = AutoProcessor.from_pretrained(base)
    batch = collator(processor)([rows[3], rows[2]])
    assert len(batch["pixel_values"]) == 2
    for ids, labels, mask, one in zip(
        batch["input_ids"],
        batch["labels"],
        batch["attention_mask"],
        (rows[3], rows[2]),
        strict=True,
    ):
        answered = labels != -100
        answer = one["completion"][0]["content"][0]["text"]
        assert processor.decode(labels[answered]).strip() == f"{answer}<|end|>"
        prompt = processor.apply_chat_template(one["prompt"], add_generation_prompt=True)
        inference = processor(prompt, one["images"] or None)["input_ids"][0]
        assert ids[mask == 1][: len(inference)].tolist() == inference.tolist()


def test_labels_at_images_take_no_loss(tmp_path):
    model, processor = load(make_model(tmp_path))
    batch = processor(ASK_ONE, picture(60, 50))
    masked = batch["input_ids"].masked_fill(batch["input_ids"] < 0, -100)
    with torch.inference_mode():
        loss = model(**batch, labels=batch["input_ids"]).loss
        assert loss == model(**batch, labels=masked).loss
        assert loss.isfinite()


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path):
    model, processor = load(make_model(tmp_path))
    batch = processor([ASK_TWO, ASK_TEXT], [[picture(60, 50), picture(100, 50)], []], padding=True)
    found = []
    for checkpointing in (False, True):
        model.train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(**batch, labels=batch["input_ids"]).loss.backward()
        found.append(
            {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        )
    plain, checkpointed = found
    assert plain.keys() == checkpointed.keys() and len(plain) > 50
    assert all(torch.allclose(plain[name], checkpointed[name], atol=1e-6) for name in plain)


def test_rows_with_an_image_tag_in_their_text_are_left_out(base, rows):
    processor = AutoProcessor.from_pretrained(base)
    tagged = Dataset.from_list([row("See <|image_1|>."), row("Fine."), row("Ends<|end|>")])
    kept = without_special_tokens(tagged, processor)
    assert [one["completion"][0]["content"][0]["text"] for one in kept] == ["Fine."]
