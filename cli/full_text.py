"""Queries of SQLite's full-text index (FTS5), for `cephalo search` and the demo."""

import re

TOKENIZE = "porter unicode61 remove_diacritics 2"
"""Tokenizer of the virtual table: words are matched by their stems, without accents."""
# Words that occur in nearly every caption. Searching them would read all captions.
COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on"),
        *("or", "that", "the", "to", "was", "were", "with"),
    ]
)


def words_of(text: str) -> list[str]:
    """Return the words and quoted phrases of a query in FTS5 syntax."""
    parts = re.findall(r'"([^"]*)"|([^\s"]+)', text)
    found = [(phrase or word, bool(phrase)) for phrase, word in parts]
    words = [(one, whole) for one, whole in found if re.search(r"\w", one)]
    rare = [one for one, whole in words if whole or one.casefold() not in COMMON]
    return [f'"{one}"' for one in rare or [one for one, _ in words]]
