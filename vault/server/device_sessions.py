"""The sessions of the gateway that registered devices, and their end (VAULT §10)."""

import logging
from collections.abc import Iterable

from .call import Call, Parts
from .errors import Unavailable
from .server_key import Unsealable
from .store.records import StoredDevice

_log = logging.getLogger("certless.vault")


def sealed_session(parts: Parts, call: Call, device_id: bytes) -> bytes:
    """The session and the ticket of ``call``, which registers the device."""
    registered = f"{call.session} {call.ticket}".encode()
    return parts.key.seal("device session", call.account, registered, device_id)


async def end_sessions(
    parts: Parts, call: Call, devices: Iterable[StoredDevice], *, keep_own: bool = False
) -> None:
    """End the sessions and tickets that registered ``devices``.

    ``keep_own`` keeps the session of ``call``. It is called before the commit of the deletion, so
    that a failure undoes the deletion.
    Raises: Unavailable.
    """
    for device in devices:
        if not device.session:
            continue
        try:
            opened = parts.key.open("device session", call.account, device.session, device.id)
        except Unsealable as error:
            # The device must end in any case.
            _log.error("the session of a device goes on: %s; end it by its id", error)
            continue
        session, _, ticket = opened.decode().partition(" ")
        is_own = session == call.session or (ticket != "" and ticket == call.ticket)
        if is_own and keep_own:
            continue
        try:
            await parts.end_session(session, ticket)
        except Exception as error:  # the application's function can raise anything
            _log.error("the session of a device was not ended: %s", type(error).__name__)
            raise Unavailable("the session of the device cannot be ended now: try again") from None
