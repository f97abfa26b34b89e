"""The demo: a gateway in front of a small shop, and a mailbox to look for codes in.

``python -m gateway demo`` starts it. The parts are real: mails go by SMTP, requests by HTTP to an
API that knows nothing of the gateway, and the shop's page shows the bytes that a tap on the
gateway's socket has heard. All of it is in memory and gone at the end.
"""

import asyncio
import errno
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web

from gateway import Account, AnyAddress, ConfigError, reverse_proxy
from gateway.pages import only_for
from gateway.policy.routes import RoutePatterns
from protocol.classic.dialects import DEFAULT_DIALECT, DEFAULT_PREFIX

from . import shop
from .mailbox import Mailbox, MailboxPage, smtp_sink
from .sample_api import sample_api
from .tap import tapped
from .wire import Wire

__all__ = ["Places", "introduction", "run", "running"]

# The API believes a header, and the SMTP server takes everything: the gateway alone gets there.
_INSIDE_HOST = "127.0.0.1"
_SHUTDOWN_S = 5
# A picture of 5 MiB is 8.9 MiB as it travels.
_MAX_BODY_BYTES = 12 * 1024 * 1024
_WIRE = "/wire.json"
_local_names_only = only_for(r"localhost|[a-z0-9.-]+\.test")
_Wrap: TypeAlias = Callable[[asyncio.Protocol], asyncio.Protocol]
_ORDER = """-d '{"item":"tea","quantity":2}'"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts listen, as URLs."""

    gateway: str
    mailbox: str
    api: str
    smtp: str
    figures: str


class _Visitors(AnyAddress):
    """Anybody may log in; the mailbox learns that a code was used."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        """Called when a code was right."""
        self._mailbox.mark_used(account.name)
        return await super().check(account, payload)


@asynccontextmanager
async def running(
    host: str,
    port: int,
    mailbox_port: int,
    api_port: int,
    smtp_port: int,
    figures_port: int,
    dialect: str,
) -> AsyncIterator[Places]:
    """The demo, while the context lasts. Port 0 stands for any that is free.

    ``host`` is that of gateway and mailbox; anybody who reaches the mailbox reads all codes. The
    API and the SMTP server listen on loopback always. Raises: ConfigError, in one line.
    """
    async with AsyncExitStack() as stack:
        # All ports are taken before anything starts: the parts need to know each other's.
        sockets = {}
        for part, at, number in (
            ("gateway", host, port),
            ("mailbox", host, mailbox_port),
            ("API", _INSIDE_HOST, api_port),
            ("SMTP server", _INSIDE_HOST, smtp_port),
            ("figures", _INSIDE_HOST, figures_port),
        ):
            sockets[part] = _listen(part, at, number)
            stack.callback(sockets[part].close)
        places = Places(
            gateway=_url("http", sockets["gateway"]),
            mailbox=_url("http", sockets["mailbox"]),
            api=_url("http", sockets["API"]),
            smtp=_url("smtp", sockets["SMTP server"]),
            figures=_url("http", sockets["figures"]),
        )
        mailbox = Mailbox()
        page = MailboxPage(mailbox, _request_command(places, dialect))
        api = sample_api()
        shop.add_to(api, sockets["mailbox"].getsockname()[1])
        public = [*shop.PUBLIC, _WIRE]
        gateway = reverse_proxy(
            places.api,
            users=_Visitors(mailbox),
            mail=places.smtp,
            public=public,
            site="the tea shop",
            max_body_bytes=_MAX_BODY_BYTES,
            # People who try things out log in often.
            mail_limit=100,
            logins_per_user="none",
            logins_per_address="none",
            dialect=dialect,
            admin=sockets["figures"],
        )
        wire = Wire()
        gateway.router.add_get(_WIRE, wire.show)
        gateway.on_shutdown.append(wire.close)
        await _serve(stack, api, sockets["API"])
        await stack.enter_async_context(smtp_sink(mailbox, sockets["SMTP server"]))
        await _serve(stack, page.app(), sockets["mailbox"])
        await _serve(stack, gateway, sockets["gateway"], _tap(wire, public))
        yield places


async def run(
    host: str = "127.0.0.1",
    port: int = 8440,
    mailbox_port: int = 8441,
    api_port: int = 8442,
    smtp_port: int = 8443,
    figures_port: int = 8444,
    dialect: str = DEFAULT_DIALECT,
    stop: asyncio.Event | None = None,
    announce: Callable[[str], object] = print,
) -> None:
    """The demo until ``stop`` is set, or without one until cancelled; then all of it is shut down.

    ``announce`` is called with each line that says where to look and what to try. The rest is as
    in ``running``. Raises: ConfigError, in one line.
    """
    ports = (port, mailbox_port, api_port, smtp_port, figures_port)
    async with running(host, *ports, dialect) as places:
        for line in introduction(places, dialect):
            announce(line)
        await (stop or asyncio.Event()).wait()


def introduction(places: Places, dialect: str) -> list[str]:
    """The lines that say where to look and what to try, made to be copied."""
    is_default = dialect == DEFAULT_DIALECT
    # Who names a dialect means classic.
    shop_url = places.gateway if is_default else f"{places.gateway}/?suite=classic"
    lines = [
        "The Certless demo is running. Ctrl+C ends it.",
        "",
        f"  Shop     {shop_url}   (begin here, in a browser)",
        f"  Mailbox  {places.mailbox}   (all codes arrive there)",
        f"  Figures  {places.figures}   (charts of what the gateway does)",
        "",
        "Log in and order from a terminal; any address will do:",
        f"  {_request_command(places, dialect)}",
    ]
    if is_default:  # the one that the example speaks
        lines += [
            "The same from Node.js, in the classic suite:",
            f"  node examples/node_client.mjs {places.gateway} ann@example.org",
        ]
    return [
        *lines,
        "Without a login it is refused:",
        f"  curl -i {places.gateway}/orders",
    ]


def _request_command(places: Places, dialect: str) -> str:
    option = "" if dialect == DEFAULT_DIALECT else f"--dialect {dialect} "
    return (
        f"{_this_python()} -m gateway request --login ann@example.org {option}"
        f"POST {places.gateway}/orders {_ORDER}"
    )


def _this_python() -> str:
    """How to call the interpreter that runs this, for it may live in an environment of its own."""
    if shutil.which("python") == sys.executable:
        return "python"
    here = Path(sys.executable)
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _listen(part: str, host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ConfigError(f"port {port}, for the {part}, must be from 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"port {port}, for the {part}, is in use: end what listens there, or choose "
            text += "another --port"
        else:
            reason = error.strerror or "no such address"
            text = f"cannot listen on {host}:{port}, for the {part}: {reason}"
    raise ConfigError(text)


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # What stands for every address of a machine is no address to go to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _tap(wire: Wire, public: list[str]) -> _Wrap:
    """Hears what is sealed and what is refused, and not what everybody may fetch."""
    left_out = RoutePatterns([*public, f"{DEFAULT_PREFIX}/{{script}}.js"])
    return lambda protocol: tapped(protocol, wire, lambda path: not left_out.match(path))


def _as_it_is(protocol: asyncio.Protocol) -> asyncio.Protocol:
    return protocol


async def _serve(
    stack: AsyncExitStack,
    app: web.Application,
    listener: socket.socket,
    wrap: _Wrap = _as_it_is,
) -> None:
    app.middlewares.insert(0, _local_names_only)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        auto_decompress=False,
        lingering_time=2,
    )
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    make_protocol = runner.server
    assert make_protocol is not None  # noqa: S101 (it is there after setup)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: wrap(make_protocol()), sock=listener)
    stack.callback(server.close)
