"""Check a model before it is used; all commands share this check.

    check_model("runs/nacre")

Configuration, weights (names, shapes, finite values), tokenizer, processor and chat template must
exist and match each other. Folders are untrusted, so every error becomes a CephaloError of one
line.
"""

# Untyped or partially typed: huggingface_hub and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false, reportPrivateUsage=false

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx2
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
)
from transformers.utils import is_flash_attn_2_available, is_torchvision_available, logging
from transformers.utils.versions import require_version

from cephalo.cli.errors import CephaloError, hub_failure
from cephalo.cli.json_files import Json, parse_object
from cephalo.cli.templates import check_template, template_of
from cephalo.cli.weights import ADAPTER, INDEX, WHOLE, check_finite, indexed_files, weight_files

from . import register
from .generation import answering_settings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from .annotations import LoadingInfo, Processor

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
GENERATION = "generation_config.json"
BASE = "base_model_name_or_path"  # of ADAPTER_CONFIG
# The files of a model besides its weights. Code is only run if it is trusted.
SMALL_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "*.py")
# One of these defines a tokenizer: without any, some families continue with an empty one.
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
PROCESSORS = ("processor_config.json", "preprocessor_config.json")
LONGEST_ERROR = 400  # characters of a library's message
NAMED = 8  # weights that an error lists
NAMED_LENGTH = 40  # characters of a method's name in an error


def check_model(
    name_or_folder: str | Path, revision: str | None = None, trust_remote_code: bool = False
) -> None:
    """Raise CephaloError if a model in a folder or on the Hub is incomplete or inconsistent.

    Weights are read once, in pieces; names and shapes are compared with the class on the meta
    device, so that little memory is needed. Of an adapter only its own weights are read, since its
    base may be on the Hub only.
    """
    folder = check_weights(name_or_folder, revision, trust_remote_code)
    if (folder / CONFIG).exists():
        config = read_config(folder, trust_remote_code=trust_remote_code)
        read_processor(folder, config, trust_remote_code)


def check_weights(
    name_or_folder: str | Path, revision: str | None = None, trust_remote_code: bool = False
) -> Path:
    """Check as `check_model`, without the tokenizer and processor. Returns the model's folder."""
    folder = local_folder(name_or_folder, revision)
    check_values(folder)
    if not (folder / CONFIG).exists():
        return folder
    config = read_config(folder, trust_remote_code=trust_remote_code)
    named = config.architectures
    first = str(named[0]) if isinstance(named, list) and named else None
    if not first or not (hasattr(transformers, first) or getattr(config, "auto_map", None)):
        raise CephaloError(
            f"cannot load {folder}: its {CONFIG} names the class {first!r}, which "
            "transformers does not have; save the model again"
        )
    with told(f"cannot load {name_or_folder}"), silent():
        pair = AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            device_map="meta",
            dtype="auto",
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # otherwise they would not be named
            trust_remote_code=trust_remote_code,
        )
    # Type checkers take the overload without loading info.
    _, loading = cast("tuple[object, LoadingInfo]", pair)
    check_loading(str(name_or_folder), loading)
    return folder


def local_folder(name_or_folder: str | Path, revision: str | None = None) -> Path:
    """Return the folder of a model: itself, or the download in the Hub's cache.

    Raises CephaloError if it is neither, and if the Hub does not answer.
    """
    folder, name = Path(name_or_folder), str(name_or_folder)
    if folder.is_dir():
        if not any((folder / file).exists() for file in (CONFIG, ADAPTER_CONFIG)):
            raise CephaloError(f"{name} is not a checkpoint: it has no {CONFIG}")
        if revision not in (None, "main"):
            raise CephaloError(f"{name} is a folder, without a revision {revision}; give none")
        return folder
    try:
        snapshot = Path(snapshot_download(name, revision=revision, allow_patterns=[*SMALL_FILES]))
        weights = [WHOLE, ADAPTER]
        if (snapshot / INDEX).exists():
            weights = sorted(set(indexed_files(snapshot / INDEX).values()))
        snapshot_download(name, revision=snapshot.name, allow_patterns=weights)
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        at = f" at {revision}" if revision and revision != "main" else ""
        raise CephaloError(
            f"cannot load {name}: no folder, and no model of the Hub{at} that this token may read"
        ) from error
    except (httpx2.HTTPError, ConnectionError, LocalEntryNotFoundError, ValueError) as error:
        raise hub_failure(error, ENDPOINT, name) from error
    except OSError as error:  # of the disk of the cache
        raise CephaloError(f"cannot load {name}: {in_one_line(error)}") from error
    return snapshot


def base_of(folder: Path) -> Path:
    """Return the folder of an adapter's base; `folder` itself if it is a whole model."""
    if (folder / CONFIG).exists():
        return folder
    base = read_object(folder / ADAPTER_CONFIG).get(BASE)
    if not isinstance(base, str) or not base:
        raise CephaloError(f"{folder / ADAPTER_CONFIG} names no base; save the adapter again")
    return local_folder(base)


def check_whole(folder: Path, name: str) -> None:
    """Raise CephaloError if `folder` contains an adapter alone; `name` is its name in the error."""
    if (folder / CONFIG).exists() or not (folder / ADAPTER_CONFIG).exists():
        return
    base = str(read_object(folder / ADAPTER_CONFIG).get(BASE))[:LONGEST_ERROR]
    raise CephaloError(
        f"{name} is an adapter (LoRA) of {base}, not a whole model; give {base}, or train the "
        "adapter again with merge_adapter: true, which saves a whole model"
    )


def quantized(config: dict[str, Json]) -> str | None:
    """Return the method by which the weights of a config.json are quantized, or None."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        if found := part.get("quantization_config"):
            method = found.get("quant_method") if isinstance(found, dict) else None
            return str(method or "unknown method")[:NAMED_LENGTH]
    return None


def check_values(folder: Path) -> None:
    """Raise CephaloError for weight files that are missing, truncated or not finite."""
    for path in weight_files(folder, str(folder)):
        check_finite(path)


def read_config(
    folder: Path, attn_implementation: str | None = None, trust_remote_code: bool = False
) -> "PreTrainedConfig":
    """Return the configuration of a model for images and text.

    If config.json requests an attention implementation that this machine lacks, as the published
    Phi-3-vision does with FlashAttention, transformers chooses; `attn_implementation` takes
    precedence. The result is saved with `rope_theta`. Raises CephaloError for unknown
    models, and for generation settings that no model can follow.
    """
    register()
    stored = read_object(folder / CONFIG)
    kind = stored.get("model_type")
    if not isinstance(kind, str) or (kind not in CONFIG_MAPPING and not trust_remote_code):
        own = "; its own code runs with trust_remote_code" if "auto_map" in stored else ""
        raise CephaloError(
            f"cannot load {folder}: transformers and Cephalo know no model_type {kind!r}"
            f"{newer(stored.get('transformers_version'))}{own}"
        )
    with told(f"cannot load {folder}: its {CONFIG}"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        known = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        known = known and config.get_text_config().vocab_size > 0
    if not known and not (trust_remote_code and getattr(config, "auto_map", None)):
        raise CephaloError(
            f"cannot load {folder}: its model_type {config.model_type!r} is not a model "
            "for images and text"
        )
    wanted = config._attn_implementation
    usable = wanted in (None, "eager", "sdpa") or (
        wanted == "flash_attention_2" and is_flash_attn_2_available()
    )
    config._attn_implementation = attn_implementation or (wanted if usable else None)
    keep_rope_theta(config)
    check_generation(folder, config.get_text_config().vocab_size)
    return config


def check_generation(folder: Path, vocabulary: int) -> None:
    """Raise CephaloError for a damaged generation_config.json, which transformers ignores, and for
    one with values that are invalid for a model of this vocabulary."""
    if not (folder / GENERATION).exists():
        return
    stored = read_object(folder / GENERATION)
    try:
        answering_settings(GenerationConfig.from_dict(stored), vocabulary)
    except CephaloError as error:
        raise CephaloError(f"cannot load {folder}: {error}") from error


def newer(saved_with: object) -> str:
    """Return advice about a model that a later version of transformers saved; "" for others."""
    if not isinstance(saved_with, str) or not re.fullmatch(r"\d+(\.\w+)+", saved_with):
        return ""
    try:
        require_version(f"transformers>={saved_with}")
    except ImportError:
        return (
            f"; transformers {saved_with} saved it, {transformers.__version__} is here; run: "
            f"pip install 'transformers>={saved_with}'"
        )
    return ""


def keep_rope_theta(config: "PreTrainedConfig") -> None:
    """Save a configuration with `rope_theta`, in addition to the `rope_parameters` of transformers
    5.

    Other programs, such as mistral.rs, only read this key and otherwise assume 10,000.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    if "rope_theta" in rope:
        text.rope_theta = rope["rope_theta"]


def check_loading(name: str, loading: "LoadingInfo") -> None:
    """Raise CephaloError for weights that do not match, from transformers' loading info."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(key if isinstance(key, str) else str(key[0]) for key in loading[kind]):
            more = f" and {len(keys) - NAMED} more" if keys[NAMED:] else ""
            raise CephaloError(
                f"cannot load {name}: {kind.replace('_', ' ')} in the checkpoint: "
                f"{', '.join(keys[:NAMED])}{more}"
            )


def read_processor(
    folder: Path, config: "PreTrainedConfig", trust_remote_code: bool = False
) -> "Processor":
    """Return the processor of a model, with its tokenizer and chat template.

    Older files of LLaVA-NeXT lack the number of tokens per image, which config.json has. Raises
    CephaloError if a part is missing or does not match the model's configuration.
    """
    register()
    for part, files in (("tokenizer", TOKENIZERS), ("image processor", PROCESSORS)):
        if not any((folder / file).exists() for file in files):
            raise CephaloError(f"{folder} has no {part} ({files[0]}); save its processor there")
    with told(f"cannot load the processor of {folder}"):
        try:
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
        except OSError as error:
            # Without torchvision, transformers 5.23 looks for a part for videos on the Hub.
            if "video processor" in str(error) and not is_torchvision_available():
                raise ImportError("it requires the torchvision library") from error
            raise
        tokens = max(processor.tokenizer.get_vocab().values()) + 1
        rows = config.get_text_config().vocab_size
    if not hasattr(processor, "image_processor"):
        raise CephaloError(f"{folder} has no image processor; save its processor there")
    if getattr(processor, "chat_template", None) is None:
        raise CephaloError(f"{folder} has no chat template; save its processor with one")
    check_written(processor, folder)
    if tokens > rows:
        raise CephaloError(
            f"the tokenizer of {folder} has {tokens:,} tokens and its weights {rows:,}; it "
            "belongs to another model"
        )
    # Gemma's processor writes one token for an image, which others then surround.
    own = [token for token in processor.image_token_ids if token is not None]
    known = getattr(config, "image_token_id", None)
    if own and known is not None and known not in own:
        raise CephaloError(
            f"an image is token {own[0]} for the tokenizer of {folder} and {known} for its "
            f"{CONFIG}; one of them belongs to another model"
        )
    if getattr(processor, "patch_size", 0) is None and hasattr(config, "vision_config"):
        processor.patch_size = config.vision_config.patch_size
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # CLIP's class token
    return processor


def check_written(processor: "Processor", folder: Path) -> None:
    """Raise CephaloError if the chat template cannot render a conversation in bounded time."""
    template, tokens = template_of(processor)
    try:
        check_template(template, tuple(tokens.items()))
    except CephaloError as error:
        raise CephaloError(f"cannot load {folder}: {error}") from error


def read_object(path: Path) -> dict[str, Json]:
    """Return the object in a JSON file. Raises CephaloError if it is missing or broken."""
    try:
        return parse_object(path.read_bytes())
    except OSError as error:
        raise CephaloError(f"cannot load {path.parent}: {error}") from error
    except ValueError as error:
        raise CephaloError(
            f"cannot load {path.parent}: {path.name} is not a valid JSON file ({error}); "
            "download or save the model again"
        ) from error


@contextmanager
def told(what: str) -> Generator[None]:
    """Turn any error of a library into a CephaloError of one line that begins with `what`."""
    try:
        yield
    except CephaloError:
        raise
    except ImportError as error:
        raise CephaloError(f"{what}: {missing(error)}") from error
    except Exception as error:  # each family and file format raises different types
        name = what.removeprefix("cannot load ")
        raise CephaloError(f"{what}: {in_one_line(error).removeprefix(f'{name}: ')}") from error


@contextmanager
def silent(bars: bool = False) -> Generator[None]:
    """Suppress warnings of transformers, whose content is raised instead, and its progress bars
    unless `bars`."""
    verbosity, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def missing(error: ImportError) -> str:
    """Return what to install if a part of a family needs a missing package."""
    text = in_one_line(error)
    named = re.search(r"requires the (\S+) library", text) or re.search(
        r"No module named '(\w+)", text
    )
    return f"it needs {named[1]}; run: pip install {named[1].lower()}" if named else text


def in_one_line(error: BaseException) -> str:
    """Return the message of an error, with all white space folded and of bounded length."""
    return " ".join(str(error).split())[:LONGEST_ERROR] or type(error).__name__
