"""A second implementation of blocks, streams and the index (VAULT §18 to §21), for vectors."""

from collections.abc import Iterable
from typing import Any

from hardened_reference import gcm, lp, msgpack
from vault_reference import User, hkdf, seal, sha256, sign, v
from vector_files import Json

BLOCK_BYTES, META_BYTES = 16_384, 12_288
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aiou"


def payload(data: bytes) -> bytes:
    return (len(data).to_bytes(4) + data).ljust(BLOCK_BYTES - 1 - 32 - 16, b"\0")


def block(user: User, block_id: bytes, salt: bytes, plaintext: bytes) -> bytes:
    name = v("block") + lp(block_id)
    both = hkdf(user.key("block"), salt, name, 44)
    return b"\1" + salt + gcm(both[:32], both[32:], plaintext, name)


def extent(block_id: bytes, digest: bytes, epoch: int, size: int) -> bytes:
    return block_id + digest + epoch.to_bytes(2) + size.to_bytes(8)


def stream_of(depth: int, extents: Iterable[bytes]) -> bytes:
    listed = list(extents)
    return depth.to_bytes(1) + len(listed).to_bytes(2) + b"".join(listed)


def statement(user: User, body: bytes) -> bytes:
    return v("meta") + lp(user.account, body)


def signed(user: User, body: bytes) -> bytes:
    return sign(user.key("head"), statement(user, body)) + body


def plaintext_of_meta(sequence: int, content: bytes) -> bytes:
    head = sequence.to_bytes(8) + len(content).to_bytes(4)
    return (head + content).ljust(META_BYTES, b"\0")


def sealed_meta(user: User, iv: bytes, plaintext: bytes) -> bytes:
    return seal(user.key("index"), iv, plaintext, v("meta") + lp(user.account))


def root(user: User, body: bytes) -> bytes:
    return sha256(statement(user, body))


def words(of: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in sha256(v("words") + lp(of))[:8])
    found = []
    for at in range(0, 64, 16):
        letters = ""
        for start, length in ((0, 4), (4, 2), (6, 4), (10, 2), (12, 4)):
            number = int(bits[at + start : at + start + length], 2)
            letters += (CONSONANTS if length == 4 else VOWELS)[number]
        found.append(letters)
    return " ".join(found)


def entry(members: Json) -> bytes:
    return msgpack(members)


def merge(base: list[Json], ours: list[Json], theirs: list[Json]) -> list[Json]:
    """The table of VAULT §21.2, row by row, for entries as members."""
    sides: list[dict[bytes, Json]] = [
        {one["id"]: one for one in side} for side in (base, ours, theirs)
    ]
    result = []
    for name in sorted(set().union(*sides)):
        before, here, there = (side.get(name) for side in sides)
        kept: Any
        if here == before:
            kept = there
        elif there == before:
            kept = here
        elif here is None:
            kept = there
        elif there is None:
            kept = here
        else:
            kept = _both(before, here, there)
        if kept is not None:
            result.append(kept)
    return result


def _both(before: Json | None, here: Json, there: Json) -> Json:
    def ids(side: Json | None) -> set[bytes]:
        return set() if side is None else {one["id"] for one in side["versions"]}

    gone = {one for one in ids(before) if not (one in ids(here) and one in ids(there))}
    known = {} if before is None else {one["id"]: one for one in before["versions"]}
    every = {one["id"]: one for one in [*here["versions"], *there["versions"]]}
    every |= {one["id"]: one for one in here["versions"] if one != known.get(one["id"])}
    left = [one for name, one in every.items() if name not in gone] or list(every.values())
    left.sort(key=lambda one: (one["day"], one["id"]), reverse=True)
    versions = sorted(left[:16], key=lambda one: one["id"])
    only_ours = before is not None and there["name"] == before["name"]
    return {**there, "name": here["name"] if only_ours else there["name"], "versions": versions}
