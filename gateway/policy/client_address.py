"""Who a visitor is, and which addresses count as one.

The peer of a connection may be a reverse proxy that speaks for many. Only one that the operator
trusts is asked for whom, by the header X-Forwarded-For, to which each proxy adds at the right end
whom it saw. So it is read from the right, over trusted addresses, to the first that is not: what
stands left of that was written by nobody we know. The header Forwarded (RFC 7239) is not read,
since where two headers say who it was, a visitor can choose (decision 45).
"""

import logging
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from gateway.errors import ConfigError

# Stands in ``trusted_proxies`` for whoever comes through a Unix socket.
UNIX = "unix"
UNKNOWN = "an unknown address"
FORWARDED_FOR = "X-Forwarded-For"
_BLOCK_BITS = 64
# An address of IPv6 that ends like one of IPv4, and a zone.
_LONGEST = 64
# Behind a translator (RFC 6052) the whole of IPv4 is in one block.
_TRANSLATED = IPv6Network("64:ff9b::/96")
# As some load balancers write whom they saw: 192.0.2.7:5100, [2001:db8::7]:5100, [2001:db8::7].
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_log = logging.getLogger("certless")

_Address: TypeAlias = IPv4Address | IPv6Address


class ClientAddresses:
    """Tells visitors by their addresses, also behind the proxies of ``trusted``.

    ``trusted`` are addresses and networks like ``10.0.0.0/8``, and ``unix``. Raises: ConfigError.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        if isinstance(trusted, str):
            raise ConfigError("trusted_proxies is a list, not one string")
        words = set(trusted)
        self._trusts_unix = UNIX in words
        self._networks = [_network(text) for text in words - {UNIX}]
        # Said once, where nobody is trusted: perhaps somebody should be.
        self._is_to_warn = not words

    def address(self, peer: str | None, forwarded_for: Sequence[str]) -> str:
        """The address of the visitor behind ``peer``; UNKNOWN where that is not known.

        ``forwarded_for`` are the values of the header, each line one, as they came. Where they
        cannot be read, it is the peer's own.
        """
        seen, near = _parsed(peer or ""), address_of(peer)
        if not forwarded_for:
            return near
        if not (self._trusts(seen) if peer else self._trusts_unix):
            self._warn(near)
            return near
        visitor = near
        for hop in reversed(",".join(forwarded_for).split(",")):
            address = _parsed(_without_port(hop.strip()))
            if address is None:
                return near
            visitor = str(address)
            if not self._trusts(address):
                break
        return visitor

    def _warn(self, peer: str) -> None:
        if self._is_to_warn:
            self._is_to_warn = False
            _log.warning(
                "X-Forwarded-For comes from %s: if a reverse proxy of yours is there, name it in "
                "trusted_proxies (--trusted-proxy), else all its visitors share one limit",
                peer,
            )

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def address_of(peer: str | None) -> str:
    """``peer`` as addresses are written; UNKNOWN where it is none.

    A server that believes a header takes for a peer whatever it says, and a mail or a log must not
    repeat that.
    """
    seen = _parsed(peer or "")
    return str(seen) if seen else UNKNOWN


def block_of(address: str) -> str:
    """The addresses that one visitor has at hand: one of IPv4, a /64 of IPv6."""
    parsed = _parsed(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or address)
    if parsed in _TRANSLATED:
        return str(IPv4Address(int(parsed) & 0xFFFFFFFF))
    host_bits = 128 - _BLOCK_BITS
    return f"{IPv6Address(int(parsed) >> host_bits << host_bits)}/{_BLOCK_BITS}"


def _without_port(hop: str) -> str:
    found = _WITH_PORT.fullmatch(hop)
    return found[1] or found[2] if found else hop


def _parsed(text: str) -> _Address | None:
    """An address without its zone; one of IPv4 also where IPv6 spells it."""
    # What is longer, a visitor made up, and would have it remembered.
    return _read(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _read(text: str) -> _Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ConfigError(
            f"trusted_proxies: {text!r} is no network: write 127.0.0.1, 10.0.0.0/8 or {UNIX}"
        ) from None
