"""Parse numbers in English words: "twenty-five", "two thirds", "ninefold"."""

import re
from collections.abc import Iterator

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: number for number, word in enumerate(_ONES.split())}
_VALUES |= {word: 10 * number for number, word in enumerate(_TENS.split(), start=2)}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "tenth": 10}
_PARTS |= {"hundredth": 100, "thousandth": 1000}
_MULTIPLES = {"doubl": 2, "twice": 2, "trebl": 3, "tripl": 3, "thrice": 3, "quadrupl": 4}
_MULTIPLES |= {"quintupl": 5, "halv": 0.5}

_SMALL = "|".join(sorted(_VALUES, key=len, reverse=True))
_UNDER_10, _TIMES_10 = "|".join(_ONES.split()[1:10]), "|".join(_TENS.split())
_UNDER_100 = rf"(?:(?:{_TIMES_10})[\s-]+(?:{_UNDER_10})\b|(?:{_SMALL})(?:\b|(?=fold)))"
_NUMBER = rf"{_UNDER_100}(?:[\s-]+(?:{'|'.join(_LARGE)})\b(?:\s+(?:and\s+)?{_UNDER_100})?){{0,4}}"
_PART = "|".join(_PARTS)
# "half of", "by a third", "two thirds"; but not "half cell" or "the third curve".
_FRACTION = (
    rf"(?P<count>{_SMALL}|an?)?[\s-]?(?P<part>{_PART})(?P<several>s)?\b"
    r"(?=\s+(?:of|as|the|its|their|that|this|an?)\b)"
)
_BY_PART = rf"(?<=\bby )(?:an? )?(?P<by>{_PART})\b|(?P<parts>{_SMALL})[\s-](?P<many>{_PART})s\b"
# "It doubled" and "double the width"; but not "double bond" or "doubles as".
_MULTIPLE = (
    r"(?:doubl|tripl|trebl|quadrupl|quintupl|halv)(?:(?:es|ed|ing)\b(?! as\b)"
    r"|e(?=\s(?:the|that|this|what|its|their|of)\b))|twice|thrice"
)
# Symmetries and coordination numbers are no multiples.
NO_MULTIPLE = r"(?!\s(?:symmetr|ax[ei]s|rotation|coordinat|degenera|screw|improper))"
_LARGE_WORDS = "hundred|thousand|million|dozen"
_WRITTEN = re.compile(
    rf"\b(?:(?P<multiple>{_MULTIPLE})\b|(?:{_FRACTION})|(?:{_BY_PART})"
    rf"|(?P<number>(?:a (?={_LARGE_WORDS}))?(?:{_LARGE_WORDS}|{_NUMBER}))"
    rf"(?P<fold>[\s-]?fold{NO_MULTIPLE})?"
    r"\b(?![\s-](?:thirds|quarters|fourths|fifths|tenths|fold)\b))",
    re.IGNORECASE,
)
# "The upper half of the image" is a place, and "a few hundred" is vague.
_SIDE = re.compile(
    r"\b(?:upper|lower|left|right|top|bottom|first|second|other|inner|outer|latter|former)"
    r"(?:-hand)?[\s-]$",
    re.IGNORECASE,
)
_VAGUE = re.compile(r"\b(?:few|several|many|couple of|some)\s$", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+")
_FIRST = _VALUES.keys() | _LARGE.keys() | _PARTS.keys() | {"a", "an", "dozen", "twice", "thrice"}
_FIRST |= {stem + end for stem in _MULTIPLES for end in ("e", "es", "ed", "ing")}
# One of these is in every number in words, since "a" and "an" only begin one.
_OF_ANY = _FIRST - {"a", "an"} | {f"{part}s" for part in _PARTS}
_OF_ANY |= {f"{word}fold" for word in _OF_ANY}
_ALIKE = re.compile("[\u0130\u0131\u017f\u212a]")  # match as i, s and k if case is ignored


def written(text: str) -> Iterator[re.Match]:
    """Yield matches of the numbers in words in a text, for `read_written`."""
    if not _ALIKE.search(text) and _OF_ANY.isdisjoint(map(str.lower, _WORD.findall(text))):
        return  # most texts
    end = 0
    for word in _WORD.finditer(text):  # faster than searching for the whole pattern
        if word.start() < end or word.group().lower().removesuffix("fold") not in _FIRST:
            continue
        match = _WRITTEN.match(text, word.start())
        before = text[max(word.start() - 16, 0) : word.start()]
        if match and not (_SIDE if match["part"] else _VAGUE).search(before):
            end = match.end()
            yield match


def read_written(match: re.Match) -> tuple[float, bool]:
    """Return the value of a match of `written`, and whether it is a multiple such as "twice"."""
    if match["multiple"]:
        word = match["multiple"].lower()
        return next(value for stem, value in _MULTIPLES.items() if word.startswith(stem)), True
    if part := match["part"] or match["by"] or match["many"]:
        count = (match["count"] or match["parts"] or "a").lower()
        return _VALUES.get(count, 1) / _PARTS[part.lower()], True
    return written_value(match["number"]), bool(match["fold"])


def written_value(words: str) -> float:
    """Return the value of a number in English words: 125 for "one hundred and twenty-five"."""
    total = current = 0
    for word in re.findall(r"[a-z]+", words.lower()):
        if word in _LARGE:
            current = max(current, 1) * _LARGE[word]
            if word != "hundred":
                total, current = total + current, 0
        elif word == "dozen":
            current = max(current, 1) * 12
        else:
            current += _VALUES.get(word, 0)
    return float(total + current)
