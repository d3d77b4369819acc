"""Keys and tokens, which go into the headers of requests."""

import os
from collections.abc import Mapping

from cephalo.cli.errors import CephaloError

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "JUDGE_API_KEY")


def check_key(key: str, where: str) -> str:
    """Return `key`, which is from `where`, if a header can hold it.

    Raises CephaloError for line breaks, blanks and what is not ASCII; it does not repeat the key.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CephaloError(f"{where} has a character that no key has; copy it again")
    return key


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Raise CephaloError for a key in the environment that no header can hold."""
    for name in VARIABLES:
        check_key(environment.get(name, ""), name)
