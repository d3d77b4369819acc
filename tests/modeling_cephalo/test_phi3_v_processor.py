"""The processor of phi3_v as transformers, TRL and vLLM call processors."""

import re

import numpy as np
import pytest
import torch
from datasets import Dataset
from phi3_v_samples import ASK_ONE, ASK_TEXT, ASK_TWO, TEXTS, picture
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

from modeling_cephalo import register
from modeling_cephalo.tiny_phi3_v import make_tiny_phi3_v, tiny_phi3_v_processor

PICTURES = [picture(60, 50), picture(300, 50)]
VLLM_IMAGE_TOKEN = 32044  # vLLM writes it for every negative id


@pytest.fixture(scope="module")
def processor():
    register()
    return tiny_phi3_v_processor(TEXTS)


# Calls


def test_images_and_text_may_come_in_either_order(processor, tmp_path):
    expected = processor(images=PICTURES, text=ASK_TWO)
    assert isinstance(expected["input_ids"], list)
    for found in (processor(PICTURES, ASK_TWO), processor(ASK_TWO, PICTURES)):
        assert found["input_ids"] == expected["input_ids"]
        assert torch.equal(found["pixel_values"], expected["pixel_values"])
    assert set(processor(ASK_TEXT)) == set(processor([ASK_TEXT])) == {"input_ids", "attention_mask"}
    PICTURES[0].save(path := tmp_path / "image.png")
    by_path = processor(str(path), ASK_ONE)
    assert torch.equal(by_path["pixel_values"][0], expected["pixel_values"][0])
    with pytest.raises(ValueError, match="give text, images or both"):
        processor()


def test_images_alone_are_processed(processor):
    both = processor(PICTURES, ASK_TWO, return_tensors="np")
    alone = processor(images=PICTURES, return_tensors="np")
    assert set(alone) == {"pixel_values", "image_sizes"}
    assert all(isinstance(alone[name], np.ndarray) for name in alone)
    assert all(np.array_equal(alone[name], both[name]) for name in alone)


def test_a_prompt_without_images_has_none_or_an_empty_list(processor):
    expected = processor([[], PICTURES], [ASK_TEXT, ASK_TWO])
    found = processor([None, PICTURES], [ASK_TEXT, ASK_TWO])
    assert found["input_ids"] == expected["input_ids"]
    assert torch.equal(found["pixel_values"], expected["pixel_values"])
    assert set(processor([None], ASK_TEXT)) == {"input_ids", "attention_mask"}


def test_tags_without_numbers_are_the_next_images(processor):
    plain = re.sub(r"_\d", "", ASK_TWO)
    assert processor.image_token in plain
    expected = processor(PICTURES, ASK_TWO)["input_ids"]
    assert processor(PICTURES, plain)["input_ids"] == expected
    with pytest.raises(ValueError, match="with numbers and without"):
        processor(PICTURES, ASK_TWO.replace("_2", ""))


@pytest.mark.parametrize(
    "options",
    [
        {"nonsense": 1},
        {"do_center_crop": True},
        {"stride": 2},
        {"text_kwargs": {"nonsense": 1}},
        {"images_kwargs": {"nonsense": 1}},
        {"common_kwargs": {"nonsense": 1}},
    ],
)
def test_options_that_are_not_followed_are_refused(processor, options):
    with pytest.raises(TypeError, match=r"unknown options \['(nonsense|do_center_crop|stride)'\]"):
        processor(PICTURES, ASK_TWO, **options)


def test_options_may_be_given_by_kind(processor):
    flat = processor(PICTURES, ASK_TWO, padding="max_length", max_length=99, num_crops=1)
    kinds = {
        "text_kwargs": {"padding": "max_length", "max_length": 99},
        "images_kwargs": {"num_crops": 1},
    }
    assert processor(PICTURES, ASK_TWO, **kinds)["input_ids"] == flat["input_ids"]
    assert len(flat["input_ids"][0]) == 99 and flat["pixel_values"].shape[1] == 2
    left = processor([ASK_TEXT, "a"], truncation=True, max_length=2, padding=True)
    assert [len(row) for row in left["input_ids"]] == [2, 2]


# What comes out


def test_offsets_are_those_of_the_prompt(processor):
    options = {"padding": True, "return_offsets_mapping": True, "return_mm_token_type_ids": True}
    batch = processor([PICTURES, []], [ASK_TWO, ASK_TEXT], **options, return_tensors="pt")
    ids, offsets = batch["input_ids"].tolist(), batch["offset_mapping"].tolist()
    for text, row, spans in zip((ASK_TWO, ASK_TEXT), ids, offsets, strict=True):
        for token, (start, end) in zip(row, spans, strict=True):
            if token < 0:
                assert text[start:end] == f"<|image_{-token}|>"
            elif end > start:  # a token of the text; `<|assistant|>` takes what follows it along
                assert processor.tokenizer.decode([token]).strip() == text[start:end].strip()
    assert torch.equal(batch["mm_token_type_ids"], (batch["input_ids"] < 0).long())
    assert batch["attention_mask"][1, 0] == 0 and offsets[1][0] == [0, 0]


@pytest.mark.parametrize("size", [(60, 50), (50, 200)])
def test_tokens_of_images_are_known_from_their_sizes(processor, size):
    [row] = processor(picture(*size), ASK_ONE)["input_ids"]
    counted = processor._get_num_multimodal_tokens(image_sizes=[size[::-1]])
    assert counted["num_image_tokens"] == [row.count(-1)]
    fewer = processor._get_num_multimodal_tokens(image_sizes=[size[::-1]], num_crops=1)
    [row] = processor(picture(*size), ASK_ONE, num_crops=1)["input_ids"]
    assert fewer["num_image_tokens"] == [row.count(-1)]


def test_generated_and_published_ids_are_decoded_alike(processor):
    [row] = processor(PICTURES, ASK_TWO)["input_ids"]
    written = [processor.image_token_id if token < 0 else token for token in row]
    assert processor.decode(row) == processor.decode(written)
    assert processor.decode(np.array(row)) == processor.decode(row)
    assert processor.decode(row).count("<|image|>") == sum(token < 0 for token in row)
    assert "image" not in processor.decode(row, skip_special_tokens=True)
    assert processor.batch_decode(torch.tensor([row])) == [processor.decode(row)]


def test_a_saved_processor_is_the_same(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert loaded.chat_template == processor.chat_template
    fewer = AutoProcessor.from_pretrained(tmp_path, num_crops=2)
    assert fewer.image_processor.num_crops == 2


# Training on what the assistant says

CONVERSATION = [
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is shown?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Nacre in rows."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "And here?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Spider silk."}]},
]
SAID = "Nacre in rows.<|end|>Spider silk.<|end|>"


def test_the_assistants_tokens_are_marked(processor):
    pictures = iter(PICTURES)
    messages = [
        {**message, "content": [
            {"type": "image", "image": next(pictures)} if part["type"] == "image" else part
            for part in message["content"]
        ]}
        for message in CONVERSATION
    ]  # fmt: skip
    short = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Yes."}]
    batch = processor.apply_chat_template(
        [messages, short],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        return_assistant_tokens_mask=True,
        processor_kwargs={"padding": True},
    )
    for row, mask, said in zip(
        batch["input_ids"], batch["assistant_masks"], (SAID, "Yes.<|end|>"), strict=True
    ):
        assert processor.tokenizer.decode(row[mask.bool()]) == said
    assert batch["pixel_values"].shape[0] == 2


def test_trl_takes_loss_on_what_the_assistant_says_alone(tmp_path):
    register()
    make_tiny_phi3_v(tmp_path, [*TEXTS, SAID])
    processor = AutoProcessor.from_pretrained(tmp_path)
    trainer = SFTTrainer(
        model=AutoModelForImageTextToText.from_pretrained(tmp_path),
        processing_class=processor,
        train_dataset=Dataset.from_list([{"images": PICTURES, "messages": CONVERSATION}] * 2),
        args=SFTConfig(
            output_dir=str(tmp_path / "out"), assistant_only_loss=True, max_length=None,
            max_steps=2, per_device_train_batch_size=2, learning_rate=1e-3, use_cpu=True,
            bf16=False, save_strategy="no", logging_steps=1,
        ),
    )  # fmt: skip
    [batch] = trainer.get_train_dataloader()
    assert batch["pixel_values"].shape[0] == 4
    for labels in batch["labels"]:
        assert processor.tokenizer.decode(labels[labels >= 0]) == SAID
        assert set(labels[labels < 0].tolist()) == {-100}
    trainer.train()
    first, last = (log["loss"] for log in trainer.state.log_history[:2])
    assert last < first


# vLLM


def test_vllm_reads_a_saved_processor(processor, tmp_path):
    """What vLLM's phi3v.py asks of a processor and does with what it gives."""
    processor.save_pretrained(tmp_path)
    served = AutoProcessor.from_pretrained(tmp_path, num_crops=3)
    # Dummy inputs of most tokens: 50 x 8000 pixels.
    tags = served.img_tokens
    text = "".join(tags[:2])
    batch = served(text=text, images=[picture(50, 8000)] * 2, return_tensors="pt")
    assert tags[:2] == ["<|image_1|>", "<|image_2|>"]
    # Negative ids are written as image tokens, in place.
    ids = batch["input_ids"]
    ids.masked_fill_(ids < 0, VLLM_IMAGE_TOKEN)
    most = served.calc_num_image_tokens_from_image_size(width=50, height=8000)
    assert (ids == VLLM_IMAGE_TOKEN).sum() == 2 * most
    # Fields are batched by image.
    assert len(batch["pixel_values"]) == len(batch["image_sizes"]) == 2
    assert batch["image_sizes"].shape == (2, 2)
    assert batch["pixel_values"].shape[2:] == (3, 56, 56)
    # Where images are cached, vLLM tokenizes text alone, tags included, writes the placeholders
    # itself and finds the text again by decoding.
    tokenizer = served.tokenizer
    ids = tokenizer(ASK_TWO).input_ids
    text = tokenizer.decode(ids[1:] if ids[0] == tokenizer.bos_token_id else ids)
    chunks = [tokenizer(chunk).input_ids for chunk in re.split(r"<\|image_\d+\|>", text)]
    sizes = [(60, 50), (300, 50)]
    counts = [served.calc_num_image_tokens_from_image_size(width=w, height=h) for w, h in sizes]
    written = chunks[0]
    for count, chunk in zip(counts, chunks[1:], strict=True):
        written = written + [VLLM_IMAGE_TOKEN] * count + chunk
    whole = served(text=ASK_TWO, images=PICTURES, return_tensors="pt")["input_ids"]
    assert whole.masked_fill(whole < 0, VLLM_IMAGE_TOKEN)[0].tolist() == written
