"""Publishers of the benchmark's papers, and which are frozen.

Layouts depend on the publisher, so papers of one publisher are never used for both fitting and
scoring. A third of the publishers is frozen: they are excluded from fitting, and scored once per
release.
"""

import hashlib

FROZEN_OF = 3  # one in three publishers is frozen
# Prefixes of the names of a publisher. Imprints with their own layouts are separate.
_HOUSES = {
    "Hindawi": "Hindawi",
    "John Wiley": "Wiley",
    "Nature Publishing Group": "Nature Publishing Group",
    "Springer": "Springer",
}


def publisher_of(truth: dict) -> str | None:
    """Return the publisher in a truth file, `None` for papers generated with traps.

    If there is no publisher, the class is used.
    """
    if "traps" in truth:
        return None
    name = (truth.get("publisher") or truth.get("class") or "unknown").strip()
    return next((house for start, house in _HOUSES.items() if name.startswith(start)), name)


def is_frozen(publisher: str | None) -> bool:
    """Return whether a publisher is frozen: the SHA-256 of its name is divisible by `FROZEN_OF`.

    Only the name is used, so that papers added later cannot change which publishers are frozen.
    """
    if publisher is None:
        return False
    digest = hashlib.sha256(publisher.casefold().encode()).hexdigest()
    return int(digest, 16) % FROZEN_OF == 0
