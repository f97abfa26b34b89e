"""The client's address, and the scheme, host and port that it asked for, behind a reverse proxy.

A reverse proxy passes on the headers that it does not set, as the client wrote them. So a header
counts only if the operator names it and the peer is a trusted proxy (decisions 45 and 80).
X-Forwarded-For needs no name. Forwarded (RFC 7239) replaces all the others (decision 99).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gateway.errors import ConfigError

from .client_address import (
    FORWARDED_FOR,
    LONGEST_ADDRESS,
    UNKNOWN,
    ClientAddresses,
    address_of,
)
from .forwarded_elements import FORWARDED, elements_of

_PROTO, _HOST, _PORT = ("X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")
TRUSTABLE = (_PROTO, _HOST, _PORT, FORWARDED)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trusted proxy says about the request that it received. None: it says nothing.

    ``address`` is the client's address, or UNKNOWN.
    """

    address: str = UNKNOWN
    scheme: str | None = None
    host: str | None = None
    port: int | None = None


class ForwardedHeaders:
    """Reads the headers in ``trusted`` from peers in ``proxies``. Raises: ConfigError."""

    def __init__(self, trusted: Iterable[str], proxies: ClientAddresses) -> None:
        if isinstance(trusted, str):
            raise ConfigError("trusted_headers is a list, not one string")
        known = {name.lower(): name for name in TRUSTABLE}
        self._trusted = frozenset(known.get(name.lower(), name) for name in trusted)
        for name in self._trusted - set(TRUSTABLE):
            raise ConfigError(f"trusted_headers: {name!r} must be one of {', '.join(TRUSTABLE)}")
        if self._trusted and not proxies.trusts_any:
            raise ConfigError("trusted_headers needs the proxy that sets them in trusted_proxies")
        if FORWARDED in self._trusted and len(self._trusted) > 1:
            raise ConfigError(
                f"trusted_headers: {FORWARDED} replaces the other headers, so name no other"
            )
        self._proxies = proxies

    @property
    def address_header(self) -> str:
        """The header that gives the client's address."""
        return FORWARDED if FORWARDED in self._trusted else FORWARDED_FOR

    def asked(
        self,
        peer: str | None,
        values_of: Callable[[str], Sequence[str]],
        is_host: Callable[[str], bool],
    ) -> Asked:
        """What the headers of a request from ``peer`` say. ``values_of`` gives their values.

        An X-Forwarded header with two values says nothing, except X-Forwarded-For.
        """
        if FORWARDED in self._trusted:
            return self._by_forwarded(peer, values_of(FORWARDED), is_host)
        forwarded_for = values_of(FORWARDED_FOR)
        is_usual = len(peer or "") <= LONGEST_ADDRESS
        if not self._trusted and not forwarded_for and is_usual:
            return _of_peer(peer)
        address = self._proxies.address(peer, forwarded_for)
        if not self._trusted or not self._proxies.trusts(peer):
            return Asked(address)

        def said(name: str) -> str:
            values = values_of(name) if name in self._trusted else ()
            return values[0].strip() if len(values) == 1 else ""

        scheme, host, port = said(_PROTO), said(_HOST), said(_PORT)
        return Asked(address, _scheme(scheme), host if is_host(host) else None, _port(port))

    def _by_forwarded(
        self, peer: str | None, lines: Sequence[str], is_host: Callable[[str], bool]
    ) -> Asked:
        """What the last element says that a trusted proxy has written about an untrusted peer."""
        near = self._proxies.address(peer, ())
        elements = elements_of(lines)
        if not elements or not self._proxies.trusts(peer):
            return Asked(near)
        address = near
        for element in reversed(elements):
            hop = self._proxies.hop(element.get("for", ""))
            address = hop.address if hop else near
            if not (hop and hop.is_trusted):
                break
        host = element.get("host", "")
        return Asked(address, _scheme(element.get("proto", "")), host if is_host(host) else None)


@lru_cache(maxsize=1024)
def _of_peer(peer: str | None) -> Asked:
    """What is known of a request that says nothing about itself."""
    return Asked(address_of(peer))


def _scheme(text: str) -> str | None:
    return text.lower() if text.lower() in _DEFAULT_PORTS else None


def port_of(host: str, scheme: str) -> int:
    """The port in ``host``, otherwise the usual port of ``scheme``."""
    _, colon, digits = host.rpartition(":")
    given = _port(digits) if colon and not host.endswith("]") else None
    return given or _DEFAULT_PORTS.get(scheme.lower(), 80)


def _port(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    return int(digits) if 0 < int(digits) < 65536 else None
