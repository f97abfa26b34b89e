"""The bodies of the routes of blocks and of the meta (VAULT §14).

Longer than other modules because it has a class for each body.
"""

from dataclasses import dataclass, field
from typing import Any, Self

from .bodies import Body, serialized, whole
from .errors import Malformed
from .expiry import MAX_BUCKET, MAX_FRAME_S
from .index import META_BYTES
from .messages import DIGEST_BYTES
from .tokens import (
    BLOCK_BYTES,
    BLOCK_ID_BYTES,
    CHECK_BYTES,
    HASH_BYTES,
    NONCE_BYTES,
    PERMIT_BYTES,
    RECEIPT_BYTES,
    TOKEN_BYTES,
    Hashes,
)

MAX_BLOCKS_BODY_BYTES = 1_048_576
# In a request of put, get or check.
MAX_BLOCKS = 32
# In a request of renew or retire: the most items that a list in msgpack has (PROTOCOL §1.4.3).
MAX_RENEWED = 128
MAX_RESERVED = 100


# --- the meta ---


@dataclass(frozen=True, slots=True)
class StoredMeta:
    """The response of GET /meta; without a ``meta`` if there is none."""

    meta: bytes | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data, lambda body: cls(body.raw("meta", META_BYTES) if body.has("meta") else None)
        )

    def serialize(self) -> bytes:
        return serialized(meta=self.meta)


@dataclass(frozen=True, slots=True)
class PutMeta:
    """PUT /meta. ``previous`` is the digest of the meta that is replaced, or empty."""

    previous: bytes
    meta: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(body.raw("previous", 0, DIGEST_BYTES), body.raw("meta", META_BYTES)),
        )

    def serialize(self) -> bytes:
        return serialized(previous=self.previous, meta=self.meta)


# --- parameters and reservations ---


@dataclass(frozen=True, slots=True)
class BlockParameters:
    """The response of GET /blocks: the frame, and the present bucket of the server."""

    frame_s: int
    bucket: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        message = whole(
            data,
            lambda body: cls(
                body.number("frame_s", MAX_FRAME_S), body.number("bucket", MAX_BUCKET)
            ),
        )
        if not message.frame_s:
            raise Malformed("a frame has at least 1 second")
        return message

    def serialize(self) -> bytes:
        return serialized(frame_s=self.frame_s, bucket=self.bucket)


@dataclass(frozen=True, slots=True)
class Reserve:
    """POST /blocks/reserve."""

    count: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        message = whole(data, lambda body: cls(body.number("count", MAX_RESERVED)))
        if not message.count:
            raise Malformed("a reservation has at least 1 id")
        return message

    def serialize(self) -> bytes:
        return serialized(count=self.count)


@dataclass(frozen=True, slots=True)
class ReservedId:
    """An id, and the permit to put a block with it."""

    id: bytes
    permit: bytes

    @classmethod
    def take(cls, body: Body) -> Self:
        reserved = cls(body.raw("id", BLOCK_ID_BYTES), body.raw("permit", PERMIT_BYTES))
        body.end()
        return reserved

    def members(self) -> dict[str, Any]:
        return {"id": self.id, "permit": self.permit}


@dataclass(frozen=True, slots=True)
class Reserved:
    """Its response."""

    ids: tuple[ReservedId, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data, lambda body: cls(tuple(map(ReservedId.take, body.some("ids", MAX_RESERVED))))
        )

    def serialize(self) -> bytes:
        return serialized(ids=[one.members() for one in self.ids])


# --- put ---


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A block that is put, with the hashes of its tokens."""

    id: bytes
    permit: bytes
    block: bytes = field(repr=False)
    hashes: Hashes

    @classmethod
    def take(cls, body: Body) -> Self:
        new = cls(
            body.raw("id", BLOCK_ID_BYTES),
            body.raw("permit", PERMIT_BYTES),
            body.raw("block", BLOCK_BYTES),
            Hashes(*(body.raw(name, HASH_BYTES) for name in ("write", "read", "renew"))),
        )
        body.end()
        return new

    def members(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "permit": self.permit,
            "block": self.block,
            "write": self.hashes.write,
            "read": self.hashes.read,
            "renew": self.hashes.renew,
        }


@dataclass(frozen=True, slots=True)
class PutBlocks:
    """POST /blocks/put."""

    blocks: tuple[NewBlock, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        message = whole(
            data,
            lambda body: cls(tuple(map(NewBlock.take, body.some("blocks", MAX_BLOCKS)))),
            MAX_BLOCKS_BODY_BYTES,
        )
        if len({block.id for block in message.blocks}) != len(message.blocks):
            raise Malformed("two blocks have the same id")
        return message

    def serialize(self) -> bytes:
        return serialized(blocks=[block.members() for block in self.blocks])


@dataclass(frozen=True, slots=True)
class Receipts:
    """Its response, in the order of the request."""

    receipts: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raws("receipts", MAX_BLOCKS, RECEIPT_BYTES)))

    def serialize(self) -> bytes:
        return serialized(receipts=list(self.receipts))


# --- get, renew, retire, check ---


@dataclass(frozen=True, slots=True)
class OneBlock:
    """A block, and the token that the request needs."""

    id: bytes
    token: bytes = field(repr=False)

    @classmethod
    def take(cls, body: Body) -> Self:
        one = cls(body.raw("id", BLOCK_ID_BYTES), body.raw("token", TOKEN_BYTES))
        body.end()
        return one

    def members(self) -> dict[str, Any]:
        return {"id": self.id, "token": self.token}


@dataclass(frozen=True, slots=True)
class GetBlocks:
    """POST /blocks/get, with read tokens."""

    blocks: tuple[OneBlock, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(_named(body, MAX_BLOCKS)))

    def serialize(self) -> bytes:
        return serialized(blocks=[one.members() for one in self.blocks])


@dataclass(frozen=True, slots=True)
class FoundBlocks:
    """Its response, in the order of the request; empty bytes for a block that is not given."""

    blocks: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(body.raws("blocks", MAX_BLOCKS, BLOCK_BYTES, 0)),
            MAX_BLOCKS_BODY_BYTES,
        )

    def serialize(self) -> bytes:
        return serialized(blocks=list(self.blocks))


@dataclass(frozen=True, slots=True)
class RenewBlocks:
    """POST /blocks/renew, with renew tokens."""

    blocks: tuple[OneBlock, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(_named(body, MAX_RENEWED)))

    def serialize(self) -> bytes:
        return serialized(blocks=[one.members() for one in self.blocks])


@dataclass(frozen=True, slots=True)
class RenewedBlocks:
    """Its response: for each block, whether it was renewed."""

    renewed: tuple[bool, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.flags("renewed", MAX_RENEWED)))

    def serialize(self) -> bytes:
        return serialized(renewed=[int(one) for one in self.renewed])


@dataclass(frozen=True, slots=True)
class RetireBlocks:
    """POST /blocks/retire, with write tokens."""

    blocks: tuple[OneBlock, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(_named(body, MAX_RENEWED)))

    def serialize(self) -> bytes:
        return serialized(blocks=[one.members() for one in self.blocks])


@dataclass(frozen=True, slots=True)
class CheckBlocks:
    """POST /blocks/check, with read tokens."""

    nonce: bytes
    blocks: tuple[OneBlock, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data, lambda body: cls(body.raw("nonce", NONCE_BYTES), _named(body, MAX_BLOCKS))
        )

    def serialize(self) -> bytes:
        return serialized(nonce=self.nonce, blocks=[one.members() for one in self.blocks])


@dataclass(frozen=True, slots=True)
class CheckedBlocks:
    """Its response, in the order of the request; empty bytes for a block that is not given."""

    digests: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raws("digests", MAX_BLOCKS, CHECK_BYTES, 0)))

    def serialize(self) -> bytes:
        return serialized(digests=list(self.digests))


def _named(body: Body, most: int) -> tuple[OneBlock, ...]:
    return tuple(map(OneBlock.take, body.some("blocks", most)))
