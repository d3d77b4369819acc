"""Provenance of a merged model, for its card and to recognize repeated runs."""

import re
from concurrent.futures import Future
from pathlib import Path

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.sources import Checkpoint
from cephalo.model_cards.model_card import Gates, Merge, MergeSource, ModelFacts, read_facts
from cephalo.model_cards.model_folder import FACTS


def read_merge(out: Path) -> Merge | None:
    """Return the provenance of the model in `out`, or None if there is no model yet.

    Raises CephaloError if `out` is something else.
    """
    if not out.exists():
        return None
    merge = read_facts(out).merge if (out / FACTS).exists() else None
    if merge is None:
        raise CephaloError(f"{out} exists; remove it or give another --out")
    return merge


def check_same(
    kept: Merge,
    text: str,
    found: dict[str, Checkpoint],
    digests: dict[Path, Future[str]],
    out: Path,
) -> None:
    """Raise CephaloError if `out`, whose card states `kept`, was made by another recipe or from
    other weights."""
    asked = merge_of(text, found, digests, kept.layers)
    if kept.recipe != asked.recipe:
        raise CephaloError(f"{out} was made by another recipe; remove it or give another --out")
    if kept.sources != asked.sources:
        raise CephaloError(f"{out} was made from other weights; remove it or give another --out")


def merge_of(
    text: str,
    found: dict[str, Checkpoint],
    digests: dict[Path, Future[str]],
    layers: int,
    gates: Gates | None = None,
) -> Merge:
    """Return facts for the card about a merge of the checkpoints in `found`.

    Args:
        text: The recipe.
        found: The checkpoints by their names in the recipe.
        digests: The SHA-256 of each weight file, from `hashed_meanwhile`.
        layers: Depth of the result.
        gates: The gates of a mixture.
    """
    sources = [
        MergeSource(
            own.name, own.revision, {path.name: digests[path].result() for path in own.weight_files}
        )
        for own in found.values()
    ]
    return Merge(recipe=named_sources(text, found), sources=sources, layers=layers, gates=gates)


def named_sources(text: str, found: dict[str, Checkpoint]) -> str:
    """Replace the paths of folders in a recipe's text by their names."""
    for given, checkpoint in found.items():
        if checkpoint.revision is None:
            whole = rf"(?<![\w./-]){re.escape(given)}(?![\w./-])"
            text = re.sub(whole, lambda _, name=checkpoint.name: name, text)
    return text


def merged_facts(name: str, model_type: str, parameters: int, merge: Merge) -> ModelFacts:
    """Return facts for the card of a newly merged model; sources on the Hub are its bases."""
    bases = [source.name for source in merge.sources if source.revision]
    return ModelFacts(
        repo_id=name,
        model_type=model_type,
        parameters=parameters,
        base_models=bases,
        relation="merge" if bases else None,
        merge=merge,
    )
