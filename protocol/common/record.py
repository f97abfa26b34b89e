"""Frozen values that a side stores as bytes, under a seal of its own.

Only the version that wrote a record can read it. Records are not for messages of a peer.
"""

from dataclasses import fields
from typing import ClassVar, Self

import msgpack

from .codec import serialize_msgpack
from .errors import LocalProtocolError

RECORD_VERSION = 1


class Record:
    """The base of dataclasses whose fields are texts, bytes and numbers."""

    KIND: ClassVar[str]

    def serialize(self) -> bytes:
        values = [getattr(self, f.name) for f in fields(self)]  # type: ignore[arg-type]
        return serialize_msgpack([self.KIND, RECORD_VERSION, *values])

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads the bytes of ``serialize``. Raises: LocalProtocolError, for other records."""
        try:
            # Less strict than for a peer: this side sealed the record, and most messages parse one.
            value = msgpack.unpackb(data)
        except ValueError:
            value = []
        if not isinstance(value, list) or value[:2] != [cls.KIND, RECORD_VERSION]:
            raise LocalProtocolError(f"not a stored {cls.KIND} of this version")
        return cls(*value[2:])
