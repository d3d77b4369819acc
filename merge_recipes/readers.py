"""Compare how sources process texts and images: a merged model has the processor of the first."""

import json
import logging
from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING

from cephalo.cli.errors import CephaloError
from cephalo.merge_recipes.moe_sources import Dense, differences, flat, listed, tokenizer_parts
from cephalo.merge_recipes.sources import Checkpoint
from modeling_cephalo.checkpoint import PROCESSORS, TOKENIZERS, read_config, read_processor

if TYPE_CHECKING:
    from modeling_cephalo.annotations import Processor

logger = logging.getLogger(__name__)

SPECIAL = ("bos_token", "eos_token", "pad_token")
# Parts of a tokenizer that are compared by token ids.
BY_IDS = ("model.vocab", "added_tokens")
# Attributes of a processor that are not compared.
NOT_COMPARED = ("tokenizer", "chat_template", "processor_class")


def check_readers(checkpoints: Iterable[Checkpoint]) -> None:
    """Compare tokenizers and processors with those of the first checkpoint.

    A difference that does not change the meaning of tokens, such as the image size or the chat
    template, causes a warning. A checkpoint with only weights is not compared.

    Args:
        checkpoints: The sources of a recipe.

    Raises:
        CephaloError: If a tokenizer or processor is incomplete, or assigns other ids to tokens, so
            that layers would read other words than they were trained on.
    """
    first, *others = {own.folder: own for own in checkpoints}.values()
    wanted = read(first)
    for other in others:
        if not any((other.folder / name).exists() for name in (*TOKENIZERS, *PROCESSORS)):
            continue
        own = read(other)
        check_ids(other, own.tokenizer.get_vocab(), first, wanted.tokenizer.get_vocab())
        ours, theirs = manner(other, own), manner(first, wanted)
        both = ours.keys() & theirs.keys()  # some checkpoints lack files of the tokenizer
        if found := differences({k: ours[k] for k in both}, {k: theirs[k] for k in both}):
            logger.warning(
                "%s processes texts or images differently from %s, whose processor the result has: "
                "%s",
                other.name,
                first.name,
                listed(found),
            )


def read(checkpoint: Checkpoint) -> "Processor":
    """Return the processor of a checkpoint.

    Raises:
        CephaloError: If it is incomplete.
    """
    return read_processor(checkpoint.folder, read_config(checkpoint.folder))


def check_ids(
    other: Checkpoint, ours: dict[str, int], first: Checkpoint, theirs: dict[str, int]
) -> None:
    """Raise `CephaloError` if a token has different ids in `other` and `first`, or vice versa.

    A token that only one of them has is not a difference.
    """
    words = {number: token for token, number in theirs.items()}
    wrong = [
        f"{token!r} is {number}, not {theirs[token]}"
        if token in theirs
        else f"{number} is {token!r}, not {words[number]!r}"
        for token, number in sorted(ours.items(), key=itemgetter(1))
        if theirs.get(token, number) != number or words.get(number, token) != token
    ]
    if wrong:
        raise CephaloError(
            f"{other.name} has other token ids than {first.name}: {listed(wrong)}; its layers "
            "would read other words than they were trained on"
        )


def manner(checkpoint: Checkpoint, processor: "Processor") -> dict[str, object]:
    """Return the settings by which a processor makes tokens and pixels, as flat keys."""
    parts = tokenizer_parts(Dense(checkpoint))
    own = {key: part for key, part in processor.to_dict().items() if key not in NOT_COMPARED}
    own["image_processor"] = processor.image_processor.to_dict()
    return {
        **{f"tokenizer.{name}": part for name, part in parts.items() if name not in BY_IDS},
        **{f"tokenizer.{name}": getattr(processor.tokenizer, name) for name in SPECIAL},
        **flat(json.loads(json.dumps(own))),
    }
