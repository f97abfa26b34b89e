"""The short bodies of the routes: unlocking, temporary keys, devices, the note (VAULT §14)."""

from dataclasses import dataclass, field
from typing import Self

from protocol.common.primitives import POINT_BYTES

from .account import REVISION_BYTES
from .bodies import serialized, whole
from .errors import Malformed
from .messages import (
    DIGEST_BYTES,
    MAX_TEMPORARY_S,
    RUN_BYTES,
    DevicePart,
    SecretPart,
    sealed_note,
)
from .password import SALT_BYTES
from .primitives import SIGNATURE_BYTES
from .spake2plus import CONFIRMATION_BYTES
from .unlock_secrets import DEVICE_ID_BYTES

# 7 days after the hour of the request, which is rounded up.
MAX_RESET_HOURS = 7 * 24 + 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """The response of GET /parameters. The names are those of the account."""

    username: str
    realm: str
    kdf: int
    salt: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.text("username"),
                body.text("realm"),
                body.kdf("kdf"),
                body.raw("salt", SALT_BYTES),
            ),
        )

    def serialize(self) -> bytes:
        return serialized(username=self.username, realm=self.realm, kdf=self.kdf, salt=self.salt)


@dataclass(frozen=True, slots=True)
class BeginRun:
    """POST /unlock/password: shareP."""

    share: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raw("share", POINT_BYTES)))

    def serialize(self) -> bytes:
        return serialized(share=self.share)


@dataclass(frozen=True, slots=True)
class Run:
    """Its response: the number of the run, shareV and confirmV."""

    run: bytes
    share: bytes
    confirm: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.raw("run", RUN_BYTES),
                body.raw("share", POINT_BYTES),
                body.raw("confirm", CONFIRMATION_BYTES),
            ),
        )

    def serialize(self) -> bytes:
        return serialized(run=self.run, share=self.share, confirm=self.confirm)


@dataclass(frozen=True, slots=True)
class ConfirmRun:
    """POST /unlock/confirm: the number of the run, and confirmP."""

    run: bytes
    confirm: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(body.raw("run", RUN_BYTES), body.raw("confirm", CONFIRMATION_BYTES)),
        )

    def serialize(self) -> bytes:
        return serialized(run=self.run, confirm=self.confirm)


@dataclass(frozen=True, slots=True)
class Proof:
    """POST /unlock/recovery and POST /unlock/temporary."""

    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raw("signature", SIGNATURE_BYTES)))

    def serialize(self) -> bytes:
        return serialized(signature=self.signature)


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """POST /unlock/device."""

    id: bytes
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.raw("id", DEVICE_ID_BYTES), body.raw("signature", SIGNATURE_BYTES)
            ),
        )

    def serialize(self) -> bytes:
        return serialized(id=self.id, signature=self.signature)


@dataclass(frozen=True, slots=True)
class Revision:
    """DELETE /account, DELETE /reset, and the response to each change."""

    revision: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raw("revision", REVISION_BYTES)))

    def serialize(self) -> bytes:
        return serialized(revision=self.revision)


@dataclass(frozen=True, slots=True)
class Staged:
    """The response of POST /change."""

    digest: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.raw("digest", DIGEST_BYTES)))

    def serialize(self) -> bytes:
        return serialized(digest=self.digest)


@dataclass(frozen=True, slots=True)
class PutTemporary:
    """PUT /temporary."""

    revision: bytes
    secret: SecretPart
    lifetime_s: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        message = whole(
            data,
            lambda body: cls(
                body.raw("revision", REVISION_BYTES),
                SecretPart.take(body),
                body.number("lifetime_s", MAX_TEMPORARY_S),
            ),
        )
        if not message.lifetime_s:
            raise Malformed("a temporary key lives for at least one second")
        return message

    def serialize(self) -> bytes:
        members = self.secret.members()
        return serialized(revision=self.revision, **members, lifetime_s=self.lifetime_s)


@dataclass(frozen=True, slots=True)
class PutDevice:
    """PUT /devices."""

    revision: bytes
    device: DevicePart

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(
                body.raw("revision", REVISION_BYTES), DevicePart.take(body.nested("device"))
            ),
        )

    def serialize(self) -> bytes:
        return serialized(revision=self.revision, device=self.device.members())


@dataclass(frozen=True, slots=True)
class DeleteDevice:
    """DELETE /devices."""

    revision: bytes
    id: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(body.raw("revision", REVISION_BYTES), body.raw("id", DEVICE_ID_BYTES)),
        )

    def serialize(self) -> bytes:
        return serialized(revision=self.revision, id=self.id)


@dataclass(frozen=True, slots=True)
class StoredNote:
    """The response of GET /note; without a ``note`` if there is none."""

    note: bytes | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data, lambda body: cls(sealed_note(body.raw("note")) if body.has("note") else None)
        )

    def serialize(self) -> bytes:
        return serialized(note=self.note)


@dataclass(frozen=True, slots=True)
class PutNote:
    """PUT /note. ``previous`` is the digest of the note that is replaced, or empty."""

    previous: bytes
    note: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(
            data,
            lambda body: cls(body.raw("previous", 0, DIGEST_BYTES), sealed_note(body.raw("note"))),
        )

    def serialize(self) -> bytes:
        return serialized(previous=self.previous, note=self.note)


@dataclass(frozen=True, slots=True)
class ResetWait:
    """The response of POST /reset: the hours until a new account can be created."""

    hours: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.number("hours", MAX_RESET_HOURS)))

    def serialize(self) -> bytes:
        return serialized(hours=self.hours)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of an error (VAULT §15)."""

    error: str
    message: str

    @classmethod
    def parse(cls, data: bytes) -> Self:
        return whole(data, lambda body: cls(body.text("error"), body.text("message")))

    def serialize(self) -> bytes:
        return serialized(error=self.error, message=self.message)
