"""``certless vault audit``: what a dump of a vault's database shows about blocks (VAULT §24)."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError
from vault.audit.dumps import NotADump, read
from vault.audit.findings import findings_of

_LINKS = "The dump links blocks to each other or to users: see the lines with !."
_NO_LINK = "Nothing in the dump was found to link blocks to each other or to users."


def add(actions: Any) -> None:
    """Add the command to those of ``certless vault``."""
    audit = actions.add_parser("audit", help="look for links between blocks and users in a dump")
    audit.add_argument(
        "dump", metavar="DUMP", help="a file of SQLite, or the output of pg_dump --format=plain"
    )
    audit.set_defaults(run=_audit, errors=(OSError,))


async def _audit(arguments: argparse.Namespace) -> int:
    try:
        dump = await asyncio.to_thread(read, Path(arguments.dump))
    except NotADump as error:
        raise ConfigError(str(error)) from None
    findings = await asyncio.to_thread(lambda: list(findings_of(dump)))
    for finding in findings:
        sys.stdout.write(f"{'!' if finding.links else ' '} {finding.text}\n")
    links = any(finding.links for finding in findings)
    sys.stdout.write(f"\n{_LINKS if links else _NO_LINK}\n")
    return int(links)
