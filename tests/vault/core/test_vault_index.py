"""The index: directories that change by blocks, metas at their limits, merges, and words."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_vectors import flip
from vault_streams import Plain

from examples import examples
from vault.core.account import AccountKey, Owner
from vault.core.blocks import MAX_DATA_BYTES, open_block, seal_block
from vault.core.bodies import Body, serialized
from vault.core.directory import changes, read_directory
from vault.core.errors import Forged, Malformed, TooLarge, VaultError
from vault.core.index import (
    MAX_WRITERS,
    META_BYTES,
    EarlierKey,
    Entry,
    EntryKind,
    Meta,
    Remembered,
    RetiredBlock,
    Version,
    Writer,
    next_epoch,
    retired_blocks,
    words,
    written,
)
from vault.core.merging import merged, merged_retired
from vault.core.messages import Rekey
from vault.core.streams import Extent, Stream, leaves, replaced
from vault.core.tokens import BLOCK_BYTES

KEY = AccountKey(Owner("ada", "gateway.example").account, bytes(range(32)))
IV = b"i" * 12
ID, SALT = b"b" * 16, b"s" * 32


def entry(
    number: int, size: int = 0, versions: int = 1, name: str = "", kind: EntryKind = "file"
) -> Entry:
    """An entry of about ``size`` bytes or more."""
    extents = tuple(Extent(bytes(16), bytes(32), 1, 1) for _ in range(min(24, size // 60)))
    listed = [
        Version(at.to_bytes(16), bytes(8), 20_000, Stream(0, extents)) for at in range(versions)
    ]
    return Entry(number.to_bytes(16), kind, name, tuple(listed))


def meta(number: int = 1, root: Stream | None = None) -> Meta:
    return Meta(number, 1, 50, (Writer(b"w" * 8, number),), (), root or Stream(), ())


# --- blocks --------------------------------------------------------------------------------------


@examples(50)
@given(data=st.binary(min_size=1, max_size=200), fill=st.integers(0, 1))
def test_a_block_is_opened_as_it_was(data: bytes, fill: int) -> None:
    whole = data.ljust(MAX_DATA_BYTES, b"x") if fill else data
    block = seal_block(KEY, ID, SALT, whole)
    assert len(block) == BLOCK_BYTES
    assert open_block(KEY, ID, block) == whole


@examples(200)
@given(bit=st.integers(0, 8 * BLOCK_BYTES - 1))
def test_any_bit_of_a_block_counts(bit: int) -> None:
    with pytest.raises(Forged):
        open_block(KEY, ID, flip(seal_block(KEY, ID, SALT, b"data"), bit))


# --- the directory -------------------------------------------------------------------------------


class Directory:
    """A directory in memory, which is changed as a client changes it."""

    def __init__(self) -> None:
        self.plain = Plain()
        self.stream = Stream()
        self.entries: tuple[Entry, ...] = ()

    def set(self, entries: list[Entry]) -> None:
        self.plain.sealed.clear()
        run = self.plain.run
        parts = run(leaves(self.stream, 0, self.stream.size))
        found = changes(parts, self.entries, entries)
        self.stream = run(replaced(self.stream, found, self.plain.seal)) if found else self.stream
        self.entries = read_directory(self.plain.read(self.stream))
        assert self.entries == tuple(entries)


kinds = st.sampled_from([(0, 1), (600, 1), (1400, 3), (1400, 12)])


@examples(60)
@given(
    steps=st.lists(
        st.dictionaries(st.integers(0, 30), st.none() | kinds, max_size=12), min_size=1, max_size=5
    )
)
def test_a_directory_has_the_entries_that_were_set(
    steps: list[dict[int, tuple[int, int] | None]],
) -> None:
    directory = Directory()
    present: dict[int, Entry] = {}
    for step in steps:
        for number, shape in step.items():
            present.pop(number, None)
            if shape is not None:
                present[number] = entry(number, *shape, name="x" * (number % 9))
        directory.set([present[number] for number in sorted(present)])
        assert all(len(data) <= MAX_DATA_BYTES for data in directory.plain.sealed)
    directory.set(list(directory.entries))
    assert directory.plain.sealed == []


def test_a_change_of_one_entry_writes_one_block() -> None:
    directory = Directory()
    entries = [entry(number, 1400) for number in range(100)]
    directory.set(entries)
    assert len(directory.stream.extents) > 8
    for number in range(100):
        entries[number] = entry(number, 1400, kind="note")
        directory.set(entries)
        assert len(directory.plain.sealed) == 1


def test_an_entry_that_is_longer_than_a_block_is_in_several_blocks() -> None:
    directory = Directory()
    long = entry(2, 1500, versions=16)
    assert len(long.serialize()) > MAX_DATA_BYTES
    directory.set([entry(1), long, entry(3)])
    directory.set([entry(1), entry(2, 1500, versions=15), entry(3)])
    directory.set([long])
    # Another writer can cut the bytes anywhere.
    data = directory.plain.read(directory.stream)
    directory.stream = directory.plain.write([data[:5], data[5:900], data[900:]])
    directory.set([entry(1), long])
    directory.set([])
    assert directory.stream == Stream()


def test_an_entry_that_no_reader_takes_is_not_written() -> None:
    for bad in (
        entry(1, name="\xe9" * 128),
        entry(1, name="\ud83d"),
        entry(1, versions=0),
    ):
        with pytest.raises(Malformed):
            bad.serialize()


@examples(100)
@given(data=st.binary(max_size=80))
def test_a_reader_of_directories_refuses_bytes(data: bytes) -> None:
    for whole in (data, len(data).to_bytes(4) + data):
        try:
            assert read_directory(whole) == ()
            assert whole == b""
        except Forged:
            continue


# --- the meta ------------------------------------------------------------------------------------


def test_the_largest_meta_fits() -> None:
    extents = tuple(Extent(bytes(16), bytes(32), 2**16 - 1, 2**40) for _ in range(24))
    largest = Meta(
        2**53 - 1,
        2**16 - 1,
        2**32 - 1,
        tuple(Writer(at.to_bytes(8), 2**32 - 1) for at in range(64)),
        tuple(EarlierKey(2**15 + at, bytes(32)) for at in range(16)),
        Stream(3, extents),
        tuple(RetiredBlock(at.to_bytes(16), 2**16 - 1, 2**32 - 1) for at in range(256)),
    )
    sealed = largest.seal(KEY, IV)
    assert len(sealed) == META_BYTES
    assert Meta.open(KEY, sealed) == largest


@examples(100)
@given(bit=st.integers(0, 8 * META_BYTES - 1))
def test_any_bit_of_a_meta_counts(bit: int) -> None:
    with pytest.raises(Forged):
        Meta.open(KEY, flip(meta().seal(KEY, IV), bit))


@examples(200)
@given(data=st.binary(max_size=100))
def test_a_reader_of_metas_refuses_bytes(data: bytes) -> None:
    with pytest.raises(Forged):
        Meta.open(KEY, data)
    with pytest.raises(VaultError):
        Meta.parse(data)


def test_the_keys_of_epochs() -> None:
    old = AccountKey(KEY.account, b"o" * 32)
    after = next_epoch(meta(), old, Writer(b"w" * 8, 2))
    assert (after.sequence, after.epoch, after.writers) == (2, 2, (Writer(b"w" * 8, 2),))
    assert after.key_of(2, KEY) is KEY
    assert after.key_of(1, KEY) == old
    for epoch in (0, 3):
        with pytest.raises(Forged):
            after.key_of(epoch, KEY)
    for number in range(3, 18):
        after = next_epoch(after, old, Writer(b"w" * 8, number))
    assert Meta.open(KEY, after.seal(KEY, IV)) == after
    with pytest.raises(TooLarge):
        next_epoch(after, old, Writer(b"w" * 8, 18))


@pytest.mark.parametrize("member", ["previous_meta", "meta"])
def test_a_rekey_has_the_meta_and_the_digest_of_the_old_one(member: str) -> None:
    rekey = Rekey(KEY.head.public, bytes(64), b"", None, (), bytes(32), bytes(META_BYTES))
    assert Rekey.take(Body.parse(serialized(**rekey.members()))) == rekey
    incomplete = {name: value for name, value in rekey.members().items() if name != member}
    with pytest.raises(Malformed):
        Rekey.take(Body.parse(serialized(**incomplete)))


def test_retired_records_are_read_as_they_were() -> None:
    records = (RetiredBlock(b"a" * 16, 1, 20_000), RetiredBlock(b"b" * 16, 2**16 - 1, 2**32 - 1))
    data = b"".join(record.serialize() for record in records)
    assert retired_blocks(data) == records
    with pytest.raises(Malformed):
        retired_blocks(data[:-1])


def test_the_text_of_an_index_holds_no_secret() -> None:
    secret = "SECRET-NAME"
    shown = repr(entry(1, name=secret)) + repr(EarlierKey(1, secret.encode()))
    assert secret not in shown


@examples(100)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=80), mine=st.integers(0, 90))
def test_a_meta_has_at_most_64_writers_and_always_mine(counts: list[int], mine: int) -> None:
    others = [Writer(at.to_bytes(8), count) for at, count in enumerate(counts)]
    found = written(others, Writer(mine.to_bytes(8), 1000))
    assert len(found) <= MAX_WRITERS
    assert Writer(mine.to_bytes(8), 1000) in found
    assert [one.id for one in found] == sorted({one.id for one in found})
    left_out = [one for one in others if one not in found and one.id != mine.to_bytes(8)]
    kept = [one.count for one in found if one.id != mine.to_bytes(8)]
    assert not left_out or max(one.count for one in left_out) <= min(kept)


def test_a_client_that_saw_no_change_keeps_what_it_remembers() -> None:
    now = Remembered.of(meta(), KEY.account)
    now.check(Remembered.of(meta(), KEY.account))
    assert now.root == meta().root(KEY.account)


# --- words ---------------------------------------------------------------------------------------


@examples(100)
@given(root=st.binary(min_size=32, max_size=32))
def test_words_can_be_spoken(root: bytes) -> None:
    for word in words(root):
        assert len(word) == 5
        assert all(letter in "aiou" for letter in word[1::2])
        assert all(letter in "bdfghjklmnprstvz" for letter in word[::2])


# --- merging -------------------------------------------------------------------------------------

versions_of = st.builds(
    # Two versions with the same id are the same.
    lambda number: Version(number.to_bytes(16), bytes(8), number % 3, Stream()),
    st.integers(0, 40),
)
version_lists = st.lists(
    versions_of, min_size=1, max_size=12, unique_by=lambda version: version.id
).map(lambda found: tuple(sorted(found, key=lambda version: version.id)))
sides = st.dictionaries(
    st.integers(0, 3).map(lambda number: number.to_bytes(16)),
    st.tuples(st.sampled_from("ab"), version_lists),
    max_size=3,
).map(
    lambda found: {
        entry_id: Entry(entry_id, "note", name, versions)
        for entry_id, (name, versions) in found.items()
    }
)


@examples(200)
@given(base=sides, ours=sides, theirs=sides)
def test_a_merge_loses_nothing_that_is_new(
    base: dict[bytes, Entry], ours: dict[bytes, Entry], theirs: dict[bytes, Entry]
) -> None:
    result = merged(base, ours, theirs)
    for one in result.values():
        assert Entry.parse(one.serialize()) == one
    # A side that changed nothing takes what the other one has.
    assert merged(base, base, theirs) == theirs
    assert merged(base, ours, base) == ours
    assert merged(base, ours, ours) == ours
    # The order of the sides matters only for names.
    back = merged(base, theirs, ours)
    assert {name: one.versions for name, one in back.items() if name in base} == {
        name: one.versions for name, one in result.items() if name in base
    }
    for side, entry_id in itertools.product((ours, theirs), {*ours, *theirs}):
        known = {one.id for one in base[entry_id].versions} if entry_id in base else set()
        new = {one.id for one in side[entry_id].versions} - known if entry_id in side else set()
        is_changed = side.get(entry_id) != base.get(entry_id)
        if new and is_changed and len(result[entry_id].versions) < 16:
            assert new <= {one.id for one in result[entry_id].versions}


def test_the_retired_blocks_of_a_merge() -> None:
    first, second = RetiredBlock(b"a" * 16, 1, 5), RetiredBlock(b"b" * 16, 1, 6)
    later = RetiredBlock(b"a" * 16, 1, 9)
    assert merged_retired([first, second], [later], set()) == (later, second)
    assert merged_retired([first], [second], {b"a" * 16}) == (second,)
