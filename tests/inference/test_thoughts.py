"""Thoughts and answers are told apart, however they arrive."""

from types import SimpleNamespace

import pytest
from transformers.utils.chat_parsing import ResponseParser

from cephalo.cli.errors import CephaloError
from cephalo.inference.replies import said
from cephalo.inference.thoughts import (
    ANSWER,
    THOUGHTS,
    answer_pieces,
    response_template,
    without_thoughts,
)

BEGIN = "<s>assistant\n"


def template(*marks: str, begun: str = "") -> dict:
    """The response template of a tokenizer with some marks."""
    written = (
        "{{ '<s>user\n' }}{% if add_generation_prompt %}{{ '" + BEGIN + begun + "' }}{% endif %}"
    )
    tokenizer = SimpleNamespace(
        added_tokens_encoder=dict.fromkeys(marks, 0), special_tokens_map={"bos_token": "<s>"}
    )
    processor = SimpleNamespace(tokenizer=tokenizer, chat_template=written)
    return response_template(processor, ["</s>", None, "###"])


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("marks", "begun", "text", "thoughts", "answer"),
    [
        (
            ("<think>", "</think>"),
            "",
            "<think>\nHm.\n</think>\n\nNacre <1>.</s>",
            "Hm.",
            "Nacre <1>.",
        ),
        (("<think>", "</think>"), "<think>\n", "Hm.\n</think>\n\nNacre.</s>", "Hm.", "Nacre."),
        (("<think>", "</think>"), "<think>\n\n</think>\n\n", "Nacre.</s>", None, "Nacre."),
        (("<think>", "</think>"), "", "A\n\nB ###", None, "A\n\nB"),
        (("[THINK]", "[/THINK]"), "", "[THINK]Hm.[/THINK]Nacre.</s>", "Hm.", "Nacre."),
        (
            ("<|channel>", "<channel|>"),
            "",
            "<|channel>thought\nHm.<channel|>Nacre.</s>",
            "Hm.",
            "Nacre.",
        ),
        (("<|channel>", "<channel|>"), "", "<|channel>thought\n<channel|>Nacre.", None, "Nacre."),
        ((), "", "<think> is a tag.</s>", None, "<think> is a tag."),
    ],
)
def test_what_was_written_is_parted(marks, begun, text, thoughts, answer, size):
    form = template(*marks, begun=begun)
    prompt = f"<s>user\n{BEGIN}ignored<s>user\n{BEGIN}{begun}"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    spoken = list(answer_pieces(pieces, ResponseParser(form, prefix=prompt)))
    assert "".join(spoken).strip() == answer and "".join(spoken).lstrip() == "".join(spoken)
    parser = ResponseParser(form, prefix=prompt)
    parser.feed(text)
    message, _ = parser.finalize()
    assert (message.get(THOUGHTS), message.get(ANSWER)) == (thoughts, answer)


def test_thoughts_that_do_not_end_are_refused_as_an_answer():
    parser = ResponseParser(template("<think>", "</think>"), prefix=BEGIN)
    with pytest.raises(CephaloError, match=r"^the model's tokens ran out while it was thinking; "):
        list(answer_pieces(["<think>", "Hm, so"], parser))
    parser = ResponseParser(template("<think>", "</think>"), prefix=BEGIN)
    assert list(answer_pieces(["<think>Hm.</think></s>"], parser)) == []


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ('<think>\n{"a": 1}\n</think>\n\n{"b": 2}', '{"b": 2}'),
        ("Hm.\n</think>\n\nNacre.", "Nacre."),
        ("[THINK]Hm.[/THINK]Nacre.", "Nacre."),
        ("<|channel>thought\nHm.<channel|>Nacre.", "Nacre."),
        ("<think>\nHm, so", ""),
        ("Write <think> and </think>.", "Write <think> and </think>."),
        ("Nacre.", "Nacre."),
        ("", ""),
    ],
)
def test_a_servers_reply_is_read_without_thoughts(content, answer):
    assert without_thoughts(content) == answer
    assert said({"content": content}, "length") == answer
