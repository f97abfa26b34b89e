"""The demo, run whole: a login by SMTP and mailbox, the sample API behind it, hostile mail."""

import asyncio
import hashlib
import re
import smtplib
import socket
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import aiohttp
import pytest
from yarl import URL

from certless.client import Client, Suite
from gateway import ConfigError
from gateway.demo import Places, introduction, run, running
from gateway.demo.mailbox import MAX_MAILS, Mailbox
from gateway.demo.sample_api import MAX_ORDERS, MAX_USERS, USER_HEADER, OrderBooks
from gateway.policy.suites import SUITES
from protocol.classic.dialects import DEFAULT_DIALECT, DIALECTS
from protocol.hardened.suites import HARDENED_SUITES

Json = Any


async def get(http: aiohttp.ClientSession, url: str, **params: str) -> tuple[int, str]:
    async with http.get(url, params=params) as response:
        return response.status, await response.text()


async def mails(http: aiohttp.ClientSession, places: Places, **params: str) -> Json:
    async with http.get(f"{places.mailbox}/mails.json", params=params) as response:
        assert response.content_type == "application/json"
        return await response.json()


async def log_in(client: Client, http: aiohttp.ClientSession, places: Places, user: str) -> None:
    before = await mails(http, places)

    async def code() -> str:
        newest = before[0]["id"] if before else ""
        mail = (await mails(http, places, after=newest))[0]
        assert mail["to"] == user
        assert mail["subject"] == "Your code for the tea shop"
        assert f"\n{mail['code']}\n" in mail["text"]
        return str(mail["code"])

    await client.login(user, code=code)


async def send(places: Places, content: bytes, *addresses: str) -> None:
    """By SMTP, as any other program would."""
    url = URL(places.smtp)

    def talk() -> None:
        with smtplib.SMTP(str(url.host), int(url.port or 0), timeout=10) as smtp:
            smtp.sendmail("mallory@example.org", addresses, content)

    await asyncio.to_thread(talk)


# --- the whole way ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "dialect"),
    [*((suite, None) for suite in HARDENED_SUITES), *(("classic", one) for one in DIALECTS)],
)
async def test_a_login_and_an_order(
    suite: Suite, dialect: str | None, http: aiohttp.ClientSession
) -> None:
    async with (
        running("127.0.0.1", 0, 0, 0, 0, 0, dialect or DEFAULT_DIALECT) as places,
        Client(places.gateway, suite=suite, dialect=dialect) as client,
    ):
        await log_in(client, http, places, "ann@example.org")
        order = await client.post("/orders", json={"item": "Räksmörgås", "quantity": 2})
        assert order.status == 201
        assert order.headers["Location"] == "/orders/1"
        expected = {"id": 1, "item": "Räksmörgås", "quantity": 2}
        assert await order.json() == expected
        assert await (await client.get("/orders")).json() == [expected]
        assert await (await client.get("/orders/1")).json() == expected
        assert (await client.delete("/orders/1")).status == 204
        assert await (await client.get("/orders")).json() == []


async def test_users_have_orders_of_their_own(places: Places, http: aiohttp.ClientSession) -> None:
    async with Client(places.gateway) as ann, Client(places.gateway) as bob:
        await log_in(ann, http, places, "ann@example.org")
        await log_in(bob, http, places, "bob@example.org")
        await ann.post("/orders", json={"item": "tea", "quantity": 1})
        assert await (await bob.get("/orders")).json() == []
        assert (await bob.get("/orders/1")).status == 404
        assert (await bob.delete("/orders/1")).status == 404
        forged = await bob.get("/orders", headers={USER_HEADER: "ann@example.org"})
        assert await forged.json() == []
        assert (await ann.get("/orders/1")).status == 200


async def test_a_picture_arrives_as_it_was(places: Places, http: aiohttp.ClientSession) -> None:
    picture = bytes(range(256)) * 4096
    async with Client(places.gateway) as client:
        await log_in(client, http, places, "ann@example.org")
        answer = await client.post("/picture", data=picture)
        assert await answer.json() == {
            "size": len(picture),
            "sha256": hashlib.sha256(picture).hexdigest(),
        }
        assert (await client.post("/picture", data=b"")).status == 400


async def test_plaintext_is_refused_but_for_the_public_page(
    places: Places, http: aiohttp.ClientSession
) -> None:
    status, text = await get(http, f"{places.gateway}/orders")
    assert status == 401
    assert "login_required" in text
    async with http.post(f"{places.gateway}/orders", json={"item": "tea", "quantity": 1}) as answer:
        assert answer.status == 401
    status, text = await get(http, f"{places.gateway}/")
    assert status == 200
    assert "The tea shop</h1>" in text


async def test_the_page_speaks_the_suite_that_was_chosen(
    places: Places, http: aiohttp.ClientSession
) -> None:
    for query, suite in (("", "ecdh-gcm"), *((f"?suite={one}", one) for one in SUITES)):
        status, page = await get(http, f"{places.gateway}/{query}")
        assert status == 200
        assert f'<script src="/.gateway/client.js" data-certless data-suite="{suite}">' in page
        assert page.count('aria-current="page"') == 1
        assert f'<a href="./?suite={suite}" aria-current="page">{suite}</a>' in page
    for other in ("", "hybrid-gcm", '">'):
        assert (await get(http, f"{places.gateway}/", suite=other))[0] == 404


# --- the sample API -----------------------------------------------------------------------------


async def test_the_api_wants_to_know_the_user(places: Places, http: aiohttp.ClientSession) -> None:
    status, text = await get(http, f"{places.api}/orders")
    assert status == 403
    assert '"error"' in text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b'{"quantity": 1}',
        b'{"item": "", "quantity": 1}',
        b'{"item": "tea\\n", "quantity": 1}',
        b'{"item": "\\ud800", "quantity": 1}',
        b'{"item": "' + b"x" * 201 + b'", "quantity": 1}',
        b'{"item": "tea"}',
        b'{"item": "tea", "quantity": 0}',
        b'{"item": "tea", "quantity": 1001}',
        b'{"item": "tea", "quantity": 1.5}',
        b'{"item": "tea", "quantity": true}',
    ],
)
async def test_bad_orders_are_answered_in_json(
    body: bytes, places: Places, http: aiohttp.ClientSession
) -> None:
    for content_type in ("application/json", "application/json; charset=none-such"):
        headers = {USER_HEADER: "ann", "Content-Type": content_type}
        async with http.post(f"{places.api}/orders", data=body, headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]


async def test_the_api_keeps_no_more_than_so_much(
    places: Places, http: aiohttp.ClientSession
) -> None:
    headers = {USER_HEADER: "ann"}
    order = {"item": "tea", "quantity": 1}
    for _ in range(MAX_ORDERS):
        async with http.post(f"{places.api}/orders", json=order, headers=headers) as answer:
            assert answer.status == 201
    async with http.post(f"{places.api}/orders", json=order, headers=headers) as answer:
        assert answer.status == 409
        assert "delete one" in (await answer.json())["error"]

    books = OrderBooks()
    books.add("ann", "tea", 1)
    books.add("bob", "tea", 1)
    for number in range(MAX_USERS - 2):
        books.add(f"user {number}", "tea", 1)
    assert books.of("ann")
    books.add("one more", "tea", 1)
    assert books.of("ann")
    assert not books.of("bob")


# --- the mailbox --------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script><img src=x onerror='alert(2)'>\" & $mails"


async def test_hostile_mail_stays_text(places: Places, http: aiohttp.ClientSession) -> None:
    message = EmailMessage()
    message["Subject"] = HOSTILE
    message.set_content(f"</pre>{HOSTILE}\n")
    await send(places, message.as_bytes(policy=SMTP), '"<b>x</b>"@example.org')
    (mail,) = await mails(http, places)
    assert mail["to"] == '"<b>x</b>"@example.org'
    assert mail["subject"] == HOSTILE
    assert mail["text"] == f"</pre>{HOSTILE}\n"
    assert mail["code"] == ""
    async with http.get(f"{places.mailbox}/") as response:
        page = await response.text()
        policy = response.headers["Content-Security-Policy"]
    article = page[page.index("<article") : page.index("</article>")]
    for tag in ("<script", "<img", "<b>", "</pre>&lt;"):
        assert tag not in article
    assert article.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert article.count("&quot; &amp; $mails") == 2
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff\r\n",
        b"Subject: =?none-such?b?////?=\r\n\r\nx",
        b"Subject: \xed\xa0\x80\r\n\r\n\xed\xa0\x80",
        b"Subject: s\r\nContent-Type: text/plain; charset=none-such\r\n\r\nx",
        b"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        b"Subject: s\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n!",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n)
            for n in range(1200)
        ),
    ],
    ids=["empty", "binary", "subject", "surrogate", "charset", "multipart", "picture", "deep"],
)
async def test_what_cannot_be_read_is_shown_all_the_same(
    content: bytes, places: Places, http: aiohttp.ClientSession
) -> None:
    await send(places, content, "ann@example.org")
    (mail,) = await mails(http, places)
    assert mail["to"] == "ann@example.org"
    status, page = await get(http, f"{places.mailbox}/")
    assert status == 200
    assert f'id="mail-{mail["id"]}"' in page


async def test_the_mailbox_tells_of_new_mail_and_forgets_old(http: aiohttp.ClientSession) -> None:
    mailbox = Mailbox()
    first = asyncio.create_task(mailbox.newer_than(""))
    for number in range(MAX_MAILS + 1):
        mailbox.put("ann@example.org", b"Subject: %d\r\n\r\n" % number)
    await first
    await mailbox.newer_than("an id from before a restart")
    subjects = [mail.subject for mail in mailbox.mails]
    assert subjects == [str(number) for number in range(MAX_MAILS, 0, -1)]
    last = asyncio.create_task(mailbox.newer_than(mailbox.mails[0].id))
    mailbox.close()
    await last


async def test_codes_that_are_no_longer_good_look_so(
    places: Places, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def states() -> list[str]:
        _, page = await get(http, f"{places.mailbox}/")
        return re.findall(r'data-state="(\w+)"', page)

    for user in ("ann@example.org", "bob@example.org"):
        async with Client(places.gateway) as client:
            await log_in(client, http, places, user)
            await client.logout()
    assert await states() == ["used", "used"]
    newest = (await mails(http, places))[0]["id"]
    told = asyncio.create_task(mails(http, places, after=newest, used="2"))
    for _ in range(2):
        await send(places, b"Subject: s\r\n\r\n0123ABCD", "Bob@example.org")
    assert await told
    assert await states() == ["fresh", "replaced", "used", "used"]
    monkeypatch.setattr("gateway.demo.mailbox.CODE_LIFETIME_MS", 0)
    assert await states() == ["expired", "replaced", "used", "used"]


async def test_a_used_code_ends_the_wait_for_news() -> None:
    mailbox = Mailbox()
    for to in ("ann@example.org", "bob@example.org"):
        mailbox.put(to, b"Subject: s\r\n\r\n0123ABCD")
    waiting = asyncio.create_task(mailbox.newer_than(mailbox.mails[0].id, "0"))
    mailbox.mark_used("ANN@example.org")
    await asyncio.wait_for(waiting, 10)
    assert [mail.used for mail in mailbox.mails] == [False, True]
    mailbox.mark_used("nobody@example.org")
    assert mailbox.used == 1


async def test_a_mail_to_two_is_two_mails(places: Places, http: aiohttp.ClientSession) -> None:
    await send(places, b"Subject: s\r\n\r\nx", "ann@example.org", "bob@example.org")
    assert [mail["to"] for mail in await mails(http, places)] == [
        "bob@example.org",
        "ann@example.org",
    ]


async def test_an_oversized_mail_is_refused(places: Places, http: aiohttp.ClientSession) -> None:
    with pytest.raises(smtplib.SMTPResponseException, match="552"):
        await send(places, b"x" * 100 + b"\r\n" + (b"y" * 900 + b"\r\n") * 400, "ann@example.org")
    assert await mails(http, places) == []


async def test_the_page_of_an_empty_mailbox_says_what_to_do(
    places: Places, http: aiohttp.ClientSession
) -> None:
    _, page = await get(http, f"{places.mailbox}/")
    assert '<div id="mails"></div>' in page
    assert f"{places.gateway}/orders" in page
    for name, kind in (("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")):
        async with http.get(f"{places.mailbox}/mailbox.{name}") as response:
            assert response.status == 200
            assert response.content_type == kind
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert f"mailbox.{name}" in page
    status, _ = await get(http, f"{places.mailbox}/mailbox.py")
    assert status == 404


# --- start and end ------------------------------------------------------------------------------


async def test_run_says_where_to_look_and_shuts_everything_down(
    http: aiohttp.ClientSession,
) -> None:
    lines: list[str] = []
    announced = asyncio.Event()
    stop = asyncio.Event()

    def announce(line: str) -> None:
        lines.append(line)
        if "sealed, " in line:
            announced.set()

    demo = asyncio.create_task(
        run(
            port=0,
            mailbox_port=0,
            api_port=0,
            smtp_port=0,
            figures_port=0,
            site_ports=(0, 0, 0),
            vault_port=0,
            stop=stop,
            announce=announce,
        )
    )
    await announced.wait()
    text = "\n".join(lines)
    gateway, mailbox, vault = (
        next(line.split()[1] for line in lines if line.split()[:1] == [part])
        for part in ("Shop", "Mailbox", "Vault")
    )
    assert (
        f"python -m certless request --login ann@example.org POST {gateway}/orders "
        """--json '{"item":"tea","quantity":2}'"""
    ) in text
    assert f"node examples/node_client.mjs {gateway} ann@example.org" in text
    assert f"curl -i {gateway}/orders" in text
    assert (await get(http, f"{mailbox}/"))[0] == 200
    # A page that waits for mail does not hold up the end.
    waiting = asyncio.create_task(get(http, f"{mailbox}/mails.json", after=""))
    await get(http, f"{mailbox}/")
    stop.set()
    async with asyncio.timeout(5):
        await demo
        assert await waiting == (200, "[]")
    for url in (gateway, mailbox, vault):
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(http, url)


async def test_an_smtp_client_that_says_nothing_does_not_hold_up_the_end() -> None:
    async with running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places:
        url = URL(places.smtp)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        assert (await reader.readline()).startswith(b"220 ")
    try:
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    except ConnectionResetError:
        pass
    finally:
        writer.close()


def test_the_introduction_names_a_dialect_that_is_not_the_default() -> None:
    places = Places("http://g", "http://m", "http://a", "smtp://s", "http://f")
    text = "\n".join(introduction(places, "sfet-2"))
    assert "--login ann@example.org --dialect sfet-2 POST" in text
    assert "http://g/?suite=classic " in text
    assert "node_client" not in text


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("port", "gateway"),
        ("mailbox_port", "mailbox"),
        ("api_port", "API"),
        ("smtp_port", "SMTP server"),
        ("figures_port", "figures"),
    ],
)
async def test_a_busy_port_is_one_clear_line(option: str, part: str) -> None:
    ports = {"port": 0, "mailbox_port": 0, "api_port": 0, "smtp_port": 0, "figures_port": 0}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            await run(**{**ports, option: busy}, stop=asyncio.Event())
    assert str(caught.value) == (
        f"port {busy}, for the {part}, is in use: stop the program that listens there, "
        "or choose another --port"
    )


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("127.0.0.1", 65536, "port 65536, for the gateway, must be from 0 to 65535"),
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1:0, for the gateway: "),
    ],
)
async def test_an_address_that_cannot_be_had(host: str, port: int, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await run(host=host, port=port, mailbox_port=0, api_port=0, smtp_port=0, figures_port=0)
    assert str(caught.value).startswith(text)


async def test_every_address_of_the_machine_is_announced_as_one_to_go_to() -> None:
    async with running("0.0.0.0", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places:  # noqa: S104
        assert places.gateway.startswith("http://127.0.0.1:")
        assert places.mailbox.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "a:b",
        '"><script>.test',
        r"evil.example\.test",
    ],
)
async def test_a_name_that_points_here_is_no_way_in(host: str) -> None:
    async with running("127.0.0.1", 0, 0, 0, 0, 0, DEFAULT_DIALECT) as places:
        async with aiohttp.ClientSession() as http:
            for url in (f"{places.mailbox}/mails.json", f"{places.api}/orders", places.gateway):
                async with http.get(url, headers={"Host": host}) as answer:
                    assert answer.status == 421
                async with http.get(url, headers={"Host": "gateway.test:80"}) as answer:
                    assert answer.status != 421
