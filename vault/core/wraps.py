"""The account key under the key of one secret (VAULT §5), and sealed values of an account."""

from typing import Literal, TypeAlias

from protocol.common.primitives import GCM_TAG_BYTES, aes_gcm_open, aes_gcm_seal

from .account import KEY_BYTES, AccountKey, label, lp
from .errors import Malformed, WrongSecret

Kind: TypeAlias = Literal["password", "recovery", "temporary", "device", "passkey"]

IV_BYTES = 12
# The format byte, the IV and the tag.
OVERHEAD_BYTES = 1 + IV_BYTES + GCM_TAG_BYTES
WRAP_BYTES = OVERHEAD_BYTES + KEY_BYTES
_FORMAT = b"\x01"


def seal(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """u8(1) ‖ iv ‖ AES-256-GCM; 29 bytes longer than ``plaintext``. ``iv`` is 12 random bytes."""
    return _FORMAT + iv + aes_gcm_seal(key, iv, plaintext, aad)


def unseal(key: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """The plaintext, or None if ``key`` and ``aad`` do not open it. Raises: Malformed."""
    if len(sealed) < OVERHEAD_BYTES or sealed[:1] != _FORMAT:
        raise Malformed("not a sealed value of format 1: update this client")
    iv = sealed[1 : 1 + IV_BYTES]
    return aes_gcm_open(key, iv, sealed[1 + IV_BYTES :], aad)


def wrap(kek: bytes, iv: bytes, key: AccountKey, kind: Kind, subject: bytes = b"") -> bytes:
    """The wrap of ``key`` (61 bytes). ``subject`` is the id of a device or passkey."""
    return seal(kek, iv, key.n, _aad(key.account, kind, subject))


def unwrap(
    kek: bytes, wrapped: bytes, account: bytes, kind: Kind, subject: bytes = b""
) -> AccountKey:
    """The account key in ``wrapped``. Raises: Malformed, WrongSecret."""
    if len(wrapped) != WRAP_BYTES:
        raise Malformed(f"a wrap has {WRAP_BYTES} bytes")
    n = unseal(kek, wrapped, _aad(account, kind, subject))
    if n is None:
        raise WrongSecret("this secret does not open the account key")
    return AccountKey(account, n)


def _aad(account: bytes, kind: Kind, subject: bytes) -> bytes:
    return label("wrap") + lp(account) + lp(kind.encode()) + lp(subject)
