"""Parse the replies of chat completion servers: an answer, or an error in one of many forms."""

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping

from cephalo.cli.json_files import Json
from cephalo.inference.questions import Reply, in_utf8
from cephalo.inference.thoughts import without_thoughts

LONGEST_REASON = 300  # characters of a server's message
SHOWN = 10_000  # bytes of a body that are searched for a message
MOST_TOKENS = 2**53  # in one reply; larger numbers are not counts
# Optional fields, by the message of a server that does not support them.
OPTIONAL = {
    "response_format": r"response.?format|json.?schema|structured|grammar|guided|json.?mode",
    "max_tokens": r"max_tokens",
    "seed": r"\bseed\b",
    "temperature": r"temperature",
}
FIELD_REFUSED = (400, 422, 500, 501)  # statuses that come with an unknown field
# Keys of a model's thoughts, by server; the whole reply may be there.
THOUGHTS = ("reasoning_content", "reasoning")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_TAG = re.compile(
    r"<(?:style|script)\b.{0,2000}?</(?:style|script)\s*>|<[^<>]{0,500}>", re.IGNORECASE | re.DOTALL
)


class RefusedError(Exception):
    """The error of a server, in one line, with its HTTP status or the status in its body."""

    def __init__(
        self, status: int, reason: str, code: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"the server answers {status}: {reason}")
        self.status, self.reason, self.code, self.retry_after = status, reason, code, retry_after


def read_reply(body: bytes) -> Reply:
    """Return the reply in the body of a chat completion.

    Raises RefusedError if it contains an error, and ValueError, one line, if it is not one.
    """
    found = parsed(body)
    choice = first_choice(found)
    for holder in (found, choice):
        if isinstance(holder, dict) and (error := holder.get("error")):
            raise refusal(status_of(error), holder, {})
    message = choice.get("message") if isinstance(choice, dict) else None
    if not (isinstance(found, dict) and isinstance(choice, dict) and isinstance(message, dict)):
        raise ValueError(f"the server's answer is not a chat completion but {shown(body)}")
    finish_reason = str(choice.get("finish_reason") or "stop")[:LONGEST_REASON]
    usage = found.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        in_utf8(said(message, finish_reason)),
        in_utf8(finish_reason),
        count(usage.get("prompt_tokens")),
        count(usage.get("completion_tokens")),
    )


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> RefusedError:
    """Build the error from a reply with an HTTP error status."""
    if 300 <= status < 400:
        return RefusedError(status, f"it redirects to {one_line(headers.get('location', '?'))}")
    found = parsed(body)
    if not isinstance(found, dict):
        return RefusedError(status, shown(body), retry_after=retry_after(headers))
    return refusal(status, found, headers)


def refusal(status: int, found: dict[str, Json], headers: Mapping[str, str]) -> RefusedError:
    """Build the error from a JSON object: {"error": {"message": ...}} of OpenAI, {"error": ...} of
    Ollama, {"message": ...} and {"detail": ...} of others."""
    error = found.get("error") or found
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    reason = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
    return RefusedError(status, one_line(reason), str(code or ""), retry_after(headers))


def status_of(error: Json) -> int:
    """Return the HTTP status in an error within a reply of status 200, 500 if there is none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def parsed(body: bytes) -> Json:
    """Return the JSON in a body, or None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def first_choice(found: Json) -> Json:
    """Return the first choice of a completion, or None if there is none."""
    choices = found.get("choices") if isinstance(found, dict) else None
    return choices[0] if isinstance(choices, list) and choices else None


def said(message: dict[str, Json], finish_reason: str) -> str:
    """Return the text of a message: its content, a string or a list of parts, or the refusal.

    If a server's parser of thoughts finds no end mark, the answer is part of the thoughts, unless
    the reply was cut. A server without such a parser leaves the thoughts before the answer.
    """
    text = without_thoughts(text_of(message.get("content"))) or text_of(message.get("refusal"))
    if not text.strip() and finish_reason != "length":
        text = next(filter(None, (text_of(message.get(key)) for key in THOUGHTS)), text)
    return text


def text_of(content: Json) -> str:
    """Return a string, or the text of a list's parts that are not thoughts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def count(value: Json) -> int:
    """Return a number of tokens, 0 if a server sends something else, such as a word or 1e400."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return int(value) if 0 <= value <= MOST_TOKENS else 0


def refused_field(error: RefusedError, sent: set[str]) -> str | None:
    """Return the optional field that a server refused, or None for another error."""
    if error.status not in FIELD_REFUSED:
        return None
    for name in OPTIONAL:
        if name in sent and re.search(OPTIONAL[name], error.reason, re.I):
            return name
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait: a number, or an HTTP date (RFC 9110,
    10.2.3)."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def shown(body: bytes) -> str:
    """Format the content of an unexpected body in one line."""
    text = body[:SHOWN].decode("utf-8", "replace")
    if not text.strip():
        return "an empty reply"
    if text.lstrip().startswith("<"):
        title = _TITLE.search(text)
        words = title[1] if title and title[1].strip() else _TAG.sub(" ", text)
        return f"a page of HTML, {one_line(words)!r}"
    return one_line(text)


def one_line(text: str) -> str:
    """Format a text in one line of bounded length, without control characters."""
    kept = "".join(sign if sign.isprintable() else " " for sign in text[: 20 * LONGEST_REASON])
    return " ".join(kept.split())[:LONGEST_REASON]
