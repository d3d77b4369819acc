"""The card of a published dataset: where the rows come from, how they are split, their limits."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import DatasetInfo
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData

TEMPLATE = Path(__file__).with_name("dataset_card.md.jinja")


@dataclass
class Source:
    """One document of the dataset, for the attribution that its licence asks for."""

    document: str
    title: str | None
    doi: str | None
    license: str | None
    figures: int = 0


@dataclass
class DatasetFacts:
    """What the card tells, counted while the dataset is written."""

    repo_id: str
    documents: Counter[str]  # documents by split
    kinds: Counter[str] = field(default_factory=Counter)  # figures by kind
    sources: dict[str, Source] = field(default_factory=dict)  # by the document's sha256
    captions_missing: int = 0

    def count_figure(self, figure: dict[str, Any]) -> None:
        """Count one row of the figures table."""
        self.kinds[figure["kind"]] += 1
        self.captions_missing += not figure["caption"]
        source = self.sources.setdefault(
            figure["document_sha256"],
            Source(figure["document"], figure["title"], figure["doi"], figure["license"]),
        )
        source.figures += 1

    @property
    def licenses(self) -> Counter[str]:
        """Figures by licence; "unknown" where none was found."""
        counts: Counter[str] = Counter()
        for source in self.sources.values():
            counts[source.license or "unknown"] += source.figures
        return counts


def dataset_card(facts: DatasetFacts, infos: dict[str, DatasetInfo]) -> DatasetCard:
    """The card, with the front matter that lets `load_dataset` find every config and split."""
    data = DatasetCardData(
        language="en",
        task_categories=["image-text-to-text", "visual-question-answering"],
        tags=["materials science", "scientific figures", "cephalo"],
        pretty_name=facts.repo_id.split("/")[1],
    )
    DatasetInfosDict(infos).to_dataset_card_data(data)
    MetadataConfigs(
        {
            config: {
                "data_files": [
                    {"split": split, "path": f"{config}/{split}-*"} for split in info.splits
                ]
            }
            for config, info in infos.items()
        }
    ).to_dataset_card_data(data)
    return DatasetCard.from_template(
        data, template_path=str(TEMPLATE), facts=facts, infos=infos, escape=escape_cell
    )


def escape_cell(text: str | None) -> str:
    """`text` from an untrusted document as plain text in a Markdown table cell."""
    if not text:
        return ""
    entities = {ord(character): f"&#{ord(character)};" for character in "&\\`*_{}[]<>|#"}
    return " ".join(text.split())[:200].translate(entities)
