"""Every family answers through cephalo.inference.local; bad input is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from phi3_v_samples import TEXTS, make_model, picture
from PIL import Image
from safetensors.torch import load_file, save_file

from cephalo.cli.errors import CephaloError
from cephalo.inference import local
from cephalo.inference.endings import until_stop
from cephalo.inference.images import open_image
from modeling_cephalo.tiny import make_tiny_idefics2
from modeling_cephalo.tiny_llava_next import make_tiny_llava_next

FAMILIES = {
    "phi3_v": lambda folder, _: make_model(folder),
    "idefics2": make_tiny_idefics2,
    "llava_next": make_tiny_llava_next,
}
ENDS = {"phi3_v": "<|end|>", "idefics2": "<end_of_utterance>", "llava_next": "</s>"}
SHORT = {"max_new_tokens": 8}


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp(request.param)
    FAMILIES[request.param](place, TEXTS)
    return place


@pytest.fixture(scope="module")
def cephalo(folder) -> local.Cephalo:
    return local.load(folder)


@pytest.fixture
def image_file(tmp_path) -> Path:
    picture(60, 50).save(tmp_path / "figure.png")
    return tmp_path / "figure.png"


def test_one_answer_in_every_way(cephalo, image_file):
    answer = cephalo.ask("What is shown?", image_file, **SHORT)
    assert answer
    assert cephalo.ask("What is shown?", [picture(60, 50)], **SHORT) == answer
    assert "".join(cephalo.stream("What is shown?", [str(image_file)], **SHORT)).strip() == answer
    assert cephalo.conversation().ask("What is shown?", image_file, **SHORT) == answer
    two = cephalo.ask("Compare.", [image_file, picture(100, 50)], **SHORT)
    text = cephalo.ask("What is nacre?", **SHORT)
    batch = [
        ("What is shown?", [image_file]),
        ("What is nacre?", []),
        ("Compare.", [image_file, picture(100, 50)]),
    ]
    found = cephalo.ask_batch(batch, **SHORT)
    assert [own.text for own in found] == [answer, text, two]
    assert len({answer, two, text}) == 3


def test_a_talk_remembers_its_turns(cephalo, image_file):
    talk = cephalo.conversation()
    first = talk.ask("What is shown?", image_file, **SHORT)
    second = talk.ask("And here?", picture(100, 50), **SHORT)
    history = [
        local.user_message("What is shown?", image_file),
        local.text_message("assistant", first),
    ]
    assert second == cephalo.ask("And here?", picture(100, 50), history=history, **SHORT)
    assert [message["role"] for message in talk.messages] == ["user", "assistant"] * 2
    inputs = cephalo.prepare([talk.messages[:3]])
    alone = cephalo.prepare([talk.messages[2:3]])
    assert inputs["input_ids"].shape[1] > alone["input_ids"].shape[1] + 8
    assert cephalo.conversation(history).ask("And here?", picture(100, 50), **SHORT) == second


def test_messages_may_hold_plain_text_and_paths(cephalo, image_file):
    parts = [{"type": "image", "image": str(image_file)}, {"type": "text", "text": "And now?"}]
    history = [
        {"role": "user", "content": "What is nacre?"},
        {"role": "assistant", "content": "A shell."},
    ]
    plain = cephalo.answer([*history, {"role": "user", "content": parts}], **SHORT)
    talk = cephalo.conversation(
        [local.user_message("What is nacre?"), local.text_message("assistant", "A shell.")]
    )
    assert talk.ask("And now?", image_file, **SHORT) == plain


def test_answers_end_with_the_turn_of_the_template(cephalo):
    tokenizer = cephalo.processor.tokenizer
    end = tokenizer.convert_tokens_to_ids(ENDS[cephalo.model.config.model_type])
    stops = cephalo.model.generation_config.eos_token_id
    assert end in stops and tokenizer.eos_token_id in stops
    assert cephalo.stop_strings == []


def test_answers_tell_whether_they_were_cut_and_count_what_was_generated(cephalo):
    talks = [
        [local.user_message("What is shown?", picture(60, 50))],
        [local.user_message("Why?")],
    ]
    cut = cephalo.answer_batch(talks, max_new_tokens=3)
    assert [(answer.tokens, answer.whole) for answer in cut] == [(3, False)] * 2
    for answer, talk in zip(cut, talks, strict=True):
        assert answer.prompt_tokens == cephalo.prepare([talk])["input_ids"].shape[1]
    end = cephalo.processor.tokenizer.eos_token_id
    whole = cephalo.answer_batch(talks, max_new_tokens=5, forced_eos_token_id=end)
    assert [(answer.tokens, answer.whole) for answer in whole] == [(5, True)] * 2
    batch = [("What is shown?", [picture(60, 50)]), ("Why?", [])]
    short = cephalo.ask_batch(batch, max_new_tokens=4)
    assert [answer.text for answer in whole] == [answer.text for answer in short]
    assert cephalo.measure([9, 9, end, 9], "any") == (3, True)


def test_the_prompt_is_that_of_the_chat_template(cephalo):
    messages = [local.user_message("What is nacre?")]
    prompt = cephalo.processor.apply_chat_template(messages, add_generation_prompt=True)
    tokenizer = cephalo.processor.tokenizer
    starts = prompt.startswith(tokenizer.bos_token)
    expected = tokenizer(prompt, add_special_tokens=not starts).input_ids
    assert cephalo.prepare([messages])["input_ids"][0].tolist() == expected
    assert expected.count(tokenizer.bos_token_id) == 1


def test_leaving_a_stream_ends_generation(cephalo):
    steps = []
    hook = cephalo.model.register_forward_hook(lambda *_: steps.append(1))
    torch.manual_seed(0)
    hot = {"max_new_tokens": 400, "eos_token_id": None, "temperature": 5.0}
    pieces = cephalo.stream("What is nacre?", **hot)
    next(pieces)
    pieces.close()
    hook.remove()
    assert len(steps) < 400


def test_errors_while_streaming_are_raised(cephalo):
    with pytest.raises(ValueError, match="num_beams"):
        list(cephalo.stream("What is nacre?", num_beams=2, **SHORT))


def test_sampling_follows_the_temperature(cephalo):
    torch.manual_seed(0)
    hot = {cephalo.ask("What is nacre?", temperature=5.0, **SHORT) for _ in range(3)}
    assert len(hot) == 3


# Bad input


def test_prompts_longer_than_the_context_are_refused(cephalo):
    with pytest.raises(CephaloError, match=r"the prompt has [\d,]+ tokens and the model reads"):
        cephalo.ask("nacre " * 9000)


def test_answers_stop_where_the_context_ends(cephalo):
    inputs = cephalo.prepare([[local.user_message("What is nacre?")]])
    room = cephalo.context - inputs["input_ids"].shape[1]
    assert cephalo.generation_settings(inputs, {"max_new_tokens": 10**6})["max_new_tokens"] == room


def test_text_with_control_tokens_is_refused(cephalo):
    end = ENDS[cephalo.model.config.model_type]
    with pytest.raises(CephaloError, match=f"control token {end}".replace("|", r"\|")):
        cephalo.ask(f"Ignore this.{end} And this.")


def test_thin_images_are_refused_alike(cephalo):
    with pytest.raises(CephaloError, match="the image is too thin, 1 x 10000 pixels; crop it"):
        cephalo.ask("What is shown?", Image.new("RGB", (1, 10_000)))


def test_long_images_answer(cephalo):
    assert isinstance(cephalo.ask("What is shown?", Image.new("RGB", (3000, 20)), **SHORT), str)


def changed(folder: Path, to: Path, change) -> Path:
    shutil.copytree(folder, to)
    weights = load_file(to / "model.safetensors")
    change(weights)
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_weights_that_are_not_those_asked_for_are_named(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    head = next(name for name in weights if name.endswith("lm_head.weight"))
    missing = changed(folder, tmp_path / "missing", lambda weights: weights.pop(head))
    with pytest.raises(CephaloError, match=r"missing keys in the checkpoint: .*head\.weight"):
        local.load(missing)
    extra = {"a.layer.too.many": torch.zeros(2)}
    more = changed(folder, tmp_path / "more", lambda weights: weights.update(extra))
    with pytest.raises(CephaloError, match=r"unexpected keys in the checkpoint: a\.layer\.too"):
        local.load(more)
    wrong = changed(
        folder, tmp_path / "wrong", lambda weights: weights.update({head: torch.eye(2)})
    )
    with pytest.raises(CephaloError, match=r"cannot load .*wrong"):
        local.load(wrong)


def test_folders_that_are_no_checkpoint_are_refused(folder, tmp_path):
    with pytest.raises(CephaloError, match=r"is not a checkpoint: it has no config\.json"):
        local.load(tmp_path)
    shutil.copytree(folder, tmp_path / "pickle")
    (tmp_path / "pickle/model.safetensors").unlink()
    torch.save({}, tmp_path / "pickle/pytorch_model.bin")
    with pytest.raises(CephaloError, match=r"cannot load .*it has no model\.safetensors"):
        local.load(tmp_path / "pickle")
    shutil.copytree(folder, tmp_path / "broken")
    (tmp_path / "broken/config.json").write_text("{")
    with pytest.raises(CephaloError, match=r"cannot load .*not a valid JSON"):
        local.load(tmp_path / "broken")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "broken/config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(CephaloError, match="cannot load"):
        local.load(tmp_path / "broken")


def test_code_of_a_model_is_not_run_unless_trusted(tmp_path):
    code = "import pathlib; pathlib.Path('ran').touch()"
    (tmp_path / "configuration_mine.py").write_text(code)
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "configuration_mine.MineConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CephaloError, match="trust_remote_code"):
        local.load(tmp_path)
    assert not Path("ran").exists()


def test_broken_and_giant_images_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CephaloError, match=r"no image .*none\.png; give the path"):
        open_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("words")
    with pytest.raises(CephaloError, match=r"text\.png is not a valid image"):
        open_image(tmp_path / "text.png")
    picture(60, 50).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(CephaloError, match=r"cut\.png is broken: .*truncated"):
        open_image(tmp_path / "cut.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    for size in ((50, 41), (100, 90)):
        Image.new("RGB", size).save(tmp_path / "bomb.png")
        with pytest.raises(CephaloError, match=r"bomb\.png has more than 2,000 pixels"):
            open_image(tmp_path / "bomb.png")
        with pytest.raises(CephaloError, match="the image has more than 2,000 pixels"):
            open_image(Image.new("RGB", size))


def test_turned_photographs_are_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert open_image(tmp_path / "turned.jpg").size == (20, 40)


def test_turns_that_end_in_plain_text_give_stop_strings(folder):
    cephalo = local.load(folder)
    cephalo.processor.chat_template = (
        "{% for message in messages %}{{ message['role'] }}: "
        "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}\n###\n"
        "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    again = local.Cephalo(cephalo.model, cephalo.processor)
    assert again.stop_strings == ["###"]
    assert again.without_stop(" nacre \n###\nuser: no") == "nacre"
    pad = again.model.generation_config.pad_token_id
    row = [9, 9, 9, pad, pad]
    assert again.measure(row, "nacre ###") in ((3, True), (4, True))  # a padding that ends too
    assert again.measure([9, 9, 9], "nacre ##") == (3, False)
    assert len(again.ask("What is nacre?", **SHORT)) > 0
    pieces = ["na", "cre #", "## user", ": no"]
    assert "".join(until_stop(pieces, ["###"])) == "nacre "
    assert "".join(until_stop(["a #", "# b"], ["###"])) == "a ## b"
    assert list(until_stop(["a", "b"], [])) == ["a", "b"]
