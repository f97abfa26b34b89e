"""The accounts, changes of keys and devices in bodies (VAULT §8 to §10, §14).

Longer than other modules because it has a class for each part of an account.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from protocol.common.primitives import POINT_BYTES, sha256

from .account import REVISION_BYTES
from .bodies import Body, serialized, whole
from .errors import Malformed, TooLarge
from .index import META_BYTES
from .password import SALT_BYTES
from .primitives import SIGNATURE_BYTES
from .sealed_values import MAX_SEALED_NOTE_BYTES, SEALED_RECORD_BYTES
from .spake2plus import read_verifier
from .unlock_secrets import DEVICE_ID_BYTES
from .wraps import WRAP_BYTES

MAX_DEVICES = 32
RUN_BYTES = 16
DIGEST_BYTES = 32
MAX_TEMPORARY_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class PasswordPart:
    """The password as the server keeps it."""

    kdf: int
    salt: bytes
    w0: bytes = field(repr=False)
    big_l: bytes = field(repr=False)
    wrap: bytes

    @classmethod
    def take(cls, body: Body) -> Self:
        part = cls(
            body.kdf("kdf"),
            body.raw("salt", SALT_BYTES),
            body.raw("w0", 32),
            body.raw("l", POINT_BYTES),
            body.raw("wrap", WRAP_BYTES),
        )
        body.end()
        read_verifier(part.w0, part.big_l)
        return part

    def members(self) -> dict[str, Any]:
        return {
            "kdf": self.kdf,
            "salt": self.salt,
            "w0": self.w0,
            "l": self.big_l,
            "wrap": self.wrap,
        }


@dataclass(frozen=True, slots=True)
class SecretPart:
    """A recovery code, a temporary key or a device secret as the server keeps it."""

    proof: bytes
    wrap: bytes

    @classmethod
    def take(cls, body: Body) -> Self:
        return cls(body.public_key("proof"), body.raw("wrap", WRAP_BYTES))

    def members(self) -> dict[str, Any]:
        return {"proof": self.proof, "wrap": self.wrap}


@dataclass(frozen=True, slots=True)
class DevicePart:
    """A device as the server keeps it. Without a ``secret`` it cannot unlock."""

    id: bytes
    record: bytes
    secret: SecretPart | None

    @classmethod
    def take(cls, body: Body) -> Self:
        device_id = body.raw("id", DEVICE_ID_BYTES)
        record = body.raw("record", SEALED_RECORD_BYTES)
        secret = SecretPart.take(body) if body.has("proof") or body.has("wrap") else None
        body.end()
        return cls(device_id, record, secret)

    def members(self) -> dict[str, Any]:
        secret = self.secret.members() if self.secret else {}
        return {"id": self.id, "record": self.record, **secret}


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """PUT /account."""

    head: bytes
    password: PasswordPart
    recovery: SecretPart
    signature: bytes
    typed: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.public_key("head"),
                PasswordPart.take(body.nested("password")),
                _secret(body.nested("recovery")),
                body.raw("signature", SIGNATURE_BYTES),
                body.raw("typed", SIGNATURE_BYTES),
            ),
        )

    def serialize(self) -> bytes:
        return serialized(
            head=self.head,
            password=self.password.members(),
            recovery=self.recovery.members(),
            signature=self.signature,
            typed=self.typed,
        )


@dataclass(frozen=True, slots=True)
class Rekey:
    """A new account key, with everything that is sealed under it.

    ``previous`` is the digest of the note that ``note`` replaces; empty if there is no note.
    ``previous_meta`` is that of the meta, and None if there is no meta.
    """

    head: bytes
    signature: bytes
    previous: bytes
    note: bytes | None
    devices: tuple[DevicePart, ...]
    previous_meta: bytes | None = None
    meta: bytes | None = None

    @classmethod
    def take(cls, body: Body) -> Self:
        rekey = cls(
            body.public_key("head"),
            body.raw("signature", SIGNATURE_BYTES),
            body.raw("previous", 0, DIGEST_BYTES),
            sealed_note(body.raw("note")) if body.has("note") else None,
            unique_devices(map(DevicePart.take, body.list("devices", MAX_DEVICES))),
            body.raw("previous_meta", DIGEST_BYTES) if body.has("previous_meta") else None,
            body.raw("meta", META_BYTES) if body.has("meta") else None,
        )
        body.end()
        if bool(rekey.previous) != (rekey.note is not None):
            raise Malformed("a new account key needs the note, and the digest of the old note")
        if (rekey.previous_meta is None) != (rekey.meta is None):
            raise Malformed("a new account key needs the meta, and the digest of the old meta")
        return rekey

    def members(self) -> dict[str, Any]:
        note = {} if self.note is None else {"note": self.note}
        devices = [device.members() for device in self.devices]
        signed = {"head": self.head, "signature": self.signature}
        meta = {} if self.meta is None else {"previous_meta": self.previous_meta, "meta": self.meta}
        return {**signed, "previous": self.previous, **note, "devices": devices, **meta}


@dataclass(frozen=True, slots=True)
class StageChange:
    """POST /change. It has at least one of ``password``, ``recovery`` and ``rekey``."""

    revision: bytes
    password: PasswordPart | None = None
    recovery: SecretPart | None = None
    typed: bytes | None = None
    rekey: Rekey | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        message = whole(
            data,
            lambda body: cls(
                body.raw("revision", REVISION_BYTES),
                PasswordPart.take(body.nested("password")) if body.has("password") else None,
                _secret(body.nested("recovery")) if body.has("recovery") else None,
                body.raw("typed", SIGNATURE_BYTES) if body.has("typed") else None,
                Rekey.take(body.nested("rekey")) if body.has("rekey") else None,
            ),
        )
        message.check()
        return message

    def check(self) -> None:
        """Raises: Malformed, if parts are missing."""
        if not (self.password or self.recovery or self.rekey):
            raise Malformed("a change has at least one part")
        if (self.recovery is None) != (self.typed is None):
            raise Malformed("a new recovery code needs the signature of the code that was typed")
        if self.rekey and not (self.password and self.recovery):
            raise Malformed("a new account key needs a password and a recovery code")

    def serialize(self) -> bytes:
        return serialized(
            revision=self.revision,
            password=self.password and self.password.members(),
            recovery=self.recovery and self.recovery.members(),
            typed=self.typed,
            rekey=self.rekey and self.rekey.members(),
        )


@dataclass(frozen=True, slots=True)
class CommitChange:
    """POST /change/commit."""

    revision: bytes
    digest: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.raw("revision", REVISION_BYTES), body.raw("digest", DIGEST_BYTES)
            ),
        )

    def serialize(self) -> bytes:
        return serialized(revision=self.revision, digest=self.digest)


@dataclass(frozen=True, slots=True)
class Opened:
    """The wrap, once its secret was proved."""

    wrap: bytes
    head: bytes
    revision: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.raw("wrap", WRAP_BYTES),
                body.public_key("head"),
                body.raw("revision", REVISION_BYTES),
            ),
        )

    def serialize(self) -> bytes:
        return serialized(wrap=self.wrap, head=self.head, revision=self.revision)


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device in the list of an account. ``opens`` says whether it has a wrap."""

    id: bytes
    record: bytes
    opens: bool


@dataclass(frozen=True, slots=True)
class AccountState:
    """GET /account."""

    head: bytes
    revision: bytes
    kdf: int
    devices: tuple[ListedDevice, ...]
    has_temporary: bool
    is_to_be_reset: bool

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.public_key("head"),
                body.raw("revision", REVISION_BYTES),
                body.kdf("kdf"),
                tuple(map(_listed, body.list("devices", MAX_DEVICES))),
                bool(body.number("temporary", 1)),
                bool(body.number("reset", 1)),
            ),
        )

    def serialize(self) -> bytes:
        devices = [
            {"id": device.id, "record": device.record, "opens": int(device.opens)}
            for device in self.devices
        ]
        return serialized(
            head=self.head,
            revision=self.revision,
            kdf=self.kdf,
            devices=devices,
            temporary=int(self.has_temporary),
            reset=int(self.is_to_be_reset),
        )


def digest(data: bytes) -> bytes:
    """The digest of a stored note, or of the body of a stage (VAULT §9, §14)."""
    return sha256(data)


def sealed_note(note: bytes) -> bytes:
    """``note``, if it can be a sealed note. Raises: Malformed, TooLarge."""
    if not note:
        raise Malformed("a sealed note has at least 1 byte")
    if len(note) > MAX_SEALED_NOTE_BYTES:
        raise TooLarge(f"a sealed note has at most {MAX_SEALED_NOTE_BYTES} bytes")
    return note


def unique_devices(devices: Iterable[DevicePart]) -> tuple[DevicePart, ...]:
    """Raises: Malformed, if an id occurs twice."""
    listed = tuple(devices)
    if len({device.id for device in listed}) != len(listed):
        raise Malformed("two devices have the same id")
    return listed


def _secret(body: Body) -> SecretPart:
    part = SecretPart.take(body)
    body.end()
    return part


def _listed(body: Body) -> ListedDevice:
    device = ListedDevice(
        body.raw("id", DEVICE_ID_BYTES),
        body.raw("record", SEALED_RECORD_BYTES),
        bool(body.number("opens", 1)),
    )
    body.end()
    return device
