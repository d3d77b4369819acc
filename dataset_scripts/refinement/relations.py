"""Group related figures of a paper: those whose captions describe the same things."""

import math
import re
from collections import Counter

from cephalo.cli.rows import Row
from cephalo.dataset_scripts.refinement.formulas import formulas
from cephalo.dataset_scripts.refinement.words import content

RELATED = 0.15
"""Cosine similarity (0 to 1) of two captions from which their figures are compared. Two figures of
a paper have a median of 0.05 to 0.07, from a word or two of its subject; a quarter have more."""

# of one paper that are compared with each other; longer papers are split into runs of so many
MOST_FIGURES = 200

NAME = re.compile(r"\b(?=\w*[A-Z0-9])[A-Za-z][\w-]*\d\w*\b|\b[A-Z]{2,}[\w-]*\b")
"""Names of samples and methods: "PA12", "S3", "CNT-2", "XRD"."""


def related_groups(figures: list[tuple[int, Row]], size: int) -> list[list[int]]:
    """Return disjoint groups of 2 to `size` related figures of one paper, in the order of figures.

    The most similar pairs are merged first.

    Args:
        figures: The figures of one paper with their numbers.
        size: Maximum number of figures per group.

    Returns:
        The numbers of each group's figures, in order.
    """
    if len(figures) > MOST_FIGURES:
        head, rest = figures[:MOST_FIGURES], figures[MOST_FIGURES:]
        return related_groups(head, size) + related_groups(rest, size)
    vectors = weighted([words_of(figure["caption"]) for _, figure in figures])
    pairs = [
        (-likeness(vectors[one], vectors[other]), one, other)
        for one in range(len(figures))
        for other in range(one + 1, len(figures))
    ]
    group_of: dict[int, list[int]] = {}
    for closeness, one, other in sorted(pairs):
        if -closeness < RELATED:
            break
        first, second = group_of.get(one, [one]), group_of.get(other, [other])
        if first is second or len(first) + len(second) > size:
            continue
        merged = sorted(first + second)
        group_of.update(dict.fromkeys(merged, merged))
    whole = sorted({tuple(group) for group in group_of.values()})
    return [[figures[place][0] for place in group] for group in whole]


def words_of(caption: str) -> set[str]:
    """Return the content words, formulas, sample names and methods in a caption."""
    return {*content(caption), *formulas(caption), *NAME.findall(caption)}


def weighted(texts: list[set[str]]) -> list[dict[str, float]]:
    """Return vectors of unit length of the words of each text, weighted by inverse document
    frequency."""
    seen = Counter(word for text in texts for word in text)
    vectors = []
    for text in texts:
        weights = {word: math.log(1 + len(texts) / seen[word]) for word in sorted(text)}
        length = math.sqrt(sum(weight**2 for weight in weights.values()))
        vectors.append({word: weight / length for word, weight in weights.items()})
    return vectors


def likeness(one: dict[str, float], other: dict[str, float]) -> float:
    """Return the cosine similarity of two vectors of unit length."""
    return sum(weight * other[word] for word, weight in one.items() if word in other)
