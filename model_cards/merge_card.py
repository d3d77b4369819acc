"""The card of a merged model: the recipe that made it, and its sources by revision and hash."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

TEMPLATE = Path(__file__).with_name("merge_card.md.jinja")


@dataclass(frozen=True)
class MergeSource:
    """One source: its Hub id or folder name, commit sha (None for a folder), file hashes."""

    name: str
    revision: str | None
    hashes: dict[str, str]  # SHA-256 by file name


@dataclass(frozen=True)
class MergeFacts:
    """What the card tells of one merge."""

    name: str
    recipe: str  # YAML
    layers: int
    parameters: int
    sources: list[MergeSource]


def merge_card(facts: MergeFacts) -> ModelCard:
    """The card of a freshly merged model, which is to be trained before it is used."""
    data = merged_data(facts.sources, "mergekit")
    return ModelCard.from_template(data, template_path=str(TEMPLATE), facts=facts)


def merged_data(sources: list[MergeSource], tag: str) -> ModelCardData:
    """The front matter of a model that is made of others; those of the Hub are its bases."""
    hub_sources = [source.name for source in sources if source.revision]
    return ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        tags=["cephalo", "vision", "materials science", "merge", tag],
        base_model=hub_sources or None,
        base_model_relation="merge" if hub_sources else None,
    )
