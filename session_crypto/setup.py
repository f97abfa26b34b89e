"""``session_crypto.setup``: session-bound keys in an aiohttp application behind the gateway."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

import certless

from .errors import InvalidClientKey, SessionCryptoError, SuiteRequired
from .manager import SessionCryptoManager
from .sealing import SealedKey

DEFAULT_PREFIX = "/session-keys"
_MAX_BODY_BYTES = 4096
_MEMBERS = {"client_public_key", "kind"}


def setup(
    app: web.Application, manager: SessionCryptoManager, *, prefix: str = DEFAULT_PREFIX
) -> None:
    """Add the routes to ``app``; call ``certless.setup`` for the same ``app`` as well.

    ``GET {prefix}/server-key`` gives the server's half, ``POST {prefix}/keys`` makes a key, and
    ``GET /session-stats`` gives the four figures. The session is that of the gateway: a request
    that names one is refused. Let all three paths require a hardened suite.
    """

    async def server_key(session_id: str, _: bytes) -> dict[str, Any]:
        pem = await asyncio.to_thread(manager.get_server_public_key, session_id)
        return {"server_public_key": pem}

    async def keys(session_id: str, body: bytes) -> dict[str, Any]:
        client, kind = _asked(body)
        key = await asyncio.to_thread(manager.make_private_key, session_id, client, kind)
        return members_of(key)

    async def stats(_: str, __: bytes) -> dict[str, Any]:
        return dict(manager.stats())

    async def lifespan(_: web.Application) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(manager.close)

    def route(method: str, path: str, work: Any) -> None:
        async def handle(request: web.Request) -> web.Response:
            try:
                session = _session(request)
                return web.json_response(await work(session, await request.read()))
            except SessionCryptoError as error:
                answer = {"error": error.code, "message": str(error)}
                return web.json_response(answer, status=error.status)

        app.router.add_route(method, path, handle)

    route("GET", f"{prefix}/server-key", server_key)
    route("POST", f"{prefix}/keys", keys)
    route("GET", "/session-stats", stats)
    app.cleanup_ctx.append(lifespan)


def members_of(key: SealedKey) -> dict[str, str]:
    """A sealed key as the members of a JSON object. The escrow is for the operator alone."""
    return {
        "server_public_key": key.server_public_key,
        "iv": base64.b64encode(key.iv).decode(),
        "sealed": base64.b64encode(key.sealed).decode(),
        "public_key": key.public_key,
    }


def _asked(body: bytes) -> tuple[str, str]:
    """The client's key and the kind. Raises: InvalidClientKey."""
    try:
        asked = json.loads(body) if len(body) <= _MAX_BODY_BYTES else None
    except ValueError:
        asked = None
    if not isinstance(asked, dict) or not set(asked) <= _MEMBERS:
        raise InvalidClientKey("the body is JSON with client_public_key and kind, and no session")
    client, kind = asked.get("client_public_key"), asked.get("kind", "P-256")
    if not isinstance(client, str) or not isinstance(kind, str):
        raise InvalidClientKey("client_public_key and kind must be text")
    return client, kind


def _session(request: web.Request) -> str:
    """Raises: SuiteRequired."""
    session: certless.Session | None = request.get(certless.SESSION)
    if session is None or session.strength != "hardened":
        raise SuiteRequired("session keys need a hardened suite: log in by ecdh-gcm or rsa-gcm")
    return session.id
