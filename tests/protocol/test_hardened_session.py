"""The whole way of the hardened suites, in memory (PROTOCOL §2.4 to §2.8)."""

import pytest
from hardened_peer import REQUEST, RESPONSE, HardenedPeer

from protocol.common.envelopes import Format
from protocol.hardened.client_session import EPOCH_LIFETIME_MS, ClientSession, ClientTicket
from protocol.hardened.suites import HARDENED_SUITES, Freshness

by_suite = pytest.mark.parametrize("suite", HARDENED_SUITES)
by_fresh = pytest.mark.parametrize("fresh", ["clock", "counter"])
by_form = pytest.mark.parametrize("form", ["json", "msgpack"])


@by_suite
@by_fresh
@by_form
def test_login_messages_rekey_and_resumption(suite: str, fresh: Freshness, form: Format) -> None:
    peer = HardenedPeer(suite, fresh, form)
    session, ticket = peer.login()
    for _ in range(3):
        response, session = peer.exchange(session)
        assert response == RESPONSE
    peer.now_ms += EPOCH_LIFETIME_MS
    response, session = peer.exchange(session)
    assert (response, session.epoch) == (RESPONSE, 1)
    stored = peer.memory.session(session.session_id)
    assert stored is not None
    assert stored.epoch == 1
    assert ticket is not None
    resumed, successor = peer.resume(ticket)
    assert resumed.session_id != session.session_id
    assert peer.memory.session(session.session_id) is None
    assert peer.exchange(resumed)[0] == RESPONSE
    peer.resume(successor)


@by_suite
def test_what_a_client_keeps_can_be_written_and_read(suite: str) -> None:
    peer = HardenedPeer(suite, "counter")
    session, ticket = peer.login()
    assert ticket is not None
    session = ClientSession.parse(session.serialize())
    envelope, pending, session = peer.send(session)
    accepted = peer.receive(envelope)
    assert accepted.http_request() == REQUEST
    answer = accepted.seal_response(RESPONSE, peer.now_ms, peer.entropy)
    assert pending.open(answer, 0) == RESPONSE
    peer.resume(ClientTicket.parse(ticket.serialize()))
