"""The command ``serve``."""

from typing import Any

from gateway.config.arguments import add_arguments
from gateway.service.serve import serve


def add(commands: Any) -> None:
    """Add the command to the parser."""
    service = commands.add_parser("serve", help="run a gateway in front of an HTTP API")
    add_arguments(service)
    service.set_defaults(run=serve)
