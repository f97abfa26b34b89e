"""Coming back with a ticket, and chains of tickets (PROTOCOL §2.8).

spec/vectors has the single faults.
"""

from dataclasses import replace

import pytest
from hardened_peer import HOUR_MS, RESPONSE, HardenedPeer
from make_hardened_vectors import bad_points

from protocol.common.errors import (
    CodeRefused,
    DecryptionFailed,
    InvalidPublicKey,
    LocalProtocolError,
    MalformedMessage,
    TicketRefused,
    TicketReuseDetected,
    UnsupportedSuite,
)
from protocol.hardened.client_confirmation import PendingConfirmation
from protocol.hardened.client_handshake import begin_resumption
from protocol.hardened.client_session import ClientSession, ClientTicket
from protocol.hardened.confirmation import (
    TICKET_LIFETIME_MS,
    Terms,
    confirm_login,
    confirm_resumption,
)
from protocol.hardened.handshake_messages import ClientConfirmation, ResumptionServerHello
from protocol.hardened.records import LoginRecord
from protocol.hardened.suites import HARDENED_SUITES

by_suite = pytest.mark.parametrize("suite", HARDENED_SUITES)


def enrolled(suite: str = "ecdh-gcm") -> tuple[HardenedPeer, ClientSession, ClientTicket]:
    peer = HardenedPeer(suite)
    session, ticket = peer.login()
    assert ticket is not None
    return peer, session, ticket


def proof(
    peer: HardenedPeer, ticket: ClientTicket
) -> tuple[ClientConfirmation, PendingConfirmation]:
    """ClientConfirmation, of a resumption that the server has answered."""
    hello, pending = begin_resumption(ticket, peer.entropy, peer.fresh)
    return pending.open(peer.answer_resumption(hello), peer.client_key)


# --- the ways that are good ---------------------------------------------------------------------


@by_suite
def test_a_device_comes_back_again_and_again(suite: str) -> None:
    peer, session, ticket = enrolled(suite)
    seen = {session.c2s, session.s2c, ticket.secret}
    for _ in range(5):
        session, ticket = peer.resume(ticket)
        assert peer.exchange(session)[0] == RESPONSE
        seen |= {session.c2s, session.s2c, ticket.secret}
    assert len(seen) == 18
    assert len(peer.memory.sessions) == 1


@by_suite
def test_the_answer_is_lost_and_the_same_ticket_works_again(suite: str) -> None:
    peer, _, ticket = enrolled(suite)
    lost, _ = proof(peer, ticket)
    peer.redeem(lost)
    session, successor = peer.resume(ticket)
    assert peer.exchange(session)[0] == RESPONSE
    # The session of the lost answer is gone, and nobody ever had its keys.
    assert set(peer.memory.sessions) == {session.session_id}
    peer.resume(successor)


def test_an_unfinished_attempt_hinders_nobody() -> None:
    peer, _, ticket = enrolled()
    for _ in range(3):
        proof(peer, ticket)
    session, _ = peer.resume(ticket)
    assert peer.exchange(session)[0] == RESPONSE


def test_the_session_before_ends_with_the_resumption() -> None:
    peer, session, ticket = enrolled()
    peer.resume(ticket)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(session)[0])


def test_a_ticket_lives_on_from_its_last_use() -> None:
    peer, _, ticket = enrolled()
    for _ in range(3):
        peer.now_ms += TICKET_LIFETIME_MS
        _, ticket = peer.resume(ticket)
    assert ticket.expires_ms == peer.now_ms + TICKET_LIFETIME_MS
    peer.now_ms += TICKET_LIFETIME_MS + 1
    with pytest.raises(TicketRefused):
        peer.resume(ticket)


# --- tickets that come back ---------------------------------------------------------------------


def test_a_ticket_that_returns_after_its_successor_was_used_revokes_the_chain() -> None:
    peer, _, stolen = enrolled()
    _, second = peer.resume(stolen)
    session, third = peer.resume(second)
    with pytest.raises(TicketReuseDetected) as raised:
        peer.resume(stolen)
    assert raised.value.public_code == "rejected"
    assert len(peer.memory.revoked) == 1
    assert peer.memory.chains == {}
    for ticket in (stolen, second, third):
        with pytest.raises(TicketRefused):
            peer.resume(ticket)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(session)[0])


def test_a_thief_who_was_first_is_thrown_out_when_the_owner_comes() -> None:
    peer, _, ticket = enrolled()
    stolen = ticket
    _, thief = peer.resume(stolen)
    session, thief = peer.resume(thief)
    with pytest.raises(TicketReuseDetected):
        peer.resume(ticket)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(session)[0])
    with pytest.raises(TicketRefused):
        peer.resume(thief)


def test_a_thief_who_repeats_a_good_ticket_is_found_out_by_the_owners_next_step() -> None:
    peer, _, ticket = enrolled()
    _, owners = peer.resume(ticket)
    session, thief = peer.resume(ticket)
    # The owner's successor was spent unused; its return shows that two hold the chain.
    with pytest.raises(TicketReuseDetected):
        peer.resume(owners)
    with pytest.raises(DecryptionFailed):
        peer.open(peer.send(session)[0])
    with pytest.raises(TicketRefused):
        peer.resume(thief)


def test_who_has_only_seen_the_ticket_revokes_nothing() -> None:
    """Repeating what was recorded, or making up a proof, with spent tickets and good ones."""
    peer, _, first = enrolled()
    recorded, _ = proof(peer, first)
    peer.redeem(recorded)
    _, second = peer.resume(first)
    session, third = peer.resume(second)
    chains = dict(peer.memory.chains)
    for ticket in (first, second, third):
        without = replace(ticket, secret=bytes(32))
        with pytest.raises(TicketRefused):
            peer.resume(without)
        message, _ = proof(peer, without)
        with pytest.raises(TicketRefused):
            peer.redeem(replace(message, confirmation=recorded.confirmation))
    with pytest.raises(TicketRefused):
        peer.redeem(recorded)
    assert peer.memory.chains == chains
    assert peer.memory.revoked == []
    assert peer.exchange(session)[0] == RESPONSE


def test_two_redemptions_at_the_same_moment() -> None:
    """Of two steps from one chain one wins; the other has to begin again."""
    peer, _, ticket = enrolled()
    enrolments = []
    for message, _ in [proof(peer, ticket) for _ in range(2)]:
        exchange = peer.memory.take_exchange(message.session_id)
        confirmed = confirm_resumption(message, exchange)
        enrolments.append(confirmed.redeem(peer.terms(confirmed.chain_id), peer.now_ms))
    stored = [peer.memory.enrol(enrolment) for enrolment in enrolments]
    assert stored == [True, False]
    with pytest.raises(TicketRefused):
        enrolments[1].accept(False)
    assert peer.memory.revoked == []
    peer.resume(ticket)


def test_a_proof_that_was_kept_back_voids_nothing_and_revokes_nothing() -> None:
    """Somebody holds ClientConfirmation back until the device, that began again, has gone on."""
    for steps in (1, 2):
        peer, _, ticket = enrolled()
        kept_back, _ = proof(peer, ticket)
        for _ in range(steps):
            session, ticket = peer.resume(ticket)
        with pytest.raises(TicketRefused) as raised:
            peer.redeem(kept_back)
        assert raised.type is TicketRefused
        assert peer.memory.revoked == []
        assert peer.exchange(session)[0] == RESPONSE
        peer.resume(ticket)


# --- revocation and other refusals --------------------------------------------------------------


def test_a_revoked_chain_is_refused_at_either_step() -> None:
    peer, _, ticket = enrolled()
    message, _ = proof(peer, ticket)
    (chain,) = peer.memory.chains
    peer.memory.revoke(chain)
    with pytest.raises(TicketRefused):
        peer.redeem(message)
    with pytest.raises(TicketRefused):
        proof(peer, ticket)


def test_a_ticket_of_another_suite_is_refused() -> None:
    peer, _, ticket = enrolled()
    hello, _ = begin_resumption(replace(ticket, suite="rsa-gcm"), peer.entropy)
    with pytest.raises(TicketRefused):
        peer.answer_resumption(hello)
    peer.server = replace(peer.server, accepted=("rsa-gcm",))
    with pytest.raises(UnsupportedSuite):
        peer.resume(ticket)


@pytest.mark.parametrize("name", [name for name in bad_points() if not name.startswith("is-")])
def test_a_point_that_is_none_is_refused_by_both_sides(name: str) -> None:
    peer, _, ticket = enrolled()
    hello, pending = begin_resumption(ticket, peer.entropy)
    data = bad_points()[name]
    if len(data) != 65:
        with pytest.raises(MalformedMessage):
            peer.answer_resumption(replace(hello, client_point=data))
        return
    with pytest.raises(InvalidPublicKey):
        peer.answer_resumption(replace(hello, client_point=data))
    with pytest.raises(InvalidPublicKey):
        pending.open(ResumptionServerHello(bytes(16), bytes(32), data))


def test_a_point_that_comes_back_is_refused() -> None:
    peer, _, ticket = enrolled()
    hello, pending = begin_resumption(ticket, peer.entropy)
    with pytest.raises(InvalidPublicKey):
        pending.open(ResumptionServerHello(bytes(16), bytes(32), hello.client_point))


@pytest.mark.parametrize("changed", [{"username": "ada"}, {"realm": "evil.example"}])
def test_whose_ticket_it_is_is_bound(changed: dict[str, str]) -> None:
    peer, _, ticket = enrolled()
    with pytest.raises(TicketRefused):
        peer.resume(replace(ticket, **changed))  # type: ignore[arg-type]


def test_a_server_that_has_not_proven_itself_is_refused() -> None:
    peer, _, ticket = enrolled()
    message, confirmation = proof(peer, ticket)
    answer = peer.redeem(message)
    wrong = bytes([answer.confirmation[0] ^ 1]) + answer.confirmation[1:]
    with pytest.raises(TicketRefused):
        confirmation.open(replace(answer, confirmation=wrong), peer.now_ms)


def test_a_proof_is_tried_once() -> None:
    peer, _, ticket = enrolled()
    message, _ = proof(peer, ticket)
    with pytest.raises(TicketRefused):
        peer.redeem(replace(message, confirmation=bytes(32)))
    with pytest.raises(TicketRefused):
        peer.redeem(message)


def test_an_exchange_of_a_resumption_is_none_of_a_login() -> None:
    peer, _, ticket = enrolled()
    message, _ = proof(peer, ticket)
    with pytest.raises(CodeRefused):
        confirm_login(message, peer.memory.take_exchange(message.session_id))


def test_a_resumption_without_a_successor_is_our_own_fault() -> None:
    peer, _, ticket = enrolled()
    message, _ = proof(peer, ticket)
    confirmed = confirm_resumption(message, peer.memory.take_exchange(message.session_id))
    for terms in (Terms(HOUR_MS, confirmed.chain_id), Terms(HOUR_MS, bytes(16), bytes(16))):
        with pytest.raises(LocalProtocolError):
            confirmed.redeem(terms, peer.now_ms)


def test_a_chain_of_another_ticket_is_our_own_fault() -> None:
    peer, _, ticket = enrolled()
    hello, _ = begin_resumption(ticket, peer.entropy)
    record = peer.memory.ticket(ticket.ticket)
    assert record is not None
    chain = peer.memory.chain(record.chain_id)
    assert chain is not None
    other = replace(chain, chain_id=bytes(16))
    with pytest.raises(LocalProtocolError):
        peer.server.answer_resumption(hello, record, other, peer.entropy)


def test_a_store_knows_no_ticket() -> None:
    peer, _, ticket = enrolled()
    for stored in (*peer.memory.tickets.items(), *peer.memory.chains.items()):
        for data in stored:
            assert ticket.ticket not in data


def test_a_record_of_another_kind_is_our_own_fault() -> None:
    peer, _, ticket = enrolled()
    stored = peer.memory.ticket(ticket.ticket)
    assert stored is not None
    for data in (stored.serialize(), b"", b"\x80", stored.serialize()[:-1]):
        with pytest.raises(LocalProtocolError):
            LoginRecord.parse(data)
