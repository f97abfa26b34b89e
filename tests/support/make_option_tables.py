"""Write the tables of options in docs/ from the declarations: ``make docs-options``."""

import re
from pathlib import Path

from gateway.config.arguments import CONFIG_HELP
from gateway.config.option import Option, Section, flag_of
from gateway.config.options import OPTIONS

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
_HEAD = "| in `gateway.toml` | argument | default | |\n|---|---|---|---|\n"
_CONFIG = f"| | `--config FILE` | none | `{CONFIG_HELP.replace(':', '`:', 1)} |\n"


def _row(name: str, option: Option) -> str:
    argument = f"{flag_of(name, option)} {option.metavar}".strip()
    meaning = option.help
    if option.range_text:
        meaning += f"; {option.range_text}"
    if option.more:
        meaning += f". {option.more}"
    return f"| `{name}` | `{argument}` | {option.default_text} | {meaning} |\n"


def table_of(section: Section) -> str:
    """The table of one section."""
    rows = "".join(_row(name, one) for name, one in OPTIONS.items() if one.section is section)
    return _HEAD + rows + (_CONFIG if section is Section.SERVICE else "")


def with_tables(page: str, text: str) -> str:
    """The ``text`` of a page with the first table below each heading replaced."""
    for section in Section:
        if section.page == page:
            table = rf"^## {section.heading}\n[^|]*?((?:^\|.*\n)+)"
            found = re.search(table, text, re.MULTILINE)
            if found is None:
                raise ValueError(f"{page} needs a heading {section.heading!r} and a table there")
            text = text[: found.start(1)] + table_of(section) + text[found.end(1) :]
    return text


def main() -> None:
    """Rewrite the pages."""
    for page in sorted({section.page for section in Section}):
        path = DOCS / page
        path.write_text(with_tables(page, path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
