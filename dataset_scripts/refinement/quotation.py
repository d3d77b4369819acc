"""Quote what a paper states about its figures, as untrusted data.

A caption may address the model that reads it. The quoted text is therefore limited in length and
cannot end its own quotation, and what looks like an instruction is separated, so that the checks do
not accept it as a source.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cephalo.dataset_scripts.common.passages import sentences
from cephalo.dataset_scripts.refinement.phrases import Phrases

MAX_CAPTION, MAX_MENTION, MAX_TITLE, MAX_WORDS = 4000, 1500, 300, 1000  # characters
MAX_MENTIONS, MAX_PANELS, MAX_TEXTS = 6, 26, 500
MAX_OTHERS = 40  # figures of a paper that an answer is compared with

# The start of a tag or a control token of some chat template, and our own delimiters.
OPENERS = re.compile(r"<(?=[\w/|<!])|(?<=>)>|\[(?=/?INST\])")

# Sentences that address a language model. They, and the rest of their passage, are not a source.
INSTRUCTION = Phrases(
    r"(?:ignore|disregard|forget|override|bypass)\b.{0,60}?"
    r"\b(?:above|previous|prior|earlier|instructions?|rules?|prompts?|everything)\b"
    r"|(?:system|developer|hidden)\s+(?:prompt|message|instructions?)\b"
    r"|your\s+(?:\w+\s+)?(?:instructions?|prompt|rules|guidelines)\b"
    r"|you\s+are\s+(?:now\s+)?(?:an?\s+)?(?:ai\b|assistant|chatbot|language\s+model|chatgpt|gpt)"
    r"|(?:ai|language)\s+(?:models?|assistants?)\b.{0,60}?\b(?:must|should|shall|have\s+to)\b"
    r"|(?:answer|reply|respond|output|say|write|print|return)\s+(?:with\s+)?"
    r"(?:only|exactly|just|nothing|verbatim)\b",
    r"(?:^|[.!?:;]\s+)(?:please\s+)?(?:instead,?\s+)?"
    r"(?:answer|reply|respond|say)\b(?:\s+\w+)?\s*[\"“':{]"
    r"|(?:^|[.!?]\s+)(?:please\s+)?(?:reply|respond)\s+with\b"
    r"|(?:^|\n)\s*#*\s*(?:system|assistant|user|instruction)\s*:"
    r"|<\|?\s*(?:im_start|system|assistant|user|end)|\[/?inst\]|<<<|>>>",
)
SENTENCE_END = re.compile(r"[.!?](?=\s)")


@dataclass(frozen=True)
class Picture:
    """The encoded `image` of a figure, and the `words` of the text layer of its PDF file."""

    image: bytes | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What is known about some figures of one paper.

    Attributes:
        quotation: The text for the prompt.
        passages: Texts that an answer may rest on.
        instructions: Text that addresses a model.
        panels: Captions of all panels, "" for those without one.
        figures: The images and their words.
        lettered: Lower-case letters and captions of the panels, for a single figure.
        others: Passages about each other figure of the paper.
    """

    quotation: str
    passages: tuple[str, ...]
    instructions: str
    panels: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()
    lettered: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, ...], ...] = ()

    @cached_property  # used by every check for every quantity
    def text(self) -> str:
        """All passages, one per line."""
        return "\n".join(self.passages)


def source_of(figures: list[dict[str, Any]], others: Sequence[dict[str, Any]] = ()) -> Source:
    """Build the source of answers about FIGURES rows of one document, in the order of the images.

    `others` are further FIGURES rows of the document, which do not support an answer.
    """
    lines, passages, instructions = [], [], []

    def quote(name: str, text: str | None, limit: int) -> None:
        trusted, told = parted(text, limit)
        if not trusted and not told:
            return
        lines.append(f"{name}: {OPENERS.sub(_harmless, trusted + told)}")
        passages.append(trusted)
        instructions.append(told)

    quote("Title", figures[0]["title"], MAX_TITLE)
    for number, figure in enumerate(figures, 1):
        name = f"Figure {number} of {len(figures)}" if len(figures) > 1 else "Figure"
        for what, text, limit in parts_of(figure):
            quote(f"{name}, {what}", text, limit)
        # Ticks and labels are not prose that supports an answer, but describe the axes.
        words = _begun(clean(" | ".join(figure.get("figure_text") or ())), MAX_WORDS, " | ")
        if words and not INSTRUCTION.search(words):
            lines.append(f"{name}, printed in it: {OPENERS.sub(_harmless, words)}")
    body = "\n".join(lines)
    # The delimiter depends on the quoted text, which therefore cannot contain it.
    mark = hashlib.sha256(body.encode()).hexdigest()[:12]
    return Source(
        quotation=f"<<<PAPER {mark}\n{body}\n<<<END {mark}",
        passages=tuple(filter(None, passages)),
        instructions="\n".join(filter(None, instructions)),
        panels=tuple(
            clean((panel["caption"] or "")[:MAX_CAPTION])
            for figure in figures
            for panel in (figure["panels"] or [])[:MAX_PANELS]
        ),
        figures=tuple(
            Picture(
                figure.get("image", {}).get("bytes"),
                tuple(
                    clean(text[:MAX_TITLE])
                    for text in (figure.get("figure_text") or ())[:MAX_TEXTS]
                ),
            )
            for figure in figures
        ),
        lettered=tuple(lettered_panels(figures[0])) if len(figures) == 1 else (),
        others=tuple(
            tuple(filter(None, (parted(text, limit)[0] for _, text, limit in parts_of(other))))
            for other in others[:MAX_OTHERS]
        ),
    )


def parts_of(figure: dict[str, Any]) -> Iterator[tuple[str, str | None, int]]:
    """Yield the texts about a figure: a name, the text, and its maximum number of characters."""
    yield "caption", figure["caption"], MAX_CAPTION
    for panel in (figure["panels"] or [])[:MAX_PANELS]:
        yield f"panel {clean((panel['letter'] or '?')[:8])}", panel["caption"], MAX_MENTION
    for mention in (figure["mentions"] or [])[:MAX_MENTIONS]:
        yield "said in the text", mention, MAX_MENTION


def lettered_panels(figure: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lower-case letters of a figure's panels with their captions."""
    for panel in (figure["panels"] or [])[:MAX_PANELS]:
        letter = clean((panel["letter"] or "")[:8]).strip("()").lower()
        caption, _ = parted(panel["caption"], MAX_MENTION)
        if letter and caption:
            yield letter, caption


def parted(text: str | None, limit: int) -> tuple[str, str]:
    """Split a text, cleaned and limited to whole sentences of at most `limit` characters, at the
    first sentence that addresses a model."""
    return _parted((text or "")[: 2 * limit], limit)


@lru_cache(maxsize=4096)  # the texts of a paper are quoted in every question about it
def _parted(text: str, limit: int) -> tuple[str, str]:
    text = _whole(clean(text), limit)
    found = INSTRUCTION.search(text)
    if not found:
        return text, ""
    ends = [end.end() for end in SENTENCE_END.finditer(text, 0, found.start() + 2)]
    cut = max(ends, default=0)
    return text[:cut], text[cut:]


def _whole(text: str, limit: int) -> str:
    """Return the complete sentences within `limit` characters, since a cut sentence may have
    another meaning; or the words of a longer first sentence."""
    if len(text) <= limit:
        return text
    whole = sentences(text[:limit])[:-1]
    return " ".join(whole) or _begun(text, limit, " ")


def _begun(text: str, limit: int, parting: str) -> str:
    """Return the complete parts within `limit` characters, or the start of a single longer one."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(parting)[0].rstrip() or text[:limit]


def clean(text: str) -> str:
    """Return `text` on one line, without invisible characters, which can hide or split words."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join(text.translate(_VISIBLE).split())


class _Visible(dict[int, int | None]):
    """A table for `str.translate` that removes control, format and private use characters."""

    def __missing__(self, code: int) -> int | None:
        sign = chr(code)
        unseen = unicodedata.category(sign) in ("Cf", "Co") or (sign < " " and sign not in "\n\t")
        return self.setdefault(code, None if unseen else code)


_VISIBLE = _Visible()


def _harmless(match: re.Match) -> str:
    return {"<": "\u2039", ">": "\u203a", "[": "("}[match.group()]
