"""``certless connect``: arguments of the local sealed proxy. The proxy is ``certless.connect``."""

import argparse
import asyncio
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from yarl import URL

from certless.client import DEFAULT_SUITE, SUITES, ClientError
from certless.connect.browser import Browser, find_browser, shown
from certless.connect.command import run_command
from certless.connect.forget import forget
from certless.connect.listener import listen_on
from certless.connect.mapped import Mapped, mapped_mode
from certless.connect.names import LESS_PROTECTED, checked_name
from certless.connect.proxy import proxy_mode
from gateway.config.arguments import add_argument
from gateway.config.options import default_of
from gateway.config.settings import http_url
from gateway.errors import ConfigError
from gateway.service.signals import stop_signal

_PORT = 8480
_TERMINAL = Path("/dev/tty")
_BEST_EFFORT = (
    "is best effort: if connect is not running, or the browser cannot read it, the browser sends "
    "the requests in plain. Use a browser profile with a fixed proxy."
)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    connect = commands.add_parser(
        "connect",
        help="seal all requests of a browser or a program to a site, by a local proxy",
        usage="certless connect [options] SITE [SITE ...] [-- COMMAND ...]",
    )
    connect.add_argument("sites", nargs="+", metavar="SITE", help="e.g. http://shop.example")
    connect.add_argument(
        "--port", type=int, default=_PORT, help=f"local port (default {_PORT}; 0: any free port)"
    )
    connect.add_argument(
        "--proxy", metavar="ADDRESS:PORT", help="be a forward proxy there, for these sites only"
    )
    connect.add_argument(
        "--browser",
        action="store_true",
        help="start Chromium, Chrome or Firefox with a profile of its own, and end with it",
    )
    connect.add_argument(
        "--name", metavar="HOST", help="the local host name, instead of a random one"
    )
    connect.add_argument(
        "--login", metavar="NAME", help="with a COMMAND: the user name or mail address"
    )
    connect.add_argument(
        "--code-stdin",
        action="store_true",
        help="with a COMMAND: read the code from the first line of standard input",
    )
    connect.add_argument(
        "--suite",
        choices=[suite for suite in SUITES if suite != "classic"],
        default=DEFAULT_SUITE,
        help=f"default {DEFAULT_SUITE}",
    )
    for name in ("realm", "prefix"):
        add_argument(connect, name, f"the gateway's {name} (default {default_of(name)})")
    connect.add_argument(
        "--forget",
        action="store_true",
        help="log out, and delete the ticket and the local address of the site",
    )
    connect.set_defaults(run=_connect, errors=(ClientError,))
    connect.parse_known_args = functools.partial(_parse, connect.parse_known_args)


def _parse(
    parse: Callable[..., Any], given: Sequence[str], namespace: argparse.Namespace | None = None
) -> tuple[argparse.Namespace, list[str]]:
    """``parse`` the arguments before ``--``. The arguments after it are the command."""
    words = list(given)
    at = words.index("--") if "--" in words else len(words)
    arguments, unknown = parse(words[:at], namespace)
    arguments.child = words[at + 1 :]
    return arguments, unknown


def _sites(given: Sequence[str]) -> list[URL]:
    sites = []
    for text in given:
        url = http_url(text)
        if url is None or url.scheme != "http" or url.raw_path_qs != "/" or url.fragment:
            raise ConfigError(f"SITE {text!r} must be like http://shop.example, without a path")
        sites.append(url)
    return sites


async def _connect(arguments: argparse.Namespace) -> int:
    sites = _sites(arguments.sites)
    protocol = (
        arguments.suite,
        arguments.realm or default_of("realm"),
        arguments.prefix or default_of("prefix"),
    )
    if arguments.child:
        if arguments.browser or arguments.name is not None or arguments.proxy is not None:
            raise ConfigError("--browser, --name and --proxy are not for a COMMAND")
        if arguments.login is None:
            raise ConfigError("a COMMAND needs --login NAME")
        code = functools.partial(_code, arguments.code_stdin)
        return await run_command(arguments.child, sites, arguments.login, code, *protocol)
    if arguments.login is not None or arguments.code_stdin:
        raise ConfigError("--login and --code-stdin need a COMMAND after --")
    if (arguments.browser or arguments.name is not None) and (
        arguments.proxy is not None or arguments.forget
    ):
        raise ConfigError("--browser and --name are for the local address of one SITE")
    if arguments.forget:
        for site in sites:
            is_ended = await forget(site, *protocol)
            rest = "the session is ended" if is_ended else "no session was ended at the gateway"
            _print(f"forgotten: {site.origin()}; {rest}")
        return 0
    if arguments.proxy is not None:
        return await _proxy(arguments.proxy, sites, *protocol)
    if len(sites) != 1:
        raise ConfigError("give one SITE, or --proxy: each local address is for one site")
    browser = find_browser() if arguments.browser else None
    name = None if arguments.name is None else await checked_name(arguments.name)
    stop = stop_signal()
    async with mapped_mode(sites[0], *protocol, arguments.port, name=name) as mapped:
        if browser is None:
            _print(f"{mapped.door_url}\nOpen it in a browser. It works once. Ctrl+C ends connect.")
        if name is not None:
            _print(LESS_PROTECTED)
        await (stop.wait() if browser is None else _until_closed(browser, mapped, stop))
    return 0


async def _until_closed(browser: Browser, mapped: Mapped, stop: asyncio.Event) -> None:
    """Show the site in ``browser`` until it is closed, or until a signal."""
    async with shown(browser, mapped.door_url, mapped.browsers) as process:
        _print(f"{mapped.own} is open in {browser.program}. Close it, or press Ctrl+C, to end.")
        ends = [asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()


async def _proxy(at: str, sites: Sequence[URL], suite: Any, realm: str, prefix: str) -> int:
    address, _, port = at.rpartition(":")
    if not address or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--proxy {at!r} must be like 127.0.0.1:8481")
    opened = listen_on(address.strip("[]"), int(port))
    stop = stop_signal()
    async with proxy_mode(sites, suite, realm, prefix, opened) as proxy:
        _print(f"{proxy.url}\nUse it as the proxy for http:// of a browser profile of its own.")
        _print(f"{proxy.pac_url} {_BEST_EFFORT}")
        await stop.wait()
    return 0


async def _code(from_stdin: bool) -> str:
    """The code as typed. Without ``from_stdin`` it comes from the terminal, even in a pipe."""
    line = await asyncio.to_thread(_line_of_stdin if from_stdin else _line_of_terminal)
    if not line.strip():
        raise ClientError("no code was given: run the command again, and use the newest mail")
    return line


def _line_of_stdin() -> str:
    """Read byte by byte, because the bytes after the line are the input of the command."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line.decode("utf-8", "replace")


def _line_of_terminal() -> str:
    try:
        _TERMINAL.write_text("If this user may log in, a mail with a code is on its way.\nCode: ")
        with _TERMINAL.open(encoding="utf-8", errors="replace") as terminal:
            return terminal.readline()
    except OSError:
        raise ConfigError("there is no terminal to ask for the code: use --code-stdin") from None


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
