"""A gateway's process that listens, up to the end of its last request."""

import asyncio
import errno
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from gateway.adapters.aiohttp.app import ASSEMBLY, OUTCOME
from gateway.adapters.aiohttp.framing import guard
from gateway.adapters.aiohttp.private_api import hide_server_version, listening_sockets
from gateway.config.reload import Reload, Reloads
from gateway.errors import ConfigError
from gateway.logs import on_one_line, word

from .open_files import Complaints, allow_all_files
from .options import application

# So long requests that were begun may take when a process is told to stop.
SHUTDOWN_TIMEOUT_S = 30
# So long a connection is kept on which no request comes, or only a part of a head, or whose answer
# nobody reads. A thousand of them keep everybody else out, for an hour by aiohttp, and by TCP for
# ever. Longer than proxies keep theirs (60 s).
IDLE_TIMEOUT_S = 75
_log = logging.getLogger("certless")


class AccessLog(AbstractAccessLogger):
    """One line a request: no query, no header, nothing from inside a seal."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        outcome = request.get(OUTCOME, "public")
        self.logger.info(
            "%s %s %s %d %.1fms %s",
            request.remote,
            word(request.method),
            word(request.rel_url.raw_path),
            response.status,
            time * 1000,
            on_one_line(outcome),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """What serves: where, as ``HOST:PORT``, and what it does when it is told to.

    ``reload`` does what is in ``reloads``, and has others do the same; ``abandon`` ends at once
    what else serves.
    """

    addresses: list[str]
    reloads: Reloads
    reload: Reload
    abandon: Callable[[], None] = lambda: None


def set_up_log(who: str = "") -> None:
    """Lines on standard error; ``who`` names the process in each of them."""
    form = f"%(asctime)s %(levelname)s {who}%(message)s"
    logging.basicConfig(level=logging.INFO, format=form)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # The access log says it on the line of the request.
    logging.getLogger("certless.refused").disabled = True


@asynccontextmanager
async def listening(
    options: dict[str, Any], host: str, port: int, *, shared: bool = False
) -> AsyncIterator[Service]:
    """Serve the gateway of ``options``; on leaving, what was begun is finished, within 30 s.

    ``shared`` where other processes listen on the same port. Raises: ConfigError, StoreUnavailable.
    """
    allow_all_files()
    hide_server_version()
    asyncio.get_running_loop().set_exception_handler(Complaints())
    app = application(options)
    runner = web.AppRunner(
        app,
        access_log_class=AccessLog,
        access_log=_log,
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        keepalive_timeout=IDLE_TIMEOUT_S,
        # What was refused unread is thrown away unread, not inflated first.
        auto_decompress=False,
        lingering_time=2,
    )
    await runner.setup()
    if runner.server is not None:
        guard(runner.server)
    try:
        try:
            site = web.TCPSite(runner, host, port, reuse_port=shared or None)
            await site.start()
        except OSError as error:
            raise _cannot_listen(host, port, error) from None
        _give_up_who_does_not_read(site)
        reloads = app[ASSEMBLY].reloads
        yield Service([_written(address) for address in runner.addresses], reloads, reloads.run)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reserved(host: str, port: int) -> AsyncIterator[tuple[list[str], int]]:
    """Hold a port for processes that share it: where they will be heard, and which port it is.

    Who shares a port could share it with a stranger and not know, so it must be free before.
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
        yield [_written(address) for address in addresses], ports.pop()
    finally:
        held.close()


def _give_up_who_does_not_read(site: web.TCPSite) -> None:
    """Connections take it over from what they came to."""
    if sys.platform == "linux":
        for listener in listening_sockets(site):
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(IDLE_TIMEOUT_S * 1000)
            )


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} is in use: end what listens there, or choose another --listen"
        )
    return ConfigError(f"cannot listen on {host}:{port}: {error.strerror or 'no such address'}")


def _written(address: Any) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
