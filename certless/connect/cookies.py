"""Cookies of a site in mapped mode, split between us and the browser.

HttpOnly cookies stay in a jar of ours, in memory: the browser never has them. Other cookies go to
the browser, because scripts read them. They come back with each request.
"""

from collections.abc import Iterable

import aiohttp
from yarl import URL

# Browsers take these only with Secure, which needs TLS.
_PREFIXES = ("__host-", "__secure-")
_SAME_SITE = {"strict": "Strict", "lax": "Lax"}


class Cookies:
    """Cookies of the site at ``site``; ``door`` is the name of the cookie of the door."""

    def __init__(self, site: URL, door: str) -> None:
        """Call it in a running event loop."""
        self._site = site.origin()
        self._door = door
        # The channel is sealed, so the jar sends cookies with Secure to this site.
        self._jar = aiohttp.CookieJar(
            unsafe=True, quote_cookie=False, treat_as_secure_origin=self._site
        )

    def received(self, lines: Iterable[str], target: str) -> list[str]:
        """Store the hidden cookies, and return the lines for the browser."""
        visible = []
        for line in lines:
            name, attributes = _parsed(line)
            if name == self._door:
                continue
            is_hidden = "httponly" in attributes or name.lower().startswith(_PREFIXES)
            # A cookie of the same name that scripts can read replaces a hidden one.
            stored = line if is_hidden else f"{line}; Max-Age=0"
            self._jar.update_cookies_from_headers([stored], self._url(target))
            if not is_hidden:
                visible.append(_for_browser(line, attributes))
        return visible

    def sent(self, from_browser: Iterable[str], target: str) -> str | None:
        """The value of Cookie for the site. Hidden cookies win over those of the browser."""
        hidden = self._jar.filter_cookies(self._url(target))
        pairs = [f"{name}={cookie.value}" for name, cookie in hidden.items()]
        for header in from_browser:
            for pair in header.split(";"):
                name = pair.partition("=")[0].strip()
                if pair.strip() and name != self._door and name not in hidden:
                    pairs.append(pair.strip())
        return "; ".join(pairs) or None

    def clear(self) -> None:
        """Forget all hidden cookies."""
        self._jar.clear()

    def _url(self, target: str) -> URL:
        return URL(f"{self._site}{target}", encoded=True)


def without(name: str, header: str) -> str:
    """The Cookie ``header`` without the cookie ``name``."""
    pairs = (pair.strip() for pair in header.split(";"))
    return "; ".join(pair for pair in pairs if pair and pair.partition("=")[0].strip() != name)


def _parsed(line: str) -> tuple[str, dict[str, str]]:
    """The name of the cookie, and its attributes in lower case."""
    pair, *attributes = line.split(";")
    split = (attribute.partition("=") for attribute in attributes)
    return (
        pair.partition("=")[0].strip(),
        {name.strip().lower(): value.strip() for name, _, value in split},
    )


def _for_browser(line: str, attributes: dict[str, str]) -> str:
    """Without Domain and Secure, which do not fit our address, and with a SameSite."""
    kept = [line.partition(";")[0].strip()]
    kept += [
        f"{name}={attributes[name]}"
        for name in ("path", "expires", "max-age")
        if attributes.get(name)
    ]
    kept.append("samesite=" + _SAME_SITE.get(attributes.get("samesite", "").lower(), "Lax"))
    return "; ".join(kept)
