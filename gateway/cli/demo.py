"""The command ``demo``."""

import argparse
import logging
import sys
from typing import Any

from gateway.config.arguments import add_argument
from gateway.config.settings import find_dialect
from gateway.errors import ConfigError
from gateway.service.signals import stop_signal
from protocol.classic.dialects import DEFAULT_DIALECT


def add(commands: Any) -> None:
    """Add the command to the parser."""
    demo = commands.add_parser("demo", help="run a gateway with a sample API and a mailbox page")
    demo.add_argument(
        "--port",
        type=int,
        default=8440,
        help="port of the gateway (default 8440); the next seven and one 40 higher are used too",
    )
    add_argument(demo, "dialect")
    demo.set_defaults(run=_demo)


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
        vault_port=port + 7 * step,
        dialect=find_dialect(arguments.dialect or DEFAULT_DIALECT).name,
        stop=stop_signal(),
        announce=_announce,
    )
    return 0


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
