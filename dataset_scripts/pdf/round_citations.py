"""Numbers of references in round brackets, "as was found (12,13)", which some journals set.

They look as numbers of equations and of items of a list do, so that a document tells of itself
whether it cites so.
"""

import re
from collections.abc import Iterable

_NUMBERS = r"[1-9]\d{0,2}"
_SEVERAL = re.compile(rf"\({_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})+\)")
_SQUARE = re.compile(rf"\[{_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})*\]")
# Behind a word or a bracket; not read as a word, as in "(61) focused on", nor an equation's.
_CITED = re.compile(
    rf"(?P<before>[^\s()]*[^\W\d_]|\))\s\({_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})*\)(?!\s?\()"
)
_NO_CITATION = re.compile(
    r"(?:see|in|of|by|from|to|and|or|with|at|on|as|than|that|while|whereas|when|using|per|sites?"
    r"|(?:eq|fig|ref|tab|sec|no)s?\.?|equations?|figures?|tables?|sections?|steps?|schemes?"
    r"|conditions?|formulas?|cases?|lines?|panels?|groups?|samples?|references?)",
    re.I,
)
FEWEST = 5  # citations of several works, in a document that cites so: no equation is "(36,37)"


def cites_in_round_brackets(texts: Iterable[str]) -> bool:
    """Whether the paragraphs of a document cite by numbers in round brackets."""
    several = square = 0
    for text in texts:
        several += len(_SEVERAL.findall(text))
        square += len(_SQUARE.findall(text))
    return several >= FEWEST and several > square


def without_round_citations(text: str) -> str:
    """A text without the numbers of references in round brackets."""
    return _CITED.sub(
        lambda match: match[0] if _NO_CITATION.fullmatch(match["before"]) else match["before"],
        text,
    )
