"""The key of the server: it seals what a copy of the database alone must not show."""

import secrets
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from protocol.common.primitives import P256_ORDER, Point, hkdf, hmac_sha256
from vault.core.account import KEY_BYTES, label, lp
from vault.core.errors import Malformed, VaultError
from vault.core.password import SALT_BYTES
from vault.core.tokens import permit
from vault.core.wraps import IV_BYTES, seal, unseal

# The use of a sealed value. It opens for this use only.
Use: TypeAlias = Literal["verifier", "password wrap", "stage", "run", "device session"]

_ID_BYTES = 16
_W0_BYTES = 32
_NOBODY = bytes(32)


class Unsealable(VaultError):
    """A value of the database was not sealed by this server for this row."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """w0 and L of a password."""

    w0: int = field(repr=False)
    big_l: bytes = field(repr=False)


class ServerKey:
    """Seals values, each for one account and use, and computes salts of decoys and permits."""

    def __init__(self, key: bytes) -> None:
        """``key`` is 32 random bytes."""
        self._seal_key = hkdf(key, b"", label("server seal"), KEY_BYTES)
        self._decoy_key = hkdf(key, b"", label("server decoys"), KEY_BYTES)
        self._permit_key = hkdf(key, b"", label("server permits"), KEY_BYTES)
        self.id = hkdf(key, b"", label("server key id"), _ID_BYTES)
        decoy = random_verifier()
        self._decoy = self.seal_verifier(_NOBODY, decoy.w0.to_bytes(_W0_BYTES), decoy.big_l)

    def seal(self, use: Use, account: bytes, value: bytes, subject: bytes = b"") -> bytes:
        """``value``, which opens only with the same ``use``, ``account`` and ``subject``."""
        iv = secrets.token_bytes(IV_BYTES)
        return seal(self._seal_key, iv, value, _aad(use, account, subject))

    def open(self, use: Use, account: bytes, sealed: bytes, subject: bytes = b"") -> bytes:
        """Raises: Unsealable."""
        try:
            value = unseal(self._seal_key, sealed, _aad(use, account, subject))
        except Malformed:
            value = None
        if value is None:
            raise Unsealable(f"a {use} in the vault's database was not sealed for its account")
        return value

    def seal_verifier(self, account: bytes, w0: bytes, big_l: bytes) -> bytes:
        """``w0`` (32 bytes) and L (65 bytes)."""
        return self.seal("verifier", account, w0 + big_l)

    def open_verifier(self, account: bytes, sealed: bytes | None) -> Verifier:
        """``sealed`` is None for a user without an account. Raises: Unsealable."""
        which = (_NOBODY, self._decoy) if sealed is None else (account, sealed)
        value = self.open("verifier", *which)
        return Verifier(int.from_bytes(value[:_W0_BYTES]), value[_W0_BYTES:])

    def decoy_salt(self, account: bytes) -> bytes:
        """The salt of a user without an account (VAULT §6.1)."""
        return hmac_sha256(self._decoy_key, label("decoy salt") + lp(account))[:SALT_BYTES]

    def permit(self, block_id: bytes, bucket: int) -> bytes:
        """The permit to put a block with this id (VAULT §18.2)."""
        return permit(self._permit_key, block_id, bucket)


def random_scalar() -> int:
    """From 1 to n - 1."""
    return secrets.randbelow(P256_ORDER - 1) + 1


# L of the runs that cannot succeed. Their w0 is new each time, so it needs no new L.
DECOY_L = Point.of_generator(random_scalar()).encode()


def random_verifier() -> Verifier:
    """The verifier of a run that no password can complete."""
    return Verifier(random_scalar(), DECOY_L)


def _aad(use: Use, account: bytes, subject: bytes) -> bytes:
    return label("server " + use) + lp(account) + lp(subject)
