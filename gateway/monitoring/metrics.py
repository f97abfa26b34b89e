"""Metrics of a gateway for Prometheus, counted from its events.

A ``Metrics`` is a watcher of events with its own registry, so several gateways in one process are
counted separately. docs/watching.md explains the names.

The workers of a gateway count into files in one folder, and ``registry_of_files`` reads the sums.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from gateway import events
from gateway.events import Event

MESSAGES = "certless_messages"
MESSAGE_SECONDS = "certless_message_duration_seconds"
REJECTIONS = "certless_rejections"
LOGINS_ASKED = "certless_logins_asked"
CODE_REFUSALS = "certless_code_refusals"
SESSIONS_OPENED = "certless_sessions_opened"
SESSIONS_OPEN = "certless_sessions_open"
SESSION_SECONDS = "certless_session_duration_seconds"
USERS_DEPARTED = "certless_users_departed"
TICKETS_USED = "certless_tickets_used"
TICKETS_RETURNED = "certless_tickets_returned"
MAILS_SENT = "certless_mails_sent"
MAILS_UNKNOWN = "certless_mails_unknown"
MAILS_FAILED = "certless_mails_failed"
LIMITS_HIT = "certless_limits_hit"
STORE_SECONDS = "certless_store_duration_seconds"
STORE_FAILURES = "certless_store_failures"
KEYS_GENERATED = "certless_keys_generated"
KEY_POOL_READY = "certless_key_pool_ready"
AUDIT_LINES_LOST = "certless_audit_lines_lost"

# If it is set when prometheus_client is imported, the process counts into files.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# The files with this name have the sums of ended processes.
ENDED = "gone"
# More than all labels need.
FILE_BYTES = 256 * 1024
_KINDS = ("counter", "histogram", "gauge_livesum")

_MESSAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STORE_BUCKETS = (
    *(0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002),
    *(0.005, 0.01, 0.05, 0.2, 1, 5),
)
_SESSION_BUCKETS = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400)

_Count: TypeAlias = Callable[[Any], None]


class Metrics:
    """Counts events. Give it to ``setup(watch=...)``, or let the admin listener make its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self._messages = counter(MESSAGES, "Sealed messages served", "suite")
        self._message_seconds = histogram(
            MESSAGE_SECONDS, "From a message to its response", _MESSAGE_BUCKETS, "suite"
        )
        self._rejections = counter(REJECTIONS, "Requests refused", "reason")
        self._logins_asked = counter(LOGINS_ASKED, "Logins started", "suite")
        self._code_refusals = counter(CODE_REFUSALS, "Codes refused", "reason")
        self._sessions_opened = counter(SESSIONS_OPENED, "Opened sessions", "suite")
        self._session_seconds = histogram(
            SESSION_SECONDS, "Duration of ended sessions", _SESSION_BUCKETS
        )
        self._users_departed = counter(USERS_DEPARTED, "Removed users whose sessions ended")
        self._tickets_used = counter(TICKETS_USED, "Tickets that opened a session")
        self._tickets_returned = counter(TICKETS_RETURNED, "Used tickets that were used again")
        self._mails_sent = counter(MAILS_SENT, "Mails with a code sent")
        self._mails_unknown = counter(MAILS_UNKNOWN, "Mails with an unknown outcome")
        self._mails_failed = counter(MAILS_FAILED, "Failed tries to send a mail", "final")
        self._limits_hit = counter(LIMITS_HIT, "Requests over a limit", "limit")
        self._store_seconds = histogram(
            STORE_SECONDS, "Duration of a call of the store", _STORE_BUCKETS, "method"
        )
        self._store_failures = counter(STORE_FAILURES, "Failed calls of the store", "method")
        self._keys_generated = counter(KEYS_GENERATED, "RSA pairs generated")
        self._key_pool_ready = Gauge(
            KEY_POOL_READY,
            "RSA pairs ready",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._audit_lines_lost = counter(AUDIT_LINES_LOST, "Lost lines of the audit log")
        # Used for every message, so each label is looked up only once.
        self._messages_of = cache(self._messages.labels)
        self._message_seconds_of = cache(self._message_seconds.labels)
        self._store_seconds_of = cache(self._store_seconds.labels)
        self._counts: dict[type[Event], _Count] = {
            events.MessageServed: self._served,
            events.StoreAsked: self._store_called,
            events.MessageRejected: lambda e: self._rejections.labels(e.code).inc(),
            events.LoginRequested: lambda e: self._logins_asked.labels(e.suite).inc(),
            events.CodeRefused: lambda e: self._code_refusals.labels(e.code).inc(),
            events.SessionOpened: lambda e: self._sessions_opened.labels(e.suite).inc(),
            events.SessionEnded: lambda e: self._session_seconds.observe(e.lasted_ms / 1000),
            events.SessionExpired: lambda e: self._session_seconds.observe(e.lasted_ms / 1000),
            events.UserRemoved: lambda _: self._users_departed.inc(),
            events.TicketUsed: lambda _: self._tickets_used.inc(),
            events.TicketReuseDetected: lambda _: self._tickets_returned.inc(),
            events.CodeSent: lambda _: self._mails_sent.inc(),
            events.CodeMaybeSent: lambda _: self._mails_unknown.inc(),
            events.CodeNotSent: lambda e: self._mails_failed.labels(str(e.final).lower()).inc(),
            events.LimitHit: lambda e: self._limits_hit.labels(e.limit).inc(),
            events.KeyGenerated: lambda _: self._keys_generated.inc(),
            events.KeyPoolChanged: lambda e: self._key_pool_ready.set(e.ready),
            events.AuditLineLost: lambda _: self._audit_lines_lost.inc(),
        }

    def __call__(self, event: Event) -> None:
        self._counts[type(event)](event)

    def _served(self, event: events.MessageServed) -> None:
        self._messages_of(event.suite).inc()
        self._message_seconds_of(event.suite).observe(event.seconds)

    def _store_called(self, event: events.StoreAsked) -> None:
        self._store_seconds_of(event.method).observe(event.seconds)
        if event.failed:
            self._store_failures.labels(event.method).inc()


def registry_of_files(folder: str) -> CollectorRegistry:
    """The metrics of all processes that count into ``folder``, ended ones included."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry


def reserve_files(folder: Path, name: str) -> None:
    """Create the files of the process ``name`` in ``folder``, in full size. Raises: OSError.

    The files are mapped into memory. If the disk is full at the first write to a page, the kernel
    kills the process. So all pages are written in advance.
    """
    for kind in _KINDS:
        part = folder / f"{kind}_{name}.part"
        try:
            part.write_bytes(bytes(FILE_BYTES))
            # Renamed when complete, so that no reader sees a smaller file.
            part.rename(part.with_suffix(".db"))
        finally:
            part.unlink(missing_ok=True)


def forget_process(folder: Path, pid: int) -> None:
    """Add the counts of an ended process to the files of ``ENDED``, and delete its own files.

    Otherwise a worker that ends repeatedly would fill the folder. Needs the files of ``ENDED``.
    """
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    for kind in ("counter", "histogram"):
        source = folder / f"{kind}_{pid}.db"
        if source.exists():
            sums: Any = MmapedDict(str(folder / f"{kind}_{ENDED}.db"))  # type: ignore[no-untyped-call]
            values: Any = MmapedDict.read_all_values_from_file(str(source))  # type: ignore[no-untyped-call]
            for key, value, *_ in values:
                sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
            sums.close()
            source.unlink()
