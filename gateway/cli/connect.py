"""``certless connect``: arguments of the local sealed proxy. The proxy is ``certless.connect``."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from yarl import URL

from certless.client import DEFAULT_SUITE, SUITES
from certless.connect.forget import forget
from certless.connect.mapped import mapped_mode
from gateway.config.arguments import add_argument
from gateway.config.options import default_of
from gateway.config.settings import http_url
from gateway.errors import ConfigError
from gateway.service.signals import stop_signal

_PORT = 8480


def add_connect(commands: Any) -> None:
    """Add the command to the parser."""
    connect = commands.add_parser(
        "connect", help="seal all requests of a browser to a site, by a local proxy"
    )
    connect.add_argument("sites", nargs="+", metavar="SITE", help="e.g. http://shop.example")
    connect.add_argument(
        "--port", type=int, default=_PORT, help=f"local port (default {_PORT}; 0: any free port)"
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
    connect.set_defaults(run=_connect)


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
    if len(sites) != 1:
        raise ConfigError("give one SITE: each needs a connect of its own")
    at = (
        sites[0],
        arguments.suite,
        arguments.realm or default_of("realm"),
        arguments.prefix or default_of("prefix"),
    )
    if arguments.forget:
        is_ended = await forget(*at)
        rest = "the session is ended" if is_ended else "no session could be ended at the gateway"
        _print(f"forgotten: {sites[0].origin()}; {rest}")
        return 0
    async with mapped_mode(*at, arguments.port) as mapped:
        _print(f"{mapped.door_url}\nOpen it in a browser. It works once. Ctrl+C ends connect.")
        await stop_signal().wait()
    return 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
