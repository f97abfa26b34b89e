"""Makes the vectors of the bodies of the vault's routes (VAULT §8 to §15).

Each body is valid, or has one fault: a member is missing, unknown, or has another length, type or
value. A fault inside a part is tried in the message that is the shortest with this part.
"""

import re
from collections.abc import Iterator
from typing import Any

import vault_block_bodies
from hardened_reference import ORDER, G, encode_point, finish, msgpack, times
from make_vectors import flip, stream
from vault_reference import public_key, sha256
from vector_files import Case, Json

POINT = encode_point(times(5, G))
REVISION, DIGEST = stream("vault revision", 32), stream("vault digest", 32)
SIGNATURE, TYPED = stream("vault signature", 64), stream("vault typed", 64)
RUN, CONFIRM = stream("vault run", 16), stream("vault confirm", 32)
NOTE = b"\1" + stream("vault note", 60)
RECORD = b"\1" + stream("vault record", 284)
SMALL_ORDER = (1).to_bytes(32, "little")


def key(name: str) -> bytes:
    return public_key(stream(f"vault {name}", 32))


def wrap(name: str) -> bytes:
    return b"\1" + stream(f"vault {name} wrap", 60)


def device(number: int = 0, secret: bool = True) -> Json:
    part: Json = {"id": stream(f"vault device {number}", 16), "record": RECORD}
    return part | ({"proof": key("device"), "wrap": wrap("device")} if secret else {})


LISTED = {"id": stream("vault device 0", 16), "record": RECORD, "opens": 1}
PASSWORD = {
    "kdf": 1,
    "salt": stream("vault salt", 16),
    "w0": stream("vault w0", 32),
    "l": POINT,
    "wrap": wrap("password"),
}
RECOVERY = {"proof": key("recovery"), "wrap": wrap("recovery")}
REKEY = {
    "head": key("new head"),
    "signature": SIGNATURE,
    "previous": DIGEST,
    "note": NOTE,
    "devices": [device(0), device(1, secret=False)],
    "previous_meta": DIGEST,
    "meta": bytes(12_317),
}
STAGE = {"revision": REVISION, "password": PASSWORD, "recovery": RECOVERY, "typed": TYPED}
WHOLE: dict[str, Json] = {
    "Parameters": {
        "username": "ada",
        "realm": "gateway.example",
        "kdf": 2,
        "salt": PASSWORD["salt"],
    },
    "BeginRun": {"share": POINT},
    "Run": {"run": RUN, "share": POINT, "confirm": CONFIRM},
    "ConfirmRun": {"run": RUN, "confirm": CONFIRM},
    "Proof": {"signature": SIGNATURE},
    "DeviceProof": {"id": device()["id"], "signature": SIGNATURE},
    "Opened": {"wrap": wrap("password"), "head": key("head"), "revision": REVISION},
    "Revision": {"revision": REVISION},
    "Staged": {"digest": DIGEST},
    "CreateAccount": {
        "head": key("head"),
        "password": PASSWORD,
        "recovery": RECOVERY,
        "signature": SIGNATURE,
        "typed": TYPED,
    },
    "Account": {
        "head": key("head"),
        "revision": REVISION,
        "kdf": 1,
        "devices": [LISTED],
        "temporary": 1,
        "reset": 0,
    },
    "StageChange": {**STAGE, "rekey": REKEY},
    "CommitChange": {"revision": REVISION, "digest": DIGEST},
    "PutTemporary": {"revision": REVISION, **RECOVERY, "lifetime_s": 604_800},
    "PutDevice": {"revision": REVISION, "device": device()},
    "DeleteDevice": {"revision": REVISION, "id": device()["id"]},
    "StoredNote": {"note": NOTE},
    "PutNote": {"previous": DIGEST, "note": NOTE},
    "ResetWait": {"hours": 169},
    "VaultError": {"error": "refused", "message": "Wrong: try again."},
    **vault_block_bodies.WHOLE,
}
OPTIONAL = {("StoredNote", "note"), ("StoredMeta", "meta")}
# Messages with a list of maps whose members are tried.
LISTED_IN = {"Account", "Reserved", "PutBlocks", "GetBlocks"}
HIGHEST = {"kdf": 2, "lifetime_s": 604_800, "hours": 169, **vault_block_bodies.HIGHEST}
FROM_1 = {"kdf", "lifetime_s", "frame_s", "count"}
# Long values of the same bytes are written by parts.
_RUN = re.compile(rb"(.)\1{2047,}", re.DOTALL)
# Parts whose faults are tried in a shorter message.
TRIED_ELSEWHERE = {("StageChange", "password"), ("StageChange", "recovery")}


def body(message: str, name: str, members: Any, expect: str = "malformed") -> Case:
    data = members if isinstance(members, bytes) else msgpack(members)
    given: Json = {"message": message, "hex": data.hex()}
    output = {"members": hexed(members)} if expect == "ok" else {}
    if _RUN.search(data):
        given = {"message": message, "parts": parts_of(data)}
        output = {"digest_hex": sha256(data).hex()} if expect == "ok" else {}
    return finish(f"vault-body-{message}-{name}", "vault_body", None, given, expect, output)


def parts_of(data: bytes) -> list[Json]:
    """``data`` as bytes in hexadecimal, each with how often it comes."""
    parts, end = [], 0
    for run in _RUN.finditer(data):
        if run.start() > end:
            parts.append({"hex": data[end : run.start()].hex(), "times": 1})
        parts.append({"hex": run[1].hex(), "times": len(run[0])})
        end = run.end()
    return [*parts, *([{"hex": data[end:].hex(), "times": 1}] if end < len(data) else [])]


def hexed(value: Any) -> Any:
    """``value`` as JSON, with bytes in hexadecimal."""
    if isinstance(value, dict):
        return {name: hexed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [hexed(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def bodies() -> Iterator[Case]:
    for message, members in WHOLE.items():
        yield body(message, "whole", members, "ok")
        for name, changed in faults(message, members, ()):
            yield body(message, name, changed)
    yield from other_forms()
    yield from other_faults()
    yield from other_encodings()
    for message, name, members in vault_block_bodies.forms():
        yield body(message, name, members, "ok")
    for message, name, members, expect in vault_block_bodies.faults():
        yield body(message, name, members, expect)


def faults(message: str, members: Json, path: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    """``members`` with one fault each."""
    where = "-".join(path)
    prefix = where and f"{where}-"
    yield f"{prefix}unknown-member", {**members, "other": 1}
    for name, value in members.items():
        if (message, name) in TRIED_ELSEWHERE:
            continue
        if (message, name) not in OPTIONAL and not (message == "StageChange" and not path):
            yield f"{prefix}{name}-missing", {k: v for k, v in members.items() if k != name}
        for fault, changed in faults_of(name, value):
            yield f"{prefix}{name}-{fault}", {**members, name: changed}
        if isinstance(value, dict):
            for fault, changed in faults(message, value, (*path, name)):
                yield fault, {**members, name: changed}
        if isinstance(value, list) and message in LISTED_IN:
            for fault, changed in faults(message, value[0], (*path, name)):
                yield fault, {**members, name: [changed]}


def faults_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Values that the member ``name`` cannot have."""
    if isinstance(value, bytes):
        yield "text", value.hex()
        if name != "note":
            yield "short", value[:-1]
            yield "long", value + b"\0"
    elif isinstance(value, int):
        yield "too-large", HIGHEST.get(name, 1) + 1
        yield "below-0", -1
        yield "bytes", b"\1"
        if name in FROM_1:
            yield "0", 0
    elif isinstance(value, str):
        yield "bytes", value.encode()
        yield "1025-characters", "a" * 1025
    elif isinstance(value, list):
        yield "map", {}
        yield "of-texts", ["a"]
    else:
        yield "list", []
        yield "bytes", b""


def other_forms() -> Iterator[Case]:
    """Bodies without members that are optional, and values at their limits."""
    for message, name, members in (
        ("StageChange", "password-only", {"revision": REVISION, "password": PASSWORD}),
        (
            "StageChange",
            "recovery-only",
            {"revision": REVISION, "recovery": RECOVERY, "typed": TYPED},
        ),
        ("StageChange", "password-and-recovery", STAGE),
        ("StageChange", "rekey-without-note", stage(without(REKEY, "note") | {"previous": b""})),
        ("StageChange", "rekey-without-meta", stage(without(REKEY, "previous_meta", "meta"))),
        ("StageChange", "rekey-without-devices", stage(REKEY | {"devices": []})),
        ("StageChange", "32-devices", stage(REKEY | {"devices": many(32)})),
        ("PutDevice", "record-only", {"revision": REVISION, "device": device(secret=False)}),
        ("StoredNote", "empty", {}),
        ("PutNote", "first", {"previous": b"", "note": NOTE}),
        ("PutTemporary", "1-s", {**WHOLE["PutTemporary"], "lifetime_s": 1}),
        ("Account", "without-devices", {**WHOLE["Account"], "devices": []}),
        ("Account", "to-be-reset", {**WHOLE["Account"], "reset": 1, "temporary": 0, "kdf": 2}),
        ("Account", "record-only", {**WHOLE["Account"], "devices": [LISTED | {"opens": 0}]}),
        ("ResetWait", "due", {"hours": 0}),
        ("VaultError", "empty-message", {"error": "conflict", "message": ""}),
    ):
        yield body(message, name, members, "ok")


def other_faults() -> Iterator[Case]:
    """Faults that concern several members, or the values of points, numbers and keys."""
    for name, members in {
        "without-a-part": {"revision": REVISION},
        "typed-only": {"revision": REVISION, "typed": TYPED},
        "recovery-without-typed": {"revision": REVISION, "recovery": RECOVERY},
        "typed-without-recovery": without(STAGE, "recovery"),
        "revision-missing": without(STAGE, "revision"),
        "rekey-without-password": without(stage(REKEY), "password"),
        "rekey-without-recovery": without(stage(REKEY), "recovery", "typed"),
        "rekey-only": {"revision": REVISION, "rekey": REKEY},
        "rekey-note-without-previous": stage(REKEY | {"previous": b""}),
        "rekey-previous-without-note": stage(without(REKEY, "note")),
        "rekey-note-empty": stage(REKEY | {"note": b""}),
        "rekey-device-twice": stage(REKEY | {"devices": [device(), device(secret=False)]}),
        "rekey-head-of-small-order": stage(REKEY | {"head": SMALL_ORDER}),
        "rekey-device-short-record": stage(
            REKEY | {"devices": [device() | {"record": RECORD[1:]}]}
        ),
    }.items():
        yield body("StageChange", name, members)
    create = WHOLE["CreateAccount"]
    for name, part in {
        "w0-of-0": {"w0": bytes(32)},
        "w0-of-n": {"w0": ORDER.to_bytes(32)},
        "l-not-on-the-curve": {"l": flip(POINT, -1)},
        "l-zeros": {"l": bytes(65)},
        "l-compressed-form": {"l": b"\2" + POINT[1:]},
    }.items():
        yield body("CreateAccount", name, {**create, "password": PASSWORD | part})
    yield body("CreateAccount", "head-of-small-order", {**create, "head": SMALL_ORDER})
    proof = {**create, "recovery": RECOVERY | {"proof": b"\xff" * 32}}
    yield body("CreateAccount", "proof-not-canonical", proof)
    yield body("Opened", "head-of-small-order", {**WHOLE["Opened"], "head": SMALL_ORDER})
    for missing in ("proof", "wrap"):
        part = without(device(), missing)
        yield body("PutDevice", f"without-{missing}", {"revision": REVISION, "device": part})
    yield body("PutNote", "note-empty", {"previous": DIGEST, "note": b""})
    yield body("StoredNote", "note-empty", {"note": b""})
    too_many = stage(REKEY | {"devices": many(33)})
    yield body("StageChange", "rekey-33-devices", too_many, "too_large")
    account = {**WHOLE["Account"], "devices": listed(33)}
    yield body("Account", "33-devices", account, "too_large")
    note = {"previous": DIGEST, "note": bytes(69_662)}
    yield body("PutNote", "note-too-long", note, "too_large")


def other_encodings() -> Iterator[Case]:
    for name, data in {
        "empty": b"",
        "list": msgpack([REVISION]),
        "bytes-behind-it": msgpack({"revision": REVISION}) + b"\0",
        "cut": msgpack({"revision": REVISION})[:-1],
        "member-twice": b"\x82" + 2 * msgpack({"revision": REVISION})[1:],
        "not-the-shortest": b"\xde\0\1" + msgpack({"revision": REVISION})[1:],
        "as-json": b'{"revision":""}',
        "nil": b"\xc0",
        "member-nil": b"\x81" + msgpack("revision") + b"\xc0",
    }.items():
        yield body("Revision", name, data)


def stage(rekey: Json) -> Json:
    return {**STAGE, "rekey": rekey}


def many(count: int) -> list[Json]:
    return [device(number, secret=False) for number in range(count)]


def listed(count: int) -> list[Json]:
    return [part | {"opens": 0} for part in many(count)]


def without(members: Json, *names: str) -> Json:
    return {name: value for name, value in members.items() if name not in names}
