"""Read how a checkpoint's answers are generated from its generation_config.json."""

import math
from collections.abc import Callable

from transformers import GenerationConfig

from cephalo.cli.errors import CephaloError

# Below, logits of some tens divided by the temperature exceed the range of float16; above, all
# tokens are almost equally likely.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-3, 100.0


def answering_settings(found: GenerationConfig, vocabulary: int) -> GenerationConfig:
    """Return the tokens that end and pad answers, suppressed tokens, and penalties.

    Lengths, beams, numbers of answers and forms of output are reset to their defaults, since the
    caller chooses them and not a downloaded file. Raises CephaloError for values that no model
    supports.
    """

    def is_token(value: object) -> bool:
        return type(value) is int and 0 <= value < vocabulary

    def are_tokens(value: object) -> bool:
        return isinstance(value, list) and all(map(is_token, value))

    def is_number(value: object, least: float, most: float) -> bool:
        # No bool, which is a subclass of int.
        return isinstance(value, int | float) and type(value) is not bool and least < value <= most

    def is_count(value: object) -> bool:
        return type(value) is int and value >= 0

    checks: dict[str, Callable[[object], bool]] = {
        "bos_token_id": is_token,
        "eos_token_id": lambda value: is_token(value) or are_tokens(value),
        "pad_token_id": is_token,
        "suppress_tokens": are_tokens,
        "begin_suppress_tokens": are_tokens,
        "bad_words_ids": lambda value: isinstance(value, list) and all(map(are_tokens, value)),
        "repetition_penalty": lambda value: is_number(value, 0, math.inf),
        "no_repeat_ngram_size": is_count,
        "top_k": is_count,
        "top_p": lambda value: is_number(value, 0, 1),
    }
    kept = {name: getattr(found, name, None) for name in checks}
    kept = {name: value for name, value in kept.items() if value is not None}
    for name, value in kept.items():
        if not checks[name](value):
            raise CephaloError(
                f"its generation_config.json has {name} {str(value)[:60]!r}, which no model "
                "supports; correct or remove it"
            )
    return GenerationConfig(**kept)


def checked_temperature(temperature: float) -> float:
    """Return a valid sampling temperature, 0 for greedy decoding. Raises CephaloError for
    others."""
    if temperature != 0 and not LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE:
        raise CephaloError(
            f"temperature {temperature:g}: give 0, or a number from {LEAST_TEMPERATURE:g} to "
            f"{MOST_TEMPERATURE:g}"
        )
    return temperature
