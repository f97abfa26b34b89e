"""The pages of ``connect`` itself. They run no script, and everything in them is escaped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from aiohttp import web

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    # A page of another site that has opened this one loses its handle.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Server": "certless",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark }
body { max-width: 34rem; margin: 12vh auto; padding: 0 1rem; font: 1rem/1.55 system-ui, sans-serif }
label { display: block; margin: 1rem 0 }
input { display: block; width: 100%; box-sizing: border-box; padding: .6rem; font: inherit }
button { padding: .6rem 1.2rem; font: 600 1rem system-ui, sans-serif }
code, input[name=code] { font-family: ui-monospace, monospace }
dt { float: left; clear: left; width: 6rem } dd { overflow-wrap: anywhere }
.lost { color: light-dark(#a3281e, #ff9b90) }
"""


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages say about a site."""

    origin: str
    realm: str
    suite: str

    @property
    def facts(self) -> str:
        return (
            f"<dl><dt>Site</dt><dd>{escape(self.origin)}</dd><dt>Realm</dt>"
            f"<dd>{escape(self.realm)}</dd><dt>Suite</dt><dd>{escape(self.suite)}</dd></dl>"
        )


def page(status: int, title: str, body: str) -> web.Response:
    """A page of ours; ``body`` is HTML."""
    return web.Response(
        status=status,
        text=(
            '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)} · certless connect</title><style>{_STYLE}</style>"
            f"<h1>{escape(title)}</h1>\n{body}\n</html>\n"
        ),
        content_type="text/html",
        charset="utf-8",
        headers=_HEADERS,
    )


def plain(status: int, text: str) -> web.Response:
    """A sentence for programs."""
    return web.Response(status=status, text=f"{text}\n", headers=_HEADERS)


def told(request_headers: Mapping[str, str], status: int, title: str, text: str) -> web.Response:
    """``text`` as a page for browsers, and as a sentence for programs."""
    if wants_page(request_headers):
        return page(status, title, f"<p>{escape(text)}</p>")
    return plain(status, f"certless connect: {text}")


def wants_page(headers: Mapping[str, str]) -> bool:
    """Whether a person waits for a page."""
    return "text/html" in headers.get("Accept", "").lower()


def ask_address(site: Site, action: str, then: str, error: str = "") -> web.Response:
    """The first page of the login."""
    return page(
        401,
        "Log in",
        f"""{site.facts}
<p>Everything between this machine and the site will be encrypted. You get a code by mail.</p>
{_error(error)}<form method="post" action="{escape(action)}">
<input type="hidden" name="then" value="{escape(then)}">
<label>User name or mail address
<input name="address" required autofocus autocomplete="username"></label>
<label>Password of the gateway, if you have one
<input name="password" type="password" autocomplete="off"></label>
<button>Send me a code</button></form>""",
    )


def ask_code(site: Site, action: str, then: str, error: str = "") -> web.Response:
    """The second page of the login."""
    return page(
        401,
        "Enter the code",
        f"""{site.facts}
<p>If this user is allowed to log in, a mail with a code is on its way. Paste the newest code.</p>
{_error(error)}<form method="post" action="{escape(action)}">
<input type="hidden" name="then" value="{escape(then)}">
<label>Code <input name="code" required autofocus autocomplete="one-time-code"></label>
<button>Log in</button></form>
<p><a href="{escape(then)}">Use another name, or ask for another code</a></p>""",
    )


def ask_first(site: Site, url: str) -> web.Response:
    """A page between another site and ``url``, which is below our own address."""
    return page(
        403,
        "Continue?",
        f"{site.facts}<p>A page of another site wants to open this one, with your session.</p>"
        f'<p><a href="{escape(url)}">Continue to {escape(site.origin)}</a></p>',
    )


def go_on(url: str) -> web.Response:
    """A page that goes on to ``url``, which is ours, as a page of our own."""
    refresh = f'<meta http-equiv="refresh" content="0; url={escape(url)}">'
    return page(200, "Welcome", f'{refresh}<p><a href="{escape(url)}">Continue</a></p>')


def leaving(request_headers: Mapping[str, str], url: str, cookies: Iterable[str]) -> web.Response:
    """Instead of a redirect of the site to ``url``, which is not sealed.

    A browser could send it the form that it has just sent to the site.
    """
    text = f"the site leads to {url}. Nothing that you send there is encrypted."
    if wants_page(request_headers):
        link = f'<a href="{escape(url)}" rel="noreferrer">Open it without encryption</a>'
        told_so = page(403, "This leaves the sealed site", f"<p>{escape(text)}</p><p>{link}</p>")
    else:
        told_so = plain(403, f"certless connect: {text}")
    for cookie in cookies:
        told_so.headers.add("Set-Cookie", cookie)
    return told_so


def _error(text: str) -> str:
    return f'<p class="lost" role="alert">{escape(text)}</p>\n' if text else ""
