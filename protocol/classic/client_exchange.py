"""One classic message and its answer, at the client (PROTOCOL §3.3.2, §3.5).

``seal_request`` returns the message and a ``PendingResponse``, which opens the answer to it.
"""

from dataclasses import dataclass, field

from protocol.common.acceptance import Once
from protocol.common.codec import JsonObject, read_members, serialize_json
from protocol.common.codes import Code, Entropy
from protocol.common.errors import DecryptionFailed, ReplayedNonce
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
)
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.common.rsa_keys import validate_public_key

from .freshness import format_timestamp
from .suites import Classic

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """The keys of a session at the client: its own pair and the session's public key."""

    private_key: RsaPrivateKey = field(repr=False)
    server_key: RsaPublicKey = field(repr=False)


def _open_from(
    suite: Classic, key: RsaPrivateKey, sealed: SealedMessage, entropy: Entropy
) -> tuple[bytes, bool]:
    """The plaintext of an answer, and whether the answer is valid."""
    passphrase = suite.unwrap(key, sealed.key)
    stand_in = suite.new_passphrase(entropy)
    plaintext, opened = suite.open(passphrase or stand_in, sealed.payload, sealed.iv)
    return plaintext, opened and passphrase is not None


class PendingLogin:
    """A login that was sent. It opens the answer once."""

    def __init__(self, suite: Classic, private_key: RsaPrivateKey, entropy: Entropy) -> None:
        self._suite = suite
        self._private_key = private_key
        self._entropy = entropy
        self._opened = Once()

    def open(self, reply: SealedMessage) -> ClientKeys:
        """The keys of the session. Raises: DecryptionFailed, InvalidPublicKey."""
        self._opened.use("a login's answer")
        plaintext, valid = _open_from(self._suite, self._private_key, reply, self._entropy)
        pem = (read_members(plaintext, valid) or {}).get(self._suite.dialect.names.public_key)
        if not isinstance(pem, str):
            raise DecryptionFailed("the answer is not sealed to us")
        return ClientKeys(self._private_key, validate_public_key(pem))


class PendingResponse:
    """A request that was sent. It opens the answer to this request once."""

    def __init__(
        self, suite: Classic, private_key: RsaPrivateKey, nonce: str, entropy: Entropy
    ) -> None:
        self._suite = suite
        self._private_key = private_key
        self._entropy = entropy
        self._nonce = nonce
        self._opened = Once()

    def open(self, reply: SealedMessage) -> HttpResponse:
        """The HTTP response (§3.5.2). Raises: DecryptionFailed, MalformedMessage, ReplayedNonce."""
        self._opened.use("a request's answer")
        plaintext, valid = _open_from(self._suite, self._private_key, reply, self._entropy)
        members = read_members(plaintext, valid)
        if members is None:
            raise DecryptionFailed("the answer is not sealed to us")
        names = self._suite.dialect.names
        if members.get(names.nonce) != self._nonce:
            raise ReplayedNonce("the answer is to another request")
        return HttpResponse.parse(members.get(names.response))

    def open_plaintext(self, reply: SealedMessage) -> bytes:
        """The body of an answer in place (§3.5.1), unchanged. Raises: DecryptionFailed."""
        self._opened.use("a request's answer")
        plaintext, valid = _open_from(self._suite, self._private_key, reply, self._entropy)
        if not valid:
            raise DecryptionFailed("the answer is not sealed to us")
        return plaintext


class ClientExchange:
    """The client side of the classic suite."""

    def __init__(self, suite: Classic) -> None:
        self.suite = suite

    def _fresh(self, now_ms: int, entropy: Entropy) -> tuple[JsonObject, str]:
        dialect = self.suite.dialect
        nonce = entropy(NONCE_BYTES).hex()
        stamp = format_timestamp(dialect.timestamp, now_ms)
        return {dialect.names.timestamp: stamp, dialect.names.nonce: nonce}, nonce

    def seal_login(
        self,
        token: str,
        code: Code,
        private_key: RsaPrivateKey,
        now_ms: int,
        entropy: Entropy,
        password: str | None = None,
    ) -> tuple[AuthenticateRequest, PendingLogin]:
        """The login message under ``code``, and the object that opens its answer (§3.3.2)."""
        names = self.suite.dialect.names
        members, _ = self._fresh(now_ms, entropy)
        members[names.public_key] = private_key.public.to_pem()
        if password is not None:
            members[names.password] = password
        iv = self.suite.new_iv(entropy)
        payload = self.suite.seal(self.suite.code_passphrase(code), serialize_json(members), iv)
        return AuthenticateRequest(token, payload, iv), PendingLogin(
            self.suite, private_key, entropy
        )

    def seal_fields(
        self, token: str, keys: ClientKeys, fields: JsonObject, now_ms: int, entropy: Entropy
    ) -> tuple[SealedRequest, PendingResponse]:
        """``fields`` with timestamp and nonce, sealed for the server (§3.4, §3.5.1)."""
        fresh, nonce = self._fresh(now_ms, entropy)
        plaintext = serialize_json({**fields, **fresh})
        sealed = self.suite.seal_to(keys.server_key, plaintext, entropy)
        return SealedRequest(token, sealed), PendingResponse(
            self.suite, keys.private_key, nonce, entropy
        )

    def seal_request(
        self, token: str, keys: ClientKeys, request: HttpRequest, now_ms: int, entropy: Entropy
    ) -> tuple[SealedRequest, PendingResponse]:
        """A whole HTTP request, sealed for the server (§3.5.2)."""
        inside: JsonObject = {self.suite.dialect.names.request: request.serialize()}
        return self.seal_fields(token, keys, inside, now_ms, entropy)
