"""Redirects of ``certless request -L``: followed as curl does, within one origin only."""

from dataclasses import dataclass, replace
from urllib.parse import urljoin

from yarl import URL

from certless.client import ClientError

from .request_body import Body

MAX_REDIRECTS = 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-language"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and the requests that redirects make of it."""

    method: str
    target: str
    headers: dict[str, str]
    body: Body


def redirected(call: Call, status: int, location: str, origin: str) -> Call | None:
    """The request that follows ``call``; None if it would leave ``origin``.

    Raises: ClientError, if the body cannot be sent a second time.
    """
    try:
        joined = urljoin(f"{origin}{call.target}", location)
        if str(URL(joined).origin()) != origin:
            return None
    except ValueError:
        return None
    path = joined.partition("//")[2].partition("#")[0]
    at = min((path.find(mark) for mark in "/?" if mark in path), default=len(path))
    target = path[at:] if path[at:].startswith("/") else f"/{path[at:]}"
    if (status == 303 and call.method != "HEAD") or (status < 303 and call.method == "POST"):
        kept = {n: v for n, v in call.headers.items() if n.lower() not in _OF_A_BODY}
        return Call("GET", target, kept, Body())
    if not call.body.can_be_sent_again:
        raise ClientError(f"redirected to {target!r}: standard input cannot be sent a second time")
    return replace(call, target=target)
