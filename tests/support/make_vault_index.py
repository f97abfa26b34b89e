"""Makes the vectors of blocks, streams, the index and merges (VAULT §18.3, §19 to §21).

Longer than other modules because each group of cases is a list.
"""

from collections.abc import Iterator
from dataclasses import replace

import vault_index_reference as reference
from hardened_reference import finish, lp, msgpack
from make_vault_bodies import hexed, without
from make_vectors import flip, stream
from vault_reference import User, sha256
from vector_files import Case, Json, Subject

ADA = User()
OTHER = replace(ADA, username="bob")
OTHER_KEY = replace(ADA, n=bytes(32))
ID, SALT, IV = stream("block id", 16), stream("block salt", 32), stream("meta iv", 12)
MOST = 16_331


def vault(name: str, kind: str, given: Json, output: Json | str) -> Case:
    expect = output if isinstance(output, str) else "ok"
    members = {} if isinstance(output, str) else output
    return finish(f"vault-{name}", f"vault_{kind}", None, given, expect, members)


def owner(user: User = ADA) -> Json:
    return {"account_hex": user.account.hex(), "n_hex": user.n.hex()}


# --- blocks --------------------------------------------------------------------------------------


def blocks() -> Iterator[Case]:
    for name, hex_, times in (
        ("of-1-byte", "00", 1),
        ("of-text", "5a6fc3ab20f09f94910a", 1),
        ("of-16331-bytes", "61", MOST),
    ):
        data = bytes.fromhex(hex_) * times
        parts = [{"hex": hex_, "times": times}]
        given = {**owner(), "id_hex": ID.hex(), "salt_hex": SALT.hex(), "data_parts": parts}
        sealed = reference.block(ADA, ID, SALT, reference.payload(data))
        yield vault(f"block-{name}", "seal_block", given, {"digest_hex": sha256(sealed).hex()})
    for name, times in (("empty", 0), ("of-16332-bytes", MOST + 1)):
        given = {
            **owner(),
            "id_hex": ID.hex(),
            "salt_hex": SALT.hex(),
            "data_parts": [{"hex": "61", "times": times}],
        }
        yield vault(f"block-{name}", "seal_block", given, "malformed")
    good = reference.payload(b"data of a block")
    sealed = reference.block(ADA, ID, SALT, good)
    assert len(sealed) == reference.BLOCK_BYTES
    output = {"data_hex": b"data of a block".hex()}
    digest = sha256(sealed)
    yield opened("whole", sealed, output, digest=digest)
    # The bytes of the extent are checked by the reader of the stream.
    yield opened("none", b"", "missing", digest=digest)
    yield opened("another", flip(sealed, -1), "swapped", digest=digest)
    yield opened("short", sealed[:-1], "swapped", digest=digest)
    for name, user, block_id in (
        ("of-another-account", OTHER, ID),
        ("of-another-key", OTHER_KEY, ID),
        ("of-another-id", ADA, bytes(16)),
    ):
        yield opened(name, reference.block(user, block_id, SALT, good), "forged")
    for name, plaintext in {
        "padding-not-zero": good[:-1] + b"\1",
        "length-0": bytes(len(good)),
        "length-too-large": (MOST + 1).to_bytes(4) + good[4:],
        "length-too-small": good[:3] + b"\x0e" + good[4:],
    }.items():
        yield opened(name, reference.block(ADA, ID, SALT, plaintext), "forged")
    yield opened("format-2", b"\2" + sealed[1:], "forged")
    yield opened("salt-changed", flip(sealed, 8), "forged")
    yield opened("tag-changed", flip(sealed, -1), "forged")
    yield opened("cut", sealed[:-1], "forged")


def opened(name: str, block: bytes, output: Json | str, *, digest: bytes = b"") -> Case:
    extent = reference.extent(ID, digest or sha256(block), 1, 15)
    given = {**owner(), "extent_hex": extent.hex(), "block_hex": block.hex()}
    return vault(f"block-open-{name}", "open_extent", given, output)


# --- streams -------------------------------------------------------------------------------------


def extents(count: int, size: int = MOST) -> list[bytes]:
    return [
        reference.extent(
            stream(f"extent {at}", 16), stream(f"digest {at}", 32), 1 + at % 3, size + at
        )
        for at in range(count)
    ]


def as_json(extent: bytes) -> Json:
    return {
        "id_hex": extent[:16].hex(),
        "digest_hex": extent[16:48].hex(),
        "epoch": int.from_bytes(extent[48:50]),
        "size": int.from_bytes(extent[50:]),
    }


def streams() -> Iterator[Case]:
    for name, depth, listed in (
        ("empty", 0, []),
        ("of-1", 0, extents(1, 1)),
        ("of-24", 0, extents(24)),
        ("of-depth-1", 1, extents(3)),
        ("of-depth-3", 3, extents(24, 2**40)),
    ):
        output = {"depth": depth, "extents": [as_json(one) for one in listed]}
        yield read_stream(name, reference.stream_of(depth, listed), output)
    one = extents(1)[0]
    whole = reference.stream_of(0, [one])
    for name, data in {
        "no-bytes": b"",
        "2-bytes": whole[:2],
        "cut": whole[:-1],
        "long": whole + b"\0",
        "count-too-large": b"\0\0\2" + one,
        "count-too-small": b"\0\0\1" + one + one,
        "of-25": reference.stream_of(0, extents(25)),
        "of-depth-4": reference.stream_of(4, [one]),
        "empty-of-depth-1": reference.stream_of(1, []),
        "epoch-0": reference.stream_of(0, [one[:48] + b"\0\0" + one[50:]]),
        "size-0": reference.stream_of(0, [one[:50] + bytes(8)]),
    }.items():
        yield read_stream(name, data, "malformed")
    listed = extents(281)
    total = sum(int.from_bytes(extent[50:]) for extent in listed)
    for name, inner in (("of-1", [one]), ("of-281", listed)):
        size = sum(int.from_bytes(extent[50:]) for extent in inner)
        output = {"extents": [as_json(extent) for extent in inner]}
        yield node(name, size, b"".join(inner), output)
    for name, size, data in (
        ("too-many-bytes", total + 1, b"".join(listed)),
        ("too-few-bytes", total - 1, b"".join(listed)),
        ("cut", MOST, one[:-1]),
        ("long", MOST, one + b"\0"),
        ("epoch-0", MOST, one[:48] + b"\0\0" + one[50:]),
        ("size-0", MOST, one + one[:50] + bytes(8)),
    ):
        yield node(name, size, data, "forged")


def read_stream(name: str, data: bytes, output: Json | str) -> Case:
    return vault(f"stream-{name}", "read_stream", {"hex": data.hex()}, output)


def node(name: str, size: int, data: bytes, output: Json | str) -> Case:
    extent = reference.extent(ID, sha256(data), 1, size)
    given = {"extent_hex": extent.hex(), "data_hex": data.hex()}
    return vault(f"node-{name}", "read_node", given, output)


# --- entries -------------------------------------------------------------------------------------


def version(number: int, *, writer: int = 1, day: int = 20_000, count: int = 1) -> Json:
    return {
        "id": number.to_bytes(16),
        "writer": writer.to_bytes(8),
        "day": day,
        "stream": reference.stream_of(0, extents(count)),
    }


def entry(number: int, *versions: Json, name: str = "recipes", kind: str = "note") -> Json:
    listed = list(versions) or [version(number)]
    return {"id": number.to_bytes(16), "kind": kind, "name": name, "versions": listed}


def entries() -> Iterator[Case]:
    for name, members in {
        "note": entry(1),
        "file": entry(2, name="Zo\xeb/\U0001f511.mp4", kind="file"),
        "cover": entry(3, version(3, count=16), name="", kind="cover"),
        "retired": entry(4, name="", kind="retired"),
        "two-versions": entry(5, version(1), version(2, writer=2, day=0)),
        "16-versions": entry(6, *(version(at) for at in range(16))),
        "empty-stream": entry(7, version(1, count=0)),
        "last-day": entry(8, version(1, day=2**32 - 1)),
        "255-bytes": entry(9, name="\xe9" * 127 + "a"),
    }.items():
        yield read_entry(name, members, {"members": hexed(members)})
    good, one = entry(1), version(1)
    for name, members in {
        "no-versions": {**good, "versions": []},
        "versions-not-in-order": entry(1, version(2), version(1)),
        "version-twice": entry(1, version(1), version(1)),
        "unknown-kind": entry(1, kind="folder"),
        "256-bytes": entry(1, name="\xe9" * 128),
        "short-id": {**good, "id": good["id"][1:]},
        "id-missing": without(good, "id"),
        "kind-missing": without(good, "kind"),
        "name-missing": without(good, "name"),
        "versions-missing": without(good, "versions"),
        "unknown-member": {**good, "other": 1},
        "name-bytes": {**good, "name": b"a"},
        "version-short-id": entry(1, {**one, "id": one["id"][1:]}),
        "version-short-writer": entry(1, {**one, "writer": one["writer"][1:]}),
        "version-day-2-32": entry(1, {**one, "day": 2**32}),
        "version-stream-cut": entry(1, {**one, "stream": one["stream"][:-1]}),
        "version-stream-missing": entry(1, without(one, "stream")),
        "version-unknown-member": entry(1, {**one, "other": 1}),
    }.items():
        yield read_entry(name, members, "malformed")
    yield read_entry("17-versions", entry(1, *(version(at) for at in range(17))), "too_large")
    for name, listed, expect in (
        ("empty", [], "ok"),
        ("of-two", [entry(1), entry(2)], "ok"),
        ("not-in-order", [entry(2), entry(1)], "forged"),
        ("twice", [entry(1), entry(1)], "forged"),
        ("malformed", [{**good, "versions": []}], "forged"),
    ):
        data = b"".join(lp(reference.entry(one)) for one in listed)
        output = {"entries": hexed(listed)} if expect == "ok" else expect
        yield vault(f"directory-{name}", "read_directory", {"hex": data.hex()}, output)
    data = lp(reference.entry(good))
    for name, changed in (("cut", data[:-1]), ("long", data + b"\0")):
        yield vault(f"directory-{name}", "read_directory", {"hex": changed.hex()}, "forged")


def read_entry(name: str, members: Json, output: Json | str) -> Case:
    given = {"hex": reference.entry(members).hex()}
    return vault(f"entry-{name}", "read_entry", given, output)


# --- metas ---------------------------------------------------------------------------------------


def writers(*counts: int) -> list[Json]:
    return [{"id": at.to_bytes(8), "count": count} for at, count in enumerate(counts, 1)]


def keys(count: int) -> list[Json]:
    return [{"epoch": at, "n": stream(f"earlier {at}", 32)} for at in range(1, count + 1)]


META: Json = {
    "sequence": 7,
    "epoch": 3,
    "renewed": 56,
    "writers": writers(4, 3),
    "keys": keys(2),
    "directory": reference.stream_of(0, extents(2)),
    "retired": stream("retired", 44),
}
FIRST: Json = {
    "sequence": 1,
    "epoch": 1,
    "renewed": 0,
    "writers": writers(1),
    "keys": [],
    "directory": reference.stream_of(0, []),
    "retired": b"",
}
LARGEST: Json = {
    "sequence": 2**53 - 1,
    "epoch": 2**16 - 1,
    "renewed": 2**32 - 1,
    "writers": writers(*[2**32 - 1] * 64),
    "keys": keys(16),
    "directory": reference.stream_of(3, extents(24)),
    "retired": stream("all retired", 22 * 256),
}


def metas() -> Iterator[Case]:
    for name, members in (("whole", META), ("first", FIRST), ("largest", LARGEST)):
        body = msgpack(members)
        yield read_meta(name, members, {"members": hexed(members)})
        plaintext = reference.plaintext_of_meta(members["sequence"], reference.signed(ADA, body))
        sealed = reference.sealed_meta(ADA, IV, plaintext)
        assert len(sealed) == 12_317
        root = reference.root(ADA, body)
        given = {**owner(), "iv_hex": IV.hex(), "body_hex": body.hex()}
        output = {"digest_hex": sha256(sealed).hex(), "root_hex": root.hex()}
        yield vault(f"meta-{name}", "seal_meta", given, output)
        if name != "largest":
            yield open_meta(name, sealed, {"root_hex": root.hex()})
    for name, members in {
        "sequence-0": {**META, "sequence": 0},
        "sequence-2-53": {**META, "sequence": 2**53},
        "epoch-0": {**FIRST, "epoch": 0},
        "epoch-2-16": {**META, "epoch": 2**16},
        "renewed-2-32": {**META, "renewed": 2**32},
        "no-writers": {**META, "writers": []},
        "writers-not-in-order": {**META, "writers": writers(1, 2)[::-1]},
        "writer-twice": {**META, "writers": writers(1) * 2},
        "writer-count-0": {**META, "writers": writers(0)},
        "writer-short-id": {**META, "writers": [{"id": b"1234567", "count": 1}]},
        "writer-unknown-member": {**META, "writers": [{**writers(1)[0], "other": 1}]},
        "keys-not-in-order": {**META, "keys": keys(2)[::-1]},
        "key-of-the-epoch": {**META, "keys": keys(3)},
        "key-of-epoch-0": {**META, "keys": [{"epoch": 0, "n": bytes(32)}]},
        "key-short": {**META, "keys": [{"epoch": 1, "n": bytes(31)}]},
        "key-unknown-member": {**META, "keys": [{**keys(1)[0], "other": 1}]},
        "directory-cut": {**META, "directory": META["directory"][:-1]},
        "retired-cut": {**META, "retired": META["retired"][:-1]},
        "unknown-member": {**META, "other": 1},
        **{f"{member}-missing": without(META, member) for member in META},
    }.items():
        yield read_meta(name, members, "malformed")
    for name, members in {
        "65-writers": {**META, "writers": writers(*[1] * 65)},
        "17-keys": {**META, "epoch": 99, "keys": keys(17)},
        "257-retired": {**META, "retired": bytes(22 * 257)},
    }.items():
        yield read_meta(name, members, "too_large")
    yield from opened_metas()


def read_meta(name: str, members: Json, output: Json | str) -> Case:
    given = {"hex": msgpack(members).hex()}
    return vault(f"meta-body-{name}", "read_meta", given, output)


def open_meta(name: str, sealed: bytes, output: Json | str, user: User = ADA) -> Case:
    given = {**owner(user), "sealed_hex": sealed.hex()}
    return vault(f"meta-open-{name}", "open_meta", given, output)


def opened_metas() -> Iterator[Case]:
    body = msgpack(FIRST)
    content = reference.signed(ADA, body)
    good = reference.plaintext_of_meta(1, content)
    other = reference.signed(OTHER_KEY, body)
    unknown = msgpack({**FIRST, "other": 1})
    for name, plaintext in {
        "another-sequence": reference.plaintext_of_meta(2, content),
        "padding-not-zero": good[:-1] + b"\1",
        "length-too-large": good[:8] + b"\xff\xff\xff\xff" + good[12:],
        "length-too-small": good[:11] + bytes([good[11] - 1]) + good[12:],
        "signature-changed": reference.plaintext_of_meta(1, flip(content, 0)),
        "signature-of-another-key": reference.plaintext_of_meta(1, other),
        "body-changed": reference.plaintext_of_meta(1, flip(content, -1)),
        "body-malformed": reference.plaintext_of_meta(1, reference.signed(ADA, unknown)),
        "no-signature": reference.plaintext_of_meta(1, body),
        "short": good[:-1],
        "long": good + b"\0",
    }.items():
        yield open_meta(name, reference.sealed_meta(ADA, IV, plaintext), "forged")
    sealed = reference.sealed_meta(ADA, IV, good)
    yield open_meta("of-another-account", sealed, "forged", OTHER)
    yield open_meta("of-another-key", sealed, "forged", OTHER_KEY)
    yield open_meta("format-2", b"\2" + sealed[1:], "forged")
    yield open_meta("tag-changed", flip(sealed, -1), "forged")
    yield open_meta("empty", b"", "forged")


# --- what a client remembers, and words ----------------------------------------------------------


def remembered() -> Iterator[Case]:
    root, other = stream("root", 32), stream("another root", 32)
    known = state(5, root, writers(4, 2))
    full = state(70, root, writers(*range(1, 65)))
    others = [*writers(*range(1, 65))[1:], {"id": b"\xff" * 8, "count": 1}]
    for name, before, now, output in (
        ("same", known, known, {}),
        ("next", known, state(6, other, writers(5, 2)), {}),
        ("next-with-a-new-writer", known, state(6, other, writers(4, 2, 1)), {}),
        ("full-without-a-writer", full, state(71, other, others), {}),
        ("none", known, None, "rolled_back"),
        ("smaller", known, state(4, other, writers(4, 2)), "rolled_back"),
        ("smaller-with-the-same-root", known, state(4, root, writers(4, 2)), "rolled_back"),
        ("same-sequence", known, state(5, other, writers(4, 2)), "forked"),
        ("count-smaller", known, state(6, other, writers(3, 3)), "forked"),
        ("without-a-writer", known, state(6, other, writers(9)), "forked"),
        ("full-with-a-smaller-count", full, state(71, other, writers(*[1] * 64)), "forked"),
        ("63-without-a-writer", full, state(71, other, others[:63]), "forked"),
    ):
        yield vault(f"remembered-{name}", "remembered", {"before": before, "now": now}, output)
    for name, data in {"drawn": root, "zeros": bytes(32), "other": other}.items():
        spoken = {"text": reference.words(data)}
        yield vault(f"words-of-{name}", "words", {"root_hex": data.hex()}, spoken)
    full_list = writers(3, *[9] * 62, 3)
    the_65th = writers(*[0] * 64, 1)[64]
    for name, listed, writer, expected in (
        ("first", [], writers(1)[0], writers(1)),
        ("again", writers(1, 2), writers(5)[0], writers(5, 2)),
        ("another", writers(1, 2), writers(0, 0, 1)[2], writers(1, 2, 1)),
        # Of two with the smallest count, the one with the smaller id is left out.
        ("the-65th", full_list, the_65th, [*full_list[1:], the_65th]),
        ("of-64", full_list, writers(4)[0], [writers(4)[0], *full_list[1:]]),
    ):
        given = {"writers": hexed(listed), "writer": hexed(writer)}
        yield vault(f"writers-{name}", "written", given, {"writers": hexed(expected)})


def state(sequence: int, root: bytes, listed: list[Json]) -> Json:
    return {"sequence": sequence, "root_hex": root.hex(), "writers": hexed(listed)}


# --- merges --------------------------------------------------------------------------------------


def merges() -> Iterator[Case]:
    base = entry(1, version(1))
    ours, theirs = entry(1, version(2, writer=2)), entry(1, version(3, writer=3))
    both = entry(1, version(1), version(2))
    sides: dict[str, tuple[list[Json], list[Json], list[Json]]] = {
        "nothing": ([], [], []),
        "as-base": ([base], [base], [base]),
        "only-ours-changed": ([base], [ours], [base]),
        "only-theirs-changed": ([base], [base], [theirs]),
        "only-ours-new": ([], [ours], []),
        "only-theirs-new": ([], [], [theirs]),
        "only-ours-deleted": ([base], [], [base]),
        "only-theirs-deleted": ([base], [base], []),
        "both-deleted": ([base], [], []),
        "ours-changed-theirs-deleted": ([base], [ours], []),
        "ours-deleted-theirs-changed": ([base], [], [theirs]),
        "both-changed": ([base], [ours], [theirs]),
        "both-changed-to-the-same": ([base], [ours], [ours]),
        "both-resolved": ([both], [entry(1, version(4))], [entry(1, version(5))]),
        "ours-resolved-theirs-changed-again": (
            [both],
            [entry(1, version(4))],
            [entry(1, version(1), version(2), version(6))],
        ),
        "each-left-out-another": ([both], [entry(1, version(1))], [entry(1, version(2))]),
        # The same version in other blocks.
        "theirs-written-again-ours-renamed": (
            [base],
            [{**base, "name": "cakes"}],
            [entry(1, version(1, count=2))],
        ),
        "both-written-again": (
            [base],
            [entry(1, version(1, count=3))],
            [entry(1, version(1, count=2))],
        ),
        "ours-renamed": ([base], [{**base, "name": "cakes"}], [theirs]),
        "theirs-renamed": ([base], [ours], [{**base, "name": "cakes"}]),
        "both-renamed": ([base], [{**ours, "name": "a"}], [{**theirs, "name": "b"}]),
        "both-new-with-one-id": ([], [{**ours, "name": "a"}], [{**theirs, "name": "b"}]),
        "another-entry-stays": ([base], [base, entry(2)], [entry(0), theirs]),
        "more-than-16": (
            [],
            [entry(1, *(version(at, day=at % 3) for at in range(10)))],
            [entry(1, *(version(at, day=at % 3) for at in range(10, 20)))],
        ),
    }
    for name, (before, here, there) in sides.items():
        given = {"base": hexed(before), "ours": hexed(here), "theirs": hexed(there)}
        merged = reference.merge(before, here, there)
        yield vault(f"merge-{name}", "merge", given, {"entries": hexed(merged)})


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name and its content."""
    return {
        "vault_blocks": Subject("Sealed blocks, and what a reader of an extent checks.", blocks()),
        "vault_streams": Subject("Streams and nodes as bytes.", streams()),
        "vault_index": Subject(
            "Metas, entries, directories, the four words, and what a client remembers.",
            [*metas(), *entries(), *remembered()],
        ),
        "vault_merges": Subject("The entries after the changes of two devices.", merges()),
    }
