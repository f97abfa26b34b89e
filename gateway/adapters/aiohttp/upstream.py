"""The upstream of the reverse proxy: the requests it receives, and its responses for the client.

Targets and header values pass byte for byte. The host and the addresses of the upstream itself are
its own business: a redirect or a cookie that names them is mapped to the host that the client asked
for.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote

from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.config.settings import http_url
from gateway.errors import ConfigError
from gateway.pipeline.inner import end_to_end
from gateway.pipeline.request_headers import folded, is_host, is_of_a_proxy
from gateway.policy.client_address import UNKNOWN
from gateway.policy.forwarded import port_of

from .inner import PORT, SESSION, USER
from .raw_targets import escaped

USER_HEADER = "X-Certless-User"
SESSION_HEADER = "X-Certless-Session"
# The value of ``upstream_host`` for the host of the upstream's URL.
OWN_HOST = "upstream"

_SET_BY_US = frozenset({"content-length", "expect", "host"})
_ABSOLUTE = re.compile(r"(?:(https?):)?//([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL)
_REFRESH = re.compile(r"(\s*[\d.]+\s*[;,]\s*url\s*=\s*)(.*)", re.IGNORECASE | re.DOTALL)
_REFERENCES = frozenset({"location", "content-location"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


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

    @property
    def has_base(self) -> bool:
        """Whether the URL has a path. Then only what is below it belongs to the upstream."""
        return bool(self._base)

    def url_for(self, request: web.Request) -> URL:
        """The URL for ``request``. Its target is that of the request, byte for byte."""
        # A query that is given as a query loses its "?" if it is empty.
        return URL.build(
            scheme=self.url.scheme,
            host=self.url.raw_host or "",
            port=self.url.port,
            path=self._base + raw_target(request),
            encoded=True,
        )

    def request_headers(self, request: web.Request) -> CIMultiDict[str]:
        """The headers for the upstream: those of the client, and what is true about the request."""
        headers = CIMultiDict(
            (name, value)
            for name, value in end_to_end(request.headers.items())
            if (known := folded(name)) not in _SET_BY_US and not is_of_a_proxy(known)
        )
        asked = host_of(request)
        host = self._host or asked
        if host and host != OWN_HOST:
            headers[hdrs.HOST] = host
        if asked:
            headers["X-Forwarded-Host"] = asked
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Port"] = str(request.get(PORT) or port_of(asked, request.scheme))
        if request.remote:
            headers["X-Forwarded-For"] = request.remote
        headers[hdrs.FORWARDED] = _forwarded(request.remote, asked, request.scheme)
        if USER in request:
            headers[USER_HEADER] = quote(request[USER], safe="@+")
            headers[SESSION_HEADER] = request[SESSION].id
        return headers

    def response_headers(
        self, request: web.Request, headers: "CIMultiDictProxy[str]"
    ) -> Iterator[tuple[str, str]]:
        """The headers of the upstream's response for the client."""
        for name, value in end_to_end(headers.items()):
            known = name.lower()
            if known in _REFERENCES:
                yield name, self._mapped(value, request)
            elif known == "refresh" and (found := _REFRESH.fullmatch(value)):
                yield name, found[1] + self._mapped(found[2], request)
            elif known == "set-cookie":
                yield name, self._mapped_cookie(value, request)
            else:
                yield name, value

    def _mapped(self, reference: str, request: web.Request) -> str:
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
            host = host_of(request)
            return f"{request.scheme}://{host}{below}" if host else reference
        return below

    def _is_named_by(self, scheme: str, authority: str, request: web.Request) -> bool:
        scheme = scheme.lower()
        if self._host not in (None, OWN_HOST) and authority.lower() == (self._host or "").lower():
            # With https, a redirect from http to https would become a loop.
            return scheme in (self.url.scheme, request.scheme)
        host, port = _hostname(authority), port_of(authority, scheme)
        return host in self._names and (scheme, port) == (self.url.scheme, self.url.port)

    def _mapped_cookie(self, cookie: str, request: web.Request) -> str:
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

    def _is_own_domain(self, domain: str, request: web.Request) -> bool:
        domain, asked = domain.lower().removeprefix("."), _hostname(host_of(request))
        if domain == asked or asked.endswith("." + domain):
            return False
        return domain in self._names or domain == _hostname(self._host or "")


def host_of(request: web.Request) -> str:
    """The host that the client asked for, with its port if given; "" without one (HTTP/1.0)."""
    return request.host if hdrs.HOST in request.headers else ""


def raw_target(request: web.Request) -> str:
    """Path and query as the client wrote them. aiohttp drops a "?" without a query."""
    written = request.raw_path.partition("#")[0]
    checked = request.rel_url.raw_path_qs
    return written if escaped(written) in (checked, f"{checked}?") else checked


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


def _forwarded(remote: str | None, host: str, scheme: str) -> str:
    """The value of Forwarded (RFC 7239)."""
    parts = []
    if remote and remote != UNKNOWN:
        parts.append(f'for="[{remote}]"' if ":" in remote else f"for={remote}")
    if host:
        parts.append(f'host="{host}"')
    return ";".join([*parts, f"proto={scheme}"])
