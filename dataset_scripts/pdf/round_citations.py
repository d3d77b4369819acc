"""Reference numbers in round brackets, "as was found (12,13)", which some journals use.

Equation and list numbers look alike, so the document as a whole decides whether they are citations.
"""

import re
from collections.abc import Iterable

_NUMBERS = r"[1-9]\d{0,2}"
_SEVERAL = re.compile(rf"\({_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})+\)")
_SQUARE = re.compile(rf"\[{_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})*\]")
# After a word or bracket; not part of the sentence ("(61) focused on"), nor an equation number.
_CITED = re.compile(
    rf"(?P<before>[^\s()]*[^\W\d_]|\))\s\({_NUMBERS}(?:\s?[,\u2013-]\s?{_NUMBERS})*\)(?!\s?\()"
)
_NO_CITATION = re.compile(
    r"(?:see|in|of|by|from|to|and|or|with|at|on|as|than|that|while|whereas|when|using|per|sites?"
    r"|(?:eq|fig|ref|tab|sec|no)s?\.?|equations?|figures?|tables?|sections?|steps?|schemes?"
    r"|conditions?|formulas?|cases?|lines?|panels?|groups?|samples?|references?)",
    re.I,
)
FEWEST = 5  # citations of several works; "(36,37)" is never an equation number


def cites_in_round_brackets(texts: Iterable[str]) -> bool:
    """Return whether the paragraphs of a document cite by numbers in round brackets."""
    several = square = 0
    for text in texts:
        several += len(_SEVERAL.findall(text))
        square += len(_SQUARE.findall(text))
    return several >= FEWEST and several > square


def without_round_citations(text: str) -> str:
    """Remove reference numbers in round brackets from a text."""
    return _CITED.sub(
        lambda match: match[0] if _NO_CITATION.fullmatch(match["before"]) else match["before"],
        text,
    )
