"""Rows to train on: loaded, checked, and collated as the model will see them at inference."""

import copy
import re
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from cephalo.cli.errors import CephaloError

COLUMNS = ["images", "prompt", "completion"]


def load_rows(script_args: Any) -> dict[str, Any]:
    """The train split, and the validation split where there is one, with `COLUMNS` only.

    Raises CephaloError where the dataset, its config, split or columns cannot be had.
    """
    from datasets import load_dataset

    name = script_args.dataset_name
    try:
        splits = load_dataset(
            name, script_args.dataset_config, revision=script_args.dataset_revision
        )
    except (OSError, ValueError) as error:
        raise CephaloError(f"cannot load dataset {name}: {error}") from error
    wanted = {"train": script_args.dataset_train_split, "validation": "validation"}
    if wanted["train"] not in splits:
        raise CephaloError(f"dataset {name} has no split {wanted['train']!r}; it has {[*splits]}")
    data = {split: splits[theirs] for split, theirs in wanted.items() if theirs in splits}
    if missing := set(COLUMNS) - set(data["train"].column_names):
        raise CephaloError(
            f"dataset {name} has no column {', '.join(sorted(missing))}; train on the config "
            "`conversations` of a dataset that `cephalo publish` made"
        )
    return {split: rows.select_columns(COLUMNS) for split, rows in data.items()}


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


def collator(processor: Any) -> Any:
    """TRL's vision collator, on texts that begin as they do at inference.

    The collator tokenizes without special tokens. Where the tokenizer adds a beginning-of-sequence
    token at inference and the chat template does not, a copy of the template gets it.
    """
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    bos = processor.tokenizer.bos_token
    adds_bos = processor.tokenizer("a").input_ids[:1] == [processor.tokenizer.bos_token_id]
    if bos and adds_bos and "bos_token" not in processor.chat_template:
        processor = copy.copy(processor)
        processor.chat_template = "{{ bos_token }}" + processor.chat_template
    return DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)
