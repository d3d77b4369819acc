"""Tiny models that were taught one talk of two turns, with thoughts before the first answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from family_samples import FAMILIES, make_family
from moe_samples import MAKERS, TEXTS
from phi3_v_samples import picture
from torch.nn.functional import cross_entropy
from transformers import AutoModelForImageTextToText, AutoProcessor

from cephalo.inference.local import Message, text_message, user_message
from modeling_cephalo import register

PICTURES = [picture(60, 50), picture(120, 40)]
QUESTIONS = ("What is shown?", "Why is it tough?")
ANSWERS = ("Two stacks of nacre.", "Tablets slide.")
THOUGHTS = "Look close."
# What begins and ends thoughts, by family; others have none.
MARKS = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"), ("<think>\n", "</think>")),
    **dict.fromkeys(("gemma4", "gemma4_dense"), ("<|channel>thought\n", "<channel|>")),
    "mistral3": ("[THINK]", "[/THINK]"),
}
BEGUN = ("qwen3_vl", "qwen3_5")  # the chat template begins the thoughts
RATE = 3e-3
LEARNED = 0.05  # the loss at which greedy answers are the taught ones


def talk_of(turns: int) -> list[Message]:
    """The messages before the answer of a turn, counted from 0."""
    messages = [user_message(QUESTIONS[0], PICTURES)]
    for turn in range(1, turns + 1):
        messages += [text_message("assistant", ANSWERS[turn - 1]), user_message(QUESTIONS[turn])]
    return messages


@dataclass(frozen=True)
class Lesson:
    """What a model is to answer to messages, after thoughts of its own."""

    messages: Sequence[Message]
    answer: str
    thoughts: str = ""


def make_taught(
    folder: Path, family: str, lessons: Sequence[Lesson] = (), texts: Sequence[str] = TEXTS
) -> Path:
    """A checkpoint of a family that answers as `lessons` say, greedily word by word.

    Without lessons it answers `QUESTIONS` with `ANSWERS`. `texts` make its vocabulary.
    """
    register()
    lessons = lessons or [
        Lesson(talk_of(turn), answer, "" if turn else THOUGHTS)
        for turn, answer in enumerate(ANSWERS)
    ]
    if family in MAKERS:
        MAKERS[family](folder, texts, 0)
    else:
        make_family(folder, family, texts)
    processor = AutoProcessor.from_pretrained(folder)
    if family in BEGUN:
        begins = "assistant\n"
        template = processor.chat_template.replace(f"{begins}'", f"{begins}{MARKS[family][0]}'")
        assert template != processor.chat_template
        processor.chat_template = template
        processor.save_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    batches = [batch_of(processor, family, lesson) for lesson in lessons]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    known = False
    while not known:
        known = True
        for inputs, start in batches:
            logits = model(**inputs).logits[0, start - 1 : -1]
            wanted = inputs["input_ids"][0, start:]
            loss = cross_entropy(logits, wanted)
            loss.backward()
            known &= loss.item() <= LEARNED and torch.equal(logits.argmax(-1), wanted)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def batch_of(processor: Any, family: str, lesson: Lesson) -> tuple[Any, int]:
    """The model's inputs up to the end of an answer, and where what it is to write begins."""
    messages = list(lesson.messages)
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    whole = [*messages, text_message("assistant", lesson.answer)]
    answer = processor.apply_chat_template(whole, tokenize=False)
    answer = answer[answer.rindex(lesson.answer) :]
    if family in MARKS:
        opened, closed = MARKS[family]
        opened = "" if family in BEGUN else opened
        answer = f"{opened}{lesson.thoughts}\n{closed}\n\n{answer}"
    parts = [part for message in messages for part in message["content"]]
    images = [part["image"] for part in parts if part["type"] == "image"]
    tokens = [
        processor(text=[text], images=[images] if images else None, return_tensors="pt")
        for text in (prompt, prompt + answer)
    ]
    return tokens[1], tokens[0]["input_ids"].shape[1]


def thoughts_of(family: str) -> str | None:
    """What the model thinks before its first answer."""
    return THOUGHTS if family in MARKS else None


FAMILIES_AND_PAPER = [*FAMILIES, *MAKERS]
