"""The index: the meta, the entries and their versions, and the four words (VAULT §20).

Longer than other modules because it has a class for each part of the index.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, Self, TypeAlias, cast, get_args

from protocol.common.primitives import equal, sha256

from .account import KEY_BYTES, AccountKey, label, lp
from .bodies import Body, serialized, whole
from .errors import Forged, Forked, Malformed, RolledBack, TooLarge
from .expiry import MAX_BUCKET
from .primitives import SIGNATURE_BYTES, is_signature
from .sealed_values import MAX_DAY, MAX_SEQUENCE
from .streams import MAX_EPOCH, Stream
from .tokens import BLOCK_ID_BYTES
from .wraps import OVERHEAD_BYTES, seal, unseal

EntryKind: TypeAlias = Literal["note", "file", "cover", "retired"]

ENTRY_ID_BYTES = VERSION_ID_BYTES = 16
WRITER_ID_BYTES = 8
MAX_NAME_BYTES = 255
MAX_VERSIONS = 16
MAX_WRITERS = 64
MAX_KEYS = 16
MAX_RETIRED = 256
MAX_COUNT = 2**32 - 1
RETIRED_BYTES = BLOCK_ID_BYTES + 2 + 4
COVER_BLOCKS = 16
_PADDED_BYTES = 12_288
META_BYTES = OVERHEAD_BYTES + _PADDED_BYTES
_SEQUENCE_BYTES, _LENGTH_BYTES = 8, 4


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the data of an entry. ``day`` is days since 1970."""

    id: bytes
    writer: bytes
    day: int
    stream: Stream

    def members(self) -> dict[str, object]:
        return {
            "id": self.id,
            "writer": self.writer,
            "day": self.day,
            "stream": self.stream.serialize(),
        }

    @classmethod
    def take(cls, body: Body) -> Self:
        version = cls(
            body.raw("id", VERSION_ID_BYTES),
            body.raw("writer", WRITER_ID_BYTES),
            body.number("day", MAX_DAY),
            Stream.parse(body.raw("stream")),
        )
        body.end()
        return version


@dataclass(frozen=True, slots=True)
class Entry:
    """A note or a file, the cover blocks, or more retired blocks. ``versions`` are in order."""

    id: bytes
    kind: EntryKind
    name: str = field(repr=False)
    versions: tuple[Version, ...]

    def serialize(self) -> bytes:
        """Raises: Malformed, for a name or a number of versions that a reader refuses."""
        try:
            data = serialized(
                id=self.id,
                kind=self.kind,
                name=self.name,
                versions=[version.members() for version in self.versions],
            )
        except UnicodeEncodeError:
            raise Malformed("the name has half of a surrogate pair") from None
        self.check()
        return data

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: Malformed."""
        entry = whole(
            data,
            lambda body: cls(
                body.raw("id", ENTRY_ID_BYTES),
                _kind(body.text("kind")),
                body.text("name"),
                tuple(map(Version.take, body.list("versions", MAX_VERSIONS))),
            ),
        )
        entry.check()
        return entry

    def check(self) -> None:
        """Raises: Malformed."""
        if len(self.name.encode()) > MAX_NAME_BYTES:
            raise Malformed(f"a name has at most {MAX_NAME_BYTES} bytes")
        if not 1 <= len(self.versions) <= MAX_VERSIONS:
            raise Malformed(f"an entry has 1 to {MAX_VERSIONS} versions")
        if not _ascending(version.id for version in self.versions):
            raise Malformed("the versions of an entry are in the order of their ids")


@dataclass(frozen=True, slots=True)
class Writer:
    """One installation of a client, and how many metas it has written."""

    id: bytes
    count: int


@dataclass(frozen=True, slots=True)
class EarlierKey:
    """An account key that a rekey has replaced."""

    epoch: int
    n: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RetiredBlock:
    """A block that no stream needs since ``day``."""

    id: bytes
    epoch: int
    day: int

    def serialize(self) -> bytes:
        """22 bytes."""
        return self.id + self.epoch.to_bytes(2) + self.day.to_bytes(4)


def retired_blocks(data: bytes) -> tuple[RetiredBlock, ...]:
    """The records in ``data``. Raises: Malformed."""
    if len(data) % RETIRED_BYTES:
        raise Malformed("not a list of retired records")
    records = (data[at : at + RETIRED_BYTES] for at in range(0, len(data), RETIRED_BYTES))
    return tuple(
        RetiredBlock(one[:16], int.from_bytes(one[16:18]), int.from_bytes(one[18:]))
        for one in records
    )


@dataclass(frozen=True, slots=True)
class Meta:
    """The root of the index."""

    sequence: int
    epoch: int
    renewed: int
    writers: tuple[Writer, ...]
    keys: tuple[EarlierKey, ...]
    directory: Stream
    retired: tuple[RetiredBlock, ...]

    def body(self) -> bytes:
        """The Meta in msgpack. Raises: Malformed, TooLarge."""
        self._check()
        return serialized(
            sequence=self.sequence,
            epoch=self.epoch,
            renewed=self.renewed,
            writers=[{"id": writer.id, "count": writer.count} for writer in self.writers],
            keys=[{"epoch": key.epoch, "n": key.n} for key in self.keys],
            directory=self.directory.serialize(),
            retired=b"".join(record.serialize() for record in self.retired),
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises: Malformed."""
        meta = whole(
            data,
            lambda body: cls(
                body.number("sequence", MAX_SEQUENCE),
                body.number("epoch", MAX_EPOCH),
                body.number("renewed", MAX_BUCKET),
                tuple(map(_writer, body.list("writers", MAX_WRITERS))),
                tuple(map(_earlier, body.list("keys", MAX_KEYS))),
                Stream.parse(body.raw("directory")),
                retired_blocks(body.raw("retired")),
            ),
        )
        meta._check()
        return meta

    def _check(self) -> None:
        if not (self.sequence and self.epoch and self.writers):
            raise Malformed("a meta has a sequence, an epoch and a writer")
        if len(self.retired) > MAX_RETIRED or len(self.writers) > MAX_WRITERS:
            raise TooLarge(f"a meta has at most {MAX_RETIRED} retired blocks")
        if not _ascending(writer.id for writer in self.writers):
            raise Malformed("the writers are in the order of their ids")
        epochs = [key.epoch for key in self.keys]
        if not _ascending(epoch.to_bytes(2) for epoch in (*epochs, self.epoch)):
            raise Malformed("the epochs are in order, and the last one is that of the meta")

    def seal(self, key: AccountKey, iv: bytes) -> bytes:
        """For the server (12,317 bytes). ``iv`` is 12 random bytes. Raises: Malformed, TooLarge."""
        body = self.body()
        signed = key.head.sign(_statement(key.account, body)) + body
        padded = (self.sequence.to_bytes(_SEQUENCE_BYTES) + lp(signed)).ljust(_PADDED_BYTES, b"\0")
        return seal(key.derived("index"), iv, padded, _aad(key.account))

    @classmethod
    def open(cls, key: AccountKey, sealed: bytes) -> Self:
        """Raises: Forged."""
        plaintext = _unsealed(key, sealed)
        start = _SEQUENCE_BYTES + _LENGTH_BYTES
        length = int.from_bytes(plaintext[_SEQUENCE_BYTES:start])
        signed = plaintext[start : start + length]
        signature, body = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
        sequence = plaintext[:_SEQUENCE_BYTES]
        if (sequence + lp(signed)).ljust(_PADDED_BYTES, b"\0") != plaintext:
            raise Forged("the index does not have the padding of this version")
        if not is_signature(key.head.public, signature, _statement(key.account, body)):
            raise Forged("the index does not have the signature of this account")
        try:
            meta = cls.parse(body)
        except Malformed:
            raise Forged("the index does not have the form of this version") from None
        if meta.sequence != int.from_bytes(sequence):
            raise Forged("the index has another sequence than its seal")
        return meta

    def root(self, account: bytes) -> bytes:
        """The digest of the whole index (32 bytes)."""
        return sha256(_statement(account, self.body()))

    def key_of(self, epoch: int, present: AccountKey) -> AccountKey:
        """The account key of ``epoch``; ``present`` is that of this meta. Raises: Forged."""
        if epoch == self.epoch:
            return present
        for earlier in self.keys:
            if earlier.epoch == epoch:
                return AccountKey(present.account, earlier.n)
        raise Forged("a block has an epoch whose key the index does not have")


def written(writers: Iterable[Writer], writer: Writer) -> tuple[Writer, ...]:
    """``writers`` after ``writer`` has written a meta (VAULT §20.2)."""
    others = [other for other in writers if other.id != writer.id]
    while len(others) >= MAX_WRITERS:
        others.remove(min(others, key=lambda other: (other.count, other.id)))
    return tuple(sorted([*others, writer], key=lambda one: one.id))


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a client remembers of the last meta (VAULT §21.1)."""

    sequence: int
    root: bytes
    writers: tuple[Writer, ...]

    @classmethod
    def of(cls, meta: Meta, account: bytes) -> Self:
        return cls(meta.sequence, meta.root(account), meta.writers)

    def check(self, other: "Remembered | None") -> None:
        """Compare the meta that the server has now. Raises: RolledBack, Forked."""
        if other is None or other.sequence < self.sequence:
            raise RolledBack("the server has an older index than before: it was rolled back")
        if equal(other.root, self.root):
            return
        counts = {writer.id: writer.count for writer in other.writers}
        # Only a full list can have left out a writer.
        absent = 0 if len(counts) < MAX_WRITERS else MAX_COUNT
        follows = all(counts.get(one.id, absent) >= one.count for one in self.writers)
        if other.sequence == self.sequence or not follows:
            raise Forked("the server has an index that does not follow the last one: it forked")


_CONSONANTS, _VOWELS = "bdfghjklmnprstvz", "aiou"


def words(root: bytes) -> tuple[str, str, str, str]:
    """The four words of an index (VAULT §20.5)."""
    first, second, third, fourth = (
        _word(int.from_bytes(part)) for part in _pairs(sha256(label("words") + lp(root))[:8])
    )
    return first, second, third, fourth


def _pairs(data: bytes) -> list[bytes]:
    return [data[at : at + 2] for at in range(0, len(data), 2)]


def _word(number: int) -> str:
    letters = (
        _CONSONANTS[number >> 12],
        _VOWELS[number >> 10 & 3],
        _CONSONANTS[number >> 6 & 15],
        _VOWELS[number >> 4 & 3],
        _CONSONANTS[number & 15],
    )
    return "".join(letters)


def next_epoch(meta: Meta, old: AccountKey, writer: Writer) -> Meta:
    """The meta that a rekey seals under the new account key (VAULT §9). ``old`` is the present one.

    Raises: TooLarge, if blocks under too many earlier keys were not written again.
    """
    if len(meta.keys) == MAX_KEYS or meta.epoch == MAX_EPOCH:
        raise TooLarge("data of 16 earlier keys is not written again yet: synchronise first")
    return replace(
        meta,
        sequence=meta.sequence + 1,
        epoch=meta.epoch + 1,
        keys=(*meta.keys, EarlierKey(meta.epoch, old.n)),
        writers=written(meta.writers, writer),
    )


def _kind(text: str) -> EntryKind:
    if text not in get_args(EntryKind):
        raise Malformed("an entry has a kind that this version does not know")
    return cast(EntryKind, text)


def _writer(body: Body) -> Writer:
    writer = Writer(body.raw("id", WRITER_ID_BYTES), body.number("count", MAX_COUNT))
    body.end()
    if not writer.count:
        raise Malformed("a writer has written at least one meta")
    return writer


def _earlier(body: Body) -> EarlierKey:
    key = EarlierKey(body.number("epoch", MAX_EPOCH), body.raw("n", KEY_BYTES))
    body.end()
    if not key.epoch:
        raise Malformed("the first epoch is 1")
    return key


def _ascending(ids: Iterable[bytes]) -> bool:
    return all(low < high for low, high in pairwise(ids))


def _statement(account: bytes, body: bytes) -> bytes:
    return label("meta") + lp(account) + lp(body)


def _aad(account: bytes) -> bytes:
    return label("meta") + lp(account)


def _unsealed(key: AccountKey, sealed: bytes) -> bytes:
    try:
        plaintext = unseal(key.derived("index"), sealed, _aad(key.account))
    except Malformed:
        plaintext = None
    if plaintext is None or len(sealed) != META_BYTES:
        raise Forged("the index was not sealed by this account")
    return plaintext
