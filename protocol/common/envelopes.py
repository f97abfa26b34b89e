"""An object of named members, written as JSON or as msgpack (PROTOCOL §2.3).

A message has the same members in both formats. Bytes are base64 in JSON and raw in msgpack. A
parser takes each member by name and type, and then calls ``end``: a member that was not taken is an
error. So no message has a member that neither a transcript nor a seal covers.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

from .codec import (
    decode_bytes,
    parse_json_envelope,
    parse_msgpack,
    serialize_encoded,
    serialize_msgpack,
)
from .errors import MalformedMessage

Format: TypeAlias = Literal["json", "msgpack"]
CONTENT_TYPES: dict[str, Format] = {
    "application/json": "json",
    "application/msgpack": "msgpack",
}
MAX_TEXT_CHARS = 1024
# The limit of a message that begins or ends a session, and of the body of a second check.
MAX_LOGIN_BYTES = 65_536


class Members:
    """The members of one message. Each can be taken once."""

    def __init__(self, form: Format, members: dict[str, Any]) -> None:
        """``members`` were read from ``form``."""
        self.form = form
        self._left = members

    @classmethod
    def parse(cls, form: Format, data: bytes) -> Self:
        """Raises: MalformedMessage, if ``data`` is not an object in ``form``."""
        whole: Any = parse_json_envelope(data) if form == "json" else parse_msgpack(data)
        if not isinstance(whole, dict):
            raise MalformedMessage("not a msgpack map")
        return cls(form, whole)

    def _take(self, name: str) -> Any:
        try:
            return self._left.pop(name)
        except KeyError:
            raise MalformedMessage(f"member {name!r} is missing") from None

    def has(self, name: str) -> bool:
        """Whether ``name`` is present and was not taken yet."""
        return name in self._left

    def number(self, name: str, highest: int) -> int:
        """An integer from 0 to ``highest``."""
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= highest:
            raise MalformedMessage(f"member {name!r} must be a number from 0 to {highest}")
        return value

    def text(self, name: str) -> str:
        """A text of at most 1024 characters."""
        return _text(name, self._take(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of 1 to 16 different texts."""
        value = self._take(name)
        if not isinstance(value, list) or not 1 <= len(value) <= 16:
            raise MalformedMessage(f"member {name!r} must be a list of 1 to 16 strings")
        texts = tuple(_text(name, item) for item in value)
        if len(set(texts)) != len(texts):
            raise MalformedMessage(f"member {name!r} holds a string twice")
        return texts

    def raw(self, name: str, *lengths: int) -> bytes:
        """Bytes, with one of ``lengths`` if any are given."""
        value = self._take(name)
        if self.form == "json":
            value = decode_bytes("base64", value) if isinstance(value, str) else None
        if not isinstance(value, bytes) or (lengths and len(value) not in lengths):
            size = " or ".join(map(str, lengths)) + " " if lengths else ""
            raise MalformedMessage(f"member {name!r} must be {size}bytes")
        return value

    def optional_raw(self, name: str, *lengths: int) -> bytes | None:
        """As ``raw``, or None if the member is absent."""
        return self.raw(name, *lengths) if self.has(name) else None

    def all_raw(
        self, required: Mapping[str, tuple[int, ...]], optional: str
    ) -> tuple[list[bytes], bytes | None]:
        """The bytes of each member of ``required``, and of ``optional``; then as ``end``."""
        left, taken = self._left, []
        for name, lengths in required.items():
            value = left.get(name)
            # Only what is not right takes the long way, which names the fault.
            fits = type(value) is bytes and (not lengths or len(value) in lengths)
            if fits and self.form == "msgpack":
                taken.append(left.pop(name))
            else:
                taken.append(self.raw(name, *lengths))
        last = self.optional_raw(optional) if left else None
        self.end()
        return taken, last

    def left(self) -> dict[str, Any]:
        """The members that were not taken, as they came."""
        return self._left

    def end(self) -> None:
        """Raises: MalformedMessage, if a member was not taken."""
        if self._left:
            raise MalformedMessage(f"no member is called {next(iter(self._left))[:64]!r} here")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise MalformedMessage(f"member {name!r} must be a string of at most {MAX_TEXT_CHARS}")
    return value


def serialize_members(form: Format, members: Mapping[str, Any]) -> bytes:
    """``members`` in ``form``, without those that are None."""
    present = {name: value for name, value in members.items() if value is not None}
    if form == "msgpack":
        return serialize_msgpack(present)
    return serialize_encoded("base64", present)
