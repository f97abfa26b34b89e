"""``--name``: a local name of the user's choice for mapped mode, instead of the random one."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from .errors import CannotStart

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")

LESS_PROTECTED = (
    "With --name, other users of this machine can guess the address. A link on any page can lead "
    "the browser to a server of theirs on another port of this name. It then gets the cookie that "
    "admits the browser, and they can use the site as you; --browser prevents this. Put the name "
    "in the hosts file, never in DNS: an attacker who answers for the name would get all requests "
    "of the browser."
)


async def addresses_of(name: str) -> set[str]:
    """Where this machine finds ``name``. Raises: OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return {str(address[0]).partition("%")[0] for *_, address in found}


async def checked_name(name: str, find: Callable[[str], Awaitable[set[str]]] = addresses_of) -> str:
    """``name`` in lower case, if it leads to this machine only. Raises: CannotStart."""
    lower = name.lower()
    if not _NAME.fullmatch(lower) or lower.replace(".", "").isdigit():
        raise CannotStart(f"--name {name!r} must be a host name like shop.local")
    help_text = f"add the line '127.0.0.1 {lower}' to the hosts file"
    try:
        addresses = await find(lower)
    except OSError:
        raise CannotStart(f"--name {lower}: this name is not known; {help_text}") from None
    away = sorted(one for one in addresses if not ip_address(one).is_loopback)
    if away:
        raise CannotStart(
            f"--name {lower} leads to {away[0]}, which is not this machine. The browser would send "
            f"everything there; {help_text}"
        )
    return lower
