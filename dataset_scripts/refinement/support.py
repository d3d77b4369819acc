"""What of a source supports a quantity that an answer states."""

from cephalo.dataset_scripts.refinement.quantities import agrees, parse


def missing_quantity(text: str, source: str) -> str | None:
    """The first quantity of `text` that `source` does not hold, as printed; None if it holds all.

    Whole numbers up to ten without a unit count things, and pass.
    """
    known = parse(source)
    for claimed in parse(text):
        counts = claimed.is_count and claimed.value <= 10
        if not counts and not any(agrees(claimed, other) for other in known):
            return claimed.text
    return None
