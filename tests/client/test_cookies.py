"""Cookies of the Python client: what a browser would keep for this one origin, inside the seal."""

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from frameworks import serving
from gateways import CaughtMails
from yarl import URL

import gateway
from certless.client import Client, Cookies, CookiesNotKept
from certless.client import cookies as module

ANN, BOB = "ann@example.org", "bob@example.org"
HOSTS = ["127.0.0.1", "[::1]", "localhost", "shop", "shop.example"]


def jar(host: str = "127.0.0.1") -> Cookies:
    return Cookies(URL(f"http://{host}:8440"))


def sent_after(lines: list[str], host: str = "127.0.0.1", target: str = "/") -> str | None:
    cookies = jar(host)
    cookies.take(lines, "/", cookies.generation)
    return cookies.header_for(target)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("a=1", "a=1"),
        ("a=1; Secure; HttpOnly; SameSite=Strict", "a=1"),
        ("__Host-a=1; Secure; Path=/", "__Host-a=1"),
        ("a=", "a="),
        ('a="quoted"', 'a="quoted"'),
        ("a=b=c==", "a=b=c=="),
        ('a={"x":1,"y":[2]}', 'a={"x":1,"y":[2]}'),
        ("a=%C3%A5 b", "a=%C3%A5 b"),
        ("a=å", "a=å"),
        ("a=\udce5", "a=\udce5"),
        ("a=1; Expires=Wed, 09 Jun 2100 10:18:14 GMT", "a=1"),
        ("a=1; Expires=Wed, 09 Jun 2010 10:18:14 GMT", None),
        ("a=1; Max-Age=60", "a=1"),
        ("a=1; Max-Age=0", None),
        ("a=1; Domain=other.example", None),
        ("a=1; Path=/deep", None),
        ("a=\x01", None),
        ("a=" + "x" * 5000, None),
    ],
)  # fmt: skip
def test_a_cookie_comes_back_byte_for_byte(host: str, line: str, sent: str | None) -> None:
    assert sent_after([line], host) == sent


@pytest.mark.parametrize(
    ("host", "domain", "is_kept"),
    [
        ("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "0.1", False),
        ("localhost", "localhost", True),
        ("shop", "shop", True), ("a.shop.example", "shop.example", True),
        ("a.shop.example", ".shop.example", True), ("shop.example", "a.shop.example", False),
        ("shop.example", "op.example", False), ("[::1]", "[::1]", False),
    ],
)  # fmt: skip
def test_a_domain(host: str, domain: str, is_kept: bool) -> None:
    assert (sent_after([f"a=1; Domain={domain}"], host) is not None) == is_kept


def test_paths_and_changes() -> None:
    cookies = jar()
    cookies.take(["a=1; Path=/x", "b=1", "a=0; Path=/"], "/x/y", cookies.generation)
    assert cookies.header_for("/x/y?z") == "a=1; b=1; a=0"
    assert cookies.header_for("/xy") == "a=0"
    cookies.take(["a=2; Path=/x", "b=; Max-Age=0"], "/x/y", cookies.generation)
    assert cookies.header_for("/x/z") == "a=2; a=0"


def test_what_a_program_can_do_with_the_jar() -> None:
    cookies = jar()
    cookies.set("theme", "dark")
    assert (len(cookies), cookies.get("theme"), cookies.get("none")) == (1, "dark", None)
    assert [(cookie.name, cookie.value) for cookie in cookies] == [("theme", "dark")]
    generation = cookies.generation
    cookies.clear()
    assert cookies.header_for("/") is None
    # The response to a request from before.
    assert not cookies.take(["late=1"], "/", generation)
    assert len(cookies) == 0
    for name, value in [("a=b", "1"), ("", "1"), ("a", "1; Path=/x"), ("a", "x" * 5000)]:
        with pytest.raises(ValueError, match="cookie"):
            cookies.set(name, value)


def test_there_is_a_most_of_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COOKIES", 3)
    cookies = jar()
    for number in range(10):
        cookies.take([f"n{number}=1"], "/", cookies.generation)
    assert cookies.header_for("/") == "n7=1; n8=1; n9=1"


async def test_a_file(tmp_path: Path) -> None:
    file, origin = tmp_path / "cookies.txt", URL("http://shop.example:8440")
    cookies = Cookies(origin, file)
    await cookies.begin(ANN)
    lines = [
        "a=1; HttpOnly; Secure; Path=/x", "b=å", "c=\udce5", "d=", "e=2; Max-Age=1000",
        "f=3; Domain=shop.example",
    ]  # fmt: skip
    cookies.take(lines, "/x/y", cookies.generation)
    await cookies.save()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text("utf-8", "surrogateescape").splitlines()
    assert text[0] == "# Netscape HTTP Cookie File"
    assert "#HttpOnly_shop.example\tFALSE\t/x\tTRUE\t0\ta\t1" in text
    again = Cookies(origin, file)
    await again.load()
    assert again.header_for("/x/y") == cookies.header_for("/x/y")
    assert len(again) == 6
    # The same user keeps them, another one does not.
    await again.begin(ANN)
    assert len(again) == 6
    await again.begin(BOB)
    assert len(again) == 0


@pytest.mark.parametrize(
    "content",
    [
        "# Netscape HTTP Cookie File\n\nshop.example\tFALSE\t/\tFALSE\t0\ta\t1\n",
        '# Netscape HTTP Cookie File\n# Certless: {"origin": "http://other.example"}\n',
        '# Netscape HTTP Cookie File\n# Certless: {"origin": "http://shop.example"}\nx\n',
        "# Netscape HTTP Cookie File\n# Certless: []\n",
        "# Netscape HTTP Cookie File\n# Certless: {\n",
        "x",
    ],
)
async def test_a_file_of_somebody_else(tmp_path: Path, content: str) -> None:
    file = tmp_path / "cookies.txt"
    file.write_text(content)
    file.chmod(0o600)
    cookies = Cookies(URL("http://shop.example"), file)
    with pytest.raises(CookiesNotKept):
        await cookies.load()
    file.chmod(0o644)
    with pytest.raises(CookiesNotKept, match="chmod 600"):
        await cookies.load()


async def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    cookies = Cookies(URL("http://shop.example"), tmp_path / "missing" / "cookies.txt")
    await cookies.load()
    with pytest.raises(CookiesNotKept, match="No such file"):
        await cookies.save()


# --- with a gateway ---


@asynccontextmanager
async def site() -> AsyncIterator[tuple[str, CaughtMails]]:
    """A site that counts visits in a cookie and tells which cookies came."""

    async def visit(request: web.Request) -> web.Response:
        visits = int(request.cookies.get("visits", "0")) + 1
        response = web.json_response({"cookie": request.headers.get("Cookie"), "visits": visits})
        response.set_cookie("visits", str(visits), httponly=True, secure=True)
        return response

    app, mails = web.Application(), CaughtMails()
    app.router.add_get("/visit", visit)
    app.router.add_get("/public", visit)
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails, public=["/public"])
    async with serving(app) as url:
        yield url, mails


async def visits(client: Client, *, streamed: bool = False) -> int:
    if streamed:
        async with client.stream("GET", "/visit") as response:
            told = await response.json()
    else:
        told = await (await client.get("/visit")).json()
    return int(told["visits"])


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_a_session_has_cookies_and_another_user_has_not(suite: str) -> None:
    async with site() as (url, mails), Client(url, suite=suite) as client:  # type: ignore[arg-type]
        await client.login(ANN, code=mails.code)
        assert [await visits(client) for _ in range(3)] == [1, 2, 3]
        if suite != "classic":
            assert [await visits(client, streamed=True) for _ in range(2)] == [4, 5]
        # Login again as the same user keeps them.
        before = await visits(client)
        await client.login(ANN, code=mails.code)
        assert await visits(client) == before + 1
        await client.login(BOB, code=mails.code)
        assert client.cookies.get("visits") is None
        assert await visits(client) == 1
        own = await client.get("/visit", headers={"Cookie": "visits=41"})
        assert (await own.json())["cookie"] == "visits=41"


async def test_a_resumption_keeps_them_and_a_file_holds_them(tmp_path: Path) -> None:
    ticket, file = tmp_path / "ticket", tmp_path / "cookies.txt"
    async with site() as (url, mails):
        async with Client(url, tickets=ticket, cookies=file) as client:
            await client.login(ANN, code=mails.code)
            assert await visits(client) == 1
            await client.resume()
            assert await visits(client) == 2
        async with Client(url, tickets=ticket, cookies=file) as client:
            await client.resume()
            assert await visits(client) == 3
            await client.login(BOB, code=mails.code)
            assert await visits(client) == 1
        # Without a user's name: a session was resumed, so the next user is another one.
        async with Client(url, tickets=ticket) as client:
            await client.resume()
            client.cookies.set("visits", "9")
            await client.login(ANN, code=mails.code)
            assert await visits(client) == 1


async def test_no_cookie_crosses_the_seal() -> None:
    seen: list[str | None] = []

    @web.middleware
    async def outside(request: web.Request, handler: object) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie"))
        response: web.StreamResponse = await handler(request)  # type: ignore[operator]
        response.headers.add("Set-Cookie", "outside=1; Path=/")
        return response

    async with site() as (url, mails):
        proxy = web.Application(middlewares=[outside])

        async def forward(request: web.Request) -> web.Response:
            import aiohttp

            async with aiohttp.ClientSession() as http, http.request(
                request.method, url + request.path_qs, data=await request.read(),
                headers={"Content-Type": request.headers["Content-Type"]},
            ) as answer:  # fmt: skip
                content_type = answer.headers["Content-Type"]
                return web.Response(
                    status=answer.status, body=await answer.read(),
                    headers={"Content-Type": content_type},
                )  # fmt: skip

        proxy.router.add_route("*", "/{path:.*}", forward)
        async with serving(proxy) as front, Client(front) as client:
            await client.login(ANN, code=mails.code)
            assert [await visits(client) for _ in range(2)] == [1, 2]
            assert [cookie.name for cookie in client.cookies] == ["visits"]
    assert set(seen) == {None}


async def test_no_cookies() -> None:
    async with site() as (url, mails), Client(url, cookies=False) as client:
        await client.login(ANN, code=mails.code)
        assert [await visits(client) for _ in range(2)] == [1, 1]
        with pytest.raises(ValueError, match="keeps no cookies"):
            _ = client.cookies
