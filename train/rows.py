"""Rows to train on: loaded, checked, and collated as the model will see them at inference."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from PIL import Image

from cephalo.cli.errors import CephaloError

COLUMNS = ["images", "prompt", "completion"]


def load_rows(script_args: Any) -> dict[str, Any]:
    """The train split, and the validation split where there is one, with `COLUMNS` only.

    With `text_share`, that share of the train split are rows of the text dataset: a shuffled part
    of them, or all of them several times.
    Raises CephaloError where a dataset, its config, split or columns cannot be had.
    """
    data = load_splits(
        script_args.dataset_name,
        script_args.dataset_config,
        script_args.dataset_revision,
        script_args.dataset_train_split,
    )
    if script_args.text_share:
        text = load_splits(script_args.text_dataset_name, script_args.text_dataset_config)
        data["train"] = mix(data["train"], text["train"], script_args.text_share)
    return data


def load_splits(
    name: str, config: str | None, revision: str | None = None, train_split: str = "train"
) -> dict[str, Any]:
    """The splits "train" and, where there is one, "validation" of a dataset, as `COLUMNS`.

    Raises CephaloError where it cannot be had.
    """
    from datasets import load_dataset

    try:
        splits = load_dataset(name, config, revision=revision)
    except (OSError, ValueError) as error:
        raise CephaloError(f"cannot load dataset {name}: {error}") from error
    if train_split not in splits:
        raise CephaloError(f"dataset {name} has no split {train_split!r}; it has {[*splits]}")
    wanted = {"train": train_split, "validation": "validation"}
    return {
        split: to_conversations(splits[theirs], name)
        for split, theirs in wanted.items()
        if theirs in splits
    }


def to_conversations(rows: Any, name: str) -> Any:
    """`rows` as `COLUMNS`: as they are, or from the columns of the original Cephalo datasets
    (query, answer, and an image or none).

    Raises CephaloError where they are neither.
    """
    columns = set(rows.column_names)
    if set(COLUMNS) <= columns:
        return rows.select_columns(COLUMNS)
    if {"query", "answer"} <= columns:
        from datasets import Image

        if "image" in columns:
            rows = rows.cast_column("image", Image(decode=False))
        return rows.map(conversation, remove_columns=rows.column_names, features=row_features())
    raise CephaloError(
        f"dataset {name} has no column {', '.join(sorted(set(COLUMNS) - columns))}; train on the "
        "config `conversations` of a dataset that `cephalo publish` made"
    )


def row_features() -> Any:
    """The features of `COLUMNS`, as `cephalo publish` writes them."""
    from datasets import Features, Image, List, Value

    line = {"type": Value("string"), "text": Value("string")}
    messages = List({"role": Value("string"), "content": List(line)})
    return Features({"images": List(Image()), "prompt": messages, "completion": messages})


def conversation(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `COLUMNS` from one with query, answer and maybe an image."""
    images = [row["image"]] if row.get("image") else []
    lines = [{"type": "image", "text": None} for _ in images]
    lines.append({"type": "text", "text": row["query"]})
    answer = [{"type": "text", "text": row["answer"]}]
    return {
        "images": images,
        "prompt": [{"role": "user", "content": lines}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def mix(rows: Any, text: Any, share: float) -> Any:
    """`rows` and as many rows of `text` as make up `share` of all, shuffled with a fixed seed."""
    from datasets import concatenate_datasets

    wanted = round(len(rows) * share / (1 - share))
    order = text.shuffle(seed=0)
    repeated = [order] * (wanted // len(text)) + [order.select(range(wanted % len(text)))]
    return concatenate_datasets([rows, *repeated]).shuffle(seed=0)


def dataset_revision(script_args: Any) -> str | None:
    """The commit to train on, for a dataset of the Hub; None for a folder.

    Raises CephaloError where the Hub has no such dataset or revision, or does not answer.
    """
    name = script_args.dataset_name
    if not name:
        raise CephaloError(
            "no dataset; set dataset_name in the config or give --dataset_name NAMESPACE/NAME"
        )
    if Path(name).exists():
        return None
    api = HfApi()
    try:
        return api.dataset_info(name, revision=script_args.dataset_revision).sha
    except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise CephaloError(
            f"no folder and no dataset {name} on {api.endpoint} that this token may read; "
            "publish it with `cephalo publish` first"
        ) from error
    except httpx2.HTTPError as error:
        raise CephaloError(f"{api.endpoint} cannot be reached: {error}") from error


def message_texts(messages: list[dict[str, Any]]) -> list[str]:
    """The texts of a list of messages, images left out."""
    return [line["text"] for message in messages for line in message["content"] if line["text"]]


def without_special_tokens(rows: Any, processor: Any) -> Any:
    """`rows` without those whose text holds a special token or an image tag of the processor, as
    an untrusted caption can.

    Such a text would break the count of images or end the answer early.
    """
    added = processor.tokenizer.added_tokens_decoder.values()
    forbidden = [re.compile(re.escape(token.content)) for token in added if token.special]
    if tag := getattr(processor, "image_tag", None):  # phi3_v's tags are no tokens
        forbidden.append(tag)

    def clean(prompt: list[dict[str, Any]], completion: list[dict[str, Any]]) -> bool:
        texts = message_texts(prompt) + message_texts(completion)
        return not any(pattern.search(text) for text in texts for pattern in forbidden)

    kept = rows.filter(clean, input_columns=["prompt", "completion"])
    if dropped := len(rows) - len(kept):
        print(f"left out {dropped} rows whose text holds a special token of the tokenizer")
    if not len(kept):
        raise CephaloError("the dataset has no rows to train on; publish more figures first")
    return kept


def collator(
    processor: Any, max_image_edge: int | None = None
) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    """TRL's vision collator, on texts that begin as they do at inference.

    The collator tokenizes without special tokens. Where the tokenizer adds a beginning-of-sequence
    token at inference and the chat template does not, a copy of the template gets it.
    Images longer than `max_image_edge` pixels are shrunk first.
    """
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    bos = processor.tokenizer.bos_token
    adds_bos = processor.tokenizer("a").input_ids[:1] == [processor.tokenizer.bos_token_id]
    if bos and adds_bos and "bos_token" not in processor.chat_template:
        processor = copy.copy(processor)
        processor.chat_template = "{{ bos_token }}" + processor.chat_template
    collate = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
    if max_image_edge is None:
        return collate

    def collate_shrunk(rows: list[dict[str, Any]]) -> dict[str, Any]:
        for row in rows:
            row["images"] = [shrunk(image, max_image_edge) for image in row["images"]]
        return collate(rows)

    return collate_shrunk


def shrunk(image: Image.Image, edge: int) -> Image.Image:
    """A copy of `image` whose longer edge is at most `edge` pixels."""
    image = image.copy()
    image.thumbnail((edge, edge))
    return image
