"""The audit log: logins, sessions, tickets and limits, one JSON object in each line.

::

    {"time": "2026-11-22T19:40:01.123Z", "event": "session_opened", "session": "9f0c2b…",
     "user": "5d41…", "suite": "ecdh-gcm", "expires": "2026-11-22T20:40:01.119Z",
     "address": "10.0.0.7", "host": "gateway-a", "process": 4711}

``user`` is a user tag, ``session`` and ``ticket`` are hashes of ids: a line contains no name and no
secret. Each line is written in one call, so several processes can write to one file. A full disk
does not stop the gateway: its log reports it once, and the next written line is preceded by one
with the number of lost lines.
"""

import json
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import events
from gateway.clock import Clock, system_clock
from gateway.errors import ConfigError
from gateway.events import AuditLineLost, Event, Events
from protocol.common.primitives import sha256

_log = logging.getLogger("certless")

RECORDED: dict[type[Event], str] = {
    events.LoginRequested: "login_asked",
    events.CodeSent: "code_sent",
    events.CodeMaybeSent: "code_maybe_sent",
    events.CodeNotSent: "code_not_sent",
    events.CodeRefused: "code_refused",
    events.SessionOpened: "session_opened",
    events.SessionEnded: "session_ended",
    events.UserRemoved: "user_departed",
    events.TicketUsed: "ticket_used",
    events.TicketReuseDetected: "ticket_returned",
    events.LimitHit: "limit_hit",
}


def hashed(identifier: bytes) -> str:
    """16 digits that identify an id: of the SHA-256 of its hex text."""
    return sha256(identifier.hex().encode()).hex()[:16]


def rfc3339(time_ms: int) -> str:
    """A time in UTC, with milliseconds."""
    when = datetime.fromtimestamp(time_ms / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# For each field of an event, its name in a line and its format. Other fields do not exist.
_FORMATS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "session_id": ("session", hashed),
    "chain_id": ("ticket", hashed),
    "user_tag": ("user", bytes.hex),
    "suite": ("suite", str),
    "code": ("reason", str),
    "limit": ("limit", str),
    "final": ("final", bool),
    "sessions": ("sessions", int),
    "expires_ms": ("expires", rfc3339),
    "lasted_ms": ("lasted_ms", int),
    "address": ("address", str),
}


class AuditLog:
    """Writes events to ``path``, which is created with mode 0600."""

    def __init__(self, path: Path, losses: Events, clock: Clock = system_clock) -> None:
        """``losses`` gets an event for each lost line. Raises: ConfigError, if ``path`` cannot be
        opened."""
        self._path = path
        self._events = losses
        self._clock = clock
        self._lost = 0
        self._has_partial_line = False
        self._origin = {"host": socket.gethostname(), "process": os.getpid()}
        self._file = self._opened()

    def _opened(self) -> int:
        # No file object, because a line must not wait in a buffer. O_NONBLOCK, because the gateway
        # must not wait for the reader of a pipe.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return os.open(self._path, flags, 0o600)
        except OSError as error:
            raise ConfigError(
                f"audit log {self._path}: {error.strerror}; set a file that this user can write"
            ) from None

    async def reload(self) -> None:
        """Open the path again, after logrotate has renamed the file.

        Raises: ConfigError; the old file then stays in use.
        """
        file = self._opened()
        os.close(self._file)
        self._file = file

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __call__(self, event: Event) -> None:
        name = RECORDED.get(type(event))
        if name is None:
            return
        members: dict[str, object] = {}
        for field in fields(event):
            member, format_value = _FORMATS[field.name]
            members[member] = format_value(getattr(event, field.name))
        self._write(self._line(name, members))

    def _line(self, event: str, members: dict[str, object]) -> bytes:
        line = {"time": rfc3339(self._clock()), "event": event, **members, **self._origin}
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    def _write(self, line: bytes) -> None:
        if self._lost:
            line = self._line("lines_lost", {"count": self._lost}) + line
        if self._has_partial_line:
            line = b"\n" + line
        try:
            written = os.write(self._file, line)
        except OSError as error:
            self._count_lost(error.strerror or type(error).__name__)
            return
        if written < len(line):
            self._has_partial_line = True
            self._count_lost("no space is left for the line")
            return
        if self._lost:
            _log.warning("audit log %s: writing again; lines lost: %d", self._path, self._lost)
        self._lost, self._has_partial_line = 0, False

    def _count_lost(self, reason: str) -> None:
        if not self._lost:
            _log.error(
                "audit log %s: %s; lines are lost until it can be written again", self._path, reason
            )
        self._lost += 1
        self._events.emit(AuditLineLost())
