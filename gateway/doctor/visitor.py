"""The running gateway, as a browser sees it over plain HTTP."""

import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
from aiohttp import hdrs
from yarl import URL

from gateway.pipeline.client_script import BUNDLE
from gateway.service.options import host_and_port

from . import ANSWER_S, Finding, Service, fix, ok, warn
from .forms import check_forms

ABOUT = "visitor"
_CONFIG = re.compile(rb"certless\.start\((\{.*\})\);\n\Z")
_ANY_HOST = {  # not listened on
    **dict.fromkeys(("", "*", "0.0.0.0"), "127.0.0.1"),  # noqa: S104
    "::": "::1",
}
# The directives that the client needs (client_js/README.md, "Content-Security-Policy"), and their
# fallbacks.
_NEEDED = (
    ("script-src", "'self'", "the client is not loaded"),
    ("connect-src", "'self'", "the client cannot connect to the gateway"),
    ("worker-src", "blob:", "the client blocks the page while it computes"),
)
_FALLBACKS = {"worker-src": ("child-src", "script-src", "default-src")}


async def check_visitor(service: Service) -> AsyncIterator[Finding]:
    """The browser client, the page at /, its policy, and a route that needs a login."""
    if BUNDLE.exists():
        yield ok(ABOUT, "the browser client is installed")
    else:
        yield fix(
            ABOUT, "the browser client is not installed: run `make bundle`, then install again"
        )
    host, port = host_and_port(service.options["listen"])
    host = _ANY_HOST.get(host, host)
    at = URL.build(scheme="http", host=host, port=port)
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        try:
            async for finding in _as_a_browser(http, at, service):
                yield finding
        except aiohttp.ClientConnectorError:
            yield warn(ABOUT, f"nothing listens at {at}: start the gateway and run doctor again")
        except (aiohttp.ClientError, TimeoutError):
            yield fix(ABOUT, f"{at} accepts connections but does not answer: see its log")


async def _as_a_browser(
    http: aiohttp.ClientSession, at: URL, service: Service
) -> AsyncIterator[Finding]:
    settings = service.settings
    script = at.with_path(f"{settings.prefix}/client.js")
    async with http.get(script) as response:
        config = _CONFIG.search(await response.read()) if response.ok else None
    if config is None:
        yield fix(
            ABOUT, f"{script} is not the browser client: is the running gateway's prefix the same?"
        )
        return
    yield _as_configured(json.loads(config[1]), settings)
    async for finding in check_forms(http, at, settings):
        yield finding

    # A random path, which is no real route.
    async with http.get(at.with_path(f"/{secrets.token_hex(16)}")) as response:
        if response.status == 401 and hdrs.WWW_AUTHENTICATE in response.headers:
            yield ok(ABOUT, "plaintext to a protected route is refused (401)")
        else:
            text = f"a random path answers {response.status} without a login, not 401"
            yield fix(ABOUT, f"{text}: see public")

    async with http.get(at.with_path("/"), allow_redirects=False) as response:
        if response.status == 401:
            yield warn(
                ABOUT, "/ needs a login: add it to public, unless no browsers use the gateway"
            )
            return
        for finding in _of_page(response):
            yield finding


def _as_configured(config: dict[str, Any], settings: Any) -> Finding:
    suites, realm = tuple(config.get("suites", ())), config.get("realm")
    if (suites, realm) != (settings.suites, settings.realm):
        return warn(
            ABOUT,
            f"the running gateway has other options (suites {', '.join(suites)}, realm {realm}): "
            "restart it",
        )
    return ok(ABOUT, f"client.js is served, with the suites {', '.join(suites)}")


def _of_page(response: aiohttp.ClientResponse) -> Iterator[Finding]:
    if not response.ok:
        yield warn(ABOUT, f"/ is public and answers {response.status}: is that intended?")
        return
    policies = response.headers.getall("Content-Security-Policy", [])
    obstacles = [text for policy in policies for text in obstacles_in(policy)]
    for text in obstacles:
        yield fix(ABOUT, f"the Content-Security-Policy of / has {text}")
    if not obstacles:
        yield ok(ABOUT, f"/ is public ({response.status}), and its policy allows the client")


def obstacles_in(policy: str) -> Iterator[str]:
    """The parts of a Content-Security-Policy that block client.js on a plain-HTTP page."""
    written = (directive.split() for directive in policy.split(";"))
    directives = {words[0].lower(): words[1:] for words in written if words}
    if "upgrade-insecure-requests" in directives:
        yield "upgrade-insecure-requests, so browsers load the client by https: remove it"
    for name, source, harm in _NEEDED:
        fallbacks = (name, *_FALLBACKS.get(name, ("default-src",)))
        found = next((other for other in fallbacks if other in directives), None)
        if found is not None and not _allows(directives[found], source):
            directive = " ".join((found, *directives[found]))
            yield f"{directive}, and {harm}: add {name} {source}"


def _allows(sources: list[str], source: str) -> bool:
    allowed = {written.lower() for written in sources}
    if source == "blob:":
        return source in allowed
    return bool(allowed & {source, "*", "http:"})
