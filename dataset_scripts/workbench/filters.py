"""Filters of the workbench: the matching figures."""

import math
from collections.abc import Iterable, Mapping

from cephalo.cli.errors import CephaloError
from cephalo.dataset_scripts.workbench.catalogue import Catalogue, Entry
from cephalo.dataset_scripts.workbench.checked import Findings
from cephalo.dataset_scripts.workbench.tally import checks_of, facet, states_of


def find(catalogue: Catalogue, wanted: Mapping[str, str]) -> list[int]:
    """Return the numbers of the figures that match all filters, in the order of the catalogue.

    Args:
        catalogue: The figures.
        wanted: Values of the filters; any may be missing or empty. "kind", "license" and "state"
            are values of `Catalogue.counts`. "document" is a part of the file name. "text" has
            words that must all occur in the texts of a figure. "talks" is a state of its
            conversations. "check" is a check that rejects one, or a fault of the text. "score" is a
            score whose lowest value is at most "most".

    Raises:
        CephaloError: If "most" is not a number.
    """
    words = wanted.get("text", "").casefold().split()
    facets = {name: wanted[name] for name in ("kind", "license") if wanted.get(name)}
    document = wanted.get("document", "").casefold()
    state = wanted.get("state", "")
    talks, check, score = (wanted.get(name, "") for name in ("talks", "check", "score"))
    most = number_of(wanted.get("most", ""))
    return [
        entry.number
        for entry in catalogue.all()
        if (not state or entry.is_in(state))
        and all(facet(entry, name) == value for name, value in facets.items())
        and document in entry.row["document"].casefold()
        and has_words(entry, words)
        and (
            not (talks or check or score)
            or is_found(entry, catalogue.findings(entry), talks, check, score, most)
        )
    ]


def number_of(text: str) -> float:
    """Return the number in a filter, infinity if it is empty.

    Raises:
        CephaloError: If it is not a number.
    """
    if not text.strip():
        return math.inf
    try:
        return float(text)
    except ValueError as error:
        raise CephaloError(f"{text[:100]!r} is not a number; give one for the score") from error


def is_found(
    entry: Entry, findings: Findings, talks: str, check: str, score: str, most: float
) -> bool:
    """Return whether a figure matches the filters of conversations, checks and scores."""
    if talks and talks not in states_of(findings):
        return False
    if check and check not in checks_of(entry, findings):
        return False
    return not score or (findings.lowest.get(score, math.inf) <= most and score in findings.lowest)


def has_words(entry: Entry, words: Iterable[str]) -> bool:
    """Return whether all words occur in the caption, label, title or file name of a figure."""
    if not words:
        return True
    now = entry.row | entry.verdict.values
    texts = (now["caption"], now["label"], now["title"], now["document"])
    text = "\n".join(filter(None, texts)).casefold()
    return all(word in text for word in words)
