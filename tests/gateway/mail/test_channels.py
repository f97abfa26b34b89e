"""Addresses of several kinds: each gets the code by the channel of its kind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from gateways import running

from gateway import AnyAddress, CodeMail
from gateway.build import assemble
from gateway.errors import ConfigError, MailNotSent
from gateway.mail.channels import Channels, channels_from
from gateway.mail.transports import ConsoleTransport, MailTransport
from gateway.mail.url import transport_from_url, webhook_from_url
from gateway.users.addresses import kind_of

MAIL = CodeMail('the "tea" {code} shop', "ann", "0123ABCD", "192.0.2.7", 10)
USERS = """
[users.ann]
addresses = ["ann@example.org", "sms:+46701234567", "sms:+46707654321", "chat:@ann:chat.example"]
"""
TOKEN = "T0ken-of-the-operator"


@dataclass
class Provider:
    """The API of an SMS provider."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: asyncio.Queue[tuple[Any, ...]] = field(default_factory=asyncio.Queue)

    async def receive(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        body = await (request.json() if is_json else request.post())
        await self.got.put((request.content_type, request.headers.get("Authorization"), body))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 202)

    async def next(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.got.get(), 20)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider, app = Provider(), web.Application()
    app.router.add_post("/send", provider.receive)
    async with serving(app) as url:
        provider.url = f"{url}/send"
        yield provider


def request_file(folder: Path, url: str, rest: str) -> str:
    path = folder / "sms.toml"
    path.write_text(f'url = "{url}"\n{rest}')
    return f"webhook:@{path}"


@pytest.mark.parametrize(
    ("address", "kind", "rest"),
    [
        ("ann@example.org", "", "ann@example.org"),
        ("sms:+46701234567", "sms", "+46701234567"),
        ("chat:@ann:chat.example", "chat", "@ann:chat.example"),
        ("SMS:+4670", "", "SMS:+4670"),
        (":x", "", ":x"),
        ("sms:", "", "sms:"),
        ("sms: 5", "", "sms: 5"),
    ],
)
def test_the_kind_of_an_address(address: str, kind: str, rest: str) -> None:
    assert kind_of(address) == (kind, rest)


async def test_every_address_gets_the_code_by_its_channel(
    tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setenv("SMS_TOKEN", TOKEN)
    (tmp_path / "users.toml").write_text(USERS)
    file = request_file(
        tmp_path,
        provider.url,
        '[headers]\nAuthorization = "Bearer ${SMS_TOKEN}"\n'
        '[body]\nto = "{address}"\nmessage = { text = "{short}", parts = ["{code}", 1, true] }',
    )
    channels = {"sms": file, "chat": f"webhook:{provider.url}"}
    # One address is tried again; the others get no second message.
    provider.statuses = [503]
    async with running(users=tmp_path / "users.toml", channels=channels) as at:
        async with at.client() as client:
            await client.login("ann", code=at.mails.code)
            sent = [await provider.next() for _ in range(4)]
    assert at.mails.mails.empty()
    assert provider.got.empty()
    texts = [body for _, authorization, body in sent if authorization == f"Bearer {TOKEN}"]
    chats = [body for _, authorization, body in sent if authorization is None]
    assert {body["to"] for body in texts} == {"+46701234567", "+46707654321"}
    assert {body["to"] for body in chats} == {"@ann:chat.example"}
    code = texts[0]["message"]["parts"][0]
    assert all(body["message"]["parts"] == [code, 1, True] for body in texts)
    assert all(body["message"]["text"].startswith(f"{code} is your code") for body in texts)
    assert f"\n{code}\n" in chats[0]["text"]


async def test_values_cannot_change_the_structure(tmp_path: Path, provider: Provider) -> None:
    body = '[body]\nto = "{address}"\ntext = "{site}: {code}"'
    for form, kind in (("json", "application/json"), ("form", "application/x-www-form-urlencoded")):
        url = request_file(tmp_path, provider.url, f'format = "{form}"\n{body}')
        transport = webhook_from_url(url, "channel sms")
        await transport.deliver('+46"&to=+99', MAIL)
        await transport.close()
        content_type, _, got = await provider.next()
        # A placeholder inside of a value stays as it is.
        expected = {"to": '+46"&to=+99', "text": 'the "tea" {code} shop: 0123ABCD'}
        assert (content_type, dict(got)) == (kind, expected)


async def test_mail_by_a_webhook_with_a_header(tmp_path: Path, provider: Provider) -> None:
    url = request_file(tmp_path, provider.url, f'[headers]\nAuthorization = "{TOKEN}"')
    transport = transport_from_url(url, "codes@shop.example")
    await transport.deliver("ann@example.org", MAIL)
    await transport.close()
    content = {"to": "ann@example.org", "subject": MAIL.subject, "text": MAIL.text}
    assert await provider.next() == ("application/json", TOKEN, content)
    assert TOKEN not in repr(transport._request)  # type: ignore[attr-defined]


async def test_an_address_without_a_channel_is_final() -> None:
    with pytest.raises(MailNotSent, match="no channel 'sms'") as caught:
        await Channels({"": ConsoleTransport()}).deliver("sms:+4670", MAIL)
    assert caught.value.final


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("[body]\nto = '{adress}'", "there is no {adress}; there are address, code"),
        ("[body]\nto = [{ a = '{x}' }]", "there is no {x}"),
        ("format = 'xml'", "format must be"),
        ("format = 'form'\n[body]\na = 5", "every value of body is a string"),
        ("[headers]\n'a b' = 'x'", "header 'a b' must have a name"),
        ("[headers]\na = 5", "header 'a' must have a name and a string"),
        ("[headers]\na = 'x\\ty${NOT_SET_ANYWHERE}'", "the environment has no NOT_SET_ANYWHERE"),
        ('[headers]\na = "x\\r\\nb: c"', "header 'a' must be printable ASCII"),
        ("headers = 5", "headers and body are tables"),
        ("method = 'GET'", "unknown 'method'"),
        ("= 5", "Invalid"),
    ],
)
def test_a_wrong_file_is_one_line_without_its_url(tmp_path: Path, rest: str, text: str) -> None:
    url = request_file(tmp_path, "https://sms.example/s3cret", rest)
    with pytest.raises(ConfigError) as caught:
        webhook_from_url(url, "channel sms")
    assert text in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_url(tmp_path: Path) -> None:
    for url in ("ftp://s3cret@x", "", "${NOT_SET_ANYWHERE}"):
        with pytest.raises(ConfigError, match=r"url must be|has no NOT_SET_ANYWHERE"):
            webhook_from_url(request_file(tmp_path, url, ""), "channel sms")
    with pytest.raises(ConfigError, match="No such file"):
        webhook_from_url(f"webhook:@{tmp_path / 'gone.toml'}", "channel sms")


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        ({"sms": "smtp://127.0.0.1"}, "channel sms must be webhook:https://HOST"),
        ({"sms": "webhook:ftp://s3cret"}, "channel sms must be webhook:https://HOST"),
        ({"SMS": "webhook:https://x/"}, "channel 'SMS': a kind is small letters"),
        ({"": "webhook:https://x/"}, "channel '': a kind is small letters"),
    ],
)
def test_wrong_channels(channels: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        channels_from(ConsoleTransport(), channels)
    assert text in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_user_whose_channel_is_missing_is_found_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "users.toml"
    path.write_text(USERS)
    with pytest.raises(ConfigError, match="there is no channel 'sms': add --channel sms="):
        assemble(users=path, mail="console:")
    path.write_text('[users.ann]\naddresses = ["ann@example.org"]')
    assembly = assemble(users=path, mail="console:")
    # A reload with such a user is refused, in one line.
    path.write_text(USERS)
    await assembly.reloads.run()
    assert "there is no channel 'sms'" in caplog.text


def test_nobody_can_make_the_operator_pay_for_messages() -> None:
    # Anyone can name an address there, and an SMS costs money.
    with pytest.raises(ConfigError, match="with any_address codes go by mail only"):
        assemble(users=AnyAddress(), mail="console:", channels={"sms": "webhook:https://x/"})


async def test_any_address_has_no_other_kinds() -> None:
    for typed in ("sms:+46701234567", "sms:ann@example.org", "x:y@example.org"):
        assert await AnyAddress().named(typed) is None


def test_a_transport_of_a_program_gets_every_address(tmp_path: Path) -> None:
    class Own(MailTransport):
        async def deliver(self, address: str, mail: CodeMail) -> None:
            """Its own channels."""

    (tmp_path / "users.toml").write_text(USERS)
    own = Own()
    assert assemble(users=tmp_path / "users.toml", mail=own).mail_queue._transport is own
