"""The vectors of the vault (VAULT.md). ``RUNNERS`` has one function for each kind of test."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import make_vault_vectors
import pytest
from vault_envelope_runners import ENVELOPE_RUNNERS
from vault_index_runners import INDEX_RUNNERS
from vault_messages import MESSAGES, body_of, joined
from vector_files import Json, names_of_files, read_all, stale

from protocol.common.codec import parse_msgpack
from protocol.common.primitives import sha256
from vault.core import expiry, messages, statements, tokens
from vault.core.account import AccountKey, Owner, next_revision
from vault.core.errors import (
    Forged,
    Forked,
    Malformed,
    Missing,
    RolledBack,
    Swapped,
    Tampered,
    TooLarge,
    WeakKdf,
    WrongSecret,
)
from vault.core.export import open_export, seal_export
from vault.core.password import PasswordSecrets
from vault.core.primitives import SigningKey, is_signature
from vault.core.sealed_values import DeviceRecord, Note
from vault.core.spake2plus import (
    Transcript,
    prover_confirmations,
    prover_share,
    verifier_confirmations,
    verifier_share,
)
from vault.core.unlock_secrets import UnlockSecret, code_of, read_code
from vault.core.wraps import unwrap, wrap

FILES = [name for name in names_of_files() if name.startswith("vault_")]
LOADED = read_all(FILES)

ERRORS: dict[type[Exception], str] = {
    Malformed: "malformed",
    Tampered: "tampered",
    TooLarge: "too_large",
    WeakKdf: "weak_kdf",
    WrongSecret: "wrong_secret",
    **{alarm: alarm.name for alarm in (Forged, Forked, Missing, RolledBack, Swapped)},
}


class _Refused(Exception):
    """A signature is not valid."""


ERRORS[_Refused] = "refused"


def _raw(given: Json, name: str) -> bytes:
    return bytes.fromhex(given[f"{name}_hex"])


def _number(given: Json, name: str) -> int:
    return int.from_bytes(_raw(given, name))


def _owner(given: Json) -> Owner:
    return Owner(given["username"], given["realm"])


def _key(given: Json) -> AccountKey:
    return AccountKey(_raw(given, "account"), _raw(given, "n"))


def _hexed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hexed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hexed(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def account(given: Json) -> Json:
    owner = _owner(given)
    key = AccountKey(owner.account, _raw(given, "n"))
    key.check_head(key.head.public)
    return {
        "account_hex": owner.account.hex(),
        "head_hex": key.head.public.hex(),
        "note_key_hex": key.derived("note").hex(),
        "devices_key_hex": key.derived("devices").hex(),
    }


def secret_keys(given: Json) -> Json:
    secret = UnlockSecret(_owner(given).account, given["secret_kind"], _raw(given, "secret"))
    return {"kek_hex": secret.kek.hex(), "proof_hex": secret.proof_key.public.hex()}


def revision(given: Json) -> Json:
    return {"revision_hex": next_revision(_raw(given, "before"), _raw(given, "body")).hex()}


def statement(given: Json) -> Json:
    parts = {name: _raw(given, name) for name in ("account", "exported") if f"{name}_hex" in given}
    match given["statement"]:
        case "proof":
            subject = _raw(given, "subject")
            data = statements.proof(**parts, kind=given["secret_kind"], subject=subject)
        case "request":
            target, body = given["target"], _raw(given, "body")
            data = statements.request(**parts, method=given["method"], target=target, body=body)
        case "create":
            head = _raw(given, "head")
            data = statements.creation(**parts, head=head, proof_key=_raw(given, "proof"))
        case "typed":
            data = statements.typed(**parts, proof_key=_raw(given, "proof"))
        case _:
            head = _raw(given, "head")
            data = statements.rekey(**parts, revision=_raw(given, "revision"), head=head)
    key = SigningKey.of(_raw(given, "seed"))
    return {
        "statement_hex": data.hex(),
        "public_hex": key.public.hex(),
        "signature_hex": key.sign(data).hex(),
    }


def verify(given: Json) -> Json:
    if not is_signature(_raw(given, "public"), _raw(given, "signature"), _raw(given, "data")):
        raise _Refused
    return {}


def password(given: Json) -> Json:
    secrets = PasswordSecrets.derive(
        given["password"], _raw(given, "salt"), given["kdf"], _owner(given)
    )
    w0, big_l = secrets.verifier
    return {
        "w0_hex": w0.hex(),
        "w1_hex": secrets.w1.to_bytes(32).hex(),
        "l_hex": big_l.hex(),
        "kek_hex": secrets.kek.hex(),
    }


def _run(given: Json, transcript: Transcript, secrets: PasswordSecrets) -> Json:
    """Both sides. A share in ``given`` arrives instead of the one that was sent."""
    x, y = _number(given, "x"), _number(given, "y")
    share_p, share_v = prover_share(secrets.w0, x), verifier_share(secrets.w0, y)
    got_p = _raw(given, "shareP") if "shareP_hex" in given else share_p
    got_v = _raw(given, "shareV") if "shareV_hex" in given else share_v
    big_l = secrets.verifier[1]
    verifier = verifier_confirmations(transcript, secrets.w0, big_l, y, got_p, share_v)
    prover = prover_confirmations(transcript, secrets, x, share_p, got_v)
    assert prover == verifier
    return {
        "shareP_hex": share_p.hex(),
        "shareV_hex": share_v.hex(),
        "confirmP_hex": prover.prover.hex(),
        "confirmV_hex": prover.verifier.hex(),
        "shared_hex": prover.shared.hex(),
    }


def run(given: Json) -> Json:
    names = (_raw(given, "prover"), _raw(given, "verifier"))
    secrets = PasswordSecrets(_number(given, "w0"), _number(given, "w1"), b"")
    return _run(given, Transcript(_raw(given, "context"), *names), secrets)


def unlock(given: Json) -> Json:
    owner, salt = _owner(given), _raw(given, "salt")
    transcript = Transcript.of(owner, _raw(given, "exported"), given["kdf"], salt)
    secrets = PasswordSecrets.derive(given["password"], salt, given["kdf"], owner)
    return {"context_hex": transcript.context.hex(), **_run(given, transcript, secrets)}


def write_code(given: Json) -> Json:
    return {"text": code_of(given["secret_kind"], _raw(given, "secret"))}


def run_read_code(given: Json) -> Json:
    return {"secret_hex": read_code(given["secret_kind"], given["text"]).hex()}


def seal_wrap(given: Json) -> Json:
    kind, subject = given["wrap_kind"], _raw(given, "subject")
    return {
        "wrap_hex": wrap(_raw(given, "kek"), _raw(given, "iv"), _key(given), kind, subject).hex()
    }


def open_wrap(given: Json) -> Json:
    kek, wrapped, name = (_raw(given, part) for part in ("kek", "wrap", "account"))
    key = unwrap(kek, wrapped, name, given["wrap_kind"], _raw(given, "subject"))
    assert key.account == name
    return {"n_hex": key.n.hex()}


def seal_note(given: Json) -> Json:
    sealed = Note(given["sequence"], given["text"]).seal(_key(given), _raw(given, "iv"))
    return {"sealed_hex": sealed.hex(), "digest_hex": messages.digest(sealed).hex()}


def note_digest(given: Json) -> Json:
    text = "".join(
        bytes.fromhex(part["hex"]).decode() * part["times"] for part in given["text_parts"]
    )
    note = Note(given["sequence"], text)
    sealed = note.seal(_key(given), _raw(given, "iv"))
    assert Note.open(_key(given), sealed) == note
    return {"digest_hex": messages.digest(sealed).hex()}


def open_note(given: Json) -> Json:
    note = Note.open(_key(given), _raw(given, "sealed"))
    return {"sequence": note.sequence, "text": note.text}


def seal_record(given: Json) -> Json:
    record = DeviceRecord(given["name"], given["kind"], given["day"])
    return {"sealed_hex": record.seal(_key(given), _raw(given, "id"), _raw(given, "iv")).hex()}


def open_record(given: Json) -> Json:
    record = DeviceRecord.open(_key(given), _raw(given, "id"), _raw(given, "sealed"))
    return {"name": record.name, "kind": record.kind, "day": record.day}


def run_seal_export(given: Json) -> Json:
    salt, iv = _raw(given, "salt"), _raw(given, "iv")
    return {
        "export_hex": seal_export(given["text"], given["passphrase"], salt, iv, given["kdf"]).hex()
    }


def run_open_export(given: Json) -> Json:
    return {"text": open_export(_raw(given, "export"), given["passphrase"])}


def body(given: Json) -> Json:
    data = body_of(given)
    assert MESSAGES[given["message"]].parse(data).serialize() == data
    if "parts" in given:
        return {"digest_hex": sha256(data).hex()}
    return {"members": _hexed(parse_msgpack(data))}


def run_tokens(given: Json) -> Json:
    tokens_of, block_id = tokens.Tokens.of(_key(given)), _raw(given, "id")
    hashes = tokens_of.hashes(block_id)
    return {
        "write_hex": tokens_of.write(block_id).hex(),
        "read_hex": tokens_of.read(block_id).hex(),
        "renew_hex": tokens_of.renew(block_id).hex(),
        "write_hash_hex": hashes.write.hex(),
        "read_hash_hex": hashes.read.hex(),
        "renew_hash_hex": hashes.renew.hex(),
    }


def permit(given: Json) -> Json:
    made = tokens.permit(_raw(given, "key"), _raw(given, "id"), given["bucket"])
    return {"permit_hex": made.hex()}


def receipt(given: Json) -> Json:
    made = tokens.receipt(_raw(given, "id"), joined(given["block_parts"]))
    return {"receipt_hex": made.hex()}


def check(given: Json) -> Json:
    return {"check_hex": tokens.check(_raw(given, "nonce"), joined(given["block_parts"])).hex()}


def tombstone(given: Json) -> Json:
    return {"tombstone_hex": tokens.tombstone(_raw(given, "id")).hex()}


def bucket(given: Json) -> Json:
    assert 0 <= given["jitter_s"] <= expiry.most_jitter_s(given["frame_s"])
    return {"bucket": expiry.bucket_of(given["now_s"], given["frame_s"], given["jitter_s"])}


def safe_until(given: Json) -> Json:
    renewed, frame_s = given["renewed"], given["frame_s"]
    until_s = expiry.safe_until_s(renewed, frame_s)
    # The server still has the block in the second before, and not after it.
    assert not expiry.is_over(renewed, expiry.bucket_of(until_s - 1, frame_s))
    assert expiry.is_over(renewed, expiry.bucket_of(until_s, frame_s))
    return {"safe_until_s": until_s}


RUNNERS: dict[str, Callable[[Json], Json]] = {
    "vault_account": account,
    "vault_secret_keys": secret_keys,
    "vault_revision": revision,
    "vault_statement": statement,
    "vault_verify": verify,
    "vault_password": password,
    "vault_run": run,
    "vault_unlock": unlock,
    "vault_write_code": write_code,
    "vault_read_code": run_read_code,
    "vault_seal_wrap": seal_wrap,
    "vault_open_wrap": open_wrap,
    "vault_seal_note": seal_note,
    "vault_note_digest": note_digest,
    "vault_open_note": open_note,
    "vault_seal_record": seal_record,
    "vault_open_record": open_record,
    "vault_seal_export": run_seal_export,
    "vault_open_export": run_open_export,
    "vault_body": body,
    "vault_tokens": run_tokens,
    "vault_permit": permit,
    "vault_receipt": receipt,
    "vault_check": check,
    "vault_tombstone": tombstone,
    "vault_bucket": bucket,
    "vault_safe_until": safe_until,
    **INDEX_RUNNERS,
    **ENVELOPE_RUNNERS,
}


@pytest.mark.parametrize("name", LOADED)
def test_vector(name: str) -> None:
    case = LOADED[name]
    found: tuple[str, Json | None]
    try:
        found = "ok", RUNNERS[case["kind"]](case["input"])
    except tuple(ERRORS) as error:
        found = ERRORS[type(error)], None
    assert found == (case["expect"], case.get("output"))


def test_the_files_are_what_the_generator_writes() -> None:
    made = make_vault_vectors.subjects()
    assert set(made) == set(FILES)
    assert stale(made) == []


def test_the_reference_computes_what_rfc_9383_prints() -> None:
    assert make_vault_vectors.RFC.to_json() == make_vault_vectors.RFC_OUTPUT


def test_every_case_is_well_formed() -> None:
    for name, case in LOADED.items():
        assert set(case) <= {"name", "comment", "kind", "input", "expect", "output"}
        assert (case["expect"] == "ok") == ("output" in case) == name.endswith("-ok")
    assert {case["kind"] for case in LOADED.values()} == set(RUNNERS)
    assert {case["expect"] for case in LOADED.values()} == {"ok", *ERRORS.values()}


def test_failures_outnumber_successes() -> None:
    counts = Counter(case["expect"] == "ok" for case in LOADED.values())
    assert counts[False] > 2 * counts[True]


def test_every_message_has_a_success_and_failures() -> None:
    for message in MESSAGES:
        expected = [
            case["expect"] for case in LOADED.values() if case["input"].get("message") == message
        ]
        assert set(expected) >= {"ok", "malformed"}, message
