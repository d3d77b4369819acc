"""Encode rows: token ids as at inference, and labels for the answers only."""

# Untyped or partially typed: datasets and transformers.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from PIL import Image

from cephalo.cli.errors import CephaloError
from cephalo.cli.rows import Row
from cephalo.cli.templates import TemplateUnboundedError, render_with
from cephalo.inference.images import open_image, shrunk, told_thin

if TYPE_CHECKING:
    from datasets import Dataset, Features, IterableDataset
    from transformers import BaseImageProcessor, BatchFeature

    from cephalo.train.rows import Line, Message
    from modeling_cephalo.annotations import Processor

logger = logging.getLogger(__name__)

IGNORED = -100  # label of a token without loss, as in torch's cross-entropy
ROWS_A_WORKER = 100  # at least: reading fewer takes less time than starting another process


class Prepared(TypedDict):
    """The inputs of a conversation, see `encode_rows`."""

    input_ids: list[int]
    labels: list[int]
    tokens: int
    tiles: int
    grids: list[list[int]]
    image_key: str


class Encoded(Prepared):
    """A row of `encode_rows`; `images` as `datasets` has them undecoded, `problem` "" if whole."""

    row: str
    images: list[dict[str, Any]]
    problem: str


def encode_rows(
    rows: "Dataset | IterableDataset",
    processor: "Processor",
    *,
    max_length: int | None = None,
    max_image_edge: int | None = None,
    max_broken_rows: int = 0,
    workers: int | None = None,
) -> "Dataset | IterableDataset":
    """Replace the messages of rows by model inputs.

    Args:
        rows: A Dataset or IterableDataset of `COLUMNS` and `row`.
        processor: The model's processor.
        max_length: Maximum tokens of a row. Longer rows are excluded, since truncation could lose
            image tokens.
        max_image_edge: Images are first resized to it, in pixels.
        max_broken_rows: Number of unreadable rows that are excluded before it is an error.
        workers: Number of processes, if the rows are not a stream and there are enough for each.

    Returns:
        The rows with `images` (not decoded), `row`, `input_ids` and `labels` (of equal length),
        `tokens` (their number), `tiles` (number of inputs of the vision tower), `grids` (patches of
        each image along time, height and width, for models that read images at their original size)
        and `image_key` (hash of the pixels).

    Raises:
        CephaloError: If too many rows are broken or none is left.
    """
    from datasets import IterableDataset

    settings = {"processor": processor, "max_image_edge": max_image_edge}
    features = encoded_features()
    rows = rows.cast_column("images", features["images"])
    options: dict[str, Any] = {"remove_columns": ["prompt", "completion"], "features": features}
    left_out = LeftOut(max_length, max_broken_rows, fewer_tokens(processor.image_processor))
    judged = ["row", "tokens", "problem"]
    if isinstance(rows, IterableDataset):
        encoded = rows.map(encode_or_say_why, fn_kwargs=settings, **options)
        return encoded.filter(left_out.keep_aloud, input_columns=judged)
    workers = min(workers or 1, max(1, len(rows) // ROWS_A_WORKER))
    encoded = rows.map(
        encode_or_say_why,
        fn_kwargs=settings,
        num_proc=workers if workers > 1 else None,
        desc="Reading rows",
        **options,
    )
    facts = zip(*(encoded[column] for column in judged), strict=True)
    kept = [index for index, fact in enumerate(facts) if left_out.keep(*fact)]
    left_out.tell()
    if not kept:
        raise CephaloError("no row is left to train on; check the excluded rows")
    return encoded if len(kept) == len(encoded) else encoded.select(kept)


class LeftOut:
    """The excluded rows."""

    def __init__(self, max_length: int | None, max_broken_rows: int, remedy: str) -> None:
        self.max_length, self.max_broken_rows = max_length, max_broken_rows
        self.remedy = remedy  # against long rows
        self.broken: list[str] = []
        self.long: list[str] = []

    def keep(self, row: str, tokens: int, problem: str) -> bool:
        """Return whether a row can be trained on. Raises CephaloError beyond `max_broken_rows`."""
        if problem:
            self.broken.append(f"{row} ({problem})")
            if len(self.broken) > self.max_broken_rows:
                raise CephaloError(
                    f"{len(self.broken)} rows cannot be read: {some(self.broken)}; fix the "
                    f"dataset, or raise max_broken_rows, {self.max_broken_rows} now, to "
                    "continue without them"
                )
        elif self.max_length is not None and tokens > self.max_length:
            self.long.append(f"{row} ({tokens} tokens)")
        return not problem and (self.max_length is None or tokens <= self.max_length)

    def keep_aloud(self, row: str, tokens: int, problem: str) -> bool:
        """Do as `keep`, but report at once, since a stream may not end."""
        if kept := self.keep(row, tokens, problem):
            return kept
        why = problem or f"{tokens} tokens, above {self.max_length}"
        logger.warning("left out %s: %s", row, why)
        return False

    def tell(self) -> None:
        """Report the excluded rows and what to do."""
        if self.broken:
            logger.warning(
                "left out %d rows that cannot be read: %s", len(self.broken), some(self.broken)
            )
        if self.long:
            logger.warning(
                f"left out {len(self.long)} rows of more than {self.max_length} tokens: "
                f"{some(self.long)}; to keep them raise max_length (null: all that the model can "
                f"read), or {self.remedy}"
            )


def fewer_tokens(image_processor: "BaseImageProcessor") -> str:
    """Return how images of a model get fewer tokens."""
    if most := getattr(image_processor, "max_soft_tokens", None):  # Gemma 4 scales images to it
        return (
            f"lower max_soft_tokens, {most} now, in the base's processor_config.json, to which its "
            "images are scaled"
        )
    return "make their images smaller with max_image_edge"


def tell_oversized(
    rows: "Dataset | IterableDataset",
    batch_tokens: int | None,
    image_processor: "BaseImageProcessor",
) -> None:
    """Report the rows of a dataset with more tokens than a packed sequence may have.

    They are trained on, each as a separate sequence with the memory of its length.
    """
    from datasets import IterableDataset

    if batch_tokens is None or isinstance(rows, IterableDataset):
        return
    facts = zip(rows["row"], rows["tokens"], strict=True)
    if over := [f"{row} ({tokens} tokens)" for row, tokens in facts if tokens > batch_tokens]:
        logger.warning(
            f"{len(over)} rows have more than the {batch_tokens} tokens of batch_tokens: "
            f"{some(over)}; each becomes a separate sequence; if memory does not suffice, "
            f"{fewer_tokens(image_processor)}, or leave the rows out with max_length"
        )


def some(names: list[str]) -> str:
    """Format the first names of a long list."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")


def encoded_features() -> "Features":
    """Return the features of encoded rows."""
    from datasets import Features, Image, List, Value

    return Features(
        {
            "images": List(Image(decode=False)),
            "row": Value("string"),
            "input_ids": List(Value("int32")),
            "labels": List(Value("int32")),
            "tokens": Value("int32"),
            "tiles": Value("int32"),
            "grids": List(List(Value("int32"))),
            "image_key": Value("string"),
            "problem": Value("string"),
        }
    )


def encode_or_say_why(
    row: Row, processor: "Processor", max_image_edge: int | None
) -> dict[str, object]:
    """Return the columns of an encoded row, or its `problem`."""
    nothing = {"input_ids": [], "labels": [], "tokens": 0, "tiles": 0, "grids": [], "image_key": ""}
    try:
        images = open_images(row["images"], max_image_edge)
        return {**encode_row(images, row["prompt"], row["completion"], processor), "problem": ""}
    except TemplateUnboundedError:  # every other row would take as much time
        raise
    except CephaloError as error:
        return {**nothing, "problem": str(error)}
    # Any error of a tokenizer or template, whose input is arbitrary text.
    except Exception as error:
        return {**nothing, "problem": " ".join(f"{type(error).__name__}: {error}".split())}


def encode_row(
    images: list[Image.Image],
    prompt: "list[Message]",
    completion: "list[Message]",
    processor: "Processor",
) -> Prepared:
    """Return token ids and labels of one conversation.

    Labels are the ids of every assistant turn of `completion`, with the end-of-turn tokens of the
    chat template, and IGNORED elsewhere. The whole conversation is tokenized as one text with the
    processor's defaults, as each prompt is at inference.

    Raises ValueError if the template or tokenizer does not allow that.
    """
    check_places(images, prompt, completion)
    text, spans = render(prompt, completion, processor)
    with told_thin(images):
        batch = processor(text=[text], images=[images] if images else None, return_tensors="pt")
    ids = batch["input_ids"][0].tolist()
    # Images precede the first answer. From there on, the ids are those of the plain text.
    plain = processor.tokenizer(text, return_offsets_mapping=True)
    offsets = plain["offset_mapping"]
    first = next(
        (index for index, (start, end) in enumerate(offsets) if spans[0][0] <= start < end),
        len(offsets),
    )
    tail = plain["input_ids"][first:]
    if not tail or ids[-len(tail) :] != tail:
        raise ValueError("the answers are tokenized differently from plain text")
    answered = [
        any(start <= begin < end <= stop for start, stop in spans) for begin, end in offsets[first:]
    ]
    labels = [token if own else IGNORED for token, own in zip(tail, answered, strict=True)]
    return {
        "input_ids": ids,
        "labels": [IGNORED] * (len(ids) - len(tail)) + labels,
        "tokens": len(ids),
        "tiles": count_tiles(batch) if images else 0,
        "grids": batch["image_grid_thw"].tolist() if "image_grid_thw" in batch else [],
        "image_key": image_key(images),
    }


def check_places(images: list[Any], prompt: "list[Message]", completion: "list[Message]") -> None:
    """Raise ValueError for an image after the prompt, which is not supported, and for a prompt
    with more or fewer image placeholders than the row has images."""
    if any(part["type"] == "image" for part in parts(completion)):
        raise ValueError(
            "an image after the prompt, in an answer or a later turn; put all images into the "
            "prompt, or begin another row there"
        )
    if (places := sum(part["type"] == "image" for part in parts(prompt))) != len(images):
        raise ValueError(f"{places} places for {len(images)} images")


def render(
    prompt: "list[Message]", completion: "list[Message]", processor: "Processor"
) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a conversation, and the character ranges of its answers.

    Raises ValueError for a conversation without an answer or with an empty one, or whose template
    does not render turn by turn.
    """
    messages = [*prompt, *completion]

    def written(count: int, **settings: bool) -> str:
        return render_with(processor, messages[:count], **settings)

    text = written(len(messages))
    spans: list[tuple[int, int]] = []
    for index in range(len(prompt), len(messages)):
        if messages[index]["role"] != "assistant":
            continue
        if not "".join(part["text"] or "" for part in parts([messages[index]])).strip():
            raise ValueError("an empty answer of the assistant")
        asked, answered = written(index, add_generation_prompt=True), written(index + 1)
        if not (text.startswith(answered) and answered.startswith(asked)):
            raise ValueError("the chat template rewrites earlier turns")
        spans.append((len(asked), len(answered)))
    if not spans:
        raise ValueError("no answer of the assistant")
    return text, spans


def parts(messages: "list[Message]") -> "list[Line]":
    """Return the texts and image placeholders of all messages."""
    return [part for message in messages for part in message["content"]]


def open_images(images: Sequence[dict[str, Any] | str], max_edge: int | None) -> list[Image.Image]:
    """Return the RGB images of a row, resized to at most `max_edge` pixels, as in inference. Raises
    CephaloError if one is not an image."""
    opened = [open_encoded(image) for image in images]
    return [shrunk(image, max_edge) if max_edge else image for image in opened]


def open_encoded(image: dict[str, Any] | str) -> Image.Image:
    """Open an image that `datasets` did not decode, from its bytes or its path."""
    from datasets import Image as ImageFeature

    if isinstance(image, dict) and image["bytes"] is not None:
        return open_image(io.BytesIO(image["bytes"]))
    # A path is also accepted, unlike in the annotation.
    return open_image(ImageFeature().decode_example(cast("dict[str, Any]", image)))


def count_tiles(inputs: "BatchFeature") -> int:
    """Count the inputs of the vision tower: images if it reads them at their original size, and
    otherwise the tiles in `pixel_values` [..., 3, height, width] without padding."""
    for places in ("image_grid_thw", "image_position_ids"):  # one entry per image
        if places in inputs:
            return len(inputs[places])
    return int((inputs["pixel_values"].flatten(-3) != 0).any(-1).sum())


def image_key(images: list[Image.Image]) -> str:
    """Return the SHA-256 of the pixels of a row's images; "" without images."""
    if not images:
        return ""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.mode} {image.size} ".encode())
        digest.update(image.tobytes())
    return digest.hexdigest()


def state_key(row: Encoded) -> str:
    """Return the key under which the hidden states of an encoded row are stored."""
    ids = json.dumps(row["input_ids"]).encode()
    return hashlib.sha256(row["image_key"].encode() + b" states " + ids).hexdigest()
