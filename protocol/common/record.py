"""A frozen value that can be written as bytes and read back by the version that wrote it.

For what one side keeps for itself, under a seal of its own; never for what a peer sends.
"""

from dataclasses import fields
from typing import ClassVar, Self

import msgpack

from .codec import serialize_msgpack
from .errors import LocalProtocolError

RECORD_VERSION = 1


class Record:
    """The base of dataclasses whose fields are text, bytes and numbers."""

    KIND: ClassVar[str]

    def serialize(self) -> bytes:
        values = [getattr(self, f.name) for f in fields(self)]  # type: ignore[arg-type]
        return serialize_msgpack([self.KIND, RECORD_VERSION, *values])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """What ``serialize`` gave. Raises: LocalProtocolError, for another kind or version."""
        try:
            # Not as strict as with a peer: the seal was ours, and this is done for many messages.
            value = msgpack.unpackb(data)
        except ValueError:
            value = []
        if not isinstance(value, list) or value[:2] != [cls.KIND, RECORD_VERSION]:
            raise LocalProtocolError(f"not a stored {cls.KIND} of this version")
        return cls(*value[2:])
