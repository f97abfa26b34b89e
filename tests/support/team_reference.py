"""A second implementation of the cryptography of teams (TEAMS), for its vectors.

It is written from RFC 9180 and TEAMS.md, without vault/ and with other libraries. HPKE is written
out here, because a vector needs a fixed ephemeral key.
"""

from dataclasses import dataclass
from typing import Any

from Crypto.Protocol.DH import import_x25519_public_key, key_agreement
from Crypto.PublicKey import ECC
from hardened_reference import expand, extract, gcm, lp
from vault_reference import User, hkdf, padded, public_key, seal, sha256, sign, v

from protocol.common.codec import serialize_msgpack

_KEM_ID = b"KEM\x00\x20"
_SUITE_ID = b"HPKE\x00\x20\x00\x01\x00\x02"


def u16(number: int) -> bytes:
    return number.to_bytes(2)


# --- HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, AES-256-GCM --------------------------------


def exchange_key(seed: bytes) -> bytes:
    """The public key of X25519."""
    key = ECC.construct(curve="Curve25519", seed=seed)
    return bytes(key.public_key().export_key(format="raw"))


def _extract(suite: bytes, salt: bytes, purpose: bytes, ikm: bytes) -> bytes:
    return extract(salt, b"HPKE-v1" + suite + purpose + ikm)


def _expand(suite: bytes, prk: bytes, purpose: bytes, info: bytes, length: int) -> bytes:
    return expand(prk, length.to_bytes(2) + b"HPKE-v1" + suite + purpose + info, length)


def hpke(public: bytes, ephemeral: bytes, info: bytes, plaintext: bytes) -> bytes:
    """enc ‖ ciphertext. ``ephemeral`` is the seed of the sender's key."""
    enc = exchange_key(ephemeral)
    shared = key_agreement(
        eph_priv=ECC.construct(curve="Curve25519", seed=ephemeral),
        eph_pub=import_x25519_public_key(public),
        kdf=bytes,
    )
    prk = _extract(_KEM_ID, b"", b"eae_prk", shared)
    secret = _expand(_KEM_ID, prk, b"shared_secret", enc + public, 32)
    context = b"\0" + _extract(_SUITE_ID, b"", b"psk_id_hash", b"")
    context += _extract(_SUITE_ID, b"", b"info_hash", info)
    prk = _extract(_SUITE_ID, secret, b"secret", b"")
    key = _expand(_SUITE_ID, prk, b"key", context, 32)
    nonce = _expand(_SUITE_ID, prk, b"base_nonce", context, 12)
    return enc + gcm(key, nonce, plaintext, b"")


# --- members and rosters -------------------------------------------------------------------------


@dataclass(frozen=True)
class TeamUser:
    """A member: a user with a role."""

    user: User
    role: str

    @property
    def members(self) -> dict[str, Any]:
        return {
            "account": self.user.account,
            "name": self.user.username,
            "role": self.role,
            "signing": public_key(self.user.key("team signing")),
            "sealing": exchange_key(self.user.key("team sealing")),
        }

    @property
    def words_digest(self) -> bytes:
        parts = self.members
        keys = (parts["account"], parts["signing"], parts["sealing"])
        return sha256(v("team member") + lp(*keys))

    def sign(self, purpose: str, team: bytes, body: bytes) -> bytes:
        return sign(self.user.key("team signing"), v(purpose) + lp(team, body))


def digest(purpose: str, team: bytes, body: bytes) -> bytes:
    return sha256(v(purpose) + lp(team, body))


def roster_body(users: list[TeamUser], **members: Any) -> bytes:
    sorted_users = sorted(users, key=lambda one: one.user.account)
    return serialize_msgpack({**members, "members": [one.members for one in sorted_users]})


def signed_roster(signer: TeamUser, team: bytes, body: bytes) -> bytes:
    return b"\1" + signer.user.account + signer.sign("team roster", team, body) + body


# --- keys and items ------------------------------------------------------------------------------


def check_value(team: bytes, epoch: int, key: bytes) -> bytes:
    return hkdf(key, team, v("team check") + u16(epoch))


def member_wrap(team: bytes, epoch: int, key: bytes, member: TeamUser, ephemeral: bytes) -> bytes:
    info = v("team master key") + lp(team) + u16(epoch) + lp(member.user.account)
    return hpke(member.members["sealing"], ephemeral, info, key)


def wraps_digest(team: bytes, epoch: int, wraps: list[bytes]) -> bytes:
    return sha256(v("team wraps") + lp(team) + u16(epoch) + lp(*wraps))


def item_wrap(
    team: bytes, epoch: int, key: bytes, item: bytes, item_key: bytes, iv: bytes
) -> bytes:
    aad = v("team item key") + lp(team) + u16(epoch) + lp(item)
    return seal(hkdf(key, team, v("team items") + u16(epoch)), iv, item_key, aad)


def sealed_version(
    team: bytes, item: bytes, item_key: bytes, sequence: int, signed: bytes, iv: bytes
) -> bytes:
    key = hkdf(item_key, team, v("team version key") + lp(item))
    aad = v("team version") + lp(team, item) + sequence.to_bytes(8)
    return seal(key, iv, padded(sequence, signed, 512), aad)


def manifest_digest(team: bytes, epoch: int, data: bytes) -> bytes:
    return sha256(v("team manifest") + lp(team) + u16(epoch) + lp(data))


def temporary_wrap(team: bytes, epoch: int, secret: bytes, key: bytes, iv: bytes) -> bytes:
    kek = hkdf(secret, team, v("team temporary key") + u16(epoch))
    return seal(kek, iv, key, v("team temporary wrap") + lp(team) + u16(epoch))


def temporary_proof(team: bytes, epoch: int, secret: bytes) -> bytes:
    return public_key(hkdf(secret, team, v("team temporary proof") + u16(epoch)))
