"""The process that renders chat templates for `cephalo.cli.templates`, one request after another.

Each request and reply is one line of JSON. The process ends with its input, with a request that
takes too long (SIGALRM, which also ends it if its parent is gone), and with one that takes too much
memory (exit code 0, or a signal).
"""

# Untyped or partially typed: transformers.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from cephalo.cli.json_files import Json

SPARE_BYTES = 1 << 29  # of memory, above what the process uses at its start


class Request(TypedDict):
    """A line of the input; `seconds` and `most_characters` limit what it may take and write."""

    template: str
    messages: list[Json]
    tokens: dict[str, str]
    add_generation_prompt: bool
    seconds: float
    most_characters: int


def main() -> None:
    """Answer requests until the input ends."""
    replies, sys.stdout = sys.stdout, sys.stderr  # output of a library is not a reply
    from transformers.utils.chat_template_utils import render_jinja_template

    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a parent may pass on that it is ignored
    limit_memory()
    for line in sys.stdin:
        request: Request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        try:
            reply = {"text": rendered(request, render_jinja_template)}
        except MemoryError:
            return
        except Exception as error:  # a template may raise anything
            said = " ".join(str(error).split())[:300] or type(error).__name__
            reply = {"failed": said}
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(reply), file=replies, flush=True)


def rendered(
    request: Request,
    render: Callable[..., Any],  # transformers annotates a wrong return type
) -> str:
    """Return the rendered messages of a request. Raises ValueError if the text is too long."""
    [text], _ = render(
        [request["messages"]],
        chat_template=request["template"],
        add_generation_prompt=request["add_generation_prompt"],
        **request["tokens"],
    )
    if len(text) > request["most_characters"] + len(json.dumps(request["messages"])):
        raise ValueError(f"it writes {len(text):,} characters")
    return text


def limit_memory() -> None:
    """Limit this process to `SPARE_BYTES` more than it uses, if the system reports its usage."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
