"""The grammar and the tables of VAULT.md are those of vault/core."""

import re
from typing import Any

import documents
import pytest
from grammar import assert_they_agree, is_valid, msgpack_of
from make_vault_bodies import WHOLE
from processes import ROOT
from vault_messages import MESSAGES, body_of
from vector_files import read

from protocol.common.codec import parse_msgpack
from vault.core import (
    attempts,
    block_exchanges,
    bodies,
    expiry,
    messages,
    resets,
    sealed_values,
    unlock_secrets,
)
from vault.core.account import AccountKey, label, lp
from vault.core.password import KDFS, MAX_PASSWORD_CHARS, SALT_BYTES
from vault.core.unlock_secrets import SECRET_BYTES, code_of
from vault.core.wraps import WRAP_BYTES, seal

SPEC = documents.read("spec/VAULT.md")
SOURCE = "\n".join(path.read_text("utf-8") for path in (ROOT / "vault" / "core").glob("*.py"))
KEY = AccountKey(bytes(32), b"n" * 32)
# Members about which a parser says more than the validator checks.
BEYOND = {
    # Parts that need each other.
    "StageChange": ["password", "recovery", "typed", "rekey"],
    "PutDevice": ["device"],
    # The validator takes an unknown member of a map in a list, and an empty text as empty bytes.
    "Account": ["devices"],
    "PutNote": ["previous"],
    "PutMeta": ["previous"],
    # The validator takes an unknown member of a map in a list, an empty list, and other numbers.
    "Reserved": ["ids"],
    "PutBlocks": ["blocks"],
    "GetBlocks": ["blocks"],
    "FoundBlocks": ["blocks"],
    "RenewBlocks": ["blocks"],
    "RetireBlocks": ["blocks"],
    "CheckBlocks": ["blocks"],
    "Receipts": ["receipts"],
    "RenewedBlocks": ["renewed"],
    "CheckedBlocks": ["digests"],
}


def number(text: str) -> int:
    return int(text.replace(",", ""))


# --- the grammar ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_the_grammar_and_the_parser_accept_the_same_bodies(name: str) -> None:
    def parse(value: Any) -> object:
        return MESSAGES[name].parse(msgpack_of(value))

    assert_they_agree(name, parse, WHOLE[name], beyond=BEYOND.get(name, ()))


def test_the_bodies_of_the_vectors_are_valid() -> None:
    seen = set()
    for case in read("vault_bodies").values():
        if case["expect"] == "ok":
            name = case["input"]["message"]
            seen.add(name)
            assert is_valid(name, parse_msgpack(body_of(case["input"]))), case["name"]
    assert seen == set(MESSAGES)


def test_the_record_of_a_device() -> None:
    device_id = b"i" * 16
    aad = label("device record") + lp(KEY.account) + lp(device_id)

    def parse(value: Any) -> object:
        plaintext = sealed_values.padded(0, msgpack_of(value), 256)
        sealed = seal(KEY.derived("devices"), bytes(12), plaintext, aad)
        return sealed_values.DeviceRecord.open(KEY, device_id, sealed)

    assert_they_agree("DeviceRecord", parse, {"name": "phone", "kind": "browser", "day": 20_000})


def test_every_route_names_a_rule_of_the_grammar() -> None:
    rows = documents.table(SPEC, "14. Routes")
    named = {cell for row in rows for cell in row[2:] if cell}
    assert named == set(MESSAGES) - {"VaultError"}


# --- tables --------------------------------------------------------------------------------------


def test_the_parameters_of_argon2id() -> None:
    rows = documents.table(SPEC, "3.2 The password")
    assert {number(row[0]): tuple(map(number, row[1:])) for row in rows} == {
        kdf: (cost.memory_kib, cost.passes, cost.lanes) for kdf, cost in KDFS.items()
    }
    assert f"1 to {MAX_PASSWORD_CHARS:,} characters" in SPEC
    assert f"a salt of {SALT_BYTES} bytes" in SPEC


def test_the_secrets_and_their_codes() -> None:
    secrets = documents.table(SPEC, "3.3 Recovery code, temporary key, device secret")
    assert {row[0]: int(row[1].split()[0]) for row in secrets} == SECRET_BYTES
    codes = {row[0]: tuple(map(int, row[1:])) for row in documents.table(SPEC, "4. Codes")}
    assert codes == {
        kind: (
            8 * SECRET_BYTES[kind],
            bits,
            len(code_of(kind, bytes(SECRET_BYTES[kind])).replace("-", "")),
        )
        for kind, bits in unlock_secrets._CHECK_BITS.items()
    }


def test_the_limits() -> None:
    limits = {row[0]: number(row[1]) for row in documents.table(SPEC, "16. Limits")}
    assert limits["devices of an account"] == messages.MAX_DEVICES
    assert limits["body of a request, bytes"] == bodies.MAX_BODY_BYTES
    assert limits["record of a device, bytes"] == sealed_values.SEALED_RECORD_BYTES
    assert limits["note, bytes"] == sealed_values.MAX_SEALED_NOTE_BYTES
    assert limits["body of a request of blocks, bytes"] == block_exchanges.MAX_BLOCKS_BODY_BYTES
    assert limits["blocks in a request of put, get or check"] == block_exchanges.MAX_BLOCKS
    assert limits["blocks in a request of renew or retire"] == block_exchanges.MAX_RENEWED
    assert limits["ids in a reservation"] == block_exchanges.MAX_RESERVED
    assert f"A wrap has {WRAP_BYTES} bytes" in SPEC
    assert f"`text` has at most {sealed_values.MAX_NOTE_BYTES:,} bytes" in SPEC
    assert f"in msgpack, of at most {sealed_values.MAX_RECORD_BYTES} bytes" in SPEC
    assert f"lifetime_s: 1..{messages.MAX_TEMPORARY_S} " in SPEC


def test_the_waiting_times() -> None:
    day_ms = 24 * resets.HOUR_MS
    assert f"After {attempts.FREE_ATTEMPTS} attempts in a row" in SPEC
    assert f"waits {attempts.FIRST_WAIT_MS // 1000} s before" in SPEC
    assert f"up to {attempts.LONGEST_WAIT_MS // resets.HOUR_MS} hours" in SPEC
    assert f"after {attempts.FORGOTTEN_AFTER_MS // day_ms} days without" in SPEC
    first, last = resets.DELAY_HOURS // 24, resets.LIFETIME_HOURS // 24
    assert f"From {first} to {last} days after the request" in SPEC


def test_the_frame_and_the_jitter() -> None:
    assert f"`frame` is {expiry.FRAME_S:,} s (a year)" in SPEC
    assert "from 0 to an eighth of the frame" in SPEC
    assert expiry.most_jitter_s(80) == 10


def test_the_purposes_of_keys_and_statements() -> None:
    rows = documents.table(SPEC, "3.1 The keys of an account")
    purposes = {purpose for row in rows for purpose in row[0].split(", ")}
    used = set(re.findall(r'\bderived\("([a-z ]+)"\)', SOURCE))
    assert used == purposes
    labels = set(re.findall(r'\blabel\("([a-z ]+)"\)', SOURCE))
    # V(use) of a token.
    named = set(re.findall(r'V\("([a-z ]+)"\)', SPEC)) | {"write", "read", "renew"}
    # The server derives the salt of a decoy.
    assert named - labels == {"decoy salt"}
    assert labels <= named
