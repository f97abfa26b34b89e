"""The devices on the admin page: the list, and revocation (decision 115).

The rest of the listener shows no names and changes nothing, so it has no login. These two routes
need the operator's key, which ``certless devices key`` prints, and a client on the same machine:
the key travels unencrypted. A browser sends the key only from a page of this listener, because the
header needs a permission (CORS) that the listener gives to nobody.
"""

import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from gateway.errors import StoreUnavailable
from gateway.keys.keyring import KeyRing
from gateway.keys.operator_key import operator_key
from gateway.sessions.devices import Device, DeviceOperators
from protocol.common.primitives import equal

_SCHEME = "Bearer "
_ID_CHARS = 32


class AdminDevices:
    """Serves ``/devices`` and ``/devices/revoke``."""

    def __init__(self, operators: DeviceOperators, keyring: KeyRing) -> None:
        self._operators = operators
        self._keyring = keyring

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/devices", self._allowed(self._list))
        app.router.add_post("/devices/revoke", self._allowed(self._revoke))

    def _allowed(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def checked(request: web.Request) -> web.Response:
            if not _is_loopback(request.remote):
                return _error(403, "open this page on the gateway's machine, or by an SSH tunnel")
            given = request.headers.get(hdrs.AUTHORIZATION, "")
            key = _SCHEME + operator_key(self._keyring)
            if not equal(given.encode(errors="replace"), key.encode()):
                return _error(401, "this is not the operator's key")
            try:
                return await handler(request)
            except StoreUnavailable:
                return _error(503, "the store does not answer")

        return checked

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"devices": [_shown(one) for one in await self._operators.devices()]}
        )

    async def _revoke(self, request: web.Request) -> web.Response:
        """The body is the id of a device, as ``/devices`` shows it."""
        device_id = (await request.content.read(_ID_CHARS + 1)).decode(errors="replace")
        if not await self._operators.revoke_listed(device_id):
            return _error(404, "there is no such device: it may be revoked already")
        return web.json_response({})


def _is_loopback(address: str | None) -> bool:
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _shown(device: Device) -> dict[str, str | int | bool | None]:
    return {
        "id": device.id,
        "name": device.name,
        "owner": device.owner,
        "suite": device.suite,
        "seen_ms": device.seen_ms or None,
        "expires_ms": device.expires_ms,
        "is_revoked": device.is_revoked,
    }


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
