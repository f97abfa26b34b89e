"""One process that serves the gateway on a port, until its last request has ended."""

import asyncio
import errno
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gateway.adapters.aiohttp.app import ASSEMBLY, OUTCOME
from gateway.adapters.aiohttp.framing import guard
from gateway.adapters.aiohttp.private_api import hide_server_version, listening_sockets
from gateway.adapters.aiohttp.raw_targets import accept_raw_targets
from gateway.config.reload import Reload, Reloads
from gateway.errors import ConfigError
from gateway.logs import on_one_line, word
from gateway.private_profile import NOT_LOGGED

from .open_files import LoopErrorLog, allow_all_files
from .options import application

# Time limit for open requests when the process stops.
SHUTDOWN_TIMEOUT_S = 30
# Time limit for a connection without a request, with an incomplete head, or whose client does not
# read. A thousand of these block all others: aiohttp waits an hour, TCP forever. Reverse proxies
# close idle connections first (60 s).
IDLE_TIMEOUT_S = 75
# Connections that can wait to be accepted: all devices of a plant come at once after a power cut.
# The kernel drops what is beyond, and a client tries again only after 1 s, then 3 s. More would
# hold the loop, which accepts them in one pass. aiohttp has 128.
BACKLOG = 1024
_LINE = "%s %s %s %d %.1fms %s"
_log = logging.getLogger("certless")

Make: TypeAlias = Callable[[dict[str, Any]], web.Application]


class AccessLog(AbstractAccessLogger):
    """One line for each request, without its query, headers and sealed content.

    The private profile leaves out sealed messages.
    """

    @property
    def enabled(self) -> bool:
        """Whether the lines are written. If not, aiohttp does not ask for them."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        outcome = request.get(OUTCOME, "public")
        if outcome == NOT_LOGGED:
            return
        fields = (
            request.remote,
            word(request.method),
            word(request.rel_url.raw_path),
            response.status,
            time * 1000,
            on_one_line(outcome),
        )
        # ``info`` would look for the place of this call, which no line shows.
        log, level = self.logger, logging.INFO
        log.handle(log.makeRecord(log.name, level, "", 0, _LINE, fields, None))


class _Format(logging.Formatter):
    """The usual format. The text of a second is made once."""

    _second = 0
    _text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._text = time.strftime(self.default_time_format, self.converter(second))
        return f"{self._text},{int(record.msecs):03d}"


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: its addresses as ``HOST:PORT``, and its reactions to signals.

    ``reload`` runs ``reloads`` here and in the workers; ``abandon`` kills the workers.
    """

    addresses: list[str]
    reloads: Reloads
    reload: Reload
    abandon: Callable[[], None] = lambda: None


def set_up_log(name: str = "") -> None:
    """Log to standard error; each line starts with the ``name`` of the process."""
    form = f"%(asctime)s %(levelname)s {name}%(message)s"
    handler = logging.StreamHandler()
    handler.setFormatter(_Format(form))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # No line names them, so they need not be found for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # The access log has the same information.
    logging.getLogger("certless.refused").disabled = True


@asynccontextmanager
async def listening(
    options: dict[str, Any],
    host: str,
    port: int,
    *,
    shared: bool = False,
    make: Make = application,
) -> AsyncIterator[Service]:
    """Serve the gateway that ``make`` makes of ``options``.

    At the end, finish open requests within 30 s. ``shared`` if other processes listen on the same
    port. Raises: ConfigError, StoreUnavailable.
    """
    allow_all_files()
    hide_server_version()
    asyncio.get_running_loop().set_exception_handler(LoopErrorLog())
    app = make(options)
    runner = web.AppRunner(
        app,
        access_log_class=AccessLog,
        access_log=_log,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        keepalive_timeout=IDLE_TIMEOUT_S,
        # Discard a refused body without decompressing it.
        auto_decompress=False,
        lingering_time=2,
    )
    await runner.setup()
    if runner.server is not None:
        guard(runner.server)
        accept_raw_targets(runner.server)
    try:
        try:
            site = web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_port=shared or None)
            await site.start()
        except OSError as error:
            raise _cannot_listen(host, port, error) from None
        _close_unread_connections(site)
        reloads = app[ASSEMBLY].reloads
        yield Service(
            [_address_text(address) for address in runner.addresses], reloads, reloads.run
        )
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reserved(host: str, port: int) -> AsyncIterator[tuple[list[str], int]]:
    """Reserve a port for processes that share it; gives their addresses and the port.

    The port must be free: another program could otherwise share it unnoticed.
    Raises: ConfigError.
    """
    loop = asyncio.get_running_loop()
    bind = partial(loop.create_server, asyncio.Protocol, host, port, start_serving=False)
    try:
        (await bind()).close()
        held = await bind(reuse_port=True)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    try:
        addresses = [one.getsockname() for one in held.sockets]
        ports = {address[1] for address in addresses}
        if len(ports) > 1:
            raise ConfigError(f"{host} is more than one address: name a port other than 0")
        yield [_address_text(address) for address in addresses], ports.pop()
    finally:
        held.close()


def _close_unread_connections(site: web.TCPSite) -> None:
    """Set a TCP timeout, which accepted connections inherit from the listener."""
    if sys.platform == "linux":
        for listener in listening_sockets(site):
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(IDLE_TIMEOUT_S * 1000)
            )


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} is in use: stop the program that listens there, or set another --listen"
        )
    return ConfigError(f"cannot listen on {host}:{port}: {error.strerror or 'no such address'}")


def _address_text(address: Any) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
