"""What holds for every account, secret, text and byte of the vault's cryptography."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from make_vault_bodies import WHOLE
from make_vectors import flip
from vault_messages import MESSAGES

from examples import examples
from protocol.common.codec import serialize_msgpack
from protocol.common.primitives import P256_ORDER, Point
from vault.core import block_exchanges, exchanges, messages, statements
from vault.core.account import AccountKey, Owner, label, lp
from vault.core.errors import Malformed, Tampered, VaultError, WrongSecret
from vault.core.export import open_export, seal_export
from vault.core.index import META_BYTES
from vault.core.password import PasswordSecrets, password_bytes
from vault.core.primitives import SigningKey, is_signature
from vault.core.sealed_values import MAX_SEQUENCE, DeviceRecord, Note, padded, unpadded
from vault.core.spake2plus import (
    Confirmations,
    Transcript,
    prover_confirmations,
    prover_share,
    verifier_confirmations,
    verifier_share,
)
from vault.core.tokens import Hashes
from vault.core.unlock_secrets import SECRET_BYTES, UnlockSecret, code_of, read_code
from vault.core.wraps import Kind, seal, unwrap, wrap

ADA = Owner("ada", "gateway.example")
KEY = AccountKey(ADA.account, bytes(range(32)))
KEK, IV, DEVICE = b"k" * 32, b"i" * 12, b"d" * 16
KINDS: tuple[Kind, ...] = ("password", "recovery", "temporary", "device")
CODES: tuple[Kind, ...] = ("recovery", "temporary")


def raw(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


# Text without halves of surrogate pairs.
texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
owners = st.builds(Owner, names, names)
keys = st.builds(AccountKey, raw(32), raw(32))
public_keys = raw(32).map(lambda seed: SigningKey.of(seed).public)
numbers = st.integers(1, P256_ORDER - 1)
notes = st.binary(min_size=1, max_size=100)


# --- bodies --------------------------------------------------------------------------------------

secret_parts = st.builds(messages.SecretPart, public_keys, raw(61))
password_parts = st.builds(
    messages.PasswordPart,
    st.sampled_from([1, 2]),
    raw(16),
    numbers.map(lambda number: number.to_bytes(32)),
    numbers.map(lambda number: Point.of_generator(number).encode()),
    raw(61),
)
device_parts = st.builds(messages.DevicePart, raw(16), raw(285), st.none() | secret_parts)
device_lists = st.lists(device_parts, max_size=3, unique_by=lambda part: part.id).map(tuple)
replaced = st.tuples(raw(32), notes) | st.just((b"", None))
new_metas = st.tuples(raw(32), raw(99).map(lambda end: end.rjust(META_BYTES, b"m")))
rekeys = st.builds(
    lambda head, signature, note, devices, meta: messages.Rekey(
        head, signature, note[0], note[1], devices, meta[0], meta[1]
    ),
    public_keys,
    raw(64),
    replaced,
    device_lists,
    new_metas | st.just((None, None)),
)


@st.composite
def stages(draw: st.DrawFn) -> messages.StageChange:
    rekey = draw(st.none() | rekeys)
    password = draw(password_parts if rekey else st.none() | password_parts)
    recovery = draw(secret_parts if rekey or not password else st.none() | secret_parts)
    typed = draw(raw(64)) if recovery else None
    return messages.StageChange(draw(raw(32)), password, recovery, typed, rekey)


listed = st.builds(messages.ListedDevice, raw(16), raw(285), st.booleans())
ones = st.builds(block_exchanges.OneBlock, raw(16), raw(32))
some_ones = st.lists(ones, min_size=1, max_size=3).map(tuple)
# Whole blocks and metas from few drawn bytes.
whole_blocks = raw(16).map(lambda seed: seed * 1024)
metas = raw(9).map(lambda seed: (seed * 1369)[:META_BYTES])
new_blocks = st.builds(
    block_exchanges.NewBlock,
    raw(16),
    raw(16),
    whole_blocks,
    st.builds(Hashes, raw(32), raw(32), raw(32)),
)
reserved = st.builds(block_exchanges.ReservedId, raw(16), raw(16))
VALUES_OF_BLOCKS: dict[str, st.SearchStrategy[Any]] = {
    "StoredMeta": st.builds(block_exchanges.StoredMeta, st.none() | metas),
    "PutMeta": st.builds(block_exchanges.PutMeta, raw(32) | st.just(b""), metas),
    "BlockParameters": st.builds(
        block_exchanges.BlockParameters, st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1)
    ),
    "Reserve": st.builds(block_exchanges.Reserve, st.integers(1, 100)),
    "Reserved": st.builds(
        block_exchanges.Reserved, st.lists(reserved, min_size=1, max_size=3).map(tuple)
    ),
    "PutBlocks": st.builds(
        block_exchanges.PutBlocks,
        st.lists(new_blocks, min_size=1, max_size=2, unique_by=lambda new: new.id).map(tuple),
    ),
    "Receipts": st.builds(
        block_exchanges.Receipts, st.lists(raw(32), min_size=1, max_size=3).map(tuple)
    ),
    "GetBlocks": st.builds(block_exchanges.GetBlocks, some_ones),
    "FoundBlocks": st.builds(
        block_exchanges.FoundBlocks,
        st.lists(whole_blocks | st.just(b""), min_size=1, max_size=3).map(tuple),
    ),
    "RenewBlocks": st.builds(block_exchanges.RenewBlocks, some_ones),
    "RenewedBlocks": st.builds(
        block_exchanges.RenewedBlocks, st.lists(st.booleans(), min_size=1).map(tuple)
    ),
    "RetireBlocks": st.builds(block_exchanges.RetireBlocks, some_ones),
    "CheckBlocks": st.builds(block_exchanges.CheckBlocks, raw(16), some_ones),
    "CheckedBlocks": st.builds(
        block_exchanges.CheckedBlocks,
        st.lists(raw(32) | st.just(b""), min_size=1, max_size=3).map(tuple),
    ),
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **VALUES_OF_BLOCKS,
    "Account": st.builds(
        messages.AccountState,
        public_keys,
        raw(32),
        st.sampled_from([1, 2]),
        st.lists(listed, max_size=3).map(tuple),
        st.booleans(),
        st.booleans(),
    ),
    "CommitChange": st.builds(messages.CommitChange, raw(32), raw(32)),
    "CreateAccount": st.builds(
        messages.CreateAccount, public_keys, password_parts, secret_parts, raw(64), raw(64)
    ),
    "Opened": st.builds(messages.Opened, raw(61), public_keys, raw(32)),
    "StageChange": stages(),
    "BeginRun": st.builds(exchanges.BeginRun, raw(65)),
    "ConfirmRun": st.builds(exchanges.ConfirmRun, raw(16), raw(32)),
    "DeleteDevice": st.builds(exchanges.DeleteDevice, raw(32), raw(16)),
    "DeviceProof": st.builds(exchanges.DeviceProof, raw(16), raw(64)),
    "Parameters": st.builds(exchanges.Parameters, names, names, st.sampled_from([1, 2]), raw(16)),
    "Proof": st.builds(exchanges.Proof, raw(64)),
    "PutDevice": st.builds(exchanges.PutDevice, raw(32), device_parts),
    "PutNote": st.builds(exchanges.PutNote, raw(32) | st.just(b""), notes),
    "PutTemporary": st.builds(
        exchanges.PutTemporary, raw(32), secret_parts, st.integers(1, messages.MAX_TEMPORARY_S)
    ),
    "ResetWait": st.builds(exchanges.ResetWait, st.integers(0, exchanges.MAX_RESET_HOURS)),
    "Revision": st.builds(exchanges.Revision, raw(32)),
    "Run": st.builds(exchanges.Run, raw(16), raw(65), raw(32)),
    "Staged": st.builds(exchanges.Staged, raw(32)),
    "StoredNote": st.builds(exchanges.StoredNote, st.none() | notes),
    "VaultError": st.builds(exchanges.ErrorBody, names, names),
}
members = st.recursive(
    st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=70) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", MESSAGES)
@examples(20)
@given(data=st.data())
def test_a_body_that_was_written_is_read_as_it_was(name: str, data: st.DataObject) -> None:
    message = data.draw(VALUES[name])
    assert MESSAGES[name].parse(message.serialize()) == message


@pytest.mark.parametrize("name", MESSAGES)
@examples(40)
@given(data=st.binary(max_size=200))
def test_a_reader_of_bodies_refuses_bytes_as_malformed(name: str, data: bytes) -> None:
    _is_read(MESSAGES[name].parse, data)


@pytest.mark.parametrize("name", MESSAGES)
@examples(40)
@given(data=st.data(), value=members)
def test_a_reader_of_bodies_refuses_other_members_as_malformed(
    name: str, data: st.DataObject, value: Any
) -> None:
    changed = dict(WHOLE[name])
    changed[data.draw(st.sampled_from([*changed, "other"]))] = value
    _is_read(MESSAGES[name].parse, serialize_msgpack(changed))
    _is_read(MESSAGES[name].parse, serialize_msgpack(value))


@pytest.mark.parametrize("name", MESSAGES)
@examples(40)
@given(bit=st.integers(0, 30_000), end=st.integers(0, 5000))
def test_a_reader_of_bodies_refuses_changed_bytes_as_malformed(
    name: str, bit: int, end: int
) -> None:
    data = serialize_msgpack(WHOLE[name])
    _is_read(MESSAGES[name].parse, flip(data, bit))
    _is_read(MESSAGES[name].parse, data[: end % len(data)])


def _is_read(parse: Callable[[bytes], Any], data: bytes) -> None:
    """``parse`` reads ``data`` and writes the same bytes, or raises Malformed."""
    try:
        message = parse(data)
    except Malformed:
        return
    assert message.serialize() == data


# --- keys ----------------------------------------------------------------------------------------


@examples(50)
@given(first=owners, second=owners, n=raw(32), other_n=raw(32), secret=raw(32))
def test_no_two_accounts_kinds_or_purposes_share_a_key(
    first: Owner, second: Owner, n: bytes, other_n: bytes, secret: bytes
) -> None:
    assume(first != second and n != other_n)
    derived = []
    for owner in (first, second):
        for each in (n, other_n):
            key = AccountKey(owner.account, each)
            derived += [key.derived(name) for name in ("head", "note", "devices")]
            derived.append(key.head.public)
        for kind in SECRET_BYTES:
            made = UnlockSecret(owner.account, kind, secret)
            derived += [made.kek, made.proof_key.public]
    assert len(set(derived)) == len(derived)


@examples(200)
@given(
    parts=st.tuples(*[st.binary(max_size=5)] * 5), others=st.tuples(*[st.binary(max_size=5)] * 5)
)
def test_no_two_statements_are_the_same_bytes(
    parts: tuple[bytes, ...], others: tuple[bytes, ...]
) -> None:
    def all_of(a: bytes, b: bytes, c: bytes, d: bytes, e: bytes) -> list[bytes]:
        return [
            statements.request(a, b, c.hex(), d.hex(), e),
            *(statements.proof(a, b, kind, c) for kind in KINDS),
            statements.creation(a, b, c, d),
            statements.typed(a, b, c),
            statements.rekey(a, b, c),
        ]

    made = all_of(*parts)
    assert len(set(made)) == len(made)
    assert (made[0] == all_of(*others)[0]) == (parts == others)


def test_any_bit_of_a_signature_a_key_or_a_statement_counts() -> None:
    data = statements.request(bytes(32), ADA.account, "GET", "/vault/note", b"")
    key = KEY.head
    signature = key.sign(data)
    assert is_signature(key.public, signature, data)
    for bit in range(8 * len(signature)):
        assert not is_signature(key.public, flip(signature, bit), data)
    for bit in range(8 * len(key.public)):
        assert not is_signature(flip(key.public, bit), signature, data)
    for bit in range(8 * len(data)):
        assert not is_signature(key.public, signature, flip(data, bit))


@examples(200)
@given(key=st.binary(max_size=40), signature=st.binary(max_size=70), data=st.binary(max_size=9))
def test_random_bytes_are_no_signature(key: bytes, signature: bytes, data: bytes) -> None:
    assert not is_signature(key, signature, data)


# --- SPAKE2+ -------------------------------------------------------------------------------------


def both(
    client: tuple[Transcript, PasswordSecrets], server: tuple[Transcript, PasswordSecrets]
) -> tuple[Confirmations, Confirmations]:
    share_p, share_v = prover_share(client[1].w0, 5), verifier_share(server[1].w0, 7)
    w0, big_l = server[1].w0, server[1].verifier[1]
    return (
        prover_confirmations(*client, 5, share_p, share_v),
        verifier_confirmations(server[0], w0, big_l, 7, share_p, share_v),
    )


@examples(25)
@given(w0=numbers, w1=numbers, other=numbers)
def test_only_the_same_password_confirms(w0: int, w1: int, other: int) -> None:
    assume(other not in (w0, w1))
    transcript = Transcript.of(ADA, bytes(32), 1, bytes(16))
    right = (transcript, PasswordSecrets(w0, w1, b""))
    client, server = both(right, right)
    assert client == server
    for wrong in (PasswordSecrets(other, w1, b""), PasswordSecrets(w0, other, b"")):
        client, server = both((transcript, wrong), right)
        assert client.prover != server.prover
        assert client.verifier != server.verifier


def test_a_run_is_bound_to_its_session_user_and_parameters() -> None:
    secrets = PasswordSecrets(3, 4, b"")
    right = Transcript.of(ADA, bytes(32), 1, bytes(16))
    for other in (
        Transcript.of(Owner("bob", ADA.realm), bytes(32), 1, bytes(16)),
        Transcript.of(Owner("ada", "other"), bytes(32), 1, bytes(16)),
        Transcript.of(ADA, b"e" * 32, 1, bytes(16)),
        Transcript.of(ADA, bytes(32), 2, bytes(16)),
        Transcript.of(ADA, bytes(32), 1, b"s" * 16),
    ):
        client, server = both((right, secrets), (other, secrets))
        assert client.prover != server.prover
        assert client.verifier != server.verifier


# --- passwords and codes -------------------------------------------------------------------------


@examples(50)
@given(text=st.text(min_size=1, max_size=50))
def test_a_password_has_one_form(text: str) -> None:
    try:
        data = password_bytes(text)
    except Malformed:
        assert any(unicodedata.category(char) == "Cs" for char in text)
        return
    assert password_bytes(unicodedata.normalize("NFD", text)) == data
    assert password_bytes(data.decode()) == data


@pytest.mark.parametrize("kind", CODES)
@examples(100)
@given(data=st.data())
def test_a_code_is_read_however_it_was_typed(kind: Kind, data: st.DataObject) -> None:
    secret = data.draw(raw(SECRET_BYTES[kind]))
    typed = ""
    for char in code_of(kind, secret):
        spellings = {"0": "0Oo", "1": "1IiLl", "-": ["", "-", " ", "\n-\t"]}
        typed += data.draw(st.sampled_from(spellings.get(char, char + char.lower())))
    assert read_code(kind, typed) == secret


@pytest.mark.parametrize("kind", CODES)
@examples(100)
@given(data=st.data())
def test_a_code_with_a_wrong_character_is_not_read_as_the_secret(
    kind: Kind, data: st.DataObject
) -> None:
    secret = data.draw(raw(SECRET_BYTES[kind]))
    code = code_of(kind, secret).replace("-", "")
    at = data.draw(st.integers(0, len(code) - 1))
    char = data.draw(st.characters())
    typed = code[:at] + char + code[at + 1 :]
    try:
        found = read_code(kind, typed)
    except (Malformed, WrongSecret):
        return
    # About one wrong code of 4,096 has the right check. It is another secret.
    assert (found == secret) == (code_of(kind, found).replace("-", "") == code)


@pytest.mark.parametrize("kind", CODES)
@examples(200)
@given(text=st.text(st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZOILoilu- \u0131")) | st.text())
def test_a_reader_of_codes_refuses_texts(kind: Kind, text: str) -> None:
    try:
        secret = read_code(kind, text)
    except (Malformed, WrongSecret):
        return
    assert read_code(kind, code_of(kind, secret)) == secret


# --- sealed values -------------------------------------------------------------------------------


@examples(100)
@given(key=keys, kek=raw(32), iv=raw(12), kind=st.sampled_from(KINDS), subject=st.binary())
def test_a_wrap_gives_the_key_back(
    key: AccountKey, kek: bytes, iv: bytes, kind: Kind, subject: bytes
) -> None:
    assert unwrap(kek, wrap(kek, iv, key, kind, subject), key.account, kind, subject) == key


@pytest.mark.parametrize("kind", KINDS)
def test_any_bit_of_a_wrap_counts(kind: Kind) -> None:
    wrapped = wrap(KEK, IV, KEY, kind, DEVICE)
    for bit in range(8 * len(wrapped)):
        with pytest.raises((Malformed, WrongSecret)):
            unwrap(KEK, flip(wrapped, bit), KEY.account, kind, DEVICE)


@examples(100)
@given(key=keys, iv=raw(12), sequence=st.integers(1, MAX_SEQUENCE), text=texts)
def test_a_note_is_opened_as_it_was(key: AccountKey, iv: bytes, sequence: int, text: str) -> None:
    note = Note(sequence, text)
    sealed = note.seal(key, iv)
    assert Note.open(key, sealed) == note
    assert len(sealed) % 4096 == 29


@examples(300)
@given(bit=st.integers(0, 8 * 4125 - 1))
def test_any_bit_of_a_note_counts(bit: int) -> None:
    sealed = Note(1, "a note").seal(KEY, IV)
    with pytest.raises((Malformed, Tampered)):
        Note.open(KEY, flip(sealed, bit))


@examples(100)
@given(key=keys, device=raw(16), iv=raw(12), name=names, kind=names, day=st.integers(0, 2**32 - 1))
def test_a_record_is_opened_as_it_was(
    key: AccountKey, device: bytes, iv: bytes, name: str, kind: str, day: int
) -> None:
    record = DeviceRecord(name, kind, day)
    assert DeviceRecord.open(key, device, record.seal(key, device, iv)) == record


def test_any_bit_of_a_record_counts() -> None:
    sealed = DeviceRecord("phone", "browser", 20_000).seal(KEY, DEVICE, IV)
    for bit in range(8 * len(sealed)):
        with pytest.raises((Malformed, Tampered)):
            DeviceRecord.open(KEY, DEVICE, flip(sealed, bit))


@examples(5)
@given(text=texts, passphrase=names.filter(bool), salt=raw(16), iv=raw(12))
def test_an_export_is_opened_as_it_was(text: str, passphrase: str, salt: bytes, iv: bytes) -> None:
    assert open_export(seal_export(text, passphrase, salt, iv, 2), passphrase) == text


EXPORT = seal_export("a note", "passphrase", bytes(16), IV, 2)


@examples(25)
@given(bit=st.integers(0, 8 * len(EXPORT) - 1))
def test_any_bit_of_an_export_counts(bit: int) -> None:
    with pytest.raises(VaultError):
        open_export(flip(EXPORT, bit), "passphrase")


@examples(10)
@given(data=st.binary(max_size=80))
def test_a_reader_of_exports_refuses_bytes(data: bytes) -> None:
    for whole in (data, EXPORT[:24] + data, EXPORT[:41] + data):
        with pytest.raises(VaultError):
            open_export(whole, "passphrase")


@examples(300)
@given(data=st.binary(max_size=80))
def test_readers_of_sealed_values_refuse_bytes(data: bytes) -> None:
    for whole in (data, b"\1" + data, b"\1" + data + bytes(285)):
        with pytest.raises((Malformed, WrongSecret)):
            unwrap(KEK, whole[:61], KEY.account, "password")
        with pytest.raises((Malformed, Tampered)):
            Note.open(KEY, whole)
        with pytest.raises((Malformed, Tampered)):
            DeviceRecord.open(KEY, DEVICE, whole[:285])


@examples(200)
@given(plaintext=st.binary(max_size=256), value=members)
def test_readers_refuse_other_plaintexts_under_the_right_key(plaintext: bytes, value: Any) -> None:
    note_aad = label("note") + lp(KEY.account)
    record_aad = label("device record") + lp(KEY.account) + lp(DEVICE)
    written = serialize_msgpack(value)
    assume(not isinstance(value, dict) and len(written) <= 240)
    for data in (plaintext, plaintext.ljust(256, b"\0"), padded(0, written, 256)):
        with pytest.raises(Tampered):
            Note.open(KEY, seal(KEY.derived("note"), IV, data, note_aad))
        with pytest.raises((Malformed, Tampered)):
            DeviceRecord.open(KEY, DEVICE, seal(KEY.derived("devices"), IV, data, record_aad))


@examples(200)
@given(sequence=st.integers(0, MAX_SEQUENCE), text=st.binary(max_size=600), changed=st.integers())
def test_padding_has_one_form(sequence: int, text: bytes, changed: int) -> None:
    for step in (256, 4096):
        data = padded(sequence, text, step)
        assert unpadded(data, step) == (sequence, text)
        try:
            other = unpadded(flip(data, changed), step)
        except Tampered:
            continue
        assert other != (sequence, text)
