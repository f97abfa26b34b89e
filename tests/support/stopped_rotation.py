"""A rotation that hangs at one of its steps: ``stopped_rotation.py STORE KEYS POINT``.

``POINT`` is "file 1", "file 2" (the key file was replaced once, twice), "record N" (N records were
resealed but not committed) or "committed". The program prints a line when it has stopped.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.keys.key_file import KeyFile
from gateway.keys.rotation import rotate
from gateway.stores import Reseal
from gateway.stores.sqlite.store import SqliteStore

STORE, KEYS, POINT = sys.argv[1:]


def at(point: str) -> None:
    if point == POINT:
        sys.stdout.write("stopped\n")
        sys.stdout.flush()
        sys.stdin.read()


class StoppedFile(KeyFile):
    """A key file that stops after its replacement."""

    times = 0

    def write(self, keys: Sequence[bytes]) -> None:
        super().write(keys)
        self.times += 1
        at(f"file {self.times}")


class StoppedStore(SqliteStore):
    """A store that stops in the transaction, or after it."""

    async def reseal(self, reseal: Reseal) -> int:
        changed = 0

        def counted(kind: str, record_id: bytes, sealed: bytes) -> bytes:
            nonlocal changed
            new = reseal(kind, record_id, sealed)
            changed += new != sealed
            if new != sealed:
                at(f"record {changed}")
            return new

        total = await super().reseal(counted)
        if changed:
            at("committed")
        return total


async def main() -> None:
    store = StoppedStore(Path(STORE))
    await store.open()
    await rotate(store, StoppedFile(Path(KEYS)))
    raise AssertionError("it did not stop")


asyncio.run(main())
