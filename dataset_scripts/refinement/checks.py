"""Checks of the text of a conversation.

Each check takes a conversation and its context (the source, the task, the prompt), and returns what
is wrong, formatted as one line, or None. Checks do not depend on the teacher or on the images.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from rapidfuzz import fuzz
from rapidfuzz.distance import LCSseq

from cephalo.dataset_scripts.common.language import wrong_language
from cephalo.dataset_scripts.refinement import form
from cephalo.dataset_scripts.refinement.belonging import other_figure as of_other_figure
from cephalo.dataset_scripts.refinement.causes import strange_cause
from cephalo.dataset_scripts.refinement.conditions import wrong_condition
from cephalo.dataset_scripts.refinement.directions import against_laws, against_source
from cephalo.dataset_scripts.refinement.forms import Talk
from cephalo.dataset_scripts.refinement.formulas import missing_formula
from cephalo.dataset_scripts.refinement.owners import wrong_owner
from cephalo.dataset_scripts.refinement.panels_check import wrong_panel
from cephalo.dataset_scripts.refinement.printed import printed_words
from cephalo.dataset_scripts.refinement.quantities import parse, without_quantities
from cephalo.dataset_scripts.refinement.quotation import INSTRUCTION, Source
from cephalo.dataset_scripts.refinement.reasoning import account
from cephalo.dataset_scripts.refinement.safety import unsafe_instruction
from cephalo.dataset_scripts.refinement.topic import foreign
from cephalo.dataset_scripts.refinement.words import content, first, folded, found_in

MAX_QUESTION_WORDS, MAX_ANSWER_WORDS = 120, 600
MAX_CHARACTERS = 8000  # of a question or an answer; 600 words have about 4,000
_BLANK = re.compile(r"\s{50}")  # consecutive; indented code and tables have fewer
REPEATED = 90.0  # percent similarity (rapidfuzz's ratio) from which an answer is a copy
RUN = 5  # consecutive words copied from the source
FEWEST_PLAIN = 9  # alphabetic words; a shorter answer may use the words of the paper
COPIED_SHARE = 0.5  # share of an answer in such runs from which it is a copy
LONG_COPY = 20  # words; a shorter copy is a term rather than a passage
SHINGLE = 8  # words; so many consecutive words of our prompt do not recur by chance
FEW_WORDS = 5  # minimum words of a task from which a bare quantity is an answer
COMPRESSED = 0.25  # zlib halves prose of 100 words and more; repetition compresses far better


@dataclass(frozen=True)
class Context:
    """What a conversation is checked against: its source, the minimum number of words of its task,
    the prompt, and the required language (ISO 639-1)."""

    source: Source
    min_words: int
    prompt: str
    language: str = "en"


Check = Callable[[Talk, Context], str | None]


def length(talk: Talk, context: Context) -> str | None:
    """Reject a question or an answer with too few or too many words."""
    for turn in talk.turns:
        asked, said = len(turn.question.split()), len(turn.answer.split())
        if not 2 <= asked <= MAX_QUESTION_WORDS:
            return f"a question of {asked} words"
        terse = context.min_words <= FEW_WORDS and is_quantity(turn.answer)
        if not (terse or context.min_words <= said) or said > MAX_ANSWER_WORDS:
            return f"an answer of {said} words"
    return None


def refusal(talk: Talk, context: Context) -> str | None:
    """Reject a refusal, a request for more information, or an answer about being a language
    model."""
    return form.REFUSAL.first_in(texts(talk))


def meta_talk(talk: Talk, context: Context) -> str | None:
    """Reject references to the caption, the text or the authors, which the reader cannot see."""
    return form.META.first_in(texts(talk))


REFERENCE = re.compile(
    r"\b(?=\w)(?:(?:(?i:Fig(?:ure|s|ures)?|Tables?|Eqs?|Equations?|Refs?|Schemes?)|Charts?|Plates?|References?"
    r"|Tab|Sections?|Sect?|Appendix|Box|Movies?|Videos?)\b\.?\s*(?:S?\(?\d+|[IVX]+\b|\[)"
    r"|(?:[Ss]upplementary|[Ss]upporting) (?:[Ii]nformation|[Mm]aterials?|[Ff]ig\w*|[Tt]ables?)\b"
    r"|[Aa]s (?:shown|seen|described|discussed|mentioned|listed|given|noted|explained)"
    r" (?:above|below|earlier|previously|before|elsewhere|in the (?:text|previous|following)\b)"
    r"|(?:described|discussed|mentioned|noted|explained) (?:above|earlier|previously|elsewhere)\b"
    r"|[Ss]ee (?:text|above|below|also)\b|et al\b)"
    r"|\[\s?\d+(?:\s?[-\u2013,;]\s?\d+)*\s?\]"  # [12], [3, 5-7]
)


def dangling_reference(talk: Talk, context: Context) -> str | None:
    """Reject references to what the reader cannot see: "Figure 3", "as shown above", "[12]"."""
    return found_in(REFERENCE, texts(talk))


def number(talk: Talk, context: Context) -> str | None:
    """Reject a quantity that the source does not state and that does not follow from it."""
    return account(talk.turns, context.source).missing


def formula(talk: Talk, context: Context) -> str | None:
    """Reject a chemical formula or sample name that neither the source nor the figure contains."""
    missing = first(missing_formula(text, context.source.text) for text in texts(talk))
    if missing is None:
        return None
    printed = (word for words in printed_words(context.source) for word in words)
    everything = "\n".join([context.source.text, *printed])
    return first(missing_formula(text, everything) for text in texts(talk))


def repeats_source(talk: Talk, context: Context) -> str | None:
    """Reject an answer that only repeats the caption or another passage of the paper."""
    copied = runs(context.source.passages)
    for turn in talk.turns:
        answer = folded(turn.answer)
        plain = (word for word in answer.split() if len(word) > 1 and word.isalpha())
        if len([*islice(plain, FEWEST_PLAIN)]) < FEWEST_PLAIN:
            continue
        if shared_run_share(answer, copied) >= COPIED_SHARE:
            return turn.answer[:80]
        for passage in map(folded, context.source.passages):
            if fuzz.ratio(answer, passage, score_cutoff=REPEATED) or repeats_part(answer, passage):
                return turn.answer[:80]
    return None


def repeats_part(answer: str, passage: str) -> bool:
    """Return whether an answer is a copy of a part of a longer passage.

    The bound skips most comparisons of parts: an answer with similarity r to some part (twice the
    common letters over the letters of both) shares at least r / (2 - r) of its letters with that
    part, and therefore with the passage, which is much faster to compute.
    """
    if len(answer) >= len(passage):
        return False
    least = int(REPEATED / (200 - REPEATED) * len(answer))
    return bool(
        LCSseq.similarity(answer, passage, score_cutoff=least)
        and fuzz.partial_ratio(answer, passage, score_cutoff=REPEATED)
    )


def off_topic(talk: Talk, context: Context) -> str | None:
    """Reject an answer that shares almost no words with the paper."""
    return first(foreign(turn.question, turn.answer, context.source) for turn in talk.turns)


def is_quantity(answer: str) -> bool:
    """Return whether an answer consists of little more than a quantity: "0.5 g/L", "About 373
    K"."""
    return bool(parse(answer)) and not content(without_quantities(answer))


def owner(talk: Talk, context: Context) -> str | None:
    """Reject a quantity of the source that the answer assigns to another sample, panel or
    condition."""
    passages = context.source.passages
    return first(
        wrong(turn.question, turn.answer, passages)
        for turn in talk.turns
        for wrong in (wrong_owner, wrong_condition)
    )


def direction(talk: Talk, context: Context) -> str | None:
    """Reject the opposite trend or comparison, or a negation of a statement of the source."""
    passages = context.source.passages
    return first(against_source(turn.question, turn.answer, passages) for turn in talk.turns)


def cause(talk: Talk, context: Context) -> str | None:
    """Reject a cause that the source does not mention: bacteria, a laser, rust."""
    source = context.source
    return first(
        strange_cause(turn.question, turn.answer, source.passages, source.others)
        for turn in talk.turns
    )


def knowledge(talk: Talk, context: Context) -> str | None:
    """Reject an answer that contradicts general knowledge, unless the source states the same."""
    return first(against_laws(turn.question, turn.answer) for turn in talk.turns)


def panel(talk: Talk, context: Context) -> str | None:
    """Reject a statement about one panel that the source makes about another one."""
    source = context.source
    return first(
        wrong_panel(turn.question, turn.answer, source.lettered, source.passages)
        for turn in talk.turns
    )


def other_figure(talk: Talk, context: Context) -> str | None:
    """Reject an answer that describes another figure of the paper."""
    source = context.source
    asked = " ".join(turn.question for turn in talk.turns)
    said = " ".join(turn.answer for turn in talk.turns)
    return of_other_figure(asked, said, source.passages, source.others)


def obeys_source(talk: Talk, context: Context) -> str | None:
    """Reject an answer that follows instructions in the paper, or gives instructions to a model."""
    said = [turn.answer for turn in talk.turns]
    if detail := INSTRUCTION.first_in(texts(talk)) or form.OBEYS.first_in(said):
        return detail
    # Words that occur in instructions to a model and nowhere else in the paper.
    told = content(context.source.instructions) - content(context.source.text)
    for turn in talk.turns:
        words = content(turn.answer)
        echoed = words & told
        if echoed and len(echoed) >= 0.2 * len(words):
            return f"words of an instruction: {', '.join(sorted(echoed)[:5])}"
    return None


def leaks_prompt(talk: Talk, context: Context) -> str | None:
    """Reject consecutive words of the prompt, or the delimiters of the quotation."""
    mine = shingles(context.prompt)
    for text in texts(talk):
        if "<<<" in text or shingles(text) & mine:
            return text[:80]
    return None


def markup(talk: Talk, context: Context) -> str | None:
    """Reject links, addresses, HTML, control tokens and control characters."""
    return first(form.markup(text) for text in texts(talk))


def loops(talk: Talk, context: Context) -> str | None:
    """Reject an answer that repeats itself, as small models do."""
    for turn in talk.turns:
        data = turn.answer.encode()
        if len(data) > 300 and deflated(data) < COMPRESSED * len(data):
            return turn.answer[-80:]
    return None


@lru_cache(maxsize=256)  # teachers repeat answers, and answers are checked again
def deflated(data: bytes) -> int:
    """Return the size of a text of at most MAX_CHARACTERS after compression, in bytes.

    The small window needs 60 kB of memory instead of 260 kB, which would be cleared on each call.
    """
    packer = zlib.compressobj(wbits=13, memLevel=5)
    return len(packer.compress(data)) + len(packer.flush())


def unfinished(talk: Talk, context: Context) -> str | None:
    """Reject an answer that ends within a sentence or announces something that does not follow."""
    return first(form.cut_off(turn.answer) for turn in talk.turns)


def markdown(talk: Talk, context: Context) -> str | None:
    """Reject headings, lists, tables, emphasis or LaTeX; answers are plain prose."""
    return first(form.markdown(text) for text in texts(talk))


def json_text(talk: Talk, context: Context) -> str | None:
    """Reject fragments of JSON in an answer."""
    return found_in(form.JSON, texts(talk))


def hedges(talk: Talk, context: Context) -> str | None:
    """Reject an answer without any definite statement."""
    return first(form.only_hedges(turn.answer) for turn in talk.turns)


def boilerplate(talk: Talk, context: Context) -> str | None:
    """Reject praise and phrases that would fit any image."""
    return first(form.praise(turn.answer) for turn in talk.turns)


def overclaim(talk: Talk, context: Context) -> str | None:
    """Reject more certainty or generality than a figure can support, unless the source claims it
    too."""
    claim = first(form.overclaim(turn.answer) for turn in talk.turns)
    return None if claim and claim.lower() in context.source.text.lower() else claim


def leading(talk: Talk, context: Context) -> str | None:
    """Reject a question that contains its answer."""
    return first(form.in_question(turn.question, turn.answer) for turn in talk.turns)


def language(talk: Talk, context: Context) -> str | None:
    """Reject a question or an answer in another language than required."""
    return first(wrong_language(text, context.language) for text in texts(talk))


def unsafe(talk: Talk, context: Context) -> str | None:
    """Reject an instruction that would endanger someone who follows it."""
    return first(unsafe_instruction(turn.answer) for turn in talk.turns)


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        length,
        refusal,
        meta_talk,
        dangling_reference,
        number,
        formula,
        owner,
        direction,
        cause,
        knowledge,
        panel,
        repeats_source,
        off_topic,
        other_figure,
        obeys_source,
        leaks_prompt,
        markup,
        markdown,
        json_text,
        loops,
        unfinished,
        hedges,
        boilerplate,
        overclaim,
        leading,
        language,
        unsafe,
    )
}


def outsized(talk: Talk) -> str | None:
    """Return why a conversation would take the checks seconds, or None: a text too long, or with a
    long run of white space."""
    for text in texts(talk):
        if len(text) > MAX_CHARACTERS:
            return f"a text of {len(text):,} characters"
        if _BLANK.search(text):
            return "many white space characters in a row"
    return None


def failed_checks(talk: Talk, context: Context, skip: Iterable[str] = ()) -> dict[str, str]:
    """Return the names of the failed checks of a conversation, each with its detail.

    An outsized conversation fails `length`, and no other check is run.
    """
    if detail := outsized(talk):
        return {"length": detail}
    found = {name: check(talk, context) for name, check in CHECKS.items() if name not in skip}
    return {name: " ".join(detail.split()) for name, detail in found.items() if detail is not None}


def texts(talk: Talk) -> list[str]:
    """Return questions and answers in order."""
    return [text for turn in talk.turns for text in turn]


def shared_run_share(answer: str, copied: frozenset[str]) -> float:
    """Return the share (0 to 1) of an answer's words that are part of a copied run of RUN words."""
    words = answer.split()
    covered: set[int] = set()
    for start in range(len(words) - RUN + 1):
        if " ".join(words[start : start + RUN]) in copied:
            covered.update(range(start, start + RUN))
    taken = sum(len(words[place]) > 1 and words[place].isalpha() for place in covered)
    return taken / max(LONG_COPY, len(words))


@lru_cache(maxsize=64)  # each source is checked many times
def runs(passages: tuple[str, ...]) -> frozenset[str]:
    """Return all runs of RUN consecutive words of the passages."""
    found = set()
    for passage in passages:
        words = folded(passage).split()
        found.update(" ".join(words[start : start + RUN]) for start in range(len(words) - RUN + 1))
    return frozenset(found)


@lru_cache(maxsize=64)  # the same prompts recur
def shingles(text: str) -> frozenset[str]:
    """Return all runs of SHINGLE consecutive words."""
    words = folded(text).split()
    starts = range(len(words) - SHINGLE + 1)
    return frozenset(" ".join(words[start : start + SHINGLE]) for start in starts)
