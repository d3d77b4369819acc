"""What a paper says about its figures, quoted as data that nobody should obey.

A paper is untrusted: a caption may address the model that reads it. Here its text is bounded, it
cannot end its own quotation, and what looks like an instruction is told apart from the rest, so
that the checks take nothing from it as a source.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

MAX_CAPTION, MAX_MENTION, MAX_TITLE, MAX_WORDS = 4000, 1500, 300, 1000  # characters
MAX_MENTIONS, MAX_PANELS = 6, 26

# What begins a tag or a control token of some chat template, and our own delimiters.
OPENERS = re.compile(r"<(?=[\w/|<!])|(?<=>)>|\[(?=/?INST\])")

# Sentences that address a language model. Found in a paper, they and what follows them in the
# same passage are no source.
INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,60}?"
    r"\b(?:above|previous|prior|earlier|instructions?|rules?|prompts?|everything)\b"
    r"|\b(?:system|developer|hidden)\s+(?:prompt|message|instructions?)\b"
    r"|\byour\s+(?:\w+\s+)?(?:instructions?|prompt|rules|guidelines)\b"
    r"|\byou\s+are\s+(?:now\s+)?(?:an?\s+)?(?:AI\b|assistant|chatbot|language\s+model|ChatGPT|GPT)"
    r"|\b(?:AI|language)\s+(?:models?|assistants?)\b.{0,60}?\b(?:must|should|shall|have\s+to)\b"
    r"|\b(?:answer|reply|respond|output|say|write|print|return)\s+(?:with\s+)?"
    r"(?:only|exactly|just|nothing|verbatim)\b"
    r"|(?:^|[.!?:;]\s+)(?:please\s+)?(?:instead,?\s+)?"
    r"(?:answer|reply|respond|say)\b(?:\s+\w+)?\s*[\"“':{]"
    r"|(?:^|[.!?]\s+)(?:please\s+)?(?:reply|respond)\s+with\b"
    r"|(?:^|\n)\s*#*\s*(?:system|assistant|user|instruction)\s*:"
    r"|<\|?\s*(?:im_start|system|assistant|user|end)|\[/?INST\]|<<<|>>>",
    re.IGNORECASE,
)
SENTENCE_END = re.compile(r"[.!?](?=\s)")


@dataclass(frozen=True)
class Picture:
    """A figure's encoded `image`, and the `words` that its PDF file has as text in it."""

    image: bytes | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """What is known of some figures of one paper.

    `text` is all that an answer may rest on, and `passages` its parts. `instructions` is what in
    the paper addresses a model. `panels` are the captions of all panels, "" where one has none.
    """

    quotation: str
    passages: tuple[str, ...]
    instructions: str
    panels: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.passages)


def source_of(figures: list[dict[str, Any]]) -> Source:
    """The source of an answer about FIGURES rows of one document, in the order of the images."""
    lines, passages, instructions = [], [], []

    def quote(name: str, text: str | None, limit: int) -> None:
        text = clean((text or "")[: 2 * limit])[:limit]
        if not text:
            return
        lines.append(f"{name}: {OPENERS.sub(_harmless, text)}")
        found = INSTRUCTION.search(text)
        trusted = text
        if found:
            ends = [end.end() for end in SENTENCE_END.finditer(text, 0, found.start() + 2)]
            trusted = text[: max(ends, default=0)]
        passages.append(trusted)
        instructions.append(text[len(trusted) :])

    quote("Title", figures[0]["title"], MAX_TITLE)
    for number, figure in enumerate(figures, 1):
        name = f"Figure {number} of {len(figures)}" if len(figures) > 1 else "Figure"
        quote(f"{name}, caption", figure["caption"], MAX_CAPTION)
        # Ticks and labels are no prose that an answer may rest on, but tell what the axes say.
        words = clean(" | ".join(figure.get("figure_text") or ()))[:MAX_WORDS]
        if words and not INSTRUCTION.search(words):
            lines.append(f"{name}, printed in it: {OPENERS.sub(_harmless, words)}")
        for panel in (figure["panels"] or [])[:MAX_PANELS]:
            letter = clean((panel["letter"] or "?")[:8])
            quote(f"{name}, panel {letter}", panel["caption"], MAX_MENTION)
        for mention in (figure["mentions"] or [])[:MAX_MENTIONS]:
            quote(f"{name}, said in the text", mention, MAX_MENTION)
    body = "\n".join(lines)
    # The mark depends on what is quoted, so no quotation can hold the mark that ends it.
    mark = hashlib.sha256(body.encode()).hexdigest()[:12]
    return Source(
        quotation=f"<<<PAPER {mark}\n{body}\n<<<END {mark}",
        passages=tuple(filter(None, passages)),
        instructions="\n".join(filter(None, instructions)),
        panels=tuple(
            panel["caption"] or ""
            for figure in figures
            for panel in (figure["panels"] or [])[:MAX_PANELS]
        ),
        figures=tuple(
            Picture(figure.get("image", {}).get("bytes"), tuple(figure.get("figure_text") or ()))
            for figure in figures
        ),
    )


def clean(text: str) -> str:
    """`text` on one line, without invisible characters, which can hide words or split them."""
    text = text.encode("utf-8", "replace").decode()
    kept = (
        c for c in text if unicodedata.category(c) not in ("Cf", "Co") and (c >= " " or c in "\n\t")
    )
    return " ".join("".join(kept).split())


def _harmless(match: re.Match) -> str:
    return {"<": "\u2039", ">": "\u203a", "[": "("}[match.group()]
