"""A body as a strict msgpack map: its members, taken one by one (VAULT §2)."""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from protocol.common.codec import serialize_msgpack
from protocol.common.envelopes import Members
from protocol.common.errors import MalformedMessage

from .errors import Malformed, TooLarge
from .password import KDFS
from .primitives import PUBLIC_KEY_BYTES, is_public_key

Taken = TypeVar("Taken")

MAX_BODY_BYTES = 163_840


class Body:
    """The members of one body. Each method raises Malformed if a member has a wrong form.

    If a length is above a limit, that is TooLarge.
    """

    def __init__(self, members: Members) -> None:
        self._members = members

    @classmethod
    def parse(cls, data: bytes, most: int = MAX_BODY_BYTES) -> Self:
        """``most`` is the limit of its length, in bytes."""
        if len(data) > most:
            raise TooLarge(f"this body has at most {most} bytes")
        try:
            return cls(Members.parse("msgpack", data))
        except MalformedMessage as error:
            raise Malformed(str(error)) from None

    def has(self, name: str) -> bool:
        """Whether ``name`` is there and was not taken."""
        return self._members.has(name)

    def raw(self, name: str, *lengths: int) -> bytes:
        """Bytes, with one of ``lengths`` if any are given."""
        try:
            return self._members.raw(name, *lengths)
        except MalformedMessage as error:
            raise Malformed(str(error)) from None

    def kdf(self, name: str) -> int:
        """The number of parameters of Argon2id."""
        kdf = self.number(name, 255)
        if kdf not in KDFS:
            raise Malformed(f"member {name!r} must be 1 or 2")
        return kdf

    def public_key(self, name: str) -> bytes:
        """A public key of Ed25519."""
        key = self.raw(name, PUBLIC_KEY_BYTES)
        if not is_public_key(key):
            raise Malformed(f"member {name!r} must be a public key")
        return key

    def number(self, name: str, highest: int) -> int:
        """An integer from 0 to ``highest``."""
        try:
            return self._members.number(name, highest)
        except MalformedMessage as error:
            raise Malformed(str(error)) from None

    def text(self, name: str) -> str:
        """A text of at most 1,024 characters."""
        try:
            return self._members.text(name)
        except MalformedMessage as error:
            raise Malformed(str(error)) from None

    def nested(self, name: str) -> "Body":
        """A map."""
        return self._nested(self._members.left().pop(name, None), name)

    def list(self, name: str, most: int) -> "list[Body]":
        """A list of at most ``most`` maps."""
        value = self._members.left().pop(name, None)
        if not isinstance(value, list):
            raise Malformed(f"member {name!r} must be a list of maps")
        if len(value) > most:
            raise TooLarge(f"the list {name!r} has at most {most} maps")
        return [self._nested(item, name) for item in value]

    def some(self, name: str, most: int) -> "Sequence[Body]":
        """A list of 1 to ``most`` maps."""
        maps = self.list(name, most)
        if not maps:
            raise Malformed(f"the list {name!r} is empty")
        return maps

    def raws(self, name: str, most: int, *lengths: int) -> tuple[bytes, ...]:
        """A list of 1 to ``most`` bytes, each with one of ``lengths``."""
        values = self._items(name, most)
        if not all(isinstance(one, bytes) and len(one) in lengths for one in values):
            size = " or ".join(map(str, lengths))
            raise Malformed(f"member {name!r} must be a list of {size} bytes each")
        return tuple(values)

    def flags(self, name: str, most: int) -> tuple[bool, ...]:
        """A list of 1 to ``most`` numbers, each 0 or 1."""
        values = self._items(name, most)
        if not all(isinstance(one, int) and one in (0, 1) for one in values):
            raise Malformed(f"member {name!r} must be a list of 0 and 1")
        return tuple(map(bool, values))

    def end(self) -> None:
        """Every member must have been taken."""
        try:
            self._members.end()
        except MalformedMessage as error:
            raise Malformed(str(error)) from None

    def _items(self, name: str, most: int) -> Sequence[Any]:
        value = self._members.left().pop(name, None)
        if not isinstance(value, list) or not value:
            raise Malformed(f"member {name!r} must be a list with at least 1 item")
        if len(value) > most:
            raise TooLarge(f"the list {name!r} has at most {most} items")
        return value

    @staticmethod
    def _nested(value: Any, name: str) -> "Body":
        if not isinstance(value, dict):
            raise Malformed(f"member {name!r} must be a map")
        return Body(Members("msgpack", value))


def whole(data: bytes, take: Callable[[Body], Taken], most: int = MAX_BODY_BYTES) -> Taken:
    """What ``take`` reads from the body ``data``, if no member is left. Raises: Malformed.

    ``most`` is the limit of its length, in bytes.
    """
    body = Body.parse(data, most)
    message = take(body)
    body.end()
    return message


def serialized(**members: Any) -> bytes:
    """A body with ``members``, without those that are None."""
    return serialize_msgpack({name: value for name, value in members.items() if value is not None})
