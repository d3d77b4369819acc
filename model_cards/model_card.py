"""The card of a trained model: its base, its data, how it was trained, and what it is not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


@dataclass(frozen=True)
class ModelFacts:
    """What the card tells of one training run."""

    repo_id: str  # NAMESPACE/NAME, or the folder's name where it is not pushed
    base_model: str | None  # a Hub id; None for random weights made on the spot
    relation: str  # "finetune" or "adapter", in the Hub's terms
    dataset: str
    dataset_config: str | None
    dataset_revision: str | None  # commit sha
    rows: int | None  # None for a stream
    parameters: int
    trained_parameters: int
    settings: dict[str, Any]  # the arguments that differ from their defaults
    steps: int
    train_loss: float | None  # mean over the last logged steps
    eval_loss: float | None  # on the validation split
    versions: dict[str, str]  # of the libraries
    random_weights: bool  # the base had random weights: the model proves the way, not the science
    loss_plot: str | None = None  # a picture beside the card


def model_card(facts: ModelFacts) -> ModelCard:
    """The card, whose code block runs as it stands against the pushed model."""
    data = ModelCardData(
        language="en",
        license="apache-2.0",
        library_name="peft" if facts.relation == "adapter" else "transformers",
        pipeline_tag="image-text-to-text",
        tags=["cephalo", "vision", "materials science", "trl", "sft"],
        base_model=facts.base_model,
        base_model_relation=facts.relation if facts.base_model else None,
        datasets=[facts.dataset] if "/" in facts.dataset else None,
    )
    return ModelCard.from_template(data, template_path=str(TEMPLATE), facts=facts)
