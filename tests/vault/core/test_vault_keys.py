"""The account key, the costs of a kdf, and what the text of an object shows."""

import pytest

from vault.core.account import AccountKey, Owner
from vault.core.errors import Malformed, Tampered, WeakKdf
from vault.core.exchanges import ConfirmRun
from vault.core.export import seal_export
from vault.core.messages import PasswordPart
from vault.core.password import KDFS, STRONGEST_KDF, PasswordSecrets, kdf_of
from vault.core.primitives import SigningKey
from vault.core.sealed_values import MAX_NOTE_BYTES, DeviceRecord, Note
from vault.core.spake2plus import Confirmations
from vault.core.unlock_secrets import UnlockSecret

SECRET = b"SECRET-SECRET-SECRET-SECRET-SECR"


def test_the_head_that_the_server_names_is_compared() -> None:
    key = AccountKey(bytes(32), SECRET)
    key.check_head(key.head.public)
    with pytest.raises(Tampered):
        key.check_head(AccountKey(b"1" * 32, SECRET).head.public)


def test_the_first_kdf_is_the_strongest() -> None:
    assert max(KDFS, key=lambda kdf: KDFS[kdf].cost) == STRONGEST_KDF == 1
    assert kdf_of(1).cost == 3 * 65_536
    assert kdf_of(2).cost == 2 * 19_456
    with pytest.raises(WeakKdf, match="update this client"):
        kdf_of(3)


def test_a_note_and_an_export_have_at_most_65_536_bytes() -> None:
    longest = "\xe9" * (MAX_NOTE_BYTES // 2)
    key, iv = AccountKey(bytes(32), SECRET), bytes(12)
    assert Note.open(key, Note(1, longest).seal(key, iv)).text == longest
    assert seal_export(longest, "passphrase", bytes(16), iv, 2)
    with pytest.raises(Malformed):
        Note(1, longest + "a").seal(key, iv)
    with pytest.raises(Malformed):
        seal_export(longest + "a", "passphrase", bytes(16), iv, 2)


@pytest.mark.parametrize("day", [-1, 2**32, 2**64])
def test_a_day_that_no_reader_takes_is_not_written(day: int) -> None:
    with pytest.raises(Malformed):
        DeviceRecord("phone", "browser", day).seal(AccountKey(bytes(32), SECRET), bytes(16), b"")


@pytest.mark.parametrize(
    "value",
    [
        AccountKey(bytes(32), SECRET),
        SigningKey.of(SECRET),
        UnlockSecret(bytes(32), "device", SECRET),
        PasswordSecrets(int.from_bytes(SECRET), int.from_bytes(SECRET), SECRET),
        PasswordPart(1, bytes(16), SECRET, SECRET, bytes(61)),
        Confirmations(SECRET, SECRET, SECRET),
        ConfirmRun(bytes(16), SECRET),
        Note(1, SECRET.decode()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_text_of_an_object_holds_no_secret(value: object) -> None:
    assert "SECRET" not in repr(value)
    assert str(int.from_bytes(SECRET)) not in repr(value)


def test_names_of_accounts_do_not_run_together() -> None:
    owners = [Owner("ab", "c"), Owner("b", "ca"), Owner("", "abc"), Owner("abc", "")]
    assert len({owner.account for owner in owners}) == len(owners)
