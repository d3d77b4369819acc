"""Find credentials before an upload: keys and tokens of known formats, and those in use here.

Formats of detect-secrets are used if they are specific enough.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from tqdm import tqdm

from cephalo.cli.errors import CephaloError
from cephalo.cli.json_files import strings
from cephalo.cli.logs import no_bars

BLOCK = 4 << 20  # bytes read at a time
# Bytes of a block that are read again with the next: the length of the longest credential.
OVERLAP = 8 << 10
# A binary file's numbers contain no text; pickles and archives have theirs at the ends.
BINARY_ENDS = 32 << 20  # bytes
LONGEST_HEADER = 100 << 20  # bytes of a safetensors file, as its own library allows
ROWS = 256  # of a Parquet file at a time
TEXT_TYPES = ("STRING", "JSON", "ENUM")  # logical types of Parquet
SHOWN = 4  # characters of a credential in a message
FEWEST_SIGNS = 6  # distinct characters of a credential; "xxxx" and "1234" are placeholders
SHORTEST_VALUE = 16  # characters of an environment variable that is considered a credential

ESCAPED_SPACE = re.compile(r"\\[nrt]")
ESCAPE = re.compile(r"(%[0-9A-F]{2}|\\u[0-9A-F]{4})\Z", re.IGNORECASE)
SECRET_VARIABLE = re.compile(r".*(TOKEN|API_?KEY|ACCESS_KEY|SECRET|PASSWORD)", re.IGNORECASE)
STAND_INS = re.compile(
    r"[*x.#]+|(my|your|the|some)?[-_]?(user|pass|passw(or)?d|pwd|pw|secret|token|key|api[-_]?key)"
    r"[-_]?(here)?|test|foo|bar|baz",
    re.IGNORECASE,
)
EXAMPLE_HOST = re.compile(r"@(.*\.)?(example(\.\w+)?|host(name)?)(?![\w.-])", re.IGNORECASE)


def varied(text: str) -> bool:
    """Return whether a text has as many different characters as a random one, and is not an
    example."""
    return len(set(text)) >= FEWEST_SIGNS and "EXAMPLE" not in text.upper()


def mixed(text: str) -> bool:
    """Return whether capitals, lower-case letters and digits alternate as in random text, unlike in
    names."""
    capitals, small = sum(map(str.isupper, text)), sum(map(str.islower, text))
    return varied(text) and capitals >= 3 and small >= 3 and any(map(str.isdigit, text))


def cased(text: str) -> bool:
    """Return `mixed`, with or without digits."""
    return varied(text) and min(sum(map(str.isupper, text)), sum(map(str.islower, text))) >= 3


def is_password(address: str) -> bool:
    """Return whether the password in `://user:password@host` is real, and not a placeholder."""
    user, _, password = address.rpartition("@")[0].partition("://")[2].partition(":")
    stands_in = password == user or STAND_INS.fullmatch(password)
    return not stands_in and not EXAMPLE_HOST.search(address)


@dataclass(frozen=True)
class Form:
    """The format of a kind of credential: `pattern`, matched from one of `starts` on.

    `is_real` returns False for texts of the same format that are not credentials. If `alone` is
    False, it may directly follow a letter or digit.
    """

    kind: str
    starts: tuple[str, ...]
    pattern: re.Pattern[str]
    is_real: Callable[[str], bool] = varied
    alone: bool = True


def known(kind: str, detector: type, *starts: str, is_real: Callable[[str], bool] = varied) -> Form:
    """Build the format of a detector of detect-secrets, whose matches begin with one of
    `starts`."""
    patterns = "|".join(f"(?:{pattern.pattern})" for pattern in detector.denylist)
    return Form(kind, starts, re.compile(patterns), is_real)


FORMS = (
    # `hf_` and 34 letters and digits; Cephalo's own hub has 36 of the URL alphabet.
    Form("a Hub token", ("hf_", "api_org_"), re.compile(r"(hf|api_org)_[A-Za-z0-9]{30,}")),
    Form("a Hub token", ("hf_",), re.compile(r"hf_[\w-]{36}(?![\w-])", re.ASCII), cased),
    Form(
        "an AWS access key",
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        re.compile(r"A(KI|SI|BI|CC)A[A-Z2-7]{16}(?![A-Za-z0-9])"),
    ),
    Form(
        "an AWS secret key",
        ("aws", "AWS", "Aws", "secret", "SECRET", "Secret"),
        re.compile(
            r"(?i:aws.{0,30}?(key|secret|token|passw)|secret.{0,20}?key).{0,20}?"
            r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
        ),
        lambda found: mixed(found[-40:]),
        alone=False,
    ),
    known("a GitHub token", GitHubTokenDetector, "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    Form("a GitHub token", ("github_pat_",), re.compile(r"github_pat_\w{60,}", re.ASCII)),
    known("a GitLab token", GitLabTokenDetector, "glpat-", "gldt-", "glrt-", "glcbt-", "GR1348941"),
    known("a Slack token", SlackDetector, "xox", "https://hooks.slack.com/services/T"),
    Form("a Slack token", ("xapp-",), re.compile(r"xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{32,}")),
    Form("a Slack token", ("xoxe",), re.compile(r"xoxe(\.xox[bp])?-\d-[\w-]{32,}", re.ASCII)),
    Form("a Google API key", ("AIza",), re.compile(r"AIza[\w-]{35}(?![\w-])", re.ASCII), cased),
    Form("a Google token", ("ya29.",), re.compile(r"ya29\.[\w-]{30,}", re.ASCII), mixed),
    Form("a Google client secret", ("GOCSPX-",), re.compile(r"GOCSPX-[\w-]{28}", re.ASCII)),
    Form("a W&B key", ("wandb_v1_",), re.compile(r"wandb_v1_\w{40,}", re.ASCII), mixed),
    Form(
        "a W&B key",
        ("wandb", "WANDB", "Wandb"),
        re.compile(
            r"(?is:wandb(\.ai\b|.{0,20}(key|login|token|password)).{0,80}?)"
            r"(?<![A-Za-z0-9])[0-9a-f]{40}(?![A-Za-z0-9])"
        ),
        lambda found: varied(found[-40:]),
        alone=False,
    ),
    Form(
        "an API key",  # of OpenAI, Anthropic, OpenRouter and others with the same format
        ("sk-",),
        re.compile(r"sk-(or-v1-[0-9a-f]{64}|[\w-]{32,})", re.ASCII),
        lambda found: found.startswith("sk-or-") or mixed(found),
    ),
    Form("a Groq key", ("gsk_",), re.compile(r"gsk_[A-Za-z0-9]{48,}")),
    Form("an NVIDIA key", ("nvapi-",), re.compile(r"nvapi-[\w-]{60,}", re.ASCII)),
    Form("an npm token", ("npm_",), re.compile(r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"), cased),
    known("a PyPI token", PypiTokenDetector, "pypi-AgE"),
    known("a Stripe key", StripeDetector, "sk_live_", "rk_live_"),
    known("a SendGrid key", SendGridDetector, "SG."),
    known("a Square secret", SquareOAuthDetector, "sq0csp-"),
    known("an Azure storage key", AzureStorageKeyDetector, "AccountKey="),
    Form(
        "a JSON Web Token",
        ("eyJ",),
        re.compile(r"eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}(\.[\w-]*)?", re.ASCII),
        lambda found: JwtTokenDetector.is_formally_valid(".".join(found.split(".")[:2])),
    ),
    Form(
        "a private key",  # the header alone is in every library that reads one
        ("-----BEGIN ",),
        re.compile(
            r"-----BEGIN ([A-Z0-9]+ ){0,3}PRIVATE KEY( BLOCK)?-----(?s:.{0,300}?)"
            r"[A-Za-z0-9+/=]{40}"
        ),
        lambda found: varied(found[-40:]),
    ),
    Form(
        "a private key",
        ("PuTTY-User-Key-File-",),
        re.compile(r"PuTTY-User-Key-File-\d: (?s:.{0,300}?)[A-Za-z0-9+/=]{40}"),
    ),
    Form(
        "a password in an address",
        ("://", ":\\/\\/"),
        re.compile(
            r":(//|\\/\\/)[^\s/:@?#'\"<>{}()\[\]\\]{0,100}:[^\s/@:?#'\"`<>{}$()\[\]|\\,;]{3,200}"
            r"@[\w.-]+"
        ),
        lambda found: is_password(found.replace("\\", "")),
        alone=False,
    ),
)
LITERALS = [(start, form) for form in FORMS for start in form.starts]


@dataclass(frozen=True)
class Credential:
    """A credential: its kind, such as "a Hub token", its first characters and its position."""

    kind: str
    shown: str
    start: int


def find_credential(text: str, in_use: dict[str, str] | None = None) -> Credential | None:
    """Return the first credential in `text`, or None.

    `in_use` maps values that are certainly credentials to their kinds.
    """
    text = ESCAPED_SPACE.sub("  ", text) if "\\" in text else text
    for value, kind in (in_use or {}).items():
        for start in occurrences(text, value):
            if not follows_letter(text, start) and not text[start + len(value) :][:1].isalnum():
                return Credential(kind, value[:SHOWN], start)
    for literal, form in LITERALS:
        for start in occurrences(text, literal):
            found = form.pattern.match(text, start)
            inside = form.alone and follows_letter(text, start)
            if found and not inside and form.is_real(found[0]):
                return Credential(form.kind, found[0][:SHOWN], start)
    return None


def occurrences(text: str, literal: str) -> Iterator[int]:
    """Yield the positions of `literal` in `text`."""
    start = text.find(literal)
    while start >= 0:
        yield start
        start = text.find(literal, start + 1)


def follows_letter(text: str, start: int) -> bool:
    """Return whether a letter or digit precedes `start` that is not the end of an escape such as
    %3D."""
    before = text[max(start - 6, 0) : start]
    return before[-1:].isalnum() and not ESCAPE.search(before)


def credentials_in_use(token: str | None) -> dict[str, str]:
    """Return the Hub token of this push, and the values of environment variables, by value to
    kind."""
    found = {
        value: f"the value of {name}"
        for name, value in os.environ.items()
        if SECRET_VARIABLE.fullmatch(name) and len(value) >= SHORTEST_VALUE and varied(value)
    }
    return found | ({token: "the Hub token in use"} if token else {})


def refuse_credentials(folder: Path, files: Iterable[str], token: str | None) -> None:
    """Raise CephaloError if one of `files`, paths inside `folder`, contains a credential.

    Texts are read completely; of Parquet files the texts of all rows, of safetensors files the
    header, of other long binary files the ends. `token` is the Hub token of this push.
    """
    in_use = credentials_in_use(token)
    for name in tqdm(files, desc="looking for credentials", delay=2, disable=no_bars()):
        for part in parts(folder / name):
            if found := find_credential(part.text, in_use):
                line = part.lines + part.text.count("\n", 0, found.start)
                raise CephaloError(
                    f"{name}, {f'line {line}' if part.lines else part.where}: what looks like "
                    f"{found.kind} ({found.shown}...); remove it, then push again"
                    + (", or leave the document out with --leave-out" if part.document else "")
                )


@dataclass(frozen=True)
class Part:
    """Text of a file: its place, such as "row 3", or the number of its first line; and the document
    of a dataset's row."""

    text: str
    where: str = ""
    lines: int = 0
    document: str = ""


def parts(path: Path) -> Iterator[Part]:
    """Yield the parts of a file that may contain text."""
    with path.open("rb") as file:
        head = file.read(BLOCK)
        file.seek(0)
        if path.suffix == ".safetensors":
            yield Part(safetensors_header(file), "header")
        elif head.startswith(b"PAR1"):
            yield from parquet_parts(path)
        elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield Part(file.read().decode("utf-16", errors="replace"), lines=1)
        else:
            yield from blocks(file, path.stat().st_size, b"\0" in head)


def blocks(file: BinaryIO, size: int, binary: bool) -> Iterator[Part]:
    """Yield the blocks of a file, without the middle of a long binary one.

    Credentials are ASCII, so one character per byte is enough.
    """
    starts: Iterable[int] = range(0, size, BLOCK)
    if binary and size > 2 * BINARY_ENDS:
        starts = chain(range(0, BINARY_ENDS, BLOCK), range(size - BINARY_ENDS, size, BLOCK))
    lines = 1
    for start in starts:
        file.seek(start)
        text = file.read(BLOCK + OVERLAP).decode("latin-1")
        yield Part(text, f"after byte {start}", 0 if binary else lines)
        lines += text.count("\n", 0, BLOCK)


def safetensors_header(file: BinaryIO) -> str:
    """Return the JSON at the start of a safetensors file: names of tensors and its metadata."""
    length = int.from_bytes(file.read(8), "little")
    return file.read(min(length, LONGEST_HEADER)).decode("utf-8", errors="replace")


def parquet_parts(path: Path) -> Iterator[Part]:
    """Yield the texts of a Parquet file: its metadata, and those of each row.

    Raises CephaloError if it cannot be read.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            metadata = file.schema_arrow.metadata or {}
            yield Part(b"\n".join(chain(*metadata.items())).decode("latin-1"), "metadata")
            leaves = [file.schema.column(number) for number in range(len(file.schema))]
            names = [leaf.path for leaf in leaves if leaf.logical_type.type in TEXT_TYPES]
            batches = file.iter_batches(ROWS, columns=names) if names else ()
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, 1):
                document = str(row.get("document") or "")
                where = f"row {number} of {document}" if document else f"row {number}"
                yield Part("\n".join(strings(row)), where, document=document)
    except (OSError, pa.ArrowException) as error:
        raise CephaloError(
            f"{path} is not a complete Parquet file ({type(error).__name__}); create it again"
        ) from error
