"""Sealed messages, clock and counter, and epochs (PROTOCOL §2.6, §2.7).

spec/vectors has the single faults.
"""

from dataclasses import replace

import msgpack
import pytest
from hardened_peer import HOUR_MS, REQUEST, RESPONSE, HardenedPeer, with_header
from make_vectors import WINDOW_MS, flip
from peer import key_pair

from protocol.common.codec import serialize_msgpack
from protocol.common.envelopes import Members
from protocol.common.errors import (
    DecryptionFailed,
    LocalProtocolError,
    MalformedMessage,
    ReplayedNonce,
    StaleTimestamp,
    UnsupportedSuite,
)
from protocol.common.messages import HttpRequest
from protocol.hardened.client_session import (
    EPOCH_LIFETIME_MS,
    ClientSession,
    ClockRefused,
    EpochRefused,
    OpenedStream,
    seal_socket_request,
    seal_stream_request,
)
from protocol.hardened.message_server import (
    AcceptedMessage,
    ServerSession,
    StaleMessage,
    open_request,
)
from protocol.hardened.records import EPOCH_OVERLAP_MS, MAX_EPOCH_MS, SessionRecord
from protocol.hardened.sealed_messages import Envelope, Header, Kind, seal_message, unwrap
from protocol.hardened.suites import HARDENED_SUITES, Freshness
from protocol.streams.opening import SocketRequest, StreamRequest

by_suite = pytest.mark.parametrize("suite", HARDENED_SUITES)
by_fresh = pytest.mark.parametrize("fresh", ["clock", "counter"])


def enrolled(
    suite: str = "ecdh-gcm", fresh: Freshness = "clock"
) -> tuple[HardenedPeer, ClientSession]:
    peer = HardenedPeer(suite, fresh)
    return peer, peer.login()[0]


# --- the seal -----------------------------------------------------------------------------------


@by_suite
def test_any_bit_of_the_header_is_authenticated(suite: str) -> None:
    peer, session = enrolled(suite)
    envelope, _, _ = peer.send(session)
    for bit in range(8 * len(envelope.raw_header)):
        with pytest.raises((DecryptionFailed, MalformedMessage, UnsupportedSuite)):
            peer.open(with_header(envelope, flip(envelope.raw_header, bit)))
    peer.receive(envelope)


@by_suite
@pytest.mark.parametrize("tag_bytes", [12, 8, 4])
def test_a_tag_cut_short_is_refused(suite: str, tag_bytes: int) -> None:
    peer, session = enrolled(suite)
    envelope, _, _ = peer.send(session)
    with pytest.raises(DecryptionFailed):
        peer.open(replace(envelope, sealed=envelope.sealed[: tag_bytes - 16]))


def test_who_can_wrap_but_has_not_the_key_cannot_seal() -> None:
    peer, session = enrolled("rsa-gcm")
    envelope, _, _ = peer.send(session)
    server_key = key_pair("test-session").public
    plaintext = serialize_msgpack(REQUEST.to_array())
    for key in (bytes(32), session.s2c):
        forged = seal_message(key, envelope.header, plaintext, server_key, peer.entropy)
        with pytest.raises(DecryptionFailed):
            peer.open(forged)


@by_suite
def test_two_messages_of_the_same_text_share_nothing(suite: str) -> None:
    peer, session = enrolled(suite)
    first, _, session = peer.send(session)
    second, _, _ = peer.send(session)
    assert first.salt != second.salt
    assert first.sealed != second.sealed
    assert first.wrapped is None or first.wrapped != second.wrapped


def test_the_same_header_and_another_salt_is_another_key() -> None:
    """A restored snapshot: the same session, time and text, and only the entropy is new."""
    peer, session = enrolled(fresh="counter")
    first, _, _ = peer.send(session)
    second, _, _ = peer.send(session)
    assert first.raw_header == second.raw_header
    assert first.sealed != second.sealed
    peer.receive(first)
    with pytest.raises(ReplayedNonce):
        peer.receive(second)


def test_nothing_of_the_request_shows() -> None:
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    for form in ("json", "msgpack"):
        seen = envelope.serialize(form)
        for part in (b"PUT", b"/fan", b"speed", b"Accept", b"secret-value"):
            assert part not in seen


@by_suite
def test_a_message_of_another_session_is_refused(suite: str) -> None:
    peer, first = enrolled(suite)
    second, _ = peer.login()
    envelope, _, _ = peer.send(first)
    moved = Header(
        envelope.header.suite,
        Kind.REQUEST,
        0,
        second.session_id,
        "clock",
        envelope.header.fresh_value,
        envelope.header.wrapped_hash,
    )
    with pytest.raises(DecryptionFailed):
        peer.open(with_header(envelope, moved.serialize()))


def test_no_session_is_refused() -> None:
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    peer.memory.sessions.clear()
    with pytest.raises(DecryptionFailed):
        peer.open(envelope)


def test_a_session_ends_when_its_time_is_over() -> None:
    peer, session = enrolled()
    peer.now_ms += HOUR_MS - 1
    peer.receive(peer.send(session)[0])
    peer.now_ms += 1
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(session)[0])


def test_a_record_of_another_session_is_our_own_fault() -> None:
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    record = peer.memory.session(session.session_id)
    assert record is not None
    other = ServerSession.load(replace(record, session_id=bytes(16)))
    with pytest.raises(LocalProtocolError):
        open_request(envelope, other, peer.now_ms)


def test_a_stored_session_without_its_clients_key_is_our_own_fault() -> None:
    peer, session = enrolled("rsa-gcm")
    record = peer.memory.session(session.session_id)
    assert record is not None
    with pytest.raises(LocalProtocolError):
        ServerSession.load(replace(record, client_key=b""))


# --- order and once -----------------------------------------------------------------------------


@by_suite
def test_an_opened_message_shows_nothing_but_its_claim(suite: str) -> None:
    peer, session = enrolled(suite)
    opened = peer.open(peer.send(session)[0])
    public = {name for name in dir(opened) if not name.startswith("_")}
    assert public == {"claim", "accept"}
    assert "secret-value" not in repr(opened) + repr(opened.claim)


def test_an_opened_message_is_decided_once() -> None:
    peer, session = enrolled()
    opened = peer.open(peer.send(session)[0])
    with pytest.raises(ReplayedNonce):
        opened.accept(False, peer.now_ms)
    with pytest.raises(LocalProtocolError):
        opened.accept(True, peer.now_ms)


def test_a_message_is_answered_once() -> None:
    peer, session = enrolled()
    accepted = peer.receive(peer.send(session)[0])
    accepted.seal_response(RESPONSE, peer.now_ms, peer.entropy)
    with pytest.raises(LocalProtocolError):
        accepted.seal_response(RESPONSE, peer.now_ms, peer.entropy)


def test_a_refusal_is_sealed_once() -> None:
    peer, session = enrolled()
    stale = peer.decide(peer.send(session)[0], peer.now_ms + WINDOW_MS + 1)
    assert isinstance(stale, StaleMessage)
    assert not hasattr(stale, "http_request")
    stale.seal_refusal(peer.now_ms, peer.entropy)
    with pytest.raises(LocalProtocolError):
        stale.seal_refusal(peer.now_ms, peer.entropy)


def test_an_answer_is_opened_once_even_if_it_was_wrong() -> None:
    peer, session = enrolled()
    envelope, pending, _ = peer.send(session)
    answer = peer.respond(envelope)
    with pytest.raises(DecryptionFailed):
        pending.open(replace(answer, salt=bytes(16)), 0)
    with pytest.raises(LocalProtocolError):
        pending.open(answer, 0)


@by_suite
def test_an_answer_is_opened_in_two_steps_with_a_key_that_is_elsewhere(suite: str) -> None:
    peer, session = enrolled(suite)
    envelope, pending, _ = peer.send(session)
    answer = peer.respond(envelope)
    received = pending.receive(answer)
    assert received.wrapped == (answer.wrapped or b"")
    elsewhere = peer.client_pair
    secret = elsewhere.unwrap(received.wrapped, "oaep-sha256") if elsewhere else None
    assert received.open(secret, 0) == RESPONSE
    with pytest.raises(LocalProtocolError):
        received.open(secret, 0)
    with pytest.raises(LocalProtocolError):
        pending.receive(answer)


@pytest.mark.parametrize("unwrapped", [None, b"", bytes(31), bytes(32), bytes(33)])
def test_what_did_not_come_out_right_is_one_failure(unwrapped: bytes | None) -> None:
    peer, session = enrolled("rsa-gcm")
    envelope, pending, _ = peer.send(session)
    received = pending.receive(peer.respond(envelope))
    with pytest.raises(DecryptionFailed, match="the answer's seal does not hold"):
        received.open(unwrapped, 0)


def test_the_right_secret_of_another_wrapping_is_the_same_failure() -> None:
    peer, session = enrolled("rsa-gcm")
    envelope, pending, _ = peer.send(session)
    answer = peer.respond(envelope)
    pair = peer.client_pair
    assert pair
    secret = pair.unwrap(answer.wrapped, "oaep-sha256")
    assert secret
    # The hash in the header is of the wrapped key, and whoever knows the public key can wrap anew.
    received = pending.receive(replace(answer, wrapped=pair.public.wrap(secret, "oaep-sha256")))
    with pytest.raises(DecryptionFailed, match="the answer's seal does not hold"):
        received.open(secret, 0)


def test_what_is_no_request_is_found_out_after_the_claim() -> None:
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    header, keys = envelope.header, session.keys()
    forged = seal_message(keys.c2s, header, b"\xc0", None, peer.entropy)
    accepted = peer.receive(forged)
    with pytest.raises(MalformedMessage):
        accepted.http_request()
    # It can be answered inside.
    accepted.seal_response(RESPONSE, peer.now_ms, peer.entropy)


# --- streams and sockets: the seal of their openings (2.10.2, 2.11.1) ----------------------------

UPLOAD = StreamRequest("POST", "/files?name=a", (("Content-Type", "text/plain"),), 5, 4096)
SOCKET = SocketRequest("/chat", (("Origin", "http://shop.example"),), ("chat",), 4096)


def test_each_kind_of_request_has_a_route_of_its_own() -> None:
    peer, session = enrolled()
    sent, _, session = peer.send(session)
    stream, _, session = seal_stream_request(session, UPLOAD, peer.now_ms, peer.entropy)
    socket, _, _ = seal_socket_request(session, SOCKET, peer.now_ms, peer.entropy)
    for envelope in (sent, stream, socket):
        for kind in (Kind.REQUEST, Kind.STREAM_REQUEST, Kind.SOCKET_REQUEST):
            if kind is not envelope.header.kind:
                with pytest.raises(DecryptionFailed):
                    peer.open(envelope, kind=kind)


@by_suite
def test_a_stream_request_is_granted_under_the_seal(suite: str) -> None:
    peer, session = enrolled(suite)
    envelope, pending, session = seal_stream_request(
        session, UPLOAD, peer.now_ms, peer.entropy, peer.client_pair
    )
    accepted = peer.receive(envelope, kind=Kind.STREAM_REQUEST)
    assert accepted.stream_request() == UPLOAD
    answer, keys = accepted.seal_grant(4096, peer.now_ms, peer.entropy)
    received = pending.receive(answer)
    unwrapped = unwrap(peer.client_pair, received.wrapped)
    assert received.open(unwrapped, 0) == OpenedStream(keys, 4096)


def test_a_socket_request_is_granted_under_the_seal() -> None:
    peer, session = enrolled()
    envelope, pending, session = seal_socket_request(session, SOCKET, peer.now_ms, peer.entropy)
    accepted = peer.receive(envelope, kind=Kind.SOCKET_REQUEST)
    assert accepted.socket_request() == SOCKET
    answer, keys = accepted.seal_grant(4096, peer.now_ms, peer.entropy)
    assert pending.receive(answer).open(b"", 0) == OpenedStream(keys, 4096)


def test_a_stream_is_not_opened_as_a_response() -> None:
    peer, session = enrolled()
    envelope, pending, session = seal_stream_request(session, UPLOAD, peer.now_ms, peer.entropy)
    accepted = peer.receive(envelope, kind=Kind.STREAM_REQUEST)
    answer, _ = accepted.seal_grant(4096, peer.now_ms, peer.entropy)
    with pytest.raises(LocalProtocolError):
        pending.open(answer, 0)


# --- freshness ----------------------------------------------------------------------------------


@by_suite
@by_fresh
def test_a_message_counts_once(suite: str, fresh: Freshness) -> None:
    peer, session = enrolled(suite, fresh)
    envelope, _, _ = peer.send(session)
    first, second = peer.open(envelope), peer.open(envelope)
    assert first.claim == second.claim
    first.accept(peer.memory.claim(session.session_id, first.claim), peer.now_ms)
    with pytest.raises(ReplayedNonce):
        second.accept(peer.memory.claim(session.session_id, second.claim), peer.now_ms)


@pytest.mark.parametrize("late", [WINDOW_MS, -WINDOW_MS])
def test_the_edge_of_the_window_is_inside(late: int) -> None:
    peer, session = enrolled()
    inside, _, session = peer.send(session)
    outside, _, _ = peer.send(session)
    assert isinstance(peer.decide(inside, peer.now_ms + late), AcceptedMessage)
    step = 1 if late > 0 else -1
    assert isinstance(peer.decide(outside, peer.now_ms + late + step), StaleMessage)


def test_a_replay_after_its_claim_was_forgotten_is_stale() -> None:
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    peer.receive(envelope)
    peer.memory.forget(peer.now_ms + WINDOW_MS)
    with pytest.raises(ReplayedNonce):
        peer.decide(envelope, peer.now_ms + WINDOW_MS)
    peer.memory.forget(peer.now_ms + WINDOW_MS + 1)
    assert peer.memory.salts == {}
    assert isinstance(peer.decide(envelope, peer.now_ms + WINDOW_MS + 1), StaleMessage)


def test_a_claim_that_took_long_does_not_revive_a_message() -> None:
    """Opened inside the window; the claim of the first is forgotten before this one is made."""
    peer, session = enrolled()
    envelope, _, _ = peer.send(session)
    peer.receive(envelope)
    opened = peer.open(envelope, peer.now_ms + WINDOW_MS)
    later = peer.now_ms + WINDOW_MS + 1
    peer.memory.forget(later)
    claimed = peer.memory.claim(session.session_id, opened.claim)
    assert claimed
    assert isinstance(opened.accept(claimed, later), StaleMessage)


def test_counters_at_the_edge_of_the_window() -> None:
    peer, session = enrolled(fresh="counter")

    def numbered(value: int) -> Envelope:
        return peer.send(replace(session, sequence=value - 1))[0]

    peer.receive(numbered(5000))
    peer.receive(numbered(5000 - 1023))
    for value in (5000, 5000 - 1023, 5000 - 1024, 1):
        with pytest.raises(ReplayedNonce):
            peer.receive(numbered(value))
    peer.receive(numbered(2**53 - 1))
    with pytest.raises(ReplayedNonce):
        peer.receive(numbered(5001))


def test_a_forged_far_counter_leaves_the_window_as_it_was() -> None:
    peer, session = enrolled(fresh="counter")
    far, _, _ = peer.send(replace(session, sequence=10**6, c2s=bytes(32)))
    before = dict(peer.memory.windows)
    with pytest.raises(DecryptionFailed):
        peer.decide(far)
    assert peer.memory.windows == before
    peer.receive(peer.send(session)[0])


def test_a_counter_needs_no_clock() -> None:
    peer, session = enrolled(fresh="counter")
    for _ in range(3):
        peer.now_ms += 10 * 60_000
        response, session = peer.exchange(session)
        assert response == RESPONSE


def test_a_clock_before_1970_is_1970() -> None:
    peer, session = enrolled()
    early = replace(session, offset_ms=-(2**60))
    assert peer.send(early)[0].header.fresh_value == 0


# --- the clock, corrected -----------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-HOUR_MS // 2, HOUR_MS // 2])
def test_a_client_whose_clock_is_wrong_is_told_the_time_and_gets_through(skew: int) -> None:
    peer, session = enrolled()
    session = replace(session, offset_ms=skew)
    envelope, pending, session = peer.send(session)
    stale = peer.decide(envelope)
    assert isinstance(stale, StaleMessage)
    with pytest.raises(ClockRefused) as raised:
        pending.open(stale.seal_refusal(peer.now_ms, peer.entropy), 20)
    assert raised.value.may_retry
    assert raised.value.code == StaleTimestamp.code
    session = session.corrected(raised.value.server_ms, peer.now_ms)
    assert peer.exchange(session)[0] == RESPONSE
    # Nor does the first message count later, when its time would have come.
    peer.now_ms += skew
    with pytest.raises(ReplayedNonce):
        peer.decide(envelope)


def test_a_message_that_was_carried_out_is_not_sent_again_for_a_refusal_shown_later() -> None:
    """Delivered, its answer held back, delivered again when it is stale."""
    peer, session = enrolled()
    envelope, pending, _ = peer.send(session)
    peer.receive(envelope)
    held_ms = 2 * WINDOW_MS + 5000
    peer.now_ms += held_ms
    peer.memory.forget(peer.now_ms)
    stale = peer.decide(envelope)
    assert isinstance(stale, StaleMessage)
    with pytest.raises(ClockRefused) as raised:
        pending.open(stale.seal_refusal(peer.now_ms, peer.entropy), held_ms)
    assert not raised.value.may_retry


# --- answers ------------------------------------------------------------------------------------


@by_suite
@by_fresh
def test_an_answer_to_another_request_is_refused(suite: str, fresh: Freshness) -> None:
    peer, session = enrolled(suite, fresh)
    first, _, session = peer.send(session)
    _, pending, _ = peer.send(session)
    with pytest.raises(DecryptionFailed):
        pending.open(peer.respond(first), 0)


@by_suite
def test_a_request_that_comes_back_is_no_answer(suite: str) -> None:
    peer, session = enrolled(suite)
    envelope, pending, _ = peer.send(session)
    with pytest.raises(DecryptionFailed):
        pending.open(envelope, 0)


def test_an_answer_sent_to_the_server_is_no_request() -> None:
    peer, session = enrolled()
    answer = peer.respond(peer.send(session)[0])
    with pytest.raises(DecryptionFailed):
        peer.open(answer)


# --- epochs -------------------------------------------------------------------------------------


def advanced(peer: HardenedPeer, session: ClientSession, epochs: int) -> ClientSession:
    for _ in range(epochs):
        peer.now_ms += EPOCH_LIFETIME_MS
        session = peer.exchange(session)[1]
    return session


@by_suite
@by_fresh
def test_epochs_two_back_and_two_ahead_are_refused(suite: str, fresh: Freshness) -> None:
    peer, first = enrolled(suite, fresh)
    first = peer.exchange(first)[1]
    session = advanced(peer, first, 2)
    assert session.epoch == 2
    old = replace(first, epoch_started_ms=peer.now_ms, sequence=50)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(old)[0])
    ahead = session.rekeyed(peer.now_ms).rekeyed(peer.now_ms)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(ahead)[0])


def test_the_epoch_before_is_good_for_thirty_seconds() -> None:
    peer, first = enrolled()
    first = peer.exchange(first)[1]
    advanced(peer, first, 1)
    straggler = replace(first, heard=0)
    envelope, pending, _ = peer.send(straggler)
    assert envelope.header.epoch == 0
    peer.now_ms += EPOCH_OVERLAP_MS
    # It is answered under the keys that its sender has.
    assert pending.open(peer.respond(envelope), 0) == RESPONSE
    later, _, _ = peer.send(straggler)
    peer.now_ms += 1
    with pytest.raises(DecryptionFailed):
        peer.open(later)


def test_a_message_of_the_epoch_before_moves_nothing() -> None:
    peer, first = enrolled()
    first = peer.exchange(first)[1]
    advanced(peer, first, 1)
    accepted = peer.receive(peer.send(replace(first, heard=0))[0])
    assert not accepted.moved
    assert accepted.session.epoch == 1


def test_a_forged_next_epoch_moves_nothing() -> None:
    peer, session = enrolled()
    before = dict(peer.memory.sessions)
    ahead = replace(session.rekeyed(peer.now_ms), c2s=bytes(32))
    with pytest.raises(DecryptionFailed):
        peer.decide(peer.send(ahead)[0])
    replayed, _, _ = peer.send(session.rekeyed(peer.now_ms))
    opened = peer.open(replayed)
    with pytest.raises(ReplayedNonce):
        opened.accept(False, peer.now_ms)
    assert peer.memory.sessions == before


def test_a_client_does_not_run_ahead_of_a_server_that_does_not_answer() -> None:
    peer, session = enrolled()
    session = peer.exchange(session)[1]
    for _ in range(3):
        peer.now_ms += EPOCH_LIFETIME_MS
        _, _, session = peer.send(session)  # lost
    assert session.epoch == 1
    response, session = peer.exchange(session)
    assert (response, session.heard) == (RESPONSE, 1)


def test_an_answer_of_an_earlier_epoch_does_not_confirm_this_one() -> None:
    peer, session = enrolled()
    session = peer.exchange(session)[1]
    moved = session.rekeyed(peer.now_ms)
    assert moved.answered(0).heard == 0
    assert moved.answered(1).heard == 1


def test_a_stale_message_of_the_next_epoch_moves_nothing() -> None:
    peer, session = enrolled()
    ahead = replace(session.rekeyed(peer.now_ms), offset_ms=-HOUR_MS)
    envelope, pending, _ = peer.send(ahead)
    stale = peer.decide(envelope)
    assert isinstance(stale, StaleMessage)
    with pytest.raises(ClockRefused) as raised:
        pending.open(stale.seal_refusal(peer.now_ms, peer.entropy), 0)
    record = peer.memory.session(session.session_id)
    assert record is not None
    assert record.epoch == 0
    corrected = ahead.corrected(raised.value.server_ms, peer.now_ms)
    assert peer.exchange(corrected)[0] == RESPONSE


def test_an_epoch_goes_on_once_and_is_refused_then() -> None:
    """Answers that were lost must not lock a client out: it stays in its epoch meanwhile."""
    peer, session = enrolled()
    peer.now_ms += MAX_EPOCH_MS
    assert not peer.receive(peer.send(session)[0]).moved
    peer.now_ms += 1
    for _ in range(2):  # Both were under way before the first was stored.
        accepted = peer.open(peer.send(session)[0]).accept(True, peer.now_ms)
        assert isinstance(accepted, AcceptedMessage)
        assert (accepted.moved, accepted.session.epoch) == (True, 0)
    assert peer.receive(peer.send(session)[0]).session.extended == 1
    peer.now_ms += MAX_EPOCH_MS
    assert not peer.receive(peer.send(session)[0]).moved
    peer.now_ms += 1
    envelope, pending, session = peer.send(session)
    refused = peer.decide(envelope)
    assert isinstance(refused, StaleMessage)
    with pytest.raises(EpochRefused):
        pending.open(refused.seal_refusal(peer.now_ms, peer.entropy), 0)
    # Of two that are refused the first begins the next epoch.
    session = session.refused(pending.epoch, peer.now_ms)
    assert session.epoch == 1
    assert session.refused(pending.epoch, peer.now_ms) is session
    assert peer.exchange(session)[0] == RESPONSE
    record = peer.memory.session(session.session_id)
    assert record is not None
    assert (record.epoch, record.extended) == (1, 0)
    assert record.epoch_until_ms == peer.now_ms + MAX_EPOCH_MS


def test_a_session_of_an_earlier_version_goes_on() -> None:
    peer, session = enrolled()
    record = peer.memory.session(session.session_id)
    assert record is not None
    # It wrote neither the end of the epoch nor the secret of the exporter.
    values = msgpack.unpackb(record.serialize())[:-3]
    peer.memory.sessions[session.session_id] = msgpack.packb(values)
    peer.now_ms += EPOCH_LIFETIME_MS
    assert peer.receive(peer.send(session)[0]).session.extended == 1


def test_keys_of_an_earlier_epoch_are_forgotten() -> None:
    peer, session = enrolled()
    session = peer.exchange(session)[1]
    first = (session.c2s, session.s2c)
    session = advanced(peer, session, 1)
    record = peer.memory.session(session.session_id)
    assert record is not None
    assert record.pruned(peer.now_ms + EPOCH_OVERLAP_MS) is record
    pruned = record.pruned(peer.now_ms + EPOCH_OVERLAP_MS + 1)
    assert pruned.pruned(peer.now_ms + HOUR_MS) is pruned
    for key in first:
        assert key in record.serialize()
        assert key not in pruned.serialize()
        assert key not in session.serialize()
    assert SessionRecord.parse(pruned.serialize()) == pruned
    # The next epoch drops what was left of the one before the last.
    record = peer.memory.session(advanced(peer, session, 1).session_id)
    assert record is not None
    assert first[0] not in record.serialize()


def test_the_directions_of_every_epoch_have_keys_of_their_own() -> None:
    _, session = enrolled()
    keys, seen = session.keys(), set[bytes]()
    for _ in range(20):
        seen |= {keys.c2s, keys.s2c}
        keys = keys.next()
    assert len(seen) == 40


def test_two_clients_of_one_session_move_together() -> None:
    """Two tabs: one begins the epoch, the other follows within the overlap, in either order."""
    peer, session = enrolled()
    session = peer.exchange(session)[1]
    peer.now_ms += EPOCH_LIFETIME_MS
    one, two = (peer.send(session) for _ in range(2))
    assert one[0].header.epoch == two[0].header.epoch == 1
    both = [peer.open(envelope) for envelope, _, _ in (one, two)]
    decided = [opened.accept(True, peer.now_ms) for opened in both]
    assert [isinstance(item, AcceptedMessage) and item.moved for item in decided] == [True, True]
    assert decided[0].session == decided[1].session  # type: ignore[union-attr]


# --- the inside ---------------------------------------------------------------------------------


def test_a_body_of_a_mebibyte_and_headers_beyond_ascii() -> None:
    peer, session = enrolled()
    request = HttpRequest("POST", "/a%C3%A9", (("X-Name", "é"),), bytes(range(256)) * 4096)
    envelope, _, _ = peer.send(session, request)
    assert peer.receive(envelope).http_request() == request


def test_what_nobody_took_of_an_envelope_is_left_as_it_came() -> None:
    members = Members.parse("json", b'{"v": 1, "token": "t", "payload": null}')
    assert members.number("v", 1) == 1
    assert members.left() == {"token": "t", "payload": None}
