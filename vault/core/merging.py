"""Merging the changes of two devices that did not know of each other (VAULT §21.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from .index import MAX_VERSIONS, Entry, RetiredBlock, Version

Entries = Mapping[bytes, Entry]


def merged(base: Entries, ours: Entries, theirs: Entries) -> dict[bytes, Entry]:
    """The entries after both changes, by their ids."""
    result = {}
    for entry_id in sorted({*ours, *theirs}):
        entry = _merged(base.get(entry_id), ours.get(entry_id), theirs.get(entry_id))
        if entry is not None:
            result[entry_id] = entry
    return result


def _merged(base: Entry | None, ours: Entry | None, theirs: Entry | None) -> Entry | None:
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    if ours is None or theirs is None:
        # One device has deleted what the other one has changed. The change survives.
        return ours or theirs
    before = {} if base is None else _by_id(base.versions)
    here, there = _by_id(ours.versions), _by_id(theirs.versions)
    replaced = {one for one in before if one not in here or one not in there}
    # What ours has not changed can be newer in theirs: the same data in other blocks.
    mine = {one: version for one, version in here.items() if before.get(one) != version}
    every = here | there | mine
    # The versions of both, if each device has left out what the other one has kept.
    both = {one: every[one] for one in every if one not in replaced} or every
    newest = sorted(both.values(), key=lambda version: (version.day, version.id))[-MAX_VERSIONS:]
    versions = tuple(sorted(newest, key=lambda version: version.id))
    name = ours.name if base is not None and theirs.name == base.name else theirs.name
    return replace(theirs, name=name, versions=versions)


def merged_retired(
    ours: Iterable[RetiredBlock], theirs: Iterable[RetiredBlock], used: set[bytes]
) -> tuple[RetiredBlock, ...]:
    """The records of both, each block once, without the blocks that are ``used``."""
    found: dict[bytes, RetiredBlock] = {}
    for record in (*theirs, *ours):
        if record.id not in used:
            found.setdefault(record.id, record)
    return tuple(found.values())


def _by_id(versions: Iterable[Version]) -> dict[bytes, Version]:
    return {version.id: version for version in versions}
