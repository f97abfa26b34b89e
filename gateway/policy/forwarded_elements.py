"""The header Forwarded (RFC 7239), as a list of elements.

Each proxy appends one element about the connection that it received. The parser is strict. A value
with an error says nothing, because a lenient reading could let a client move the border between its
own text and the element of a proxy.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

FORWARDED = "Forwarded"

Element: TypeAlias = dict[str, str]

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# One parameter, and what follows it: another one, another element, or the end.
_PARAMETER = re.compile(
    rf'[ \t]*({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")[ \t]*([;,]|\Z)', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def elements_of(lines: Sequence[str]) -> list[Element] | None:
    """The elements, the one of the nearest proxy last. None if the header cannot be read.

    ``lines`` are the values of the header. Names of parameters are in lower case.
    """
    elements: list[Element] = []
    for line in lines:
        found = _elements_in(line)
        if found is None:
            return None
        elements += found
    return elements


def _elements_in(line: str) -> list[Element] | None:
    elements: list[Element] = [{}]
    at, end = 0, ","
    # A separator promises another parameter.
    while end:
        found = _PARAMETER.match(line, at)
        if found is None:
            return None
        name, token, quoted, end = found.groups()
        if name.lower() in elements[-1]:
            return None
        elements[-1][name.lower()] = token or _ESCAPED.sub(r"\1", quoted or "")
        at = found.end()
        if end == ",":
            elements.append({})
    return elements
