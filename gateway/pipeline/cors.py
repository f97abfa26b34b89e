"""Pages of other origins that can use the gateway's own routes in a browser (CORS).

Only named origins, only ``POST``, and without credentials: a session is in the messages, not in a
cookie. Routes of the application are not affected.
"""

from collections.abc import Iterable

from multidict import CIMultiDict

from .outer import OuterRequest, Reply

_ORIGIN = "Access-Control-Allow-Origin"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}
# A client reads it after 429 and 503.
_EXPOSED = "Retry-After"


class CrossOrigin:
    """Adds the headers that let a page of one of ``origins`` read a reply."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def preflight(self, request: OuterRequest) -> Reply | None:
        """The reply to a browser that asks whether a page may send a POST; None for others."""
        is_asked = request.method == "OPTIONS" and self._is_allowed(request)
        if not is_asked or "Access-Control-Request-Method" not in request.headers:
            return None
        return Reply(204, CIMultiDict(_PREFLIGHT), b"", "preflight")

    def allow(self, request: OuterRequest, reply: Reply) -> None:
        """Let a page of an allowed origin read ``reply``."""
        reply.headers.add("Vary", "Origin")
        if self._is_allowed(request):
            reply.headers[_ORIGIN] = request.headers["Origin"]
            reply.headers["Access-Control-Expose-Headers"] = _EXPOSED

    def _is_allowed(self, request: OuterRequest) -> bool:
        return request.headers.get("Origin", "") in self._origins
