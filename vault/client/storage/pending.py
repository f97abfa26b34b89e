"""Changes that were made without a connection, as bytes of a stream on the disk."""

from collections.abc import Mapping
from dataclasses import dataclass

from vault.core.account import lp
from vault.core.index import ENTRY_ID_BYTES, Entry, Version


@dataclass(frozen=True, slots=True)
class Held:
    """One entry before and after the changes; None if there is none."""

    base: Entry | None
    ours: Entry | None

    def new_versions(self) -> list[Version]:
        """The versions that the change has made."""
        if self.ours is None:
            return []
        known = () if self.base is None else self.base.versions
        return [version for version in self.ours.versions if version not in known]

    def is_in(self, there: Entry | None) -> bool:
        """Whether the entry of the server has the change already."""
        if there is None or self.ours is None:
            return there is self.ours
        new = {version.id for version in self.new_versions()}
        return bool(new) and new <= {version.id for version in there.versions}


def differences(before: Mapping[bytes, Entry], after: Mapping[bytes, Entry]) -> dict[bytes, Held]:
    """What changed, by the ids of the entries."""
    return {
        entry_id: Held(before.get(entry_id), after.get(entry_id))
        for entry_id in sorted({*before, *after})
        if before.get(entry_id) != after.get(entry_id)
    }


def write_held(pending: Mapping[bytes, Held]) -> bytes:
    return b"".join(
        entry_id + _written(held.base) + _written(held.ours) for entry_id, held in pending.items()
    )


def read_held(data: bytes) -> dict[bytes, Held]:
    """What ``write_held`` wrote. Raises: Malformed."""
    found = {}
    at = 0
    while at < len(data):
        entry_id = data[at : at + ENTRY_ID_BYTES]
        base, at = _read(data, at + ENTRY_ID_BYTES)
        ours, at = _read(data, at)
        found[entry_id] = Held(base, ours)
    return found


def _written(entry: Entry | None) -> bytes:
    return lp(b"" if entry is None else entry.serialize())


def _read(data: bytes, at: int) -> tuple[Entry | None, int]:
    start = at + 4
    end = start + int.from_bytes(data[at:start])
    return (Entry.parse(data[start:end]) if end > start else None), end
