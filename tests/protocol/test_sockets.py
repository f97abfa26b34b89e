"""Both ends of a socket: messages within the credit, until a verified close."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.common.errors import (
    AbortedStream,
    BrokenStream,
    LocalProtocolError,
    MalformedMessage,
)
from protocol.streams.bodies import AbortReason
from protocol.streams.opening import SocketRequest
from protocol.streams.records import (
    MAX_KEY_MS,
    Direction,
    RecordReader,
    RecordType,
    RecordWriter,
    StreamKeys,
)
from protocol.streams.sockets import (
    INITIAL_CREDIT_BYTES,
    MAX_SOCKET_MESSAGE_BYTES,
    NO_CODE,
    Closed,
    Fragment,
    Socket,
    SocketHead,
    close_data,
)

KEYS = StreamKeys(bytes(range(16)), b"c" * 32, b"s" * 32)
HEAD = SocketHead((("X-Name", "\xe9"),), "chat")
TEXT, BINARY = RecordType.TEXT, RecordType.BINARY


@dataclass
class End:
    """One end, and what it has received."""

    socket: Socket
    messages: list[tuple[RecordType, bytes]] = field(default_factory=list)
    closed: Closed | None = None
    part: bytes = b""
    takes: bool = True

    def receive(self, message: bytes) -> None:
        self.socket.feed(message)
        while (event := self.socket.next()) is not None:
            if isinstance(event, Closed):
                self.closed = event
                continue
            self.part += event.data
            if event.is_last:
                self.messages.append((event.type, self.part))
                self.part = b""
            if self.takes:
                self.socket.taken(event.cost)


def pair(limit: int = 4096) -> tuple[End, End]:
    """The client and the server of an open socket."""
    client, server = (
        Socket(
            RecordWriter(KEYS, own, limit, 0),
            RecordReader(KEYS, other, limit),
            awaits_head=own is Direction.CLIENT,
        )
        for own, other in (
            (Direction.CLIENT, Direction.SERVER),
            (Direction.SERVER, Direction.CLIENT),
        )
    )
    ends = End(client), End(server)
    ends[0].receive(server.accept(HEAD, 0))
    assert client.head == HEAD
    return ends


def carry(*ends: End) -> int:
    """Carry messages both ways until none can be sent; how many."""
    carried = 0
    while True:
        before = carried
        for sender, receiver in (ends, ends[::-1]):
            if message := sender.socket.outgoing(0):
                assert len(message) <= MAX_SOCKET_MESSAGE_BYTES
                receiver.receive(message)
                carried += 1
        if before == carried:
            return carried


messages = st.lists(
    st.one_of(
        st.tuples(st.just(TEXT), st.text(max_size=9000).map(str.encode)),
        st.tuples(st.just(BINARY), st.binary(max_size=9000)),
    ),
    max_size=20,
)


@given(messages, messages)
def test_each_end_gets_what_the_other_sends_and_its_close(
    sent: list[tuple[RecordType, bytes]], answered: list[tuple[RecordType, bytes]]
) -> None:
    client, server = pair()
    for end, queue in ((client, sent), (server, answered)):
        for message in queue:
            end.socket.send(*message)
        assert end.socket.buffered_bytes == sum(len(data) for _, data in queue)
    carry(client, server)
    assert server.messages == sent
    assert client.messages == answered
    assert client.socket.buffered_bytes == server.socket.buffered_bytes == 0
    client.socket.close(3000, "bye")
    assert client.socket.is_closing
    carry(client, server)
    assert (client.closed, server.closed) == (Closed(3000, ""), Closed(3000, "bye"))
    for end in (client, server):
        assert end.socket.is_over
        assert end.socket.outgoing(0) == end.socket.ping(0) == b""
        assert end.socket.abort(AbortReason.FAILED, 0) == b""
        end.socket.end()


@pytest.mark.parametrize("limit", [4096, 65_536])
def test_a_message_is_longer_than_the_credit(limit: int) -> None:
    client, server = pair(limit)
    whole = bytes(range(256)) * 8192
    client.socket.send(BINARY, whole)
    carry(client, server)
    assert server.messages == [(BINARY, whole)]


def test_a_receiver_that_takes_nothing_gets_no_more_than_the_credit() -> None:
    client, server = pair()
    server.takes = False
    for _ in range(500):
        client.socket.send(BINARY, bytes(1000))
    carry(client, server)
    held = len(server.messages)
    assert INITIAL_CREDIT_BYTES - 2000 < held * 1018 <= INITIAL_CREDIT_BYTES
    assert client.socket.buffered_bytes == (500 - held) * 1000
    # A close waits behind what is queued, and all comes once the program takes it.
    client.socket.close(1000)
    carry(client, server)
    assert server.closed is None
    server.socket.taken(held * 1018)
    server.takes = True
    carry(client, server)
    assert len(server.messages) == 500
    assert server.closed == Closed(1000, "")


def test_the_receiver_of_a_close_drops_what_it_could_not_send() -> None:
    client, server = pair()
    client.takes = False
    server.socket.send(BINARY, bytes(INITIAL_CREDIT_BYTES * 2))
    carry(client, server)
    assert server.socket.buffered_bytes > 0
    client.socket.close()
    carry(client, server)
    assert client.closed == server.closed == Closed(NO_CODE, "")
    assert client.socket.is_over
    assert server.socket.buffered_bytes == 0


def test_both_close_at_once() -> None:
    client, server = pair()
    client.socket.close(3001, "c")
    client.socket.close(3003)
    server.socket.close(3002, "s")
    carry(client, server)
    assert (client.closed, server.closed) == (Closed(3002, "s"), Closed(3001, "c"))


def test_a_close_that_was_queued_before_the_other_close_came() -> None:
    client, server = pair()
    client.socket.close(3001)
    server.socket.send(BINARY, b"late")
    server.socket.close(3002)
    server.receive(client.socket.outgoing(0))
    carry(client, server)
    assert client.closed == Closed(3002, "")
    assert client.messages == []


def test_more_than_the_credit_breaks_the_socket() -> None:
    _, server = pair(65_536)
    server.takes = False
    writer = RecordWriter(KEYS, Direction.CLIENT, 65_536, 0)
    for _ in range(4):
        server.receive(writer.seal(BINARY, bytes(65_519), 0))
    with pytest.raises(BrokenStream, match="credit"):
        server.receive(writer.seal(BINARY, b"\0", 0))


def test_empty_messages_use_credit_up() -> None:
    client, server = pair()
    server.takes = False
    for _ in range(INITIAL_CREDIT_BYTES // 18 + 1):
        client.socket.send(BINARY, b"")
    carry(client, server)
    assert len(server.messages) == INITIAL_CREDIT_BYTES // 18


def test_a_socket_that_was_aborted() -> None:
    client, server = pair()
    client.socket.send(BINARY, b"not sent")
    with pytest.raises(AbortedStream) as raised:
        server.receive(client.socket.abort(AbortReason.SESSION_ENDED, 0))
    assert raised.value.reason == AbortReason.SESSION_ENDED
    assert client.socket.is_closing
    assert client.socket.buffered_bytes == 0
    # The other end may still say so too.
    assert not server.socket.is_over
    server.socket.abort(AbortReason.CANCELLED, 0)
    assert server.socket.is_over


def test_a_connection_that_ends_without_a_close() -> None:
    client, server = pair()
    client.socket.send(TEXT, b"one")
    carry(client, server)
    with pytest.raises(BrokenStream, match="cut off"):
        server.socket.end()


def test_pings_and_renewed_keys_are_not_seen() -> None:
    client, server = pair()
    client.socket.send(TEXT, b"one")
    server.receive(client.socket.ping(MAX_KEY_MS) + client.socket.outgoing(MAX_KEY_MS))
    assert server.messages == [(TEXT, b"one")]


@given(st.data())
def test_one_bit_that_is_changed_breaks_the_socket(data: st.DataObject) -> None:
    client, server = pair()
    client.socket.send(TEXT, b"one")
    client.socket.close(1000, "bye")
    wire = bytearray(client.socket.outgoing(0))
    bit = data.draw(st.integers(0, len(wire) * 8 - 1))
    wire[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BrokenStream):
        server.receive(bytes(wire))


def test_what_cannot_be_sent() -> None:
    client, _ = pair()
    for type_, data in ((TEXT, b"\xff"), (RecordType.DATA, b"x")):
        with pytest.raises(LocalProtocolError):
            client.socket.send(type_, data)
    for code, reason in (
        (NO_CODE, "why"),
        (1004, ""),
        (1006, ""),
        (999, ""),
        (5000, ""),
        (1000, "r" * 124),
        (1000, "\ud800"),
    ):
        with pytest.raises(LocalProtocolError):
            client.socket.close(code, reason)
    assert close_data(1000, "r" * 123)
    client.socket.close()
    with pytest.raises(LocalProtocolError, match="closing"):
        client.socket.send(TEXT, b"late")


def test_what_was_read_says_what_it_costs() -> None:
    client, server = pair()
    client.socket.send(BINARY, b"one")
    server.socket.feed(client.socket.outgoing(0))
    assert server.socket.next() == Fragment(BINARY, b"one", True, 21)


def test_parsing_what_was_written() -> None:
    request = SocketRequest("/chat?x=%2F", (("X-Name", "\xff"),), ("a", "b"), 4096)
    assert SocketRequest.parse(request.serialize()) == request
    for head in (HEAD, SocketHead((), None)):
        assert SocketHead.parse(head.serialize()) == head
    for wrong in (b"\x90", b"\x92\x90\x92\xa1a\xa1b"):
        with pytest.raises(MalformedMessage):
            SocketHead.parse(wrong)
