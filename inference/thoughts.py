"""Thoughts that a model writes before its answer, and the answer, told apart.

transformers parses what a model wrote by a response template. The template is made here, of the
marks that the tokenizer has and of what the chat template writes before an answer: one that comes
with a checkpoint holds regular expressions of strangers, and those that `transformers serve` keeps
by model type fit the published tokenizers alone.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.cli.templates import render_with

THOUGHTS, ANSWER = "reasoning_content", "content"  # the fields' names in OpenAI's form
# What begins and ends thoughts, and a pattern of what follows the beginning: Qwen 3 and 3.5, GLM
# and others; Magistral; Gemma 4, whose thoughts are a channel with a name in its first line.
MARKS = (
    ("<think>", "</think>", ""),
    ("[THINK]", "[/THINK]", ""),
    ("<|channel>", "<channel|>", r"[^\n<]*"),
)
UNFINISHED = "the model's tokens ran out while it was thinking; raise the maximum of new tokens"


def response_template(processor: Any, ends: Sequence[str | None]) -> dict[str, Any]:
    """The form of what a model writes, for `ResponseParser` of transformers.

    Args:
        processor: that of the model, with its tokenizer and chat template. ends: strings that end
        an answer, None for an id without one.

    Returns:
        A response template with the field `ANSWER` and, where the tokenizer has marks of thoughts,
        `THOUGHTS`.
    """
    begun = beginning(processor)
    answer: dict[str, Any] = {"content": "text"}
    if written := [re.escape(end) for end in ends if end]:
        answer["close_pattern"] = rf"\s*(?:{'|'.join(written)})"
    fields = {ANSWER: answer}
    known = processor.tokenizer.added_tokens_encoder
    for opened, closed, name in MARKS:
        if opened in known and closed in known:
            begun = begun.partition(opened)[0]
            fields[THOUGHTS] = {
                "open_pattern": rf"\s*{re.escape(opened)}{name}\s*",
                "close_pattern": rf"\s*{re.escape(closed)}\s*",
                "content": "text",
            }
            break
    return {"start_anchor_pattern": re.escape(begun) or r"\Z", "fields": fields}


def beginning(processor: Any) -> str:
    """What the chat template writes before an answer; "" if it does not tell."""
    asked = [{"role": "user", "content": [{"type": "text", "text": "a question"}]}]
    plain = render_with(processor, asked)
    whole = render_with(processor, asked, add_generation_prompt=True)
    return whole.removeprefix(plain) if whole.startswith(plain) else ""


def answer_pieces(pieces: Iterable[str], parser: Any) -> Iterator[str]:
    """What of `pieces`, as a model writes them, is its answer.

    Raises CephaloError if all that came were thoughts.
    """
    silent = True
    for piece in pieces:
        for text in answers(parser.feed(piece)):
            silent = False
            yield text
    _, events = parser.finalize()
    yield from answers(events)
    ended = {event["field"] for event in events if event["type"] == "region_close"}
    if silent and ended == {THOUGHTS}:
        raise CephaloError(UNFINISHED)


def answers(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The pieces of the answer among a parser's events."""
    for event in events:
        if event["type"] == "region_chunk" and event["field"] == ANSWER:
            yield event["text"]


def without_thoughts(text: str) -> str:
    """A reply of a server that leaves thoughts before the answer, without them.

    The mark that begins them can be missing, as it is part of many prompts. Of thoughts without an
    end nothing is left.
    """
    for opened, closed, _ in MARKS:
        before, found, after = text.partition(closed)
        begins = text.lstrip().startswith(opened)
        if found and (begins or opened not in before):
            return after.lstrip()
        if begins:
            return ""
    return text
