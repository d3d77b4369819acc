"""What `cephalo train` takes: the fields of TRL's arguments, and a few of its own."""

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser

from cephalo.cli.errors import CephaloError


@dataclass
class CephaloArguments(ScriptArguments):
    """Data, parts and names of one training stage."""

    dataset_revision: str | None = field(
        default=None, metadata={"help": "Commit, branch or tag of the dataset."}
    )
    text_dataset_name: str | None = field(
        default=None, metadata={"help": "A dataset of text-only rows to mix in."}
    )
    text_dataset_config: str | None = field(default=None, metadata={"help": "Its config."})
    text_share: float = field(
        default=0.0, metadata={"help": "The share of text-only rows among all rows, 0 to 0.95."}
    )
    max_image_edge: int | None = field(
        default=None, metadata={"help": "Shrink images to at most this edge, in pixels."}
    )
    freeze_parts: list[str] = field(
        default_factory=list,
        metadata={"help": "Parts that do not train: vision, connector, embeddings, text, head."},
    )
    train_last_layers: int | None = field(
        default=None,
        metadata={"help": "Train the last N layers of the decoder and nothing else."},
    )
    epoch_models: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Repositories for the model after epoch 1, 2, ...; wants save_strategy: epoch."
        },
    )
    merge_adapter: bool = field(
        default=False,
        metadata={"help": "Save and push the whole model with the LoRA merged into its weights."},
    )
    tiny_base: bool = field(
        default=False,
        metadata={
            "help": "Make model_name_or_path on the spot where it is missing: a tiny Idefics2 "
            "with random weights and a tokenizer trained on the answers."
        },
    )

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.text_share <= 0.95:
            raise ValueError(f"text_share {self.text_share}: give a share from 0 to 0.95")
        if bool(self.text_share) != bool(self.text_dataset_name):
            raise ValueError("text_share and text_dataset_name go together")


def parse_arguments(
    config: Path, overrides: list[str]
) -> tuple[CephaloArguments, SFTConfig, ModelConfig]:
    """The arguments of a YAML file, overridden by --field VALUE.

    Raises CephaloError for a file that is no YAML mapping and for an unknown or wrong field.
    """

    class Parser(TrlParser):
        def error(self, message: str) -> None:
            raise CephaloError(f"{config}: {message}")

    parser = Parser((CephaloArguments, SFTConfig, ModelConfig), prog="cephalo train")
    try:
        return parser.parse_args_and_config(["--config", str(config), *overrides])
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise CephaloError(f"{config}: {error}") from error
