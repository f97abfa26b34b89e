"""The address of a client, and which addresses count as one client.

The peer of a connection can be a reverse proxy for many clients. If the operator trusts it, the
header X-Forwarded-For names the client. Each proxy adds the address of its own peer at the right
end. So the header is read from the right, over trusted addresses, to the first untrusted one. What
is left of that comes from an unknown source. ``forwarded`` reads the header Forwarded (RFC 7239) in
its place, if the operator names it.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

# The entry of ``trusted_proxies`` for all connections through a Unix socket.
UNIX = "unix"
UNKNOWN = "an unknown address"
FORWARDED_FOR = "X-Forwarded-For"
_BLOCK_BITS = 64
# An IPv6 address with an IPv4 ending and a zone.
LONGEST_ADDRESS = 64
# A translator (RFC 6052) maps all of IPv4 into this one block.
_TRANSLATED = IPv6Network("64:ff9b::/96")
# Some load balancers write 192.0.2.7:5100, [2001:db8::7]:5100 or [2001:db8::7].
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
_log = logging.getLogger("certless")

_Address: TypeAlias = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Hop:
    """An address in a header, and whether it is a trusted proxy."""

    address: str
    is_trusted: bool


class ClientAddresses:
    """Finds the address of a client, also behind a trusted reverse proxy.

    ``trusted`` are addresses, networks like ``10.0.0.0/8``, and ``unix``. Raises: ConfigError.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        if isinstance(trusted, str):
            raise ConfigError("trusted_proxies is a list, not one string")
        entries = set(trusted)
        self._trusts_unix = UNIX in entries
        self._networks = [_network(text) for text in entries - {UNIX}]
        # One warning, if no proxy is trusted: the operator may have forgotten one.
        self._is_to_warn = not entries
        self.trusts_any = bool(entries)

    def address(self, peer: str | None, forwarded_for: Sequence[str]) -> str:
        """The address of the client behind ``peer``, or UNKNOWN.

        ``forwarded_for`` are the values of the header, one for each line. If they cannot be read,
        the address is that of the peer.
        """
        near = address_of(peer)
        if not forwarded_for:
            return near
        if not self.trusts(peer):
            self._warn(near)
            return near
        client = near
        for text in reversed(",".join(forwarded_for).split(",")):
            hop = self.hop(text)
            if hop is None:
                return near
            client = hop.address
            if not hop.is_trusted:
                break
        return client

    def hop(self, text: str) -> Hop | None:
        """An address with or without a port; None if ``text`` is no address."""
        address = _parsed(_without_port(text.strip()))
        return Hop(str(address), self._trusts(address)) if address else None

    def trusts(self, peer: str | None) -> bool:
        """Whether the connection comes from a trusted proxy."""
        return self._trusts(_parsed(peer)) if peer else self._trusts_unix

    def _warn(self, peer: str) -> None:
        if self._is_to_warn:
            self._is_to_warn = False
            _log.warning(
                "X-Forwarded-For comes from %s: if a reverse proxy of yours is there, name it in "
                "trusted_proxies (--trusted-proxy), else all its clients share one limit",
                peer,
            )

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def address_of(peer: str | None) -> str:
    """``peer`` in the usual form of an address, or UNKNOWN if it is none.

    A server that trusts a header takes any text in it as the peer. A mail or a log must not repeat
    such a text.
    """
    return _usual(peer) if peer and len(peer) <= LONGEST_ADDRESS else UNKNOWN


def block_of(address: str) -> str:
    """The addresses that one client can use: one IPv4 address, or a /64 of IPv6."""
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
    """An address without its zone. An IPv4-mapped IPv6 address becomes the IPv4 address."""
    # A longer text is no address, and the cache must not keep it.
    return _read(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _usual(text: str) -> str:
    return str(_read(text) or UNKNOWN)


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
            f"trusted_proxies: {text!r} is not a network: write 127.0.0.1, 10.0.0.0/8 or {UNIX}"
        ) from None
