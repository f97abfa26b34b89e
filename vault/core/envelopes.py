"""Envelopes: data under a key that is wrapped to each device and to the account (VAULT §27)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from protocol.common.primitives import sha256

from .account import KEY_BYTES, AccountKey, label, lp
from .device_keys import DeviceKey
from .errors import Malformed, Tampered
from .primitives import is_signature, oaep_wrap
from .sealed_values import MAX_SEQUENCE, padded, unpadded
from .wraps import seal, unseal

ITEM_BYTES = 16
MAX_ENVELOPE_BYTES = 65_536
_STEP_BYTES = 256
# The wrap to the account key has no device.
ACCOUNT = b""

# The key in a wrap of this device under this label, or None.
Unwrap: TypeAlias = Callable[[bytes, bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One version of an item, as the server stores it.

    ``wraps`` has a wrap for each id of a device, and one for ``ACCOUNT``.
    """

    item: bytes
    version: int
    data: bytes
    wraps: Mapping[bytes, bytes]
    signature: bytes

    def check(self, account: bytes, head: bytes) -> None:
        """Check that the owner of ``head`` made all of this envelope. Raises: Tampered."""
        statement = _statement(account, self.item, self.version, self.data, self.wraps)
        if not is_signature(head, self.signature, statement):
            raise Tampered("the header of an envelope was not signed by this account")


@dataclass(frozen=True, slots=True)
class EnvelopeKey:
    """The random values of one version: a key (32 bytes) and two IVs (12 bytes each)."""

    key: bytes = field(repr=False)
    iv: bytes
    wrap_iv: bytes


def seal_envelope(
    key: AccountKey,
    item: bytes,
    version: int,
    data: bytes,
    drawn: EnvelopeKey,
    devices: Iterable[DeviceKey],
) -> Envelope:
    """An envelope for the account and for ``devices``. Raises: Malformed, Tampered."""
    if len(item) != ITEM_BYTES or not 1 <= version <= MAX_SEQUENCE:
        raise Malformed(f"an item has an id of {ITEM_BYTES} bytes and a version from 1")
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Malformed(f"an envelope has at most {MAX_ENVELOPE_BYTES} bytes of data")
    account = key.account
    aad = _key_label(account, item, ACCOUNT)
    wraps = {ACCOUNT: seal(key.derived("envelope"), drawn.wrap_iv, drawn.key, aad)}
    for device in devices:
        device.check(account, key.head.public)
        named = _key_label(account, item, device.id)
        wraps[device.id] = oaep_wrap(device.public, drawn.key, named)
    text = padded(version, data, _STEP_BYTES)
    sealed = seal(drawn.key, drawn.iv, text, _data_aad(account, item, version))
    signature = key.head.sign(_statement(account, item, version, sealed, wraps))
    return Envelope(item, version, sealed, wraps, signature)


def open_envelope(key: AccountKey, envelope: Envelope) -> bytes:
    """The data, by the account key. Raises: Malformed, Tampered."""
    envelope.check(key.account, key.head.public)
    aad = _key_label(key.account, envelope.item, ACCOUNT)
    return _opened(
        key.account, envelope, unseal(key.derived("envelope"), _wrap(envelope, ACCOUNT), aad)
    )


def open_by_device(
    account: bytes, head: bytes, envelope: Envelope, device: bytes, unwrap: Unwrap
) -> bytes:
    """The data, by the private key of ``device``. Raises: Malformed, Tampered.

    ``head`` is the one that this device remembers. A head that the server names proves nothing.
    """
    envelope.check(account, head)
    named = _key_label(account, envelope.item, device)
    return _opened(account, envelope, unwrap(_wrap(envelope, device), named))


def _wrap(envelope: Envelope, device: bytes) -> bytes:
    if device not in envelope.wraps:
        raise Malformed("this envelope was not made for this device: write it again with N")
    return envelope.wraps[device]


def _opened(account: bytes, envelope: Envelope, key: bytes | None) -> bytes:
    if key is None or len(key) != KEY_BYTES:
        raise Tampered("the wrap of an envelope does not belong to this item and this device")
    aad = _data_aad(account, envelope.item, envelope.version)
    text = unseal(key, envelope.data, aad)
    if text is None:
        raise Tampered("the data of an envelope does not belong to its header")
    version, data = unpadded(text, _STEP_BYTES)
    if version != envelope.version or len(data) > MAX_ENVELOPE_BYTES:
        raise Tampered("the data of an envelope has another version, or is too long")
    return data


def _key_label(account: bytes, item: bytes, device: bytes) -> bytes:
    return label("envelope key") + lp(account) + lp(item) + lp(device)


def _data_aad(account: bytes, item: bytes, version: int) -> bytes:
    return label("envelope data") + lp(account) + lp(item) + version.to_bytes(8)


def _statement(
    account: bytes, item: bytes, version: int, data: bytes, wraps: Mapping[bytes, bytes]
) -> bytes:
    listed = b"".join(lp(device) + lp(wraps[device]) for device in sorted(wraps))
    named = lp(account) + lp(item) + version.to_bytes(8)
    return label("envelope") + named + sha256(data) + sha256(label("envelope wraps") + listed)
