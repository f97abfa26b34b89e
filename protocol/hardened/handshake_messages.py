"""The messages of a login and of a resumption (PROTOCOL §2.4, §2.8).

``parse`` and ``serialize`` take the format that the Content-Type names. A resumption ends with the
same two confirmation messages as a login.
"""

import re
from dataclasses import dataclass
from typing import Self, cast

from protocol.common.envelopes import Format, Members, serialize_members
from protocol.common.errors import MalformedMessage
from protocol.common.primitives import POINT_BYTES

from .suites import FRESHNESS, Freshness

SESSION_ID_BYTES = 16
NONCE_BYTES = 32
TICKET_BYTES = 16
CONFIRMATION_BYTES = 32
MAX_BOX_BYTES = 4096
MAX_SESSION_MS = 43_200_000
MAX_DEVICE_CHARS = 64
# A name for labels, files and terminals: it needs no quotes there, and is no option or formula.
_DEVICE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{MAX_DEVICE_CHARS - 1}}}", re.ASCII)
DEVICE_RULE = (
    f"the name of a device has 1 to {MAX_DEVICE_CHARS} characters: letters (A-Z, a-z), digits, "
    "'.', '_', ':' and '-'; the first is a letter or a digit"
)


def is_device_name(name: str) -> bool:
    """Whether ``name`` can be the name of a device (PROTOCOL §2.4.1)."""
    return _DEVICE.fullmatch(name) is not None


def _fresh(members: Members) -> Freshness:
    fresh = members.text("fresh")
    if fresh not in FRESHNESS:
        raise MalformedMessage("member 'fresh' must be clock or counter")
    return fresh


def _box(box: bytes | None) -> bytes | None:
    if box is not None and len(box) > MAX_BOX_BYTES:
        raise MalformedMessage(f"a box has at most {MAX_BOX_BYTES} bytes")
    return box


def _device(members: Members) -> str | None:
    if not members.has("device"):
        return None
    device = members.text("device")
    if not is_device_name(device):
        raise MalformedMessage(DEVICE_RULE)
    return device


@dataclass(frozen=True, slots=True)
class ClientHello:
    """Client to server: the username, the offered suites and the kind of freshness.

    ``device`` names the device whose code the login uses; None for the code of the user.
    """

    version: int
    username: str
    suites: tuple[str, ...]
    fresh: Freshness
    client_nonce: bytes
    device: str | None = None

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(
            members.number("v", 0xFFFF),
            members.text("username"),
            members.texts("suites"),
            _fresh(members),
            members.raw("cn", NONCE_BYTES),
            _device(members),
        )
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form,
            {
                "v": self.version,
                "username": self.username,
                "suites": list(self.suites),
                "fresh": self.fresh,
                "cn": self.client_nonce,
                "device": self.device,
            },
        )


@dataclass(frozen=True, slots=True)
class ServerHello:
    """Server to client: the id of the future session and its suite; alike for every user."""

    session_id: bytes
    suite: str
    server_nonce: bytes
    expires_s: int

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(
            members.raw("sid", SESSION_ID_BYTES),
            members.text("suite"),
            members.raw("sn", NONCE_BYTES),
            members.number("expires_s", 0xFFFFFFFF),
        )
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form,
            {
                "sid": self.session_id,
                "suite": self.suite,
                "sn": self.server_nonce,
                "expires_s": self.expires_s,
            },
        )


@dataclass(frozen=True, slots=True)
class ClientShare:
    """Client to server: pA of SPAKE2. It costs an attempt of the code."""

    session_id: bytes
    p_a: bytes

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(members.raw("sid", SESSION_ID_BYTES), members.raw("pA", POINT_BYTES))
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(form, {"sid": self.session_id, "pA": self.p_a})


@dataclass(frozen=True, slots=True)
class ServerShare:
    """Server to client: pB of SPAKE2."""

    p_b: bytes

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(members.raw("pB", POINT_BYTES))
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(form, {"pB": self.p_b})


@dataclass(frozen=True, slots=True)
class ClientConfirmation:
    """Client to server: the client's proof; in rsa-gcm also a box with its public key."""

    session_id: bytes
    confirmation: bytes
    box: bytes | None = None

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(
            members.raw("sid", SESSION_ID_BYTES),
            members.raw("cA", CONFIRMATION_BYTES),
            _box(members.optional_raw("box")),
        )
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form, {"sid": self.session_id, "cA": self.confirmation, "box": self.box}
        )


@dataclass(frozen=True, slots=True)
class ServerConfirmation:
    """Server to client: the server's proof, and a box with the terms of the session."""

    confirmation: bytes
    box: bytes

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        box = members.raw("box")
        message = cls(members.raw("cB", CONFIRMATION_BYTES), cast(bytes, _box(box)))
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(form, {"cB": self.confirmation, "box": self.box})


@dataclass(frozen=True, slots=True)
class ResumptionClientHello:
    """Client to server: a ticket, and the client's point for ECDH."""

    version: int
    ticket: bytes
    suite: str
    fresh: Freshness
    client_nonce: bytes
    client_point: bytes

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(
            members.number("v", 0xFFFF),
            members.raw("ticket", TICKET_BYTES),
            members.text("suite"),
            _fresh(members),
            members.raw("cn", NONCE_BYTES),
            members.raw("eC", POINT_BYTES),
        )
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form,
            {
                "v": self.version,
                "ticket": self.ticket,
                "suite": self.suite,
                "fresh": self.fresh,
                "cn": self.client_nonce,
                "eC": self.client_point,
            },
        )


@dataclass(frozen=True, slots=True)
class ResumptionServerHello:
    """Server to client: the id of the future session, and the server's point for ECDH."""

    session_id: bytes
    server_nonce: bytes
    server_point: bytes

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        members = Members.parse(form, data)
        message = cls(
            members.raw("sid", SESSION_ID_BYTES),
            members.raw("sn", NONCE_BYTES),
            members.raw("eS", POINT_BYTES),
        )
        members.end()
        return message

    def serialize(self, form: Format) -> bytes:
        return serialize_members(
            form, {"sid": self.session_id, "sn": self.server_nonce, "eS": self.server_point}
        )
