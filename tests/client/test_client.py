"""The Python client: every dialect, and what it says when things go wrong."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from gateways import running

from certless.client import (
    AnswerNotTrusted,
    Client,
    CodeMistyped,
    NoAnswer,
    NotLoggedIn,
    Refused,
)
from protocol.classic.dialects import DIALECTS, derive
from protocol.common.envelopes import Format


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect(dialect: str) -> None:
    async with running(dialect=dialect) as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        answer = await client.post("/echo", json={"å": "\N{SNOWMAN}"})
        assert (await answer.json())["body"] == '{"å":"\N{SNOWMAN}"}'


async def test_a_dialect_of_ones_own() -> None:
    own = derive(
        "shop",
        DIALECTS["sfet-3"],
        {
            "encoding": "hex",
            "timestamp": "iso8601",
            "names": {"token": "sid", "payload": "body", "nonce": "salt", "request": "call"},
            "paths": {"message": "/call", "session": "/hello"},
        },
    )
    async with running(dialect=own) as at, at.client() as client:  # type: ignore[arg-type]
        await client.login("ann@example.org", code=at.mails.code)
        assert (await client.get("/echo")).status == 200
        assert (await at.post("/.gateway/session", {})).status == 404


async def test_it_feels_like_aiohttp() -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        async with client.get("/echo", params={"a": "1"}) as response:
            assert response.status == 200
            assert response.ok
            assert response.content_type == "application/json"
            assert (await response.json())["query"] == {"a": "1"}
            assert b'"query"' in await response.read()
            assert repr(response) == "<Response GET /echo 200>"
        for method in ("put", "patch", "delete", "post"):
            answer = await getattr(client, method)("/echo", data="text")
            assert (await answer.json())["method"] == method.upper()
        missing = await client.get("/nowhere")
        with pytest.raises(Refused, match="404"):
            missing.raise_for_status()


async def test_requests_at_once() -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        answers = await asyncio.gather(*(client.post("/echo", data=str(n)) for n in range(30)))
        assert [(await answer.json())["body"] for answer in answers] == [str(n) for n in range(30)]


async def test_the_code_as_text_function_or_coroutine() -> None:
    async with running() as at, at.client() as client:
        codes: list[str] = []

        async def wait() -> str:
            codes.append(await at.mails.code())
            return f"  {codes[-1]}\n"

        await client.login("ann@example.org", code=wait)
        with pytest.raises(Refused, match="403 rejected"):
            await client.login("bob@example.org", code="0" * 26)
        with pytest.raises(Refused):
            await client.login("eve@example.org", code=lambda: codes[0])
        # A login that failed leaves the session that was there as it was.
        assert (await client.get("/echo")).status == 200


async def test_logout_ends_the_session() -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        session: Any = client._protocol
        keys = session._keys
        await client.logout()
        with pytest.raises(NotLoggedIn):
            await client.get("/echo")
        session._keys = keys
        with pytest.raises(Refused, match="rejected"):
            await client.get("/echo")


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "echo", {}),
        ("GET", "http://other.example/echo", {}),
        ("GET /x", "/echo", {}),
        ("GET", "/echo", {"headers": {"X": "a\r\nY: b"}}),
        ("POST", "/echo", {"json": {}, "data": b""}),
        ("POST", "/echo", {"json": float("nan")}),
    ],
)
async def test_a_wrong_call_is_a_value_error(method: str, path: str, options: Any) -> None:
    client = Client("http://127.0.0.1:1")
    with pytest.raises(ValueError):  # noqa: PT011 (what matters is that nothing is sent)
        client.request(method, path, **options)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8440", "ftp://x"])
def test_a_wrong_url(url: str) -> None:
    with pytest.raises(ValueError, match="url must be like"):
        Client(url)


async def test_before_login_and_outside_the_context() -> None:
    client = Client("http://127.0.0.1:1")
    with pytest.raises(NotLoggedIn, match="login first"):
        await client.get("/")
    with pytest.raises(NotLoggedIn, match="async with"):
        await client.login("ann@example.org", code="x")
    async with client:
        with pytest.raises(NoAnswer):
            await client.login("ann@example.org", code="x")


@pytest.mark.parametrize("options", [{"suite": "classic"}, {"envelope": "json"}])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (web.Response(text="hello"), Refused),
        (web.Response(status=404, text="nothing"), Refused),
        (web.Response(status=302, headers={"Location": "http://evil.example/"}), Refused),
        (web.json_response({"token": 1}), AnswerNotTrusted),
        (web.json_response({"sid": 1}), AnswerNotTrusted),
        (web.json_response({"error": {"a": 1}}, status=500), Refused),
        (web.json_response({"key": "x", "payload": "y"}), AnswerNotTrusted),
        (web.json_response({"token": "t", "key": "x", "payload": "y"}), AnswerNotTrusted),
        (web.Response(text="[" * 100_000), Refused),
    ],
)
async def test_a_hostile_server_gets_one_clear_error(
    answer: web.Response, error: type[Exception], options: Any
) -> None:
    async def hostile(request: web.Request) -> web.Response:
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hostile)
    async with serving(app) as url, Client(url, **options) as client:
        with pytest.raises(error):
            await client.login("ann@example.org", code="0" * 26)


async def test_answers_that_are_bent_on_the_way_are_refused(monkeypatch: Any) -> None:
    async with running() as at, at.client() as client:
        await client.login("ann@example.org", code=at.mails.code)
        post = client._transport.post
        earlier: list[bytes] = []

        async def replay(path: str, body: bytes, form: Format, *most: int) -> bytes:
            earlier.append(await post(path, body, form, *most))
            return earlier[0]

        async def reflect(path: str, body: bytes, form: Format, *most: int) -> bytes:
            return body

        async def cut(path: str, body: bytes, form: Format, *most: int) -> bytes:
            answer = json.loads(await post(path, body, form, *most))
            return json.dumps({**answer, "payload": answer["payload"][:-8]}).encode()

        monkeypatch.setattr(client._transport, "post", replay)
        assert (await client.get("/echo")).status == 200
        for attack in (replay, reflect, cut):
            monkeypatch.setattr(client._transport, "post", attack)
            with pytest.raises(AnswerNotTrusted):
                await client.get("/echo")


async def test_a_code_is_asked_for_again_while_it_is_not_accepted() -> None:
    async with running() as at, at.client() as client:
        given = iter(["too short", "0" * 26, "0" * 26, "1" * 26])

        async def code() -> str:
            return next(given, None) or f" {(await at.mails.code()).lower()} "

        await client.login("ann@example.org", code=code, attempts=5)
        assert (await client.get("/echo")).status == 200


async def test_a_code_that_was_refused_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as at, at.client() as client:
        sent: list[str] = []
        post = client._transport.post

        async def watched(path: str, body: bytes, form: Format, *most: int) -> bytes:
            sent.append(path)
            return await post(path, body, form, *most)

        monkeypatch.setattr(client._transport, "post", watched)
        with pytest.raises(CodeMistyped, match="before"):
            await client.login("ann@example.org", code=lambda: "0" * 26, attempts=5)
        assert sent == ["/session", "/session/authenticate"]


async def test_a_code_that_cannot_be_one_is_not_sent() -> None:
    async with running() as at, at.client() as client:
        with pytest.raises(CodeMistyped, match="26 letters and digits"):
            await client.login("ann@example.org", code="ILLEGAL")
