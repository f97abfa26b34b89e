"""The command line: serve and demo here, request, and what operators do, in rooms of their own.

What a person did wrong is one line that says what to do, and status 2; what went wrong elsewhere
is one line and status 1.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn

from certless.client import ClientError
from gateway import __version__
from gateway.errors import ConfigError, GatewayError
from gateway.logs import on_one_line
from gateway.policy.suites import SUITES
from gateway.service.serve import serve
from gateway.service.signals import told_to_stop
from protocol.classic.dialects import DEFAULT_DIALECT, DIALECTS

from .doctor import doctor
from .keys import add_keys
from .operator import add_operator
from .request import add_request


class _Parser(argparse.ArgumentParser):
    """One line for a wrong option, in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="certless", description="Encrypted, authenticated HTTP where TLS cannot go."
    )
    parser.add_argument("--version", action="version", version=f"certless {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    service = commands.add_parser("serve", help="put Certless in front of an HTTP API")
    add_service_options(service)
    service.set_defaults(run=serve)

    check = commands.add_parser("doctor", help="say what stands in the way of such a service")
    add_service_options(check)
    check.set_defaults(run=doctor)

    demo = commands.add_parser("demo", help="a gateway, a sample API and a mailbox to look into")
    demo.add_argument("--port", type=int, default=8440, help="the gateway; the next four are used")
    demo.add_argument("--dialect", choices=DIALECTS, default=DEFAULT_DIALECT)
    demo.set_defaults(run=_demo)

    add_request(commands)
    add_operator(commands)
    add_keys(commands)
    return parser


def add_service_options(service: argparse.ArgumentParser) -> None:
    """What a gateway is set up by, for every command that takes the same as ``serve``."""
    service.add_argument("--listen", metavar="HOST:PORT", help="default 127.0.0.1:8440")
    service.add_argument("--upstream", metavar="URL", help="the API, e.g. http://127.0.0.1:9000")
    who = service.add_mutually_exclusive_group()
    who.add_argument("--users", metavar="FILE", help="TOML file of users and their addresses")
    who.add_argument(
        "--any-address", action="store_true", default=None, help="any mail address may log in"
    )
    service.add_argument("--mail", metavar="URL", help="smtp://…, dir:PATH, console:, webhook:URL")
    service.add_argument("--mail-from", metavar="ADDRESS", help="sender of the codes")
    service.add_argument("--mail-helo", metavar="NAME", help="this host, to mail servers")
    service.add_argument("--site", metavar="NAME", help="what the mail calls this service")
    service.add_argument(
        "--store", metavar="URL", help="memory: (default), sqlite:PATH or redis://…"
    )
    service.add_argument(
        "--key-file",
        metavar="FILE",
        help="seals the store; made on first start, for SQLite as PATH.key",
    )
    service.add_argument("--suites", metavar="NAMES", help=f"default {','.join(SUITES)}")
    service.add_argument(
        "--require",
        metavar="PATTERN=SUITE",
        action="append",
        help="a route that takes this suite or a stronger one, e.g. '/admin/*=ecdh-gcm'",
    )
    service.add_argument(
        "--dialect", metavar="NAME", help=f"how classic is spoken; default {DEFAULT_DIALECT}"
    )
    service.add_argument(
        "--realm", metavar="NAME", help="what clients call this service; default certless"
    )
    service.add_argument(
        "--public", metavar="PATTERN", action="append", help="a route without login, e.g. /static/*"
    )
    service.add_argument(
        "--target",
        metavar="PATTERN",
        action="append",
        help="pass on these paths only; name public ones here as well",
    )
    service.add_argument(
        "--workers", metavar="N", type=int, help="processes that share the port and the store"
    )
    service.add_argument(
        "--trusted-proxy",
        metavar="NETWORK",
        action="append",
        help="a reverse proxy in front, by address or network: its X-Forwarded-For is believed",
    )
    service.add_argument(
        "--admin", metavar="[HOST:]PORT", help="figures and charts, without a login; on loopback"
    )
    service.add_argument(
        "--audit", metavar="FILE", help="JSON, a line for each login, code, session, limit"
    )
    service.add_argument(
        "--config", metavar="FILE", help="TOML file of all these, and own dialects"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(not _is_text(argument) for argument in given):
        return _complain("an argument is not UTF-8; put such bytes in a file: -d @FILE", 2)
    options = _parser().parse_args(given)
    run: Coroutine[Any, Any, int] = options.run(options)
    try:
        return asyncio.run(run)
    except ConfigError as error:
        return _complain(str(error), 2)
    except (GatewayError, ClientError) as error:
        return _complain(str(error), 1)
    except KeyboardInterrupt:
        return 130


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"certless: {on_one_line(text)}\n")
    return status


# --- demo ---------------------------------------------------------------------------------------


async def _demo(arguments: argparse.Namespace) -> int:
    try:
        from gateway.demo import run  # noqa: PLC0415 (needs the extra "demo")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the demo needs {error.name}: in a clone, pip install '.[demo]'"
        ) from None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # aiosmtpd tells of every command.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    port = arguments.port
    step = 1 if port else 0  # port 0 stands for any that is free, for all five
    await run(
        port=port,
        mailbox_port=port + step,
        api_port=port + 2 * step,
        smtp_port=port + 3 * step,
        figures_port=port + 4 * step,
        dialect=arguments.dialect,
        stop=told_to_stop(),
        announce=_announce,
    )
    return 0


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
