"""The upstream of the reverse proxy: the requests it receives, and its responses for the client.

Targets and header values pass byte for byte. Responses can name the host and the addresses of the
upstream itself, in a redirect or a cookie. Such a name is mapped to the host that the client asked
for. All header values here have one character for each byte.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from gateway.config.settings import http_url
from gateway.errors import ConfigError, UpstreamFailed
from gateway.pipeline.inner import end_to_end
from gateway.pipeline.request_headers import is_field_value, is_host
from gateway.policy.client_address import UNKNOWN
from gateway.policy.forwarded import port_of
from gateway.sessions.session import Session

USER_HEADER = "X-Certless-User"
SESSION_HEADER = "X-Certless-Session"
# The value of ``upstream_host`` for the host of the upstream's URL.
OWN_HOST = "upstream"

_SET_BY_US = frozenset({"content-length", "host"})
# Users with other characters in their name are percent-encoded.
_PLAIN_USER = re.compile(r"[A-Za-z0-9_.~@+-]*")
_ABSOLUTE = re.compile(r"(?:(https?):)?//([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL)
_REFRESH = re.compile(r"(\s*[\d.]+\s*[;,]\s*url\s*=\s*)(.*)", re.IGNORECASE | re.DOTALL)
# Without a body, requests with these methods have no Content-Length, as aiohttp sends them.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# The response headers that can name the upstream itself.
_MAPPED = frozenset({"location", "content-location", "refresh", "set-cookie"})
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True)
class Origin:
    """What the proxy tells the upstream about the client.

    ``port`` is the port that a trusted reverse proxy names, or None.
    """

    remote: str | None
    scheme: str
    port: int | None


@dataclass(slots=True)
class ProxiedRequest:
    """A request for the upstream: of a client in plain, or out of a sealed message of ``session``.

    ``headers`` are those of the client that may pass. ``host`` is the host that the client asked
    for, with its port if given; "" without one (HTTP/1.0). ``length`` is the length of the body, or
    None if it is unknown.
    """

    method: str
    target: str
    headers: Iterable[tuple[str, str]]
    host: str
    origin: Origin
    session: Session | None
    length: int | None


class Upstream:
    """One upstream at ``url``. ``host`` is the Host that it receives, if not the client's.

    Raises: ConfigError.
    """

    def __init__(self, url: str, host: str | None = None) -> None:
        parsed = http_url(url)
        if parsed is None or parsed.query or parsed.fragment or parsed.user or parsed.password:
            raise ConfigError(
                "upstream must be a URL like http://127.0.0.1:9000, without user or query"
            )
        if host is not None and host != OWN_HOST and not is_host(host):
            raise ConfigError(
                f"upstream_host {host!r} must be a host like shop.example, or {OWN_HOST!r} for the "
                "host of the upstream's URL"
            )
        self.url = parsed
        self._base = parsed.raw_path.rstrip("/")
        self._host = host
        self._names = _hosts(parsed.host or "")
        self._own_host = parsed.host_port_subcomponent or ""

    @property
    def has_base(self) -> bool:
        """Whether the URL has a path. Then only what is below it belongs to the upstream."""
        return bool(self._base)

    def target_of(self, request: ProxiedRequest) -> str:
        """The target for ``request``: its own, byte for byte, below the path of the upstream."""
        return self._base + request.target

    def url_for(self, request: ProxiedRequest) -> URL:
        """The URL for ``request``, of a WebSocket."""
        # A query that is given as a query loses its "?" if it is empty.
        return URL.build(
            scheme=self.url.scheme,
            host=self.url.raw_host or "",
            port=self.url.port,
            path=self.target_of(request),
            encoded=True,
        )

    def head(self, request: ProxiedRequest) -> bytes:
        """The request line and the headers for the upstream. Raises: ValueError."""
        lines = [f"{request.method} {self.target_of(request)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.request_headers(request)]
        if request.length is None:
            lines.append("Transfer-Encoding: chunked")
        elif request.length or request.method not in _WITHOUT_BODY:
            lines.append(f"Content-Length: {request.length}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        controls = len(head) - len(head.translate(None, _CONTROLS))
        if controls != len("\r\n") * (len(lines) + 1):
            raise ValueError("a control character in the head of a request")
        return head

    def request_headers(self, request: ProxiedRequest) -> list[tuple[str, str]]:
        """The headers for the upstream: those of the client, and facts about the request."""
        asked, origin = request.host, request.origin
        host = self._host or asked
        headers = [("Host", host if host and host != OWN_HOST else self._own_host)]
        headers += [pair for pair in request.headers if pair[0].lower() not in _SET_BY_US]
        headers += _about(origin.remote, origin.scheme, origin.port, asked)
        if request.session is not None:
            headers.append((USER_HEADER, _user_value(request.session.user)))
            headers.append((SESSION_HEADER, request.session.id))
        return headers

    def response_headers(
        self, request: ProxiedRequest, headers: Iterable[tuple[str, str]]
    ) -> list[tuple[str, str]]:
        """The headers of the upstream's response for the client. Raises: UpstreamFailed."""
        kept = end_to_end(headers)
        if not is_field_value("".join([value for _, value in kept])):
            name = next(name for name, value in kept if not is_field_value(value))
            raise UpstreamFailed(f"the upstream sent control characters in the header {name}")
        return [
            (name, self._mapped_value(known, value, request))
            if (known := name.lower()) in _MAPPED
            else (name, value)
            for name, value in kept
        ]

    def _mapped_value(self, known: str, value: str, request: ProxiedRequest) -> str:
        if known == "set-cookie":
            return self._mapped_cookie(value, request)
        if known != "refresh":
            return self._mapped(value, request)
        found = _REFRESH.fullmatch(value)
        return found[1] + self._mapped(found[2], request) if found else value

    def _mapped(self, reference: str, request: ProxiedRequest) -> str:
        """``reference`` as the client can use it. It changes only if it leads to the upstream."""
        found = _ABSOLUTE.fullmatch(reference)
        if found:
            if not self._is_named_by(found[1] or self.url.scheme, found[2], request):
                return reference
            rest = found[3] if found[3].startswith("/") else "/" + found[3]
        elif reference.startswith("/"):
            rest = reference
        else:
            return reference
        below = _below(rest, self._base)
        if below is None:
            return reference
        if below[1:2] in ("/", "\\"):
            # Browsers read // at the beginning as the name of a host.
            host = request.host
            return f"{request.origin.scheme}://{host}{below}" if host else reference
        return below

    def _is_named_by(self, scheme: str, authority: str, request: ProxiedRequest) -> bool:
        scheme = scheme.lower()
        if self._host not in (None, OWN_HOST) and authority.lower() == (self._host or "").lower():
            # With https, a redirect from http to https would become a loop.
            return scheme in (self.url.scheme, request.origin.scheme)
        host, port = _hostname(authority), port_of(authority, scheme)
        return host in self._names and (scheme, port) == (self.url.scheme, self.url.port)

    def _mapped_cookie(self, cookie: str, request: ProxiedRequest) -> str:
        """``cookie`` without a Domain that no client would accept, and without the base path."""
        first, *attributes = cookie.split(";")
        kept = [first]
        for attribute in attributes:
            name, _, value = attribute.partition("=")
            known = name.strip().lower()
            if known == "domain" and self._is_own_domain(value.strip(), request):
                continue
            if known == "path" and (below := _below(value.strip(), self._base)) is not None:
                kept.append(f"{name}={below}" if self._base else attribute)
            else:
                kept.append(attribute)
        return ";".join(kept)

    def _is_own_domain(self, domain: str, request: ProxiedRequest) -> bool:
        domain, asked = domain.lower().removeprefix("."), _hostname(request.host)
        if domain == asked or asked.endswith("." + domain):
            return False
        return domain in self._names or domain == _hostname(self._host or "")


def _below(path: str, base: str) -> str | None:
    """``path`` without ``base``; None if it does not lie below it."""
    rest = path.removeprefix(base)
    if not base:
        return path
    if rest == path or rest[:1] not in ("", "/", "?", "#"):
        return None
    return rest if rest.startswith("/") else "/" + rest


def _hosts(name: str) -> frozenset[str]:
    return _LOOPBACK if name in _LOOPBACK else frozenset({name.lower()})


def _hostname(authority: str) -> str:
    """The name or address in ``authority``, without its port and brackets."""
    name = re.sub(r":[0-9]*\Z", "", authority.lower())
    return name.strip("[]")


def _user_value(user: str) -> str:
    return user if _PLAIN_USER.fullmatch(user) else quote(user, safe="@+")


@lru_cache(maxsize=512)
def _about(
    remote: str | None, scheme: str, port: int | None, asked: str
) -> tuple[tuple[str, str], ...]:
    """The headers that tell the upstream about the client and the host that it asked for."""
    headers = [("X-Forwarded-Host", asked)] if asked else []
    headers.append(("X-Forwarded-Proto", scheme))
    headers.append(("X-Forwarded-Port", str(port or port_of(asked, scheme))))
    if remote:
        headers.append(("X-Forwarded-For", remote))
    return (*headers, ("Forwarded", _forwarded(remote, asked, scheme)))


def _forwarded(remote: str | None, host: str, scheme: str) -> str:
    """The value of Forwarded (RFC 7239)."""
    parts = []
    if remote and remote != UNKNOWN:
        parts.append(f'for="[{remote}]"' if ":" in remote else f"for={remote}")
    if host:
        parts.append(f'host="{host}"')
    return ";".join([*parts, f"proto={scheme}"])
