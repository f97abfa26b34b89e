"""Streams: what a plan makes of them equals the same change of bytes, and keeps other blocks."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vault_streams import Plain

from examples import examples
from vault.core.blocks import MAX_DATA_BYTES
from vault.core.errors import Forged, Malformed, TooLarge
from vault.core.streams import (
    EXTENT_BYTES,
    MAX_DEPTH,
    SHAPE,
    Change,
    Extent,
    Shape,
    Stream,
    StreamWriter,
    check_leaf,
    cut,
    leaves,
    named,
    replaced,
    resealed,
    splice,
    unused,
)

# A tree of 3 levels has about 100 bytes.
SMALL = Shape(data=4, node=4, fill=3, top=3)
data_of = st.binary(max_size=60)


def written(plain: Plain, data: bytes, shape: Shape = SMALL) -> Stream:
    pieces = [data[at : at + shape.data] for at in range(0, len(data), shape.data)]
    return plain.write(pieces, StreamWriter(plain.seal, shape))


def check(plain: Plain, stream: Stream, data: bytes, shape: Shape = SMALL) -> None:
    """``stream`` has ``data``, its extents are consistent, and no part is above its limit."""
    assert plain.read(stream) == data
    assert stream.size == len(data)
    assert Stream.parse(stream.serialize()) == stream
    assert len(stream.extents) <= shape.top
    assert stream.depth <= MAX_DEPTH
    ids = plain.ids(stream)
    assert len(set(ids)) == len(ids)
    level = stream.extents
    for _ in range(stream.depth):
        inner: list[Extent] = []
        for extent in level:
            node = plain.blocks[extent.id]
            assert len(node) <= shape.node * EXTENT_BYTES
            below = [
                Extent.parse(node[at : at + EXTENT_BYTES])
                for at in range(0, len(node), EXTENT_BYTES)
            ]
            assert sum(one.size for one in below) == extent.size
            inner += below
        level = tuple(inner)
    assert all(0 < len(plain.blocks[extent.id]) <= shape.data for extent in level)


@examples(200)
@given(data=data_of, start=st.integers(0, 60), length=st.integers(0, 60))
def test_a_written_stream_is_read_as_it_was(data: bytes, start: int, length: int) -> None:
    plain = Plain()
    stream = written(plain, data)
    check(plain, stream, data)
    start = min(start, len(data))
    end = min(start + length, len(data))
    assert plain.read(stream, start, end) == data[start:end]


@examples(300)
@given(
    data=data_of,
    edits=st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 20), st.binary(max_size=30)), max_size=8
    ),
)
def test_a_splice_is_the_splice_of_the_bytes(
    data: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    plain = Plain()
    stream = written(plain, data)
    for place, length, inserted in edits:
        start = min(place, len(data))
        end = min(start + length, len(data))
        before = set(plain.ids(stream))
        plain.sealed.clear()
        try:
            stream = plain.run(splice(stream, start, end, inserted, plain.seal, SMALL))
        except TooLarge:
            return
        data = data[:start] + inserted + data[end:]
        check(plain, stream, data)
        # Every new block is used, and no block that was there is written again.
        assert len(set(plain.ids(stream)) - before) == len(plain.sealed)


@examples(100)
@given(data=data_of.filter(bool), at=st.integers(0, 60), inserted=st.binary(min_size=1, max_size=1))
def test_a_splice_keeps_all_other_blocks(data: bytes, at: int, inserted: bytes) -> None:
    plain = Plain()
    stream = written(plain, data)
    at = min(at, len(data))
    old = plain.ids(stream)
    new = plain.ids(plain.run(splice(stream, at, at, inserted, plain.seal, SMALL)))
    # The path to one block: the block and its nodes.
    assert len(set(old) - set(new)) <= stream.depth + 1
    # At most two parts of each: the block and the nodes above it can be full.
    assert len(set(new) - set(old)) <= 2 * (stream.depth + 1) + 1


@pytest.mark.parametrize("size", [10_000_000, 9_999_872, 24 * MAX_DATA_BYTES, 100_000_000])
def test_a_byte_in_the_middle_sends_at_most_two_blocks_and_a_node(size: int) -> None:
    plain = Plain()
    whole, rest = divmod(size, MAX_DATA_BYTES)
    writer = StreamWriter(plain.seal)
    # The data of all blocks is one object, so this test needs no memory.
    block = bytes(MAX_DATA_BYTES)
    stream = plain.write([block] * whole + ([bytes(rest)] if rest else []), writer)
    assert stream.size == size
    assert stream.depth <= 1
    drawn = random.Random(size)  # noqa: S311  # places of a test
    places = [0, 1, size // 2, size - 1, size, MAX_DATA_BYTES, 256 * MAX_DATA_BYTES - 1]
    for at in [*places, *(drawn.randrange(size) for _ in range(40))]:
        if at <= size:
            plain.sealed.clear()
            plain.loaded = 0
            plain.run(splice(stream, at, at, b"x", plain.seal))
            # A 25th extent needs a node.
            assert len(plain.sealed) <= 3
            assert plain.loaded <= 1 + 2 * 2 * stream.depth


def test_a_stream_that_grows_byte_by_byte_has_full_blocks() -> None:
    for at_start in (False, True):
        plain = Plain()
        stream = Stream()
        for number in range(40):
            at = 0 if at_start else stream.size
            stream = plain.run(splice(stream, at, at, bytes([number]), plain.seal, SMALL))
        blocks = plain.run(leaves(stream, 0, stream.size))
        assert len(blocks) <= 12
        numbers = bytes(range(40))
        check(plain, stream, numbers[::-1] if at_start else numbers)


def test_nothing_for_nothing_changes_nothing() -> None:
    plain = Plain()
    stream = written(plain, bytes(20))
    plain.sealed.clear()
    assert plain.run(splice(stream, 7, 7, b"", plain.seal, SMALL)) is stream
    assert not plain.sealed


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (0, 21), (21, 21), (5, 4)])
def test_a_range_outside_of_the_stream_is_refused(start: int, end: int) -> None:
    plain = Plain()
    stream = written(plain, bytes(20))
    with pytest.raises(Malformed):
        plain.run(splice(stream, start, end, b"x", plain.seal, SMALL))


def test_a_stream_has_a_longest_length() -> None:
    plain = Plain()
    one = Shape(data=1, node=2, fill=2, top=2)
    full = 2 * 2**MAX_DEPTH
    stream = written(plain, bytes(full), one)
    assert stream.depth == MAX_DEPTH
    with pytest.raises(TooLarge):
        written(plain, bytes(full + 2), one)
    with pytest.raises(TooLarge):
        plain.run(splice(stream, 1, 1, bytes(30), plain.seal, one))


@examples(200)
@given(data=data_of, picked=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=20))
def test_several_changes_in_one_plan(data: bytes, picked: list[tuple[bool, int]]) -> None:
    """Each block of data is kept or replaced by some pieces."""
    plain = Plain()
    stream = written(plain, data)
    parts = plain.run(leaves(stream, 0, len(data)))
    expected = []
    changes = []
    for part, (is_changed, count) in zip(
        parts, [*picked, *[(False, 0)] * len(parts)], strict=False
    ):
        if is_changed:
            pieces = [bytes([65 + at]) * 3 for at in range(count)]
            changes.append(Change(part.at, part.end, pieces))
            expected += pieces
        else:
            expected.append(plain.blocks[part.extent.id])
    before = set(plain.ids(stream))
    plain.sealed.clear()
    try:
        stream = plain.run(replaced(stream, changes, plain.seal, SMALL))
    except TooLarge:
        return
    check(plain, stream, b"".join(expected))
    assert len(set(plain.ids(stream)) - before) == len(plain.sealed)


@examples(100)
@given(data=data_of, low=st.integers(0, 60), high=st.integers(0, 60), window=st.integers(1, 30))
def test_blocks_are_written_again_in_windows(data: bytes, low: int, high: int, window: int) -> None:
    plain = Plain()
    stream = written(plain, data)
    plain.epoch = 2

    def is_old(extent: Extent) -> bool:
        return extent.epoch == 1

    partly = plain.run(resealed(stream, low, high, is_old, plain.seal))
    check(plain, partly, data)
    for part in plain.run(leaves(partly, 0, len(data))):
        is_within = part.at < high and part.end > low
        assert is_old(part.extent) != is_within
    for at in range(0, len(data), window):
        partly = plain.run(resealed(partly, at, at + window, is_old, plain.seal))
    check(plain, partly, data)
    assert not any(is_old(extent) for extent in plain.run(named(partly, 0, len(data))))
    plain.sealed.clear()
    assert plain.run(resealed(partly, 0, len(data), is_old, plain.seal)) == partly
    assert not plain.sealed


@examples(200)
@given(
    data=data_of,
    splices=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.binary(max_size=20)), max_size=4
    ),
)
def test_blocks_that_no_version_needs(data: bytes, splices: list[tuple[int, int, bytes]]) -> None:
    plain = Plain()
    versions = [written(plain, data)]
    for place, length, inserted in splices:
        # Each version is made from the first or from the last one.
        of = versions[-1] if place % 2 else versions[0]
        start = min(place, of.size)
        end = min(start + length, of.size)
        try:
            versions.append(plain.run(splice(of, start, end, inserted, plain.seal, SMALL)))
        except TooLarge:
            return
    old, new = versions[0], versions[1:]
    needed = {one for stream in new for one in plain.ids(stream)}
    found = [extent.id for extent in plain.run(unused(old, new))]
    assert sorted(found) == sorted(one for one in plain.ids(old) if one not in needed)


def test_a_small_change_of_a_long_stream_loads_its_path_only() -> None:
    plain = Plain()
    stream = written(plain, bytes(160))
    changed = plain.run(splice(stream, 81, 82, b"x", plain.seal, SMALL))
    plain.loaded = 0
    assert len(plain.run(unused(stream, [changed]))) == 1 + stream.depth
    assert plain.loaded == 2 * stream.depth


@examples(100)
@given(data=data_of, window=st.integers(1, 30))
def test_windows_name_each_block_once(data: bytes, window: int) -> None:
    plain = Plain()
    stream = written(plain, data)
    found: list[bytes] = []
    for at in range(0, len(data), window):
        found += [one.id for one in plain.run(named(stream, at, at + window))]
    assert sorted(found) == sorted(plain.ids(stream)) == sorted(plain.blocks)


@examples(100)
@given(low=st.integers(0, 20), high=st.integers(0, 20), count=st.integers(0, 3))
def test_one_change_of_many_blocks(low: int, high: int, count: int) -> None:
    """Nodes that a change covers are not loaded."""
    plain = Plain()
    data = bytes(range(80))
    stream = written(plain, data)
    assert stream.depth == 3
    low, high = 4 * min(low, high), 4 * max(low, high)
    pieces = [b"new"] * count
    plain.loaded = 0
    changed = plain.run(replaced(stream, [Change(low, high, pieces)], plain.seal, SMALL))
    assert plain.loaded <= 2 * 3
    check(plain, changed, data[:low] + b"new" * count + data[high:])


@examples(100)
@given(data=st.binary(max_size=50), most=st.integers(1, 9))
def test_data_is_cut_into_nearly_the_same_lengths(data: bytes, most: int) -> None:
    pieces = cut(data, most)
    assert b"".join(pieces) == data
    assert len(pieces) == -(-len(data) // most)
    lengths = [len(piece) for piece in pieces] or [0]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= most


@examples(200)
@given(data=st.binary(max_size=200) | st.binary(max_size=58 * 3).map(lambda end: b"\1\0\3" + end))
def test_a_reader_of_streams_refuses_bytes(data: bytes) -> None:
    try:
        stream = Stream.parse(data)
    except Malformed:
        return
    assert stream.serialize() == data


def test_a_stream_that_is_longer_than_its_number_is_refused() -> None:
    extent = Extent(bytes(16), bytes(32), 1, 2**63)
    assert Stream.parse(Stream(0, (extent,)).serialize()).size == 2**63
    with pytest.raises(Malformed):
        Stream.parse(Stream(0, (extent, extent)).serialize())


@pytest.mark.parametrize("fault", ["leaf_short", "leaf_long", "node_size", "node_cut", "node_swap"])
def test_a_block_that_is_not_what_its_extent_names_is_an_alarm(fault: str) -> None:
    plain = Plain()
    stream = written(plain, bytes(range(40)))
    node = stream.extents[0]
    leaf = plain.run(leaves(stream, 0, 1))[0].extent
    below = plain.blocks[node.id]
    planted: dict[str, tuple[Extent, bytes]] = {
        "leaf_short": (leaf, b"123"),
        "leaf_long": (leaf, b"12345"),
        "node_size": (node, below + below[:EXTENT_BYTES]),
        "node_cut": (node, below[:-1]),
        "node_swap": (node, below[EXTENT_BYTES:]),
    }
    extent, data = planted[fault]
    plain.blocks[extent.id] = data
    plans: list[Any] = [
        splice(stream, 1, 2, b"x", plain.seal, SMALL),
        resealed(stream, 0, 40, lambda _: True, plain.seal),
    ]
    if extent is node:
        plans += [leaves(stream, 0, 40), named(stream, 0, 40)]
    for plan in plans:
        with pytest.raises(Forged):
            plain.run(plan)
    if extent is leaf:
        with pytest.raises(Forged):
            check_leaf(leaf, data)


def test_the_limits_of_a_node_are_those_of_a_block() -> None:
    assert SHAPE.node * EXTENT_BYTES <= MAX_DATA_BYTES < (SHAPE.node + 1) * EXTENT_BYTES
    assert SHAPE.node == 281
