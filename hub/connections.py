"""Timeouts for connections with incomplete requests and unread answers.

uvicorn by itself only closes connections that are idle between two requests.
"""

import asyncio
import resource
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30  # for the head of a request; tolerance of a body for MIN_RATE
MIN_RATE = 1024  # bytes of a body a second
STALL_SECONDS = 120  # for a client that does not read its answer
CHECK_SECONDS = 5
BACKLOG = 256  # connections that are accepted at once, before the first of them is processed
RESERVED_FILES = BACKLOG + 256  # descriptors in addition to one for each connection


class Connection(H11Protocol):
    """A client. `by_silence` has all of them, sorted by the time since they last sent something."""

    max_connections = 4096
    by_silence: ClassVar[dict["Connection", None]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Accept the connection; if there are too many, close the one that is silent longest."""
        self._expect_request()
        self._unsent, self._unsent_since = 0, self.loop.time()
        self._check_task = self.loop.call_later(CHECK_SECONDS, self._check)
        if len(self.connections) >= self.max_connections:
            self._end_another()
        self.by_silence[self] = None
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Receive bytes of a request."""
        self.by_silence.pop(self, None)
        self.by_silence[self] = None
        self._received += len(data)
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Reset for the next request of the same connection."""
        self._expect_request()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._check_task.cancel()
        self.by_silence.pop(self, None)
        super().connection_lost(exc)

    def waits(self) -> bool:
        """Return whether the client acts next: by sending a request, or reading the answer."""
        asked = self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self.flow.read_paused
        return asked or self.flow.write_paused

    def _end_another(self) -> None:
        for one in self.by_silence:
            if one.connections is self.connections and one.waits():
                del self.by_silence[one]
                one.transport.abort()
                return

    def _expect_request(self) -> None:
        self._since, self._received = self.loop.time(), 0

    def _check(self) -> None:
        if self._late():
            self.transport.abort()
        else:
            self._check_task = self.loop.call_later(CHECK_SECONDS, self._check)

    def _late(self) -> bool:
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if not self.flow.write_paused or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        if now - self._unsent_since > STALL_SECONDS:
            return True
        late = now - self._since - HEAD_SECONDS
        if self.conn.their_state is h11.IDLE:
            return late > 0
        if self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused:
            return self._received < late * MIN_RATE
        return False


def allow_connections() -> None:
    """Raise the limit of open files, and accept as many connections as it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Connection.max_connections + RESERVED_FILES
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        soft = limit
    if soft != resource.RLIM_INFINITY:
        Connection.max_connections = min(Connection.max_connections, soft - RESERVED_FILES)
