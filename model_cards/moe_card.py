"""The card of a mixture of experts: its recipe, its sources by hash, how its gates route."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCard

from cephalo.model_cards.merge_card import MergeSource, merged_data

TEMPLATE = Path(__file__).with_name("moe_card.md.jinja")


@dataclass(frozen=True)
class MoeFacts:
    """What the card tells of one mixture."""

    name: str
    recipe: str  # YAML
    experts: int
    experts_per_token: int
    parameters: int
    sources: list[MergeSource]
    prompts: int  # that were routed to measure the gates
    unseen: bool  # whether the gates had not learned from them
    accuracy: float  # the part of these prompts that went to their expert
    token_share: float  # the part of their tokens, over all layers, that did

    @property
    def routing_line(self) -> str:
        """How well the gates route, in a line."""
        kind = "unseen prompts" if self.unseen else "prompts that the gates learned from"
        return (
            f"{self.accuracy:.1%} of {self.prompts} {kind} go to their expert, "
            f"with {self.token_share:.1%} of their tokens"
        )


def moe_card(facts: MoeFacts) -> ModelCard:
    """The card of a freshly built mixture."""
    data = merged_data(facts.sources, "moe")
    return ModelCard.from_template(data, template_path=str(TEMPLATE), facts=facts)
