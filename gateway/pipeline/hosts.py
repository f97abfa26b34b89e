"""Which Host a request may name: one, as ``name``, ``name:port`` or ``[address]:port``.

It goes on to applications and upstreams, which build links and pick sites by it. Of what RFC 3986
allows in a name only what DNS and local networks use is taken: no comma, which would make two
values of one where headers are lists, and no escapes.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address

_LONGEST = 261  # a name of 255 characters, a colon and a port
_HOST = re.compile(r"(?:[A-Za-z0-9_~.-]+|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{0,5})?")


def is_host(text: str) -> bool:
    """Whether ``text`` is a host, perhaps with a port."""
    found = _HOST.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        return False
    try:
        return found[1] is None or bool(IPv6Address(found[1]))
    except ValueError:
        return False


def is_one_host(values: Sequence[str], *, may_be_none: bool = False) -> bool:
    """Whether the headers Host of a request, ``values``, are one that is a host.

    There ``may_be_none`` in HTTP/1.0, and inside a message.
    """
    return is_host(values[0]) if len(values) == 1 else may_be_none and not values
