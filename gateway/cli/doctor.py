"""``certless doctor``: prints the findings about a gateway, one line each."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from gateway.config.arguments import add_arguments
from gateway.doctor import Finding, Mark, Report, Service, examine, fix
from gateway.doctor.clock import check_clock
from gateway.doctor.codes import check_codes
from gateway.doctor.configuration import check_configuration
from gateway.doctor.files import check_files
from gateway.doctor.mail import check_mail
from gateway.doctor.store import check_store
from gateway.doctor.upstream import check_upstream
from gateway.doctor.visitor import check_visitor
from gateway.doctor.webhooks import check_webhooks
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from gateway.service.options import service_options

CHECKS = (
    ("settings", check_configuration),
    ("codes", check_codes),
    ("files", check_files),
    ("clock", check_clock),
    ("store", check_store),
    ("mail", check_mail),
    ("factors", check_webhooks),
    ("upstream", check_upstream),
    ("visitor", check_visitor),
)


def add(commands: Any) -> None:
    """Add the command to the parser."""
    check = commands.add_parser(
        "doctor", help="check the options and environment of such a gateway"
    )
    add_arguments(check)
    check.set_defaults(run=_doctor)


async def _doctor(arguments: argparse.Namespace) -> int:
    """Print the findings; 0 if there is nothing to fix, else 1."""
    config = Path(arguments.config) if arguments.config else None
    try:
        report = await examine(Service(service_options(arguments), config), CHECKS)
    except ConfigError as error:
        report = Report((fix("settings", f"{error}; nothing else was checked"),))
    for finding in report.findings:
        sys.stdout.write(_line(finding))
    sys.stdout.write(_summary(report))
    sys.stdout.flush()
    status = 0 if report.is_sound else 1
    if report.is_stuck:
        # A thread that waits for a file system would keep this process from ending.
        os._exit(status)
    return status


def _line(finding: Finding) -> str:
    return f"{finding.mark:<5} {finding.about:<9} {on_one_line(finding.text)}\n"


def _summary(report: Report) -> str:
    marks = [finding.mark for finding in report.findings]
    return f"{marks.count(Mark.FIX)} to fix, {marks.count(Mark.WARN)} warnings\n"
