"""Render chat templates of models in a separate process, with limits on time and memory.

The sandbox of transformers protects files and code, but not against an endless loop or endless
text, which a template may produce for some questions only. The process is started once and reused,
so that a conversation costs a fraction of a millisecond.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from cephalo.cli.errors import CephaloError

if TYPE_CHECKING:
    from transformers import ProcessorMixin

SECONDS = 5.0  # for one conversation; templates of published models take milliseconds
MOST_CHARACTERS = 1_000_000  # of a template, and of its output in addition to the messages
# The environment variables of the process: paths of its libraries, and the time zone. Hub tokens
# and API keys are withheld, since templates are untrusted.
ENVIRONMENT = ("PATH", "HOME", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR", "TZ")


class TemplateFailedError(CephaloError):
    """A template rejects a conversation, or violates its sandbox."""


class TemplateUnboundedError(CephaloError):
    """A template takes too much time or memory; do not try other conversations."""


def render(
    template: str,
    messages: Sequence[Mapping[str, object]],
    tokens: Mapping[str, str],
    add_generation_prompt: bool = True,
) -> str:
    """Render messages with a chat template.

    Args:
        template: Jinja source, as in chat_template.jinja.
        messages: As in transformers' `apply_chat_template`. Images become placeholders.
        tokens: Texts of the special tokens, such as "bos_token".
        add_generation_prompt: Whether to append the start of the assistant's turn.

    Raises:
        TemplateFailedError: If it rejects them or writes more than `MOST_CHARACTERS`.
        TemplateUnboundedError: If it takes more than `SECONDS` or too much memory.
    """
    if len(template) > MOST_CHARACTERS:
        raise CephaloError(
            f"the chat template has {len(template):,} characters and may have "
            f"{MOST_CHARACTERS:,}; save the model with another"
        )
    request = {
        "template": template,
        "messages": messages,
        "tokens": tokens,
        "add_generation_prompt": add_generation_prompt,
        "seconds": SECONDS,
        "most_characters": MOST_CHARACTERS,
    }
    reply = _renderer.ask(json.dumps(request, default=placeholder))
    if "failed" in reply:
        raise TemplateFailedError(
            f"the chat template cannot write a conversation: {reply['failed']}"
        )
    return reply["text"]


def placeholder(value: object) -> str:
    """Return a placeholder for an image in a message, since templates only test for its key."""
    return f"<{type(value).__name__}>"


class _Renderer:
    """A `template_process`, started on first use and restarted after it ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.lock = threading.Lock()

    def ask(self, request: str) -> dict[str, str]:
        """Return the reply to a request. Raises TemplateUnboundedError if the process ends
        meanwhile."""
        with self.lock:
            process = self.started()
            assert process.stdin and process.stdout  # both are pipes
            try:
                process.stdin.write(request + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:  # Ctrl-C: its reply must not be read as that of the next request
                self.stop()
                raise
            if line.endswith("\n"):
                return json.loads(line)
            code = process.wait()
            self.stop()
        if code == -signal.SIGALRM:
            raise TemplateUnboundedError(
                f"the chat template takes more than {SECONDS:g} seconds for one conversation; save "
                "the model with another"
            )
        if code > 0:  # a defect; its traceback was printed
            raise RuntimeError(f"the process for chat templates ended with exit code {code}")
        raise TemplateUnboundedError(
            "the chat template takes too much memory; save the model with another"
        )

    def started(self) -> subprocess.Popen[str]:
        """Return the process, restarted if it has ended."""
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.process = subprocess.Popen(
                # -P: no module of the current folder is imported.
                [sys.executable, "-P", "-m", "cephalo.cli.template_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="ascii",  # of JSON as `json` writes it
                env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
                start_new_session=True,  # Ctrl-C is handled by its parent
            )
        return self.process

    def stop(self) -> None:
        """End the process, if it is running."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            self.close(process)

    def forget(self) -> None:
        """Leave the process to the parent after a fork."""
        process, self.process = self.process, None
        self.lock = threading.Lock()
        if process is not None:
            process.returncode = 0  # otherwise Popen would wait for another process's child
            self.close(process)

    @staticmethod
    def close(process: subprocess.Popen[str]) -> None:
        for pipe in filter(None, (process.stdin, process.stdout)):
            with suppress(OSError):
                pipe.close()


_renderer = _Renderer()
atexit.register(_renderer.stop)
os.register_at_fork(  # between two requests, or the pipes would contain parts of them
    before=lambda: _renderer.lock.acquire(),
    after_in_parent=lambda: _renderer.lock.release(),
    after_in_child=lambda: _renderer.forget(),
)


@cache
def check_template(template: str, tokens: tuple[tuple[str, str], ...]) -> None:
    """Raise CephaloError if a template cannot render a question, its answer and another question.

    `tokens` are those of `render`, in pairs. Valid templates are cached.
    """
    image, text = {"type": "image"}, {"type": "text", "text": "What is shown?"}
    talk = [
        {"role": "user", "content": [image, text]},
        {"role": "assistant", "content": [text]},
        {"role": "user", "content": [text]},
    ]
    render(template, talk, dict(tokens))


def render_with(
    processor: "ProcessorMixin",
    messages: Sequence[Mapping[str, object]],
    add_generation_prompt: bool = False,
) -> str:
    """Render as a processor's `apply_chat_template` does, in bounded time and memory. Raises as
    `render`."""
    template, tokens = template_of(processor)
    return render(template, messages, tokens, add_generation_prompt)


def template_of(processor: "ProcessorMixin") -> tuple[str, dict[str, str]]:
    """Return a processor's chat template and its special tokens."""
    template = processor.chat_template
    if isinstance(template, dict):
        template = template.get("default", "")
    assert template is not None  # as `read_processor` ensures
    tokens = processor.tokenizer.special_tokens_map
    return template, {
        name: str(text) for name, text in tokens.items() if not isinstance(text, list)
    }
