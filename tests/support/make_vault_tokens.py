"""Makes the vectors of tokens, permits, receipts, tombstones and buckets (VAULT §18, §22)."""

from collections.abc import Iterator
from dataclasses import replace

from hardened_reference import finish
from make_vectors import stream
from vault_reference import (
    User,
    bucket,
    check,
    permit,
    receipt,
    safe_until,
    sha256,
    token,
    tombstone,
)
from vector_files import Case, Json

ADA = User()
ID, OTHER_ID = stream("vault block id", 16), stream("vault another block id", 16)
KEY, NONCE = stream("vault permit key", 32), stream("vault nonce", 16)
YEAR_S = 31_557_600
BLOCKS: dict[str, list[Json]] = {
    "whole": [{"hex": "01", "times": 1}, {"hex": "00", "times": 16_383}],
    "other": [{"hex": "01", "times": 1}, {"hex": "ab", "times": 16_383}],
}


def _case(name: str, kind: str, given: Json, output: Json) -> Case:
    return finish(f"vault-{name}", f"vault_{kind}", None, given, "ok", output)


def tokens() -> Iterator[Case]:
    users = {
        "ada": ADA,
        "another-user": replace(ADA, username="bob"),
        "another-key": replace(ADA, n=bytes(32)),
    }
    for name, user in users.items():
        for which, block_id in (("id", ID), ("other-id", OTHER_ID), ("zeros", bytes(16))):
            given: Json = {
                "account_hex": user.account.hex(),
                "n_hex": user.n.hex(),
                "id_hex": block_id.hex(),
            }
            output: Json = {}
            for use in ("write", "read", "renew"):
                value = token(user, use, block_id)
                output[f"{use}_hex"] = value.hex()
                output[f"{use}_hash_hex"] = sha256(value).hex()
            yield _case(f"tokens-{name}-{which}", "tokens", given, output)
    for name, key, block_id, number in (
        ("now", KEY, ID, 56),
        ("next", KEY, ID, 57),
        ("first", KEY, ID, 0),
        ("last", KEY, ID, 2**32 - 1),
        ("another-id", KEY, OTHER_ID, 56),
        ("another-key", bytes(32), ID, 56),
    ):
        given = {"key_hex": key.hex(), "id_hex": block_id.hex(), "bucket": number}
        output = {"permit_hex": permit(key, block_id, number).hex()}
        yield _case(f"permit-{name}", "permit", given, output)
    for name, parts in BLOCKS.items():
        block = b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in parts)
        for which, block_id in (("id", ID), ("other-id", OTHER_ID)):
            given = {"id_hex": block_id.hex(), "block_parts": parts}
            output = {"receipt_hex": receipt(block_id, block).hex()}
            yield _case(f"receipt-{name}-{which}", "receipt", given, output)
        for which, nonce in (("nonce", NONCE), ("zeros", bytes(16))):
            given = {"nonce_hex": nonce.hex(), "block_parts": parts}
            output = {"check_hex": check(nonce, block).hex()}
            yield _case(f"check-{name}-{which}", "check", given, output)
    for which, block_id in (("id", ID), ("other-id", OTHER_ID)):
        output = {"tombstone_hex": tombstone(block_id).hex()}
        yield _case(f"tombstone-{which}", "tombstone", {"id_hex": block_id.hex()}, output)


def buckets() -> Iterator[Case]:
    for name, now_s, jitter_s, frame_s in (
        ("first", 0, 0, YEAR_S),
        ("end-of-the-first", YEAR_S - 1, 0, YEAR_S),
        ("second", YEAR_S, 0, YEAR_S),
        ("last-second", 56 * YEAR_S - 1, 0, YEAR_S),
        ("jitter-of-1-s", 56 * YEAR_S - 1, 1, YEAR_S),
        ("most-jitter", 56 * YEAR_S - YEAR_S // 8, YEAR_S // 8, YEAR_S),
        ("less-than-most-jitter", 56 * YEAR_S - YEAR_S // 8 - 1, YEAR_S // 8, YEAR_S),
        ("another-frame", 1_800_000_000, 7, 86_400),
    ):
        given: Json = {"now_s": now_s, "jitter_s": jitter_s, "frame_s": frame_s}
        output: Json = {"bucket": bucket(now_s, frame_s, jitter_s)}
        yield _case(f"bucket-{name}", "bucket", given, output)
    for name, number, frame_s in (
        ("first", 0, YEAR_S),
        ("now", 56, YEAR_S),
        ("days", 20_000, 86_400),
    ):
        given = {"renewed": number, "frame_s": frame_s}
        output = {"safe_until_s": safe_until(number, frame_s)}
        yield _case(f"safe-until-{name}", "safe_until", given, output)
