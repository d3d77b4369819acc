"""phi3_v trains: TRL on rows with several images, one and none, LoRA, gradient checkpointing."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from phi3_v_samples import (
    ASK_ONE,
    ASK_TEXT,
    ASK_TWO,
    load,
    make_base,
    make_model,
    picture,
    taught_rows,
    teach,
)
from safetensors.torch import load_file
from transformers import AutoProcessor

from cephalo.model_cards.model_folder import pushed_files
from cephalo.train.encoding import encode_rows, open_images
from cephalo.train.rows import without_special_tokens

# CLIP is left at its inner layer, so what comes after it takes no gradient.
UNUSED = ("vision_model.encoder.layers.2.", "vision_model.post_layernorm.")


@pytest.fixture(scope="module")
def rows() -> Dataset:
    return taught_rows()


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def test_training_moves_all_that_is_used_and_learns(base, rows, tmp_path):
    teach(base, tmp_path, rows)
    before, after = (load_file(place / "model.safetensors") for place in (base, tmp_path))
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [name for name in before if any(part in name for part in UNUSED)]
    model, processor = load(tmp_path)
    for one in rows:
        prompt = processor.apply_chat_template(one["prompt"], add_generation_prompt=True)
        batch = processor(prompt, open_images(one["images"], None), return_tensors="pt")
        ids = model.generate(**batch, max_new_tokens=12)[0, batch["input_ids"].shape[1] :]
        answer = one["completion"][0]["content"][0]["text"]
        assert processor.decode(ids, skip_special_tokens=True).strip() == answer


def test_batches_of_text_alone_train(base, rows, tmp_path):
    teach(base, tmp_path, rows.select([2]), max_steps=3)
    before, after = (load_file(place / "model.safetensors") for place in (base, tmp_path))
    for name in before:
        assert torch.equal(before[name], after[name]) == ("vision_embed_tokens" in name), name


def test_lora_on_the_mlp_moves_only_the_adapter(base, rows, tmp_path):
    from peft import LoraConfig

    lora = LoraConfig(r=4, target_modules=["gate_up_proj", "down_proj"])
    trainer = teach(base, tmp_path, rows, peft_config=lora, max_steps=3)
    adapter = load_file(tmp_path / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 2  # layers, projections, A and B
    assert all(".mlp." in name for name in adapter)
    assert all(tensor.abs().sum() > 0 for name, tensor in adapter.items() if "lora_B" in name)
    trained = [name for name, value in trainer.model.named_parameters() if value.requires_grad]
    assert len(trained) == 8
    model, processor = load(tmp_path)  # the adapter on its base
    batch = processor(ASK_ONE, picture(60, 50), return_tensors="pt")
    with torch.inference_mode():
        adapted = model(**batch).logits
        model.disable_adapters()
        assert not torch.allclose(adapted, model(**batch).logits, atol=1e-4)


def test_loss_is_on_the_answer_and_text_begins_as_at_inference(base, rows):
    processor = AutoProcessor.from_pretrained(base)
    for encoded, one in zip(encode_rows(rows, processor), rows, strict=True):
        answered = [label for label in encoded["labels"] if label != -100]
        answer = one["completion"][0]["content"][0]["text"]
        assert processor.decode(answered).strip() == f"{answer}<|end|>"
        prompt = processor.apply_chat_template(one["prompt"], add_generation_prompt=True)
        images = open_images(one["images"], None)
        inference = processor(prompt, images or None, return_tensors="pt")["input_ids"][0].tolist()
        assert encoded["input_ids"][: len(inference)] == inference


def test_labels_at_images_take_no_loss(tmp_path):
    model, processor = load(make_model(tmp_path))
    batch = processor(ASK_ONE, picture(60, 50), return_tensors="pt")
    masked = batch["input_ids"].masked_fill(batch["input_ids"] < 0, -100)
    with torch.inference_mode():
        loss = model(**batch, labels=batch["input_ids"]).loss
        assert loss == model(**batch, labels=masked).loss
        assert loss.isfinite()


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path):
    model, processor = load(make_model(tmp_path))
    batch = processor(
        [ASK_TWO, ASK_TEXT],
        [[picture(60, 50), picture(100, 50)], []],
        padding=True,
        return_tensors="pt",
    )
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
    [one] = taught_rows().select([2]).to_list()
    texts = ["See <|image_1|>.", "Fine.", "Ends<|end|>"]
    tagged = []
    for text in texts:
        answer = [{"role": "assistant", "content": [{"type": "text", "text": text}]}]
        tagged.append({**one, "completion": answer})
    tagged = Dataset.from_list([{**row, "row": f"train[{n}]"} for n, row in enumerate(tagged)])
    kept = without_special_tokens(tagged, processor)
    assert [one["completion"][0]["content"][0]["text"] for one in kept] == ["Fine."]


def test_what_cephalo_train_pushes_is_all_of_a_saved_phi3_v(base):
    names = {path.name for path in base.iterdir()}
    assert {"modeling_phi3_v.py", "preprocessor_config.json", "chat_template.jinja"} < names
    assert names == set(pushed_files(base))
