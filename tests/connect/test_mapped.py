"""Mapped mode: a whole site under a local address, driven as a browser does it."""

import asyncio
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType
from connected import ANN, a_site, connect_to, connected, files_of
from yarl import URL

from certless.connect.errors import CannotStart
from certless.connect.forget import forget
from certless.connect.mapped import mapped_mode

pytestmark = pytest.mark.timeout(60)


async def test_the_address_has_a_label_that_stays(tmp_path: Path) -> None:
    async with connected(tmp_path, is_logged_in=False) as first:
        label = first.own.split(".")[0]
        assert len(label.partition("-")[2]) == 26
        site = URL(first.site)
    async with mapped_mode(site, "ecdh-gcm", "certless", "/.gateway", 0, tmp_path) as again:
        assert again.own.split(".")[0] == label
        assert again.door_url != first.mapped.door_url
    assert {path.stat().st_mode & 0o777 for path in files_of(tmp_path)} == {0o600}


async def test_a_person_logs_in_and_comes_back(tmp_path: Path) -> None:
    async with connected(tmp_path, is_logged_in=False) as at:
        await at.enter()
        page = await at.get("/orders?x=1")
        text = await page.text()
        assert page.status == 401
        for expected in (at.site, "certless", "ecdh-gcm", 'value="/orders?x=1"'):
            assert expected in text
        done = await at.log_in("/orders?x=1")
        assert (done.status, done.headers["Location"]) == (303, "/orders?x=1")
        assert (await at.get("/orders?x=1")).status == 200


async def test_a_wrong_code_is_asked_for_again(tmp_path: Path) -> None:
    async with connected(tmp_path, is_logged_in=False) as at:
        await at.enter()
        await at.post("/.gateway/connect/login", {"address": ANN, "then": "/"})
        wrong = await at.post("/.gateway/connect/login", {"code": "AAAAAAAA", "then": "/"})
        assert "not accepted" in await wrong.text()
        code = await at.behind.mails.code()
        assert (await at.post("/.gateway/connect/login", {"code": code})).status == 303


async def test_then_leads_nowhere_else(tmp_path: Path) -> None:
    async with connected(tmp_path, is_logged_in=False) as at:
        await at.enter()
        for then in ("//evil.example/", "http://evil.example/", "/\\evil.example"):
            done = await at.log_in(then)
            assert done.headers["Location"] == "/", then


async def test_a_program_gets_a_sentence(tmp_path: Path) -> None:
    async with connected(tmp_path, is_logged_in=False) as at:
        await at.enter()
        answer = await at.get("/orders", Accept="*/*")
        assert answer.status == 401
        assert answer.content_type == "text/plain"
        assert "not logged in" in await answer.text()


async def test_addresses_of_the_site_are_mapped(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        page = await (await at.get("/")).text()
        assert f"<a href='{at.own}/orders'>" in page
        assert f'href="{at.own}/style.css"' in page
        assert f"<p>{at.site}/text</p>" in page
        assert f"url({at.own}/p.png)" in await (await at.get("/style.css")).text()


async def test_an_answer_without_a_type_stays_without_one(tmp_path: Path) -> None:
    # A browser then looks at the body. As octet-stream, a page would be a download.
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n<h1>tea")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as site:
        port = site.sockets[0].getsockname()[1]
        async with connected(tmp_path, f"http://127.0.0.1:{port}") as at:
            page = await at.get("/")
            assert await page.text() == "<h1>tea"
            assert page.headers["Content-Type"] == ""


async def test_requests_arrive_as_if_sent_to_the_site(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        answer = await at.post("/headers?a=%2F%2f&b", b"x", Referer=f"{at.own}/form", TE="trailers")
        headers = dict(await answer.json())
        host = at.site.removeprefix("http://")
        assert (headers["X-Forwarded-Host"], headers["Origin"]) == (host, at.site)
        assert headers["Referer"] == f"{at.site}/form"
        assert "TE" not in headers
        assert at.seen.requests[-1][1] == "/headers?a=%2F%2f&b"


async def test_http_only_cookies_never_reach_the_browser(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        moved = await at.post("/login", {"name": "ann"})
        assert (moved.status, moved.headers["Location"]) == (302, f"{at.own}/orders")
        [line] = moved.headers.getall("Set-Cookie")
        assert line.startswith("theme=dark")
        assert "domain" not in line.lower()
        assert "samesite=lax" in line.lower()
        names = {cookie.key for cookie in at.browser.cookie_jar}
        assert "sid" not in names
        assert await (await at.get("/orders")).json() == {"sid": "of-ann", "theme": "dark"}
        await at.post("/logout")
        assert await (await at.get("/orders")).json() == {"theme": "dark"}


async def test_the_door_is_never_forwarded_nor_set_by_the_site(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        await at.get("/orders")
        assert "certless-door" not in str(at.seen.requests)
        [door] = [c.key for c in at.browser.cookie_jar if c.key.startswith("certless-door")]
        moved = await at.get(f"/set?name={door}")
        assert moved.headers.getall("Set-Cookie", []) == []
        assert (await at.get("/orders")).status == 200


async def test_policies_are_combined_and_mapped(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        answer = await at.get("/policy")
        theirs, ours = answer.headers.getall("Content-Security-Policy")
        assert theirs == f"script-src {at.own} 'self'"
        assert ours.startswith("default-src 'self' https: wss: data: blob:")
        assert "http:" not in ours
        assert "frame-ancestors 'self'" in ours
        assert answer.headers["Access-Control-Allow-Origin"] == at.own
        assert answer.headers["Content-Location"] == f"{at.own}/policy"
        assert answer.headers["Link"] == f"<{at.own}/style.css>; rel=preload"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
        assert "Strict-Transport-Security" not in answer.headers


async def test_long_bodies_pass_in_both_directions(tmp_path: Path) -> None:
    size = 20 * 1024 * 1024
    async with connected(tmp_path) as at:
        answer = await at.get(f"/down?size={size}")
        assert (answer.headers["Content-Length"], len(await answer.read())) == (str(size), size)
        sent = await (await at.post("/up", BytesIO(bytes(size)))).json()
        assert sent == {"length": size, "got": size}


async def test_events_arrive_one_by_one(tmp_path: Path) -> None:
    async with connected(tmp_path) as at, asyncio.timeout(30):
        answer = await at.get("/events", Accept="text/event-stream")
        assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
        await at.post("/go-on")
        assert await answer.content.read() == b"data: two\n\n"


async def test_connect_answers_the_prefix_itself(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        for path in ("/.gateway/client.js", "/.gateway/message", "/.gateway"):
            answer = await at.get(path, Accept="*/*")
            assert answer.status == 404
            assert "answers this path itself" in await answer.text()


async def test_a_web_socket_passes_in_both_directions(tmp_path: Path) -> None:
    async with connected(tmp_path) as at, asyncio.timeout(30):
        await at.post("/login", {"name": "ann"})
        socket = await at.browser.ws_connect(
            f"{at.own}/chat", headers={"Origin": at.own}, protocols=["chat.v2"]
        )
        assert socket.protocol == "chat.v2"
        assert await socket.receive_json() == [at.site, "sid=of-ann; theme=dark"]
        await socket.send_str("tea")
        assert await socket.receive_str() == "tea"
        await socket.send_bytes(bytes(1_000_000))
        assert await socket.receive_bytes() == bytes(1_000_000)
        await socket.send_str("close")
        closed = await socket.receive()
        assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 4001, "enough")


async def test_the_sites_close_waits_for_the_browsers(tmp_path: Path) -> None:
    """A browser reports a close as clean only if it could answer it."""
    text = b"close"
    opening = b"".join((b"\x81", bytes([0x80 | len(text)]), bytes(4), text))
    async with connected(tmp_path) as at, asyncio.timeout(30):
        cookies = at.browser.cookie_jar.filter_cookies(URL(at.own)).values()
        fields = {
            "Host": URL(at.own).authority,
            "Origin": at.own,
            "Cookie": "; ".join(f"{one.key}={one.value}" for one in cookies),
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        lines = ["GET /chat HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(at.own).port)
        writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode() + opening)
        await reader.readuntil(b"\x88\x08" + (4001).to_bytes(2) + b"enough")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)
        writer.write(b"\x88\x82" + bytes(4) + (4001).to_bytes(2))
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_web_socket_that_the_browser_closes_is_closed_at_the_site(tmp_path: Path) -> None:
    async with connected(tmp_path) as at, asyncio.timeout(30):
        socket = await at.browser.ws_connect(f"{at.own}/chat", headers={"Origin": at.own})
        await socket.receive_json()
        await socket.close(code=4000)
        assert socket.close_code == 4000
        await at.seen.socket_closed.wait()
        assert at.seen.socket_code == 4000


async def test_a_web_socket_that_the_site_refuses_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await at.browser.ws_connect(f"{at.own}/orders", headers={"Origin": at.own})
        assert 400 <= refused.value.status < 600


async def test_a_web_socket_of_another_site_is_refused(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        for headers in ({"Origin": "http://evil.example"}, {}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await at.browser.ws_connect(f"{at.own}/chat", headers=headers)
            assert refused.value.status == 403
        assert at.seen.requests == []


async def test_a_stored_ticket_opens_the_session_without_a_code(tmp_path: Path) -> None:
    async with a_site() as site:
        async with connect_to(site, tmp_path):
            pass
        async with connect_to(site, tmp_path, is_logged_in=False) as again:
            assert (await again.get("/orders")).status == 403
            await again.enter()
            assert (await again.get("/orders")).status == 200


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    async with a_site() as site, connect_to(site, tmp_path, is_logged_in=False):
        with pytest.raises(CannotStart, match="another certless connect"):
            async with connect_to(site, tmp_path):
                pass


async def test_forget_ends_the_session_and_deletes_the_ticket(tmp_path: Path) -> None:
    async with a_site() as site:
        async with connect_to(site, tmp_path) as at:
            own = at.own
            (at.mapped.browsers / "profile").write_text("of a browser")
        assert await forget(URL(site.url), "ecdh-gcm", "certless", "/.gateway", tmp_path)
        assert {path.name for path in files_of(tmp_path)} == {"lock"}
        assert not await forget(URL(site.url), "ecdh-gcm", "certless", "/.gateway", tmp_path)
        async with connect_to(site, tmp_path, is_logged_in=False) as again:
            assert again.own.partition(".")[0] != own.partition(".")[0]
            await again.enter()
            assert (await again.get("/orders")).status == 401


async def test_a_lost_session_is_resumed(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        await at.lose_session()
        answers = await asyncio.gather(*(at.get("/orders") for _ in range(5)))
        assert {answer.status for answer in answers} == {200}
        await at.lose_session()
        refused = await at.post("/headers", b"x")
        assert refused.status == 502
        assert "was processed" in await refused.text()
        assert (await at.post("/headers", b"x")).status == 200


async def test_a_session_without_a_ticket_asks_for_a_login(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        await at.revoke()
        page = await at.get("/orders?x=1")
        assert page.status == 401
        assert 'value="/orders?x=1"' in await page.text()
        lost = await at.post("/headers", b"x", Referer=f"{at.own}/form?y=2")
        assert 'value="/form?y=2"' in await lost.text()
        assert (await at.log_in("/form?y=2")).headers["Location"] == "/form?y=2"


async def test_logging_out_ends_the_session(tmp_path: Path) -> None:
    async with connected(tmp_path) as at:
        assert "logged out" in await (await at.post("/.gateway/connect/logout")).text()
        assert (await at.get("/orders")).status == 401
