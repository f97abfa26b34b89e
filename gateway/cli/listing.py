"""The output of commands for operators: tables, times, and lines for people."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.logs import on_one_line


def print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print ``rows`` to stdout in aligned columns; the last column can have any length."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        sys.stdout.write("  ".join(map(str.ljust, row, widths)).rstrip() + "\n")


def time_text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def print_note(text: str) -> None:
    """Print a line for people to stderr, after what was printed to stdout."""
    sys.stdout.flush()
    sys.stderr.write(on_one_line(text) + "\n")
