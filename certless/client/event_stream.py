"""The parser of Server-Sent Events, by the HTML specification (section "Server-sent events").

It is pure: bytes in, events out. Any cut of the bytes gives the same events.
"""

import codecs
import re
from dataclasses import dataclass

EVENTS_TYPE = "text/event-stream"
# Text of one event that has not ended yet. Without a limit, a server could fill the memory.
MAX_EVENT_CHARS = 16 * 1024 * 1024
# The longest time that ``retry:`` can set: a day.
MAX_RETRY_MS = 86_400_000
# Other line breaks of Unicode are part of a line.
_LINE_END = re.compile(r"\r\n|\r|\n")
_DIGITS = re.compile(r"[0-9]+")


class EventTooLong(ValueError):
    """An event has more than MAX_EVENT_CHARS."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. ``id`` is the last id that the server has set, or "".

    ``retry`` is the time before a reconnection in ms, if the server set it in this event.
    """

    type: str
    data: str
    id: str = ""
    retry: int | None = None


class EventParser:
    """Makes events of bytes. A reconnection needs ``last_event_id`` and ``retry_ms``."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        # This decoder removes one byte order mark at the beginning.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []
        self._ended_with_cr = False
        self._id = last_event_id
        self._chars = 0
        self._begin_event()

    def _begin_event(self) -> None:
        self._type = ""
        self._data: list[str] = []
        self._retry: int | None = None
        self._chars = 0

    def feed(self, data: bytes) -> list[ServerEvent]:
        """The events that ``data`` completes. Raises: EventTooLong."""
        text = self._decoder.decode(data)
        if not text:
            return []
        if self._ended_with_cr and text[0] == "\n":
            # The CR has already ended the line.
            text = text[1:]
        *lines, rest = _LINE_END.split(text)
        self._ended_with_cr = text.endswith("\r")
        events = []
        for line in lines:
            self._count(line)
            whole = "".join((*self._line, line))
            self._line = []
            if whole:
                self._take(whole)
            elif (event := self._dispatched()) is not None:
                events.append(event)
        if rest:
            self._count(rest)
            self._line.append(rest)
        return events

    def _count(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > MAX_EVENT_CHARS:
            raise EventTooLong(f"an event has more than {MAX_EVENT_CHARS} characters")

    def _take(self, line: str) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if _DIGITS.fullmatch(value):
                # int() refuses thousands of digits.
                digits = value.lstrip("0")
                is_short = len(digits) <= len(str(MAX_RETRY_MS))
                self._retry = min(int(digits or "0"), MAX_RETRY_MS) if is_short else MAX_RETRY_MS
                self.retry_ms = self._retry
        if field != "data":
            # Only data is kept; comments can go on for ever.
            self._chars -= len(line)

    def _dispatched(self) -> ServerEvent | None:
        """The event that an empty line ends; None without data."""
        self.last_event_id = self._id
        data, event = self._data, None
        if data:
            event = ServerEvent(self._type or "message", "\n".join(data), self._id, self._retry)
        self._begin_event()
        return event
