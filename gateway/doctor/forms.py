"""The forms of public pages: a form that is not sealed needs a public route for its method."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser

import aiohttp
from yarl import URL

from gateway.config.settings import Settings
from gateway.policy.routes import PublicRoute, RoutePolicy

from . import Finding, warn

# Pages that are read, and how much of each.
_PAGES = 20
_BYTES = 1024 * 1024


async def check_forms(
    http: aiohttp.ClientSession, at: URL, settings: Settings
) -> AsyncIterator[Finding]:
    """Forms of the public pages of the gateway ``at`` that send a POST which needs a login."""
    policy = RoutePolicy(settings.prefix, settings.public, settings.require)
    for path in _pages(settings.public):
        for target in await _targets(http, at.with_path(path)):
            sent = f"POST {target.raw_path}"
            if not policy.is_public("POST", target.raw_path) and target.origin() == at.origin():
                yield warn(
                    "routes",
                    f"a form of the public page {path} sends {sent}, which needs a login: add "
                    f"'{sent}' to public, or give the form data-certless",
                )


def _pages(public: tuple[str, ...]) -> list[str]:
    """The public pages whose path is known."""
    routes = [PublicRoute.parse(text) for text in public]
    known = [route.pattern for route in routes if "GET" in route.methods]
    return [path for path in known if not path.endswith("/*") and "{" not in path][:_PAGES]


async def _targets(http: aiohttp.ClientSession, page: URL) -> list[URL]:
    async with http.get(page, allow_redirects=False) as response:
        if not response.ok or response.content_type != "text/html":
            return []
        text = (await response.content.read(_BYTES)).decode("utf-8", "replace")
    forms = _Forms()
    forms.feed(text)
    return [page.join(URL(action)) if action else page for action in forms.actions]


class _Forms(HTMLParser):
    """The actions of forms that send a POST unsealed."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        is_post = (attributes.get("method") or "").lower() == "post"
        if tag == "form" and is_post and "data-certless" not in attributes:
            self.actions.append(attributes.get("action") or "")
