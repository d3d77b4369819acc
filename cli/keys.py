"""Validate the keys, tokens and addresses of requests, which come from the environment."""

import os
from collections.abc import Mapping

from cephalo.cli.addresses import is_web_address
from cephalo.cli.errors import CephaloError

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "JUDGE_API_KEY")


def check_key(key: str, where: str) -> str:
    """Return `key` if it is valid in an HTTP header; `where` names its origin.

    Raises CephaloError for line breaks, spaces and non-ASCII characters; its message does not
    contain the key.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CephaloError(f"{where} has a character that keys cannot have; copy it again")
    return key


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Raise CephaloError for a key in the environment that is not valid in an HTTP header, and for
    an HF_ENDPOINT that is not a web address."""
    for name in VARIABLES:
        check_key(environment.get(name, ""), name)
    endpoint = environment.get("HF_ENDPOINT")
    if endpoint and not is_web_address(endpoint):
        raise CephaloError(
            f"HF_ENDPOINT {endpoint[:200]!r} is not an address; set it to one like "
            "https://huggingface.co, or unset it"
        )
