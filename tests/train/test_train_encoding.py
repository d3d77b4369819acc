"""Labels are on every answer and on nothing else; rows that cannot train are named."""

import io
from copy import copy

import pytest
from datasets import Dataset
from family_samples import FAMILIES, make_family
from moe_samples import MAKERS, TEXTS
from phi3_v_samples import picture
from PIL import Image
from trainer_samples import as_rows
from training_samples import MIXED, mixed_talks, talk
from transformers import AutoProcessor

from cephalo.cli.errors import CephaloError
from cephalo.inference import local
from cephalo.train import encoding
from cephalo.train.encoding import IGNORED, encode_rows, open_images, tell_oversized
from cephalo.train.packing import PackingCollator
from cephalo.train.rows import answers_apart

REMEDIES = {
    "gemma4": "lower max_soft_tokens, 70 now, in the base's processor_config.json, to which its "
    "images are scaled",
    "smolvlm": "make their images smaller with max_image_edge",
}
END = {"idefics2": "<end_of_utterance>\n", "llava_next": "</s>", "phi3_v": "<|end|>\n"}


@pytest.fixture(scope="module")
def processors(tmp_path_factory) -> dict:
    root = tmp_path_factory.mktemp("bases")
    for family, make in MAKERS.items():
        make(root / family, TEXTS)
    return {family: AutoProcessor.from_pretrained(root / family) for family in MAKERS}


@pytest.mark.parametrize("family", MAKERS)
def test_labels_are_all_answers_with_their_ends_and_nothing_else(family, processors):
    processor, talks = processors[family], mixed_talks()
    for one, row in zip(talks, encode_rows(as_rows(talks), processor), strict=True):
        ids, labels = row["input_ids"], row["labels"]
        assert len(ids) == len(labels) == row["tokens"]
        assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
        runs = processor.decode(
            [label if label != IGNORED else processor.tokenizer.pad_token_id for label in labels]
        ).split(processor.tokenizer.pad_token)
        answers = [turn["content"][0]["text"] for turn in one["completion"][::2]]
        assert [run.strip(" ") for run in runs if run] == [a + END[family] for a in answers]


@pytest.mark.parametrize("family", MAKERS)
def test_every_turn_is_asked_as_at_inference(family, processors):
    """What the processor gives the model before an answer begins the ids of the row."""
    processor, talks = processors[family], mixed_talks()
    for one, row in zip(talks, encode_rows(as_rows(talks), processor), strict=True):
        messages = one["prompt"] + one["completion"]
        images = [one["images"]] if one["images"] else None
        for index in range(1, len(messages), 2):
            prompt = processor.apply_chat_template(messages[:index], add_generation_prompt=True)
            asked = processor(text=[prompt], images=images, return_tensors="pt")["input_ids"][0]
            assert row["input_ids"][: len(asked)] == asked.tolist()
            assert row["labels"][len(asked) - 1] == IGNORED != row["labels"][len(asked)]
        bos = processor.tokenizer.bos_token_id
        assert row["input_ids"][0] == bos and row["input_ids"][1] != bos


@pytest.mark.parametrize("family", MAKERS)
def test_images_reach_the_model_as_the_processor_makes_them(family, processors):
    processor = processors[family]
    rows = encode_rows(as_rows(mixed_talks()[:2]), processor)
    [sequence] = PackingCollator(processor.image_processor)(list(rows))["sequences"]
    talks = mixed_talks()[:2]
    texts = [processor.apply_chat_template(one["prompt"]) for one in talks]
    whole = processor(
        text=texts, images=[one["images"] for one in talks], padding=True, return_tensors="pt"
    )
    pixels = [batch["pixel_values"] for batch in (sequence, whole)]
    if family == "idefics2":  # images of a row are a dimension of its own, padded to the most
        pixels = [own.flatten(0, 1) for own in pixels]
        pixels = [own[own.flatten(1).any(1)] for own in pixels]
    else:
        assert sequence["image_sizes"].tolist() == whole["image_sizes"].tolist()
    assert pixels[0].shape == pixels[1].shape and pixels[0].equal(pixels[1])
    assert sequence["tiles"] == sum(rows["tiles"])


def test_several_processes_read_the_same_rows_where_there_are_enough(processors, monkeypatch):
    rows, started, map_rows = as_rows(mixed_talks()), [], Dataset.map
    monkeypatch.setattr(
        Dataset, "map", lambda *a, **k: started.append(k["num_proc"]) or map_rows(*a, **k)
    )
    alone = encode_rows(rows, processors["phi3_v"], workers=3)
    assert not any(started)
    monkeypatch.setattr(encoding, "ROWS_A_WORKER", 2)
    assert encode_rows(rows, processors["phi3_v"], workers=3)[:] == alone[:]
    assert started[-1] == 2


def test_same_pixels_have_the_same_key(processors):
    rows = encode_rows(as_rows([*mixed_talks(), mixed_talks()[0]]), processors["phi3_v"])
    keys = rows["image_key"]
    assert keys[0] == keys[4] and keys[2] == "" and len(set(keys)) == 4


def test_shrunk_images_are_shorter(processors):
    rows = as_rows(mixed_talks())
    small = encode_rows(rows, processors["llava_next"], max_image_edge=40)
    large = encode_rows(rows, processors["llava_next"])
    assert small["image_key"][0] != large["image_key"][0] and small[2] == large[2]
    [image] = open_images(rows[0]["images"], 40)
    assert image.size == (40, 33)


def test_rows_that_are_too_long_are_named_and_left_out_whole(processors, caplog):
    rows = as_rows([*mixed_talks(), talk(["Nacre. " * 50])])
    tokens = encode_rows(rows, processors["idefics2"])["tokens"]
    kept = encode_rows(rows, processors["idefics2"], max_length=tokens[3])
    assert kept["tokens"] == tokens[:4]
    said = caplog.text
    assert f"left out 1 rows of more than {tokens[3]} tokens: lab/nacre train[4]" in said
    assert "raise max_length" in said
    images = processors["llava_next"].image_processor
    tell_oversized(kept, tokens[3] - 1, images)
    over = [
        f"lab/nacre train[{n}] ({tokens[n]} tokens)" for n in range(4) if tokens[n] >= tokens[3]
    ]
    said = f"{len(over)} rows have more than the {tokens[3] - 1} tokens of batch_tokens: "
    assert f"{said}{', '.join(over)}; each becomes a separate sequence; if memory" in caplog.text
    caplog.clear()
    tell_oversized(kept, max(tokens), images)
    tell_oversized(kept, None, images)
    assert not caplog.text
    with pytest.raises(CephaloError, match="no row is left"):
        encode_rows(rows, processors["idefics2"], max_length=3)


def broken(rows: Dataset, index: int, data: bytes) -> Dataset:
    """`rows` with other bytes in the place of the image of one of them."""
    listed = rows.to_list()
    listed[index]["images"] = [{"bytes": data, "path": None}]
    return Dataset.from_list(listed, features=rows.features)


def cut_png() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 9).save(file, "PNG")
    return file.getvalue()[:-900]


@pytest.mark.parametrize("data", [b"", b"no image", cut_png()], ids=["empty", "text", "cut"])
def test_broken_images_are_left_out_up_to_a_limit(data, processors, caplog):
    rows = broken(as_rows(mixed_talks()), 1, data)
    kept = encode_rows(rows, processors["idefics2"], max_broken_rows=1)
    assert kept["row"] == [f"lab/nacre train[{index}]" for index in (0, 2, 3)]
    assert "left out 1 rows that cannot be read: lab/nacre train[1] (" in caplog.text
    with pytest.raises(CephaloError, match=r"1 rows cannot be read: lab/nacre train\[1\] .*0 now"):
        encode_rows(rows, processors["idefics2"])


def test_conversations_that_cannot_train_are_broken(processors, caplog):
    unasked = talk(["Fine."])
    unasked["completion"] = [{**unasked["completion"][0], "role": "user"}]
    late = talk(["Fine.", "More."])
    late["completion"][1]["content"].insert(0, {"type": "image", "text": None})
    missing = talk(["Fine."])
    missing["prompt"][0]["content"].insert(0, {"type": "image", "text": None})
    shown = talk(["Fine."], picture(60, 50))  # and in the answer alone
    shown["completion"][0]["content"].insert(0, shown["prompt"][0]["content"].pop(0))
    rows = as_rows([talk(["Fine."]), unasked, late, missing, shown])
    assert len(encode_rows(rows, processors["idefics2"], max_broken_rows=4)) == 1
    said = caplog.text
    assert "no answer of the assistant" in said
    after = "ValueError: an image after the prompt, in an answer or a later turn; put all images"
    assert all(f"train[{row}] ({after}" in said for row in (2, 4))
    assert "train[3] (ValueError: 1 places for 0 images)" in said


@pytest.mark.parametrize(("family", "remedy"), REMEDIES.items())
def test_long_rows_name_what_makes_them_shorter(family, remedy, tmp_path, caplog):
    """Gemma 4 scales images to its number of tokens, whatever their size."""
    processor = FAMILIES[family](TEXTS)[1]
    rows = as_rows([talk(["Fine."]), talk(["Fine."], picture(600, 500))])
    kept = encode_rows(rows, processor, max_length=60)
    assert len(kept) == 1 and f"or {remedy}" in caplog.text
    tell_oversized(kept, 1, processor.image_processor)
    assert f"if memory does not suffice, {remedy}, or leave" in caplog.text


@pytest.mark.parametrize("size", [(1, 120), (120, 1)])
def test_an_image_of_which_nothing_would_be_left_is_too_thin(size, tmp_path, caplog):
    make_family(tmp_path, "mistral3", TEXTS)
    rows = as_rows([talk(["Fine."]), talk(["Fine."], picture(*size))])
    model = local.load(tmp_path)
    assert len(encode_rows(rows, model.processor, max_broken_rows=1)) == 1
    thin = f"the image is too thin, {size[0]} x {size[1]} pixels; crop it"
    assert f"train[1] ({thin})" in caplog.text
    with pytest.raises(CephaloError, match=f"^{thin}"):
        model.ask("What is shown?", picture(*size), max_new_tokens=1)


@pytest.mark.parametrize("answer", ["", " \n", None], ids=["empty", "blank", "null"])
def test_empty_answers_are_broken_rows(answer, processors, caplog):
    empty = talk(["Fine.", "More."])
    empty["completion"][-1]["content"][0]["text"] = answer
    rows = as_rows([talk(["Fine."]), empty])
    with pytest.raises(CephaloError, match=r"train\[1\] \(ValueError: an empty answer .*0 now"):
        encode_rows(rows, processors["idefics2"])
    kept = encode_rows(rows, processors["idefics2"], max_broken_rows=1)
    assert kept["row"] == ["lab/nacre train[0]"]
    assert "train[1] (ValueError: an empty answer of the assistant)" in caplog.text


def test_rows_left_out_of_a_stream_are_told_as_they_come(processors, caplog):
    rows = broken(as_rows([*mixed_talks(), talk(["Nacre. " * 90])]), 1, b"no image")
    stream = rows.to_iterable_dataset()
    kept = encode_rows(stream, processors["idefics2"], max_length=200, max_broken_rows=1)
    assert [row["row"][-3:] for row in kept] == ["[0]", "[2]", "[3]"]
    said = caplog.messages
    assert said[0].startswith("left out lab/nacre train[1]: the image is not a valid image")
    assert said[1].startswith("left out lab/nacre train[4]: ") and "tokens, above 200" in said[1]
    with pytest.raises(CephaloError, match="raise max_broken_rows, 0 now"):
        list(encode_rows(stream, processors["idefics2"]))


LAST_THOUGHTS = (
    "{% for message in messages %}{{ '<s>' + message['role'] + '\n' }}"
    "{% if loop.last and message['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% else %}<image>{% endif %}{% endfor %}{{ '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n<think>\n' }}{% endif %}"
)


@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_rows_where_the_template_rewrites_earlier_turns(processors, stream, caplog):
    processor = copy(processors["idefics2"])
    assert answers_apart(as_rows(mixed_talks()), processor).num_rows == 4
    processor.chat_template = LAST_THOUGHTS
    rows = as_rows(mixed_talks())
    rows = answers_apart(rows.to_iterable_dataset() if stream else rows, processor)
    assert "each answer of a conversation becomes a separate row" in caplog.text
    found = list(encode_rows(rows, processor))
    names = [own["row"].removeprefix("lab/nacre train") for own in found]
    assert names == ["[0]", *(f"[1] answer {n}" for n in (1, 2)), "[2]"] + [
        f"[3] answer {n}" for n in (1, 2, 3)
    ]
    learned = [[token for token in own["labels"] if token != IGNORED] for own in found]
    texts = processor.batch_decode(learned, skip_special_tokens=True)
    assert [text.split("</think>")[1].strip() for text in texts] == [
        answer.strip() for answers, _ in MIXED for answer in answers
    ]
    shown = [processor.decode(own["input_ids"]).count("<think>") for own in found]
    assert shown == [1] * len(found)  # as it is asked, earlier answers are without
