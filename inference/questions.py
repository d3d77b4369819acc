"""Ask questions with a reply cache on disk that is keyed by all inputs of a request.

`Endpoint` (endpoint.py) and `LocalModel` (local_model.py) send a question; `Respondent` reads the
cache first, and asks again if a reply does not have the required form.
"""

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol, TypedDict

from pydantic import BaseModel, ValidationError

from cephalo.cli.errors import CephaloError, fault_of

MAX_REPLY = 100_000  # characters; a longer reply cannot be an answer


@dataclass(frozen=True)
class Picture:
    """An image to send: the bytes of its file, and the SHA-256 of its content."""

    sha256: str
    data: bytes


@dataclass(frozen=True)
class Question:
    """Texts and images in the order of the prompt, and the form of the answer: JSON of a schema, or
    any text."""

    system: str
    parts: tuple[str | Picture, ...]
    schema: type[BaseModel] | None = None


@dataclass(frozen=True)
class Reply:
    """The reply of a model. `finish_reason` is OpenAI's: "stop", "length", ..."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Answer:
    """The last reply to a question, with its parsed `value` if JSON was required, or the `error` if
    it is unusable."""

    reply: Reply
    round: int
    value: BaseModel | None = None
    error: str | None = None


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters of a question; part of the cache key."""

    temperature: float = 0.7
    max_tokens: int = 1024
    seed: int = 0


class NoAnswerError(Exception):
    """A single question has no answer; others may have one. The message is one line."""


class BudgetSpentError(Exception):
    """The budget of requests or tokens is used up. The message is one line."""


@dataclass
class Usage:
    """Usage and budget of this run, shared by teacher and judge."""

    max_requests: int | None = None
    max_total_tokens: int | None = None
    requests: int = 0  # including retries
    retries: int = 0
    replies: int = 0
    cached: int = 0  # replies from the cache
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def take_request(self) -> None:
        """Count one request. Raises BudgetSpentError if none is left.

        Tokens are counted when a reply arrives, so requests in flight can exceed their limit.
        """
        if self.max_requests is not None and self.requests >= self.max_requests:
            raise BudgetSpentError(
                f"{self.requests:,} requests were sent, the limit of --max-requests"
            )
        tokens = self.prompt_tokens + self.completion_tokens
        if self.max_total_tokens is not None and tokens >= self.max_total_tokens:
            raise BudgetSpentError(f"{tokens:,} tokens were used, the limit of --max-total-tokens")
        self.requests += 1

    def count(self, reply: Reply) -> None:
        """Add the tokens of a new reply."""
        self.replies += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens


class ModelSettings(TypedDict):
    """Settings that affect replies: the name of the model, and the maximum edge of images in
    pixels."""

    model: str
    max_image_edge: int


class Model(Protocol):
    """A model that answers questions. `settings` are all inputs of its replies besides the
    question."""

    settings: ModelSettings

    async def send(self, question: Question, sampling: Sampling) -> Reply:
        """Return one reply. Raises NoAnswerError, BudgetSpentError or, to end the run,
        CephaloError."""
        ...


class ReplyCache:
    """Replies in one SQLite file, each written when it arrives, so that a killed process loses
    none.

    A question is asked in rounds (a later one replaces rejected answers) and within a round in
    attempts (a later one replaces a malformed reply).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.database = sqlite3.connect(path, isolation_level=None)
            # A write-ahead log survives the death of the process without a sync for each reply.
            self.database.execute("PRAGMA journal_mode = WAL")
            self.database.execute("PRAGMA synchronous = NORMAL")
            self.database.execute(
                "CREATE TABLE IF NOT EXISTS replies (key TEXT, round INTEGER, attempt INTEGER,"
                " text TEXT, finish_reason TEXT, prompt_tokens INTEGER, completion_tokens INTEGER,"
                " PRIMARY KEY (key, round, attempt)) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            raise CephaloError(f"cannot open {path}: {error}; move it away") from error

    def last_round(self, key: str) -> int:
        """Return the latest round of a question, 0 if it was never asked."""
        query = "SELECT max(round) FROM replies WHERE key = ?"
        return self.database.execute(query, [key]).fetchone()[0] or 0

    def get(self, key: str, round: int, attempt: int) -> Reply | None:
        """Return a reply, or None if it is not in the cache."""
        row = self.database.execute(
            "SELECT text, finish_reason, prompt_tokens, completion_tokens FROM replies"
            " WHERE key = ? AND round = ? AND attempt = ?",
            [key, round, attempt],
        ).fetchone()
        return Reply(*row) if row else None

    def put(self, key: str, round: int, attempt: int, reply: Reply) -> None:
        """Store a reply. Raises CephaloError if it cannot be written."""
        row = [key, round, attempt, in_utf8(reply.text), in_utf8(reply.finish_reason)]
        row += [reply.prompt_tokens, reply.completion_tokens]
        try:
            self.database.execute("INSERT OR REPLACE INTO replies VALUES (?,?,?,?,?,?,?)", row)
        except sqlite3.DatabaseError as error:
            raise CephaloError(f"cannot write {self.path}: {error}; free disk space") from error

    def totals(self) -> tuple[int, int, int]:
        """Return the number, prompt tokens and completion tokens of all replies in the file."""
        return self.database.execute(
            "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0)"
            " FROM replies"
        ).fetchone()

    def close(self) -> None:
        """Close the file."""
        self.database.close()


class Respondent:
    """A model with its sampling and the cache of its replies.

    A malformed reply is requested again, with another seed, up to `max_retries` times.
    """

    def __init__(
        self, model: Model, sampling: Sampling, cache: ReplyCache, usage: Usage, max_retries: int
    ) -> None:
        self.model, self.sampling, self.cache = model, sampling, cache
        self.usage, self.max_retries = usage, max_retries

    def key(self, question: Question) -> str:
        """Return the cache key of a question: the SHA-256 of all inputs of its replies."""
        parts = [part if isinstance(part, str) else [part.sha256] for part in question.parts]
        settings = {**self.model.settings, **vars(self.sampling)}
        form = schema_text(question.schema) if question.schema else "null"
        text = ", ".join(
            [
                json.dumps(question.system),
                json.dumps(parts),
                form,
                json.dumps(settings, sort_keys=True),
            ]
        )
        return hashlib.sha256(f"[{text}]".encode()).hexdigest()

    async def ask(
        self, question: Question, rejected_rounds: Sequence[int] = (), advice: str = ""
    ) -> Answer:
        """Return the answer to a question, from the cache if possible.

        If the latest round is among `rejected_rounds`, the question is asked in a new one, with
        `advice` after it; replies are cached under the question without it. Raises NoAnswerError,
        BudgetSpentError or, to end the run, CephaloError.
        """
        key = self.key(question)
        round = self.cache.last_round(key)
        if round in rejected_rounds:
            round += 1
            question = replace(question, parts=(*question.parts, *filter(None, [advice])))
        failed: Answer | None = None
        for attempt in range(self.max_retries + 1):
            reply = self.cache.get(key, round, attempt)
            if reply is None:
                seed = self.sampling.seed + 1000 * round + attempt
                reply = await self.model.send(question, replace(self.sampling, seed=seed))
                self.usage.count(reply)
                self.cache.put(key, round, attempt, reply)
            else:
                self.usage.cached += 1
            try:
                return Answer(reply, round, value=read_answer(question.schema, reply.text))
            except ValueError as error:
                failed = Answer(reply, round, error=str(error))
            if reply.finish_reason == "length":  # another one would be cut too
                break
        assert failed is not None  # there was at least one attempt
        return failed


@cache
def json_schema(form: type[BaseModel]) -> dict[str, object]:
    """Return the JSON schema of a form of answer."""
    return form.model_json_schema()


@cache
def schema_text(form: type[BaseModel]) -> str:
    """Return the JSON schema of a form of answer as text, the same in each process."""
    return json.dumps(json_schema(form), sort_keys=True)


def in_utf8(text: str) -> str:
    """Replace half surrogate pairs, which JSON can contain and files cannot, by "?"."""
    return text.encode("utf-8", "replace").decode()


def read_answer(schema: type[BaseModel] | None, text: str) -> BaseModel | None:
    """Parse `text` in the form of `schema`; returns None if any text is accepted.

    Raises ValueError, one line, for another form and for empty text.
    """
    if schema is not None:
        return parse_reply(schema, text)
    if not text.strip():
        raise ValueError("the reply is empty")
    return None


def parse_reply(schema: type[BaseModel], text: str) -> BaseModel:
    """Return the first JSON object in `text` that has the form of `schema`.

    Servers without structured output wrap it in prose or a Markdown fence. Raises ValueError, one
    line, if there is none.
    """
    if len(text) > MAX_REPLY:
        raise ValueError(f"the reply has {len(text):,} characters")
    text = in_utf8(text)
    errors: list[str] = []
    decoder, place, end = json.JSONDecoder(), text.find("{"), 0
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
            if "\\u" in text:  # an escape may be half of a surrogate pair
                value = json.loads(in_utf8(json.dumps(value, ensure_ascii=False)))
            return schema.model_validate(value)
        except ValidationError as problem:
            first = problem.errors()[0]
            errors.append(f"{'.'.join(map(str, first['loc'])) or 'the reply'}: {fault_of(first)}")
            place = text.find("{", end)
        except (ValueError, RecursionError) as problem:
            errors.append(f"broken JSON: {problem}")
            place = text.find("{", place + 1)
    raise ValueError(errors[0] if errors else "no JSON object in the reply")
