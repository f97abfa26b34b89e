"""The lifespan of an ASGI application with Certless around it.

Certless starts before the application and ends after it. An application without a lifespan, which
raises or returns, is served too.
"""

import logging
from contextlib import AbstractAsyncContextManager

from gateway.errors import GatewayError
from gateway.pipeline.inner import log_failure

from .inner import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("certless")
_ENDS = frozenset(
    {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}
)


class Lifespan:
    """The lifespan messages of one server, from its start to its end."""

    def __init__(
        self, running: AbstractAsyncContextManager[None], receive: Receive, send: Send
    ) -> None:
        self._running = running
        self._receive = receive
        self._send = send
        self._startup: Message | None = None
        self._has_answered = False
        self._is_stopping = False
        self._is_closed = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Return when all has ended."""
        self._startup = await self._receive()
        try:
            await self._running.__aenter__()
        except Exception as error:
            text = str(error)
            if not isinstance(error, GatewayError):
                log_failure("start", error)
                text = type(error).__name__
            await self._send({"type": "lifespan.startup.failed", "message": f"Certless: {text}"})
            return
        try:
            await self._run(app, scope)
        finally:
            await self._close()

    async def _run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._receive_inside, self._send_inside)
        except Exception as error:
            if self._has_answered:
                raise
            _log.info("the application has no lifespan: %s", type(error).__name__)
        if not self._has_answered:
            await self._send({"type": "lifespan.startup.complete"})
        if not self._is_closed:
            if not self._is_stopping:
                await self._receive()
            await self._send_inside({"type": "lifespan.shutdown.complete"})

    async def _receive_inside(self) -> Message:
        if self._startup is not None:
            message, self._startup = self._startup, None
            return message
        message = await self._receive()
        self._is_stopping = True
        return message

    async def _send_inside(self, message: Message) -> None:
        self._has_answered = True
        if message["type"] in _ENDS:
            # After this message a server ends the event loop.
            await self._close()
        await self._send(message)

    async def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._running.__aexit__(None, None, None)
