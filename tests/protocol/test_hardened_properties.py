"""What holds for every input of the hardened suites: bits, bytes, windows, and long walks."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgpack
import pytest
from hardened_peer import CODE8, OTHER_CODE8, RESPONSE, HardenedPeer
from hardened_states import (
    HARDENED_TRANSITIONS,
    HardenedEvent,
    HardenedState,
    advance_hardened,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from make_vectors import WINDOW_MS, flip
from peer import seeded

from examples import examples, walking
from protocol.common.codec import (
    MAX_MSGPACK_DEPTH,
    MAX_MSGPACK_ITEMS,
    parse_msgpack,
    serialize_msgpack,
)
from protocol.common.codes import CODE_ATTEMPTS, Code
from protocol.common.envelopes import Format
from protocol.common.errors import (
    CodeRefused,
    DecryptionFailed,
    LocalProtocolError,
    MalformedMessage,
    RejectedMessage,
    RemoteProtocolError,
    ReplayedNonce,
    TicketRefused,
    TicketReuseDetected,
)
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.typed_codes import NoCode, read_code
from protocol.hardened.client_confirmation import PendingConfirmation
from protocol.hardened.client_handshake import PendingShare, begin_resumption
from protocol.hardened.client_session import EPOCH_LIFETIME_MS, ClientSession, ClientTicket
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.message_server import AcceptedMessage, StaleMessage
from protocol.hardened.replay_window import COUNTER_WINDOW, MAX_FRESH_VALUE, ReplayWindow
from protocol.hardened.sealed_messages import Envelope, Header
from protocol.hardened.suites import HARDENED_SUITES

# ``make fuzz`` tries this many times as many examples.


FORMS: tuple[Format, ...] = ("json", "msgpack")
CLASSES: tuple[Any, ...] = (
    *(ClientHello, ServerHello, ClientShare, ServerShare, ClientConfirmation, ServerConfirmation),
    *(ResumptionClientHello, ResumptionServerHello, Envelope),
)


# --- one bit ------------------------------------------------------------------------------------

Spoil = Callable[[str, Any], Any]


def whole_way(peer: HardenedPeer, spoil: Spoil) -> None:
    """Login, message, resumption and message; ``spoil`` sees every message as it travels."""
    hello, greeting = peer.hello()
    invitation = peer.server.greet(spoil("M0", hello), 600, peer.entropy)
    login = invitation.for_code(CODE8)
    peer.memory.logins[login.session_id] = login.serialize()
    awaited = greeting.open(spoil("M1", invitation.greeting))
    share, pending = awaited.enter(CODE8, peer.entropy)
    answer = spoil("M3", peer.answer_share(spoil("M2", share)))
    message, confirmation = pending.open(answer, peer.client_key)
    proven = spoil("M5", peer.confirm(spoil("M4", message)))
    session, ticket = confirmation.open(proven, peer.now_ms)
    assert ticket is not None
    one_message(peer, session, spoil)
    r1, resuming = begin_resumption(ticket, peer.entropy, peer.fresh)
    r3, confirmation = resuming.open(
        spoil("R2", peer.answer_resumption(spoil("R1", r1))), peer.client_key
    )
    confirmation.open(spoil("R4", peer.redeem(spoil("R3", r3))), peer.now_ms)


def one_message(peer: HardenedPeer, session: ClientSession, spoil: Spoil) -> None:
    envelope, waiting, _ = peer.send(session)
    accepted = peer.receive(spoil("request", envelope))
    accepted.http_request()
    answer = accepted.seal_response(RESPONSE, peer.now_ms, peer.entropy)
    assert waiting.open(spoil("response", answer), 0) == RESPONSE


STEPS = ["M0", "M1", "M2", "M3", "M4", "M5", "request", "response", "R1", "R2", "R3", "R4"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("suite", HARDENED_SUITES)
@examples(25)
@given(form=st.sampled_from(FORMS), bit=st.integers(0, 20_000))
def test_any_bit_flipped_of_any_message_rejects(
    suite: str, step: str, form: Format, bit: int
) -> None:
    peer = HardenedPeer(suite, "clock", form)
    spoilt = []

    def spoil(name: str, message: Any) -> Any:
        if name != step:
            return message
        spoilt.append(name)
        data = message.serialize(form)
        return type(message).parse(form, flip(data, bit))

    with pytest.raises(RemoteProtocolError):
        whole_way(peer, spoil)
    assert spoilt == [step]


@pytest.mark.parametrize("suite", HARDENED_SUITES)
def test_the_whole_way_is_right_where_nothing_is_flipped(suite: str) -> None:
    whole_way(HardenedPeer(suite), lambda _, message: message)


# --- any bytes ----------------------------------------------------------------------------------


@cache
def honest(form: Format) -> list[bytes]:
    """Every message of the whole way, as it travels."""
    seen: list[bytes] = []

    def keep(_: str, message: Any) -> Any:
        seen.append(message.serialize(form))
        return message

    for suite in HARDENED_SUITES:
        whole_way(HardenedPeer(suite, "counter", form), keep)
    return seen


@st.composite
def nearly(draw: st.DrawFn, form: Format) -> bytes:
    """An honest message with a piece of another in it."""
    messages = honest(form)
    text = draw(st.sampled_from(messages))
    other = draw(st.sampled_from(messages) | st.binary(max_size=8))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 8)))
    begin = draw(st.integers(0, len(other)))
    return text[:start] + other[begin : begin + draw(st.integers(0, 8))] + text[end:]


@pytest.mark.parametrize("form", FORMS)
@examples(300)
@given(data=st.data())
def test_any_bytes_are_a_message_or_a_remote_error(form: Format, data: st.DataObject) -> None:
    text = data.draw(st.binary(max_size=60) | nearly(form))
    for cls in CLASSES:
        try:
            message = cls.parse(form, text)
        except RemoteProtocolError:
            continue
        assert cls.parse(form, message.serialize(form)) == message


@examples(300)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_header_or_a_remote_error(data: bytes) -> None:
    for text in (data, (b"CG1\0\1\1" + data).ljust(67, b"\0")[:67]):
        try:
            header = Header.parse(text)
        except RemoteProtocolError:
            continue
        assert header.serialize() == text


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.integers(-(2**63), 2**64 - 1) | st.text(max_size=40) | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=4), inner, max_size=20)
    ),
    max_leaves=20,
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    VALUES | st.none() | st.booleans() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.binary(), inner, max_size=3)
    ),
    max_leaves=8,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def is_ours(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(k) is str and is_ours(v) for k, v in value.items())
    return all(map(is_ours, value)) if isinstance(value, list) else type(value) in (int, str, bytes)


@examples(300)
@given(VALUES)
def test_every_value_within_the_limits_has_one_msgpack(value: Any) -> None:
    assume(depth(value) <= MAX_MSGPACK_DEPTH)
    assert parse_msgpack(serialize_msgpack(value)) == value


@examples(400)
@given(ANYTHING)
def test_msgpack_of_other_types_or_deeper_is_malformed(value: Any) -> None:
    try:
        data = msgpack.packb(value)
    except (OverflowError, ValueError):
        assume(False)
    fits = is_ours(value) and depth(value) <= MAX_MSGPACK_DEPTH
    if fits:
        assert parse_msgpack(data) == value
    else:
        with pytest.raises(MalformedMessage):
            parse_msgpack(data)


@examples(500)
@given(st.binary(max_size=40))
@example(b"\xc7\x00\x01")
@example(b"\x91" * 3000 + b"\x01")
def test_any_bytes_are_one_value_or_malformed(data: bytes) -> None:
    try:
        value = parse_msgpack(data)
    except MalformedMessage:
        return
    assert serialize_msgpack(value) == data
    assert len(value) <= MAX_MSGPACK_ITEMS if isinstance(value, list | dict) else True


@examples(200)
@given(ANYTHING)
def test_any_value_is_http_or_malformed(value: Any) -> None:
    for cls in (HttpRequest, HttpResponse):
        with pytest.raises(MalformedMessage):
            cls.parse_array(value)


@examples(200)
@given(
    st.sampled_from(["GET", "put", "CONNECT", "", 1]),
    st.sampled_from(["/", "/\u00e9", "//a", "a", b"/"]),
    st.lists(st.lists(st.sampled_from(["A", "b c", "\r\n", "x"]), max_size=3), max_size=3),
    st.sampled_from([b"", b"x", "x"]),
)
def test_nearly_http_is_http_or_malformed(
    method: Any, target: Any, headers: Any, body: Any
) -> None:
    try:
        request = HttpRequest.parse_array([method, target, headers, body])
    except MalformedMessage:
        return
    assert request.target.isascii()
    assert HttpRequest.parse_array(request.to_array()) == request


@examples(300)
@given(st.text("7K3QWXYZoil -u\u0131", max_size=12) | st.text(max_size=9))
def test_any_text_is_a_code_or_none(text: str) -> None:
    code = read_code(text)
    assert isinstance(code, NoCode) or (len(code.text) == 8 and read_code(code.text) == code)


# --- the window ---------------------------------------------------------------------------------


class NaiveWindow:
    """Every number ever seen, and the rule in words."""

    def __init__(self) -> None:
        self.seen = {0}

    def claim(self, value: int) -> bool:
        top = max(self.seen)
        if value in self.seen or value <= top - COUNTER_WINDOW:
            return False
        self.seen.add(value)
        return True


NEAR = st.integers(0, 3 * COUNTER_WINDOW)
FAR = st.integers(0, MAX_FRESH_VALUE) | st.integers(
    MAX_FRESH_VALUE - 2 * COUNTER_WINDOW, MAX_FRESH_VALUE
)


@examples(300)
@given(st.lists(NEAR, max_size=60) | st.lists(NEAR | FAR, max_size=20))
@example([COUNTER_WINDOW, 1, COUNTER_WINDOW + 1, 1, 2, 2**53 - 1, 2**53 - 1024, 2**53 - 1025])
def test_the_window_is_the_rule(values: list[int]) -> None:
    window, naive = ReplayWindow(), NaiveWindow()
    for value in values:
        claimed = window.claim(value)
        assert (claimed is not None) == naive.claim(value), value
        window = ReplayWindow.parse((claimed or window).serialize())
        assert window.top == max(naive.seen)


def test_a_window_of_another_length_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        ReplayWindow.parse(bytes(135))


# --- the login, step by step --------------------------------------------------------------------


class LoginWalk(RuleBasedStateMachine):
    """Shares and confirmations in any order, of two clients, one of whom knows the code."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = HardenedPeer()
        self.awaited = self.peer.greet()
        self.sid = self.awaited.greeting.session_id
        self.sent: list[tuple[int, Code, PendingShare, ServerShare]] = []
        self.attempts = 0
        self.open_exchange: int | None = None
        self.spent = False

    @rule(code=st.sampled_from([CODE8, OTHER_CODE8]))
    def share(self, code: Code) -> None:
        message, pending = self.awaited.enter(code, self.peer.entropy)
        if self.spent or self.attempts >= CODE_ATTEMPTS:
            with pytest.raises(CodeRefused):
                self.peer.answer_share(message)
            return
        self.attempts += 1
        self.open_exchange = self.attempts
        self.sent.append((self.attempts, code, pending, self.peer.answer_share(message)))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), honest=st.booleans())
    def confirm(self, data: st.DataObject, honest: bool) -> None:
        step = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        number, code, pending, answer = step
        message, confirmation = pending.open(answer)
        if not honest:
            message = ClientConfirmation(self.sid, bytes(32))
        fits = number == self.open_exchange and code is CODE8 and honest
        self.open_exchange = None
        if not fits:
            with pytest.raises(CodeRefused):
                self.peer.confirm(message)
            return
        session, _ = confirmation.open(self.peer.confirm(message), self.peer.now_ms)
        self.spent = True
        assert self.peer.exchange(session)[0] == RESPONSE

    @invariant()
    def no_more_attempts_than_five_and_no_session_without_the_code(self) -> None:
        assert self.peer.memory.attempts.get(self.sid, 0) == self.attempts <= CODE_ATTEMPTS
        assert (self.sid in self.peer.memory.sessions) == self.spent
        assert len(self.peer.memory.exchanges) <= 1


TestLoginWalk = LoginWalk.TestCase
TestLoginWalk.settings = walking(20, 15)


# --- messages and epochs, step by step ----------------------------------------------------------


class RekeyWalk(RuleBasedStateMachine):
    """One client, a network that loses, repeats and keeps back, and time that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = HardenedPeer()
        self.ran: list[bytes] = []
        self.kept: list[tuple[Envelope, int]] = []

    @initialize(fresh=st.sampled_from(["clock", "counter"]))
    def begin(self, fresh: Any) -> None:
        self.peer = HardenedPeer(fresh=fresh)
        self.session = self.peer.login()[0]

    def _server_epoch(self) -> int:
        record = self.peer.memory.session(self.session.session_id)
        assert record is not None
        return record.epoch

    def _run(self, envelope: Envelope) -> AcceptedMessage | StaleMessage:
        decided = self.peer.decide(envelope)
        if isinstance(decided, AcceptedMessage):
            assert envelope.salt not in self.ran
            self.ran.append(envelope.salt)
        return decided

    @rule(reaches=st.booleans(), answered=st.booleans())
    def send(self, reaches: bool, answered: bool) -> None:
        envelope, pending, self.session = self.peer.send(self.session)
        self.kept.append((envelope, self.peer.now_ms))
        if not reaches:
            return
        decided = self._run(envelope)
        assert isinstance(decided, AcceptedMessage)
        answer = decided.seal_response(RESPONSE, self.peer.now_ms, self.peer.entropy)
        if answered:
            assert pending.open(answer, 0) == RESPONSE
            self.session = self.session.answered(pending.epoch)

    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Whatever was ever sent comes again: it runs once at most."""
        assume(self.kept)
        envelope, sent_ms = data.draw(st.sampled_from(self.kept))
        epoch, before = envelope.header.epoch, self._server_epoch()
        try:
            decided = self._run(envelope)
        except ReplayedNonce:
            return
        except DecryptionFailed:
            assert epoch != before
            return
        late = self.peer.now_ms - sent_ms > WINDOW_MS and self.peer.fresh == "clock"
        assert isinstance(decided, StaleMessage) == late

    @rule(ms=st.sampled_from([1, 20_000, 40_000, EPOCH_LIFETIME_MS // 4]))
    def wait(self, ms: int) -> None:
        assume(self.peer.now_ms + ms < self.session.expires_ms)
        self.peer.now_ms += ms
        self.peer.memory.forget(self.peer.now_ms)

    @invariant()
    def the_client_is_never_two_ahead(self) -> None:
        if hasattr(self, "session"):
            assert 0 <= self.session.epoch - self._server_epoch() <= 1

    @invariant()
    def the_server_keeps_two_epochs_at_most(self) -> None:
        if hasattr(self, "session"):
            record = self.peer.memory.session(self.session.session_id)
            assert record is not None
            good = [
                epoch
                for epoch in range(record.epoch + 4)
                if record.keys_of(epoch, self.peer.now_ms) is not None
            ]
            assert set(good) <= {record.epoch - 1, record.epoch, record.epoch + 1}


TestRekeyWalk = RekeyWalk.TestCase
TestRekeyWalk.settings = walking(30, 40)


# --- tickets, step by step ----------------------------------------------------------------------


class TicketWalk(RuleBasedStateMachine):
    """Tickets of one chain in any order, against the rule in words."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = HardenedPeer(seed="walk")
        _, ticket = self.peer.login()
        assert ticket is not None
        self.tickets: list[ClientTicket] = [ticket]
        self.used: int | None = None
        self.next = 0
        self.revoked = False

    def _begin(self, ticket: ClientTicket) -> tuple[ClientConfirmation, PendingConfirmation]:
        hello, pending = begin_resumption(ticket, self.peer.entropy)
        return pending.open(self.peer.answer_resumption(hello))

    @rule(data=st.data())
    def present(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.tickets) - 1))
        if self.revoked:
            with pytest.raises(TicketRefused):
                self._begin(self.tickets[number])
            return
        message, confirmation = self._begin(self.tickets[number])
        if number not in (self.used, self.next):
            with pytest.raises(TicketReuseDetected):
                self.peer.redeem(message)
            self.revoked = True
            return
        session, successor = confirmation.open(self.peer.redeem(message), self.peer.now_ms)
        assert successor is not None
        self.tickets.append(successor)
        self.used, self.next = number, len(self.tickets) - 1
        assert self.peer.exchange(session)[0] == RESPONSE

    @precondition(lambda self: not self.revoked)
    @rule(data=st.data())
    def present_without_the_secret(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.tickets))
        message, _ = self._begin(ticket)
        with pytest.raises(TicketRefused):
            self.peer.redeem(ClientConfirmation(message.session_id, bytes(32)))

    @invariant()
    def a_chain_has_one_session_and_none_when_it_was_revoked(self) -> None:
        assert len(self.peer.memory.sessions) == (0 if self.revoked else 1)
        assert bool(self.peer.memory.revoked) == self.revoked


TestTicketWalk = TicketWalk.TestCase
TestTicketWalk.settings = walking(25, 15)


# --- the state table ----------------------------------------------------------------------------


class StateWalk(RuleBasedStateMachine):
    """Random events against flags that know the rules in words, not the table."""

    def __init__(self) -> None:
        super().__init__()
        self.state = HardenedState.NEW
        self.requested = self.confirming = self.enrolled = self.closed = False

    def may_happen(self, event: HardenedEvent) -> bool:
        begun = self.requested or self.enrolled
        if self.closed:
            return False
        match event:
            case HardenedEvent.SESSION_REQUESTED | HardenedEvent.TICKET_REDEEMED:
                return not begun
            case HardenedEvent.ATTEMPT_CLAIMED:
                return self.requested and not self.enrolled
            case (
                HardenedEvent.CONFIRMATION_REFUSED
                | HardenedEvent.ATTEMPTS_SPENT
                | HardenedEvent.LOGIN_REFUSED
                | HardenedEvent.CLIENT_ENROLLED
            ):
                return self.confirming
            case (
                HardenedEvent.MESSAGE_CLAIMED
                | HardenedEvent.EPOCH_MOVED
                | HardenedEvent.SUPERSEDED
                | HardenedEvent.LOGGED_OUT
            ):
                return self.enrolled
            case HardenedEvent.REVOKED | HardenedEvent.EXPIRED:
                return begun

    def happened(self, event: HardenedEvent) -> None:
        match event:
            case HardenedEvent.SESSION_REQUESTED:
                self.requested = True
            case HardenedEvent.ATTEMPT_CLAIMED:
                self.confirming = True
            case HardenedEvent.CONFIRMATION_REFUSED:
                self.confirming = False
            case HardenedEvent.CLIENT_ENROLLED | HardenedEvent.TICKET_REDEEMED:
                self.confirming, self.enrolled = False, True
            case HardenedEvent.MESSAGE_CLAIMED | HardenedEvent.EPOCH_MOVED:
                pass
            case _:
                self.closed = True

    @rule(event=st.sampled_from(HardenedEvent))
    def anything(self, event: HardenedEvent) -> None:
        if self.may_happen(event):
            self.state = advance_hardened(self.state, event)
            self.happened(event)
        else:
            with pytest.raises(LocalProtocolError):
                advance_hardened(self.state, event)

    @rule(data=st.data())
    def something_allowed(self, data: st.DataObject) -> None:
        """So that walks get beyond the first steps."""
        row = HARDENED_TRANSITIONS[self.state]
        assume(row)
        self.anything(data.draw(st.sampled_from(list(row))))

    @invariant()
    def the_state_is_what_happened(self) -> None:
        if self.closed:
            expected = HardenedState.CLOSED
        elif self.enrolled:
            expected = HardenedState.ENROLLED
        elif self.confirming:
            expected = HardenedState.CONFIRMING
        else:
            expected = HardenedState.AWAITING_CODE if self.requested else HardenedState.NEW
        assert self.state is expected


TestStateWalk = StateWalk.TestCase
TestStateWalk.settings = walking(60, 25)


# --- rejections ---------------------------------------------------------------------------------


def test_rejections_are_one_to_the_peer() -> None:
    for kind in (CodeRefused, TicketRefused, TicketReuseDetected, DecryptionFailed, ReplayedNonce):
        assert issubclass(kind, RejectedMessage)
        assert kind.public_code == "rejected"


def test_entropy_that_repeats_itself_is_noticed_by_the_claim() -> None:
    """A machine put back to an earlier state draws the same salt: the message does not count."""
    peer = HardenedPeer()
    session = peer.login()[0]
    peer.entropy = seeded("snapshot")
    first, _, _ = peer.send(session)
    peer.entropy = seeded("snapshot")
    peer.now_ms += 1
    second, _, _ = peer.send(session)
    assert first.salt == second.salt
    peer.receive(first)
    with pytest.raises(ReplayedNonce):
        peer.receive(second)
