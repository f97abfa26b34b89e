"""The demo: a gateway in front of a small shop, and a mailbox that shows the codes.

``python -m certless demo`` starts it. The parts are real: mails go by SMTP, and requests by HTTP to
an API that does not know the gateway. The shop's page shows the bytes that a tap recorded at the
gateway's socket. Everything is in memory and lost when the demo ends.
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
from .legacy_site import LegacySite, legacy_site
from .mailbox import Mailbox, MailboxPage, smtp_sink
from .sample_api import sample_api
from .tap import tapped
from .vault_site import VaultSite, vault_site
from .wire import Wire

__all__ = ["Places", "introduction", "run", "running"]

# The API trusts a header, and the SMTP server accepts every mail: only the gateway may reach them.
_INSIDE_HOST = "127.0.0.1"
_SHUTDOWN_S = 5
# A picture of 5 MiB has 8.9 MiB on the wire in classic.
_MAX_BODY_BYTES = 12 * 1024 * 1024
_WIRE = "/wire.json"
_local_names_only = only_for(r"localhost|[a-z0-9.-]+\.test")
_Wrap: TypeAlias = Callable[[asyncio.Protocol], asyncio.Protocol]
_ORDER = """--json '{"item":"tea","quantity":2}'"""


@dataclass(frozen=True, slots=True)
class Places:
    """The URLs at which the parts listen."""

    gateway: str
    mailbox: str
    api: str
    smtp: str
    figures: str


class _DemoUsers(AnyAddress):
    """Anybody may log in; the mailbox is notified when a code was used."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        """The gateway calls this after a right code."""
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
    """Run the demo while the context lasts. Port 0 means any free port.

    Gateway and mailbox listen on ``host``; anybody who reaches the mailbox can read all codes. The
    API and the SMTP server always listen on loopback. Raises: ConfigError, in one line.
    """
    async with AsyncExitStack() as stack:
        # Open all ports before anything starts, because the parts need each other's ports.
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
            users=_DemoUsers(mailbox),
            mail=places.smtp,
            public=public,
            site="the tea shop",
            max_body_bytes=_MAX_BODY_BYTES,
            # Users of the demo log in often.
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
    site_ports: tuple[int, int, int] = (8445, 8446, 8480),
    vault_port: int = 8447,
    dialect: str = DEFAULT_DIALECT,
    stop: asyncio.Event | None = None,
    announce: Callable[[str], object] = print,
) -> None:
    """Run the demo until ``stop`` is set, or until cancelled if there is none. Then shut it down.

    ``announce`` receives each line of the introduction. ``site_ports`` are those of the notebook,
    its gateway and ``connect``, ``vault_port`` is that of the vault. The other arguments are those
    of ``running``. Raises: ConfigError, in one line.
    """
    ports = (port, mailbox_port, api_port, smtp_port, figures_port)
    async with (
        running(host, *ports, dialect) as places,
        vault_site(places.smtp, places.mailbox, vault_port) as vault,
        legacy_site(places.smtp, *site_ports) as site,
    ):
        for line in [*introduction(places, dialect), *_of_vault(vault), *_of_site(site)]:
            announce(line)
        await (stop or asyncio.Event()).wait()


def introduction(places: Places, dialect: str) -> list[str]:
    """The lines that name the pages to open and the commands to try."""
    is_default = dialect == DEFAULT_DIALECT
    # Naming a dialect selects classic.
    shop_url = places.gateway if is_default else f"{places.gateway}/?suite=classic"
    lines = [
        "The Certless demo is running. Press Ctrl+C to stop it.",
        "",
        f"  Shop     {shop_url}   (start here, in a browser)",
        f"  Mailbox  {places.mailbox}   (receives all codes)",
        f"  Figures  {places.figures}   (charts of the gateway)",
        "",
        "Log in and order from a terminal, with any address:",
        f"  {_request_command(places, dialect)}",
    ]
    if is_default:  # the dialect of the example
        lines += [
            "The same from Node.js, with the classic suite:",
            f"  node examples/node_client.mjs {places.gateway} ann@example.org",
        ]
    return [
        *lines,
        "A request without a login is refused:",
        f"  curl -i {places.gateway}/orders",
    ]


def _of_vault(vault: VaultSite) -> list[str]:
    return [
        "",
        "A vault: the server keeps a note that it cannot read (docs/vault.md):",
        f"  Vault    {vault.url}",
        f"  its database is {vault.database}",
        f"  Issuing  {vault.url}/issue   (certificates whose key no server has, docs/issuing.md)",
    ]


def _of_site(site: LegacySite) -> list[str]:
    lines = [
        "",
        "The same small site with a login form and a cookie, twice (docs/legacy.md):",
        f"  in plain HTTP         {site.plain}",
    ]
    if site.sealed:
        return [*lines, f"  sealed, by connect    {site.sealed}   (works once)"]
    return [*lines, f"  sealed: connect did not start: {site.reason}"]


def _request_command(places: Places, dialect: str) -> str:
    option = "" if dialect == DEFAULT_DIALECT else f"--dialect {dialect} "
    return (
        f"{_this_python()} -m certless request --login ann@example.org {option}"
        f"POST {places.gateway}/orders {_ORDER}"
    )


def _this_python() -> str:
    """The command for the running interpreter, which may be in a virtual environment."""
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
            text = f"port {port}, for the {part}, is in use: stop the program that listens there, "
            text += "or choose another --port"
        else:
            reason = error.strerror or "no such address"
            text = f"cannot listen on {host}:{port}, for the {part}: {reason}"
    raise ConfigError(text)


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # A wildcard address is not an address to open in a browser.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _tap(wire: Wire, public: list[str]) -> _Wrap:
    """Record sealed and refused requests, but not those to public files."""
    left_out = RoutePatterns([*public, f"{DEFAULT_PREFIX}/{{script}}.js"])
    return lambda protocol: tapped(protocol, wire, lambda path: not left_out.match(path))


def _unchanged(protocol: asyncio.Protocol) -> asyncio.Protocol:
    return protocol


async def _serve(
    stack: AsyncExitStack,
    app: web.Application,
    listener: socket.socket,
    wrap: _Wrap = _unchanged,
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
    assert make_protocol is not None  # noqa: S101 (setup has set it)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: wrap(make_protocol()), sock=listener)
    stack.callback(server.close)
