"""The command line: the parser, and the commands ``serve`` and ``demo``.

An error of the user is one line that says what to do, and status 2. Any other error is one line,
and status 1.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, NoReturn

from certless.client import ClientError
from gateway import __version__
from gateway.config.arguments import add_argument, add_arguments
from gateway.config.settings import find_dialect
from gateway.errors import ConfigError, GatewayError
from gateway.logs import on_one_line
from gateway.service.serve import serve
from gateway.service.signals import stop_signal
from protocol.classic.dialects import DEFAULT_DIALECT

from .connect import add_connect
from .doctor import doctor
from .keys import add_keys
from .operator import add_operator
from .request import add_request


class _Parser(argparse.ArgumentParser):
    """Prints one line for a wrong option, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="certless", description="Encrypted, authenticated HTTP where TLS cannot go."
    )
    parser.add_argument("--version", action="version", version=f"certless {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    service = commands.add_parser("serve", help="run a gateway in front of an HTTP API")
    add_arguments(service)
    service.set_defaults(run=serve)

    check = commands.add_parser(
        "doctor", help="check the options and environment of such a gateway"
    )
    add_arguments(check)
    check.set_defaults(run=doctor)

    demo = commands.add_parser("demo", help="run a gateway with a sample API and a mailbox page")
    demo.add_argument(
        "--port",
        type=int,
        default=8440,
        help="port of the gateway (default 8440); the next six and the one 40 higher are used too",
    )
    add_argument(demo, "dialect")
    demo.set_defaults(run=_demo)

    add_request(commands)
    add_connect(commands)
    add_operator(commands)
    add_keys(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(not _is_text(argument) for argument in given):
        return _print_error("an argument is not UTF-8; put binary data into a file: -d @FILE", 2)
    options = _parser().parse_args(given)
    run: Coroutine[Any, Any, int] = options.run(options)
    try:
        return asyncio.run(run)
    except ConfigError as error:
        return _print_error(str(error), 2)
    except (GatewayError, ClientError) as error:
        return _print_error(str(error), 1)
    except KeyboardInterrupt:
        return 130


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _print_error(text: str, status: int) -> int:
    sys.stderr.write(f"certless: {on_one_line(text)}\n")
    return status


# --- demo ---------------------------------------------------------------------------------------


async def _demo(arguments: argparse.Namespace) -> int:
    try:
        from gateway.demo import run  # noqa: PLC0415 (needs the extra "demo")
    except ModuleNotFoundError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install 'certless[demo]'") from None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # aiosmtpd logs every command.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    port = arguments.port
    step = 1 if port else 0  # port 0 means any free port, for all
    await run(
        port=port,
        mailbox_port=port + step,
        api_port=port + 2 * step,
        smtp_port=port + 3 * step,
        figures_port=port + 4 * step,
        site_ports=(port + 5 * step, port + 6 * step, port + 40 * step),
        dialect=find_dialect(arguments.dialect or DEFAULT_DIALECT).name,
        stop=stop_signal(),
        announce=_announce,
    )
    return 0


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
