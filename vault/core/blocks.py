"""The sealed block: 16,384 bytes for any length of data (VAULT §18.3)."""

from protocol.common.primitives import GCM_TAG_BYTES, aes_gcm_open, aes_gcm_seal, hkdf

from .account import AccountKey, label, lp
from .errors import Forged, Malformed
from .tokens import BLOCK_BYTES

BLOCK_SALT_BYTES = 32
_FORMAT = b"\x01"
_START = len(_FORMAT) + BLOCK_SALT_BYTES
_KEY_BYTES, _IV_BYTES = 32, 12
_LENGTH_BYTES = 4
_PAYLOAD_BYTES = BLOCK_BYTES - _START - GCM_TAG_BYTES
MAX_DATA_BYTES = _PAYLOAD_BYTES - _LENGTH_BYTES


def seal_block(key: AccountKey, block_id: bytes, salt: bytes, data: bytes) -> bytes:
    """The block with ``data`` (1 to 16,331 bytes). ``salt`` is 32 random bytes.

    Raises: Malformed, for another length of the data.
    """
    if not 1 <= len(data) <= MAX_DATA_BYTES:
        raise Malformed(f"a block has 1 to {MAX_DATA_BYTES} bytes of data")
    aad, secret, iv = _parts(key, block_id, salt)
    return _FORMAT + salt + aes_gcm_seal(secret, iv, _padded(data), aad)


def open_block(key: AccountKey, block_id: bytes, block: bytes) -> bytes:
    """The data of ``block``. Raises: Forged."""
    if len(block) != BLOCK_BYTES or block[:1] != _FORMAT:
        raise Forged("a block has another length or another format: update this client")
    aad, secret, iv = _parts(key, block_id, block[len(_FORMAT) : _START])
    payload = aes_gcm_open(secret, iv, block[_START:], aad)
    if payload is None:
        raise Forged("a block was not sealed by this account")
    length = int.from_bytes(payload[:_LENGTH_BYTES])
    data = payload[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if not data or _padded(data) != payload:
        raise Forged("a block does not have the padding of this version")
    return data


def _padded(data: bytes) -> bytes:
    return lp(data).ljust(_PAYLOAD_BYTES, b"\0")


def _parts(key: AccountKey, block_id: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """The associated data, the key and the IV of one block."""
    aad = label("block") + lp(block_id)
    derived = hkdf(key.derived("block"), salt, aad, _KEY_BYTES + _IV_BYTES)
    return aad, derived[:_KEY_BYTES], derived[_KEY_BYTES:]
