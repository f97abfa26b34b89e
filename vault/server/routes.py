"""The routes of the vault, and how a request of aiohttp becomes a call (VAULT §14, §15)."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

import certless
from vault.core.account import EXPORT_LABEL, Owner
from vault.core.block_exchanges import Reserve
from vault.core.errors import VaultError
from vault.core.exchanges import ErrorBody

from . import accounts, blocks, changes, devices, metas, notes, unlocking
from .blocks import BlockParts
from .call import SIGNATURE_FIELD, Call, Parts
from .errors import ERRORS, SuiteRequired
from .reservations import Reservations

CONTENT_TYPE = "application/msgpack"

Handler: TypeAlias = Callable[[Parts, Call], Awaitable[bytes]]
_AiohttpHandler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]
# The body is all that a handler of blocks gets of a request: no user, no session.
BlockHandler: TypeAlias = Callable[[BlockParts, bytes], Awaitable[bytes]]

RESERVE = ("POST", "/blocks/reserve")
BLOCK_ROUTES: dict[tuple[str, str], BlockHandler] = {
    ("GET", "/blocks"): blocks.parameters,
    RESERVE: blocks.reserve,
    ("POST", "/blocks/put"): blocks.put,
    ("POST", "/blocks/get"): blocks.get,
    ("POST", "/blocks/renew"): blocks.renew,
    ("POST", "/blocks/retire"): blocks.retire,
    ("POST", "/blocks/check"): blocks.check_stored,
}

# The method and the target below the prefix.
ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/parameters"): unlocking.parameters,
    ("POST", "/unlock/password"): unlocking.begin,
    ("POST", "/unlock/confirm"): unlocking.confirm,
    ("POST", "/unlock/recovery"): unlocking.by_recovery_code,
    ("POST", "/unlock/temporary"): unlocking.by_temporary_key,
    ("POST", "/unlock/device"): unlocking.by_device,
    ("PUT", "/account"): accounts.create,
    ("GET", "/account"): accounts.read,
    ("DELETE", "/account"): accounts.delete,
    ("POST", "/change"): changes.stage,
    ("GET", "/change"): changes.read,
    ("POST", "/change/commit"): changes.commit,
    ("PUT", "/temporary"): devices.put_temporary,
    ("PUT", "/devices"): devices.put,
    ("DELETE", "/devices"): devices.sign_out,
    ("GET", "/note"): notes.read,
    ("PUT", "/note"): notes.write,
    ("GET", "/meta"): metas.read,
    ("PUT", "/meta"): metas.write,
    ("POST", "/reset"): accounts.request_reset,
    ("DELETE", "/reset"): accounts.cancel_reset,
}


def add_routes(app: web.Application, prefix: str, realm: str, parts: Parts) -> None:
    """Add every route to ``app``."""
    for (method, target), handler in ROUTES.items():
        app.router.add_route(method, prefix + target, _handler(handler, realm, parts))


def add_block_routes(
    app: web.Application, prefix: str, realm: str, parts: BlockParts, reservations: Reservations
) -> None:
    """Add the routes of blocks. ``reservations`` counts the ids that a user reserves."""
    for (method, target), handler in BLOCK_ROUTES.items():
        counted = reservations if (method, target) == RESERVE else None
        handle = _block_handler(handler, realm, parts, counted)
        app.router.add_route(method, prefix + target, handle)


def _handler(handler: Handler, realm: str, parts: Parts) -> _AiohttpHandler:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await handler(parts, await _call(request, realm))
        except VaultError as error:
            return refusal(error)
        return _response(body)

    return handle


def _block_handler(
    handler: BlockHandler, realm: str, parts: BlockParts, reservations: Reservations | None
) -> _AiohttpHandler:
    async def handle(request: web.Request) -> web.Response:
        try:
            session = _session(request)
            body = await request.read()
            if reservations is not None:
                asked = Reserve.parse(body)
                reservations.count(Owner(session.user, realm).account, asked.count)
            # From here on, nothing knows the user.
            del session, request
            return _response(await handler(parts, body))
        except VaultError as error:
            return refusal(error)

    return handle


def _response(body: bytes) -> web.Response:
    if not body:
        return web.Response(status=204)
    return web.Response(body=body, content_type=CONTENT_TYPE)


def _session(request: web.Request) -> certless.Session:
    """Raises: SuiteRequired."""
    session: certless.Session | None = request.get(certless.SESSION)
    # ``require`` of the gateway refuses such requests before. This holds without it as well.
    if session is None or session.strength != "hardened":
        raise SuiteRequired("the vault needs a hardened suite: log in by ecdh-gcm or rsa-gcm")
    return session


async def _call(request: web.Request, realm: str) -> Call:
    """Raises: SuiteRequired."""
    session = _session(request)
    try:
        exported = session.export(EXPORT_LABEL)
    except certless.ExporterUnavailable:
        raise SuiteRequired("an earlier version opened this session: log in again") from None
    return Call(
        owner=Owner(session.user, realm),
        session=session.id,
        exported=exported,
        method=request.method,
        target=request.raw_path,
        body=await request.read(),
        signature=request.headers.get(SIGNATURE_FIELD),
        ticket=session.ticket_id,
    )


def refusal(error: VaultError) -> web.Response:
    """Raises: VaultError, if it has no place on the wire."""
    for kind, (name, status) in ERRORS.items():
        if isinstance(error, kind):
            body = ErrorBody(name, str(error)).serialize()
            return web.Response(status=status, body=body, content_type=CONTENT_TYPE)
    raise error
