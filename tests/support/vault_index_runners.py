"""Runs the vectors of blocks, streams and the index on vault/core."""

from collections.abc import Callable
from typing import Any

from make_vault_bodies import hexed
from vector_files import Json

from protocol.common.codec import parse_msgpack
from protocol.common.primitives import sha256
from vault.core.account import AccountKey
from vault.core.blocks import open_block, seal_block
from vault.core.directory import read_directory
from vault.core.index import Entry, Meta, Remembered, Version, Writer, words, written
from vault.core.merging import merged
from vault.core.streams import Extent, Stream, children, open_extent


def _raw(given: Json, name: str) -> bytes:
    return bytes.fromhex(given[f"{name}_hex"])


def _key(given: Json) -> AccountKey:
    return AccountKey(_raw(given, "account"), _raw(given, "n"))


def _extents(extents: tuple[Extent, ...]) -> list[Json]:
    return [
        {
            "id_hex": extent.id.hex(),
            "digest_hex": extent.digest.hex(),
            "epoch": extent.epoch,
            "size": extent.size,
        }
        for extent in extents
    ]


def seal(given: Json) -> Json:
    data = b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in given["data_parts"])
    block = seal_block(_key(given), _raw(given, "id"), _raw(given, "salt"), data)
    assert open_block(_key(given), _raw(given, "id"), block) == data
    return {"digest_hex": sha256(block).hex()}


def open_one(given: Json) -> Json:
    extent = Extent.parse(_raw(given, "extent"))
    return {"data_hex": open_extent(_key(given), extent, _raw(given, "block")).hex()}


def read_stream(given: Json) -> Json:
    data = bytes.fromhex(given["hex"])
    stream = Stream.parse(data)
    assert stream.serialize() == data
    return {"depth": stream.depth, "extents": _extents(stream.extents)}


def read_node(given: Json) -> Json:
    extent = Extent.parse(_raw(given, "extent"))
    return {"extents": _extents(children(extent, _raw(given, "data")))}


def read_entry(given: Json) -> Json:
    data = bytes.fromhex(given["hex"])
    assert Entry.parse(data).serialize() == data
    return {"members": hexed(parse_msgpack(data))}


def directory(given: Json) -> Json:
    return {"entries": _as_json(read_directory(bytes.fromhex(given["hex"])))}


def read_meta(given: Json) -> Json:
    data = bytes.fromhex(given["hex"])
    assert Meta.parse(data).body() == data
    return {"members": hexed(parse_msgpack(data))}


def seal_meta(given: Json) -> Json:
    key, meta = _key(given), Meta.parse(_raw(given, "body"))
    sealed = meta.seal(key, _raw(given, "iv"))
    assert Meta.open(key, sealed) == meta
    return {"digest_hex": sha256(sealed).hex(), "root_hex": meta.root(key.account).hex()}


def open_meta(given: Json) -> Json:
    key = _key(given)
    return {"root_hex": Meta.open(key, _raw(given, "sealed")).root(key.account).hex()}


def remembered(given: Json) -> Json:
    now = given["now"]
    _state(given["before"]).check(None if now is None else _state(now))
    return {}


def four_words(given: Json) -> Json:
    return {"text": " ".join(words(_raw(given, "root")))}


def writers(given: Json) -> Json:
    found = written(map(_writer, given["writers"]), _writer(given["writer"]))
    return {"writers": [{"id": writer.id.hex(), "count": writer.count} for writer in found]}


def merge(given: Json) -> Json:
    base, ours, theirs = (
        {entry.id: entry for entry in map(_entry, given[side])}
        for side in ("base", "ours", "theirs")
    )
    return {"entries": _as_json(merged(base, ours, theirs).values())}


def _state(members: Json) -> Remembered:
    listed = tuple(map(_writer, members["writers"]))
    return Remembered(members["sequence"], bytes.fromhex(members["root_hex"]), listed)


def _writer(members: Json) -> Writer:
    return Writer(bytes.fromhex(members["id"]), members["count"])


def _entry(members: Json) -> Entry:
    versions = tuple(
        Version(
            bytes.fromhex(version["id"]),
            bytes.fromhex(version["writer"]),
            version["day"],
            Stream.parse(bytes.fromhex(version["stream"])),
        )
        for version in members["versions"]
    )
    return Entry(bytes.fromhex(members["id"]), members["kind"], members["name"], versions)


def _as_json(entries: Any) -> list[Json]:
    return [hexed(parse_msgpack(entry.serialize())) for entry in entries]


INDEX_RUNNERS: dict[str, Callable[[Json], Json]] = {
    "vault_seal_block": seal,
    "vault_open_extent": open_one,
    "vault_read_stream": read_stream,
    "vault_read_node": read_node,
    "vault_read_entry": read_entry,
    "vault_read_directory": directory,
    "vault_read_meta": read_meta,
    "vault_seal_meta": seal_meta,
    "vault_open_meta": open_meta,
    "vault_remembered": remembered,
    "vault_words": four_words,
    "vault_written": writers,
    "vault_merge": merge,
}
