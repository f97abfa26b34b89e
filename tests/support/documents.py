"""The documents, read for tests: their headings, links, tables and blocks of code."""

import re
from pathlib import Path

from processes import ROOT

_PLACES = (
    *("*.md", "docs/*.md", "spec/**/*.md", "bench/*.md", "deploy/*.md"),
    *("client_js/*.md", "client_c/*.md"),
)
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^()\s]+)\)|\b(?:href|src|srcset)=\"([^\"]+)\"")
_ROW = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)

DOCUMENTS = sorted(path for place in _PLACES for path in ROOT.glob(place))
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def read(name: str) -> str:
    """The text of a document, by its path below the repository's root."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code of ``language``, without the indentation of the fence."""
    found = [(indent, code) for indent, name, code in _FENCED.findall(text) if name == language]
    return [re.sub(f"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def prose(text: str) -> str:
    """``text`` without its blocks of code."""
    return _FENCED.sub("", text)


def links(text: str) -> list[str]:
    """The targets of links and pictures, except those to other sites."""
    written = re.sub(r"`[^`\n]*`", "", prose(text))
    targets = [markdown or html for markdown, html in _LINK.findall(written)]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors of the headings of ``text``, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        again = [name, *(f"{name}-{count}" for count in range(1, 100))]
        found.add(next(one for one in again if one not in found))
    return found


def tables(text: str) -> list[list[list[str]]]:
    """Every table of ``text``: its rows, the head first, as cells without backticks."""
    found = []
    for lines in _ROW.findall(prose(text)):
        rows = [
            [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
            for line in lines.splitlines()
        ]
        found.append([rows[0], *rows[2:]])
    return found


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without the head."""
    below = re.split(rf"^#+ {re.escape(heading)}.*$", text, maxsplit=1, flags=re.MULTILINE)[1]
    return tables(below)[0][1:]


def lead_nowhere(path: Path, text: str) -> list[str]:
    """The broken links in ``text``, the document at ``path``."""
    return [target for target in links(text) if not _is_there(path, text, target)]


def _is_there(path: Path, text: str, target: str) -> bool:
    name, _, anchor = target.partition("#")
    to = (path.parent / name).resolve() if name else path
    if not to.is_relative_to(ROOT.resolve()) or not to.exists():
        return False
    if not anchor:
        return True
    return to.suffix == ".md" and anchor in anchors(to.read_text("utf-8") if name else text)
