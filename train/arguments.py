"""Arguments of `cephalo train`: the fields of TRL's arguments, and a few of its own."""

# Untyped or partially typed: trl.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportPrivateImportUsage=false, reportIncompatibleVariableOverride=false

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import yaml
from trl import ModelConfig, ScriptArguments, SFTConfig, TrlParser

from cephalo.cli.errors import CephaloError
from cephalo.cli.yaml_files import parse_yaml
from cephalo.train.values import check_values


@dataclass
class CephaloArguments(ScriptArguments):
    """Data, parts and names of one training stage."""

    if TYPE_CHECKING:
        dataset_name: str = ""  # empty is refused later

    dataset_revision: str | None = field(
        default=None, metadata={"help": "Commit, branch or tag of the dataset."}
    )
    where: str | None = field(
        default=None,
        metadata={
            "help": "Train on the rows of the dataset for which this condition on columns holds, "
            "in SQL, such as \"task = 'describe'\"."
        },
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
    split_images: bool | None = field(
        default=None,
        metadata={
            "help": "Whether to split large images into tiles, if the processor supports it; by "
            "default as set in the processor. Without tiles, an image has far fewer tokens."
        },
    )
    batch_tokens: int | None = field(
        default=None,
        metadata={
            "help": "Maximum number of tokens of a packed sequence. The rows of a batch are packed "
            "into such sequences and do not attend to each other; by default into one."
        },
    )
    batch_tiles: int | None = field(
        default=None,
        metadata={"help": "The same limit for the images and tiles that enter the vision tower."},
    )
    feature_cache_gb: float = field(
        default=0.0,
        metadata={
            "help": "Gigabytes of disk in output_dir to cache the features of images from a frozen "
            "vision tower and connector, and, if all fit, the states of frozen first layers."
        },
    )
    max_broken_rows: int = field(
        default=10,
        metadata={"help": "Maximum number of unreadable rows to skip before training stops."},
    )
    push_checkpoints: bool = field(
        default=False,
        metadata={
            "help": "With push_to_hub, push each checkpoint too, in the background, to the branch "
            "`checkpoints`."
        },
    )
    freeze_parts: list[str] = field(
        default_factory=list,
        metadata={"help": "Parts to freeze: vision, connector, embeddings, text, head."},
    )
    train_last_layers: int | None = field(
        default=None,
        metadata={"help": "Train the last N layers of the decoder and nothing else."},
    )
    epoch_models: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Repositories for the model after epoch 1, 2, ...; requires save_strategy: "
            "epoch."
        },
    )
    merge_adapter: bool = field(
        default=False,
        metadata={"help": "Save and push the whole model with the LoRA merged into its weights."},
    )
    tiny_base: bool = field(
        default=False,
        metadata={
            "help": "Create model_name_or_path if it does not exist: a tiny Idefics2 "
            "with random weights and a tokenizer trained on the answers."
        },
    )

    def __post_init__(self) -> None:
        """Reject values out of range."""
        if not 0 <= self.text_share <= 0.95:
            raise ValueError(f"text_share {self.text_share}: give a share from 0 to 0.95")
        if bool(self.text_share) != bool(self.text_dataset_name):
            raise ValueError("text_share and text_dataset_name go together")
        for name in ("batch_tokens", "batch_tiles", "max_image_edge"):
            if (limit := getattr(self, name)) is not None and limit < 1:
                raise ValueError(f"{name} {limit}: give a number above 0, or null for no limit")
        for name in ("feature_cache_gb", "max_broken_rows"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"{name} {value}: give a number from 0")


if TYPE_CHECKING:

    class TrainingSettings(SFTConfig):
        """SFTConfig after parsing: transformers has filled in the folder, and the name of a
        repository to push to is valid."""

        output_dir: str
        hub_model_id: str

    class BaseSettings(ModelConfig):
        """ModelConfig after parsing: a model is named."""

        model_name_or_path: str


def parse_arguments(
    config: Path, overrides: list[str]
) -> tuple[CephaloArguments, "TrainingSettings", "BaseSettings"]:
    """Parse the arguments of a YAML file, overridden by --field VALUE.

    Raises CephaloError if the file is not a YAML mapping, and for an unknown or invalid field.
    """

    class Parser(TrlParser):
        def error(self, message: str) -> NoReturn:
            raise CephaloError(f"{config}: {message}")

    kinds: Any = (CephaloArguments, SFTConfig, ModelConfig)  # trl annotates them with its own type
    parser = Parser(kinds, prog="cephalo train")
    options = {option for action in parser._actions for option in action.option_strings}
    known = {option.lstrip("-").replace("-", "_") for option in options} | {"env"}
    check_keys(config, overrides, known)
    try:
        parsed = cast(
            "tuple[CephaloArguments, TrainingSettings, BaseSettings]",
            parser.parse_args_and_config(["--config", str(config), *overrides]),
        )
    except (yaml.YAMLError, ValueError, TypeError, ImportError) as error:
        raise CephaloError(f"{config}: {error}") from error
    check_values(*parsed[1:])
    return parsed


def check_keys(config: Path, overrides: list[str], known: set[str]) -> None:
    """Raise CephaloError that names the first unknown field and the most similar known one.

    TRL reports unknown fields only after validating the values of the others.
    """
    try:
        settings = parse_yaml(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CephaloError(f"{config} is not valid YAML: {error}") from error
    if not isinstance(settings, dict):
        raise CephaloError(
            f"{config} contains no fields; write lines such as learning_rate: 1.0e-5"
        )
    given = [word[2:].split("=")[0].replace("-", "_") for word in overrides if word[:2] == "--"]
    for place, keys in ((str(config), settings), ("the command", given)):
        for key in keys:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]}?" if near else "see `trl sft --help`"
                raise CephaloError(f"{place} has no field {key}; {hint}")
