"""What binds a passkey to a session and to an account, and the key of its wrap (VAULT §25)."""

from typing import Literal, TypeAlias

from protocol.common.primitives import hkdf, sha256

from .account import KEY_BYTES, label, lp
from .errors import Malformed

Purpose: TypeAlias = Literal["register", "sign in"]

NONCE_BYTES = 16
PRF_BYTES = 32


def challenge(exported: bytes, account: bytes, purpose: Purpose, nonce: bytes) -> bytes:
    """The challenge of WebAuthn (32 bytes). ``nonce`` is the server's; it is used once."""
    named = lp(account) + lp(purpose.encode()) + lp(nonce)
    return sha256(label("passkey") + lp(exported) + named)


def prf_salt(account: bytes, rp_id: str) -> bytes:
    """The input of the PRF (32 bytes). It is never empty."""
    return sha256(label("passkey prf") + lp(account) + lp(rp_id.encode()))


def passkey_kek(prf: bytes, account: bytes) -> bytes:
    """The key of the wrap of a passkey, from the output of its PRF. Raises: Malformed."""
    if len(prf) != PRF_BYTES:
        raise Malformed(f"the PRF of a passkey gives {PRF_BYTES} bytes")
    return hkdf(prf, account, label("passkey key"), KEY_BYTES)
