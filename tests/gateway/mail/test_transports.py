"""How codes reach people, with real servers: SMTP with and without TLS, folders, a webhook."""

# The files here are small and local: nothing else waits for this loop.
# ruff: noqa: ASYNC240

import asyncio
import hashlib
import os
import re
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from frameworks import serving
from mailboxes import (
    CODE_LINE,
    Certificate,
    Mailbox,
    mails_in,
    new_self_signed,
    self_signed,
    smtp_server,
    text_of,
)

from gateway.errors import ConfigError, MailNotSent, MailOutcomeUnknown
from gateway.mail.message import CodeMail
from gateway.mail.smtp import SmtpTransport
from gateway.mail.smtp_tls import Tls, Trust
from gateway.mail.transports import (
    ConsoleTransport,
    FolderTransport,
    MailTransport,
    WebhookTransport,
)
from gateway.mail.url import transport_from_url

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
SENDER = "codes@shop.example"
CODE = "0123456789ABCDEFGHJKMNPQRS"
PASSWORD = "p@ss:word/50%"
QUOTED_PASSWORD = "p%40ss%3Aword%2F50%25"
MAIL = CodeMail("Ann's shop", "ann", CODE, "192.0.2.7", 10)


# --- the words ---


def test_the_text_says_who_where_what_and_how_long() -> None:
    for word in ("Ann's shop", "ann", "192.0.2.7", "10 minutes", "do nothing"):
        assert word in MAIL.text
    assert MAIL.subject == "Your code for Ann's shop"


def test_the_code_stands_alone_on_its_line_and_nowhere_else() -> None:
    assert MAIL.text.splitlines().count(CODE) == 1
    assert CODE_LINE.findall(MAIL.text) == [CODE]
    assert MAIL.text.count(CODE) == 1
    lines = MAIL.text.splitlines()
    at = lines.index(CODE)
    assert lines[at - 1] == lines[at + 1] == ""
    assert CODE not in MAIL.subject


def test_a_mail_is_plain_text_from_and_to_one() -> None:
    message = MAIL.to_email(SENDER, ANN)
    assert message.get_content_type() == "text/plain"
    assert not message.is_multipart()
    assert (message["From"], message["To"]) == (SENDER, ANN)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"]
    assert re.fullmatch(r"<[^<>@]+@shop\.example>", message["Message-ID"])
    assert text_of(message) == MAIL.text


def test_no_two_mails_have_one_id() -> None:
    assert len({MAIL.to_email(SENDER, ANN)["Message-ID"] for _ in range(50)}) == 50


@pytest.mark.parametrize("site", ["x" * 100, "Лавка Анны", "アンの店" * 20, "Ann & Söhne = 50 %"])
@pytest.mark.parametrize("user", ["ann", "анна", "a" * 254, "зоя" * 80, ".", "from ann"])
def test_any_site_and_user_arrive_as_they_are(site: str, user: str) -> None:
    mail = CodeMail(site, user, CODE, "2001:db8::1", 10)
    message = mail.to_email(SENDER, ANN)
    raw = message.as_bytes()
    # What SMTP carries: lines of at most 998 bytes, ended by CR LF.
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert text_of(message) == mail.text
    assert message["Subject"] == mail.subject


def test_a_line_break_cannot_reach_a_header() -> None:
    for site, address in (("Shop\r\nBcc: x@evil.org", ANN), ("Shop", f"{ANN}\r\nBcc: x@evil.org")):
        with pytest.raises(ValueError):  # noqa: PT011 (the words are the library's)
            CodeMail(site, "ann", CODE, "192.0.2.7", 10).to_email(SENDER, address)


def test_a_mail_does_not_show_its_code() -> None:
    for shown in (repr(MAIL), str(MAIL), f"{MAIL}", repr([MAIL]), repr((ANN, MAIL))):
        assert CODE not in shown
        assert "ann" in shown


# --- SMTP ---


async def test_plain_smtp_on_this_machine() -> None:
    async with smtp_server() as mailbox:
        await transport_from_url(f"smtp://127.0.0.1:{mailbox.port}", SENDER).deliver(ANN, MAIL)
    (received,) = mailbox.mails
    assert received.recipients == [ANN]
    assert received.message["From"] == SENDER
    assert received.message["To"] == ANN
    assert text_of(received.message) == MAIL.text
    assert f"\r\n{CODE}\r\n".encode() in received.content
    assert not received.encrypted


async def test_words_in_other_letters_arrive() -> None:
    mail = CodeMail("Лавка", "зоя@пример.рф", CODE, "192.0.2.7", 10)
    async with smtp_server() as mailbox:
        await transport_from_url(f"smtp://127.0.0.1:{mailbox.port}", SENDER).deliver(ANN, mail)
    assert text_of(mailbox.mails[0].message) == mail.text
    assert mailbox.mails[0].message["Subject"] == "Your code for Лавка"


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls"])
async def test_starttls_and_a_password(server_context: ssl.SSLContext, scheme: str) -> None:
    async with smtp_server(starttls=server_context, password=PASSWORD) as mailbox:
        url = f"{scheme}://ann%40shop:{QUOTED_PASSWORD}@localhost:{mailbox.port}"
        await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    (received,) = mailbox.mails
    assert received.encrypted
    assert received.login == ("ann@shop", PASSWORD)


@pytest.mark.usefixtures("trusted")
async def test_starttls_is_taken_where_it_is_offered(server_context: ssl.SSLContext) -> None:
    async with smtp_server(starttls=server_context) as mailbox:
        await transport_from_url(f"smtp://127.0.0.1:{mailbox.port}", SENDER).deliver(ANN, MAIL)
    assert mailbox.mails[0].encrypted


@pytest.mark.usefixtures("trusted")
async def test_tls_from_the_start(server_context: ssl.SSLContext) -> None:
    async with smtp_server(tls=server_context, password=PASSWORD) as mailbox:
        url = f"smtps://ann:{QUOTED_PASSWORD}@127.0.0.1:{mailbox.port}"
        await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    (received,) = mailbox.mails
    assert received.encrypted
    assert received.login == ("ann", PASSWORD)


def tls_of(scheme: str, context: ssl.SSLContext) -> dict[str, Any]:
    return {"tls" if scheme == "smtps" else "starttls": context}


def fingerprint(certificate: Certificate) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.pem)).hexdigest()


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_self_signed_certificate_by_file_or_fingerprint(
    server_context: ssl.SSLContext, scheme: str, tmp_path: Path
) -> None:
    file = tmp_path / "a mail server.pem"
    file.write_text(self_signed().pem)
    digits = fingerprint(self_signed())
    with_colons = ":".join(re.findall("..", digits.upper()))
    options = [f"ca={quote(str(file))}", f"fingerprint={digits}", f"fingerprint={with_colons}"]
    async with smtp_server(password=PASSWORD, **tls_of(scheme, server_context)) as mailbox:
        for option in options:
            url = f"{scheme}://ann:{QUOTED_PASSWORD}@localhost:{mailbox.port}?{option}"
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert [mail.encrypted for mail in mailbox.mails] == [True] * 3


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_another_certificate_than_the_one_that_is_named(
    server_context: ssl.SSLContext, scheme: str, tmp_path: Path
) -> None:
    other = new_self_signed()
    file = tmp_path / "other.pem"
    file.write_text(other.pem)
    async with smtp_server(password=PASSWORD, **tls_of(scheme, server_context)) as mailbox:
        for option in (f"ca={file}", f"fingerprint={fingerprint(other)}"):
            url = f"{scheme}://ann:{QUOTED_PASSWORD}@localhost:{mailbox.port}?{option}"
            with pytest.raises(MailNotSent) as caught:
                await transport_from_url(url, SENDER).deliver(ANN, MAIL)
            assert not caught.value.final
            assert PASSWORD not in str(caught.value)
    assert (mailbox.passwords, mailbox.mails) == ([], [])


async def test_a_fingerprint_is_enough_though_the_name_is_another(
    server_context: ssl.SSLContext, elsewhere: None
) -> None:
    async with smtp_server(tls=server_context) as mailbox:
        option = f"fingerprint={fingerprint(self_signed())}"
        url = f"smtps://mail.example:{mailbox.port}?{option}"
        await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert mailbox.mails[0].encrypted


async def test_smtp_takes_any_certificate(server_context: ssl.SSLContext, elsewhere: None) -> None:
    # It takes no TLS at all just as well.
    async with smtp_server(starttls=server_context) as mailbox:
        await transport_from_url(f"smtp://mail.example:{mailbox.port}", SENDER).deliver(ANN, MAIL)
    assert mailbox.mails[0].encrypted


async def test_smtp_goes_on_in_plain_where_no_handshake_succeeds(
    server_context: ssl.SSLContext,
) -> None:
    server_context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # its key is of another kind
    server_context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with smtp_server(starttls=server_context, needs_starttls=False) as mailbox:
        at = f"127.0.0.1:{mailbox.port}"
        await transport_from_url(f"smtp://{at}", SENDER).deliver(ANN, MAIL)
        with pytest.raises(MailNotSent):
            await transport_from_url(f"smtp+starttls://{at}", SENDER).deliver(BOB, MAIL)
    (received,) = mailbox.mails
    assert not received.encrypted


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
async def test_a_certificate_that_nobody_vouches_for(
    server_context: ssl.SSLContext, scheme: str
) -> None:
    async with smtp_server(password=PASSWORD, **tls_of(scheme, server_context)) as mailbox:
        url = f"{scheme}://ann:{QUOTED_PASSWORD}@localhost:{mailbox.port}"
        with pytest.raises(MailNotSent) as caught:
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert not caught.value.final
    assert (mailbox.passwords, mailbox.mails) == ([], [])


@pytest.fixture
async def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of a host is that of this machine."""
    resolve = asyncio.get_running_loop().getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
        return await resolve("127.0.0.1", port, **options)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("trusted", "elsewhere")
async def test_a_certificate_of_another_host(server_context: ssl.SSLContext) -> None:
    async with smtp_server(tls=server_context, password=PASSWORD) as mailbox:
        url = f"smtps://ann:{QUOTED_PASSWORD}@mail.example:{mailbox.port}"
        with pytest.raises(MailNotSent):
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert (mailbox.passwords, mailbox.mails) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls"])
async def test_a_password_leaves_this_machine_encrypted_or_not_at_all(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loopback plays a host elsewhere, whose offer of STARTTLS somebody on the way has dropped.
    monkeypatch.setattr("gateway.mail.url.LOOPBACK", frozenset())
    async with smtp_server(password=PASSWORD, login_in_the_clear=True) as mailbox:
        url = f"{scheme}://ann:{QUOTED_PASSWORD}@127.0.0.1:{mailbox.port}"
        with pytest.raises(MailNotSent):
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert (mailbox.passwords, mailbox.mails) == ([], [])


async def test_starttls_that_was_demanded_is_demanded_without_a_password_too() -> None:
    async with smtp_server() as mailbox:
        url = f"smtp+starttls://127.0.0.1:{mailbox.port}"
        with pytest.raises(MailNotSent):
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert mailbox.mails == []


async def test_a_password_in_the_clear_stays_on_this_machine() -> None:
    async with smtp_server(password=PASSWORD, login_in_the_clear=True) as mailbox:
        url = f"smtp://ann:{QUOTED_PASSWORD}@127.0.0.1:{mailbox.port}"
        await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert mailbox.mails[0].login == ("ann", PASSWORD)


async def test_a_wrong_password() -> None:
    async with smtp_server(password="another", login_in_the_clear=True) as mailbox:
        url = f"smtp://ann:{QUOTED_PASSWORD}@127.0.0.1:{mailbox.port}"
        with pytest.raises(MailNotSent) as caught:
            await transport_from_url(url, SENDER).deliver(ANN, MAIL)
    assert mailbox.mails == []
    assert PASSWORD not in str(caught.value)
    assert "password (535)" in str(caught.value)
    # Who goes on with a password that was refused is soon locked out.
    assert caught.value.final


@pytest.mark.parametrize(
    ("answer", "final"), [("550 no such user", True), ("553 no", True), ("451 later", False)]
)
async def test_an_address_that_the_server_refuses(answer: str, final: bool) -> None:
    async with smtp_server(Mailbox(answers={ANN: [answer]})) as mailbox:
        with pytest.raises(MailNotSent) as caught:
            await transport_from_url(f"smtp://127.0.0.1:{mailbox.port}", SENDER).deliver(ANN, MAIL)
    assert caught.value.final is final
    assert ANN not in str(caught.value)


async def test_a_server_that_is_not_there(free_port: int) -> None:
    smtp = SmtpTransport("127.0.0.1", free_port, SENDER)
    assert not await smtp.answers()
    with pytest.raises(MailNotSent, match=f"127.0.0.1:{free_port}") as caught:
        await smtp.deliver(ANN, MAIL)
    assert not caught.value.final


async def test_a_server_that_is_there() -> None:
    async with smtp_server() as mailbox:
        assert await SmtpTransport("127.0.0.1", mailbox.port, SENDER).answers()


async def test_a_server_that_speaks_something_else() -> None:
    async with serving(web.Application()) as url:
        smtp = transport_from_url(url.replace("http", "smtp"), SENDER)
        # HTTP waits for the client to speak first; the mail's own time limit ends the silence.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await smtp.deliver(ANN, MAIL)


# --- what the URL says ---


def built(url: str) -> dict[str, Any]:
    """What was built from an SMTP URL."""
    smtp = transport_from_url(url, SENDER)
    assert isinstance(smtp, SmtpTransport)
    login = smtp._login
    return {
        "sender": smtp.sender,
        "host": smtp._host,
        "port": smtp._port,
        "tls": smtp.tls,
        "trust": smtp.trust,
        "login": (login.username, login.password) if login else None,
    }


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://mail.example", "mail.example", 25, Tls.OFFERED),
        ("smtp://mail.example/", "mail.example", 25, Tls.OFFERED),
        ("smtp://mail.example:2525", "mail.example", 2525, Tls.OFFERED),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Tls.OFFERED),
        ("smtp://[::1]:2525", "::1", 2525, Tls.OFFERED),
        ("smtp+starttls://mail.example", "mail.example", 587, Tls.STARTTLS),
        ("smtp+starttls://127.0.0.1:25", "127.0.0.1", 25, Tls.STARTTLS),
        ("smtps://mail.example", "mail.example", 465, Tls.FROM_THE_START),
        ("smtps://mail.example:4650", "mail.example", 4650, Tls.FROM_THE_START),
        # With a password STARTTLS is a must, but on this machine.
        ("smtp://ann:secret@mail.example", "mail.example", 587, Tls.STARTTLS),
        ("smtp://ann:secret@192.168.0.2:25", "192.168.0.2", 25, Tls.STARTTLS),
        ("smtp://ann:secret@127.0.0.1.example", "127.0.0.1.example", 587, Tls.STARTTLS),
        ("smtp://ann:secret@localhost.example", "localhost.example", 587, Tls.STARTTLS),
        ("smtp://ann:secret@0.0.0.0", "0.0.0.0", 587, Tls.STARTTLS),  # noqa: S104
        ("smtp://ann:secret@127.0.0.1", "127.0.0.1", 587, Tls.OFFERED),
        ("smtp://ann:secret@LocalHost:25", "localhost", 25, Tls.OFFERED),
        ("smtp://ann:secret@[::1]", "::1", 587, Tls.OFFERED),
        ("smtps://ann:secret@mail.example", "mail.example", 465, Tls.FROM_THE_START),
    ],
)
def test_smtp_urls(url: str, host: str, port: int, tls: Tls) -> None:
    found = built(url)
    assert (found["host"], found["port"], found["tls"]) == (host, port, tls)
    # Whose certificate does not matter where none is demanded.
    assert found["trust"] == Trust(anybody=tls is Tls.OFFERED)
    assert found["sender"] == SENDER
    assert found["login"] == (("ann", "secret") if "secret" in url else None)


def test_user_and_password_are_unquoted() -> None:
    found = built(f"smtps://ann%40shop:{QUOTED_PASSWORD}@mail.example")
    assert found["login"] == ("ann@shop", PASSWORD)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "smtp",
        "smtp:",
        "smtp://",
        "smtp:mail.example",
        "smtp://:25",
        "smtp://ann:s3cret@",
        "smtp://ann:s3cret@:25",
        "smtp://ann:s3cret@mail.example:port",
        "smtp://ann:s3cret@mail.example:99999",
        "smtp://ann:s3cret@mail.example:-1",
        "smtp://ann:s3cret@mail.example/path",
        "smtp://ann:s3cret@mail.example?x=1",
        "smtp://ann:s3cret@[::1",
        "smtp://ann:s3/cret@mail.example",
        "smtp://ann:s3?cret@mail.example",
        "smtp://ann:s3#cret@mail.example",
        "smtp://ann:12#s3cret@mail.example",
        "smtp://ann:s3cret@mail.example#x",
        "SMTP//ann:s3cret@mail.example",
        "smtpx://ann:s3cret@mail.example",
        "pop3://ann:s3cret@mail.example",
        "ann:s3cret@mail.example",
        "mailto:s3cret@mail.example",
        "dir:",
        "console:s3cret",
        "webhook:",
        "webhook:s3cret",
        "webhook:ftp://ann:s3cret@example.org",
        "webhook:https://",
        "webhook:https:///s3cret",
        "webhook:file:///s3cret",
        " smtp://ann:s3cret@mail.example",
    ],
)
def test_a_bad_url_is_refused_and_not_repeated(url: str) -> None:
    # A password with an unquoted character in it is the usual way to get here.
    with pytest.raises(ConfigError) as caught:
        transport_from_url(url, SENDER)
    text = str(caught.value)
    assert "\n" not in text
    assert "smtp://" in text
    assert "s3" not in text
    assert "ann" not in text


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("dir:mails", FolderTransport),
        ("dir:/var/mails", FolderTransport),
        ("console:", ConsoleTransport),
        ("webhook:http://127.0.0.1:1/x", WebhookTransport),
        ("webhook:https://sms.example/send?key=1", WebhookTransport),
    ],
)
def test_other_urls(url: str, kind: type[MailTransport]) -> None:
    assert type(transport_from_url(url, SENDER)) is kind


@pytest.mark.parametrize(
    "url",
    [
        f"smtp://ann:{QUOTED_PASSWORD}@mail.example",
        f"smtps://ann:{QUOTED_PASSWORD}@mail.example",
        f"webhook:https://sms.example/{QUOTED_PASSWORD}",
    ],
)
def test_a_delivery_does_not_show_its_password(url: str) -> None:
    built_delivery = transport_from_url(url, SENDER)
    for shown in (repr(built_delivery), str(built_delivery)):
        assert PASSWORD not in shown
        assert QUOTED_PASSWORD not in shown


# --- folder, console, webhook ---


async def test_a_folder_of_mails(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mails"
    to_folder = transport_from_url(f"dir:{folder}", SENDER)
    await asyncio.gather(*(to_folder.deliver(address, MAIL) for address in (ANN, BOB, EVE)))
    mails = mails_in(folder)
    assert sorted(mail["To"] for mail in mails) == [ANN, BOB, EVE]
    assert {text_of(mail) for mail in mails} == {MAIL.text}
    assert {file.suffix for file in folder.iterdir()} == {".eml"}


async def test_a_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    before = os.umask(0)
    try:
        await FolderTransport(folder, SENDER).deliver(ANN, MAIL)
    finally:
        os.umask(before)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert ANN not in file.name


async def test_the_code_in_a_file_can_be_copied_as_it_is(tmp_path: Path) -> None:
    # People look into this folder with cat and grep.
    mail = CodeMail("the service at 127.0.0.1:8440", ANN, CODE, "192.0.2.7", 10)
    await FolderTransport(tmp_path, SENDER).deliver(ANN, mail)
    (file,) = tmp_path.iterdir()
    assert CODE.encode() in file.read_bytes().splitlines()


async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "mails").write_text("a file")
    with pytest.raises(MailNotSent) as caught:
        await FolderTransport(tmp_path / "mails", SENDER).deliver(ANN, MAIL)
    assert not caught.value.final
    (tmp_path / "mails").unlink()
    await FolderTransport(tmp_path / "mails", SENDER).deliver(ANN, MAIL)
    assert len(mails_in(tmp_path / "mails")) == 1


async def test_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    await transport_from_url("console:", SENDER).deliver(ANN, MAIL)
    out, err = capsys.readouterr()
    assert ANN in out.splitlines()[0]
    assert MAIL.text in out
    assert CODE_LINE.findall(out) == [CODE]
    assert err == ""


class Hook:
    """A web server that takes mails for somebody else's channel."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[Any] = []
        self.followed = 0

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append((request.method, request.content_type, await request.json()))
        status = self.statuses.pop(0) if self.statuses else 200
        if not status:
            assert request.transport
            request.transport.abort()
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def elsewhere(self, _: web.Request) -> web.Response:
        self.followed += 1
        return web.Response()


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
async def hook_url(hook: Hook) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/send/s3cret", hook.receive)
    app.router.add_route("*", "/elsewhere", hook.elsewhere)
    async with serving(app) as url:
        yield f"{url}/send/s3cret"


async def test_a_webhook(hook: Hook, hook_url: str) -> None:
    to_hook = transport_from_url(f"webhook:{hook_url}", SENDER)
    hook.statuses = [200, 201, 204]
    for _ in range(3):
        await to_hook.deliver("+49 30 901820", MAIL)
    await to_hook.close()
    content = {"to": "+49 30 901820", "subject": MAIL.subject, "text": MAIL.text}
    assert hook.got == [("POST", "application/json", content)] * 3


@pytest.mark.parametrize(
    ("status", "final"),
    [
        *((status, True) for status in (301, 302, 307, 308, 400, 401, 404, 410, 422)),
        *((status, False) for status in (408, 425, 429, 500, 502, 503)),
    ],
)
async def test_a_webhook_that_refuses(hook: Hook, hook_url: str, status: int, final: bool) -> None:
    hook.statuses = [status]
    to_hook = transport_from_url(f"webhook:{hook_url}", SENDER)
    with pytest.raises(MailNotSent, match=str(status)) as caught:
        await to_hook.deliver(ANN, MAIL)
    await to_hook.close()
    # The URL may hold a key, and a code goes to nobody but the one it was addressed to.
    assert "s3cret" not in str(caught.value)
    assert hook.followed == 0
    assert caught.value.final is final


async def test_a_webhook_of_which_nobody_knows(hook: Hook, hook_url: str) -> None:
    to_hook = transport_from_url(f"webhook:{hook_url}", SENDER)
    for hook.statuses in ([504], [0]):  # 0 closes the connection
        with pytest.raises(MailOutcomeUnknown) as caught:
            await to_hook.deliver(ANN, MAIL)
        assert "s3cret" not in str(caught.value)
    await to_hook.close()
    assert len(hook.got) == 2


async def test_a_webhook_that_is_not_there(free_port: int) -> None:
    to_hook = transport_from_url(f"webhook:http://127.0.0.1:{free_port}/s3cret", SENDER)
    with pytest.raises(MailNotSent) as caught:
        await to_hook.deliver(ANN, MAIL)
    await to_hook.close()
    assert "s3cret" not in str(caught.value)
    assert not caught.value.final


async def test_a_webhook_that_was_never_used_closes() -> None:
    await WebhookTransport("http://127.0.0.1:1/").close()
