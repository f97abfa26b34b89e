"""The command line: ``certless COMMAND``. Each command is in a module of its own.

An error of the user is one line that says what to do, and status 2. Any other error is one line,
and status 1.
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Coroutine, Sequence
from importlib import import_module
from typing import Any, NoReturn

from gateway import __version__
from gateway.errors import ConfigError, GatewayError
from gateway.logs import on_one_line

# The module of each command. Only the module of the called command is loaded, for a quick start.
_MODULES = {
    "serve": "gateway.cli.serve",
    "doctor": "gateway.cli.doctor",
    "demo": "gateway.cli.demo",
    "request": "gateway.cli.request",
    "connect": "gateway.cli.connect",
    "vault": "gateway.cli.vault",
    "code": "gateway.cli.issued_codes",
    "ticket": "gateway.cli.devices",
    "devices": "gateway.cli.devices",
    "sessions": "gateway.cli.operator",
    "tickets": "gateway.cli.operator",
    "users": "gateway.cli.operator",
    "keys": "gateway.cli.keys",
}


class _Parser(argparse.ArgumentParser):
    """Prints one line for a wrong option, instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser_of(command: str = "") -> argparse.ArgumentParser:
    """The parser of ``command``; of all commands, if it is none of them."""
    parser = _Parser(
        prog="certless", description="Encrypted, authenticated HTTP where TLS cannot go."
    )
    parser.add_argument("--version", action="version", version=f"certless {__version__}")
    # Errors that a command raises, besides GatewayError, with a text for the user.
    parser.set_defaults(errors=())
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    modules = [_MODULES[command]] if command in _MODULES else dict.fromkeys(_MODULES.values())
    # Loading modules makes many objects and no garbage. The search for it takes a tenth of a start.
    gc.disable()
    try:
        for name in modules:
            import_module(name).add(commands)
    finally:
        gc.enable()
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(not _is_text(argument) for argument in given):
        return _print_error("an argument is not UTF-8; put binary data into a file: -d @FILE", 2)
    options = parser_of(given[0] if given else "").parse_args(given)
    run: Coroutine[Any, Any, int] = options.run(options)
    try:
        return asyncio.run(run)
    except ConfigError as error:
        return _print_error(str(error), 2)
    except (GatewayError, *options.errors) as error:
        return _print_error(str(error), 1)
    except KeyboardInterrupt:
        return 130


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _print_error(text: str, status: int) -> int:
    sys.stderr.write(f"certless: {on_one_line(text)}\n")
    return status
