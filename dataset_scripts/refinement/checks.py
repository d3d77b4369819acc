"""Checks of what a teacher wrote. Each looks at one conversation and says what is wrong, or None.

They see the source of the conversation (what the paper says) and the task; they look at text only
and know nothing of the teacher.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz

from cephalo.dataset_scripts.refinement.formulas import missing_formula
from cephalo.dataset_scripts.refinement.quotation import INSTRUCTION, Source
from cephalo.dataset_scripts.refinement.support import account, printed_words
from cephalo.dataset_scripts.refinement.tasks import Talk

MAX_QUESTION_WORDS, MAX_ANSWER_WORDS = 120, 600
REPEATED = 90.0  # percent of likeness (rapidfuzz's ratio) at which an answer is a copy
SHINGLE = 8  # words; that many in a row from our own prompt are no accident
SHARED_SHARE = 0.1  # of an answer's content words that the source must hold
COMPRESSED = 0.25  # zlib makes prose of 100 words and more half as long, loops far shorter


@dataclass(frozen=True)
class Context:
    """What a conversation is checked against: its source, its task's bound, and our prompt."""

    source: Source
    min_words: int
    prompt: str


# Words of any prose; sharing them is no sign of a common subject.
_PROSE = """
about above across after again against along also although always among another around based
because become been before behind being below between both cannot could does done down during each
either else even ever every figure first following from further given have having here however
image images into just know known large least less like made make many more most much must near
need never next often once only onto other others over paper part parts picture same second seen
several shall should show showing shown shows since small some still such than that their them
then there therefore these they thing this those though through thus under until upon used uses
using very want well were what when where whether which while whom whose will with within without
would your
"""
STEM = 6  # letters: "polymeric" and "polymers" are one
COMMON = {word[:STEM] for word in _PROSE.split()}

Check = Callable[[Talk, Context], str | None]


def length(talk: Talk, context: Context) -> str | None:
    """A question or an answer of too few or too many words."""
    for turn in talk.turns:
        asked, said = len(turn.question.split()), len(turn.answer.split())
        if not 2 <= asked <= MAX_QUESTION_WORDS:
            return f"a question of {asked} words"
        if not context.min_words <= said <= MAX_ANSWER_WORDS:
            return f"an answer of {said} words"
    return None


REFUSAL = re.compile(
    r"\b(?:I(?:'m| am)\s+(?:sorry|unable|not able|afraid)|I\s+(?:cannot|can't|can not|won't)\b"
    r"|I\s+apologi[sz]e|as an? (?:AI|artificial intelligence|(?:large )?language model)"
    r"|(?:cannot|can't|unable to) (?:see|view|access|open|assist|help|answer|determine|provide)"
    r"|no image (?:was|is|has been) (?:provided|attached|shown)|not enough information)\b",
    re.IGNORECASE,
)


def refusal(talk: Talk, context: Context) -> str | None:
    """The teacher declines, or speaks of itself as a model."""
    return found_in(REFUSAL, texts(talk))


META = re.compile(
    r"\b(?:the|this|its|figure) (?:caption|quotations?|quoted \w+|excerpts?|passages?)\b"
    r"|\b(?:provided|given|quoted|supplied|above|accompanying|surrounding)"
    r" (?:text|caption|context|information|description|passage|paragraphs?)\b"
    r"|\b(?:provided|quoted) material\b"
    r"|\b(?:according to|based on|stated in|described in|mentioned in|as per)"
    r" the (?:text|caption|paper|authors?|article|study|context|description)\b"
    r"|\b(?:the|this) (?:article|manuscript|publication)\b"
    r"|\b(?:the|this) (?:text|paper|authors?|study) (?:is (?:an?|on|about)|are|says?|states?"
    r"|mentions?|describes?|reports?|notes?|explains?|presents?|discuss(?:es)?|focus(?:es)?|shows?"
    r"|provides?|propos(?:es?|ed)|found|finds?|conclude[sd]?|does not|do not)\b"
    r"|\b(?:JSON|(?:my|these|the) instructions|training example)\b",
    re.IGNORECASE,
)


def meta_talk(talk: Talk, context: Context) -> str | None:
    """Talk about the caption, the text or the task: whoever reads the answer sees none of them."""
    return found_in(META, texts(talk))


REFERENCE = re.compile(
    r"\b(?:(?i:Fig(?:ure|s|ures)?|Tables?|Eqs?|Equations?|Refs?|Schemes?)|Charts?|Plates?|References?"
    r"|Tab|Sections?|Sect?|Appendix|Box|Movies?|Videos?)\b\.?\s*(?:S?\(?\d+|[IVX]+\b|\[)"
    r"|\[\s?\d+(?:\s?[-\u2013,;]\s?\d+)*\s?\]"  # [12], [3, 5-7]
    r"|\b(?:[Ss]upplementary|[Ss]upporting) (?:[Ii]nformation|[Mm]aterials?|[Ff]ig\w*|[Tt]ables?)\b"
    r"|\b[Aa]s (?:shown|seen|described|discussed|mentioned|listed|given|noted|explained)"
    r" (?:above|below|earlier|previously|before|elsewhere|in the (?:text|previous|following)\b)"
    r"|\b(?:described|discussed|mentioned|noted|explained) (?:above|earlier|previously|elsewhere)\b"
    r"|\b[Ss]ee (?:text|above|below|also)\b|\bet al\b"
)


def dangling_reference(talk: Talk, context: Context) -> str | None:
    """A pointer to what the reader does not see: "Figure 3", "as shown above", "[12]"."""
    return found_in(REFERENCE, texts(talk))


def number(talk: Talk, context: Context) -> str | None:
    """A quantity that the source does not state, and that does not follow from it."""
    return account(talk.turns, context.source).missing


def formula(talk: Talk, context: Context) -> str | None:
    """A chemical formula or a sample's name that stands nowhere in the source or the figure."""
    missing = first(missing_formula(text, context.source.text) for text in texts(talk))
    if missing is None:
        return None
    printed = (word for words in printed_words(context.source) for word in words)
    everything = "\n".join([context.source.text, *printed])
    return first(missing_formula(text, everything) for text in texts(talk))


def repeats_source(talk: Talk, context: Context) -> str | None:
    """An answer that merely repeats a caption, or another passage of the paper."""
    for turn in talk.turns:
        answer = folded(turn.answer)
        if len(answer.split()) < 8:  # a short answer may well be in the paper's words
            continue
        for passage in map(folded, context.source.passages):
            if fuzz.ratio(answer, passage, score_cutoff=REPEATED) or (
                len(answer) < len(passage)
                and fuzz.partial_ratio(answer, passage, score_cutoff=REPEATED)
            ):
                return turn.answer[:80]
    return None


def off_topic(talk: Talk, context: Context) -> str | None:
    """An answer that shares next to no content words with the source."""
    known = stems(context.source.text)
    for turn in talk.turns:
        said = stems(turn.answer)
        if said and len(said & known) < max(1, SHARED_SHARE * len(said)):
            return f"{len(said & known)} of {len(said)} content words are in the source"
    return None


def obeys_source(talk: Talk, context: Context) -> str | None:
    """An answer that does what the paper tells a model to do, or that tells a model itself."""
    if detail := found_in(INSTRUCTION, texts(talk)):
        return detail
    # Words that stand in sentences to a model, and nowhere else in the paper.
    told = stems(context.source.instructions) - stems(context.source.text)
    for turn in talk.turns:
        said = stems(turn.answer)
        echoed = said & told
        if echoed and len(echoed) >= 0.2 * len(said):
            return f"words of an instruction: {', '.join(sorted(echoed)[:5])}"
    return None


def leaks_prompt(talk: Talk, context: Context) -> str | None:
    """Words in a row from the prompt, or the marks of the quotation."""
    mine = shingles(context.prompt)
    for text in texts(talk):
        if "<<<" in text or shingles(text) & mine:
            return text[:80]
    return None


MARKUP = re.compile(
    r"https?://|www\.\w|\]\(|</?[a-z][^<>]{0,200}>|<\||\|>|\[/?INST\]|```|\bdata:\w+/"
    r"|[\w.+-]+@[\w-]+\.\w{2,}|[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\ufffd]",
    re.IGNORECASE,
)


def markup(talk: Talk, context: Context) -> str | None:
    """Links, addresses, HTML, control tokens and characters, which no answer here needs."""
    return found_in(MARKUP, texts(talk))


def loops(talk: Talk, context: Context) -> str | None:
    """An answer that says the same again and again, as small models do."""
    for turn in talk.turns:
        data = turn.answer.encode()
        if len(data) > 300 and len(zlib.compress(data)) < COMPRESSED * len(data):
            return turn.answer[-80:]
    return None


UNFINISHED = re.compile(r"(?:[:,;(\u2013\u2026-]|\.\.\.)\s*$")


def unfinished(talk: Talk, context: Context) -> str | None:
    """An answer that breaks off, or announces what does not come."""
    for turn in talk.turns:
        if UNFINISHED.search(turn.answer):
            return turn.answer[-80:]
    return None


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        length,
        refusal,
        meta_talk,
        dangling_reference,
        number,
        formula,
        repeats_source,
        off_topic,
        obeys_source,
        leaks_prompt,
        markup,
        loops,
        unfinished,
    )
}


def failed_checks(talk: Talk, context: Context, skip: Iterable[str] = ()) -> dict[str, str]:
    """The names of the checks that a conversation fails, each with its detail."""
    found = {name: check(talk, context) for name, check in CHECKS.items() if name not in skip}
    return {name: " ".join(detail.split()) for name, detail in found.items() if detail is not None}


def texts(talk: Talk) -> list[str]:
    """Questions and answers in order."""
    return [text for turn in talk.turns for text in turn]


def found_in(pattern: re.Pattern, texts: Iterable[str]) -> str | None:
    """The first match of `pattern`, None where there is none."""
    return first(match.group()[:80] for text in texts if (match := pattern.search(text)))


def first(details: Iterable[str | None]) -> str | None:
    """The first that is not None."""
    return next((detail for detail in details if detail is not None), None)


def folded(text: str) -> str:
    """`text` in lower case, with single spaces and without punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def stems(text: str) -> set[str]:
    """The beginnings of the words of four letters and more, without those of any prose."""
    return {word[:STEM] for word in re.findall(r"[^\W\d_]{4,}", text.lower())} - COMMON


@lru_cache(maxsize=64)  # a prompt comes again and again
def shingles(text: str) -> frozenset[str]:
    """Every SHINGLE words in a row."""
    words = folded(text).split()
    starts = range(len(words) - SHINGLE + 1)
    return frozenset(" ".join(words[start : start + SHINGLE]) for start in starts)
