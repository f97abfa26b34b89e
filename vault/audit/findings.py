"""What a dump shows about blocks: each test that was made, and each link that was found."""

import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from .dumps import Dump, Value
from .statistics import (
    CERTAIN,
    ascending_runs,
    even_bytes_z,
    least_gap,
    uneven_place,
)

BLOCK_TABLES = ("vault_blocks", "vault_archive")
_HASHES = ("write_hash", "read_hash", "renew_hash")
_KNOWN = ("id", "bucket", *_HASHES, "block")
# The bits of a UUID of version 4 that are random: the version and the variant are fixed.
_ID_MASKS = {6: 0x0F, 8: 0x3F}
_RANDOM_BITS = 122
# Longer: the salt that every block begins with, after its format byte.
_BEGINNING = 33
# A bucket of a year has two digits. More different ones than this are a finer time.
_MOST_BUCKETS = 32


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about the dump, and whether it links blocks."""

    text: str
    links: bool = False


@dataclass(slots=True)
class Blocks:
    """The values of the blocks of one table, in physical order, without their content."""

    table: str
    ids: list[bytes] = field(default_factory=list)
    buckets: list[int] = field(default_factory=list)
    hashes: dict[str, list[bytes]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)
    digests: list[bytes] = field(default_factory=list)
    beginnings: list[bytes] = field(default_factory=list)
    # By how many bytes a compression makes each block shorter. Random bytes become longer.
    saved: list[int] = field(default_factory=list)
    byte_counts: Counter[int] = field(default_factory=Counter)
    others: dict[str, list[Value]] = field(default_factory=dict)


def blocks_of(dump: Dump, table: str) -> Blocks:
    """Read a table once. The content of a block is dropped as soon as it was measured."""
    columns, found = dump.tables[table], Blocks(table)
    found.hashes = {name: [] for name in _HASHES if name in columns}
    found.others = {name: [] for name in columns if name not in _KNOWN}
    for row in dump.rows(table):
        values = dict(zip(columns, row, strict=True))
        found.ids.append(_bytes(values.get("id")))
        bucket = values.get("bucket")
        found.buckets.append(bucket if isinstance(bucket, int) else 0)
        for name, hashes in found.hashes.items():
            hashes.append(_bytes(values[name]))
        for name, others in found.others.items():
            others.append(values[name])
        block = _bytes(values.get("block"))
        found.lengths[len(block)] += 1
        found.digests.append(sha256(block).digest()[:16])
        found.beginnings.append(block[:_BEGINNING])
        found.saved.append(len(block) - len(zlib.compress(block, 1)))
        # The first byte is the format.
        found.byte_counts.update(block[1:])
    return found


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def findings_of(dump: Dump) -> Iterator[Finding]:
    """Every test of the dump, one sentence each."""
    values: set[Value] = set()
    for table in dump.tables:
        if table not in BLOCK_TABLES and table != "vault_pool":
            values.update(one for row in dump.rows(table) for one in row if _is_name(one))
    for table in BLOCK_TABLES:
        if table not in dump.tables:
            yield Finding(f"There is no table {table}.")
            continue
        found = blocks_of(dump, table)
        yield Finding(f"{table} has {len(found.ids):,} blocks.")
        if found.ids:
            yield from _columns(found, values)
            yield from _order(dump, found)
            yield from _ids(found)
            yield from _hashes_of(found, values)
            yield from _contents(found)
            yield from _buckets(found)
    yield from _pool(dump)
    for name in ("-wal", "-journal"):
        beside = dump.path.with_name(dump.path.name + name)
        if beside.exists() and beside.stat().st_size:
            yield Finding(
                f"{beside.name} lies beside the dump. It has recent changes in their order: stop "
                "the server and run certless vault sweep --rewrite before a copy.",
                links=True,
            )


def _is_name(value: Value) -> bool:
    return isinstance(value, bytes | str) and len(value) >= 8


def _columns(found: Blocks, values: set[Value]) -> Iterator[Finding]:
    for name, column in found.others.items():
        kinds = len(set(column))
        if kinds == 1:
            yield Finding(f"The column {name} of {found.table} is unknown, with one value only.")
            continue
        shared = sum(one in values for one in column if _is_name(one))
        what = "has other values for other blocks"
        if shared:
            what = f"has values of other tables, for {shared:,} blocks: it can name their users"
        elif kinds < len(column):
            what = f"has {kinds:,} values: it puts blocks into groups"
        elif all(isinstance(one, int | float) for one in column):
            what = "has a number for each block: it can be a time or an order"
        yield Finding(f"The column {name} of {found.table} is unknown and {what}.", links=True)
    if not found.others:
        yield Finding(f"{found.table} has no column besides {', '.join(_KNOWN)}.")


def _order(dump: Dump, found: Blocks) -> Iterator[Finding]:
    runs = ascending_runs(found.ids)
    if runs > 1:
        yield Finding(
            f"The rows of {found.table} are not in the order of their ids, but in {runs:,} runs: "
            "rows of a run were written together. Run certless vault sweep --rewrite.",
            links=True,
        )
    else:
        yield Finding(f"The rows of {found.table} are in the order of their ids.")
    pages = dump.pages(found.table)
    if pages:
        runs = ascending_runs(pages)
        if runs > 1 + len(pages) // 100:
            yield Finding(
                f"The pages of {found.table} are not in the order of the ids, but in {runs:,} runs "
                "of the order of writing. Run certless vault sweep --rewrite.",
                links=True,
            )
        else:
            yield Finding(f"The pages of {found.table} are in the order of the ids.")


def _ids(found: Blocks) -> Iterator[Finding]:
    ids = found.ids
    if len(set(ids)) < len(ids):
        yield Finding("Two blocks have the same id.", links=True)
    is_v4 = all(len(one) == 16 and one[6] >> 4 == 4 and one[8] >> 6 == 2 for one in ids)
    if not is_v4:
        yield Finding(
            "The ids are no UUIDs of version 4: they can count or have a time.", links=True
        )
        return
    uneven = uneven_place(ids, _ID_MASKS)
    if uneven:
        place, deviation = uneven
        yield Finding(
            f"Byte {place} of the ids is not random ({deviation:.0f} standard deviations): it can "
            "count or have a time.",
            links=True,
        )
    gap = least_gap(ids, _RANDOM_BITS)
    # Random ids have a smaller one with a probability of about 1 in a million.
    if gap < 1e-6:
        yield Finding(
            f"Two ids are {gap:.1e} of the expected smallest difference apart: ids were counted.",
            links=True,
        )
    if not uneven and gap >= 1e-6:
        yield Finding("The ids look random: their bytes are even, and none are near each other.")


def _hashes_of(found: Blocks, values: set[Value]) -> Iterator[Finding]:
    links = False
    seen: set[bytes] = set()
    for name, hashes in found.hashes.items():
        if len(set(hashes)) < len(hashes):
            groups = len(hashes) - len(set(hashes))
            yield Finding(f"{groups:,} values of {name} come more than once.", links=True)
            links = True
        if not seen.isdisjoint(hashes):
            yield Finding(f"Values of {name} are those of another hash.", links=True)
            links = True
        seen.update(hashes)
        if not values.isdisjoint(hashes):
            yield Finding(f"Values of {name} are in other tables as well.", links=True)
            links = True
        uneven = uneven_place(hashes, {})
        if uneven:
            yield Finding(
                f"Byte {uneven[0]} of {name} is not random ({uneven[1]:.0f} standard deviations).",
                links=True,
            )
            links = True
    if not values.isdisjoint(found.ids):
        yield Finding("Ids of blocks are in other tables as well.", links=True)
        links = True
    if not links:
        yield Finding("All hashes are different and look random, and no other table has them.")


def _contents(found: Blocks) -> Iterator[Finding]:
    if len(found.lengths) > 1:
        yield Finding(
            f"The blocks have {len(found.lengths):,} lengths: the length shows which belong "
            "together.",
            links=True,
        )
    else:
        yield Finding(f"All blocks have {next(iter(found.lengths)):,} bytes.")
    equal = len(found.digests) - len(set(found.digests))
    if equal:
        yield Finding(f"{equal:,} blocks are copies of others.", links=True)
    deviation = even_bytes_z(found.byte_counts)
    compressed = sum(saved > 0 for saved in found.saved)
    if compressed or deviation > CERTAIN:
        yield Finding(
            f"The content of blocks is not random: {compressed:,} blocks can be compressed, and "
            f"all bytes are {deviation:.0f} standard deviations from even.",
            links=True,
        )
    else:
        yield Finding(
            "The content looks random: no block can be compressed, and all bytes are even."
        )
    salts = [one[1:] for one in found.beginnings]
    uneven = uneven_place(salts, {})
    first = [one[:9] for one in salts if len(one) >= 9]
    if uneven or len(set(first)) < len(first):
        yield Finding("Blocks share the beginning of their salts.", links=True)
    else:
        yield Finding("No two blocks share the beginning of their salts.")


def _buckets(found: Blocks) -> Iterator[Finding]:
    kinds = Counter(found.buckets)
    if len(kinds) > _MOST_BUCKETS:
        yield Finding(
            f"There are {len(kinds):,} different buckets: that is a time that is too fine.",
            links=True,
        )
        return
    listed = ", ".join(f"{count:,} in {bucket}" for bucket, count in sorted(kinds.items()))
    yield Finding(f"Blocks by bucket: {listed}. Within a bucket, it says nothing more.")


def _pool(dump: Dump) -> Iterator[Finding]:
    if "vault_pool" not in dump.tables:
        return
    count = sum(1 for _ in dump.rows("vault_pool"))
    if count:
        yield Finding(
            f"{count:,} changes wait in the pool: these blocks changed at about the same time. Run "
            "certless vault sweep --rewrite before a dump.",
            links=True,
        )
    else:
        yield Finding("No change waits in the pool.")
