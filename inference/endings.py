"""Determine what ends an answer, and what no question may contain, from tokenizer and chat
template."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from cephalo.cli.templates import render_with


def control_tokens(processor: Any) -> re.Pattern:
    """Return a pattern of what user texts must not contain: special tokens, and image tags that are
    not tokens."""
    added = processor.tokenizer.added_tokens_decoder.values()
    patterns = [re.escape(token.content) for token in added if token.special]
    if tag := getattr(processor, "image_tag", None):
        patterns.append(tag.pattern)
    return re.compile("|".join(patterns) or r"(?!)")


def until_stop(pieces: Iterable[str], stops: list[str]) -> Iterator[str]:
    """Yield `pieces` up to the first stop string; a possible start of one is held back."""
    held, longest = "", max(map(len, stops), default=1) - 1
    for piece in pieces:
        held += piece
        ends = [place for stop in stops if (place := held.find(stop)) >= 0]
        if ends:
            held = held[: min(ends)]
            break
        ready = len(held) - longest
        if ready > 0:
            yield held[:ready]
            held = held[ready:]
    if held:
        yield held


def end_of_turn(processor: Any) -> tuple[list[int], list[str]]:
    """Return what the chat template writes after an assistant's text: ids of control tokens that
    end an answer, or else strings."""
    marker = "the answer"
    talk = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in (("user", "a question"), ("assistant", marker))
    ]
    rendered = render_with(processor, talk)
    ending = rendered.rpartition(marker)[2].strip()
    if not ending:
        return [], []
    controls = processor.tokenizer.all_special_ids + [
        number
        for number, token in processor.tokenizer.added_tokens_decoder.items()
        if token.special
    ]
    first = processor.tokenizer(ending, add_special_tokens=False).input_ids[0]
    return ([first], []) if first in controls else ([], [ending])
