"""The client's RSA key in ``rsa-gcm``: generated for one session, or external.

A key in hardware never leaves it. To use one, pass an ``RsaDecrypter`` to the client: it gives the
public key and decrypts 256 to 512 bytes.
"""

import asyncio
from typing import Protocol

from protocol.common.errors import InvalidPublicKey
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.common.rsa_keys import validate_public_key, validate_public_key_der
from protocol.hardened.sealed_messages import unwrap

from .errors import NoAnswer

_PEM = b"-----BEGIN "


class RsaDecrypter(Protocol):
    """An external RSA key: in a smart card, an HSM or another process."""

    @property
    def public_key(self) -> str | bytes:
        """SubjectPublicKeyInfo, as PEM (text or bytes) or DER: 2048 to 4096 bits, e = 65537."""

    async def decrypt(self, wrapped: bytes) -> bytes:
        """The 32 bytes in ``wrapped``: RSA-OAEP with SHA-256, MGF1 with SHA-256, no label.

        Called once for each response, and several calls can run at once. It must not block the
        event loop: use ``asyncio.to_thread`` for a blocking library. The result is a secret: do
        not log it. Raises: any Exception, if ``wrapped`` cannot be decrypted or the device fails;
        the client then raises AnswerNotTrusted with that exception as its cause. A call that takes
        longer than ``timeout_s`` is cancelled, and the client raises NoAnswer.
        """


class ClientKey(Protocol):
    """The client's key, as a session uses it."""

    @property
    def public(self) -> RsaPublicKey: ...

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        """The content of ``wrapped``, or None if it cannot be decrypted."""


class OwnKey:
    """A key pair generated for one session, in this process."""

    def __init__(self, pair: RsaPrivateKey) -> None:
        self.public = pair.public
        self._pair = pair

    @classmethod
    async def new(cls) -> "OwnKey":
        return cls(await asyncio.to_thread(RsaPrivateKey.generate))

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        return unwrap(self._pair, wrapped)


class ExternalKey:
    """The key of ``decrypter``, for every session. ``timeout_s`` limits each decryption.

    Raises: ValueError, for a public key that no gateway would accept.
    """

    def __init__(self, decrypter: RsaDecrypter, timeout_s: float) -> None:
        self.public = _validated(decrypter.public_key)
        self._decrypter = decrypter
        self._timeout_s = timeout_s

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        """Raises: NoAnswer (timeout), and any exception of the decrypter."""
        try:
            async with asyncio.timeout(self._timeout_s) as bound:
                secret: object = await self._decrypter.decrypt(wrapped)
        except TimeoutError:
            if not bound.expired():
                raise
            raise NoAnswer(
                f"rsa_key did not decrypt it in {self._timeout_s:g} s", "is the device connected?"
            ) from None
        return secret if isinstance(secret, bytes) else None


def _validated(given: str | bytes) -> RsaPublicKey:
    try:
        if isinstance(given, bytes) and _PEM not in given:
            return validate_public_key_der(given)
        return validate_public_key(
            given if isinstance(given, str) else given.decode("ascii", "replace")
        )
    except InvalidPublicKey as error:
        raise ValueError(
            f"rsa_key cannot be used: {error}. Its public_key must be an RSA key of 2048 to 4096 "
            "bits with the exponent 65537, as SubjectPublicKeyInfo in PEM or DER"
        ) from None
