"""Write the card of a model: training, usage, evaluation and limits."""

# Untyped or partially typed: huggingface_hub and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportPrivateImportUsage=false

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from pydantic import TypeAdapter, ValidationError

from cephalo.cli.errors import CephaloError, fault_of
from cephalo.cli.files import write_whole
from cephalo.cli.templates import TemplateFailedError, render
from cephalo.model_cards.evaluation import Evaluation, number, read_evaluations, write_entries
from cephalo.model_cards.markdown import escape_cell
from cephalo.model_cards.model_folder import (
    FACTS,
    LOSS_PLOT,
    count_parameters,
    hub_id,
    read_json,
)

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
QUESTION = "What is shown in this image?"

INTENDED_USE = (
    "Research on materials: to describe and question figures, micrographs and fields, and as a "
    "base for further training on your own data."
)
LIMITS = (
    "The model can be confidently wrong, about images and numbers. Verify its statements "
    "before you rely on them. It was trained on English captions of published figures and knows "
    "little else."
)


@dataclass(frozen=True)
class Training:
    """One run of `cephalo train`."""

    base_revision: str | None  # commit sha; None for a folder
    dataset: str  # a Hub id, or a folder's name
    dataset_config: str | None
    dataset_revision: str | None  # commit sha
    rows: int | None  # None for a stream
    steps: int
    trained_parameters: int
    trained: str  # parts that trained, with their number of parameters
    train_loss: float | None  # last logged
    eval_loss: float | None  # on the validation split
    settings: dict[str, object]  # the arguments that differ from their defaults
    hardware: str
    versions: dict[str, str]  # of the libraries
    base_folder: str | None = None  # the name of a base that is not on the Hub
    where: str | None = None  # the condition on the rows


@dataclass(frozen=True)
class MergeSource:
    """A model that was merged: its Hub id or folder name, commit sha (None for a folder)."""

    name: str
    revision: str | None
    hashes: dict[str, str]  # SHA-256 of the weight files, by name


@dataclass(frozen=True)
class Gates:
    """The experts of a mixture, and how its gates route prompts among them."""

    experts: int
    experts_per_token: int
    prompts: int  # number of prompts that measured the gates
    unseen: bool  # whether they were excluded from training
    accuracy: float  # share of these prompts routed to their expert
    token_share: float  # share of their tokens, over all layers, routed to it

    @property
    def routing_line(self) -> str:
        """Format the accuracy of the gates in one line."""
        kind = "unseen prompts" if self.unseen else "prompts that the gates learned from"
        return (
            f"{self.accuracy:.1%} of {self.prompts} {kind} go to their expert, "
            f"with {self.token_share:.1%} of their tokens"
        )


@dataclass(frozen=True)
class Merge:
    """The sources of a model by `cephalo merge` or `cephalo moe`."""

    recipe: str  # YAML
    sources: list[MergeSource]
    layers: int  # of the decoder
    gates: Gates | None = None  # of a mixture of experts


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model that its files do not contain, saved as `card.json`. The last three are
    texts that users may edit there."""

    repo_id: str  # NAMESPACE/NAME, or the folder's name if it is not pushed
    model_type: str | None  # of the config; of an adapter, that of its base
    parameters: int
    base_models: list[str]  # Hub ids
    relation: str | None  # to them, in the Hub's terms: finetune, adapter or merge
    random_weights: bool = False  # trained from random weights, as a test of the pipeline
    training: Training | None = None
    merge: Merge | None = None
    license: str = "apache-2.0"
    intended_use: str = INTENDED_USE
    limits: str = LIMITS


def read_facts(folder: Path) -> ModelFacts:
    """Read the facts in card.json; without it, derive them from the other files of the folder.

    Raises CephaloError if `folder` contains no model or a damaged one.
    """
    if not folder.is_dir():
        raise CephaloError(f"{folder} is not a folder; give the folder of a saved model")
    path = folder / FACTS
    if path.exists():
        try:
            return TypeAdapter(ModelFacts).validate_python(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise CephaloError(f"{path}: {place}: {fault_of(first)}; fix or remove it") from error
    config, adapter = (read_json(folder / name) for name in ("config.json", "adapter_config.json"))
    if not config and not adapter:
        raise CephaloError(f"{folder} contains no config.json; give the folder of a saved model")
    kind, base = config.get("model_type"), adapter.get("base_model_name_or_path")
    for name, value in (("config.json", kind), ("adapter_config.json", base)):
        if value is not None and not isinstance(value, str):
            raise CephaloError(
                f"{folder / name} is damaged, it names {value!r}; save the model again"
            )
    base = hub_id(base) if base else None
    return ModelFacts(
        repo_id=folder.resolve().name,
        model_type=kind,
        parameters=count_parameters(folder),
        base_models=[base] if base else [],
        relation="adapter" if adapter else None,
    )


def write_card(folder: Path, facts: ModelFacts) -> None:
    """Write card.json, README.md and .eval_results/ into a model folder, each file atomically.

    Raises CephaloError if a results.json in it is of another model.
    """
    # First, since the facts of a run are nowhere else, in case the results are rejected.
    write_whole(folder / FACTS, json.dumps(asdict(facts), indent=2, ensure_ascii=False) + "\n")
    evaluations = read_evaluations(folder, facts.repo_id)
    write_entries(folder, facts.repo_id, evaluations)
    write_whole(folder / "README.md", str(model_card(folder, facts, evaluations)))


def model_card(folder: Path, facts: ModelFacts, evaluations: list[Evaluation]) -> ModelCard:
    """Build the card, whose code block runs unchanged against the pushed model."""
    kinds = {"finetune": ["trl", "sft"], "adapter": ["trl", "sft", "lora"], "merge": ["merge"]}
    made = kinds.get(facts.relation or "", [])
    if facts.merge:
        made = ["merge", "moe" if facts.merge.gates else "mergekit"]
    trained_on = [facts.training.dataset] if facts.training else []
    data = ModelCardData(
        language="en",
        license=facts.license,
        library_name="peft" if facts.relation == "adapter" else "transformers",
        pipeline_tag="image-text-to-text",
        tags=["cephalo", "vision", "materials science", *made],
        base_model=facts.base_models or None,
        base_model_relation=facts.relation if facts.base_models else None,
        datasets=[name for name in trained_on if "/" in name] or None,
    )
    return ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        facts=facts,
        evaluations=evaluations,
        code=code_from(folder, facts.model_type),
        prompt=prompt_form(folder),
        question=QUESTION,
        loss_plot=LOSS_PLOT if (folder / LOSS_PLOT).exists() else None,
        escape=escape_cell,
        number=number,
    )


def code_from(folder: Path, model_type: str | None) -> str | None:
    """Return where the code of a model is: "hub" beside its weights, "package" in modeling_cephalo.

    Returns None for models in transformers, and for the unknown base of an adapter.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    places = read_json(folder / "config.json").get("auto_map")
    named = places.values() if isinstance(places, dict) else ()
    modules = {name.split(".")[0] for name in named if isinstance(name, str)}
    if modules and all((folder / f"{module}.py").exists() for module in modules):
        return "hub"
    return "package" if model_type and model_type not in CONFIG_MAPPING_NAMES else None


def prompt_form(folder: Path) -> str | None:
    """Return a question about an image as the chat template renders it; None without a template, or
    if it needs other messages.

    Raises CephaloError for a template that takes too long or writes too much.
    """
    path = folder / "chat_template.jinja"
    if not path.exists():
        return None
    config = read_json(folder / "tokenizer_config.json")
    tokens = {name: token_text(config[name]) for name in config if name.endswith("_token")}
    message = {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": QUESTION}],
    }
    try:
        return render(path.read_text(encoding="utf-8", errors="replace"), [message], tokens)
    except TemplateFailedError:
        return None


def token_text(token: str | Mapping[str, object] | None) -> str:
    """Return a special token from either of its forms in tokenizer_config.json."""
    return str(token.get("content", "")) if isinstance(token, Mapping) else token or ""
