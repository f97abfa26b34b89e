"""Real applications by the Python client: Django's admin, DokuWiki, httpbin, sockets and clocks."""

import asyncio
import base64
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from connected import ANN, a_site
from peers import servers
from peers.servers import PASSWORD
from yarl import URL

from certless.client import Client, Response

pytestmark = pytest.mark.timeout(120)
PICTURE = os.urandom(300_000)


@asynccontextmanager
async def logged_in(upstream: str) -> AsyncIterator[Client]:
    async with a_site(upstream) as site, Client(site.url) as client:
        await client.login(ANN, code=site.mails.code)
        yield client


async def followed(client: Client, answer: Response) -> Response:
    """The page that ``answer`` leads to. The client itself follows no redirect."""
    for _ in range(5):
        if answer.status not in (301, 302, 303):
            return answer
        to = answer.url.join(URL(answer.headers["Location"], encoded=True))
        assert to.origin() == answer.url.origin()
        answer = await client.get(to.raw_path_qs)
    raise AssertionError("it redirects for ever")


async def shown(client: Client, path: str) -> str:
    answer = await followed(client, await client.get(path))
    assert answer.status == 200, (path, answer.status)
    return await answer.text()


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return found[1]


async def test_the_admin_of_django(tmp_path: Path) -> None:
    async with servers.django(tmp_path / "django") as upstream, logged_in(upstream) as client:
        entrance = "/admin/login/?next=/admin/"

        async def send(path: str, page: str, form: FormData) -> str:
            """With the token of the page. Django compares Origin and Referer with the host."""
            form.add_field("csrfmiddlewaretoken", hidden(page, "csrfmiddlewaretoken"))
            sent = await client.post(path, data=form)
            return await (await followed(client, sent)).text()

        page = await shown(client, entrance)
        form = FormData({"username": "root", "password": PASSWORD})
        assert "Site administration" in await send(entrance, page, form)
        add = "/admin/django_shop/item/add/"
        page = await shown(client, add)
        form = FormData({"name": "Früchtetee"})
        form.add_field("picture", PICTURE, filename="tea.png", content_type="image/png")
        assert "was added successfully" in await send(add, page, form)
        assert 'value="Früchtetee"' in await shown(client, "/admin/django_shop/item/1/change/")
        [stored] = await asyncio.to_thread(lambda: list((tmp_path / "django").rglob("*.png")))
        assert stored.read_bytes() == PICTURE
        page = await shown(client, "/admin/")
        assert "Logged out" in await send("/admin/logout/", page, FormData())
        assert (await client.get("/admin/")).status == 302


async def test_dokuwiki(tmp_path: Path) -> None:
    async with servers.dokuwiki(tmp_path / "wiki") as upstream, logged_in(upstream) as client:
        page = await shown(client, "/doku.php?id=tea&do=login")
        fields = {"do": "login", "id": "tea", "u": "ann", "p": PASSWORD}
        fields["sectok"] = hidden(page, "sectok")
        entered = await followed(client, await client.post("/doku.php?id=tea", data=fields))
        assert "Logged in as" in await entered.text()
        editor = await shown(client, "/doku.php?id=tea&do=edit")
        names = ("sectok", "id", "rev", "date", "prefix", "suffix", "changecheck", "target")
        change = {name: hidden(editor, name) for name in names}
        change |= {"wikitext": "====== Über Tee ======\nEarl Grey", "do[save]": "1", "summary": "x"}
        saved = await client.post("/doku.php?id=tea", data=change)
        assert saved.status == 302
        assert "Über Tee</h1>" in await (await followed(client, saved)).text()
        token = re.search(r"do=logout&amp;sectok=(\w+)", await shown(client, "/doku.php?id=tea"))
        assert token
        assert "Log In" in await shown(client, f"/doku.php?id=tea&do=logout&sectok={token[1]}")


async def test_requests_and_answers_of_httpbin(tmp_path: Path) -> None:
    async with servers.httpbin(tmp_path) as upstream, logged_in(upstream) as client:

        async def value(path: str, **headers: str) -> Any:
            return await (await client.get(path, headers=headers)).json()

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = await client.request(method, "/anything/a%2Fb?x=%C3%BC", data=b"\x00t\xff")
            seen = await answer.json()
            assert (seen["method"], seen["args"]) == (method, {"x": "ü"})
        for status in (201, 204, 304, 400, 404, 418, 500, 503):
            assert (await client.get(f"/status/{status}")).status == status
        for path in ("/redirect/2", "/absolute-redirect/2", "/relative-redirect/2"):
            answer = await followed(client, await client.get(path))
            assert (answer.status, answer.url.path) == (200, "/get")
        await client.get("/cookies/set?tea=green&milk=no")
        assert await value("/cookies") == {"cookies": {"milk": "no", "tea": "green"}}
        await client.get("/cookies/delete?tea")
        assert await value("/cookies") == {"cookies": {"milk": "no"}}
        assert (await client.get("/basic-auth/ann/tea")).status == 401
        secret = base64.b64encode(b"ann:tea").decode()
        authorized = await value("/basic-auth/ann/tea", Authorization=f"Basic {secret}")
        assert authorized == {"authenticated": True, "user": "ann"}
        form = FormData()
        form.add_field("file", PICTURE, filename="tea.bin", content_type="application/octet-stream")
        sent = (await (await client.post("/post", data=form)).json())["files"]["file"]
        assert base64.b64decode(sent.partition(",")[2]) == PICTURE


async def test_bodies_of_httpbin(tmp_path: Path) -> None:
    async with servers.httpbin(tmp_path) as upstream, logged_in(upstream) as client:

        async def streamed(path: str, **headers: str) -> tuple[int, bytes]:
            async with client.stream("GET", path, headers=headers) as answer:
                return answer.status, await answer.read()

        for path, name in (("gzip", "gzipped"), ("deflate", "deflated"), ("brotli", "brotli")):
            assert (await (await client.get(f"/{path}")).json())[name] is True
            assert json.loads((await streamed(f"/{path}"))[1])[name] is True
        assert len((await streamed("/stream/30"))[1].splitlines()) == 30
        drip = "/drip?duration=0.2&numbytes=20&delay=0&code=206"
        assert await streamed(drip) == (206, b"*" * 20)
        assert await streamed("/range/26", Range="bytes=2-4") == (206, b"cde")
        assert len((await streamed("/stream-bytes/100000?chunk_size=1000"))[1]) == 100_000
        for kind in ("png", "jpeg", "svg", "webp"):
            answer = await client.get(f"/image/{kind}")
            assert answer.content_type.startswith(f"image/{kind}")
            assert await answer.read() == (await streamed(f"/image/{kind}"))[1]
        assert "▝▀▘▙▄▟" in await (await client.get("/encoding/utf8")).text()


@pytest.mark.parametrize("peer", [servers.aiohttp, servers.swagger])
async def test_a_socket_and_a_clock(peer: servers.Peer, tmp_path: Path) -> None:
    async with peer(tmp_path) as upstream, logged_in(upstream) as client:
        async with client.ws("/echo") as socket:
            for size in (0, 1, 70_000, 1_000_000):
                text = "ü" * size
                await socket.send_str(text)
                assert (await socket.receive()).data == text
            await socket.close(code=4000, message=b"enough")
            assert socket.close_code == 4000
        ticks = []
        async for event in client.events("/clock"):
            ticks.append(event.data)
            if len(ticks) == 20:
                break
        assert ticks == [f"tick {n}" for n in range(20)]
