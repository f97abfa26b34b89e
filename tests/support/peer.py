"""A client and a server of one dialect, in memory and already enrolled; for tests.

The RSA pairs are the published test keys of spec/vectors, so that no test waits for new ones.
"""

import hashlib
from dataclasses import replace
from functools import cache

from make_vectors import CODE, NOW_MS, TAG_KEY, TOKEN, test_keys

from protocol.classic.client_exchange import ClientExchange, ClientKeys, PendingResponse
from protocol.classic.dialects import DIALECTS, Dialect
from protocol.classic.exchange import (
    AcceptedLogin,
    AcceptedRequest,
    OpenedRequest,
    ServerExchange,
    SessionKeys,
)
from protocol.classic.freshness import NonceClaim
from protocol.classic.suites import Classic
from protocol.common.codec import JsonObject, parse_json_object
from protocol.common.codes import Code, Entropy
from protocol.common.messages import HttpResponse, SealedMessage, SealedRequest
from protocol.common.primitives import RsaPrivateKey

CODE_OF_PEER = Code(CODE)
DECOY_CODE = Code("Z" * 26)


@cache
def key_pair(name: str) -> RsaPrivateKey:
    """One of the test pairs: test-session, test-client, test-other, test-wide."""
    return RsaPrivateKey.from_der(test_keys()[name].private_der)


def seeded(seed: object) -> Entropy:
    """Entropy that follows from ``seed`` and never repeats within itself."""
    drawn = 0

    def draw(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"{seed} {drawn}".encode()).digest(length)

    return draw


class Peer:
    """Client and server of one session; ``claims`` are the claims in the store."""

    def __init__(self, dialect: str | Dialect = "article-2016", seed: object = 0) -> None:
        self.dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
        self.suite = Classic(self.dialect)
        self.entropy = seeded(seed)
        self.token = TOKEN
        self.code = CODE_OF_PEER
        self.server_pair = key_pair("test-session")
        self.client_pair = key_pair("test-client")
        decoy_pair = key_pair("test-other")
        decoy = SessionKeys(decoy_pair, decoy_pair.public, bytes(32))
        self.server = ServerExchange(self.suite, decoy, self.entropy)
        self.client = ClientExchange(self.suite)
        self.session_keys = SessionKeys(self.server_pair, self.client_pair.public, TAG_KEY)
        self.client_keys = ClientKeys(self.client_pair, self.server_pair.public)
        self.claims: set[bytes] = set()

    def claim(self, claim: NonceClaim) -> bool:
        """Claim both tags or neither, as a store does."""
        tags = {b"n" + claim.nonce_tag, b"p" + claim.passphrase_tag}
        if tags & self.claims:
            return False
        self.claims |= tags
        return True

    def login(self, password: str | None = None, now_ms: int = NOW_MS) -> AcceptedLogin:
        """A whole login; the client then has the keys that the server has for it."""
        message, pending = self.client.seal_login(
            self.token, self.code, self.client_pair, now_ms, self.entropy, password
        )
        accepted = self.server.open_login(message, self.code).accept(now_ms)
        keys = pending.open(accepted.seal_response(self.server_pair.public, self.entropy))
        assert keys == self.client_keys
        assert accepted.client_key == self.session_keys.client_key
        return accepted

    def send(
        self, fields: JsonObject | None = None, now_ms: int = NOW_MS
    ) -> tuple[SealedRequest, PendingResponse]:
        """A request of the client, not served yet."""
        return self.client.seal_fields(
            self.token, self.client_keys, fields or {}, now_ms, self.entropy
        )

    def open(self, message: SealedRequest, now_ms: int = NOW_MS) -> OpenedRequest:
        """The decrypted request; its passphrase has tries left."""
        unwrapped = self.server.unwrap_request(message, self.session_keys)
        return unwrapped.decrypt(unwrapped.passphrase_tag is not None).read(now_ms)

    def receive(self, message: SealedRequest, now_ms: int = NOW_MS) -> AcceptedRequest:
        """The request at the server, after its claim."""
        opened = self.open(message, now_ms)
        return opened.accept(self.claim(opened.nonce_claim))


def sealed(accepted: AcceptedRequest, plaintext: bytes) -> SealedMessage:
    """``plaintext`` as the answer to ``accepted``, as the client reads it."""
    names = accepted._suite.dialect.names
    return SealedMessage.parse(parse_json_object(accepted.seal_response(plaintext)), names)


def sealed_http(accepted: AcceptedRequest, response: HttpResponse, now_ms: int) -> SealedMessage:
    """``response`` as the answer to ``accepted``."""
    return sealed(accepted, accepted.write_http_response(response, now_ms))


def with_key(message: SealedRequest, key: str) -> SealedRequest:
    return replace(message, sealed=replace(message.sealed, key=key))


def with_payload(message: SealedRequest, payload: str) -> SealedRequest:
    return replace(message, sealed=replace(message.sealed, payload=payload))


def with_iv(message: SealedRequest, iv: str | None) -> SealedRequest:
    return replace(message, sealed=replace(message.sealed, iv=iv))
