"""Handlers do not notice Certless: every kind of response works as without it."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from every_kind import BINARY, FAILED, JSON_TYPE, NOT_FOUND, SECRET, TEXT, every_kind
from gateways import Answer, Raw, running
from starlette.applications import Starlette
from yarl import URL

import gateway
from gateway.adapters.asgi.app import Certless
from gateway.errors import StoreUnavailable
from gateway.stores.memory.store import MemoryStore
from protocol.common.codec import JsonObject
from protocol.common.messages import SealedMessage

pytestmark = pytest.mark.usefixtures("framework")
AIOHTTP_ONLY = pytest.mark.parametrize("framework", ["aiohttp"], indirect=True)


async def test_every_kind_of_answer_through_the_message_route(
    tmp_path: Path, framework: str
) -> None:
    async with running(every_kind(tmp_path)) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        created = await client.post("/json", json={"text": TEXT, "list": [1, 2.5, None, True]})
        assert created.status == 201
        assert await created.json() == {"got": {"text": TEXT, "list": [1, 2.5, None, True]}}

        picture = await client.post("/bytes", data=BINARY)
        assert (await picture.read(), picture.content_type) == (BINARY, "image/png")

        text = await client.get("/text")
        assert (await text.text(), text.headers["X-Kept"]) == (TEXT, "yes")
        assert text.headers["Content-Type"] == "text/plain; charset=utf-8"

        for path, status, body in (
            ("/empty", 200, b""),
            ("/no-content", 204, b""),
            ("/nowhere", 404, NOT_FOUND[framework]),
            ("/broken", 500, FAILED[framework]),
            ("/not-a-response", 500, FAILED[framework]),
            ("/many-headers", 500, b"500 Internal Server Error"),
            ("/odd-status", 500, b"500 Internal Server Error"),
            ("/file-by-hand", 500, b"500 Internal Server Error"),
        ):
            answer = await client.get(path)
            assert (answer.status, await answer.read()) == (status, body)
        assert (await client.request("PUT", "/text")).status == 405

        moved = await client.get("/moved")
        assert (moved.status, moved.headers["Location"]) == (302, "/json?x=1")

        cookies = await client.get("/cookies", headers={"Cookie": "a=sent"})
        assert await cookies.text() == "sent"
        assert len(cookies.headers.getall("Set-Cookie")) == 2

        stream = await client.get("/stream")
        assert await stream.text() == "".join(f"{line}\n" for line in range(100))
        assert stream.content_type == "text/csv"
        assert "Content-Encoding" not in stream.headers
        assert await (await client.get("/compressed")).text() == TEXT * 100

        file = await client.get("/file")
        assert await file.read() == BINARY
        part = await client.get("/file", headers={"Range": "bytes=0-9"})
        assert (part.status, await part.read()) == (206, BINARY[:10])
        cached = await client.get("/file", headers={"If-None-Match": file.headers["ETag"]})
        assert (cached.status, await cached.read()) == (304, b"")

        head = await client.request("HEAD", "/text")
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["Content-Length"] == str(len(TEXT.encode()))

        item = await client.get("/items/a%2Fb%20c?x=1&x=2&y=å", headers={"X-Sent": "blåbär"})
        assert await item.json() == {
            "id": "a/b c",
            "query": [["x", "1"], ["x", "2"], ["y", "å"]],
            # Starlette decodes the bytes of a value as Latin-1, and aiohttp as UTF-8.
            "header": "blåbär" if framework == "aiohttp" else "blÃ¥bÃ¤r",
        }


async def test_forms_and_uploads_are_parsed_as_ever(tmp_path: Path) -> None:
    async with running(every_kind(tmp_path)) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        form = await client.post("/form", data={"name": "a&b ö"})
        assert await form.json() == {"name": "a&b ö", "size": None}
        boundary = secrets.token_hex(8)
        part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
        upload = (
            f'{part}name"\r\n\r\nann\r\n{part}picture"; filename="p.png"\r\n\r\n'.encode()
            + bytes(3_000_000)
            + f"\r\n--{boundary}--\r\n".encode()
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = await client.post("/form", data=upload, headers=kind)
        assert await answer.json() == {"name": "ann", "size": 3_000_000}


@AIOHTTP_ONLY
async def test_a_websocket_cannot_get_past_the_seal(tmp_path: Path) -> None:
    async with running(every_kind(tmp_path)) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        assert (await client.get("/socket", headers=upgrade)).status == 400


async def test_handlers_find_session_and_user(tmp_path: Path) -> None:
    async with running(every_kind(tmp_path)) as at, at.client() as client:
        await client.login("Ann@Example.org", code=at.mails.code)
        seen = await (await client.post("/who", json={})).json()
        assert seen["seen"][:3] == ["ann@example.org", "ann@example.org", "classic/sfet-4-gcm"]
        assert len(seen["seen"][3]) == 32
        assert seen["remote"] == "127.0.0.1"


@AIOHTTP_ONLY
async def test_on_response_prepare_and_other_middlewares_work_inside(tmp_path: Path) -> None:
    app = every_kind(tmp_path)
    assert isinstance(app, web.Application)

    @web.middleware
    async def add_header(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers["X-Middleware"] = request.get(gateway.USER, "nobody")
        return response

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = "yes"

    app.middlewares.append(add_header)
    app.on_response_prepare.append(sign)
    async with running(app) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        answer = await client.get("/text")
        assert answer.headers["X-Middleware"] == "ann@example.org"
        assert answer.headers["X-Signal"] == "yes"


@AIOHTTP_ONLY
async def test_sub_applications_are_protected_and_reached(tmp_path: Path) -> None:
    app = web.Application()
    below = every_kind(tmp_path)
    assert isinstance(below, web.Application)
    app.add_subapp("/api", below)
    async with running(app) as at, at.client() as client:
        assert (await at.get("/api/text")).status == 401
        await client.login("ann@example.org", code=at.mails.code)
        assert await (await client.get("/api/text")).text() == TEXT


# --- in place -----------------------------------------------------------------------------------


async def in_place(raw: Raw, path: str, fields: JsonObject, **options: Any) -> tuple[Answer, bytes]:
    message, pending = raw.exchange.seal_fields(
        raw.token, raw.keys, fields, raw.at.clock(), secrets.token_bytes
    )
    names = raw.exchange.suite.dialect.names
    answer = await raw.at.post(path, message.serialize(names), **options)
    return answer, pending.open_plaintext(SealedMessage.parse(answer.json, names))


async def test_in_place_the_handler_sees_the_fields_as_its_json(
    tmp_path: Path, framework: str
) -> None:
    async with running(every_kind(tmp_path), dialect="article-2016") as at:
        raw = await at.raw_login()
        answer, body = await in_place(raw, "/json", {"item": TEXT, "request": {"x": 1}})
        assert answer.status == 201
        assert json.loads(body) == {"got": {"item": TEXT, "request": {"x": 1}}}
        assert answer.headers["Certless-Content-Type"] == JSON_TYPE[framework]
        assert TEXT.encode() not in answer.body


async def test_in_place_status_and_headers_are_kept(tmp_path: Path, framework: str) -> None:
    async with running(every_kind(tmp_path)) as at:
        raw = await at.raw_login()
        answer, body = await in_place(raw, "/nowhere", {})
        assert (answer.status, body) == (404, NOT_FOUND[framework])
        answer, body = await in_place(raw, "/text", {})
        assert answer.status == 405
        assert set(answer.headers["Allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}
        answer, body = await in_place(raw, "/no-content", {})
        assert (answer.status, answer.headers["Certless-Status"], body) == (200, "204", b"")
        assert answer.headers["X-Kept"] == "yes"


async def test_in_place_query_and_headers_reach_the_handler() -> None:
    async with running() as at:
        raw = await at.raw_login()
        _, body = await in_place(raw, "/echo?a=1&b=%20", {"x": 1})
        seen = json.loads(body)
        assert seen["query"] == {"a": "1", "b": " "}
        assert json.loads(seen["body"]) == {"x": 1}


@AIOHTTP_ONLY
async def test_in_place_no_server_in_front_is_told_to_send_a_file(framework: str) -> None:
    async def invoice(_: web.Request) -> web.Response:
        files = {"X-Accel-Redirect": "/files/1", "X-Sendfile": "/files/1", "X-Kept": "yes"}
        return web.Response(text="instead", headers=files)

    app = web.Application()
    app.router.add_post("/invoice", invoice)
    async with running(app) as at:
        answer, body = await in_place(await at.raw_login(), "/invoice", {})
        assert (body, answer.headers["X-Kept"]) == (b"instead", "yes")
        assert "/files/1" not in answer.headers.values()


# --- what is public, and what is not ------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/echo", "/nowhere", "/", "/.gateway%2fsession", "/%2egateway"])
async def test_plaintext_to_a_protected_route_is_refused_and_never_handled(
    method: str, path: str
) -> None:
    async with running() as at:
        url = URL(at.url + path, encoded=True)
        async with at.http.request(method, url, data=b'{"item": 1}') as answer:
            assert answer.status == 401
            assert (await answer.json())["error"] == "login_required"
            assert answer.headers["WWW-Authenticate"] == 'Certless prefix="/.gateway"'
        assert at.ran == []


@AIOHTTP_ONLY
async def test_no_handler_is_run_before_the_middlewares(framework: str) -> None:
    """A handler of ``Expect`` would run in plain and without a login."""

    async def handle(_: web.Request) -> web.Response:
        return web.Response()

    async def expect(_: web.Request) -> None:
        raise AssertionError("plaintext was handled")

    app, below = web.Application(), web.Application()
    below.router.add_post("/orders", handle, expect_handler=expect)
    app.add_subapp("/shop", below)
    with pytest.raises(gateway.ConfigError, match=r"^the route POST /shop/orders has an expect_h"):
        async with running(app):
            pass


async def test_public_routes_are_named_and_pass_in_plain(tmp_path: Path) -> None:
    async with running(every_kind(tmp_path), public=["/open/{page}", "/text"]) as at:
        assert (await at.get("/open/one")).json == {"user": None}
        assert (await at.get("/text")).body.decode() == TEXT
        for path in ("/open", "/open/", "/open/one/two", "/text/", "/Text", "/empty"):
            assert (await at.get(path)).status == 401
        for path in ("/open/..%2fempty", "/open/%2e%2e", "/open//", "/open/one;x"):
            async with at.http.get(URL(at.url + path, encoded=True)) as answer:
                assert answer.status == 401


async def test_the_prefix_has_its_own_routes_only() -> None:
    async with running() as at:
        assert (await at.get("/.gateway/session")).status == 405
        assert (await at.post("/.gateway/nothing", {})).status == 404
        assert (await at.post("/.gateway", {})).status == 404
        assert (await at.post("/.gateway/../echo", {})).status == 401
        raw = await at.raw_login()
        assert (await raw.call("POST", "/.gateway/session", b"{}")).status == 404


async def test_an_answer_above_the_cap_is_an_error_inside(tmp_path: Path) -> None:
    async with running(every_kind(tmp_path), max_body_bytes=10_000) as at:
        raw = await at.raw_login()
        assert len((await raw.call("POST", "/large", b"10000")).body) == 10_000
        assert (await raw.call("POST", "/large", b"10001")).status == 500


async def test_a_failing_handler_is_logged_without_its_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(every_kind(tmp_path)) as at:
        raw = await at.raw_login()
        assert (await raw.call("GET", "/broken")).status == 500
    assert SECRET not in caplog.text
    assert "handler failed: ValueError at" in caplog.text
    assert "4711" not in caplog.text


class DeadStore(MemoryStore):
    """A store that no longer answers."""

    dead = False

    async def claim(self, *arguments: Any) -> bool:
        if self.dead:
            raise StoreUnavailable("Redis at 127.0.0.1:6379: it is full")
        return await super().claim(*arguments)


async def test_without_its_store_nothing_is_accepted_and_then_it_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = DeadStore()
    async with running(store=store) as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        store.dead = True
        answer = await raw.send(message)
        assert (answer.status, answer.json["error"]) == (503, "unavailable")
        assert b"Redis" not in answer.body
        # The log tells the operator why.
        assert "Redis at 127.0.0.1:6379: it is full" in caplog.text
        assert at.ran == []
        store.dead = False
        assert (await raw.send(message)).status == 200


@pytest.mark.parametrize(
    "options",
    [
        {"mail": "nonsense"},
        {"store": "nonsense"},
        {"dialect": "nonsense"},
        {"public": "/one"},
        {"public": ["nonsense"]},
        {"users": "/nowhere/users.toml"},
        {"prefix": "nonsense"},
        {"code_chars": 6},
        {"nonsense": 1},
    ],
)
def test_wrong_settings_are_one_line(options: dict[str, Any], framework: str) -> None:
    settings = {"users": gateway.AnyAddress(), "mail": "console:", **options}
    app: Any = web.Application() if framework == "aiohttp" else Starlette()
    put_before: Any = gateway.setup if framework == "aiohttp" else Certless
    with pytest.raises(gateway.ConfigError) as caught:
        put_before(app, **settings)
    assert "\n" not in str(caught.value)
