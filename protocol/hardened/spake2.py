"""SPAKE2 on P-256: two sides that share a short secret agree on a strong key (RFC 9382).

The ciphersuite is SPAKE2-P256-SHA256-HKDF-HMAC. A is the client, B the server::

    pA = x*G + w*M     pB = y*G + w*N     K = x*(pB - w*N) = y*(pA - w*M)
    TT = identities, pA, pB, K, w, each behind its length
    Ke ‖ Ka = SHA-256(TT)     KcA ‖ KcB = HKDF(Ka, "ConfirmationKeys" ‖ AAD)
    cA = HMAC(KcA, TT)     cB = HMAC(KcB, TT)

An attacker cannot test a guess of w against a recording without computing a discrete logarithm.
Each run lets an active attacker test one guess. Anyone who knows w can act as either side, so w is
as secret as the code. The cofactor of P-256 is 1.
"""

from dataclasses import dataclass, field
from functools import cache

from protocol.common.primitives import Point, hkdf, hmac_sha256, sha256

# "1.2.840.10045.3.1.7 point generation seed (M)" and "(N)", hashed to the curve by RFC 9382 §4, so
# that their discrete logarithms are unknown.
M_BYTES = bytes.fromhex(
    "04886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f"
    "5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20"
)
N_BYTES = bytes.fromhex(
    "04d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49"
    "07d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7"
)


def _known(data: bytes) -> Point:
    """The point of bytes that this side has written."""
    point = Point.decode(data)
    assert point is not None  # noqa: S101  # the tests know the constants
    return point


@cache
def _constants() -> tuple[Point, Point]:
    """M and N. Decoded at the first login, because a program can start without one."""
    return _known(M_BYTES), _known(N_BYTES)


@dataclass(frozen=True, slots=True)
class Blinding:
    """The secret number w, w*M and w*N. It takes half a millisecond, once for each code."""

    w: int = field(repr=False)
    w_m: Point = field(repr=False)
    w_n: Point = field(repr=False)

    @classmethod
    def of(cls, w: int) -> "Blinding":
        """``w`` from 1 to n - 1."""
        m, n = _constants()
        return cls(w, m.times(w), n.times(w))

    def serialize(self) -> bytes:
        """162 bytes, as secret as w."""
        return self.w.to_bytes(32) + self.w_m.encode() + self.w_n.encode()

    @classmethod
    def parse(cls, data: bytes) -> "Blinding":
        """Reads the bytes of ``serialize``, from a seal of this side."""
        return cls(int.from_bytes(data[:32]), _known(data[32:97]), _known(data[97:]))


@dataclass(frozen=True, slots=True)
class Agreement:
    """The result of SPAKE2: Ke (16 bytes) and the two confirmations (32 bytes each)."""

    shared: bytes = field(repr=False)
    confirm_client: bytes = field(repr=False)
    confirm_server: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities idA and idB of the RFC, as bytes."""

    client: bytes
    server: bytes

    @classmethod
    def of(cls, username: str, realm: str) -> "Identities":
        """The identities of this protocol (PROTOCOL §2.4.4)."""
        return cls(b"client:" + username.encode(), b"server:" + realm.encode())


def admit_share(data: bytes) -> Point | None:
    """The peer's share (65 bytes), or None if it is not a point, or is M or N.

    No honest side sends M or N, because their discrete logarithms are not known.
    """
    return None if data in (M_BYTES, N_BYTES) else Point.decode(data)


def client_share(blinding: Blinding, x: int) -> bytes:
    """pA (65 bytes)."""
    return Point.of_generator(x).plus(blinding.w_m).encode()


def server_share(blinding: Blinding, y: int) -> bytes:
    """pB (65 bytes)."""
    return Point.of_generator(y).plus(blinding.w_n).encode()


def client_secret(blinding: Blinding, x: int, share: Point) -> bytes | None:
    """K (65 bytes) from pB. None if K is infinity, which happens if pB is w*N."""
    return _multiple(share.minus(blinding.w_n), x)


def server_secret(blinding: Blinding, y: int, share: Point) -> bytes | None:
    """K (65 bytes) from pA. None if K is infinity, which happens if pA is w*M."""
    return _multiple(share.minus(blinding.w_m), y)


def _multiple(unblinded: Point, factor: int) -> bytes | None:
    return None if unblinded.is_infinity() else unblinded.times(factor).encode()


def agree(
    identities: Identities, p_a: bytes, p_b: bytes, secret: bytes, w: int, aad: bytes
) -> Agreement:
    """Ke and the confirmations over the transcript TT. Source: RFC 9382 §3.3, §4."""
    parts = (identities.client, identities.server, p_a, p_b, secret, w.to_bytes(32))
    transcript = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    digest = sha256(transcript)
    keys = hkdf(digest[16:], b"", b"ConfirmationKeys" + aad, 32)
    return Agreement(
        digest[:16], hmac_sha256(keys[:16], transcript), hmac_sha256(keys[16:], transcript)
    )
