"""Detect answers about another figure of the same paper.

The words of question and answer are weighted by inverse document frequency over the figures of the
paper, and looked up in the caption and mentions of each figure. A logistic regression with the
weights of `weights.json` decides; `python -m benchmarks.refine_fit` fits them.
"""

import json
import math
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path

from cephalo.dataset_scripts.common.linear_model import LinearModel
from cephalo.dataset_scripts.refinement.quantities import without_quantities
from cephalo.dataset_scripts.refinement.words import subject

Passages = tuple[str, ...]

LEAST_ODDS = 1.0  # log-odds of belonging to another figure above which an answer is rejected
FEWEST_SAID = 3  # stems of an answer; with fewer, the question would decide
RETOLD_WORDS = 8  # minimum stems of an answer that can repeat a caption
RETOLD, RETOLD_TIMES = 0.5, 3  # least share of them in another caption, and least ratio to its own
ASKED = 0.5  # weight of a word of the question, since the answer may deny it


def other_figure(
    question: str, answer: str, own: Passages, others: tuple[Passages, ...]
) -> str | None:
    """Return the words of an answer that belong to another figure, formatted as one line, or
    None."""
    if not others:
        return None
    if words := of_other_caption(answer, own, others):
        return f"{words}: the caption of another figure of the paper, not of this one"
    own_words, *other_words = figure_words(own, others)
    said, asked = (subject(without_quantities(text)) for text in (answer, question))
    best = nearest(said, asked, other_words)
    only = ((said | asked) & best.keys()) - own_words.keys()
    odds = load_model().score(features(said, asked, own_words, best))
    if len(said) >= FEWEST_SAID and only and odds > LEAST_ODDS:
        words = ", ".join(sorted(only, key=lambda one: (-best[one], one))[:4])
        return f"{words}: said of another figure of the paper, not of this one"
    return None


def of_other_caption(answer: str, own: Passages, others: tuple[Passages, ...]) -> str | None:
    """Return a few words of an answer that repeats the caption of another figure, or None.

    Only captions are compared, since a paragraph of the text often describes several figures.
    """
    said = subject(without_quantities(answer))
    if len(said) < RETOLD_WORDS:
        return None
    mine = len(said & subject(" ".join(own[:2])))  # title and caption
    for other in others:
        theirs = said & subject(other[0] if other else "")
        if len(theirs) >= RETOLD * len(said) and len(theirs) >= RETOLD_TIMES * mine:
            return ", ".join(sorted(theirs - subject(" ".join(own[:2])))[:4])
    return None


def nearest(
    said: frozenset[str], asked: frozenset[str], figures: list[dict[str, float]]
) -> dict[str, float]:
    """Return the weighted stems of the figure with the largest overlap with an answer."""
    return max(figures, key=lambda one: weight(said, asked, one))


def features(
    said: frozenset[str], asked: frozenset[str], own: dict[str, float], other: dict[str, float]
) -> dict[str, float]:
    """Compute the features that indicate that an answer belongs to another figure.

    Args:
        said: Stems of the answer.
        asked: Stems of the question.
        own: Weighted stems of the figure that the answer is about.
        other: Weighted stems of the other figure.

    Returns:
        `margin`, the difference of the overlaps with both figures divided by the square root of the
        number of stems of the answer; `ratio`, the logarithm of their ratio; `asked`, the number of
        stems of the question that only the other figure has.
    """
    mine, theirs = weight(said, asked, own), weight(said, asked, other)
    return {
        "margin": (theirs - mine) / math.sqrt(max(1, len(said))),
        "ratio": math.log((theirs + 1) / (mine + 1)),
        "asked": float(len((asked & other.keys()) - own.keys())),
    }


def weight(said: frozenset[str], asked: frozenset[str], figure: dict[str, float]) -> float:
    """Return the weighted overlap of an answer and its question with a figure."""
    return sum(figure.get(one, 0.0) for one in said) + ASKED * sum(
        figure.get(one, 0.0) for one in asked - said
    )


@cache
def load_model() -> LinearModel:
    """Load the logistic regression."""
    text = Path(__file__).with_name("weights.json").read_text(encoding="utf-8")
    return LinearModel(json.loads(text)["other_figure"])


@lru_cache(maxsize=64)  # each figure has many questions
def figure_words(own: Passages, others: tuple[Passages, ...]) -> list[dict[str, float]]:
    """Return the weighted stems of each figure, first those of the figure itself."""
    found = [subject(" ".join(passages)) for passages in (own, *others)]
    among = Counter(word for words in found for word in words)
    return [{word: math.log((1 + len(found)) / among[word]) for word in words} for words in found]
