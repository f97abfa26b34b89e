"""Tokens of blocks, and what the server keeps and answers about a block (VAULT §18)."""

from dataclasses import dataclass, field
from typing import Self

from protocol.common.primitives import hmac_sha256, sha256

from .account import AccountKey, label, lp

BLOCK_BYTES = 16_384
BLOCK_ID_BYTES = 16
TOKEN_BYTES = 32
HASH_BYTES = 32
PERMIT_BYTES = 16
RECEIPT_BYTES = 32
NONCE_BYTES = 16
CHECK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Hashes:
    """What the server keeps of the three tokens of a block."""

    write: bytes
    read: bytes
    renew: bytes


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of all blocks that were written under one account key."""

    _write: bytes = field(repr=False)
    _read: bytes = field(repr=False)
    _renew: bytes = field(repr=False)

    @classmethod
    def of(cls, key: AccountKey) -> Self:
        return cls(key.derived("write"), key.derived("read"), key.derived("renew"))

    def write(self, block_id: bytes) -> bytes:
        """The token that retires a block."""
        return hmac_sha256(self._write, label("write") + lp(block_id))

    def read(self, block_id: bytes) -> bytes:
        """The token that gets or checks a block."""
        return hmac_sha256(self._read, label("read") + lp(block_id))

    def renew(self, block_id: bytes) -> bytes:
        """The token that renews a block."""
        return hmac_sha256(self._renew, label("renew") + lp(block_id))

    def hashes(self, block_id: bytes) -> Hashes:
        """The hashes of the three tokens, for the server."""
        tokens = (self.write(block_id), self.read(block_id), self.renew(block_id))
        return Hashes(*map(sha256, tokens))


def permit(key: bytes, block_id: bytes, bucket: int) -> bytes:
    """The right to put a block with this id, in this bucket and the next one.

    ``key`` is that of the server.
    """
    return hmac_sha256(key, label("permit") + lp(block_id) + bucket.to_bytes(8))[:PERMIT_BYTES]


def receipt(block_id: bytes, block: bytes) -> bytes:
    """What the server answers when it has stored a block."""
    return sha256(label("receipt") + lp(block_id) + lp(block))


def check(nonce: bytes, block: bytes) -> bytes:
    """The proof that the server still has a block."""
    return sha256(label("check") + lp(nonce) + lp(block))


def tombstone(block_id: bytes) -> bytes:
    """What the server keeps of the id of a deleted block."""
    return sha256(label("tombstone") + lp(block_id))
