"""Certless in front of an ASGI application, for instance of Starlette or FastAPI.

``app.add_middleware(Certless, users=..., mail=...)``, or ``app = Certless(app, users=..., ...)``.
Handlers stay as they are; they find the session by ``session(request)``, the user's name by
``user(request)``. All paths in the options are complete: they include the path where the
application is mounted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, Unpack

from gateway.build import assemble
from gateway.errors import ConfigError
from gateway.options import SetupOptions
from gateway.policy.client_address import ClientAddresses
from gateway.policy.forwarded import ForwardedHeaders
from gateway.sessions.session import Session

from .framing import framing_fault, refuse
from .inner import SESSION, USER, ASGIApp, Receive, Scope, Send, is_below_root
from .lifespan import Lifespan
from .outer import AsgiRequest, behind_proxy, escaped_path, has_one_host, raw_path_of
from .sockets import AsgiConnection

__all__ = ["SESSION", "USER", "Certless", "session", "user"]

_log = logging.getLogger("certless")


class HasScope(Protocol):
    """A request of Starlette or FastAPI, a ``WebSocket``, or any other ``HTTPConnection``."""

    @property
    def scope(self) -> Scope: ...


def session(request: HasScope) -> Session:
    """The session of a request that came sealed. Raises: KeyError, for a public route."""
    found: Session = request.scope[SESSION]
    return found


def user(request: HasScope) -> str:
    """The user of a request that came sealed. Raises: KeyError, for a public route."""
    name: str = request.scope[USER]
    return name


class Certless:
    """An ASGI application in front of another.

    The options are those of ``certless.setup``. It must be the outermost middleware: one outside of
    it sees sealed messages only. Raises: ConfigError, in one line.
    """

    def __init__(self, app: ASGIApp, /, **options: Unpack[SetupOptions]) -> None:
        self._app = app
        self._options = options
        try:
            if getattr(app, "root_path", ""):
                # FastAPI overrides the root_path of the server with its own. A request without it
                # reaches the same route, by a path that no option names.
                raise ConfigError(
                    "root_path gives each route of the application two paths: leave it out, and "
                    "tell the server (uvicorn --root-path)"
                )
            self.assembly = assemble(**options)
        except ConfigError as error:
            # Starlette makes its middlewares in the lifespan, and servers hide errors of it.
            _log.critical("%s", error)
            raise
        settings = self.assembly.settings
        client_addresses = ClientAddresses(settings.trusted_proxies)
        self._forwarded = ForwardedHeaders(settings.trusted_headers, client_addresses)
        self._is_running = False
        self._has_run = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The background work.

        The lifespan of a server enters it. If Certless is mounted inside of another application,
        the lifespan of that application must enter it.
        """
        if self._is_running:
            raise ConfigError("Certless runs already: leave it to the server, or enter running()")
        if self._has_run:
            # An assembly that has ended cannot start again.
            self.assembly = assemble(**self._options)
        async with asynccontextmanager(self.assembly.lifespan)():
            self._is_running = self._has_run = True
            try:
                yield
            finally:
                self._is_running = False
                if self.assembly.admin:
                    self.assembly.admin.stop()

    async def end_session(self, session_id: str, ticket_id: str = "") -> None:
        """End a session, for instance that of a lost device, by ``Session.id``.

        With ``Session.ticket_id``, the ticket and a session that was resumed with it end too.
        Raises: GatewayError.
        """
        await self.assembly.end_session(session_id, ticket_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await Lifespan(self.running(), receive, send).run(self._app, scope)
            return
        if kind not in ("http", "websocket"):
            raise ConfigError(f"Certless does not support the protocol {kind!r}")
        if not self._is_running:
            raise ConfigError(
                "Certless was not started: run the server with its lifespan on, or, if Certless is "
                "mounted, enter certless.running() in the application's lifespan"
            )
        if kind == "http" and (found := framing_fault(scope)):
            await refuse(*found, send)
            return
        scope = behind_proxy(scope, self._forwarded)
        raw_path = raw_path_of(scope)
        # A WebSocket begins as a GET.
        method = scope.get("method", "GET")
        is_public = self.assembly.middleware.is_public(method, raw_path) and has_one_host(scope)
        if not (is_public and is_below_root(scope, raw_path)):
            await self._answer(scope, receive, send, raw_path)
            return
        given = scope.get("raw_path")
        if given is not None:
            # The path that was checked is the path that is passed on.
            is_checked = escaped_path(given) == raw_path
            path = given.partition(b"?")[0] if is_checked else raw_path.encode("latin-1")
            scope = scope if path == given else {**scope, "raw_path": path}
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, raw_path: str) -> None:
        # The end of the group waits for the background tasks of a handler.
        async with asyncio.TaskGroup() as group:
            settings = self.assembly.settings
            limits = (settings.max_body_bytes, settings.max_stream_bytes)
            request = AsgiRequest(self._app, scope, receive, raw_path, group, *limits)
            reply = await self.assembly.middleware.answer(request)
            if reply.opens_socket:
                connection = AsgiConnection(receive, send)
                await connection.accept()
                await self.assembly.middleware.serve_socket(request, connection)
            elif scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                await request.send(reply, send)
