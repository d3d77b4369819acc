"""Publishers of the benchmark's papers, and those that are frozen.

Layouts go by publisher, so papers of one publisher are never on both sides of a fit. A third of the
publishers is frozen: fitting leaves them out, and their scores are opened once per release.
"""

import hashlib

FROZEN_OF = 3  # one publisher in so many is frozen
# Beginnings of names that one publisher goes by. Imprints with layouts of their own stay apart.
_HOUSES = {
    "Hindawi": "Hindawi",
    "John Wiley": "Wiley",
    "Nature Publishing Group": "Nature Publishing Group",
    "Springer": "Springer",
}


def publisher_of(truth: dict) -> str | None:
    """The publisher of a paper, from its truth file; None for papers made with traps in them.

    Where the truth names no publisher, its class is one.
    """
    if "traps" in truth:
        return None
    name = (truth.get("publisher") or truth.get("class") or "unknown").strip()
    return next((house for start, house in _HOUSES.items() if name.startswith(start)), name)


def is_frozen(publisher: str | None) -> bool:
    """Whether a publisher is frozen: its name's SHA-256 is divisible by `FROZEN_OF`.

    The name alone decides, so that papers added later cannot change who is frozen.
    """
    if publisher is None:
        return False
    digest = hashlib.sha256(publisher.casefold().encode()).hexdigest()
    return int(digest, 16) % FROZEN_OF == 0
