"""Determine what ends an answer, and what no question may contain, from tokenizer and chat
template."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cephalo.cli.templates import render_with

if TYPE_CHECKING:
    from modeling_cephalo.annotations import Processor


def control_tokens(processor: "Processor") -> re.Pattern[str]:
    """Return a pattern of what user texts must not contain: special tokens, and image tags that are
    not tokens."""
    added = processor.tokenizer.added_tokens_decoder.values()
    patterns = [re.escape(token.content) for token in added if token.special]
    if tag := getattr(processor, "image_tag", None):
        patterns.append(tag.pattern)
    return re.compile("|".join(patterns) or r"(?!)")


class Stops:
    """A text that arrives in pieces, up to the first of some strings."""

    def __init__(self, stops: list[str]) -> None:
        self.stops, self.held, self.ended = stops, "", False
        self._longest = max(map(len, stops), default=1) - 1

    def feed(self, piece: str) -> str:
        """Return what is certain to be before a stop string; a possible start of one is held
        back."""
        if self.ended:
            return ""
        self.held += piece
        if ends := [place for stop in self.stops if (place := self.held.find(stop)) >= 0]:
            self.held, self.ended = self.held[: min(ends)], True
            return self.rest()
        ready = max(len(self.held) - self._longest, 0)
        text, self.held = self.held[:ready], self.held[ready:]
        return text

    def rest(self) -> str:
        """Return what was held back, at the end of the text."""
        text, self.held = self.held, ""
        return text


def until_stop(pieces: Iterable[str], stops: list[str]) -> Iterator[str]:
    """Yield `pieces` up to the first stop string; a possible start of one is held back."""
    text = Stops(stops)
    for piece in pieces:
        if ready := text.feed(piece):
            yield ready
        if text.ended:
            return
    if rest := text.rest():
        yield rest


def end_of_turn(processor: "Processor") -> tuple[list[int], list[str]]:
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
