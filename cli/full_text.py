"""Questions to SQLite's full-text index (FTS5), as `cephalo search` and the demo ask them."""

import re

TOKENIZE = "porter unicode61 remove_diacritics 2"
"""Option of the virtual table: word forms and accents count as the word."""
# Words that nearly every caption has: they find nothing, and make a search read all of them.
COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on"),
        *("or", "that", "the", "to", "was", "were", "with"),
    ]
)


def words_of(text: str) -> list[str]:
    """Return the words and the quoted phrases of a text, as a query of FTS5 has them."""
    parts = re.findall(r'"([^"]*)"|([^\s"]+)', text)
    found = [(phrase or word, bool(phrase)) for phrase, word in parts]
    words = [(one, whole) for one, whole in found if re.search(r"\w", one)]
    rare = [one for one, whole in words if whole or one.casefold() not in COMMON]
    return [f'"{one}"' for one in rare or [one for one, _ in words]]
