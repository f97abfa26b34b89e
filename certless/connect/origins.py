"""The addresses of a site: its own, and the one under which the browser sees it.

All functions are pure. An address counts only if it names exactly the site, with its port.
"""

import re

from yarl import URL

_TO_BE_SLASHES = str.maketrans("\\", "/", "\t\r\n")
_UP_TO_SPACE = "".join(map(chr, range(0x21)))
# What can follow a host and port in an address.
_END = r"(?=[/?#\"'\s<>()\\,;]|$)"


class Origins:
    """``site`` is the origin of the site, ``own`` the one in the browser (``http://host:port``).

    Without ``own`` the browser sees the site under its own address.
    """

    def __init__(self, site: URL, own: str | None = None) -> None:
        host = site.raw_host or ""
        authority = f"[{host}]" if ":" in host else host
        has_default_port = site.port == 80
        self.host = authority if has_default_port else f"{authority}:{site.port}"
        self.site = f"http://{self.host}"
        self.own = own or self.site
        self.own_host = self.own.removeprefix("http://")
        port = "(?::80)?" if has_default_port else f":{site.port}"
        host_pattern = rf"{re.escape(authority)}{port}{_END}"
        # ``//host`` has the scheme of the page. ``https://host`` is another origin.
        scheme = r"(?:(?<![a-z0-9+.-])http:|(?<![a-z0-9+.:/-]))"
        self._anywhere = re.compile(rf"{scheme}//{host_pattern}", re.IGNORECASE)
        self._source = re.compile(rf"(http://|ws://)?{host_pattern}", re.IGNORECASE)

    @property
    def are_equal(self) -> bool:
        """Whether the browser sees the site under its own address (proxy mode)."""
        return self.own == self.site

    def to_own(self, text: str) -> str:
        """``text`` with every address of the site replaced."""
        return text if self.are_equal else self._anywhere.sub(self.own, text)

    def url_to_own(self, url: str) -> str:
        """``url``, mapped if it is below the site."""
        found = self._anywhere.match(url)
        return self.own + url[found.end() :] if found else url

    def leaves(self, url: str) -> bool:
        """Whether ``url``, which is mapped, leads out of the seal: to another site without TLS.

        It is read as browsers read it: ``\\`` is ``/``, and tabs and spaces around it do not count.
        In proxy mode nothing leaves, because the proxy refuses other sites.
        """
        if self.are_equal:
            return False
        read = url.strip(_UP_TO_SPACE).translate(_TO_BE_SLASHES)
        if self.url_to_site(read) != read:
            return False
        return read.startswith("//") or read[:5].lower() == "http:"

    def url_to_site(self, url: str) -> str:
        """``url`` as the site knows it, if it is below our own address."""
        rest = url.removeprefix(self.own)
        is_ours = rest != url and rest[:1] in ("", "/", "?", "#")
        return self.site + rest if is_ours else url

    def source_to_own(self, source: str) -> str:
        """A source of a Content-Security-Policy, mapped if it names the site."""
        found = self._source.match(source)
        if not found or self.are_equal:
            return source
        scheme = "ws://" if (found[1] or "").lower() == "ws://" else "http://"
        return scheme + self.own_host + source[found.end() :]
