"""How sources read texts and images: the result does as the first, so the others must do alike."""

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
# Parts of a tokenizer that are compared by the ids of its tokens.
BY_IDS = ("model.vocab", "added_tokens")
# Of what a processor tells of itself.
NOT_COMPARED = ("tokenizer", "chat_template", "processor_class")


def check_readers(checkpoints: Iterable[Checkpoint]) -> None:
    """Compare tokenizers and processors with those of the first checkpoint.

    What does not change the meaning of a token, such as the size of images or the chat template, is
    warned about by name. A checkpoint of weights alone has nothing to compare.

    Raises CephaloError for a tokenizer or processor that is incomplete, and for one in which tokens
    have other ids: layers would read other words than they were trained on.
    """
    first, *others = {own.folder: own for own in checkpoints}.values()
    wanted = read(first)
    for other in others:
        if not any((other.folder / name).exists() for name in (*TOKENIZERS, *PROCESSORS)):
            continue
        own = read(other)
        check_ids(other, own.tokenizer.get_vocab(), first, wanted.tokenizer.get_vocab())
        ours, theirs = manner(other, own), manner(first, wanted)
        both = ours.keys() & theirs.keys()  # not every checkpoint has all files of a tokenizer
        if found := differences({k: ours[k] for k in both}, {k: theirs[k] for k in both}):
            logger.warning(
                "%s reads texts or images otherwise than %s, as which the result reads them: %s",
                other.name,
                first.name,
                listed(found),
            )


def read(checkpoint: Checkpoint) -> "Processor":
    """The processor of a checkpoint. Raises CephaloError if it is incomplete."""
    return read_processor(checkpoint.folder, read_config(checkpoint.folder))


def check_ids(
    other: Checkpoint, ours: dict[str, int], first: Checkpoint, theirs: dict[str, int]
) -> None:
    """Raise CephaloError if a token has another id in `other` than in `first`, or an id another
    token. A token that one of them does not have is no difference."""
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
            f"{other.name} has other ids of tokens than {first.name}: {listed(wrong)}; its layers "
            "would read other words than they were trained on"
        )


def manner(checkpoint: Checkpoint, processor: "Processor") -> dict[str, object]:
    """How a processor makes tokens and pixels, as flat keys."""
    parts = tokenizer_parts(Dense(checkpoint))
    own = {key: part for key, part in processor.to_dict().items() if key not in NOT_COMPARED}
    own["image_processor"] = processor.image_processor.to_dict()
    return {
        **{f"tokenizer.{name}": part for name, part in parts.items() if name not in BY_IDS},
        **{f"tokenizer.{name}": getattr(processor.tokenizer, name) for name in SPECIAL},
        **flat(json.loads(json.dumps(own))),
    }
