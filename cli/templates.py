"""Chat templates, which come with models: tried in a process of their own, of bounded time.

The sandbox of transformers keeps a template from files and code, and not from a loop without end
or a text without end.
"""

import multiprocessing
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError

SECONDS = 5.0  # for one conversation; templates of published models take milliseconds
MOST_CHARACTERS = 1_000_000  # of a template, and of what it writes
SPARE_BYTES = 1 << 29  # of memory, above what the process has when it begins
WRITTEN, FAILED = b"+", b"-"


class TemplateFailedError(CephaloError):
    """A template refuses a conversation, or does what its sandbox forbids."""


def render(template: str, messages: list[dict[str, Any]], tokens: dict[str, str]) -> str:
    """What a template writes for messages, up to where the answer begins.

    Args:
        template: in Jinja, as in chat_template.jinja.
        messages: with lists of parts as contents.
        tokens: the texts of special tokens, "bos_token" and the like.

    Raises TemplateFailedError if it refuses them, and CephaloError if it takes more than
    `SECONDS`, `SPARE_BYTES` or `MOST_CHARACTERS`.
    """
    if len(template) > MOST_CHARACTERS:
        raise CephaloError(
            f"the chat template has {len(template):,} characters and may have "
            f"{MOST_CHARACTERS:,}; save the model with another"
        )
    import transformers.utils.chat_template_utils  # noqa: F401 - here, or each child would

    # A copy of this process begins at once, where there is one: a new one would import for seconds.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(
        target=render_within_limits, args=(writer, template, messages, tokens), daemon=True
    )
    child.start()
    writer.close()
    try:
        if not reader.poll(SECONDS):
            raise CephaloError(
                f"the chat template takes more than {SECONDS:g} seconds for one conversation; save "
                "the model with another"
            )
        found = reader.recv_bytes(4 * MOST_CHARACTERS + 1)
    except EOFError as error:
        raise CephaloError(
            "the chat template takes too much memory; save the model with another"
        ) from error
    finally:
        child.kill()
        child.join()
        reader.close()
    text = found[1:].decode()
    if found[:1] == FAILED:
        raise TemplateFailedError(f"the chat template cannot write a conversation: {text}")
    return text


def render_within_limits(
    writer: Connection, template: str, messages: list[dict[str, Any]], tokens: dict[str, str]
) -> None:
    """Send what `render` returns, or why there is nothing; in a process that ends afterwards."""
    from transformers.utils.chat_template_utils import render_jinja_template

    limit_memory()
    try:
        [text], _ = render_jinja_template(
            [messages], chat_template=template, add_generation_prompt=True, **tokens
        )
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"it writes {len(text):,} characters")
        writer.send_bytes(WRITTEN + text.encode("utf-8", "replace"))
    except MemoryError:
        return
    except Exception as error:  # of the template, which may raise anything
        said = " ".join(str(error).split())[:300] or type(error).__name__
        writer.send_bytes(FAILED + said.encode("utf-8", "replace"))


def limit_memory() -> None:
    """Let this process take `SPARE_BYTES` more than it has, if the system tells how much."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, OSError, ValueError):
        return


@cache
def check_template(template: str, tokens: tuple[tuple[str, str], ...]) -> None:
    """Raise CephaloError if a template cannot write a question, its answer and another one.

    `tokens` are those of `render`, in pairs. What was found well is not tried again.
    """
    image, text = {"type": "image"}, {"type": "text", "text": "What is shown?"}
    talk = [
        {"role": "user", "content": [image, text]},
        {"role": "assistant", "content": [text]},
        {"role": "user", "content": [text]},
    ]
    render(template, talk, dict(tokens))
