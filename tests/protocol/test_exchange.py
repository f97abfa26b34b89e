"""One message and its answer (PROTOCOL §3.7.2). spec/vectors has the single faults."""

from dataclasses import replace

import pytest
from make_vectors import NOW_MS, WINDOW_MS, weak_keys
from peer import Peer, key_pair, sealed, sealed_http, with_iv, with_key, with_payload

from protocol.classic.client_exchange import PendingResponse
from protocol.classic.dialects import DIALECTS
from protocol.classic.exchange import ServerExchange, SessionKeys
from protocol.classic.suites import Classic
from protocol.common.codec import JsonValue, serialize_json
from protocol.common.codes import Code
from protocol.common.errors import (
    CodeRefused,
    DecryptionFailed,
    InvalidPublicKey,
    LocalProtocolError,
    MalformedMessage,
    ReplayedNonce,
    StaleTimestamp,
)
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    HttpResponse,
    SealedMessage,
)

by_dialect = pytest.mark.parametrize("name", DIALECTS)


# --- the whole way ------------------------------------------------------------------------------


@by_dialect
def test_login_message_and_answers(name: str) -> None:
    peer = Peer(name)
    accepted = peer.login(password="correct horse")
    assert accepted.password == "correct horse"
    message, pending = peer.send({"temperature": 21.5})
    request = peer.receive(message)
    assert request.fields == {"temperature": 21.5}
    reply = sealed(request, b'{"fan":true}')
    assert pending.open_plaintext(reply) == b'{"fan":true}'


@by_dialect
def test_a_whole_http_request_and_its_response(name: str) -> None:
    peer = Peer(name)
    request = HttpRequest("PUT", "/fan?speed=2", (("Accept", "*/*"),), b"\xff\x00")
    message, pending = peer.client.seal_request(
        peer.token, peer.client_keys, request, NOW_MS, peer.entropy
    )
    accepted = peer.receive(message)
    assert accepted.http_request() == request
    response = HttpResponse(201, (("X-Unit", "rpm"),), b"1200")
    reply = sealed_http(accepted, response, NOW_MS)
    assert pending.open(reply) == response


def test_login_without_a_password() -> None:
    assert Peer().login().password is None


# --- order and once -----------------------------------------------------------------------------


def test_a_replay_is_refused_and_the_first_message_still_counts() -> None:
    peer = Peer()
    message, _ = peer.send({"n": 1})
    first, second = peer.open(message), peer.open(message)
    assert first.nonce_claim == second.nonce_claim
    accepted = first.accept(peer.claim(first.nonce_claim))
    with pytest.raises(ReplayedNonce):
        second.accept(peer.claim(second.nonce_claim))
    assert accepted.fields == {"n": 1}


@pytest.mark.parametrize("claimed", [True, False])
def test_an_opened_request_is_decided_once(claimed: bool) -> None:
    peer = Peer()
    opened = peer.open(peer.send()[0])
    if claimed:
        opened.accept(True)
    else:
        with pytest.raises(ReplayedNonce):
            opened.accept(False)
    # Above all a refused message must not be accepted by asking again.
    with pytest.raises(LocalProtocolError, match="twice"):
        opened.accept(True)


def test_an_accepted_request_is_answered_once() -> None:
    peer = Peer()
    accepted = peer.receive(peer.send()[0])
    sealed_http(accepted, HttpResponse(204, (), b""), NOW_MS)
    with pytest.raises(LocalProtocolError, match="twice"):
        accepted.seal_response(b"")


def test_a_login_is_answered_once() -> None:
    peer = Peer()
    accepted = peer.login()
    with pytest.raises(LocalProtocolError, match="twice"):
        accepted.seal_response(peer.server_pair.public, peer.entropy)


def test_an_answer_is_opened_once_even_if_it_was_wrong() -> None:
    peer = Peer()
    message, pending = peer.send()
    reply = sealed(peer.receive(message), b"x")
    with pytest.raises(DecryptionFailed):
        pending.open_plaintext(replace(reply, key=""))
    with pytest.raises(LocalProtocolError, match="twice"):
        pending.open_plaintext(reply)
    with pytest.raises(LocalProtocolError, match="twice"):
        pending.open(reply)


def test_the_answer_to_a_login_is_opened_once() -> None:
    peer = Peer()
    message, pending = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy
    )
    login = peer.server.open_login(message, peer.code).accept(NOW_MS)
    reply = login.seal_response(peer.server_pair.public, peer.entropy)
    pending.open(reply)
    with pytest.raises(LocalProtocolError, match="twice"):
        pending.open(reply)


# --- requests -----------------------------------------------------------------------------------


def test_two_messages_of_the_same_text_share_nothing() -> None:
    peer = Peer()
    first, second = (peer.send({"n": 1})[0] for _ in range(2))
    assert first.sealed.key != second.sealed.key
    assert first.sealed.payload != second.sealed.payload
    assert not (
        set(map(repr, [peer.open(first).nonce_claim]))
        & set(map(repr, [peer.open(second).nonce_claim]))
    )


def test_a_key_with_another_payload_is_a_replay() -> None:
    # The pair of wrapped key and new payload: what someone who learnt the passphrase would send.
    peer = Peer("sfet-3")
    first, _ = peer.send({"n": 1})
    peer.receive(first)
    passphrase = peer.suite.unwrap(peer.server_pair, first.sealed.key)
    assert passphrase
    forged = serialize_json({"timestamp": NOW_MS, "nonce": "never seen", "n": 2})
    message = with_payload(first, peer.suite.seal(passphrase, forged, None))
    opened = peer.open(message)
    assert not peer.claim(opened.nonce_claim)


def test_fields_of_the_caller_do_not_replace_timestamp_and_nonce() -> None:
    peer = Peer()
    message, _ = peer.send({"timestamp": 0, "nonce": "mine", "n": 1})
    assert peer.receive(message).fields == {"n": 1}


def test_the_window_belongs_to_the_server() -> None:
    peer = Peer()
    peer.server = ServerExchange(peer.suite, peer.session_keys, peer.entropy, window_ms=0)
    message, _ = peer.send()
    peer.open(message)
    with pytest.raises(StaleTimestamp):
        peer.open(message, NOW_MS + 1)


@by_dialect
def test_parts_of_two_messages_do_not_fit_together(name: str) -> None:
    peer = Peer(name)
    first, second = peer.send({"n": 1})[0], peer.send({"n": 2})[0]
    for mixed in (
        with_key(first, second.sealed.key),
        with_payload(first, second.sealed.payload),
    ):
        with pytest.raises(DecryptionFailed):
            peer.open(mixed)


def test_a_message_of_another_session_is_refused() -> None:
    peer = Peer()
    message, _ = peer.send()
    other = replace(peer.session_keys, private_key=key_pair("test-other"))
    with pytest.raises(DecryptionFailed):
        peer.server.unwrap_request(message, other).decrypt(False).read(NOW_MS)


def test_no_session_is_refused_even_if_the_decoy_could_open_it() -> None:
    peer = Peer()
    peer.server = ServerExchange(peer.suite, peer.session_keys, peer.entropy)
    with pytest.raises(DecryptionFailed):
        peer.server.unwrap_request(peer.send()[0], None).decrypt(True).read(NOW_MS)


def test_a_gcm_message_without_its_iv_is_refused() -> None:
    peer = Peer("sfet-4-gcm")
    with pytest.raises(DecryptionFailed):
        peer.open(with_iv(peer.send()[0], None))


@pytest.mark.parametrize("inside", [{}, {"request": None}, {"request": "GET /"}])
def test_a_message_that_holds_no_http_request_says_so(inside: dict[str, JsonValue]) -> None:
    peer = Peer()
    with pytest.raises(MalformedMessage):
        peer.receive(peer.send(inside)[0]).http_request()


# --- login --------------------------------------------------------------------------------------


def _login(peer: Peer, **inside: JsonValue) -> AuthenticateRequest:
    members: dict[str, JsonValue] = {
        "timestamp": NOW_MS,
        "nonce": "n",
        "publicKey": peer.client_pair.public.to_pem(),
    }
    plaintext = serialize_json(members | inside)
    payload = peer.suite.seal(peer.suite.code_passphrase(peer.code), plaintext, None)
    return AuthenticateRequest(peer.token, payload)


def test_a_code_of_no_login_is_refused_even_if_the_decoy_fits() -> None:
    peer = Peer()
    peer.server = ServerExchange(peer.suite, peer.session_keys, peer.entropy)
    with pytest.raises(CodeRefused):
        peer.server.open_login(_login(peer), None)


def test_a_stale_login_has_opened_and_so_spent_its_code() -> None:
    peer = Peer()
    opened = peer.server.open_login(_login(peer), peer.code)
    with pytest.raises(StaleTimestamp):
        opened.accept(NOW_MS + WINDOW_MS + 1)


def test_a_login_with_a_weak_key_has_opened_and_so_spent_its_code() -> None:
    peer = Peer()
    opened = peer.server.open_login(_login(peer, publicKey=weak_keys()["roca"]), peer.code)
    with pytest.raises(InvalidPublicKey):
        opened.accept(NOW_MS)


@pytest.mark.parametrize(
    ("chars", "allowed"), [(22, False), (23, True)], ids=["110 bits", "115 bits"]
)
def test_a_password_needs_a_long_code(chars: int, allowed: bool) -> None:
    peer = Peer()
    peer.code = Code("0" * chars)
    opened = peer.server.open_login(_login(peer, password="correct horse"), peer.code)
    if allowed:
        assert opened.accept(NOW_MS).password == "correct horse"
    else:
        with pytest.raises(DecryptionFailed, match="112"):
            opened.accept(NOW_MS)
    # Without one, the length is the configuration's affair.
    assert peer.server.open_login(_login(peer), peer.code).accept(NOW_MS).password is None


def test_a_null_password_is_none() -> None:
    peer = Peer()
    assert (
        peer.server.open_login(_login(peer, password=None), peer.code).accept(NOW_MS).password
        is None
    )


def test_a_login_does_not_open_in_another_dialect() -> None:
    peer, other = Peer("sfet-2"), Peer("article-2016")
    with pytest.raises(DecryptionFailed):
        other.server.open_login(_login(peer), peer.code)


# --- the client ---------------------------------------------------------------------------------


@by_dialect
def test_a_request_that_comes_back_is_no_answer(name: str) -> None:
    peer = Peer(name)
    for opener in (PendingResponse.open, PendingResponse.open_plaintext):
        message, pending = peer.send({"response": {"status": 200}})
        with pytest.raises(DecryptionFailed):
            opener(pending, message.sealed)


def test_an_answer_to_another_request_is_refused() -> None:
    peer = Peer()
    (first, _), (_, second_pending) = peer.send(), peer.send()
    reply = sealed_http(peer.receive(first), HttpResponse(200, (), b""), NOW_MS)
    with pytest.raises(ReplayedNonce):
        second_pending.open(reply)


def test_an_answer_in_place_is_no_whole_response() -> None:
    peer = Peer()
    message, pending = peer.send()
    with pytest.raises(DecryptionFailed):
        pending.open(sealed(peer.receive(message), b"[1]"))


def test_a_session_key_that_is_weak_is_refused_by_the_client() -> None:
    peer = Peer()
    _, pending = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy
    )
    passphrase = peer.suite.new_passphrase(peer.entropy)
    plaintext = serialize_json({"publicKey": weak_keys()["e-is-3"]})
    reply = SealedMessage(
        peer.suite.wrap(peer.client_pair.public, passphrase),
        peer.suite.seal(passphrase, plaintext, None),
    )
    with pytest.raises(InvalidPublicKey):
        pending.open(reply)


def test_a_login_answer_for_someone_else_is_refused() -> None:
    peer = Peer()
    message, _ = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy
    )
    _, other = peer.client.seal_login(
        peer.token, peer.code, key_pair("test-other"), NOW_MS, peer.entropy
    )
    accepted = peer.server.open_login(message, peer.code).accept(NOW_MS)
    with pytest.raises(DecryptionFailed):
        other.open(accepted.seal_response(peer.server_pair.public, peer.entropy))


def test_a_login_is_decided_once() -> None:
    peer = Peer()
    message, _ = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy
    )
    opened = peer.server.open_login(message, peer.code)
    opened.accept(NOW_MS)
    with pytest.raises(LocalProtocolError):
        opened.accept(NOW_MS)


def test_what_prints_keys_does_not_show_them() -> None:
    peer = Peer()
    keys = SessionKeys(peer.server_pair, peer.client_pair.public, b"tag key " * 4)
    shown = f"{keys!r} {peer.server_pair!r} {peer.client_pair.public!r}"
    assert "tag key" not in shown
    assert str(peer.server_pair.public.n) not in shown


# --- the passphrase is tried, then used ---------------------------------------------------------


def test_an_unwrapped_request_shows_only_the_tag_of_its_passphrase() -> None:
    peer = Peer()
    unwrapped = peer.server.unwrap_request(peer.send({"secret": 1})[0], peer.session_keys)
    public = {name for name in dir(unwrapped) if not name.startswith("_")}
    assert public == {"passphrase_tag", "decrypt"}
    assert unwrapped.passphrase_tag is not None
    assert len(unwrapped.passphrase_tag) == 16
    decrypted = unwrapped.decrypt(True)
    assert {name for name in dir(decrypted) if not name.startswith("_")} == {"read"}


def test_an_unwrapped_request_is_opened_once() -> None:
    peer = Peer()
    unwrapped = peer.server.unwrap_request(peer.send()[0], peer.session_keys)
    decrypted = unwrapped.decrypt(True)
    with pytest.raises(LocalProtocolError):
        unwrapped.decrypt(True)
    decrypted.read(NOW_MS)
    with pytest.raises(LocalProtocolError):
        decrypted.read(NOW_MS)


def test_the_tag_is_the_one_that_is_claimed_later() -> None:
    peer = Peer()
    unwrapped = peer.server.unwrap_request(peer.send()[0], peer.session_keys)
    opened = unwrapped.decrypt(True).read(NOW_MS)
    assert unwrapped.passphrase_tag == opened.nonce_claim.passphrase_tag


@by_dialect
def test_without_a_try_the_payload_is_not_decrypted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a plaintext takes to parse tells something of it. So a recorded message, bent and
    # sent again, must be worked on under a passphrase that nobody knows, and never the same.
    peer = Peer(name)
    message, _ = peer.send()
    right = peer.suite.unwrap(peer.server_pair, message.sealed.key)
    used: list[bytes] = []
    open_payload = Classic.open

    def watched(self: Classic, passphrase: bytes, payload: str, iv: str | None) -> object:
        used.append(passphrase)
        return open_payload(self, passphrase, payload, iv)

    monkeypatch.setattr(Classic, "open", watched)
    for _ in range(3):
        with pytest.raises(ReplayedNonce):
            peer.server.unwrap_request(message, peer.session_keys).decrypt(False).read(NOW_MS)
    with pytest.raises(DecryptionFailed):
        peer.server.unwrap_request(message, None).decrypt(True).read(NOW_MS)
    wrong = with_key(message, "AAAA")
    with pytest.raises(DecryptionFailed):
        peer.server.unwrap_request(wrong, peer.session_keys).decrypt(True).read(NOW_MS)
    assert right not in used
    assert len(set(used)) == 5
