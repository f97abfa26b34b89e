"""The bodies of the routes of blocks and of the meta, for the vectors (VAULT §14).

Blocks and metas are mostly zeros here, so that a vector names them by parts.
"""

from typing import Any

from make_vectors import stream
from vector_files import Json

ID, OTHER_ID = stream("vault block id", 16), stream("vault another block id", 16)
PERMIT, TOKEN = stream("vault permit", 16), stream("vault token", 32)
BLOCK, META = b"\1" + bytes(16_383), b"\1" + bytes(12_316)
HASHES = {name: stream(f"vault {name} hash", 32) for name in ("write", "read", "renew")}
DIGEST = stream("vault digest of a block", 32)
ONE = {"id": ID, "token": TOKEN}
NEW = {"id": ID, "permit": PERMIT, "block": BLOCK, **HASHES}
OTHER_NEW = NEW | {"id": OTHER_ID}

WHOLE: dict[str, Json] = {
    "StoredMeta": {"meta": META},
    "PutMeta": {"previous": DIGEST, "meta": META},
    "BlockParameters": {"frame_s": 31_557_600, "bucket": 56},
    "Reserve": {"count": 10},
    "Reserved": {"ids": [{"id": ID, "permit": PERMIT}]},
    "PutBlocks": {"blocks": [NEW]},
    "Receipts": {"receipts": [DIGEST]},
    "GetBlocks": {"blocks": [ONE]},
    "FoundBlocks": {"blocks": [BLOCK]},
    "RenewBlocks": {"blocks": [ONE]},
    "RenewedBlocks": {"renewed": [1]},
    "RetireBlocks": {"blocks": [ONE]},
    "CheckBlocks": {"nonce": PERMIT, "blocks": [ONE]},
    "CheckedBlocks": {"digests": [DIGEST]},
}
HIGHEST = {"frame_s": 2**32 - 1, "bucket": 2**32 - 1, "count": 100}
# The list of each message, one item of it, and the largest number of items.
LISTS: dict[str, tuple[str, Any, int]] = {
    "Reserved": ("ids", {"id": ID, "permit": PERMIT}, 100),
    "Receipts": ("receipts", DIGEST, 32),
    "GetBlocks": ("blocks", ONE, 32),
    "FoundBlocks": ("blocks", b"", 32),
    "RenewBlocks": ("blocks", ONE, 128),
    "RenewedBlocks": ("renewed", 0, 128),
    "RetireBlocks": ("blocks", ONE, 128),
    "CheckBlocks": ("blocks", ONE, 32),
    "CheckedBlocks": ("digests", b"", 32),
}
# The form of each item in a list that is not a map.
_ITEMS: dict[str, tuple[Any, ...]] = {
    "Receipts": (b"", DIGEST[:-1], DIGEST + b"\0", DIGEST.hex(), 1),
    "FoundBlocks": (b"\1", BLOCK[:-1], BLOCK + b"\0", "", 1, []),
    "RenewedBlocks": (2, -1, b"", ""),
    "CheckedBlocks": (DIGEST[:-1], DIGEST + b"\0", DIGEST.hex(), 1),
}


def forms() -> list[tuple[str, str, Json]]:
    """Valid bodies at their limits."""
    found: list[tuple[str, str, Json]] = [
        ("StoredMeta", "empty", {}),
        ("PutMeta", "first", {"previous": b"", "meta": META}),
        ("BlockParameters", "largest", {"frame_s": 2**32 - 1, "bucket": 2**32 - 1}),
        ("BlockParameters", "smallest", {"frame_s": 1, "bucket": 0}),
        ("Reserve", "one", {"count": 1}),
        ("Reserve", "100", {"count": 100}),
        ("PutBlocks", "two", {"blocks": [NEW, OTHER_NEW]}),
        ("FoundBlocks", "some", {"blocks": [BLOCK, b"", BLOCK]}),
        ("RenewedBlocks", "some", {"renewed": [0, 1, 0]}),
        ("CheckedBlocks", "some", {"digests": [DIGEST, b""]}),
        ("GetBlocks", "same-twice", {"blocks": [ONE, ONE]}),
    ]
    for message, (name, item, most) in LISTS.items():
        found.append((message, f"{most}-items", WHOLE[message] | {name: [item] * most}))
    return found


def faults() -> list[tuple[str, str, Any, str]]:
    """Bodies with one fault, and the error."""
    found: list[tuple[str, str, Any, str]] = [
        ("PutBlocks", "id-twice", {"blocks": [NEW, NEW | {"permit": TOKEN[:16]}]}, "malformed"),
        ("PutBlocks", "empty-list", {"blocks": []}, "malformed"),
        ("PutBlocks", "too-long", bytes(1_048_577), "too_large"),
        ("FoundBlocks", "too-long", bytes(1_048_577), "too_large"),
        ("GetBlocks", "too-long", bytes(163_841), "too_large"),
    ]
    for message, (name, item, most) in LISTS.items():
        whole = WHOLE[message]
        found.append((message, "empty-list", whole | {name: []}, "malformed"))
        if most < 128:
            # A longer list is not msgpack of the vault (PROTOCOL §1.4.3).
            found.append((message, "too-many", whole | {name: [item] * (most + 1)}, "too_large"))
        else:
            found.append((message, "too-many", whole | {name: [item] * (most + 1)}, "malformed"))
    for message, items in _ITEMS.items():
        name = LISTS[message][0]
        for number, item in enumerate(items):
            good = WHOLE[message][name]
            body = WHOLE[message] | {name: [*good, item]}
            found.append((message, f"item-{number}", body, "malformed"))
    return found
