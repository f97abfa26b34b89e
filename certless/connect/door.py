"""The door of mapped mode: only the browser that opened the printed address is admitted.

With a stored ticket no login happens, so anybody on this machine could use the site. The printed
address holds a token that works once. It is exchanged for a cookie.
"""

import hmac
import secrets
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from yarl import URL

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_TOKEN_BYTES = 16


class Verdict(Enum):
    """The result for one request."""

    ADMITTED = auto()
    ENTERED = auto()  # the token was right: set the cookie
    WRONG_HOST = auto()  # DNS rebinding, or a name that is not ours
    STRANGER = auto()  # no cookie
    ASK_FIRST = auto()  # a link on another site: ask the user
    CROSS_SITE = auto()


class Door:
    """``own`` is our origin. Requests of other origins are refused."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._host = own.removeprefix("http://")
        port = self._host.rpartition(":")[2]
        # Browsers send cookies to all ports of a host.
        self.cookie_name = f"certless-door-{port}"
        self._token: str | None = secrets.token_urlsafe(_TOKEN_BYTES)
        self._cookie = secrets.token_urlsafe(_TOKEN_BYTES)

    @property
    def url(self) -> str:
        """The address to print. It works once."""
        return f"{self._own}/?door={self._token}"

    @property
    def set_cookie(self) -> str:
        """The Set-Cookie for the browser that entered."""
        return f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"

    def judge(self, method: str, target: str, headers: Mapping[str, str]) -> Verdict:
        """Whether this request is admitted. The first right token uses up the token."""
        if headers.get("Host", "").lower() != self._host:
            return Verdict.WRONG_HOST
        if method == "GET" and self._spends_token(target):
            return Verdict.ENTERED
        fetch_site = headers.get("Sec-Fetch-Site", "none")
        is_foreign = fetch_site not in ("same-origin", "none")
        if is_foreign and method in ("GET", "HEAD") and _is_navigation(headers):
            return Verdict.ASK_FIRST
        if not self._has_cookie(headers.get("Cookie", "")):
            return Verdict.STRANGER
        # A WebSocket can send anything, and no browser asks before it opens one.
        is_safe = method in SAFE_METHODS and "Upgrade" not in headers
        if is_foreign or not (is_safe or self._is_ours(headers)):
            return Verdict.CROSS_SITE
        return Verdict.ADMITTED

    def _spends_token(self, target: str) -> bool:
        path, _, query = target.partition("?")
        given = URL.build(path="/", query_string=query, encoded=True).query.get("door", "")
        if path != "/" or self._token is None or not _equal(given, self._token):
            return False
        self._token = None
        return True

    def _has_cookie(self, header: str) -> bool:
        pairs = (pair.strip().partition("=") for pair in header.split(";"))
        return any(
            name == self.cookie_name and _equal(value, self._cookie) for name, _, value in pairs
        )

    def _is_ours(self, headers: Mapping[str, str]) -> bool:
        """Whether a page of ours sent it. Some referrer policies make ``null`` of our origin."""
        origin = headers.get("Origin")
        return origin == self._own or (
            origin == "null" and headers.get("Sec-Fetch-Site") == "same-origin"
        )


def _is_navigation(headers: Mapping[str, str]) -> bool:
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
