"""Values that only the owner of an account can read: the note and device records (VAULT §10, §11).

Zeros pad each value, so that its length shows only in steps.
"""

from dataclasses import dataclass, field

from protocol.common.codec import serialize_msgpack
from protocol.common.envelopes import Members
from protocol.common.errors import MalformedMessage

from .account import AccountKey, label, lp
from .errors import Malformed, Tampered
from .wraps import OVERHEAD_BYTES, seal, unseal

MAX_NOTE_BYTES = 65_536
MAX_RECORD_BYTES = 200
_PAGE_BYTES = 4_096
_RECORD_BYTES = 256
_SEQUENCE_BYTES, _LENGTH_BYTES = 8, 4
MAX_SEQUENCE = 2**53 - 1
MAX_DAY = 2**32 - 1

# The lengths of sealed values, in bytes.
SEALED_RECORD_BYTES = OVERHEAD_BYTES + _RECORD_BYTES
MAX_SEALED_NOTE_BYTES = OVERHEAD_BYTES + MAX_NOTE_BYTES + _PAGE_BYTES


def padded(sequence: int, text: bytes, step: int = _PAGE_BYTES) -> bytes:
    """u64(sequence) ‖ u32(length) ‖ text ‖ zeros, to a multiple of ``step`` bytes."""
    whole = sequence.to_bytes(_SEQUENCE_BYTES) + lp(text)
    return whole + bytes(-len(whole) % step)


def unpadded(data: bytes, step: int = _PAGE_BYTES) -> tuple[int, bytes]:
    """The sequence and the text of ``padded``. Raises: Tampered, for any other form."""
    start = _SEQUENCE_BYTES + _LENGTH_BYTES
    sequence = int.from_bytes(data[:_SEQUENCE_BYTES])
    length = int.from_bytes(data[_SEQUENCE_BYTES:start])
    text = data[start : start + length]
    if sequence > MAX_SEQUENCE or padded(sequence, text, step) != data:
        raise Tampered("a sealed value does not have the padding of this version")
    return sequence, text


def is_padded_note(sealed: bytes) -> bool:
    """Whether ``sealed`` has the length of a sealed note. All else about it only its owner sees."""
    pages, rest = divmod(len(sealed) - OVERHEAD_BYTES, _PAGE_BYTES)
    return pages >= 1 and rest == 0


@dataclass(frozen=True, slots=True)
class Note:
    """The note of an account. ``sequence`` is 1 for the first one, and one more at each change."""

    sequence: int
    text: str = field(repr=False)

    def seal(self, key: AccountKey, iv: bytes) -> bytes:
        """For the server. ``iv`` is 12 random bytes. Raises: Malformed."""
        try:
            text = self.text.encode()
        except UnicodeEncodeError:
            raise Malformed("the note has half of a surrogate pair") from None
        if len(text) > MAX_NOTE_BYTES:
            raise Malformed(f"a note has at most {MAX_NOTE_BYTES} bytes")
        if not 1 <= self.sequence <= MAX_SEQUENCE:
            raise Malformed(f"the sequence of a note is from 1 to {MAX_SEQUENCE}")
        return seal(key.derived("note"), iv, padded(self.sequence, text), _note_aad(key))

    @classmethod
    def open(cls, key: AccountKey, sealed: bytes) -> "Note":
        """Raises: Malformed, Tampered."""
        plaintext = unseal(key.derived("note"), sealed, _note_aad(key))
        if plaintext is None:
            raise Tampered("the server's note was not sealed by this account")
        sequence, text = unpadded(plaintext)
        if len(text) > MAX_NOTE_BYTES or sequence == 0:
            raise Tampered("the note is longer than a note can be, or has no sequence")
        try:
            return cls(sequence, text.decode())
        except UnicodeDecodeError:
            raise Tampered("the note is not text") from None


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What the owner sees of a device. ``day`` is days since 1970 at which it was added."""

    name: str
    kind: str
    day: int

    def seal(self, key: AccountKey, device_id: bytes, iv: bytes) -> bytes:
        """For the server (285 bytes). Raises: Malformed, if the names or the day are too long."""
        try:
            text = serialize_msgpack({"name": self.name, "kind": self.kind, "day": self.day})
        except (UnicodeEncodeError, OverflowError):
            raise Malformed("the name has half of a surrogate pair, or the day is long") from None
        if len(text) > MAX_RECORD_BYTES:
            raise Malformed(f"the record of a device has at most {MAX_RECORD_BYTES} bytes")
        if not 0 <= self.day <= MAX_DAY:
            raise Malformed(f"the day of a device is from 0 to {MAX_DAY}")
        aad = _record_aad(key, device_id)
        return seal(key.derived("devices"), iv, padded(0, text, _RECORD_BYTES), aad)

    @classmethod
    def open(cls, key: AccountKey, device_id: bytes, sealed: bytes) -> "DeviceRecord":
        """Raises: Malformed, Tampered."""
        if len(sealed) != SEALED_RECORD_BYTES:
            raise Malformed(f"the record of a device has {SEALED_RECORD_BYTES} bytes")
        plaintext = unseal(key.derived("devices"), sealed, _record_aad(key, device_id))
        if plaintext is None:
            raise Tampered("the record of a device was not sealed by this account")
        try:
            sequence, text = unpadded(plaintext, _RECORD_BYTES)
            if sequence or len(text) > MAX_RECORD_BYTES:
                raise Tampered("the record of a device has another length or sequence")
            members = Members.parse("msgpack", text)
            record = cls(members.text("name"), members.text("kind"), members.number("day", MAX_DAY))
            members.end()
        except MalformedMessage:
            raise Tampered("the record of a device is not a record") from None
        return record


def _note_aad(key: AccountKey) -> bytes:
    return label("note") + lp(key.account)


def _record_aad(key: AccountKey, device_id: bytes) -> bytes:
    return label("device record") + lp(key.account) + lp(device_id)
