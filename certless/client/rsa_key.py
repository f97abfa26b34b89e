"""The client's RSA key in ``rsa-gcm``: one made here for the session, or one that stays elsewhere.

A key in hardware never leaves it. Who holds one gives the client an ``RsaDecrypter``: the public
key, and a way to have 256 to 512 bytes unwrapped.
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
    """An RSA key that somebody else holds: a smart card, an HSM, another process."""

    @property
    def public_key(self) -> str | bytes:
        """SubjectPublicKeyInfo, as PEM (text or bytes) or DER: 2048 to 4096 bits, e = 65537."""

    async def decrypt(self, wrapped: bytes) -> bytes:
        """The 32 bytes in ``wrapped``: RSA-OAEP with SHA-256, MGF1 with SHA-256, no label.

        Called once for each answer, also for several at once. It must not block the loop:
        ``asyncio.to_thread`` is for libraries that do. What it gives is a secret; log none of it.
        Raises: any Exception, where ``wrapped`` does not open or the device fails. The answer is
        then AnswerNotTrusted, with that exception as its cause. What takes longer than
        ``timeout_s`` is cancelled, and is NoAnswer.
        """


class ClientKey(Protocol):
    """What a session needs of the client's key."""

    @property
    def public(self) -> RsaPublicKey: ...

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        """What is in ``wrapped``, or None where it does not open."""


class OwnKey:
    """A pair made for one session, in this process."""

    def __init__(self, pair: RsaPrivateKey) -> None:
        self.public = pair.public
        self._pair = pair

    @classmethod
    async def new(cls) -> "OwnKey":
        return cls(await asyncio.to_thread(RsaPrivateKey.generate))

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        return unwrap(self._pair, wrapped)


class ExternalKey:
    """The key of ``decrypter``, used in every session. ``timeout_s`` bounds each decryption.

    Raises: ValueError, for a public key that no gateway would take.
    """

    def __init__(self, decrypter: RsaDecrypter, timeout_s: float) -> None:
        self.public = _admitted(decrypter.public_key)
        self._decrypter = decrypter
        self._timeout_s = timeout_s

    async def unwrap(self, wrapped: bytes) -> bytes | None:
        """Raises: NoAnswer (not in time), and whatever the decrypter raises."""
        try:
            async with asyncio.timeout(self._timeout_s) as bound:
                secret: object = await self._decrypter.decrypt(wrapped)
        except TimeoutError:
            if not bound.expired():
                raise
            raise NoAnswer(
                f"rsa_key did not unwrap it in {self._timeout_s:g} s", "is the device there?"
            ) from None
        return secret if isinstance(secret, bytes) else None


def _admitted(given: str | bytes) -> RsaPublicKey:
    try:
        if isinstance(given, bytes) and _PEM not in given:
            return validate_public_key_der(given)
        return validate_public_key(
            given if isinstance(given, str) else given.decode("ascii", "replace")
        )
    except InvalidPublicKey as error:
        raise ValueError(
            f"rsa_key cannot be used: {error}. Its public_key is an RSA key of 2048 to 4096 bits "
            "with the exponent 65537, as SubjectPublicKeyInfo in PEM or DER"
        ) from None
