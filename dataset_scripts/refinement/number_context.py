"""Interpret the words around a number: an approximation, a factor, a change, a count."""

import re
from typing import Any

from cephalo.dataset_scripts.refinement.number_words import NO_MULTIPLE

_ABOUT = (
    r"about|approximately|approx\.?|roughly|around|some|circa|ca\.?|close to|near|~|\u223c|≈|≃"
    r"|o[fn] the order of|in the order of|an estimated|in the range of"
)
_UNDER = (
    r"(?<!not )(?:nearly|almost|just under|just below|slightly (?:under|below|less than)|under"
    r"|below|less than|fewer than|smaller than|lower than|up to|at most|within|not quite"
    r"|(?:well|long|shortly|just|soon) before|<|≤)"
)
_OVER = (
    r"over|more than|above|just over|just above|slightly (?:over|above|more than)"
    r"|exceed(?:s|ing)?|at least|greater than|larger than|higher than|beyond|well (?:over|above)"
    r"|>|≥"
)
_BEFORE = re.compile(
    rf"(?:(?P<about>{_ABOUT})|(?P<under>{_UNDER})|(?P<over>{_OVER}))\s*(?:an?\s|the\s)?"
    r"(?:[\w\u0370-\u03ff]{1,4}\s?[=≈]\s?)?$",  # "near 2θ = 27°"
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:by|drop|fall|rise|increase|decrease|reduction|difference|change|shift|gain|loss|gap"
    r"|span|increment|interval|offset|undercooling|supercooling|superheat)\s(?:of\s)?(?:\w+\s)?$",
    re.IGNORECASE,
)
_SPREAD = re.compile(r"(?:±|\+/-|\+-)\s?$")
_NOUN = re.compile(
    r"(?:\s(?:of|the|such|different|more)\b)*[\s-]\(?(?P<noun>[A-Za-z\u03b1-\u03c9][\w-]*)"
)
_WORDS = """
a an and are as at be been between but by can do during each for from had has have if in into is it
its may no nor not of on only or over per respectively since so than that the their then there these
they this those to under until up upon versus via was were when where which while with within
without after before against whereas because about both compared would will shows gives instead
rather
"""
_FUNCTION_WORDS = frozenset(_WORDS.split())
_TIMES = re.compile(
    rf"\s?(?:[\u00d7✕]|x)(?![\w\s]*10)|[\s-]?(?:folds?{NO_MULTIPLE}|times)\b", re.IGNORECASE
)
_FACTOR_OF = re.compile(
    r"\bfactor (?:of|between)\s(?:\w+\s)?(?:[\d.]+ (?:and|to) )?$", re.IGNORECASE
)
_ORDERS = re.compile(r"[\s-]orders?[\s-]of[\s-]magnitude", re.IGNORECASE)


def context(before: str, text: str, end: int, united: bool) -> dict[str, Any]:
    """Return the fields `approximate`, `change`, `kind` and `noun` of a Quantity that the context
    determines.

    Args:
        before: A few words of text before the number.
        text: The whole text.
        end: Where the number ends, including its unit.
        united: Whether the number has a unit.
    """
    told: dict[str, Any] = {"change": bool(_CHANGE.search(before))}
    if near := _BEFORE.search(before):
        told["approximate"] = near.lastgroup
    if _SPREAD.search(before[-5:]):  # the length of the longest match
        told["kind"] = "spread"
    if united:
        return told
    if _ORDERS.match(text, end):
        told["kind"] = "orders"
    elif is_times(text, end) or is_factor(before):
        told["kind"] = "times"
    elif (noun := _NOUN.match(text, end)) and noun["noun"].lower() not in _FUNCTION_WORDS:
        told["noun"] = noun["noun"].lower()
    return told


def is_times(text: str, end: int) -> bool:
    """Return whether the number that ends there is a multiple: "5 times", "9-fold"."""
    return bool(_TIMES.match(text, end))


def is_factor(before: str) -> bool:
    """Return whether a number follows "factor": "by a factor of"."""
    return "factor" in before.lower() and bool(_FACTOR_OF.search(before))
