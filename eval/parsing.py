"""Parse answers of models: numbers, yes or no, a choice. Any text is valid input."""

import re
import string
from collections.abc import Sequence

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
VECTOR = re.compile(rf"\[\s*({NUMBER}(?:\s*,\s*{NUMBER})*)\s*\]")
MAX_ANSWER = 20_000  # characters that are searched
MAX_NUMBER = 1e12  # no answer is larger; a sum of squares stays finite


def vector_in(answer: str, length: int) -> list[float] | None:
    """Return the first `[a, b, ...]` of `length` numbers in an answer, or None."""
    for found in VECTOR.finditer(answer[:MAX_ANSWER]):
        numbers = [float(number) for number in found.group(1).split(",")]
        if len(numbers) == length and all(abs(number) < MAX_NUMBER for number in numbers):
            return numbers
    return None


def choice_in(answer: str, choices: Sequence[str]) -> str | None:
    """Return the one of `choices` that an answer names, or None if it names none or several.

    It is named at the beginning ("Yes, it does", "(b) nacre", "B.") or else, as the only one, as a
    word anywhere ("the answer is B"). Letters must be capitals there, and "A" before a lower-case
    letter is an article.
    """
    text = answer[:MAX_ANSWER].strip()
    names = "|".join(map(re.escape, choices))
    by_name = {choice.lower(): choice for choice in choices}
    letters = max(map(len, choices)) == 1
    after = r"(?:$|[^\w\s])" if letters else r"\b"
    if beginning := re.match(rf"\W*({names}){after}", text, re.IGNORECASE):
        return by_name[beginning.group(1).lower()]
    anywhere = rf"\b({names})\b(?!(?<=A)\s+[a-z])"
    found = re.findall(anywhere, text, 0 if letters else re.IGNORECASE)
    named = {by_name[name.lower()] for name in found}
    return named.pop() if len(named) == 1 else None


def normal(answer: str) -> str:
    """Return an answer without case, articles, punctuation at its ends and double spaces."""
    words = [word.strip(string.punctuation) for word in answer[:MAX_ANSWER].lower().split()]
    return " ".join(word for word in words if word and word not in ("a", "an", "the"))


def number_in(answer: str) -> float | None:
    """Return the number if an answer consists of one, with or without a unit or a per cent sign, or
    None."""
    text = answer.strip().replace(",", "")
    found = re.match(rf"^[~≈$]?\s*({NUMBER})\s*(?:%|[a-zA-Zµ°/³²^\d]{{0,12}})\.?$", text)
    return float(found.group(1)) if found else None
