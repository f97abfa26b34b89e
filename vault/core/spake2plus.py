"""SPAKE2+ on P-256: the client proves that it knows the password, the server keeps w0 and L.

The ciphersuite is P256-SHA256-HKDF-HMAC of RFC 9383. The client is the prover::

    shareP = x*G + w0*M     shareV = y*G + w0*N
    Z = x*(shareV - w0*N) = y*(shareP - w0*M)     V = w1*(shareV - w0*N) = y*L
    K_main = SHA-256(TT)     TT = context, idP, idV, M, N, shareP, shareV, Z, V, w0
    K_confirmP ‖ K_confirmV = HKDF(K_main, "ConfirmationKeys")
    confirmV = HMAC(K_confirmV, shareP)     confirmP = HMAC(K_confirmP, shareV)

One run lets an active attacker test one guess. w0 and L let their thief test guesses, each at the
cost of one Argon2id.
"""

from dataclasses import dataclass, field
from functools import cache

from protocol.common.primitives import P256_ORDER, Point, hkdf, hmac_sha256, sha256
from protocol.hardened.spake2 import M_BYTES, N_BYTES, admit_share

from .account import Owner, label, lp
from .errors import Malformed
from .password import PasswordSecrets, le

CONFIRMATION_BYTES = 32


@dataclass(frozen=True, slots=True)
class Transcript:
    """What both sides know before the run: the context, idP and idV."""

    context: bytes
    prover: bytes
    verifier: bytes

    @classmethod
    def of(cls, owner: Owner, exported: bytes, kdf: int, salt: bytes) -> "Transcript":
        """``exported`` is e of the session (VAULT §6.1)."""
        parts = (exported, owner.account, bytes([kdf]), salt)
        context = label("unlock") + b"".join(map(lp, parts))
        return cls(context, owner.prover, owner.verifier)


@dataclass(frozen=True, slots=True)
class Confirmations:
    """confirmP and confirmV (32 bytes each), and K_shared (32 bytes)."""

    prover: bytes = field(repr=False)
    verifier: bytes = field(repr=False)
    shared: bytes = field(repr=False)


@cache
def _constants() -> tuple[Point, Point]:
    return _point(M_BYTES), _point(N_BYTES)


def _point(data: bytes) -> Point:
    """Raises: Malformed."""
    point = Point.decode(data)
    if point is None:
        raise Malformed("not a point of P-256")
    return point


def prover_share(w0: int, x: int) -> bytes:
    """shareP (65 bytes). ``x`` is from 1 to n - 1."""
    return Point.of_generator(x).plus(_constants()[0].times(w0)).encode()


def verifier_share(w0: int, y: int) -> bytes:
    """shareV (65 bytes). ``y`` is from 1 to n - 1."""
    return Point.of_generator(y).plus(_constants()[1].times(w0)).encode()


def prover_confirmations(
    transcript: Transcript, secrets: PasswordSecrets, x: int, share_p: bytes, share_v: bytes
) -> Confirmations:
    """The client's side, with its own ``share_p``. Raises: Malformed."""
    unblinded = _unblinded(share_v, _constants()[1].times(secrets.w0))
    z, v = unblinded.times(x).encode(), unblinded.times(secrets.w1).encode()
    return _confirmations(transcript, secrets.w0, share_p, share_v, z, v)


def verifier_confirmations(
    transcript: Transcript, w0: int, big_l: bytes, y: int, share_p: bytes, share_v: bytes
) -> Confirmations:
    """The server's side, with its own ``share_v``. Raises: Malformed."""
    unblinded = _unblinded(share_p, _constants()[0].times(w0))
    z, v = unblinded.times(y).encode(), _point(big_l).times(y).encode()
    return _confirmations(transcript, w0, share_p, share_v, z, v)


def read_verifier(w0: bytes, big_l: bytes) -> tuple[int, bytes]:
    """w0 as a number, and L, as a client sends them (32 and 65 bytes). Raises: Malformed."""
    number = int.from_bytes(w0)
    if not 1 <= number < P256_ORDER:
        raise Malformed("w0 must be a number from 1 to n - 1")
    _point(big_l)
    return number, big_l


def _unblinded(share: bytes, blinding: Point) -> Point:
    point = admit_share(share)
    if point is None:
        raise Malformed("a share must be a point of P-256")
    unblinded = point.minus(blinding)
    if unblinded.is_infinity():
        raise Malformed("a share must not be the blinding alone")
    return unblinded


def _confirmations(
    transcript: Transcript, w0: int, share_p: bytes, share_v: bytes, z: bytes, v: bytes
) -> Confirmations:
    """Source: RFC 9383 §3.3, §3.4."""
    names = (transcript.context, transcript.prover, transcript.verifier)
    parts = (*names, M_BYTES, N_BYTES, share_p, share_v, z, v, w0.to_bytes(32))
    main = sha256(b"".join(map(le, parts)))
    keys = hkdf(main, b"", b"ConfirmationKeys", 64)
    return Confirmations(
        hmac_sha256(keys[:32], share_v),
        hmac_sha256(keys[32:], share_p),
        hkdf(main, b"", b"SharedKey", 32),
    )
