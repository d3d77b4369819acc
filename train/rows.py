"""Load, check and mix training rows."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from cephalo.cli.errors import CephaloError
from cephalo.cli.templates import render_with
from cephalo.model_cards.hub_names import resolve

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from datasets import Dataset, Features, IterableDataset

    from cephalo.train.arguments import CephaloArguments
    from modeling_cephalo.annotations import Processor


COLUMNS = ["images", "prompt", "completion"]
MOST_NAMED = 12  # columns or rows of a dataset in a message


class Line(TypedDict):
    """A part of a message: its `type` is "text", or "image" without a text."""

    type: str
    text: str | None


class Message(TypedDict):
    """A turn of the "user" or the "assistant"."""

    role: str
    content: list[Line]


def load_rows(script_args: "CephaloArguments") -> "dict[str, Dataset | IterableDataset]":
    """Load the train split, and the validation split if there is one, with `COLUMNS` and `row`, the
    row's name.

    With `dataset_streaming` they are streams. With `text_share`, that share of the train split are
    rows of the text dataset: a shuffled subset of them, or all of them several times. Raises
    CephaloError if a dataset, its config, split or columns cannot be loaded.
    """
    data = load_splits(
        script_args.dataset_name,
        script_args.dataset_config,
        script_args.dataset_revision,
        script_args.dataset_train_split,
        script_args.dataset_streaming,
        script_args.where,
    )
    if script_args.text_share:
        assert script_args.text_dataset_name  # validated together
        text = load_splits(
            script_args.text_dataset_name,
            script_args.text_dataset_config,
            streaming=script_args.dataset_streaming,
        )
        data["train"] = mix(data["train"], text["train"], script_args.text_share)
    return data


def load_splits(
    name: str,
    config: str | None,
    revision: str | None = None,
    train_split: str = "train",
    streaming: bool = False,
    where: str | None = None,
) -> "dict[str, Dataset | IterableDataset]":
    """Load the splits "train" and, if there is one, "validation" of a dataset, as `COLUMNS` and
    `row`; with `where`, only rows for which that condition holds.

    Raises CephaloError if it cannot be loaded.
    """
    from datasets import load_dataset

    try:
        splits = load_dataset(name, config, revision=revision, streaming=streaming)
    except (OSError, ValueError) as error:
        raise CephaloError(f"cannot load dataset {name}: {error}") from error
    if train_split not in splits:
        raise CephaloError(f"dataset {name} has no split {train_split!r}; it has {[*splits]}")
    wanted = {"train": train_split, "validation": "validation"}
    return {
        split: named(
            to_conversations(chosen(splits[theirs], where, f"{name} {theirs}"), name),
            f"{name} {theirs}" + (f" where {where} " if where else ""),
        )
        for split, theirs in wanted.items()
        if theirs in splits
    }


def chosen(
    rows: "Dataset | IterableDataset", where: str | None, name: str
) -> "Dataset | IterableDataset":
    """Return the rows of a split for which a condition holds; all without one.

    Raises CephaloError if it is invalid, or holds for none.
    """
    if where is None:
        return rows
    from datasets import IterableDataset

    from cephalo.cli.where import Where, types_of

    if rows.features is None:
        raise CephaloError(f"--where: the columns of {name} are not known before it is read")
    condition = Where(where, types_of(rows.features.arrow_schema), name)

    def holds(*values: object) -> bool:
        return condition(dict(zip(condition.columns, values, strict=True)))

    if isinstance(rows, IterableDataset):
        # `named` needs images undecoded, and a condition does not need them.
        return rows.decode(False).filter(holds, input_columns=condition.columns)
    kept = rows.filter(holds, input_columns=condition.columns)
    logger.info("--where takes %d of %d rows of %s", len(kept), len(rows), name)
    if not len(kept):
        raise CephaloError(f"--where {where!r} takes none of {len(rows)} rows of {name}")
    return kept


def to_conversations(rows: "Dataset | IterableDataset", name: str) -> "Dataset | IterableDataset":
    """Return `rows` as `COLUMNS`: unchanged, or from the columns of the original Cephalo datasets
    (query, answer, and an image or none).

    Raises CephaloError if they are neither.
    """
    columns = set(rows.column_names or ())
    if set(COLUMNS) <= columns:
        return rows.select_columns(COLUMNS)
    if {"query", "answer"} <= columns:
        from datasets import Image

        if "image" in columns:
            rows = rows.cast_column("image", Image(decode=False))
        return rows.map(conversation, remove_columns=rows.column_names, features=row_features())
    raise CephaloError(
        f"dataset {name} has no column {', '.join(sorted(set(COLUMNS) - columns))}; train on the "
        f"config `conversations` of a dataset that `cephalo publish` made; it has "
        f"{', '.join(sorted(columns)[:MOST_NAMED])}; `cephalo import` converts a table of image "
        "files with captions or with questions and answers"
    )


def named(rows: "Dataset | IterableDataset", split: str) -> "Dataset | IterableDataset":
    """Add `row`, a name for each row: "lab/nacre train[17]"; images stay undecoded."""
    from datasets import Features, Image, IterableDataset, List, Value

    rows = rows.cast_column("images", List(Image(decode=False)))
    if not isinstance(rows, IterableDataset):
        return rows.add_column("row", [f"{split}[{index}]" for index in range(len(rows))])

    def with_name(row: dict[str, object], index: int) -> dict[str, object]:
        return {**row, "row": f"{split}[{index}]"}

    assert rows.features is not None  # set by the cast
    features = Features(rows.features | {"row": Value("string")})
    return rows.map(with_name, with_indices=True, features=features)


def row_features() -> "Features":
    """Return the features of `COLUMNS`, as `cephalo publish` writes them."""
    from datasets import Features, Image, List, Value

    line = {"type": Value("string"), "text": Value("string")}
    messages = List({"role": Value("string"), "content": List(line)})
    return Features({"images": List(Image()), "prompt": messages, "completion": messages})


def conversation(row: dict[str, object]) -> dict[str, object]:
    """Build a row of `COLUMNS` from one with query, answer and optionally an image."""
    images = [row["image"]] if row.get("image") else []
    lines = [{"type": "image", "text": None} for _ in images]
    lines.append({"type": "text", "text": row["query"]})
    answer = [{"type": "text", "text": row["answer"]}]
    return {
        "images": images,
        "prompt": [{"role": "user", "content": lines}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def mix(
    rows: "Dataset | IterableDataset", text: "Dataset | IterableDataset", share: float
) -> "Dataset | IterableDataset":
    """Mix `rows` with rows of `text` that make up `share` of the total, shuffled with a fixed seed.

    In streams, a row of `text` has the probability `share`, until `rows` end.
    """
    from datasets import IterableDataset, concatenate_datasets, interleave_datasets

    if isinstance(rows, IterableDataset):
        return interleave_datasets(
            [rows, cast("IterableDataset", text).repeat(None)],
            probabilities=[1 - share, share],
            seed=0,
        )
    text = cast("Dataset", text)  # as `rows`
    wanted = round(len(rows) * share / (1 - share))
    order = text.shuffle(seed=0)
    repeated = [order] * (wanted // len(text)) + [order.select(range(wanted % len(text)))]
    return concatenate_datasets([rows, *repeated]).shuffle(seed=0)


def dataset_revision(script_args: "CephaloArguments") -> str | None:
    """Return the commit to train on for a dataset on the Hub, or None for a folder.

    Raises CephaloError if the Hub has no such dataset or revision, or does not answer.
    """
    name = script_args.dataset_name
    if not name:
        raise CephaloError(
            "no dataset; set dataset_name in the config or give --dataset_name NAMESPACE/NAME"
        )
    if Path(name).exists():
        return None
    mend = "publish it with `cephalo publish` first"
    return resolve(name, script_args.dataset_revision, "dataset", mend).sha


def message_texts(messages: list[Message]) -> list[str]:
    """Return the texts of a list of messages, without images."""
    return [line["text"] for message in messages for line in message["content"] if line["text"]]


def without_special_tokens(
    rows: "Dataset | IterableDataset", processor: "Processor"
) -> "Dataset | IterableDataset":
    """Exclude rows whose text contains a special token or an image tag of the processor, as an
    untrusted caption can.

    Such a text would break the count of images or end the answer early.
    """
    from datasets import IterableDataset

    added = processor.tokenizer.added_tokens_decoder.values()
    forbidden = [re.compile(re.escape(token.content)) for token in added if token.special]
    if tag := getattr(processor, "image_tag", None):  # phi3_v's tags are not tokens
        forbidden.append(tag)

    def clean(prompt: list[Message], completion: list[Message]) -> bool:
        texts = message_texts(prompt) + message_texts(completion)
        return not any(pattern.search(text) for text in texts for pattern in forbidden)

    if isinstance(rows, IterableDataset):
        # `named` needs images undecoded, and a condition does not need them.
        return rows.decode(False).filter(clean, input_columns=["prompt", "completion"])
    kept = rows.filter(clean, input_columns=["prompt", "completion"])
    if isinstance(rows, IterableDataset):
        return kept
    if len(kept) < len(rows):
        gone = {*rows["row"]} - {*kept["row"]}
        left_out = [name for name in rows["row"] if name in gone]
        logger.warning(
            "excluded %d rows whose text contains a special token of the tokenizer: %s",
            len(rows) - len(kept),
            ", ".join(left_out[:MOST_NAMED]) + (", …" if left_out[MOST_NAMED:] else ""),
        )
    if not len(kept):
        raise CephaloError("the dataset has no rows to train on; publish more figures first")
    return kept


def answers_apart(
    rows: "Dataset | IterableDataset", processor: "Processor"
) -> "Dataset | IterableDataset":
    """Split rows into one per answer if the chat template rewrites earlier turns; otherwise return
    `rows`.

    Templates of reasoning models omit the thoughts of all turns but the last: the context of an
    answer differs from its rendering in the next turn.
    """
    if not rewrites_turns(processor):
        return rows
    logger.warning(
        "the chat template rewrites earlier turns, so each answer of a conversation becomes a "
        "separate row, with the context that it has at inference; training is slower"
    )
    return rows.map(split_answers, batched=True, features=rows.features)


def rewrites_turns(processor: "Processor") -> bool:
    """Return whether the chat template renders a turn differently if others follow."""
    talk = [
        {"role": role, "content": [{"type": "text", "text": "nacre"}]}
        for role in ("user", "assistant") * 2
    ]
    return not render_with(processor, talk).startswith(render_with(processor, talk[:2]))


def split_answers(batch: dict[str, list[Any]]) -> dict[str, list[object]]:
    """Return rows with one answer each and the preceding turns in the prompt, named by row and
    answer."""
    split: dict[str, list[object]] = {name: [] for name in batch}
    for images, prompt, completion, row in zip(
        *(batch[name] for name in (*COLUMNS, "row")), strict=True
    ):
        ends = [place for place, turn in enumerate(completion) if turn["role"] == "assistant"]
        for number, end in enumerate(ends, start=1):
            split["images"].append(images)
            split["prompt"].append([*prompt, *completion[:end]])
            split["completion"].append([completion[end]])
            split["row"].append(f"{row} answer {number}" if len(ends) > 1 else row)
    return split
