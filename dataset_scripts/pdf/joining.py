"""Join lines to running text, and decide which hyphens at line ends are kept.

"com-" and "position" are one word, while "three-" and "phonon" keep the hyphen. The spelling within
the lines of the same document decides. If it has neither form, the hyphen is kept between words,
and for some first and last parts of compounds.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from cephalo.dataset_scripts.pdf.text import Line

DIVIDED = "\xad"  # set by `settle_hyphens` at the end of a line with a divided word
COMPOUND = "\u2011"  # set at the end of a line whose hyphen is kept
_HYPHENS = "-\u2010"
_UNPRINTED = re.compile(r"[\x00-\x1f\xad\ufffe\uffff\u200b]")
_SHARE = re.compile(r"\b(?:wt|at|vol|mol)\.$")  # "wt.%", mostly printed without a space
_LONGEST = 200  # characters read at a line end; names of compounds are long
_LAST = re.compile(r"[\w\u2010\u2011-]*$")
_FIRST = re.compile(r"\w+(?:[\u2010\u2011-]\w+)*")
_PARTING = ".,;:()[]{}/\"'\u2018\u2019\u201c\u201d\u2013\u2014"
_LEAST_PARTICIPLE = 6  # letters; shorter ones ("ted", "eared") may be part of a word
_LEAST_WORD = 3  # smallest number of letters of a part that counts as a word


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# In "low- and high-frequency", the space after "low-" is kept.
_SUSPENDED = _words("and or to und oder bis bzw et ou y o e versus vs")

# First parts of compounds that keep the hyphen before a word of the document.
_FIRST_PARTS = _words(
    "self quasi half cross well high low long short all near mid one two three four five six seven "
    "eight nine ten single double triple first second third large small full deep hard soft open "
    "closed left right real time non"
)
# Last parts that keep the hyphen after a word of the document.
_LAST_PARTS = _words(
    "like type free rich poor ray rays axis axes scale level order phase resolution angle field "
    "point shaped sized grained plane edge shot step by up off"
)
# Last parts that keep the hyphen after anything except a word fragment.
_STRONG_PARTS = _words(
    "based induced mediated dependent related specific treated doped coated containing resolved "
    "averaged assisted driven derived supported associated sensitive resistant received level "
    "shaped sized grained"
)
# Prefixes that are also words, or that are joined without a hyphen.
_PREFIXES = _words(
    "over under out up down with inter super trans photo electro micro nano macro bio thermo hydro "
    "counter fore after back there where here any some every what how pre pro con per par dis mis "
    "mono multi sub anti auto poly un cor be for in on ab ac re im ir"
)
_SUFFIXES = _words(
    "ion rate able ally ring sing ling ted man men age ant ate the her his act art end ear ing are "
    "and line out not more over most"
)
_WITHIN_COMPOUNDS = _words("to of and in the on by at or for")
# Symbols of elements that could be parts of words: "Se-rich", "Ti-based".
_ELEMENTS = """
Ag Al Ar As At Au Ba Be Bi Br Ca Cd Ce Cl Co Cr Cs Cu Dy Er Eu Fe Ga Gd Ge He Hf Hg Ho In Ir
Kr La Li Lu Mg Mn Mo Na Nb Nd Ne Ni Os Pa Pb Pd Pr Pt Rb Re Rh Ru Sb Sc Se Si Sm Sn Sr Ta Tb
Te Th Ti Tl Tm Xe Yb Zn Zr
"""
_SYMBOLS = frozenset(_ELEMENTS.split())
_BEFORE_PARTICIPLES = ("well", "ill", "so")  # "well-established", "so-called"
_AS = _words(  # after "as-"
    "received prepared cast grown spun built drawn is synthesized synthesised deposited solidified "
    "quenched milled sintered obtained made fabricated rolled printed welded forged extruded "
    "annealed sprayed purchased produced fired"
)


@dataclass(frozen=True)
class Vocabulary:
    """Words within the lines of a document, in lower case.

    Attributes:
        words: Counts of words and compounds.
        heads: Counts of first parts of compounds.
        tails: Counts of last parts of compounds.
        known: Words of the language, whether they occur in the document or not.
    """

    words: Counter[str]
    heads: Counter[str]
    tails: Counter[str]
    known: frozenset[str] = frozenset()

    def knows(self, word: str) -> bool:
        """Return whether a word in lower case occurs in the document or its language."""
        return word in self.words or word in self.known


NO_WORDS = Vocabulary(Counter(), Counter(), Counter())


def settle_hyphens(pages: Iterable[list[Line]]) -> None:
    """Decide for each line with a final hyphen how it continues, and mark the line, in place.

    The following line is the next one in the content stream of its page.

    Args:
        pages: Lines of each page of the document.
    """
    texts: list[str] = []
    ended: list[tuple[Line, str]] = []
    for lines in pages:
        cut = [line for line in lines if line.text[-1:] in _HYPHENS and len(line.text) > 1]
        starts = {line.span[0]: line for line in lines} if cut else {}
        followers = {}
        for line in cut:
            follower = _next_line(line, starts)
            if follower is not None and follower.text.strip().isdecimal():  # line number
                follower = _next_line(follower, starts)
            if follower is not None:
                followers[id(follower)] = follower
                ended.append((line, follower.text))
        texts += [
            line.text.partition(" ")[2] if id(line) in followers else line.text for line in lines
        ]
    vocabulary = read_vocabulary(texts) if ended else NO_WORDS
    for line, after in ended:
        link = link_of(line.text[:-1], after, vocabulary)
        if link != "- ":
            line.text = line.text[:-1] + (COMPOUND if link else DIVIDED)


def settle_in_order(lines: list[Line], vocabulary: Vocabulary) -> list[Line]:
    """Return lines with each final hyphen decided by the next line in reading order.

    `settle_hyphens` uses the content stream, where a footnote or the head of the next page may
    follow the last line of a column.
    """
    settled = list(lines)
    for place, (line, after) in enumerate(pairwise(lines)):
        if line.text[-1:] in (DIVIDED, COMPOUND, *_HYPHENS) and len(line.text) > 1:
            link = link_of(line.text[:-1], after.text, vocabulary)
            mark = {"": DIVIDED, "-": COMPOUND}.get(link, "-")
            settled[place] = replace(line, text=line.text[:-1] + mark)
    return settled


def _next_line(line: Line, starts: dict[int, Line]) -> Line | None:
    """Return the next line in the content stream. `starts` maps start positions to lines."""
    near = range(line.span[1] + 1, line.span[1] + 5)  # as in `Line.continues`
    return next((starts[k] for k in near if k in starts), None)


def read_vocabulary(lines: Iterable[str]) -> Vocabulary:
    """Collect the words within lines, without words divided at a line end."""
    cut = (*_HYPHENS, DIVIDED, COMPOUND)
    whole = [line.rpartition(" ")[0] if line[-1:] in cut else line for line in lines]
    text = " ".join(whole).casefold().replace("\u2010", "-")
    for mark in _PARTING:  # faster than `str.translate`
        text = text.replace(mark, " ")
    words = Counter(text.split())
    heads: Counter[str] = Counter()
    tails: Counter[str] = Counter()
    for word, count in words.items():
        if "-" in word:
            heads[word.partition("-")[0]] += count
            tails[word.rpartition("-")[2]] += count
    return Vocabulary(words, heads, tails)


def link_of(before: str, after: str, vocabulary: Vocabulary = NO_WORDS) -> str:
    """Return the link between two parts divided by a hyphen at a line end: "", "-" or "- ".

    Args:
        before: The line without the hyphen.
        after: The next line.
        vocabulary: Words of the document.
    """
    last, first = _LAST.search(before[-_LONGEST:]), _FIRST.match(after)
    last = last[0] if last else ""
    if after[:1] in _HYPHENS and after[1:2].isalpha() and last:
        return ""  # Portuguese repeats the hyphen of "observam-se" in the next row
    if first is None or not last:
        closed = before[-1:] in (")", "]") and after[:1].islower()  # "[Mg²⁺]-induced"
        goes_on = closed and first is not None and first[0] not in _SUSPENDED
        return "-" if goes_on or (last and after[:1] in "([") else "- "
    head, tail = (part.casefold().replace("\u2010", "-") for part in (last, first[0]))
    words = vocabulary.words
    if tail in _SUSPENDED and after[len(tail) :][:1] in ("", " ") and head + tail not in words:
        begin = head.rpartition("-")[2]
        known = begin in words or begin in _FIRST_PARTS or vocabulary.heads[begin]
        if known or vocabulary is NO_WORDS or not head.isalpha():
            return "- "
    if head[-1].isdecimal() and tail[0].isdecimal():  # a range
        return "-"
    kept, joined = words[f"{head}-{tail}"], words[head + tail]
    if kept != joined:
        return "-" if kept > joined else ""
    if head + tail in vocabulary.known:
        return ""
    begin = head.rpartition("-")[2]
    whole = begin + tail in vocabulary.known
    if begin != head and whole and tail not in vocabulary.known:  # "anti-in-" and "flammatory"
        return ""
    if begin != head and begin in _WITHIN_COMPOUNDS:  # "face-to-face"
        return "-"
    if "-" in tail and tail.partition("-")[0] in _WITHIN_COMPOUNDS:  # "stay-at-home"
        return "-"
    if begin != head and whole and begin not in vocabulary.known:
        return ""  # "graphene-reinforced", divided within its last word
    if head in _BEFORE_PARTICIPLES and tail.endswith(("ed", "known")):
        return "-"
    if last in _SYMBOLS and tail in vocabulary.known and len(tail) > _LEAST_WORD:
        return "-"
    part = re.split(r"[\u2010\u2011-]", last)[-1]
    upper = part.isupper() and first[0].isupper() and len(part) > 3
    name = part.isupper() or not first[0][0].islower()  # an abbreviation, or a capital follows
    if not part.isalpha() or len(part) < 2 or (name and not upper):
        return "-"
    return "-" if _is_compound(head, tail, vocabulary) else ""


def _is_compound(head: str, tail: str, vocabulary: Vocabulary) -> bool:
    """Return whether two parts in lower case form a compound that the document does not contain."""
    words = vocabulary.words
    begin, end = head.rpartition("-")[2], tail.partition("-")[0]
    if (begin, end) != (head, tail):
        kept, joined = words[f"{begin}-{end}"], words[begin + end]
        if kept != joined:
            return kept > joined
    if begin == "as":
        return end in _AS
    participle = end in vocabulary.known and end.endswith("ed") and len(end) >= _LEAST_PARTICIPLE
    if end in _STRONG_PARTS or participle:
        return begin not in _PREFIXES
    whole = begin in _FIRST_PARTS or (
        len(begin) >= _LEAST_WORD and vocabulary.knows(begin) and begin not in _PREFIXES
    )
    follows = len(end) >= _LEAST_WORD and vocabulary.knows(end) and end not in _SUFFIXES
    if end in _LAST_PARTS:
        return whole
    if vocabulary.tails[end] and end not in _SUFFIXES:
        return whole or vocabulary.heads[begin] > 0
    return follows and (whole or vocabulary.heads[begin] > 1)


def join_text(parts: list[str]) -> str:
    """Join lines to one text and undo hyphenation at line ends."""
    pieces: list[str] = []
    for part in parts:
        part = part.strip()
        if not part:
            continue
        last = pieces[-1] if pieces else ""
        if not last:
            pieces.append(part)
        elif last[-1] == DIVIDED:
            pieces[-1] = last[:-1]
            pieces.append(part)
        elif last[-1] == COMPOUND:
            pieces[-1] = last[:-1] + "-"
            pieces.append(part)
        elif last[-1] in _HYPHENS:
            pieces[-1] = last[:-1] + link_of(last[:-1], part)
            pieces.append(part)
        elif "\u2e80" < last[-1] < "\uffa0" and "\u2e80" < part[0] < "\uffa0":
            pieces.append(part)  # Chinese and Japanese lines are joined without a space
        elif part[0] == "%" and _SHARE.search(last[-_LONGEST:]):
            pieces.append(part)
        else:
            pieces += [" ", part]
    return _UNPRINTED.sub("", "".join(pieces)).strip()
