"""Separate the thoughts that a model writes before its answer from the answer.

transformers parses model output with a response template. We build it from the marks in the
tokenizer and from what the chat template writes before an answer: a template in a checkpoint
contains untrusted regular expressions, and those that `transformers serve` has by model type only
fit the published tokenizers.
"""

# Untyped or partially typed: transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from cephalo.cli.errors import CephaloError
from cephalo.cli.templates import render_with

if TYPE_CHECKING:
    from transformers.utils.chat_parsing import ResponseParser

    from modeling_cephalo.annotations import Processor

THOUGHTS, ANSWER = "reasoning_content", "content"  # names of the fields in OpenAI's API
# Start and end of thoughts, and a pattern of what follows the start: Qwen 3 and 3.5, GLM and
# others; Magistral; Gemma 4, whose thoughts are a channel with a name in its first line.
MARKS = (
    ("<think>", "</think>", ""),
    ("[THINK]", "[/THINK]", ""),
    ("<|channel>", "<channel|>", r"[^\n<]*"),
)
# "start_anchor_pattern", and "fields" with the patterns of each.
ResponseTemplate: TypeAlias = dict[str, str | dict[str, dict[str, str]]]
UNFINISHED = "the model's tokens ran out while it was thinking; raise the maximum of new tokens"


def response_template(processor: "Processor", ends: Sequence[str | None]) -> ResponseTemplate:
    """Build the template of a model's output, for `ResponseParser` of transformers.

    Args:
        processor: The model's processor, with its tokenizer and chat template.
        ends: Strings that end an answer, None for an id without one.

    Returns:
        A response template with the field `ANSWER` and, if the tokenizer has marks of thoughts,
        `THOUGHTS`.
    """
    begun = beginning(processor)
    answer: dict[str, str] = {"content": "text"}
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


def beginning(processor: "Processor") -> str:
    """Return what the chat template writes before an answer; "" if unknown."""
    asked = [{"role": "user", "content": [{"type": "text", "text": "a question"}]}]
    plain = render_with(processor, asked)
    whole = render_with(processor, asked, add_generation_prompt=True)
    return whole.removeprefix(plain) if whole.startswith(plain) else ""


def answer_pieces(pieces: Iterable[str], parser: "ResponseParser") -> Iterator[str]:
    """Yield the part of the generated `pieces` that is the answer.

    Raises CephaloError if all of them were thoughts.
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


def answers(events: Iterable[dict[str, str]]) -> Iterator[str]:
    """Yield the pieces of the answer among a parser's events."""
    for event in events:
        if event["type"] == "region_chunk" and event["field"] == ANSWER:
            yield event["text"]


def without_thoughts(text: str) -> str:
    """Remove the thoughts before the answer in a reply of a server.

    Their start mark can be missing, since it is part of many prompts. Thoughts without an end mark
    are removed as a whole.
    """
    for opened, closed, _ in MARKS:
        before, found, after = text.partition(closed)
        begins = text.lstrip().startswith(opened)
        if found and (begins or opened not in before):
            return after.lstrip()
        if begins:
            return ""
    return text
