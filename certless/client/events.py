"""Server-Sent Events at the Python client: ``async for event in client.events("/clock")``.

Each event comes out when it is complete, while the response is still open. If the connection
breaks, a new request continues after the last event (``Last-Event-ID``).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self, TypeAlias

from .errors import (
    AnswerNotTrusted,
    ClientError,
    ClockNotAccepted,
    NoAnswer,
    Refused,
    StreamAborted,
    StreamBroken,
)
from .event_stream import EVENTS_TYPE, EventParser, EventTooLong, ServerEvent
from .streams import StreamContext, StreamResponse

# The time before the first reconnection unless the server sets it, and the longest by backoff.
RETRY_S = 1.0
MAX_BACKOFF_S = 60.0
LEAST_BACKOFF_S = 0.1
# Anybody on the network can write a Retry-After, and must not stop a client for days.
MAX_RETRY_AFTER_S = 3600.0
# The server or a proxy has no time now; a later request can succeed.
_PASSING = frozenset({429, 502, 503, 504})
_SESSION_ENDED = 4

# Opens the response that follows an event id.
Open: TypeAlias = Callable[[str], StreamContext]


def _is_passing(error: ClientError) -> bool:
    """Whether a new request can help."""
    match error:
        case Refused():
            return error.status in _PASSING
        case StreamAborted():
            return error.reason != _SESSION_ENDED
    return isinstance(error, NoAnswer | StreamBroken | ClockNotAccepted)


class Events:
    """The events of one URL: iterate over it with ``async for``.

    ``async with`` closes the connection at the end, also after ``break``. The first request must
    succeed; after it, the client reconnects until the server ends the events with a sealed 204.
    Raises: ClientError, for instance if the session has ended.
    """

    def __init__(self, opener: Open, last_event_id: str) -> None:
        self.last_event_id = last_event_id
        self._open = opener
        self._events = self._iterate()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._events.aclose()

    async def _iterate(self) -> AsyncGenerator[ServerEvent]:
        retry_s, failures, has_begun = RETRY_S, 0, False
        while True:
            told_s = 0.0
            parser = EventParser(self.last_event_id)
            try:
                async with self._open(self.last_event_id) as response:
                    if response.status == 204:
                        return
                    _check(response)
                    has_begun = True
                    async for chunk in response.content:
                        for event in _parsed(parser, chunk):
                            self.last_event_id = event.id
                            failures = 0
                            yield event
                        # An id can also come without data.
                        self.last_event_id = parser.last_event_id
            except ClientError as error:
                if not has_begun or not _is_passing(error):
                    raise
                failures += 1
                if isinstance(error, Refused):
                    told_s = error.retry_after_s or 0
            if parser.retry_ms is not None:
                retry_s = parser.retry_ms / 1000
            await asyncio.sleep(_pause_s(retry_s, failures, told_s))


def _pause_s(retry_s: float, failures: int, told_s: float) -> float:
    """``retry_s``, doubled for each failure in a row after the first; at least ``told_s``."""
    least_s = max(retry_s, min(told_s, MAX_RETRY_AFTER_S))
    if failures < 2:
        return least_s
    doubled = max(retry_s, LEAST_BACKOFF_S) * (1 << min(failures - 1, 16))
    return max(least_s, min(MAX_BACKOFF_S, doubled))


def _parsed(parser: EventParser, chunk: bytes) -> list[ServerEvent]:
    try:
        return parser.feed(chunk)
    except EventTooLong as error:
        raise AnswerNotTrusted(str(error)) from None


def _check(response: StreamResponse) -> None:
    """Raises: Refused, for a response without events."""
    response.raise_for_status()
    if response.status != 200 or response.content_type.lower() != EVENTS_TYPE:
        raise Refused(
            response.status,
            "no_events",
            f"{response.url.path} answers with {response.content_type}, not with {EVENTS_TYPE}",
        )
