"""Certless in front of Starlette and FastAPI: what is theirs works inside, and stays inside.

What Certless does in every framework is tested by the suites with the fixture ``framework``.
"""

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from frameworks import serving
from gateways import CaughtMails, Raw, Running, SetClock, Users, running
from mailboxes import eventually
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    requires,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway import Account, AnyAddress
from gateway.adapters.asgi import app as asgi
from gateway.adapters.asgi.app import Certless
from gateway.adapters.asgi.inner import ASGIApp, Message, Receive, Scope, Send
from gateway.errors import ConfigError
from protocol.common.messages import HttpResponse, SealedMessage

SECRET = "the number of the card is 4711"


@asynccontextmanager
async def served(build: Callable[[dict[str, Any]], ASGIApp]) -> AsyncIterator[Running]:
    """What ``build`` makes of the options of a gateway."""
    mails, clock = CaughtMails(), SetClock()
    options = {
        "users": AnyAddress(),
        "mail": mails,
        "dialect": "sfet-4-gcm",
        "clock": clock,
        "key_pool_size": 1,
    }
    async with serving(build(options)) as url, aiohttp.ClientSession() as http:
        yield Running(url, mails, clock, http, "sfet-4-gcm")


async def text(raw: Raw, path: str, **options: Any) -> str:
    answer = await raw.call(options.pop("method", "GET"), path, **options)
    assert answer.status == 200, answer
    return answer.body.decode()


# --- FastAPI ---


class Order(BaseModel):
    item: str
    quantity: int = 1


def current_user(request: Request) -> str:
    return asgi.user(request)


def shop(log: list[str]) -> FastAPI:
    """An application as in the documentation of FastAPI."""
    app = FastAPI()

    def connection() -> Iterator[str]:
        log.append("opened")
        yield "a connection"
        log.append("closed")

    @app.post("/orders", status_code=201)
    async def order(
        order: Order,
        user: Annotated[str, Depends(current_user)],
        database: Annotated[str, Depends(connection)],
        background: BackgroundTasks,
    ) -> dict[str, Any]:
        background.add_task(log.append, f"mail to {user}")
        return {"user": user, "ordered": order.item, "from": database}

    @app.get("/orders/{number}")
    def one(number: int) -> dict[str, int]:
        if number > 100:
            raise HTTPException(404, "no such order")
        return {"number": number}

    return app


@pytest.mark.parametrize("is_wrapped", [True, False])
async def test_fastapi(is_wrapped: bool) -> None:
    log: list[str] = []

    def build(options: dict[str, Any]) -> ASGIApp:
        app = shop(log)
        if is_wrapped:
            return Certless(app, **options)
        app.add_middleware(Certless, **options)
        return app

    async with served(build) as at, at.client() as client:
        assert (await at.post("/orders", {"item": "tea"})).status == 401
        assert (await at.get("/openapi.json")).status == 401
        await client.login("ann@example.org", code=at.mails.code)
        answer = await client.post("/orders", json={"item": "tea"})
        assert answer.status == 201
        assert await answer.json() == {
            "user": "ann@example.org",
            "ordered": "tea",
            "from": "a connection",
        }
        # The response does not wait for these.
        await eventually(lambda: len(log) == 3)
        assert log == ["opened", "mail to ann@example.org", "closed"]
        refused = await client.post("/orders", json={"item": "tea", "quantity": "many"})
        assert refused.status == 422
        assert await (await client.get("/orders/7")).json() == {"number": 7}
        assert await (await client.get("/orders/101")).json() == {"detail": "no such order"}
        assert (await client.get("/openapi.json")).status == 200


# --- middlewares and exceptions ---


class Signing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-User"] = request.scope.get(asgi.USER, "nobody")
        response.headers["X-Path"] = request.url.path
        return response


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


@pytest.mark.parametrize(
    ("is_outside", "inside", "outside"),
    [
        (False, ("ann@example.org", "/hello"), (None, None)),
        (True, (None, None), ("nobody", "/.gateway/message")),
    ],
)
async def test_middlewares_see_what_is_on_their_side(
    is_outside: bool, inside: tuple[Any, Any], outside: tuple[Any, Any]
) -> None:
    def build(options: dict[str, Any]) -> ASGIApp:
        app = Starlette(routes=[Route("/hello", hello)])
        if not is_outside:
            app.add_middleware(Signing)
        app.add_middleware(Certless, **options)
        if is_outside:
            app.add_middleware(Signing)
        return app

    async with served(build) as at:
        raw = await at.raw_login()
        message, pending = raw.seal("GET", "/hello")
        answer = await raw.send(message)
        assert (answer.headers.get("X-User"), answer.headers.get("X-Path")) == outside
        response = opened(raw, pending, answer.json)
        headers = dict(response.headers)
        assert (headers.get("x-user"), headers.get("x-path")) == inside


def opened(raw: Raw, pending: Any, members: Any) -> HttpResponse:
    response: HttpResponse = pending.open(
        SealedMessage.parse(members, raw.exchange.suite.dialect.names)
    )
    return response


async def broken(request: Request) -> Response:
    raise ValueError(f"{SECRET}: {(await request.body()).decode()}")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("is_wrapped", [True, False])
async def test_what_a_handler_raises_is_said_to_nobody(
    is_wrapped: bool, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def build(options: dict[str, Any]) -> ASGIApp:
        app = Starlette(routes=[Route("/broken", broken, methods=["POST"])], debug=debug)
        if is_wrapped:
            return Certless(app, **options)
        app.add_middleware(Certless, **options)
        return app

    async with served(build) as at:
        raw = await at.raw_login()
        message, pending = raw.seal("POST", "/broken", b"4712")
        answer = await raw.send(message)
        assert answer.status == 200
        assert opened(raw, pending, answer.json).status == 500
    assert "handler failed: ValueError at" in caplog.text
    assert "4711" not in caplog.text
    assert "4712" not in caplog.text


async def test_an_application_answers_its_own_exceptions_under_the_seal() -> None:
    async def say(_: Request, error: Exception) -> Response:
        return PlainTextResponse(f"sorry: {error}", 418)

    app = Starlette(
        routes=[Route("/broken", broken, methods=["POST"])], exception_handlers={Exception: say}
    )
    async with running(app) as at:
        answer = await (await at.raw_login()).call("POST", "/broken", b"x")
        assert (answer.status, answer.body.decode()) == (418, f"sorry: {SECRET}: x")


async def test_an_authentication_of_the_application_takes_the_user() -> None:
    class Backend(AuthenticationBackend):
        async def authenticate(
            self, conn: HTTPConnection
        ) -> tuple[AuthCredentials, BaseUser] | None:
            name = conn.scope.get(asgi.USER)
            return name and (AuthCredentials(["authenticated"]), SimpleUser(name))

    @requires("authenticated")
    async def mine(request: Request) -> Response:
        return PlainTextResponse(request.user.display_name)

    async def anyone(request: Request) -> Response:
        return PlainTextResponse(str(request.user.is_authenticated))

    app = Starlette(
        routes=[Route("/mine", mine), Route("/anyone", anyone)],
        middleware=[Middleware(AuthenticationMiddleware, backend=Backend())],
    )
    async with running(app, public=["/anyone"]) as at:
        assert await text(await at.raw_login(), "/mine") == "ann@example.org"
        assert (await at.get("/anyone", headers={asgi.USER: "ann@example.org"})).body == b"False"


# --- answers ---


async def test_an_answer_does_not_wait_for_what_comes_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    may_end, has_ended = asyncio.Event(), asyncio.Event()

    async def afterwards() -> None:
        await may_end.wait()
        has_ended.set()
        raise ValueError(SECRET)

    async def go(request: Request) -> Response:
        background = BackgroundTasks()
        background.add_task(afterwards)
        return PlainTextResponse("going", background=background)

    async with running(Starlette(routes=[Route("/go", go)])) as at:
        raw = await at.raw_login()
        assert await text(raw, "/go") == "going"
        assert await text(raw, "/go") == "going"
        assert not has_ended.is_set()
        may_end.set()
        await has_ended.wait()
    assert caplog.text.count("handler failed: ValueError at") == 2
    assert SECRET not in caplog.text


async def test_a_stream_ends_where_it_is_too_large_or_nobody_reads_on() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    def without_end(pause_s: float) -> Callable[[Request], Any]:
        async def stream(request: Request) -> Response:
            async def chunks() -> AsyncIterator[bytes]:
                try:
                    while True:
                        begun.set()
                        yield bytes(1000)
                        await asyncio.sleep(pause_s)
                finally:
                    ended.set()

            return StreamingResponse(chunks())

        return stream

    app = Starlette(
        routes=[
            Route("/fast", without_end(0)),
            Route("/slow", without_end(3600)),
        ]
    )
    async with running(app, max_body_bytes=10_000) as at, asyncio.timeout(10):
        raw = await at.raw_login()
        answer = await raw.call("GET", "/fast")
        assert (answer.status, answer.body) == (
            500,
            b"500: the response is larger than 10000 bytes",
        )
        begun.clear()
        ended.clear()
        reading = asyncio.create_task(raw.call("GET", "/slow"))
        await begun.wait()
        reading.cancel()
        await ended.wait()


async def test_a_handler_learns_whether_the_visitor_is_still_there() -> None:
    seen: asyncio.Queue[bool] = asyncio.Queue()
    go_on = asyncio.Event()

    async def wait(request: Request) -> Response:
        await request.body()
        seen.put_nowait(await request.is_disconnected())
        await go_on.wait()
        assert (await request.receive())["type"] == "http.disconnect"
        seen.put_nowait(await request.is_disconnected())
        return Response()

    async with running(Starlette(routes=[Route("/wait", wait)])) as at, asyncio.timeout(10):
        raw = await at.raw_login()
        asking = asyncio.create_task(raw.call("GET", "/wait"))
        assert await seen.get() is False
        asking.cancel()
        go_on.set()
        assert await seen.get() is True


async def test_cookies_and_headers_in_place() -> None:
    async def cookies(request: Request) -> Response:
        response = PlainTextResponse("two", headers={"X-Kept": "blåbär"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async def split(request: Request) -> Response:
        return Response(headers={"X-Bent": "a\r\nSet-Cookie: stolen=1"})

    app = Starlette(
        routes=[
            Route("/cookies", cookies, methods=["POST"]),
            Route("/split", split, methods=["POST"]),
        ]
    )
    async with running(app) as at:
        raw = await at.raw_login()
        answer = await at.post("/cookies", raw.seal()[0])
        assert len(answer.headers.getall("Set-Cookie")) == 2
        kept = answer.headers["X-Kept"].encode("utf-8", "surrogateescape")
        assert kept.decode("latin-1") == "blåbär"
        bent = await at.post("/split", raw.seal()[0])
        assert bent.status == 500
        assert "Set-Cookie" not in bent.headers
        assert (await raw.call("POST", "/split")).status == 500


# --- extensions of servers that are not offered inside ---

OFFERED: dict[str, Any] = {
    "http.response.pathsend": {},
    "http.response.zerocopysend": {},
    "http.response.early_hint": {},
    "http.response.push": {},
    "http.response.trailers": {},
    "http.response.debug": {},
}


class Offering:
    """A server that offers all extensions and keeps what it receives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def keep(message: Message) -> None:
            self.sent.append(message)
            await send(message)

        await self._app({**scope, "extensions": OFFERED}, receive, keep)


async def test_a_file_goes_under_the_seal_also_where_the_server_could_send_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(SECRET.encode())

    async def file(request: Request) -> Response:
        return FileResponse(tmp_path / "file")

    servers: list[Offering] = []

    def build(options: dict[str, Any]) -> ASGIApp:
        app = Starlette(routes=[Route("/file", file)])
        servers.append(Offering(Certless(app, **options, public=["/open"])))
        return servers[0]

    async with served(build) as at:
        assert await text(await at.raw_login(), "/file") == SECRET
    kinds = {message["type"] for message in servers[0].sent}
    assert kinds == {
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
        "http.response.start",
        "http.response.body",
    }


START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b""}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([START, END], 200),
        ([START, {"type": "http.response.body"}], 200),
        ([{**START, "trailers": True}, END], 200),
        ([{"type": "http.response.early_hint", "links": []}, START, END], 500),
        ([{"type": "http.response.push", "path": "/x", "headers": []}, START, END], 500),
        ([{"type": "http.response.debug", "info": {}}, START, END], 500),
        ([START, {"type": "http.response.pathsend", "path": "/etc/hostname"}], 500),
        ([START, {"type": "http.response.zerocopysend", "file": 0}], 500),
        ([START, START, END], 500),
        ([END], 500),
        ([START], 500),
        ([START, {**END, "more_body": True}], 500),
        ([], 500),
        ([{**START, "headers": [(b"content-length", b"3")]}, {**END, "body": b"four"}], 500),
        ([{**START, "headers": [(b"content-length", b"4")]}, {**END, "body": b"four"}], 200),
        ([{**START, "status": 304, "headers": [(b"content-length", b"4")]}, END], 304),
        ([{**START, "status": 204}, {**END, "body": b"x"}], 204),
        ([{**START, "status": 101}, END], 500),
        ([{**START, "status": 600}, END], 500),
        ([{**START, "headers": [(b"x y", b"1")]}, END], 500),
        ([{**START, "headers": [(b"x", b"1\n2")]}, END], 500),
        # A message after a complete response has no effect.
        ([START, {**END, "body": b"1"}, {**END, "body": b"2"}], 200),
        ([START, END, {"type": "http.response.trailers", "headers": []}], 200),
    ],
)
async def test_an_answer_is_one_whole_answer(sent: list[Message], status: int) -> None:
    async def say(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for message in sent:
                await send(message)

    async with running(say) as at:
        raw = await at.raw_login()
        answer = await raw.call("GET", "/")
        assert answer.status == status
        assert b"2" not in answer.body
        assert (await raw.call("HEAD", "/")).body in (b"", b"500 Internal Server Error")


@pytest.mark.parametrize(
    "kind", [asyncio.CancelledError, ExceptionGroup, RecursionError, SystemExit]
)
async def test_whatever_an_application_raises_is_a_sealed_500(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            raise kind(SECRET, [ValueError(SECRET)]) if kind is ExceptionGroup else kind(SECRET)

    async with running(fail) as at:
        raw = await at.raw_login()
        assert (await raw.call("GET", "/")).status == 500
        assert (await raw.call("GET", "/")).status == 500
    assert SECRET not in caplog.text


# --- scopes ---


async def test_what_a_handler_is_given() -> None:
    before: contextvars.ContextVar[str] = contextvars.ContextVar("before", default="")
    seen: list[Scope] = []

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert before.get() == "set"
            scope["state"]["of this request"] = True
            seen.append(scope)
            await send(START)
            await send(END)

    def build(options: dict[str, Any]) -> ASGIApp:
        certless = Certless(keep, **options, trusted_proxies=["127.0.0.1"])

        async def outside(scope: Scope, receive: Receive, send: Send) -> None:
            before.set("set")
            if scope["type"] == "http":
                scope["state"] = {"given": 1}
                await certless(scope, receive, send)
                assert scope["state"] == {"given": 1}
            else:
                await certless(scope, receive, send)

        return outside

    async with served(build) as at:
        raw = await at.raw_login()
        message, _ = raw.seal("PUT", "/a%2Fb/%C3%A5;x?q=%20&r=å", b"12345")
        through = {"X-Forwarded-For": "192.0.2.7"}
        await at.post("/.gateway/message?outer=1", message, headers=through)
    (scope,) = seen
    assert scope["method"] == "PUT"
    assert scope["path"] == "/a/b/å;x"
    assert scope["raw_path"] == b"/a%2Fb/%C3%A5;x"
    assert scope["query_string"] == b"q=%20&r=%C3%A5"
    assert scope["client"] == ("192.0.2.7", 0)
    assert scope["state"] == {"given": 1, "of this request": True}
    assert scope[asgi.USER] == "ann@example.org"
    assert scope[asgi.SESSION].user == "ann@example.org"
    assert "extensions" not in scope
    headers = dict(scope["headers"])
    assert headers[b"content-length"] == b"5"
    assert headers[b"host"] == at.url.removeprefix("http://").encode()
    assert not {b"x-forwarded-for", b"user-agent", b"accept-encoding"} & headers.keys()


async def test_users_at_once_are_kept_apart() -> None:
    async def who(request: Request) -> Response:
        await asyncio.sleep(0)
        return PlainTextResponse(asgi.user(request))

    users = Users(*(Account(name, (f"{name}@example.org",)) for name in ("ann", "bob")))
    async with running(Starlette(routes=[Route("/who", who)]), users=users) as at:
        raws = {name: await at.raw_login(name) for name in ("ann", "bob")}
        asked = ["ann", "bob"] * 10
        said = await asyncio.gather(*(text(raws[name], "/who") for name in asked))
        assert said == asked


# --- mounted below a path ---


async def test_mounted_below_a_path() -> None:
    certless: list[Certless] = []

    def build(options: dict[str, Any]) -> ASGIApp:
        below = Starlette(
            routes=[Route("/orders", hello), Route("/open", hello), Route("/admin", hello)]
        )
        certless.append(
            Certless(
                below,
                **options,
                prefix="/shop/.gateway",
                public=["/shop/open"],
                require={"/shop/admin": "ecdh-gcm"},
            )
        )

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with certless[0].running():
                yield

        routes = [Route("/plain", hello), Mount("/shop", app=certless[0])]
        return Starlette(routes=routes, lifespan=lifespan)

    async with served(build) as at:
        assert (await at.get("/plain")).status == 200
        assert (await at.get("/shop/open")).status == 200
        for path in ("/shop/orders", "/shop/plain", "/shop", "/shop/"):
            assert (await at.get(path)).status in (307, 401)
        # Both suites are on: no route at the root replies.
        assert (await at.post("/.gateway/session", {"username": "ann"})).status == 404
        async with at.client(prefix="/shop/.gateway") as client:
            await client.login("ann@example.org", code=at.mails.code)
            assert (await client.get("/shop/orders")).status == 200
            assert (await client.get("/shop/admin")).status == 403
            for path in ("/admin", "/plain", "/orders", "/shopping/admin", "/shop%2Fadmin/../x"):
                assert (await client.get(path)).status in (403, 404), path
            assert json.loads(await (await client.get("/admin")).read())["error"] == "not_found"


def test_an_application_whose_routes_have_two_paths_is_refused() -> None:
    """``require`` would check one path, and a classic session could use the other."""
    app = FastAPI()
    app.root_path = "/api"
    with pytest.raises(ConfigError, match="uvicorn --root-path"):
        Certless(app, users=AnyAddress(), mail="console:", require={"/admin/*": "ecdh-gcm"})


async def test_what_a_visitor_calls_himself_is_in_no_mail() -> None:
    """uvicorn takes any text in the header as the address, if a local proxy passes it on."""

    def build(options: dict[str, Any]) -> Any:
        shop: Any = Certless(Starlette(routes=[Route("/orders", hello)]), **options)
        return ProxyHeadersMiddleware(shop, trusted_hosts="127.0.0.1")

    async with served(build) as at:
        calls_himself = {"X-Forwarded-For": "staff, see http://evil.example"}
        ann = {"username": "ann@example.org"}
        assert (await at.post("/.gateway/session", ann, headers=calls_himself)).status == 201
        _, mail = await at.mails.mails.get()
        assert mail.requested_from == "an unknown address"
