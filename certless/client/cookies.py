"""Cookies of one session for its one origin (RFC 6265), kept inside the seal.

They never leave the seal, and no cookie of plain HTTP comes in. The seal is a secure channel, so
cookies with ``Secure`` are sent. Login as another user empties the jar, a resumption keeps it.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.request import Request

from yarl import URL

from .errors import CookiesNotKept
from .private_files import ReadableByOthers, read_private, write_private

# RFC 6265bis, and the number of cookies that Chromium keeps for one site.
MAX_COOKIE_CHARS = 4096
MAX_COOKIES = 180
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_MAGIC = "# Netscape HTTP Cookie File"
_OURS = "# Certless: "
_HTTP_ONLY = "#HttpOnly_"


class _OneOrigin(DefaultCookiePolicy):
    """All cookies of the jar are for one host: localhost and IP addresses are like any other."""

    def __init__(self, host: str) -> None:
        super().__init__(netscape=True, rfc2965=False)
        self._host = host.lower()
        try:
            ip_address(host)
            self._is_address = True
        except ValueError:
            self._is_address = False

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        text = cookie.name + (cookie.value or "")
        if len(text) > MAX_COOKIE_CHARS or _CONTROLS.search(text):
            return False
        return super().set_ok(cookie, request)

    def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        domain = cookie.domain.lstrip(".").lower()
        if not cookie.domain_specified or domain == self._host:
            return True
        return not self._is_address and self._host.endswith(f".{domain}")

    def return_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        return True

    def domain_return_ok(self, domain: str, request: Request) -> bool:
        return True


class _Received:
    """A response as ``http.cookiejar`` reads it."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def info(self) -> "_Received":
        return self

    def get_all(self, name: str, default: list[str]) -> list[str]:
        return self._lines if name == "Set-Cookie" else default


class Cookies(Iterable[Cookie]):
    """The cookies of ``client.cookies``: iterate over them, ``get``, ``set`` and ``clear``."""

    def __init__(self, origin: URL, path: Path | None = None) -> None:
        self._origin = origin.origin()
        host = self._origin.host or ""
        # The URL has https inside the seal: cookies with Secure are taken and sent.
        self._inside = f"https://{f'[{host}]' if ':' in host else host}"
        self._jar = CookieJar(_OneOrigin(host))
        self._path = path
        self._saving = asyncio.Lock()
        self._user: str | None = None
        self._had_session = False
        self._cleared = 0

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self._jar)

    def __len__(self) -> int:
        return len(self._jar)

    def get(self, name: str) -> str | None:
        """The value of the first cookie with this name."""
        return next((cookie.value or "" for cookie in self if cookie.name == name), None)

    def set(self, name: str, value: str, *, path: str = "/") -> None:
        """Add a cookie, or replace it. Raises: ValueError, for characters that no cookie has."""
        if (
            not name
            or re.search(r"[\x00-\x20\x7f;,=]", name)
            or re.search(r"[\x00-\x1f\x7f;]", value)
        ):
            raise ValueError(
                "a cookie has no controls, ';' or '=' in its name, no ';' in its value"
            )
        self.take([f"{name}={value}; Path={path}"], path, self.generation)
        if self.get(name) is None:
            raise ValueError("the cookie was not accepted: it is too long, or there are too many")

    def clear(self) -> None:
        """Delete all cookies. Responses on their way add none."""
        self._jar.clear()
        self._cleared += 1

    @property
    def generation(self) -> int:
        """Changes when the jar is cleared."""
        return self._cleared

    def header_for(self, target: str) -> str | None:
        """The value of the Cookie header of a request; None without cookies."""
        request = self._request(target)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, lines: list[str], target: str, generation: int) -> bool:
        """Store the Set-Cookie lines of a response to ``target``; whether there were any.

        ``generation`` is that of the time when the request was sent.
        """
        if not lines or generation != self._cleared:
            return False
        received: Any = _Received(lines)
        self._jar.extract_cookies(received, self._request(target))
        for cookie in list(self._jar)[: max(0, len(self._jar) - MAX_COOKIES)]:
            self._jar.clear(cookie.domain, cookie.path, cookie.name)
        return True

    def _request(self, target: str) -> Request:
        return Request(self._inside + target)  # noqa: S310 (it is never opened)

    async def begin(self, user: str) -> None:
        """``user`` has logged in: another user's cookies go. Raises: CookiesNotKept."""
        if user != self._user and (self._user is not None or self._had_session):
            self.clear()
        self._user, self._had_session = user, True
        await self.save()

    def resumed(self) -> None:
        """A session was resumed, and its user is the one before."""
        self._had_session = True

    async def load(self) -> None:
        """Read the file. Raises: CookiesNotKept."""
        if self._path is None:
            return
        try:
            content = await asyncio.to_thread(read_private, self._path)
        except ReadableByOthers:
            raise CookiesNotKept(
                f"other users can read the cookies {self._path}: chmod 600 {self._path}"
            ) from None
        except OSError as error:
            raise CookiesNotKept(f"cookies {self._path}: {error.strerror}") from None
        if content:
            self._parse(content.decode("utf-8", "surrogateescape"))

    async def save(self) -> None:
        """Write the file. Raises: CookiesNotKept."""
        if self._path is None:
            return
        async with self._saving:
            content = self._text().encode("utf-8", "surrogateescape")
            try:
                await asyncio.to_thread(write_private, self._path, content)
            except OSError as error:
                raise CookiesNotKept(f"cookies {self._path}: {error.strerror}") from None

    def _text(self) -> str:
        """The format of Netscape and curl; a comment says whose cookies they are."""
        whose = json.dumps({"origin": str(self._origin), "user": self._user})
        lines = [_MAGIC, f"{_OURS}{whose}", "# They stay inside the seal. Do not edit.", ""]
        for cookie in self:
            flags = [_flag(cookie.domain_specified), cookie.path, _flag(cookie.secure)]
            prefix = _HTTP_ONLY if cookie.has_nonstandard_attr("HttpOnly") else ""
            # A cookie without a name is a name without a value here, as for http.cookiejar.
            name, value = (cookie.name, cookie.value) if cookie.value else ("", cookie.name)
            if cookie.value == "":
                name, value = cookie.name, ""
            fields = [prefix + cookie.domain, *flags, str(cookie.expires or 0), name, value or ""]
            lines.append("\t".join(fields))
        return "\n".join((*lines, ""))

    def _parse(self, text: str) -> None:
        magic, ours, *lines = [*text.split("\n"), ""]
        try:
            whose = json.loads(ours.removeprefix(_OURS)) if ours.startswith(_OURS) else {}
            if magic != _MAGIC or whose.get("origin") != str(self._origin):
                raise CookiesNotKept(
                    f"{self._path} holds no cookies of {self._origin} inside the seal: name "
                    "another file (cookies of plain HTTP, for instance curl's, do not go in)"
                )
            self._user = whose.get("user")
            for line in lines:
                if line and (not line.startswith("#") or line.startswith(_HTTP_ONLY)):
                    self._jar.set_cookie(_cookie(line))
        except (ValueError, AttributeError):
            raise CookiesNotKept(
                f"{self._path} is not a file of cookies: delete it, or name another file"
            ) from None
        self._jar.clear_expired_cookies()


def _flag(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def _cookie(line: str) -> Cookie:
    """Raises: ValueError."""
    domain, has_domain, path, secure, expires, name, value = line.split("\t")
    is_http_only = domain.startswith(_HTTP_ONLY)
    return Cookie(
        version=0,
        name=name or value,
        value=value if name else None,
        port=None,
        port_specified=False,
        domain=domain.removeprefix(_HTTP_ONLY),
        domain_specified=has_domain == "TRUE",
        domain_initial_dot=domain.removeprefix(_HTTP_ONLY).startswith("."),
        path=path,
        path_specified=True,
        secure=secure == "TRUE",
        expires=int(expires) or None,
        discard=expires == "0",
        comment=None,
        comment_url=None,
        rest={"HttpOnly": ""} if is_http_only else {},
    )
