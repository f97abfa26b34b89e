"""What a visitor gets who opens a page over plain HTTP, if a gateway serves at this moment."""

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

ABOUT = "visitor"
_GIVEN = re.compile(rb"certless\.start\((\{.*\})\);\n\Z")
_ANY_HOST = {  # not listened on
    **dict.fromkeys(("", "*", "0.0.0.0"), "127.0.0.1"),  # noqa: S104
    "::": "::1",
}
# What the client needs (client_js/README.md, "Content-Security-Policy"), and what stands in.
_NEEDED = (
    ("script-src", "'self'", "the client is not loaded"),
    ("connect-src", "'self'", "the client cannot speak to the gateway"),
    ("worker-src", "blob:", "the client holds the page while it computes"),
)
_INSTEAD = {"worker-src": ("child-src", "script-src", "default-src")}


async def check_visitor(service: Service) -> AsyncIterator[Finding]:
    """The browser client, the first page, its policy, and a route that needs a login."""
    if BUNDLE.exists():
        yield ok(ABOUT, "the browser client is installed")
    else:
        yield fix(ABOUT, "no browser client is installed: `make bundle`, then install again")
    host, port = host_and_port(service.options["listen"])
    host = _ANY_HOST.get(host, host)
    at = URL.build(scheme="http", host=host, port=port)
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as http:
        try:
            async for finding in _as_a_visitor(http, at, service):
                yield finding
        except aiohttp.ClientConnectorError:
            yield warn(ABOUT, f"nothing listens at {at}: start it, and ask again")
        except (aiohttp.ClientError, TimeoutError):
            yield fix(ABOUT, f"{at} takes connections and gives no answer: see log")


async def _as_a_visitor(
    http: aiohttp.ClientSession, at: URL, service: Service
) -> AsyncIterator[Finding]:
    settings = service.settings
    script = at.with_path(f"{settings.prefix}/client.js")
    async with http.get(script) as response:
        given = _GIVEN.search(await response.read()) if response.ok else None
    if given is None:
        yield fix(ABOUT, f"{script} is no browser client: does a gateway of this prefix serve it?")
        return
    yield _as_configured(json.loads(given[1]), settings)

    # No route of anybody's has such a name.
    async with http.get(at.with_path(f"/{secrets.token_hex(16)}")) as response:
        if response.status == 401 and hdrs.WWW_AUTHENTICATE in response.headers:
            yield ok(ABOUT, "plaintext to a protected route is refused (401)")
        else:
            text = f"a path that nobody named gets {response.status} without a login, not 401"
            yield fix(ABOUT, f"{text}: see public")

    async with http.get(at.with_path("/"), allow_redirects=False) as response:
        if response.status == 401:
            yield warn(
                ABOUT, "a browser is refused at /: add it to public, unless only programs come"
            )
            return
        for finding in _of_page(response):
            yield finding


def _as_configured(given: dict[str, Any], settings: Any) -> Finding:
    suites, realm = tuple(given.get("suites", ())), given.get("realm")
    if (suites, realm) != (settings.suites, settings.realm):
        return warn(
            ABOUT,
            f"the gateway that serves speaks {', '.join(suites)} as {realm}, not as set here: "
            "start it again",
        )
    return ok(ABOUT, f"client.js is served, and told of {', '.join(suites)}")


def _of_page(response: aiohttp.ClientResponse) -> Iterator[Finding]:
    if not response.ok:
        yield warn(ABOUT, f"/ is public and answers {response.status}: is that what is meant?")
        return
    policies = response.headers.getall("Content-Security-Policy", [])
    obstacles = [text for policy in policies for text in obstacles_in(policy)]
    for text in obstacles:
        yield fix(ABOUT, f"the policy of / says {text}")
    if not obstacles:
        yield ok(ABOUT, f"/ is public ({response.status}), and lets the client work")


def obstacles_in(policy: str) -> Iterator[str]:
    """What in a Content-Security-Policy keeps client.js from working on a plain-HTTP page."""
    written = (directive.split() for directive in policy.split(";"))
    directives = {words[0].lower(): words[1:] for words in written if words}
    if "upgrade-insecure-requests" in directives:
        yield "upgrade-insecure-requests, so that the client is asked for by https: leave it out"
    for name, source, harm in _NEEDED:
        instead = (name, *_INSTEAD.get(name, ("default-src",)))
        found = next((other for other in instead if other in directives), None)
        if found is not None and not _allows(directives[found], source):
            said = " ".join((found, *directives[found]))
            yield f"{said}, and {harm}: add {name} {source}"


def _allows(sources: list[str], source: str) -> bool:
    allowed = {written.lower() for written in sources}
    if source == "blob:":
        return source in allowed
    return bool(allowed & {source, "*", "http:"})
