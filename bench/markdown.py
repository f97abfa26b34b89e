"""Pieces of Markdown for the pages."""

import textwrap

from bench.results import Result


def markdown(rows: list[list[str]]) -> str:
    """A table; the first row is its head."""
    head, *others = rows
    line = "|---|" + "--:|" * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, *others)).replace(
        "\n", f"\n{line}\n", 1
    )


def conditions(result: Result) -> str:
    """The machine of a measurement, in one line."""
    told = result.machine
    rounds = [len(values) for row in result.rows.values() for values in row.figures.values()]
    return (
        f"{told['date']}, {told['cores']} cores, Python {told['python']}, OpenSSL "
        f"{told['openssl']}, load before: {told['load']}, rounds: {max(rounds)}."
    )


def paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)
