"""Logging in with a short code (PROTOCOL §2.4, §2.5). spec/vectors has the single faults."""

from dataclasses import replace

import pytest
from hardened_peer import CODE8, HOUR_MS, OTHER_CODE8, REALM, RESPONSE, HardenedPeer
from make_hardened_vectors import bad_points
from peer import key_pair

from protocol.common.codes import CODE_ATTEMPTS, Code, mint_code
from protocol.common.errors import (
    CodeRefused,
    DecryptionFailed,
    InvalidPublicKey,
    LocalProtocolError,
    MalformedMessage,
    TicketRefused,
    UnsupportedSuite,
)
from protocol.common.typed_codes import NoCode, read_code
from protocol.hardened.client_handshake import AwaitedCode, begin_login
from protocol.hardened.confirmation import Terms, confirm_login, confirm_resumption
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ServerHello,
    ServerShare,
)
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.records import ExchangeRecord, LoginRecord
from protocol.hardened.spake2 import Blinding
from protocol.hardened.suites import HARDENED_SUITES, RSA_GCM, choose_suite

by_suite = pytest.mark.parametrize("suite", HARDENED_SUITES)


def share_of(awaited: AwaitedCode, peer: HardenedPeer, code: Code = CODE8) -> ClientShare:
    return awaited.enter(code, peer.entropy)[0]


def proof(peer: HardenedPeer, code: Code = CODE8) -> ClientConfirmation:
    """ClientConfirmation of an exchange that the server has answered."""
    share, pending = peer.greet().enter(code, peer.entropy)
    return pending.open(peer.answer_share(share), peer.client_key)[0]


# --- the code and its attempts ------------------------------------------------------------------


@by_suite
def test_another_code_is_refused_and_the_right_one_still_fits(suite: str) -> None:
    peer = HardenedPeer(suite)
    awaited = peer.greet()
    for code in (OTHER_CODE8, CODE8):
        share, pending = awaited.enter(code, peer.entropy)
        message, confirmation = pending.open(peer.answer_share(share), peer.client_key)
        if code is OTHER_CODE8:
            with pytest.raises(CodeRefused):
                peer.confirm(message)
        else:
            confirmation.open(peer.confirm(message), peer.now_ms)
    assert peer.memory.attempts[awaited.greeting.session_id] == 2


def test_the_sixth_attempt_is_refused_with_the_right_code() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    for _ in range(CODE_ATTEMPTS):
        share, pending = awaited.enter(OTHER_CODE8, peer.entropy)
        with pytest.raises(CodeRefused):
            peer.confirm(pending.open(peer.answer_share(share))[0])
    with pytest.raises(CodeRefused):
        peer.answer_share(share_of(awaited, peer))


def test_an_attempt_is_spent_by_the_share_alone() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    for _ in range(CODE_ATTEMPTS):
        peer.answer_share(share_of(awaited, peer))
    with pytest.raises(CodeRefused):
        peer.answer_share(share_of(awaited, peer))


def test_a_bad_share_spends_an_attempt() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    for _ in range(CODE_ATTEMPTS):
        with pytest.raises(InvalidPublicKey):
            peer.answer_share(ClientShare(awaited.greeting.session_id, bad_points()["zero"]))
    with pytest.raises(CodeRefused):
        peer.answer_share(share_of(awaited, peer))


def test_a_second_share_voids_the_exchange_before_it() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    first, pending = awaited.enter(CODE8, peer.entropy)
    message, _ = pending.open(peer.answer_share(first))
    second, other = awaited.enter(CODE8, peer.entropy)
    answer = peer.answer_share(second)
    with pytest.raises(CodeRefused):
        peer.confirm(message)
    # The confirmation took the exchange away, right or wrong: the second is void as well.
    with pytest.raises(CodeRefused):
        peer.confirm(other.open(answer)[0])
    assert peer.memory.attempts[awaited.greeting.session_id] == 2


def test_a_confirmation_before_any_share_is_refused() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    with pytest.raises(CodeRefused):
        peer.confirm(ClientConfirmation(awaited.greeting.session_id, bytes(32)))


def test_an_exchange_for_nobody_refuses_the_right_code() -> None:
    peer = HardenedPeer()
    message = proof(peer)
    exchange = peer.memory.take_exchange(message.session_id)
    assert exchange
    with pytest.raises(CodeRefused):
        confirm_login(message, exchange.decoy_for_unknown_user(peer.entropy))
    confirm_login(message, exchange)


def test_a_code_is_used_once() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    share, pending = awaited.enter(CODE8, peer.entropy)
    message, _ = pending.open(peer.answer_share(share))
    peer.confirm(message)
    with pytest.raises(CodeRefused):
        peer.confirm(message)
    with pytest.raises(CodeRefused):
        peer.answer_share(share_of(awaited, peer))


def test_two_right_submissions_at_the_same_moment_make_one_session() -> None:
    """The second share comes while the first confirmation is being worked on."""
    peer = HardenedPeer()
    awaited = peer.greet()
    enrolments = []
    for _ in range(2):
        share, pending = awaited.enter(CODE8, peer.entropy)
        message, _ = pending.open(peer.answer_share(share))
        client = confirm_login(message, peer.memory.take_exchange(message.session_id))
        enrolments.append(client.enrol(Terms(HOUR_MS), peer.now_ms))
    stored = [peer.memory.enrol(enrolment) for enrolment in enrolments]
    assert stored == [True, False]
    enrolments[0].accept(True)
    with pytest.raises(CodeRefused):
        enrolments[1].accept(False)
    assert peer.memory.session(awaited.greeting.session_id) == enrolments[0].session


def test_a_code_with_another_session_id_is_refused() -> None:
    peer = HardenedPeer()
    first, second = peer.greet(), peer.greet()
    # The code of both is the same: what differs is the greeting that it is bound to.
    share, pending = first.enter(CODE8, peer.entropy)
    moved = replace(share, session_id=second.greeting.session_id)
    message, _ = pending.open(peer.answer_share(moved))
    with pytest.raises(CodeRefused):
        peer.confirm(replace(message, session_id=second.greeting.session_id))


def test_a_code_minted_for_one_suite_does_not_fit_another() -> None:
    peer = HardenedPeer("ecdh-gcm")
    awaited = peer.greet()
    other = replace(awaited, suite=RSA_GCM)
    share, pending = other.enter(CODE8, peer.entropy)
    message, _ = pending.open(peer.answer_share(share), key_pair("test-client").public)
    with pytest.raises(CodeRefused):
        peer.confirm(message)


def test_the_record_does_not_hold_the_code() -> None:
    peer = HardenedPeer()
    peer.greet()
    (stored,) = peer.memory.logins.values()
    assert CODE8.text.encode() not in stored
    assert CODE8.text not in repr(LoginRecord.parse(stored))


# --- unknown users ------------------------------------------------------------------------------


def test_an_unknown_user_is_answered_alike() -> None:
    known, unknown = HardenedPeer(), HardenedPeer()
    answers = []
    for peer, is_known in ((known, True), (unknown, False)):
        awaited = peer.greet(is_known)
        (stored,) = peer.memory.logins.values()
        share, pending = awaited.enter(CODE8, peer.entropy)
        answer = peer.answer_share(share)
        message, _ = pending.open(answer)
        answers.append((len(awaited.greeting.serialize("json")), len(stored), len(answer.p_b)))
        if not is_known:
            with pytest.raises(CodeRefused):
                peer.confirm(message)
    assert answers[0] == answers[1]


# --- shares and proofs --------------------------------------------------------------------------


@pytest.mark.parametrize("name", bad_points())
def test_a_point_that_is_none_is_refused_by_both_sides(name: str) -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    data = bad_points()[name]
    if len(data) != 65:
        with pytest.raises(MalformedMessage):
            ClientShare.parse("json", ClientShare(bytes(16), data).serialize("json"))
        return
    with pytest.raises(InvalidPublicKey):
        peer.answer_share(ClientShare(awaited.greeting.session_id, data))
    _, pending = awaited.enter(CODE8, peer.entropy)
    with pytest.raises(InvalidPublicKey):
        pending.open(ServerShare(data))


def test_a_share_that_comes_back_is_refused() -> None:
    peer = HardenedPeer()
    share, pending = peer.greet().enter(CODE8, peer.entropy)
    with pytest.raises(InvalidPublicKey):
        pending.open(ServerShare(share.p_a))


def test_who_knows_w_alone_cannot_force_the_secret() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    (stored,) = peer.memory.logins.values()
    blinding = LoginRecord.parse(stored).load_blinding()
    share = ClientShare(awaited.greeting.session_id, blinding.w_m.encode())
    with pytest.raises(InvalidPublicKey, match="infinity"):
        peer.answer_share(share)
    _, pending = awaited.enter(CODE8, peer.entropy)
    with pytest.raises(InvalidPublicKey, match="infinity"):
        pending.open(ServerShare(blinding.w_n.encode()))


def test_the_two_proofs_are_not_interchangeable() -> None:
    peer = HardenedPeer()
    share, pending = peer.greet().enter(CODE8, peer.entropy)
    message, confirmation = pending.open(peer.answer_share(share))
    answer = peer.confirm(message)
    assert answer.confirmation != message.confirmation
    with pytest.raises(CodeRefused):
        confirmation.open(replace(answer, confirmation=message.confirmation), peer.now_ms)
    again = HardenedPeer()
    share, pending = again.greet().enter(CODE8, again.entropy)
    message, _ = pending.open(again.answer_share(share))
    (exchange,) = again.memory.exchanges.values()
    servers = ExchangeRecord.parse(exchange).confirm_server
    with pytest.raises(CodeRefused):
        again.confirm(replace(message, confirmation=servers))


def test_a_server_that_does_not_know_the_code_is_refused() -> None:
    """Somebody between them who guesses: one guess with this exchange, and the client notices."""
    victim = HardenedPeer(seed="victim")
    share, pending = victim.greet().enter(CODE8, victim.entropy)
    # It answers in the server's place, with a record of its own guess.
    (stored,) = victim.memory.logins.values()
    guess = replace(
        LoginRecord.parse(stored),
        blinding=Blinding.of(99).serialize(),
    )
    answer, exchange = victim.server.answer_share(share, guess, victim.entropy)
    message, confirmation = pending.open(answer)
    # All that it can do with the client's proof is to compare; and none of it opens a session.
    assert message.confirmation != exchange.confirm_client
    client = confirm_login(replace(message, confirmation=exchange.confirm_client), exchange)
    enrolment = client.enrol(Terms(HOUR_MS), victim.now_ms)
    with pytest.raises(CodeRefused):
        confirmation.open(enrolment.accept(True), victim.now_ms)


# --- what the transcript binds ------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "ada"},
        {"suites": ("ecdh-gcm",)},
        {"suites": ("rsa-gcm", "ecdh-gcm")},
        {"fresh": "counter"},
        {"client_nonce": bytes(32)},
        {"device": "pump-8"},
        {"device": None},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_hello_changed_on_the_way_fails_the_confirmation(changed: dict[str, object]) -> None:
    peer = HardenedPeer()
    suites = ["ecdh-gcm", "rsa-gcm"]
    hello, pending = begin_login("Ada", REALM, peer.entropy, suites, device="pump-7")
    arrived = ClientHello.parse("json", replace(hello, **changed).serialize("json"))  # type: ignore[arg-type]
    invitation = peer.server.greet(arrived, 600, peer.entropy)
    login = invitation.for_code(CODE8)
    peer.memory.logins[login.session_id] = login.serialize()
    awaited = pending.open(invitation.greeting)
    share, confirming = awaited.enter(CODE8, peer.entropy)
    key = key_pair("test-client").public if awaited.suite.wraps else None
    message, _ = confirming.open(peer.answer_share(share), key)
    with pytest.raises(CodeRefused):
        peer.confirm(message)


@pytest.mark.parametrize(
    "changed",
    [{"session_id": bytes(16)}, {"server_nonce": bytes(32)}, {"expires_s": 60}],
    ids=lambda changed: next(iter(changed)),
)
def test_a_greeting_changed_on_the_way_fails_the_confirmation(changed: dict[str, object]) -> None:
    peer = HardenedPeer()
    hello, pending = peer.hello()
    invitation = peer.server.greet(hello, 600, peer.entropy)
    login = invitation.for_code(CODE8)
    peer.memory.logins[login.session_id] = login.serialize()
    awaited = pending.open(replace(invitation.greeting, **changed))  # type: ignore[arg-type]
    share, confirming = awaited.enter(CODE8, peer.entropy)
    share = replace(share, session_id=login.session_id)
    message, _ = confirming.open(peer.answer_share(share))
    with pytest.raises(CodeRefused):
        peer.confirm(replace(message, session_id=login.session_id))


@pytest.mark.parametrize("name", ["", "-x", "pump 7", "pump\n", "p\u00fcmp", "a" * 65])
def test_a_name_that_no_device_can_have_is_our_own_fault(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="1 to 64 characters"):
        begin_login("Ada", REALM, bytes, device=name)


def test_another_realm_fails_the_confirmation() -> None:
    """A hostile service that passes another's code off as its own."""
    peer = HardenedPeer()
    peer.server = HandshakeServer("other.example")
    with pytest.raises(CodeRefused):
        peer.login()


def test_a_suite_that_was_not_offered_is_refused_by_the_client() -> None:
    peer = HardenedPeer()
    for suite in ("rsa-gcm", "classic", "hybrid-gcm"):
        _, pending = begin_login("Ada", REALM, peer.entropy)
        with pytest.raises(UnsupportedSuite):
            pending.open(ServerHello(bytes(16), suite, bytes(32), 600))


def test_the_server_takes_the_first_suite_that_it_accepts() -> None:
    both = ("rsa-gcm", "ecdh-gcm")
    assert choose_suite(1, both).name == "rsa-gcm"
    assert choose_suite(1, both, ["ecdh-gcm"]).name == "ecdh-gcm"
    assert choose_suite(1, ("new", *both), ["classic", *both]).name == "rsa-gcm"
    for version, offered, accepted in (
        (2, both, both),
        (1, ["classic"], ["classic"]),
        (1, both, []),
    ):
        with pytest.raises(UnsupportedSuite):
            choose_suite(version, offered, accepted)


# --- order and once -----------------------------------------------------------------------------


def test_each_step_is_taken_once() -> None:
    peer = HardenedPeer()
    hello, greeting = peer.hello()
    invitation = peer.server.greet(hello, 600, peer.entropy)
    awaited = greeting.open(invitation.greeting)
    with pytest.raises(LocalProtocolError):
        greeting.open(invitation.greeting)
    login = invitation.for_code(CODE8)
    peer.memory.logins[login.session_id] = login.serialize()
    share, pending = awaited.enter(CODE8, peer.entropy)
    answer = peer.answer_share(share)
    message, confirmation = pending.open(answer)
    with pytest.raises(LocalProtocolError):
        pending.open(answer)
    client = confirm_login(message, peer.memory.take_exchange(message.session_id))
    enrolment = client.enrol(Terms(HOUR_MS), peer.now_ms)
    with pytest.raises(LocalProtocolError):
        client.enrol(Terms(HOUR_MS), peer.now_ms)
    proven = enrolment.accept(True)
    with pytest.raises(LocalProtocolError):
        enrolment.accept(True)
    confirmation.open(proven, peer.now_ms)
    with pytest.raises(LocalProtocolError):
        confirmation.open(proven, peer.now_ms)


def test_records_of_another_session_are_our_own_fault() -> None:
    peer = HardenedPeer()
    awaited = peer.greet()
    login = peer.memory.claim_attempt(awaited.greeting.session_id)
    share = share_of(awaited, peer)
    with pytest.raises(LocalProtocolError):
        peer.server.answer_share(replace(share, session_id=bytes(16)), login, peer.entropy)
    message = proof(peer)
    exchange = peer.memory.take_exchange(message.session_id)
    with pytest.raises(LocalProtocolError):
        confirm_login(replace(message, session_id=bytes(16)), exchange)


def test_an_exchange_of_a_login_is_none_of_a_resumption() -> None:
    peer = HardenedPeer()
    message = proof(peer)
    exchange = peer.memory.take_exchange(message.session_id)
    with pytest.raises(TicketRefused):
        confirm_resumption(message, exchange)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(0),
        Terms(43_200_001),
        Terms(HOUR_MS, private_key=key_pair("test-session")),
        Terms(HOUR_MS, ticket=bytes(16)),
        Terms(HOUR_MS, bytes(16)),
    ],
    ids=["no time", "13 hours", "a pair that nobody needs", "no chain", "no ticket"],
)
def test_terms_that_the_protocol_does_not_have_are_our_own_fault(terms: Terms) -> None:
    peer = HardenedPeer()
    message = proof(peer)
    client = confirm_login(message, peer.memory.take_exchange(message.session_id))
    with pytest.raises(LocalProtocolError):
        client.enrol(terms, peer.now_ms)


def test_a_client_without_its_pair_is_our_own_fault() -> None:
    peer = HardenedPeer("rsa-gcm")
    share, pending = peer.greet().enter(CODE8, peer.entropy)
    with pytest.raises(LocalProtocolError):
        pending.open(peer.answer_share(share), None)


def test_nothing_of_a_confirmation_is_read_before_its_proof() -> None:
    # A box that would be malformed is not even looked at where the proof is wrong.
    peer = HardenedPeer("rsa-gcm")
    message = replace(proof(peer), confirmation=bytes(32), box=b"no box at all")
    with pytest.raises(CodeRefused):
        peer.confirm(message)


def test_a_client_key_that_is_weak_is_refused_after_the_proof() -> None:
    peer = HardenedPeer("rsa-gcm")
    share, pending = peer.greet().enter(CODE8, peer.entropy)
    message, _ = pending.open(peer.answer_share(share), peer.client_key)
    exchange = peer.memory.take_exchange(message.session_id)
    assert exchange is not None
    for inside, error in (
        (b"\x81\xaapublic_key\xc4\x01\x00", InvalidPublicKey),
        (b"\x80", MalformedMessage),
        (b"\xc0", MalformedMessage),
    ):
        box = exchange.handshake().seal_client_box(inside)
        with pytest.raises(error):
            confirm_login(replace(message, box=box), exchange)


def test_a_box_does_not_open_in_the_place_of_the_other() -> None:
    peer = HardenedPeer("rsa-gcm")
    share, pending = peer.greet().enter(CODE8, peer.entropy)
    message, confirmation = pending.open(peer.answer_share(share), peer.client_key)
    assert message.box is not None
    answer = peer.confirm(message)
    with pytest.raises(DecryptionFailed):
        confirmation.open(replace(answer, box=message.box), peer.now_ms)


def test_a_login_without_a_ticket() -> None:
    peer = HardenedPeer()
    session, ticket = peer.login(tickets=False)
    assert ticket is None
    assert peer.memory.chains == {}
    assert peer.exchange(session)[0] == RESPONSE


def test_two_logins_share_no_key() -> None:
    peer = HardenedPeer()
    (first, one), (second, two) = peer.login(), peer.login()
    assert one is not None
    assert two is not None
    keys = [first.c2s, first.s2c, one.secret, second.c2s, second.s2c, two.secret]
    assert len(set(keys)) == 6


def test_what_prints_records_and_sessions_does_not_show_keys() -> None:
    peer = HardenedPeer("rsa-gcm")
    session, ticket = peer.login()
    assert ticket is not None
    record = peer.memory.session(session.session_id)
    held = peer.memory.ticket(ticket.ticket)
    shown = f"{session!r} {ticket!r} {record!r} {held!r} {session.keys()!r}"
    for secret in (session.c2s, session.s2c, ticket.secret, ticket.ticket, session.server_key):
        assert repr(secret) not in shown


# --- the code as people type it -----------------------------------------------------------------


@pytest.mark.parametrize("typed", ["7K3QWXYZ", "7k3q-wxyz", " 7K3Q WXYZ\n", "7-k-3-q-w-x-y-z"])
def test_a_code_may_be_typed_in_many_ways(typed: str) -> None:
    assert read_code(typed) == CODE8


def test_what_was_minted_can_be_read() -> None:
    peer = HardenedPeer()
    for _ in range(50):
        code = mint_code(peer.entropy, 8)
        assert read_code(code.text) == code
        assert code.bits == 40


@pytest.mark.parametrize(
    "typed", ["", "7K3QWXY", "7K3QWXYZ0", "7K3QWXYU", "7K3QWXY\u0131", "É" * 8]
)
def test_what_is_no_code(typed: str) -> None:
    assert read_code(typed) is NoCode.ABSENT


def test_a_classic_code_is_not_taken_for_a_hardened_one() -> None:
    assert read_code("0123456789ABCDEFGHJKMNPQRS") is NoCode.ABSENT
