"""A second implementation of the vault's cryptography, for its vectors.

It is written from the RFCs and VAULT.md, without vault/ and with other libraries: Argon2id of
argon2-cffi, AES and Ed25519 of pycryptodome, and P-256 as integers of Python.
"""

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache

from argon2.low_level import Type, hash_secret_raw
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa
from hardened_reference import (
    ORDER,
    Affine,
    G,
    M,
    N,
    add,
    encode_point,
    expand,
    extract,
    gcm,
    lp,
    negative,
    times,
)

COSTS = {1: (65_536, 3, 4), 2: (19_456, 2, 1)}
PAGE_BYTES, RECORD_BYTES = 4096, 256
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHECK_BITS = {"recovery": 20, "temporary": 12}
EXPORT = b"certless-vault/1 export\n"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def v(purpose: str) -> bytes:
    return lp(b"certless-vault/1", purpose.encode())


def le(*fields: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "little") + part for part in fields)


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    return expand(extract(salt, ikm), info, length)


@cache
def argon2id(data: bytes, salt: bytes, kdf: int) -> bytes:
    memory, passes, lanes = COSTS[kdf]
    return hash_secret_raw(data, salt, passes, memory, lanes, 64, Type.ID, 0x13)


def seal(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> bytes:
    return b"\x01" + iv + gcm(key, iv, plaintext, aad)


def padded(sequence: int, text: bytes, step: int = PAGE_BYTES) -> bytes:
    head = sequence.to_bytes(8) + len(text).to_bytes(4)
    pages = -(-(len(head) + len(text)) // step)
    return (head + text).ljust(pages * step, b"\0")


# --- Ed25519 (RFC 8032) --------------------------------------------------------------------------


def public_key(seed: bytes) -> bytes:
    return bytes(ECC.construct(curve="Ed25519", seed=seed).public_key().export_key(format="raw"))


def sign(seed: bytes, data: bytes) -> bytes:
    return bytes(eddsa.new(ECC.construct(curve="Ed25519", seed=seed), "rfc8032").sign(data))


# --- an account, its secrets and its password ----------------------------------------------------


@dataclass(frozen=True)
class User:
    """The user of an account, and the account key."""

    username: str = "ada"
    realm: str = "gateway.example"
    n: bytes = bytes(range(0x40, 0x60))

    @property
    def account(self) -> bytes:
        return sha256(v("account") + lp(self.realm.encode(), self.username.encode()))

    def key(self, purpose: str) -> bytes:
        return hkdf(self.n, self.account, v(purpose))

    @property
    def prover(self) -> bytes:
        return b"client:" + self.username.encode()

    @property
    def verifier(self) -> bytes:
        return b"server:" + self.realm.encode()

    def wrap(self, kek: bytes, iv: bytes, kind: str, subject: bytes = b"") -> bytes:
        return seal(kek, iv, self.n, v("wrap") + lp(self.account, kind.encode(), subject))

    def note(self, iv: bytes, plaintext: bytes) -> bytes:
        return seal(self.key("note"), iv, plaintext, v("note") + lp(self.account))

    def record(self, device: bytes, iv: bytes, plaintext: bytes) -> bytes:
        aad = v("device record") + lp(self.account, device)
        return seal(self.key("devices"), iv, plaintext, aad)


@dataclass(frozen=True)
class Secret:
    """A recovery code, a temporary key or a device secret."""

    user: User
    kind: str
    secret: bytes

    @property
    def kek(self) -> bytes:
        return hkdf(self.secret, self.user.account, v(f"{self.kind} key"))

    @property
    def seed(self) -> bytes:
        return hkdf(self.secret, self.user.account, v(f"{self.kind} proof"))


def code(kind: str, secret: bytes) -> str:
    """The characters of a code, without hyphens, from its bits as text."""
    check = f"{int.from_bytes(sha256(v(f'{kind} code') + lp(secret))):0256b}"[: CHECK_BITS[kind]]
    bits = "".join(f"{byte:08b}" for byte in secret) + check
    assert len(bits) % 5 == 0
    return "".join(ALPHABET[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))


def in_groups(text: str) -> str:
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


@dataclass(frozen=True)
class Password:
    """The keys of a password, which is in NFC already."""

    user: User
    text: str
    salt: bytes
    kdf: int

    @property
    def root(self) -> bytes:
        data = le(self.text.encode(), self.user.prover, self.user.verifier)
        return argon2id(data, self.salt, self.kdf)

    @property
    def halves(self) -> tuple[int, int]:
        both = hkdf(self.root, b"", v("password verifier"), 80)
        return int.from_bytes(both[:40]) % ORDER, int.from_bytes(both[40:]) % ORDER

    @property
    def big_l(self) -> bytes:
        return encode_point(times(self.halves[1], G))

    @property
    def kek(self) -> bytes:
        return hkdf(self.root, b"", v("password key"))

    def context(self, exported: bytes) -> bytes:
        return v("unlock") + lp(exported, self.user.account, bytes([self.kdf]), self.salt)


def export_key(passphrase: str, salt: bytes, kdf: int) -> bytes:
    return hkdf(argon2id(le(passphrase.encode()), salt, kdf), b"", v("export key"))


# --- SPAKE2+ (RFC 9383) --------------------------------------------------------------------------


@dataclass(frozen=True)
class Unlock:
    """One run with all its numbers."""

    context: bytes
    prover: bytes
    verifier: bytes
    w0: int
    w1: int
    x: int
    y: int

    @property
    def share_p(self) -> Affine:
        return add(times(self.x, G), times(self.w0, M))

    @property
    def share_v(self) -> Affine:
        return add(times(self.y, G), times(self.w0, N))

    def to_json(self) -> dict[str, str]:
        """shareP, shareV, confirmP, confirmV and K_shared."""
        # As the RFC's prover does it. The verifier's Z and V are the same points.
        bare = add(self.share_v, negative(times(self.w0, N)))
        z, big_v = times(self.x, bare), times(self.w1, bare)
        assert z == times(self.y, add(self.share_p, negative(times(self.w0, M))))
        assert big_v == times(self.y, times(self.w1, G))
        points = [encode_point(p) for p in (M, N, self.share_p, self.share_v, z, big_v)]
        names = (self.context, self.prover, self.verifier)
        main = sha256(le(*names, *points, self.w0.to_bytes(32)))
        keys = hkdf(main, b"", b"ConfirmationKeys", 64)
        share_p, share_v = points[2:4]
        return {
            "shareP_hex": share_p.hex(),
            "shareV_hex": share_v.hex(),
            "confirmP_hex": hmac.digest(keys[:32], share_v, "sha256").hex(),
            "confirmV_hex": hmac.digest(keys[32:], share_p, "sha256").hex(),
            "shared_hex": hkdf(main, b"", b"SharedKey").hex(),
        }


# --- what a key signs ----------------------------------------------------------------------------


def statement(name: str, *fields: bytes) -> bytes:
    return v(name) + lp(*fields)


def request(exported: bytes, account: bytes, method: str, target: str, body: bytes) -> bytes:
    return v("request") + lp(exported, account, method.encode(), target.encode()) + sha256(body)


def revision(before: bytes, body: bytes) -> bytes:
    return sha256(v("revision") + lp(before, body))


# --- blocks --------------------------------------------------------------------------------------


def token(user: User, use: str, block_id: bytes) -> bytes:
    return hmac.digest(user.key(use), v(use) + lp(block_id), "sha256")


def permit(key: bytes, block_id: bytes, number: int) -> bytes:
    return hmac.digest(key, v("permit") + lp(block_id) + number.to_bytes(8), "sha256")[:16]


def receipt(block_id: bytes, block: bytes) -> bytes:
    return sha256(v("receipt") + lp(block_id, block))


def check(nonce: bytes, block: bytes) -> bytes:
    return sha256(v("check") + lp(nonce, block))


def tombstone(block_id: bytes) -> bytes:
    return sha256(v("tombstone") + lp(block_id))


def bucket(now_s: int, frame_s: int, jitter_s: int) -> int:
    whole, _ = divmod(now_s + jitter_s, frame_s)
    return whole


def safe_until(number: int, frame_s: int) -> int:
    """The first second after the bucket ``number`` and the next one."""
    return (number + 2) * frame_s
