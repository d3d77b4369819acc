"""Use the words of the document and of English to find joined, divided and mangled words."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files

from cephalo.dataset_scripts.pdf.joining import COMPOUND, DIVIDED, Vocabulary, read_vocabulary
from cephalo.dataset_scripts.pdf.main_matter import BEGINNING

_DICTIONARY = "frequency_dictionary_en_82_765.txt"  # one word and its count per line
_ENGLISH = 0.6  # share of words in the list: English papers have more, others 0.2
_OFTEN = 2  # largest count in the document of a word fragment
_LEAST_JOINED = 4  # smallest number of letters of a divided or joined word
_LONGEST = 40  # letters of a word, at most
_SHORT = re.compile(r"the|of|and|for|in|is|are|to|with|that|from|by|on|as|was|were|which|this")
_SHORT_BEFORE = re.compile(
    r"the|and|with|from|that|which|has|have|had|was|were|are|not|our|their"
    r"|(?:or|of|to|is|as|by)(?=[a-z]{6})"
)
_LIGATURES = ["f", "ff", "fi", "fl", "ffi", "ffl"]
_LIGATURE = re.compile("ff[il]?|f[ilt]?")
_WITH_LIGATURE = re.compile(r"(?<![\w-])(?=[a-eg-z]{0,40}f)[a-z]{4,40}(?![\w-])")
_TOKEN = re.compile(r"[^\W\d_]+")
_OF_SIGNS = re.compile(r"[^\s.,;:()\[\]\"'\u2018\u2019\u201c\u201d/\u2013\u2014-]+")
_PLAIN = re.compile(r"[a-z]+")
_BEFORE_MARK = re.compile(r"(?<=\S) (?=[;:](?: (?!\d)|$))")  # "1 : 2" is a ratio
_STOPPED = re.compile(
    r"(?P<word>(?<![^\W\d_])[^\W\d_]{4,}|[)\]\d\u2070\u00b9\u00b2\u00b3])\. (?=[a-z]{2,}[ ,.])"
)
# Between two words of a sentence, but not in an address or file name.
_PARTED_HYPHEN = re.compile(r"\b(?P<head>[A-Za-z]{2,}) - (?P<tail>[a-z]{2,})\b")
# A space after the hyphen of a compound in a row: "non- invasive", "Al- Ahmad".
_OPEN_HYPHEN = re.compile(
    r"(?<![\w-])(?P<head>[A-Za-z]+)- (?P<tail>(?:(?<=[A-Za-z]{2}- )[A-Z])?[a-z]{3,})\b"
)
# After a hyphen that stands for a later word: "pre- rather than post-operative".
_AFTER = """
and but for from instead nor not over plus rather respectively than that the then through versus via
which with
"""
_AFTER_OPEN = frozenset(_AFTER.split())
_CLOSED_UP = re.compile(
    r"(?<![\w./@-])(?P<before>[A-Za-z][a-z]{1,30}|[A-Za-z])(?P<mark>[.,;:?!])(?P<after>[A-Z]?[a-z]{1,30}|A)"
    r"(?=[\s,;:)-]|[.,]\s|\.$)"
)
# After a bracket, or before a name in capitals: "(31).MSH-5", "mutant,MSH-5", "et al.,1999".
_CLOSED_NAME = re.compile(
    r"(?<=[a-z]{3})(?P<comma>,)(?=[A-Z]{2,})|(?<=\w\))(?P<stop>\.)(?=[A-Z])"
    r"|(?<=[A-Z\d]\))(?P<bracket>,)(?=[a-z]{3,})|(?<=\bet al\.)(?P<year>,)(?=(?:19|20)\d\d)"
)
# After a name: "FACT,suggests", "P-loops,respectively"; but "cis,trans" is one name.
_CLOSED_COMMA = re.compile(
    r"(?<![\w./@-])(?P<before>[A-Za-z][\w-]*[A-Za-z]),(?P<after>[a-z]{2,30})(?=[\s,;:)]|\.?(?:\s|$))"
)
# Beside quotation marks, and before a name in another face: "such asGemmata".
_CLOSED_QUOTE = re.compile(r"(?<=[a-z,.;:\u201d])(?=\u201c\w)|(?<=[a-z,.]\u201d)(?=[A-Za-z])")
_CLOSED_FACE = re.compile(
    r"(?<![\w-])(?:(?:as|of|the|and|by|with|from)(?=[A-Z][a-z]{3,}(?![\w(]))"
    r"|[A-Z]{2,}(?=(?:in|of|is|and|with|was|were)\s[a-z]))"
)
# An inflected word, which is not the first part of another: "processestaking", "resultsshow".
_INFLECTED = re.compile(r"(?:[^s]s|ed|ing|ly)$")
_LEAST_INFLECTED = 5  # letters
_DIVIDED_WORD = re.compile(rf"(?<![\w-])([A-Za-z][a-z]+)[-\u2010{DIVIDED}{COMPOUND}]$")
_RAISED_O = re.compile(r"(?<=\d)o(?=C\b|[\s,.;:)]|$)")  # "90.00o" is not an English ordinal
_INITIAL = re.compile(r"([B-HJ-Z]|[AI](?=\s[a-z]{2}))\s([a-z]+)(?![\w-])")
_SHORTENED = frozenset(["approx", "conc", "prof", "resp", "spec", "temp", "incl", "subsp", "comm"])


@cache
def english() -> frozenset[str]:
    """Return English words in lower case, American and British, from the list of symspellpy."""
    lines = (files("symspellpy") / _DICTIONARY).read_text(encoding="utf-8-sig").splitlines()
    return frozenset(line.partition(" ")[0] for line in lines)


def vocabulary_of(lines: Iterable[str]) -> Vocabulary:
    """Return the words of a document from its running text in reading order.

    English words are added if the document is in English.
    """
    whole, cut = [], False
    for line in lines:
        whole.append(line.partition(" ")[2] if cut else line)
        cut = line[-1:] in (DIVIDED, COMPOUND, "-", "\u2010")
    found = read_vocabulary(whole)
    plain = {word: count for word, count in found.words.items() if _PLAIN.fullmatch(word)}
    listed = sum(count for word, count in plain.items() if word in english())
    known = listed > _ENGLISH * sum(plain.values())
    return replace(found, known=english()) if known else found


def with_ligatures(text: str, vocabulary: Vocabulary) -> str:
    """Correct ligatures that form no English word: "effiect" becomes "effect".

    Bitmap fonts have no characters for ligatures, and rendered ones look alike.
    """
    if not vocabulary.known:
        return text
    return _WITH_LIGATURE.sub(lambda match: _with_other(match[0], vocabulary), text)


def _with_other(word: str, vocabulary: Vocabulary) -> str:
    """Return a word with another ligature if exactly one of them gives a known word."""
    if word in vocabulary.known:
        return word
    others = {
        word[: match.start()] + other + word[match.end() :]
        for match in _LIGATURE.finditer(word)
        for other in _LIGATURES
    }
    words = others & vocabulary.known
    return words.pop() if len(words) == 1 else word


def with_initial(text: str, vocabulary: Vocabulary) -> str:
    """Join the large initial of a paragraph to its first word: "C arbapenems"."""
    match = _INITIAL.match(text)
    if not match or not vocabulary.known:
        return text
    whole = match[1] + match[2]
    parted = whole.lower() in vocabulary.known and match[2] not in vocabulary.known
    parted = parted or vocabulary.words[whole.lower()] > vocabulary.words[match[2]]
    if parted or BEGINNING.fullmatch(f"{whole} "):
        return whole + text[match.end() :]
    return text


def with_spaces(text: str, vocabulary: Vocabulary) -> str:
    """Insert spaces after marks in English text that a narrow line lost: "noise.The"."""
    if not vocabulary.known:
        return text
    for _ in range(2):  # twice for "planning.First,images", since matches do not overlap
        text = _CLOSED_UP.sub(lambda match: _parted(match, vocabulary), text)
    text = _CLOSED_FACE.sub(r"\g<0> ", _CLOSED_QUOTE.sub(" ", text))
    text = _CLOSED_COMMA.sub(lambda match: _behind_name(match, vocabulary), text)
    return _CLOSED_NAME.sub(r"\g<0> ", text)


def without_parted_hyphens(text: str, vocabulary: Vocabulary) -> str:
    """Remove hyphens between spaces that divide an English word in a row: "demonstra - ted"."""

    def joined(match: re.Match[str]) -> str:
        word = match["head"] + match["tail"]
        alone = vocabulary.knows(match["head"].lower()) and vocabulary.knows(match["tail"])
        return word if vocabulary.knows(word.lower()) and not alone else match.group()

    return _PARTED_HYPHEN.sub(joined, text) if vocabulary.known else text


def without_open_hyphens(text: str, vocabulary: Vocabulary) -> str:
    """Remove the space after a hyphen within a compound of an English text: "non- invasive"."""

    def closed(match: re.Match[str]) -> str:
        head, tail = match["head"], match["tail"]
        if tail in _AFTER_OPEN:
            return match.group()
        if vocabulary.knows((head + tail).lower()) and not vocabulary.knows(head.lower()):
            return head + tail  # "effec- tive"
        names = head[0].isupper() and tail[0].isupper()
        return f"{head}-{tail}" if names or vocabulary.knows(tail) else match.group()

    return _OPEN_HYPHEN.sub(closed, text) if vocabulary.known else text


def _behind_name(match: re.Match[str], vocabulary: Vocabulary) -> str:
    """Return a name and a word with a space after the comma; the match for other texts."""
    named = any(map(str.isupper, match["before"])) or "-" in match["before"]
    word = match["after"] in vocabulary.known
    return f"{match['before']}, {match['after']}" if named and word else match.group()


def with_degrees(text: str, vocabulary: Vocabulary) -> str:
    """Replace a raised "o" in English text by the degree sign."""
    return _RAISED_O.sub("°", text) if vocabulary.known else text


def _parted(match: re.Match[str], vocabulary: Vocabulary) -> str:
    """Return two words with a space after the mark between them; the match for other texts."""
    before, mark, after = match["before"], match["mark"], match["after"]
    words = vocabulary.knows(before.lower()) and vocabulary.knows(after.lower())
    begins = after[0].isupper() if mark in ".?!" else True
    return f"{before}{mark} {after}" if words and begins else match.group()


def without_lost_spaces(text: str, vocabulary: Vocabulary) -> str:
    """Remove spaces from English text that divide a word, "ha ve", or precede a mark."""
    if not vocabulary.known:
        return text
    tokens = _BEFORE_MARK.sub("", text).split(" ")
    joined = tokens[:1]
    for token in tokens[1:]:
        before = joined[-1] if joined else ""
        if _is_parted(before, token, vocabulary):
            joined[-1] = before + token
        else:
            joined.append(token)
    return " ".join(joined)


def _is_parted(before: str, after: str, vocabulary: Vocabulary) -> bool:
    """Return whether two tokens are parts of one word."""
    if before in vocabulary.known and after in vocabulary.known:  # mostly true
        return False
    end = _PLAIN.match(after)
    begin = before.lstrip("([\u201c\"'").casefold()
    if before[:1].isupper() and after == "et":  # "Su et al." is no suet
        return False
    if end is None or not _PLAIN.fullmatch(begin) or begin + end[0] not in vocabulary.known:
        return False
    parts = begin, end[0]
    if len(begin + end[0]) < _LEAST_JOINED or any(len(part) < 2 for part in parts):
        return False
    return any(part not in vocabulary.known and vocabulary.words[part] <= _OFTEN for part in parts)


def is_mangled(sentence: str, vocabulary: Vocabulary) -> bool:
    """Return whether two words of a sentence are joined, or it begins with the rest of a word.

    A sentence after a full stop that begins in lower case has lost its start.
    """
    if not vocabulary.known:
        return False
    for match in _STOPPED.finditer(sentence):
        word = match["word"].casefold()
        if word not in _SHORTENED and (not word.isalpha() or vocabulary.knows(word)):
            return True
    unknown = set(_TOKEN.findall(sentence)) - vocabulary.known
    return any(_PLAIN.fullmatch(token) and _is_run_together(token, vocabulary) for token in unknown)


def _is_run_together(token: str, vocabulary: Vocabulary) -> bool:
    """Return whether an unknown token is a known word joined with a short one."""
    if len(token) > _LONGEST or vocabulary.words[token] > _OFTEN:
        return False
    before = _SHORT_BEFORE.match(token)  # "andmethods"
    if (
        before
        and len(token) - before.end() >= _LEAST_JOINED
        and _is_words(token[before.end() :], vocabulary)
    ):
        return True
    if any(
        _INFLECTED.search(token[:place])
        and token[:place] in vocabulary.known
        and token[place:] in vocabulary.known
        for place in range(_LEAST_INFLECTED, len(token) - _LEAST_JOINED + 1)
    ):
        return True
    return any(
        _is_words(token[:place], vocabulary) and bool(_SHORT.fullmatch(token[place:]))
        for place in range(_LEAST_JOINED, len(token) - 1)
    )


def _is_words(token: str, vocabulary: Vocabulary) -> bool:
    """Return whether a token is a known word, or two joined ones: "similarroles"."""
    places = range(_LEAST_JOINED, len(token) - _LEAST_JOINED + 1)
    parts = ((token[:place], token[place:]) for place in places)
    known = vocabulary.known
    one = len(token) >= _LEAST_JOINED and token in known
    return one or any(first in known and second in known for first, second in parts)


def is_lost(row: str, after: str, vocabulary: Vocabulary) -> bool:
    """Return whether a block ends in a divided word that does not continue in the next block.

    "morpholog-" and "occasionally" form no word, and the second one is complete.
    """
    begin, end = _DIVIDED_WORD.search(row), _PLAIN.match(after)
    if not begin or not end or not vocabulary.known:
        return False
    head, tail = begin[1].casefold(), end[0]
    if len(tail) < _LEAST_JOINED or tail not in vocabulary.known or vocabulary.heads[head]:
        return False
    return not vocabulary.knows(head) and not vocabulary.knows(head + tail)


def is_misread(sentence: str, vocabulary: Vocabulary) -> bool:
    """Return whether a recognised sentence contains a token that is neither a word nor a number.

    OCR has no indices and exponents, and confuses letters and digits: "Q2" for "Q₂", "1,l-diene".
    Names are accepted, and tokens that occur more than twice in the document.
    """
    for token in _OF_SIGNS.findall(sentence):
        letters = any(map(str.isalpha, token))
        if letters and (any(map(str.isdecimal, token)) or not token.isascii()):
            return True
        unknown = _PLAIN.fullmatch(token) and token not in vocabulary.known
        if unknown and vocabulary.words[token] <= _OFTEN:
            return True
    return False
