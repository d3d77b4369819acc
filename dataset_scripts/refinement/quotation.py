"""What a paper says about its figures, quoted as data that nobody should obey.

A paper is untrusted: a caption may address the model that reads it. Here its text is bounded, it
cannot end its own quotation, and what looks like an instruction is told apart from the rest, so
that the checks take nothing from it as a source.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from cephalo.dataset_scripts.common.passages import sentences
from cephalo.dataset_scripts.refinement.cues import Cues

MAX_CAPTION, MAX_MENTION, MAX_TITLE, MAX_WORDS = 4000, 1500, 300, 1000  # characters
MAX_MENTIONS, MAX_PANELS, MAX_TEXTS = 6, 26, 500
MAX_OTHERS = 40  # figures of a paper that an answer is told apart from

# What begins a tag or a control token of some chat template, and our own delimiters.
OPENERS = re.compile(r"<(?=[\w/|<!])|(?<=>)>|\[(?=/?INST\])")

# Sentences that address a language model. Found in a paper, they and what follows them in the
# same passage are no source.
INSTRUCTION = Cues(
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
    the paper addresses a model. `panels` are the captions of all panels, "" where one has none;
    `lettered` are those of a single figure with their letters, in lower case. `others` are the
    passages of each other figure of the paper.
    """

    quotation: str
    passages: tuple[str, ...]
    instructions: str
    panels: tuple[str, ...] = ()
    figures: tuple[Picture, ...] = ()
    lettered: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, ...], ...] = ()

    @cached_property  # asked for by every check, for every quantity
    def text(self) -> str:
        return "\n".join(self.passages)


def source_of(figures: list[dict[str, Any]], others: Sequence[dict[str, Any]] = ()) -> Source:
    """The source of an answer about FIGURES rows of one document, in the order of the images.

    `others` are further FIGURES rows of the document, which no answer may rest on.
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
        # Ticks and labels are no prose that an answer may rest on, but tell what the axes say.
        words = _begun(clean(" | ".join(figure.get("figure_text") or ())), MAX_WORDS, " | ")
        if words and not INSTRUCTION.search(words):
            lines.append(f"{name}, printed in it: {OPENERS.sub(_harmless, words)}")
    body = "\n".join(lines)
    # The mark depends on what is quoted, so no quotation can hold the mark that ends it.
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
    """What is said of a figure: what it is, the text, and the most characters that are taken."""
    yield "caption", figure["caption"], MAX_CAPTION
    for panel in (figure["panels"] or [])[:MAX_PANELS]:
        yield f"panel {clean((panel['letter'] or '?')[:8])}", panel["caption"], MAX_MENTION
    for mention in (figure["mentions"] or [])[:MAX_MENTIONS]:
        yield "said in the text", mention, MAX_MENTION


def lettered_panels(figure: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The letters of a figure's panels, in lower case, with their captions."""
    for panel in (figure["panels"] or [])[:MAX_PANELS]:
        letter = clean((panel["letter"] or "")[:8]).strip("()").lower()
        caption, _ = parted(panel["caption"], MAX_MENTION)
        if letter and caption:
            yield letter, caption


def parted(text: str | None, limit: int) -> tuple[str, str]:
    """A text cleaned, cut to whole sentences of `limit` characters at most, up to what addresses a
    model and from there."""
    return _parted((text or "")[: 2 * limit], limit)


@lru_cache(maxsize=4096)  # the texts of a paper are quoted for every question on it
def _parted(text: str, limit: int) -> tuple[str, str]:
    text = _whole(clean(text), limit)
    found = INSTRUCTION.search(text)
    if not found:
        return text, ""
    ends = [end.end() for end in SENTENCE_END.finditer(text, 0, found.start() + 2)]
    cut = max(ends, default=0)
    return text[:cut], text[cut:]


def _whole(text: str, limit: int) -> str:
    """The sentences of a text that are whole within `limit` characters, since half of one may say
    something else; the words of a longer first sentence."""
    if len(text) <= limit:
        return text
    whole = sentences(text[:limit])[:-1]
    return " ".join(whole) or _begun(text, limit, " ")


def _begun(text: str, limit: int, parting: str) -> str:
    """The parts of a text that are whole within `limit` characters; of a single one, its start."""
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(parting)[0].rstrip() or text[:limit]


def clean(text: str) -> str:
    """`text` on one line, without invisible characters, which can hide words or split them."""
    text = text.encode("utf-8", "replace").decode()
    return " ".join(text.translate(_VISIBLE).split())


class _Visible(dict[int, int | None]):
    """For `str.translate`: no control characters, none of formats and of private use."""

    def __missing__(self, code: int) -> int | None:
        sign = chr(code)
        unseen = unicodedata.category(sign) in ("Cf", "Co") or (sign < " " and sign not in "\n\t")
        return self.setdefault(code, None if unseen else code)


_VISIBLE = _Visible()


def _harmless(match: re.Match) -> str:
    return {"<": "\u2039", ">": "\u203a", "[": "("}[match.group()]
