"""The reverse proxy in front of a real upstream."""

import asyncio
import secrets
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from proxied import proxied, upstream_app
from yarl import URL

import gateway
import gateway.users.directory
from certless.client import Client
from certless.client.request import http_request
from gateway.adapters.aiohttp.reverse_proxy import Proxy


def header(seen: dict[str, Any], name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key.lower() == name.lower()]


async def test_method_path_query_headers_and_body_reach_the_upstream() -> None:
    async with proxied() as (_, client):
        answer = await client.request(
            "PATCH", "/a%2Fb/c?x=1&y=%20", data=b"\x00\xff", headers={"X-Sent": "yes"}
        )
        seen = await answer.json()
        assert (seen["method"], seen["path"], seen["body"]) == (
            "PATCH",
            "/a%2Fb/c?x=1&y=%20",
            "\x00\xff",
        )
        assert header(seen, "X-Sent") == ["yes"]
        assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert answer.headers["X-Own"] == "yes"
        for status in (201, 204, 302, 404, 500):
            assert (await client.get(f"/?status={status}")).status == status


async def test_user_and_session_are_passed_on_and_cannot_be_forged() -> None:
    forged = {
        "X-Certless-User": "root",
        "x-certless-user": "root",
        "X_Certless_User": "root",
        "X-Certless_Session": "0",
        "X-Certless-Anything": "x",
        "X.Certless.User": "root",
        "X!Certless-User": "root",
        "X.Forwarded.For": "10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "Proxy-Authorization": "Basic x",
        "X-Original-URL": "/orders",
        "X_Rewrite_Url": "/orders",
    }
    async with proxied(public=["/static/*"]) as (front, client):
        seen = await (await client.get("/", headers=forged)).json()
        assert header(seen, "X-Certless-User") == ["ann@example.org"]
        assert len(header(seen, "X-Certless-Session")[0]) == 32
        assert header(seen, "X-Forwarded-For") == ["127.0.0.1"]
        forwarded = f'for=127.0.0.1;host="{front.removeprefix("http://")}";proto=http'
        assert header(seen, "Forwarded") == [forwarded]
        set_by_us = {"X-Certless-User", "x-certless-user", "X-Forwarded-For", "Forwarded"}
        for name in set(forged) - set_by_us:
            assert header(seen, name) == []
        assert header(seen, "Proxy-Authorization") == []
        async with aiohttp.ClientSession() as http:
            async with http.get(front + "/static/x", headers=forged) as public:
                seen = await public.json()
        assert not [name for name, _ in seen["headers"] if "certless" in name.lower()]
        assert not [name for name, value in seen["headers"] if value == "/orders"]


async def test_the_upstream_is_told_the_visitor_of_a_trusted_proxy() -> None:
    headers = {"X-Forwarded-For": "10.0.0.1, 192.0.2.7"}
    for trusted, told in ((["127.0.0.1"], "192.0.2.7"), ([], "127.0.0.1")):
        async with proxied(public=["/static/*"], trusted_proxies=trusted) as (front, client):
            async with aiohttp.ClientSession() as http:
                async with http.get(front + "/static/x", headers=headers) as public:
                    assert header(await public.json(), "X-Forwarded-For") == [told]
            # Inside a seal it is a header like any other: a client can set any value.
            seen = await (await client.get("/", headers=headers)).json()
            assert header(seen, "X-Forwarded-For") == ["127.0.0.1"]


async def test_names_of_users_cannot_bend_a_header() -> None:
    users = gateway.users.directory.TomlDirectory(
        [gateway.Account("Åsa % Öst", ("asa@example.org",))]
    )
    mails = CaughtMails()
    async with serving(upstream_app()) as url:
        app = gateway.reverse_proxy(url, users=users, mail=mails, key_pool_size=1)
        async with serving(app) as front, Client(front) as client:
            await client.login("asa@example.org", code=mails.code)
            seen = await (await client.get("/")).json()
            assert header(seen, "X-Certless-User") == ["%C3%85sa%20%25%20%C3%96st"]


async def test_hop_by_hop_headers_stay_behind_both_ways() -> None:
    async with proxied() as (_, client):
        hop = {"Connection": "X-Mine", "X-Mine": "1", "TE": "trailers", "Keep-Alive": "1"}
        seen = await (await client.get("/", headers=hop)).json()
        for name in ("X-Mine", "TE", "Keep-Alive"):
            assert header(seen, name) == []
        answer = await client.get("/hop")
        assert await answer.text() == "ok"
        for name in ("Connection", "X-Private", "Keep-Alive"):
            assert name not in answer.headers


async def test_only_targets_are_passed_on() -> None:
    async with proxied(targets=["/orders", "/orders/*"]) as (_, client):
        assert (await client.get("/orders/7")).status == 200
        for path in ("/admin", "/", "/orders/..%2fadmin", "/ordersx"):
            assert (await client.get(path)).status == 404


@pytest.mark.parametrize("path", ["/orders/../admin", "/orders/%2e%2e/admin", "/orders;x", "/a//b"])
async def test_a_path_with_two_readings_is_not_passed_on(path: str) -> None:
    async with proxied(base="/api") as (_, client):
        url = URL(path, encoded=True)
        inside = http_request("GET", "/x")
        bent = type(inside)("GET", url.raw_path, inside.headers, inside.body)
        assert (await client._send(bent)).status == 404


async def test_the_base_path_of_the_upstream_is_kept() -> None:
    async with proxied(base="/api/v1/") as (_, client):
        seen = await (await client.get("/orders?x=1")).json()
        assert seen["path"] == "/api/v1/orders?x=1"


async def test_an_upstream_that_is_down_slow_or_breaks_off() -> None:
    async with proxied("http://127.0.0.1:1") as (_, client):
        assert (await client.get("/")).status == 502
    async with proxied(public=["/static/*"]) as (front, client):
        assert (await client.get("/breaks")).status == 502
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                async with http.get(front + "/static/breaks") as answer:
                    await answer.read()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "GET", "POST"])
async def test_a_message_is_not_sent_again_when_a_kept_connection_breaks(method: str) -> None:
    ran: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Answers one request and keeps the connection. Then runs the next request and ends.
        for number in range(2):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            ran.append(head.split()[0])
            if number == 0:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}") as (_, client):
            assert (await client.get("/")).status == 200
            assert (await client.request(method, "/")).status == 502
    assert ran == ["GET", method]


async def test_clients_of_public_routes_do_not_hold_up_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.adapters.aiohttp.reverse_proxy._PUBLIC_REQUESTS", 2)
    monkeypatch.setattr("gateway.adapters.aiohttp.reverse_proxy._CONNECTIONS", 3)
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        arrived.release()
        await go_on.wait()
        return web.Response()

    async def orders(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/static/wait", wait)
    app.router.add_get("/orders", orders)
    async with serving(app) as url, aiohttp.ClientSession() as http:
        async with proxied(url, public=["/static/*"]) as (front, client):
            waiting = [asyncio.ensure_future(http.get(front + "/static/wait")) for _ in range(5)]
            for _ in range(2):
                await arrived.acquire()
            assert await (await client.get("/orders")).text() == "ok"
            go_on.set()
            for answer in await asyncio.gather(*waiting):
                assert answer.status == 200
                answer.close()


async def test_a_header_that_is_no_utf8_survives() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Room: 21\xb0\r\nX-City: K\xc3\xb8ge\r\n")
        writer.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with proxied(f"http://127.0.0.1:{port}") as (_, client):
            answer = await client.get("/")
    assert (answer.status, answer.headers["X-Room"], answer.headers["X-City"]) == (
        200,
        "21°",
        "Køge",
    )


async def test_a_missing_content_type_stays_missing() -> None:
    async def untyped(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=b"<p>hello")
        del response.headers["Content-Type"]
        return response

    async def strip(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.popall("Content-Type", None)

    app = web.Application()
    app.on_response_prepare.append(strip)
    app.router.add_get("/{path:.*}", untyped)
    async with serving(app) as url, aiohttp.ClientSession() as http:
        async with proxied(url, public=["/static/*"]) as (front, client):
            assert "Content-Type" not in (await client.get("/page")).headers
            async with http.get(front + "/static/page") as answer:
                assert "Content-Type" not in answer.headers


async def test_an_upstream_that_is_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.adapters.aiohttp.setup.Proxy", partial(Proxy, timeout_s=0.1))
    async with proxied() as (_, client):
        assert (await client.get("/slow")).status == 504


async def test_caps_hold_both_ways() -> None:
    async with proxied(max_body_bytes=100_000, public=["POST /static/*"]) as (front, client):
        assert (await client.get("/large?size=100000")).status == 200
        assert (await client.get("/large?size=100001")).status == 502
        async with aiohttp.ClientSession() as http:
            url = front + "/static/x"
            async with http.post(url, data=bytes(100_000)) as answer:
                assert answer.status == 200
            async with http.post(url, data=bytes(100_001)) as answer:
                assert answer.status == 413


async def test_large_bodies_pass() -> None:
    async with proxied() as (_, client):
        sent = secrets.token_bytes(1_000_000)
        seen = await (await client.post("/", data=sent)).json()
        assert seen["body"].encode("latin-1") == sent


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@x",
        "",
        "127.0.0.1:9000",
        "ftp://x",
        "http://",
        "http://x?y",
        "http://x#y",
    ],
)
def test_an_upstream_must_be_a_url(url: str) -> None:
    with pytest.raises(gateway.ConfigError, match="without user"):
        gateway.reverse_proxy(url, users=gateway.AnyAddress(), mail="console:")
