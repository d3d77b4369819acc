"""Write access: users with tokens, and the signed tickets of uploads and downloads."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

from cephalo.cli.errors import CephaloError
from cephalo.hub.disk import Disk
from cephalo.hub.names import BadName, check_user


class BadTicket(Exception):
    """A ticket that is not signed by this server, is for another use, or has expired."""


def load_tokens(disk: Disk, user: str | None) -> dict[str, str]:
    """Read `tokens.json` as {user: token}; at the first start, write it for `user` or "local".

    Raises CephaloError if the file cannot be read or does not list `user`.
    """
    path = disk.root / "tokens.json"
    if not path.exists():
        name = _usable_user(user or "local", "--user")
        tokens = {name: f"hf_{secrets.token_urlsafe(27)}"}
        disk.write(path, json.dumps(tokens, indent=2).encode())
        return tokens
    tokens = _read_tokens(path)
    if user is not None and user not in tokens:
        raise CephaloError(f"{path} lists no user {user!r}; add one there")
    return tokens


def _read_tokens(path: Path) -> dict[str, str]:
    try:
        tokens = json.loads(path.read_bytes())
    except ValueError as error:
        raise CephaloError(
            f"{path} is not valid JSON ({error}); it should be {{user: token}}"
        ) from error
    if not isinstance(tokens, dict) or not tokens:
        raise CephaloError(f"{path} lists no users; it should be {{user: token}}")
    for user, token in tokens.items():
        _usable_user(user, str(path))
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise CephaloError(f"{path}: the token of {user!r} is not printable ASCII text")
        if len(token) < 4 or " " in token:
            raise CephaloError(f"{path}: the token of {user!r} is too short or has a space")
    if len(set(tokens.values())) < len(tokens):
        raise CephaloError(f"{path}: two users have the same token")
    return tokens


def _usable_user(name: str, where: str) -> str:
    try:
        return check_user(name)
    except BadName as error:
        raise CephaloError(f"{where}: {error}") from error


def user_of_token(tokens: dict[str, str], token: str) -> str | None:
    """Return the user of `token`, compared in constant time."""
    found = None
    for user, known in tokens.items():
        if hmac.compare_digest(known.encode(), token.encode()):
            found = user
    return found


class Tickets:
    """Signed claims with an end date, for requests without a Hub token.

    LFS uploads and Xet transfers authenticate with an address or a token from the server; here each
    is a ticket: base64 of a JSON object with the claims, `use` and `exp`, a dot, and base64 of its
    HMAC-SHA256. A ticket contains everything that it permits, so no state is stored.
    """

    def __init__(self, key: bytes, generation: bytes = b"") -> None:
        self._key = key
        self._generation = generation

    @classmethod
    def load(cls, disk: Disk) -> "Tickets":
        """Load the key of the root, created at the first start, so that tickets survive a
        restart."""
        path = disk.root / "signing.key"
        if not path.exists():
            disk.write(path, secrets.token_bytes(32))
        generation = disk.root / "generation"
        return cls(path.read_bytes(), generation.read_bytes() if generation.exists() else b"")

    @property
    def root_id(self) -> str:
        """Identify this root among others at its address, and after it lost chunks."""
        return hashlib.sha256(b"root id" + self._key + self._generation).hexdigest()[:12]

    def issue(self, use: str, expires: int, **claims: object) -> str:
        """Sign `claims` for one `use` until `expires`, in seconds since 1970."""
        body = _b64(json.dumps({"use": use, "exp": expires, **claims}).encode())
        return f"{body}.{self._sign(body)}"

    def read(self, use: str, ticket: str) -> dict[str, Any]:
        """Return the claims of a ticket, of the types that they were issued with. Raises
        BadTicket."""
        body, _, signature = ticket.partition(".")
        if not hmac.compare_digest(self._sign(body).encode(), signature.encode()):
            raise BadTicket("not signed by this server")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if claims["use"] != use:
            raise BadTicket(f"not for {use}")
        if claims["exp"] < time.time():
            raise BadTicket("expired")
        return claims

    def _sign(self, body: str) -> str:
        return _b64(hmac.digest(self._key, body.encode(), "sha256"))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
