"""Only the gateway serves its prefix, in any spelling: it is not public and not inside."""

import asyncio
from typing import Any

import pytest
from frameworks import Seen, application
from gateways import CaughtMails, running
from http_2 import over_http_2, status
from proxied import proxied
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from upstreams import said

import gateway
from gateway.adapters.asgi.app import Certless
from gateway.policy.routes import OwnPaths
from protocol.common.messages import HttpRequest

OWN = [
    "/.gateway",
    "/.gateway/session",
    "/.gateway/anything",
    "/.Gateway/session",
    "/%2egateway/session",
    "/.%67ateway/session",
    "/.gateway%2fsession",
    "/.gateway;x/session",
    "/.gateway//session",
    "/x/../.gateway/session",
    "/x//.gateway/session",
    "/x/..%2f.gateway",
    "/x/%2e%2e/%2egateway",
    "/x/..%5c.GATEWAY",
    "/%252egateway/session",
    "/.gateway.",
]
OTHERS = ["/", "/gateway", "/.gateways", "/docs/.gateway/x", "/a//b", "/.gateway-x", "/caf%E9"]


@pytest.mark.parametrize("path", OWN)
def test_own(path: str) -> None:
    assert OwnPaths("/.gateway").may_have(path)


@pytest.mark.parametrize("path", OTHERS)
def test_others(path: str) -> None:
    paths = OwnPaths("/.gateway")
    assert not paths.may_have(path)
    assert not paths.have(path)


async def call(client: Any, target: str, *headers: tuple[str, str]) -> Any:
    return await client._send(HttpRequest("GET", target, headers, b""))


async def test_no_route_below_the_prefix_exists_inside() -> None:
    async with proxied() as (_, client):
        for path in OWN:
            answer = await call(client, path)
            assert (answer.status, (await answer.json())["error"]) == (404, "not_found"), path
        for path in OTHERS:
            answer = await call(client, path)
            assert (answer.status, (await answer.json())["path"]) == (200, path)


async def test_nor_is_any_public() -> None:
    async with proxied(public=["/*"]) as (front, _):
        for path in OWN:
            assert not {b"200", b"502"} & set((await said(front, path.encode())).split()[1:2]), path
        assert b" 200 " in await said(front, b"/gateway")


@pytest.mark.usefixtures("framework")
async def test_nor_does_an_application_see_it() -> None:
    seen: list[str] = []

    def see(request: Seen) -> str:
        seen.append(request.path)
        return "seen"

    app = application({"/.Gateway/session": see, "/.gateway/own": see, "/own": see})
    async with running(app, public=["/.Gateway/*", "/.gateway/*"]) as at:
        raw = await at.raw_login()
        for path in ("/.Gateway/session", "/.gateway/own", "/%2egateway/own"):
            assert (await raw.call("GET", path)).status == 404
            assert (await at.get(path)).status in (401, 404)
        assert (await raw.call("GET", "/own")).body == b'"seen"'
    assert seen == ["/own"]


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("name", ["Content-Encoding", "Content_Encoding", "content.encoding"])
async def test_a_coding_is_refused_in_any_spelling(name: str) -> None:
    async with running() as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        sent = await at.post("/.gateway/message", message, headers={name: "gzip"})
        assert (sent.status, sent.json["error"]) == (415, "content_encoding")
        async with at.client() as client:
            await client.login("ann@example.org", code=at.mails.code)
            answer = await call(client, "/echo", (name, "gzip"))
            assert (answer.status, (await answer.json())["error"]) == (415, "content_encoding")
        assert at.ran == []


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    "hosts", [["a.example", "b.example"], ["a.example,b.example"], ["a/b"], [""], ["a@b"]]
)
async def test_a_host_is_one_host_outside_and_inside(hosts: list[str]) -> None:
    async with running(public=["/echo"]) as at:
        lines = "".join(f"Host: {host}\r\n" for host in hosts)
        host, _, port = at.url.removeprefix("http://").partition(":")
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /echo HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
            assert b" 400 " in (await reader.read()).partition(b"\r\n")[0]
            writer.close()
        async with at.client() as client:
            await client.login("ann@example.org", code=at.mails.code)
            answer = await call(client, "/echo", *(("Host", host) for host in hosts))
            assert (answer.status, (await answer.json())["error"]) == (400, "malformed")
        assert at.ran == []


async def test_a_host_is_one_host_over_http_2() -> None:
    app = Certless(
        Starlette(routes=[Route("/open", _open)]),
        users=gateway.AnyAddress(),
        mail=CaughtMails(),
        public=["/open"],
    )
    async with over_http_2(app) as port:
        assert await status(port, b"/open") == 200
        for authority in (b"a.example,b.example", b"a/b", b"a@b"):
            assert await status(port, b"/open", authority=authority) == 400


async def _open(_: Request) -> Response:
    return Response()
