"""The metadata that a card (README.md) carries in its YAML header."""

import json
import re
from functools import lru_cache
from typing import Any

import yaml

from cephalo.model_cards.hub.store import FileEntry, Store

MAX_CARD_BYTES = 4 << 20
MAX_HEADER_CHARS = 512 << 10  # some two seconds of parsing
MAX_JSON_CHARS = 4 << 20

_HEADER = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)


class BadCard(ValueError):
    """A card whose YAML header does not parse, or is no mapping of plain values."""


class Cards:
    """The cards of a store; parsed ones are kept, since lists of repos ask for all of them."""

    def __init__(self, store: Store):
        self._store = store
        self._parsed = lru_cache(maxsize=256)(self._parse)

    def text(self, namespace: str, tree: dict[str, FileEntry]) -> str:
        """README.md; "" where there is none or where it is too long to be a card."""
        entry = tree.get("README.md")
        return "" if entry is None else self._read(namespace, entry)

    def data(self, namespace: str, tree: dict[str, FileEntry]) -> dict[str, Any]:
        """The metadata in README.md; {} where there are none that parse."""
        entry = tree.get("README.md")
        return {} if entry is None else self._parsed(namespace, entry)

    def _parse(self, namespace: str, entry: FileEntry) -> dict[str, Any]:
        try:
            return card_data(self._read(namespace, entry))
        except BadCard:
            return {}

    def _read(self, namespace: str, entry: FileEntry) -> str:
        if entry.size > MAX_CARD_BYTES:
            return ""
        return self._store.object_path(namespace, entry.sha256).read_text("utf-8", "replace")


def card_data(text: str) -> dict[str, Any]:
    """The YAML header of a card as JSON values; {} where there is none. Raises BadCard."""
    match = _HEADER.match(text)
    if match is None:
        return {}
    if len(match[1]) > MAX_HEADER_CHARS:
        raise BadCard(f"the metadata is longer than {MAX_HEADER_CHARS} characters")
    try:
        # Not yaml.CSafeLoader: deep nesting overflows its stack and ends the process.
        data = yaml.safe_load(match[1])
        # NaN and infinity are YAML but not JSON.
        value = json.loads(_bounded_json(data or {}), parse_constant=lambda _: None)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadCard(f"the metadata is no valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise BadCard("the metadata is no mapping")
    return value


def _bounded_json(data: Any) -> str:
    """`data` as JSON; counted while it is written, as aliases make a short YAML text endless."""
    pieces, size = [], 0
    for piece in json.JSONEncoder(default=str).iterencode(data):
        size += len(piece)
        if size > MAX_JSON_CHARS:
            raise BadCard(f"the metadata is longer than {MAX_JSON_CHARS} characters")
        pieces.append(piece)
    return "".join(pieces)
