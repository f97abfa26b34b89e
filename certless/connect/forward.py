"""One request of a browser or program, sealed on its way to the site, and the response back."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import CIMultiDict, MultiMapping

from certless.client import ClientError, NoAnswer, Refused, SocketRefused

from .cookies import Cookies
from .door import SAFE_METHODS
from .errors import Interrupted, LoginNeeded, NotForwarded
from .headers import to_browser, to_site
from .markup import Rewriter
from .origins import Origins
from .pages import leaving
from .policy import own_policy
from .session import SealedSession

_BODILESS = frozenset({204, 304})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LENGTH = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one site. Without ``cookies``, those of the browser are passed on.

    Its pages may also load from the origins ``others``, which are sealed as well.
    """

    origins: Origins
    session: SealedSession
    cookies: Cookies | None
    others: tuple[str, ...] = ()


class _Upload:
    """The body of a request, once."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.length = request.content_length

    async def pieces(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.content.iter_any():
            yield chunk


async def forward(request: web.BaseRequest, target: str, route: Route) -> web.StreamResponse:
    """The site's response. ``target`` is in origin form.

    Raises: LoginNeeded, Interrupted, NotForwarded, ClientError, ValueError (the request cannot be
    sealed); nothing was sent to the browser then.
    """
    if "#" in target:
        raise ValueError("a target has no fragment")
    upload = _Upload(request) if request.can_read_body else None
    fields = request_fields(request, target, route)
    answer = await route.session.open(
        lambda: route.session.client.stream(request.method, target, headers=fields, data=upload),
        is_repeatable=request.method in SAFE_METHODS and upload is None,
    )
    try:
        response = web.StreamResponse(status=answer.status)
        lines = response_cookies(answer.headers, target, route)
        policy = own_policy(route.others)
        mapped = to_browser(answer.headers.items(), route.origins, lines, policy)
        if answer.status in _REDIRECTS and route.origins.leaves(mapped.get(hdrs.LOCATION, "")):
            return leaving(request.headers, mapped[hdrs.LOCATION], lines)
        if answer.is_decoded:
            mapped.popall(hdrs.CONTENT_ENCODING, None)
        response.headers.extend(mapped)
        if answer.status not in _BODILESS:
            # If the site sent no type, browsers look at the body. Without an empty one, aiohttp
            # adds ``application/octet-stream``, which would make a page a download.
            response.headers.setdefault(hdrs.CONTENT_TYPE, "")
        is_whole = answer.status != 206 and hdrs.CONTENT_ENCODING not in mapped
        kind = answer.headers.get(hdrs.CONTENT_TYPE, "") if is_whole else ""
        rewriter = Rewriter(kind, route.origins)
        if not rewriter.changes and answer.status not in _BODILESS:
            declared = answer.headers.get(hdrs.CONTENT_LENGTH, "")
            is_head = request.method == "HEAD" and not answer.is_decoded
            if is_head and _LENGTH.fullmatch(declared):
                response.content_length = int(declared)
            elif answer.length is not None and request.method != "HEAD":
                response.content_length = answer.length
        await response.prepare(request)
        try:
            async for chunk in answer.content:
                await response.write(rewriter.feed(chunk))
            if rest := rewriter.end():
                await response.write(rest)
            await response.write_eof()
        except (ClientError, ConnectionError, TimeoutError):
            # A part was sent, so only a broken connection can show the error.
            if request.transport is not None:
                request.transport.abort()
        return response
    finally:
        answer.close()


def request_fields(request: web.BaseRequest, target: str, route: Route) -> CIMultiDict[str]:
    """The header fields for the site, with its cookies."""
    given = request.headers.getall(hdrs.COOKIE, [])
    if route.cookies is None:
        cookie = "; ".join(given) or None
    else:
        cookie = route.cookies.sent(given, target)
    return to_site(request.headers.items(), route.origins, cookie)


def response_cookies(fields: MultiMapping[str], target: str, route: Route) -> list[str]:
    """The lines of Set-Cookie for the browser. The others are kept."""
    lines = fields.getall(hdrs.SET_COOKIE, [])
    return lines if route.cookies is None else route.cookies.received(lines, target)


def failure(error: ClientError | ValueError) -> tuple[int, str]:
    """The status and text for a request that failed before its response began."""
    match error:
        case ValueError():
            return 400, "this request cannot be passed on: its target or a header is not valid"
        case LoginNeeded():
            return 401, str(error)
        case Interrupted() | NotForwarded():
            return 502, str(error)
        case SocketRefused(status=status) if status >= 400:
            return status, str(error)
        case Refused(retry_after_s=int()):
            return 503, str(error)
        case NoAnswer():
            return 504, str(error)
        case _:
            return 502, f"the answer cannot be trusted: {error}"
