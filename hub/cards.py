"""Read the metadata in the YAML header of a card (README.md)."""

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import yaml

from cephalo.cli.json_files import Json
from cephalo.hub.store import FileEntry, Store

MAX_CARD_BYTES = 4 << 20
MAX_HEADER_CHARS = 512 << 10
# Metadata of 5,000 configurations of a dataset have 60,000 values; twice as many take a second.
MAX_NODES = 120_000
MAX_DEPTH = 64
MAX_NUMBER_CHARS = 400  # a number in base 60 takes quadratic time
MAX_JSON_CHARS = 4 << 20

if TYPE_CHECKING:
    from yaml import SafeLoader as _Parser
else:
    _Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HEADER = re.compile(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)


class BadCard(ValueError):
    """A card whose YAML header is invalid, or is not a mapping of plain values."""


class Cards:
    """The cards of a store, cached when parsed, since lists of repos need all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed = lru_cache(maxsize=256)(self._parse)

    def text(self, namespace: str, tree: dict[str, FileEntry]) -> str:
        """Return README.md; "" if there is none or it is too long for a card."""
        entry = tree.get("README.md")
        return "" if entry is None else self._read(namespace, entry)

    def data(self, namespace: str, tree: dict[str, FileEntry]) -> dict[str, Json]:
        """Return the metadata in README.md; {} without valid metadata."""
        entry = tree.get("README.md")
        return {} if entry is None else self._parsed(namespace, entry)

    def _parse(self, namespace: str, entry: FileEntry) -> dict[str, Json]:
        try:
            return card_data(self._read(namespace, entry))
        except BadCard:
            return {}

    def _read(self, namespace: str, entry: FileEntry) -> str:
        path = self._store.object_path(namespace, entry.sha256)
        if entry.size > MAX_CARD_BYTES or not path.exists():
            return ""  # not a card, or not fetched from upstream yet
        return path.read_text("utf-8", "replace")


def has_header(text: str) -> bool:
    """Return whether a card begins with metadata."""
    return _HEADER.match(text) is not None


def card_data(text: str) -> dict[str, Json]:
    """Return the YAML header of a card as JSON values; {} if there is none. Raises BadCard."""
    match = _HEADER.match(text)
    if match is None:
        return {}
    if len(match[1]) > MAX_HEADER_CHARS:
        raise BadCard(f"the metadata is longer than {MAX_HEADER_CHARS} characters")
    try:
        _check_size(match[1])
        data = yaml.load(match[1], Loader=_Metadata)
        # NaN and infinity are YAML but not JSON.
        value: Json = json.loads(_bounded_json(data or {}), parse_constant=lambda _: None)
    except BadCard:
        raise
    except (yaml.YAMLError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise BadCard(f"the metadata is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise BadCard("the metadata is not a mapping")
    if not isinstance(value.get("model-index") or [], list):
        raise BadCard("model-index is not a list of models and their results")
    return value


def _check_size(text: str) -> None:
    """Count the values of a YAML text, event by event, before anything is built. Raises BadCard.

    The loader in C, which is 10 times as fast, overflows its stack on deep nesting.
    """
    nodes, depth = 0, 0
    for event in yaml.parse(text, Loader=_Parser):
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise BadCard(
                f"the metadata has more than {MAX_NODES} values or {MAX_DEPTH} levels of nesting"
            )


class _Metadata(_Parser):
    """The safe loader, with a limit on what it builds from short texts."""

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Expand merged keys ("<<") of `node`; each level can double the size of the one below."""
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._count_merged(source)
        super().flatten_mapping(node)

    def _count_merged(self, source: yaml.Node) -> None:
        if isinstance(source, yaml.MappingNode):
            self.flatten_mapping(source)
            self.merged += len(source.value)
        if self.merged > MAX_NODES:
            raise BadCard(f"the metadata has more than {MAX_NODES} values")

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """Return the text of a node, limited in length for numbers."""
        text = super().construct_scalar(node)
        number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if number and len(text) > MAX_NUMBER_CHARS:
            raise BadCard(f"the metadata has a number of more than {MAX_NUMBER_CHARS} characters")
        return text


def _bounded_json(data: object) -> str:
    """Serialize `data` as JSON, counting its length meanwhile, since aliases can make a short YAML
    text endless."""
    pieces, size = [], 0
    for piece in json.JSONEncoder(default=str).iterencode(data):
        size += len(piece)
        if size > MAX_JSON_CHARS:
            raise BadCard(f"the metadata is longer than {MAX_JSON_CHARS} characters")
        pieces.append(piece)
    return "".join(pieces)


# Values under these keys in a dataset's card are tags with the key as a prefix.
_DATASET_KEYS = (
    *("annotations_creators", "language_creators", "language", "multilinguality", "benchmark"),
    *("size_categories", "source_datasets", "task_categories", "task_ids"),
)


def card_tags(kind: str, card: dict[str, Json]) -> list[str]:
    """Return the tags by which repos are listed: those of the card, and those that the Hub
    derives."""
    tags = _texts(card.get("tags"))
    tags += [f"license:{name}" for name in _texts(card.get("license"))]
    if kind == "dataset":
        tags += [f"{key}:{value}" for key in _DATASET_KEYS for value in _texts(card.get(key))]
    else:
        tags += [*_texts(card.get("library_name")), *_texts(card.get("pipeline_tag"))]
        tags += _texts(card.get("language")) + _texts(card.get("sdk"))
        tags += [f"dataset:{name}" for name in _texts(card.get("datasets"))]
        tags += [f"base_model:{name}" for name in _texts(card.get("base_model"))]
    return list(dict.fromkeys(tags))


def _texts(value: Json) -> list[str]:
    """Return one value or a list of values as strings."""
    values = value if isinstance(value, list) else [value]
    return [str(one) for one in values if isinstance(one, str | int | float) and one != ""]
