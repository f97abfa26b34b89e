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
# So many granted streams of a session can wait for their bodies.
MAX_WAITING = 16


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
        # When the wait ends for each granted stream of a session, as far as this process knows.
        self._waiting: dict[bytes, dict[bytes, int]] = {}

    def may_grant(self, session_id: bytes, now_ms: int) -> bool:
        """Whether another stream of the session can wait. Each process counts its own."""
        waiting = self._waiting.get(session_id, {})
        for stream_id in [one for one, until_ms in waiting.items() if until_ms < now_ms]:
            del waiting[stream_id]
        return len(waiting) < MAX_WAITING

    async def keep(
        self, keys: StreamKeys, session_id: bytes, request: StreamRequest, now_ms: int
    ) -> None:
        """Store a granted stream. Raises: StoreUnavailable."""
        granted = GrantedStream(
            keys.stream_id, session_id, request.serialize(), keys.client, keys.server
        )
        sealed = self._keyring.seal("granted stream", keys.stream_id, granted.serialize())
        self._waiting.setdefault(session_id, {})[keys.stream_id] = now_ms + BODY_WAIT_MS
        await self._store.add_exchange(keys.stream_id, sealed, now_ms + BODY_WAIT_MS)

    async def take(self, stream_id: bytes, now_ms: int) -> GrantedStream:
        """Delete a granted stream and return it.

        Raises: DecryptionFailed (there is none, or it was used), StoreUnavailable.
        """
        sealed = await self._store.take_exchange(stream_id, now_ms)
        opened = None if sealed is None else self._keyring.open("granted stream", stream_id, sealed)
        try:
            granted = GrantedStream.parse(opened or b"")
        except LocalProtocolError:
            raise DecryptionFailed("no such stream, or its body has already arrived") from None
        waiting = self._waiting.get(granted.session_id, {})
        waiting.pop(stream_id, None)
        if not waiting:
            self._waiting.pop(granted.session_id, None)
        return granted

    async def forget(self, session_id: bytes, now_ms: int) -> None:
        """Delete the streams of an ended session that this process has granted.

        No process accepts the body of one. Those that others have granted stay until they expire.
        """
        for stream_id in self._waiting.pop(session_id, {}):
            await self._store.take_exchange(stream_id, now_ms)

    def sweep(self, now_ms: int) -> None:
        """Forget sessions whose granted streams have all expired."""
        for session_id in list(self._waiting):
            self.may_grant(session_id, now_ms)
            if not self._waiting[session_id]:
                del self._waiting[session_id]
