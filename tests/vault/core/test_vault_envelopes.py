"""Envelopes to real device keys, and what no vector can hold (VAULT §26, §27)."""

from dataclasses import replace

import pytest
from make_vault_envelopes import ADA, DEVICE, ITEM, OTHER_DEVICE, Made
from vault_device_keys import FIRST, SECOND
from vault_envelope_runners import ENVELOPE_RUNNERS, unwrapping

from vault.core.account import AccountKey
from vault.core.device_keys import DeviceKey
from vault.core.envelopes import (
    MAX_ENVELOPE_BYTES,
    EnvelopeKey,
    open_by_device,
    open_envelope,
    seal_envelope,
)
from vault.core.errors import Malformed, Tampered

KEY = AccountKey(bytes(32), b"n" * 32)
DRAWN = EnvelopeKey(b"k" * 32, b"i" * 12, b"w" * 12)
PUBLIC = {
    device: key.public_key().export_key("DER")
    for device, key in ((DEVICE, FIRST), (OTHER_DEVICE, SECOND))
}
PRIVATE = {
    device: unwrapping(key.export_key("DER", pkcs=8))
    for device, key in ((DEVICE, FIRST), (OTHER_DEVICE, SECOND))
}
PINNED = [DeviceKey.pinned(KEY, device, public) for device, public in PUBLIC.items()]


def test_each_pinned_device_and_the_account_open_an_envelope() -> None:
    made = seal_envelope(KEY, ITEM, 3, b"secret", DRAWN, PINNED)
    assert open_envelope(KEY, made) == b"secret"
    for device, unwrap in PRIVATE.items():
        assert len(made.wraps[device]) == 384
        assert open_by_device(KEY.account, KEY.head.public, made, device, unwrap) == b"secret"
    with pytest.raises(Tampered):
        open_by_device(KEY.account, KEY.head.public, made, DEVICE, PRIVATE[OTHER_DEVICE])


def test_a_substituted_key_gets_no_wrap() -> None:
    substituted = replace(PINNED[0], public=PUBLIC[OTHER_DEVICE])
    with pytest.raises(Tampered, match="pinned"):
        seal_envelope(KEY, ITEM, 1, b"secret", DRAWN, [substituted])


def test_a_key_of_an_earlier_head_gets_no_wrap() -> None:
    rekeyed = AccountKey(KEY.account, b"m" * 32)
    with pytest.raises(Tampered, match="pinned"):
        seal_envelope(rekeyed, ITEM, 1, b"secret", DRAWN, PINNED)


def test_the_largest_envelope() -> None:
    data = bytes(MAX_ENVELOPE_BYTES)
    assert open_envelope(KEY, seal_envelope(KEY, ITEM, 1, data, DRAWN, [])) == data
    too_long = Made(ADA, text=data + b"\0").to_json()
    with pytest.raises(Tampered):
        ENVELOPE_RUNNERS["vault_open_envelope"](
            too_long | {"account_hex": ADA.account.hex(), "n_hex": ADA.n.hex()}
        )
    with pytest.raises(Malformed):
        seal_envelope(KEY, ITEM, 1, data + b"\0", DRAWN, [])
    with pytest.raises(Malformed):
        seal_envelope(KEY, ITEM, 2**53, b"", DRAWN, [])


def test_no_text_of_an_envelope_key_shows_the_key() -> None:
    assert "kkk" not in repr(DRAWN)
