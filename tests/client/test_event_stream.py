"""The parser of Server-Sent Events, by the rules and the examples of the HTML specification."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certless.client import ServerEvent
from certless.client import event_stream as module
from certless.client.event_stream import EventParser, EventTooLong


def parsed(data: bytes, last_event_id: str = "") -> list[ServerEvent]:
    return EventParser(last_event_id).feed(data)


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\n", [ServerEvent("message", "a")]),
        (b"data:a\r\rdata:b\r\n\r\n", [ServerEvent("message", "a"), ServerEvent("message", "b")]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [ServerEvent("message", "YHOO\n+2\n10")]),
        # Two events: the second one has no data, so it is not given out. The last has not ended.
        (b"data\n\ndata\ndata\n\ndata:",
         [ServerEvent("message", ""), ServerEvent("message", "\n")]),
        (b"data:test\n\ndata: test\n\n", [ServerEvent("message", "test")] * 2),
        (b"data:  two\n\n", [ServerEvent("message", " two")]),
        (b": comment\nevent: add\ndata: 1\n\n", [ServerEvent("add", "1")]),
        (b"event: add\n\ndata: 1\n\n", [ServerEvent("message", "1")]),
        (b"\xef\xbb\xbfdata: a\n\n", [ServerEvent("message", "a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        ("data: å\u2028b\x85c\n\n".encode(), [ServerEvent("message", "å\u2028b\x85c")]),
        (b"data: \xff\n\n", [ServerEvent("message", "\ufffd")]),
        (b"Data: a\nunknown: b\n\n", []),
        (b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
         [ServerEvent("message", "a", "1"), ServerEvent("message", "b", "1"),
          ServerEvent("message", "c", "")]),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
         [ServerEvent("message", "a", "1"), ServerEvent("message", "b", "1")]),
        (b"retry: 1500\ndata: a\n\ndata: b\n\n",
         [ServerEvent("message", "a", retry=1500), ServerEvent("message", "b")]),
        (b"retry: 1.5\nretry: -1\nretry:\nretry: \xd9\xa1\ndata: a\n\n",
         [ServerEvent("message", "a")]),
        (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n",
         [ServerEvent("message", "a", retry=86_400_000)]),
    ],
)  # fmt: skip
def test_events(data: bytes, events: list[ServerEvent]) -> None:
    assert parsed(data) == events


def test_what_a_reconnection_needs() -> None:
    parser = EventParser("7")
    assert parser.feed(b"data: a\n\n") == [ServerEvent("message", "a", "7")]
    # An id without data counts once its event has ended.
    assert parser.feed(b"retry: 5\nid: 8\n") == []
    assert (parser.last_event_id, parser.retry_ms) == ("7", 5)
    assert parser.feed(b"\n") == []
    assert parser.last_event_id == "8"


def test_an_event_comes_with_its_last_byte() -> None:
    # The line has ended with the CR, whether an LF follows or not.
    parser = EventParser()
    assert parser.feed(b"data: a\r\n\r") == [ServerEvent("message", "a")]
    assert parser.feed(b"\ndata: b\n\n") == [ServerEvent("message", "b")]


def test_the_limit_of_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENT_CHARS", 20)
    parser = EventParser()
    for _ in range(10):
        assert parser.feed(b": 0123456789\n") == []
        assert parser.feed(b"data: 012345\n\n") != []
    with pytest.raises(EventTooLong):
        EventParser().feed(b"data: 0123456789012345")
    parser = EventParser()
    with pytest.raises(EventTooLong):
        parser.feed(b"data\n" * 10)


pieces = st.sampled_from(
    [b"data", b":", b" ", b"\r", b"\n", b"\r\n", b"id: 1", b"event: x", b"retry: 3",
     "å€😀".encode(), b"\xff\xf0\x9f", b"\xef\xbb\xbf", b"\0", b"\xe2\x80\xa8"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(pieces, max_size=40).map(b"".join), st.data())
def test_any_cut_gives_the_same_events(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    parser, whole = EventParser(), EventParser()
    events = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        events += parser.feed(data[start:end])
    assert events == whole.feed(data)
    assert parser.last_event_id == whole.last_event_id
    assert parser.retry_ms == whole.retry_ms
