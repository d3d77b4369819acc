"""Whether an answer is about its own figure, rather than about another one of the paper.

The words of question and answer are weighed by how few figures of the paper have them (inverse
document frequency), and looked for in what is said of each figure. A logistic regression with the
weights of `weights.json` decides, which `python -m benchmarks.refine_fit` makes.
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

LEAST_ODDS = 1.0  # log-odds of belonging to another figure from which an answer is rejected
FEWEST_SAID = 3  # stems of an answer; with fewer its question would decide
RETOLD_WORDS = 8  # stems of an answer from which it can retell a caption
RETOLD, RETOLD_TIMES = 0.5, 3  # share of them in another caption, and times as many as in its own
ASKED = 0.5  # weight of a word of the question, which may take up what the answer denies


def other_figure(
    question: str, answer: str, own: Passages, others: tuple[Passages, ...]
) -> str | None:
    """That the words of an answer are those of another figure, in a line."""
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
    """A few of the words of an answer that retells the caption of another figure.

    The text often speaks of several figures at once; captions speak of one.
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
    """The figure, as its weighted stems, that an answer is most about."""
    return max(figures, key=lambda one: weight(said, asked, one))


def features(
    said: frozenset[str], asked: frozenset[str], own: dict[str, float], other: dict[str, float]
) -> dict[str, float]:
    """Evidence that the stems of an answer and its question are another figure's.

    `margin` is by how much the other figure's words weigh more, for the square root of the number
    of words; `ratio` the logarithm of how many times more; `asked` how many words of the question
    only the other figure has.
    """
    mine, theirs = weight(said, asked, own), weight(said, asked, other)
    return {
        "margin": (theirs - mine) / math.sqrt(max(1, len(said))),
        "ratio": math.log((theirs + 1) / (mine + 1)),
        "asked": float(len((asked & other.keys()) - own.keys())),
    }


def weight(said: frozenset[str], asked: frozenset[str], figure: dict[str, float]) -> float:
    """How much of an answer, and of its question, is about a figure."""
    return sum(figure.get(one, 0.0) for one in said) + ASKED * sum(
        figure.get(one, 0.0) for one in asked - said
    )


@cache
def load_model() -> LinearModel:
    """The weights of the features."""
    text = Path(__file__).with_name("weights.json").read_text(encoding="utf-8")
    return LinearModel(json.loads(text)["other_figure"])


@lru_cache(maxsize=64)  # one figure is asked about many times
def figure_words(own: Passages, others: tuple[Passages, ...]) -> list[dict[str, float]]:
    """The stems of each figure, the own one first, with their weights."""
    found = [subject(" ".join(passages)) for passages in (own, *others)]
    among = Counter(word for words in found for word in words)
    return [{word: math.log((1 + len(found)) / among[word]) for word in words} for words in found]
