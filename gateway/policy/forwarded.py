"""The scheme, host and port that a client asked for, also behind a trusted reverse proxy.

A reverse proxy passes on the headers that it does not set, as the client wrote them. So a header
counts only if the operator names it and the peer is a trusted proxy (decisions 45 and 80).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import ConfigError

from .client_address import ClientAddresses

_PROTO, _HOST, _PORT = TRUSTABLE = ("X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trusted proxy says about the request that it received. None: it says nothing."""

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
        self._proxies = proxies

    def asked(
        self,
        peer: str | None,
        values_of: Callable[[str], Sequence[str]],
        is_host: Callable[[str], bool],
    ) -> Asked:
        """What the headers of a request from ``peer`` say. A header with two values says nothing.

        ``values_of`` gives the values of a header.
        """
        if not self._trusted or not self._proxies.trusts(peer):
            return Asked()

        def said(name: str) -> str:
            values = values_of(name) if name in self._trusted else ()
            return values[0].strip() if len(values) == 1 else ""

        scheme, host, port = said(_PROTO).lower(), said(_HOST), said(_PORT)
        return Asked(
            scheme if scheme in _DEFAULT_PORTS else None,
            host if is_host(host) else None,
            _port(port),
        )


def port_of(host: str, scheme: str) -> int:
    """The port in ``host``, otherwise the usual port of ``scheme``."""
    _, colon, digits = host.rpartition(":")
    given = _port(digits) if colon and not host.endswith("]") else None
    return given or _DEFAULT_PORTS.get(scheme.lower(), 80)


def _port(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    return int(digits) if 0 < int(digits) < 65536 else None
