"""What a client keeps on its disk: its state, copies of sealed blocks, and unsent blocks.

All blocks here are sealed, so a thief of the folder gets no content. ``state.json`` has ids,
permits and counts. Every file has mode 0600. Only one program uses a folder at a time.
"""

import base64
import fcntl
import json
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certless.client.private_files import read_private, write_private
from vault.core.block_exchanges import ReservedId
from vault.core.errors import VaultError
from vault.core.index import WRITER_ID_BYTES, Remembered, Writer
from vault.core.streams import Stream
from vault.core.tokens import BLOCK_BYTES

_STATE = "state.json"
# Copies of the data of a file stay on the disk if they are at most this part of the cache.
PART_OF_CACHE = 4


class FolderInUse(VaultError):
    """Another program uses the folder."""


class FolderNotReadable(VaultError):
    """The state in the folder is not one of this program."""


@dataclass(slots=True)
class State:
    """``count`` is the number of metas that this installation has written.

    ``reserved`` are unused ids with the bucket of their reservation. ``pending`` is the stream of
    changes that were made without a connection. ``seen`` is the sealed meta up to which the
    program knows the changes.
    """

    writer: bytes = field(default_factory=lambda: secrets.token_bytes(WRITER_ID_BYTES))
    count: int = 0
    reserved: list[tuple[ReservedId, int]] = field(default_factory=list)
    remembered: Remembered | None = None
    pending: Stream = field(default_factory=Stream)
    seen: bytes = b""

    def to_json(self) -> dict[str, Any]:
        known = self.remembered
        return {
            "writer": self.writer.hex(),
            "count": self.count,
            "reserved": [[one.id.hex(), one.permit.hex(), at] for one, at in self.reserved],
            "remembered": known
            and {
                "sequence": known.sequence,
                "root": known.root.hex(),
                "writers": [[writer.id.hex(), writer.count] for writer in known.writers],
            },
            "pending": self.pending.serialize().hex(),
            "seen": base64.b64encode(self.seen).decode(),
        }

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "State":
        known = values["remembered"]
        return cls(
            bytes.fromhex(values["writer"]),
            int(values["count"]),
            [
                (ReservedId(bytes.fromhex(one), bytes.fromhex(permit)), int(bucket))
                for one, permit, bucket in values["reserved"]
            ],
            known
            and Remembered(
                int(known["sequence"]),
                bytes.fromhex(known["root"]),
                tuple(Writer(bytes.fromhex(one), int(count)) for one, count in known["writers"]),
            ),
            Stream.parse(bytes.fromhex(values["pending"])),
            base64.b64decode(values["seen"]),
        )


class Folder:
    """The folder at ``path``, or a memory without a disk if ``path`` is None.

    ``cache_bytes`` limits the copies of blocks that the server has.
    """

    def __init__(self, path: Path | None, cache_bytes: int) -> None:
        self.path = path
        self.state = State()
        self.most = 0 if path is None else cache_bytes // BLOCK_BYTES
        # The ids in the cache, and those that are kept until the server has their changes.
        self._cached: OrderedDict[bytes, None] = OrderedDict()
        self._kept: set[bytes] = set()
        self._lock: int | None = None

    def open(self) -> None:
        """Lock and read the folder. Raises: FolderInUse, FolderNotReadable, OSError."""
        if self.path is None:
            return
        for name in ("cache", "kept"):
            (self.path / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise FolderInUse(f"another program uses {self.path}: wait until it ends") from None
        self._lock = handle
        content = read_private(self.path / _STATE)
        if content is not None:
            try:
                self.state = State.of_json(json.loads(content))
            except (ValueError, KeyError, TypeError, VaultError):
                self.close()
                text = f"{self.path / _STATE} is not a state of the vault: delete the folder"
                raise FolderNotReadable(text) from None
        files = sorted((self.path / "cache").iterdir(), key=lambda file: file.stat().st_mtime)
        self._cached = OrderedDict((_id(file), None) for file in files if _id(file))
        self._kept = {_id(file) for file in (self.path / "kept").iterdir()} - {b""}

    def close(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save(self) -> None:
        """Write the state; it is on the disk when this returns. Raises: OSError."""
        if self.path is not None:
            write_private(self.path / _STATE, json.dumps(self.state.to_json()).encode())

    def find(self, block_id: bytes) -> bytes | None:
        """The sealed block, if this folder has it."""
        if self.path is None:
            return None
        if block_id in self._kept:
            return read_private(self.path / "kept" / block_id.hex())
        if block_id not in self._cached:
            return None
        self._cached.move_to_end(block_id)
        return read_private(self.path / "cache" / block_id.hex())

    def cache(self, block_id: bytes, block: bytes) -> None:
        """Keep a copy of a block of the server, in the place of the oldest ones."""
        if self.path is None or not self.most or block_id in self._cached:
            return
        part = self.path / "cache" / f".{block_id.hex()}"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(block)
        part.replace(self.path / "cache" / block_id.hex())
        self._cached[block_id] = None
        while len(self._cached) > self.most:
            self.drop(next(iter(self._cached)))

    def drop(self, block_id: bytes) -> None:
        """Delete a copy."""
        if self.path is not None and block_id in self._cached:
            del self._cached[block_id]
            (self.path / "cache" / block_id.hex()).unlink(missing_ok=True)

    def is_kept(self, block_id: bytes) -> bool:
        return block_id in self._kept

    def keep(self, block_id: bytes, block: bytes) -> None:
        """Keep a block until ``release``; it is on the disk when this returns. Raises: OSError."""
        assert self.path is not None  # noqa: S101  # nothing is kept without a disk
        if block_id not in self._kept:
            write_private(self.path / "kept" / block_id.hex(), block)
            self._kept.add(block_id)

    def release(self, block_ids: Iterable[bytes]) -> None:
        """Delete kept blocks."""
        for block_id in list(block_ids):
            if self.path is not None and block_id in self._kept:
                self._kept.discard(block_id)
                (self.path / "kept" / block_id.hex()).unlink(missing_ok=True)

    @property
    def kept(self) -> frozenset[bytes]:
        """The ids of all kept blocks."""
        return frozenset(self._kept)


def _id(file: Path) -> bytes:
    try:
        return bytes.fromhex(file.name)
    except ValueError:
        # A file that was not finished.
        file.unlink(missing_ok=True)
        return b""
