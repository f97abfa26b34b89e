"""The pool: changes of blocks that are on the disk, and wait to be applied (VAULT §23).

A pool has one entry for each changed block: the state that the block gets. A later change of the
same block changes the entry. So an entry can be applied again without another effect.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from vault.server.store.block_transaction import BlockTransaction
from vault.server.store.records import StoredBlock


class Kind(IntEnum):
    """What an entry does to its block."""

    PUT = 1
    RENEWED = 2
    RETIRED = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """The change of one block. ``block`` is the new block, for PUT."""

    id: bytes
    kind: Kind
    bucket: int
    block: StoredBlock | None = None


class Pool(Protocol):
    """A change is on the disk when its method returns, or when the transaction ``at`` ends.

    The callers hold the lock of blocks: ``shared`` for changes, ``alone`` for ``taken``. Every
    method raises Unavailable.
    """

    async def open(self) -> None:
        """Raises: ConfigError, if this pool can lose changes."""

    async def close(self) -> None: ...

    async def find(self, at: BlockTransaction, ids: Collection[bytes]) -> dict[bytes, Entry]:
        """The entries of these blocks."""

    async def put(self, at: BlockTransaction, blocks: Sequence[StoredBlock]) -> bool:
        """Add new blocks. False, and no effect, if one has another entry already."""

    async def renew(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        """Give blocks later buckets. A retired block stays retired."""

    async def retire(self, at: BlockTransaction, buckets: Mapping[bytes, int]) -> None:
        """Delete blocks, in these buckets."""

    async def ids(self, at: BlockTransaction) -> list[bytes]:
        """The ids of all entries, in ascending order."""

    async def take(self, at: BlockTransaction, ids: Sequence[bytes]) -> list[Entry]:
        """The entries of these blocks, which the transaction ``at`` applies."""

    async def forget(self, applied: Sequence[Entry]) -> None:
        """Called after the commit: delete the entries that were not changed meanwhile."""

    async def rewrite(self) -> None:
        """Called after all is applied: let nothing of the applied entries stay on the disk."""
