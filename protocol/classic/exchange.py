"""One classic message at the server, in the only safe order (PROTOCOL §3.7.2).

Each step returns an object that exposes only what the next step needs:

``unwrap_request``   an ``UnwrappedRequest``, with its ``passphrase_tag``
``decrypt(tried)``   a ``DecryptedRequest``, with nothing: a large plaintext is parsed separately
``read()``           an ``OpenedRequest``, with its ``nonce_claim``
``accept(claimed)``  an ``AcceptedRequest``, with the plaintext; it can seal one response

A login has the same steps, after the store has claimed its code.

Every rejection follows the same work: one private operation, one decryption and one parse, under a
random passphrase if the message has no passphrase that may be used. Each object can be used once;
a second use raises LocalProtocolError.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.common.acceptance import WINDOW_MS, Once, used_twice
from protocol.common.codec import JsonObject, read_members, serialize_json
from protocol.common.codes import PASSWORD_MIN_CODE_BITS, Code, Entropy
from protocol.common.errors import CodeRefused, DecryptionFailed, ReplayedNonce
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
)
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey, hmac_sha256
from protocol.common.rsa_keys import validate_public_key

from .freshness import TAG_BYTES, NonceClaim, format_timestamp, fresh_nonce
from .suites import Classic, Secrets

TAG_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of a session at the server: its own pair, the client's key and the tag key."""

    private_key: RsaPrivateKey = field(repr=False)
    client_key: RsaPublicKey = field(repr=False)
    tag_key: bytes = field(repr=False)

    def passphrase_tag(self, passphrase: bytes) -> bytes:
        """The tag (16 bytes) under which a store counts tries of a passphrase (PROTOCOL §3.6.3)."""
        return hmac_sha256(self.tag_key, b"passphrase\x00" + passphrase)[:TAG_BYTES]

    def nonce_claim(self, nonce: str, passphrase_tag: bytes) -> NonceClaim:
        """The claim of one message."""
        tag = hmac_sha256(self.tag_key, b"nonce\x00" + nonce.encode())[:TAG_BYTES]
        return NonceClaim(tag, passphrase_tag)


class AcceptedRequest:
    """A message that was claimed: its plaintext, and one response."""

    def __init__(
        self, suite: Classic, keys: SessionKeys, members: JsonObject, nonce: str, secrets: Secrets
    ) -> None:
        self._suite = suite
        self._keys = keys
        self._members = members
        self._nonce = nonce
        self._secrets: Secrets | None = secrets

    @property
    def fields(self) -> JsonObject:
        """The payload without timestamp and nonce, for an in-place handler (§3.5.1)."""
        names = self._suite.dialect.names
        return {
            name: value
            for name, value in self._members.items()
            if name not in (names.timestamp, names.nonce)
        }

    def http_request(self) -> HttpRequest:
        """The HTTP request in the payload (§3.5.2), once. Raises: MalformedMessage."""
        return HttpRequest.parse(self._members.pop(self._suite.dialect.names.request, None))

    def seal_response(self, plaintext: bytes) -> bytes:
        """The JSON of ``plaintext`` unchanged, sealed for the client (§3.5.1)."""
        return self._suite.seal_json(self._taken(), self._keys.client_key, plaintext)

    def _taken(self) -> Secrets:
        secrets, self._secrets = self._secrets, None
        return secrets or used_twice()

    def write_http_response(self, response: HttpResponse, now_ms: int) -> bytes:
        """The plaintext of a whole response, with the nonce of its request (§3.5.2)."""
        dialect = self._suite.dialect
        members: JsonObject = {
            dialect.names.timestamp: format_timestamp(dialect.timestamp, now_ms),
            dialect.names.nonce: self._nonce,
        }
        return response.json_in(members, dialect.names.response)


class OpenedRequest:
    """A message that was opened but can still be a replay. It exposes only its claim."""

    def __init__(self, claim: NonceClaim, accept: Callable[[], AcceptedRequest]) -> None:
        self.nonce_claim = claim
        self.__accept = accept

    def accept(self, claimed: bool) -> AcceptedRequest:
        """The plaintext, if the store has ``claimed`` both tags. Raises: ReplayedNonce."""
        accept, self.__accept = self.__accept, used_twice
        if not claimed:
            raise ReplayedNonce("nonce or passphrase were seen before, or the session is full")
        return accept()


class AcceptedLogin:
    """A login that was accepted: its payload, and one response."""

    def __init__(self, suite: Classic, members: JsonObject, client_key: RsaPublicKey) -> None:
        self._suite = suite
        self._seal_to = suite.seal_to
        self.payload = members
        self.client_key = client_key

    @property
    def password(self) -> str | None:
        value = self.payload.get(self._suite.dialect.names.password)
        return value if isinstance(value, str) else None

    def seal_response(self, server_key: RsaPublicKey, entropy: Entropy) -> SealedMessage:
        """The session's public key, sealed for the client (§3.3.2)."""
        seal_to, self._seal_to = self._seal_to, used_twice
        plaintext = serialize_json({self._suite.dialect.names.public_key: server_key.to_pem()})
        return seal_to(self.client_key, plaintext, entropy)


class DecryptedRequest:
    """A message that was decrypted, with or without success. It exposes nothing."""

    def __init__(self, read: Callable[[int], OpenedRequest]) -> None:
        self.__read = read

    def read(self, now_ms: int) -> OpenedRequest:
        """Parses the message. Raises: DecryptionFailed, StaleTimestamp, ReplayedNonce."""
        read, self.__read = self.__read, used_twice
        return read(now_ms)


class UnwrappedRequest:
    """A message that was unwrapped. It exposes only the tag of its passphrase."""

    def __init__(
        self, passphrase_tag: bytes | None, decrypt_with: Callable[[bool], DecryptedRequest]
    ) -> None:
        self.passphrase_tag = passphrase_tag
        self.__decrypt = decrypt_with

    def decrypt(self, tried: bool) -> DecryptedRequest:
        """Decrypts the message. ``tried``: the store has counted this try of its passphrase.

        If it has not, the same work is done under a random passphrase. The time to parse a
        plaintext reveals something about it, so an attacker must not be able to measure it with
        a message that was answered before.
        """
        decrypt, self.__decrypt = self.__decrypt, used_twice
        return decrypt(tried)


class OpenedLogin:
    """A login payload that the code has opened. The code is spent now (§3.3.3)."""

    def __init__(self, suite: Classic, members: JsonObject, code: Code, window_ms: int) -> None:
        self.__suite = suite
        self.__members = members
        self.__code = code
        self.__window_ms = window_ms
        self.__decided = Once()

    def accept(self, now_ms: int) -> AcceptedLogin:
        """The payload, if it is fresh and its key is valid.

        A key of 4096 bits takes up to 20 ms of arithmetic.
        Raises: DecryptionFailed, StaleTimestamp, InvalidPublicKey.
        """
        self.__decided.use("an opened login")
        names = self.__suite.dialect.names
        public_key = self.__members.get(names.public_key)
        password = self.__members.get(names.password)
        if not isinstance(public_key, str) or not isinstance(password, str | None):
            raise DecryptionFailed("the payload's public key or password is of the wrong type")
        if password is not None and self.__code.bits < PASSWORD_MIN_CODE_BITS:
            raise DecryptionFailed("a password needs a code of at least 112 bits")
        fresh_nonce(self.__suite.dialect, self.__members, now_ms, self.__window_ms)
        return AcceptedLogin(self.__suite, self.__members, validate_public_key(public_key))


class ServerExchange:
    """The server side of the classic suite.

    ``decoy`` are keys without a session. They are used if a message names no existing session.
    """

    def __init__(
        self, suite: Classic, decoy: SessionKeys, entropy: Entropy, window_ms: int = WINDOW_MS
    ) -> None:
        self.suite = suite
        self.window_ms = window_ms
        self._decoy = decoy
        self._entropy = entropy

    def open_login(self, message: AuthenticateRequest, code: Code | None) -> OpenedLogin:
        """Opens the payload with ``code``, which the store has claimed; None if there is no login.

        Raises: CodeRefused (no login), DecryptionFailed (the code does not fit: give it back).
        """
        passphrase = self.suite.code_passphrase(code) if code else None
        plaintext, valid, _ = self.suite.open_or_pretend(
            passphrase, message.payload, message.iv, self._entropy
        )
        members = read_members(plaintext, valid)
        if code is None:
            raise CodeRefused("no code waits: unknown, spent, expired, or being tried")
        if members is None:
            raise DecryptionFailed("the code does not fit: wrong, or another dialect?")
        return OpenedLogin(self.suite, members, code, self.window_ms)

    def unwrap_request(self, message: SealedRequest, keys: SessionKeys | None) -> UnwrappedRequest:
        """Unwraps the message with ``keys`` of its session; None if there is no such session."""
        suite, sealed = self.suite, message.sealed
        unwrapped = suite.unwrap((keys or self._decoy).private_key, sealed.key)
        passphrase = unwrapped if keys else None
        tag = keys.passphrase_tag(passphrase) if keys and passphrase else None

        def decrypt_with(tried: bool) -> DecryptedRequest:
            used = passphrase if tried else None
            plaintext, valid, secrets = suite.open_or_pretend(
                used, sealed.payload, sealed.iv, self._entropy
            )

            def read(now_ms: int) -> OpenedRequest:
                members = read_members(plaintext, valid)
                if keys is None:
                    raise DecryptionFailed("no such session, or it has ended")
                if tag is None:
                    raise DecryptionFailed("the wrapped key does not open: another dialect or key?")
                if not tried:
                    raise ReplayedNonce("the passphrase was used before, or the session has ended")
                if members is None:
                    raise DecryptionFailed(
                        "the payload does not open: changed, another dialect, or too many values?"
                    )
                return self._opened(keys, members, tag, secrets, now_ms)

            return DecryptedRequest(read)

        return UnwrappedRequest(tag, decrypt_with)

    def _opened(
        self, keys: SessionKeys, members: JsonObject, tag: bytes, secrets: Secrets, now_ms: int
    ) -> OpenedRequest:
        nonce = fresh_nonce(self.suite.dialect, members, now_ms, self.window_ms)
        return OpenedRequest(
            keys.nonce_claim(nonce, tag),
            lambda: AcceptedRequest(self.suite, keys, members, nonce, secrets),
        )
