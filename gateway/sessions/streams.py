"""Granted streams that wait for their body (PROTOCOL §2.10.4).

A granted stream is sealed in the store until its body arrives: in any process, once, within ten
minutes.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from gateway.keys.keyring import KeyRing
from gateway.stores import Store
from protocol.common.errors import DecryptionFailed, LocalProtocolError
from protocol.hardened.records import Record
from protocol.streams.opening import StreamRequest
from protocol.streams.records import StreamKeys

BODY_WAIT_MS = 600_000


@dataclass(frozen=True, slots=True)
class GrantedStream(Record):
    """A stream request, its session, and the keys of its records."""

    KIND: ClassVar[str] = "granted stream"

    stream_id: bytes
    session_id: bytes
    request: bytes = field(repr=False)
    client_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @property
    def keys(self) -> StreamKeys:
        return StreamKeys(self.stream_id, self.client_key, self.server_key)

    def stream_request(self) -> StreamRequest:
        return StreamRequest.parse(self.request)


class GrantedStreams:
    """The granted streams in ``store``, as exchanges (STORAGE §1)."""

    def __init__(self, store: Store, keyring: KeyRing) -> None:
        self._store = store
        self._keyring = keyring

    async def keep(
        self, keys: StreamKeys, session_id: bytes, request: StreamRequest, now_ms: int
    ) -> None:
        """Store a granted stream. Raises: StoreUnavailable."""
        granted = GrantedStream(
            keys.stream_id, session_id, request.serialize(), keys.client, keys.server
        )
        sealed = self._keyring.seal("granted stream", keys.stream_id, granted.serialize())
        await self._store.add_exchange(keys.stream_id, sealed, now_ms + BODY_WAIT_MS)

    async def take(self, stream_id: bytes, now_ms: int) -> GrantedStream:
        """Delete a granted stream and return it.

        Raises: DecryptionFailed (there is none, or it was used), StoreUnavailable.
        """
        sealed = await self._store.take_exchange(stream_id, now_ms)
        opened = None if sealed is None else self._keyring.open("granted stream", stream_id, sealed)
        try:
            return GrantedStream.parse(opened or b"")
        except LocalProtocolError:
            raise DecryptionFailed("no such stream, or its body has already arrived") from None
