"""The Python client before a server that means harm: it ends in time, with one clear error, and
reads little of what has not proven anything."""

import asyncio
import resource
import sys
from typing import Any

import pytest
from gateways import running
from hostile_servers import MIB, Answer, dripping, endless, head, hostile, lists_in_gzip, parts
from processes import python

from certless.client import AnswerNotTrusted, Client, NoAnswer, NoGateway, Refused
from gateway.errors import MailNotSent
from gateway.mail.message import CodeMail
from gateway.mail.transports import WebhookTransport

MSGPACK = "application/msgpack"
CHUNKED = "Transfer-Encoding: chunked"
# What a connection holds on both sides beside what a client has read.
IN_BUFFERS = 12 * MIB
SUITES = [{"suite": "ecdh-gcm"}, {"suite": "ecdh-gcm", "envelope": "json"}, {"suite": "classic"}]

_LOGIN = """
import asyncio, resource, sys
from gateway.client import Client, ClientError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main():
    async with Client(sys.argv[1], suite=sys.argv[2], envelope="json") as client:
        try:
            await client.login("ann", code="0" * 26)
        except ClientError as error:
            print(type(error).__name__, peak() - before)

before = peak()
asyncio.run(main())
"""


def told(status: int, *more: str, body: bytes = b'{"error":"rejected"}') -> Answer:
    more = ("Connection: close", f"Content-Length: {len(body)}", *more)
    return parts(head(status, "application/json", *more), b"\r\n", body)


# ruff: noqa: E501 (a table is easier to read in whole lines)
ANSWERS: dict[str, tuple[Answer, type[Exception]]] = {
    "403, unpacked 60 MiB": (lists_in_gzip(403), NoGateway),
    "200, unpacked 60 MiB": (lists_in_gzip(200), NoGateway),
    "403, 256 MiB of lists": (endless(head(403) + b"\r\n" + b'{"error":[', lambda _: b"[],"), NoGateway),
    "403, 1 TB announced": (parts(head(403, "application/json", "Content-Length: 1000000000000") + b"\r\n{"), NoGateway),
    "200, 1 TB of a page": (endless(head(200, "text/html") + b"\r\n", lambda _: b"<p>"), NoGateway),
    "403, chunks of a byte": (endless(head(403, "application/json", CHUNKED) + b"\r\n", lambda _: b"1\r\n[\r\n"), NoGateway),
    "headers without end": (endless(head(403), lambda n: b"X-%d: y\r\n" % n), NoAnswer),
    "a header without end": (endless(head(403) + b"X: ", lambda _: b"y"), NoAnswer),
    "trailers without end": (endless(head(403, "application/json", CHUNKED) + b"\r\n0\r\n", lambda n: b"X-%d: y\r\n" % n), NoAnswer),
    "a length of 5,000 digits": (parts(head(403, "application/json", "Content-Length: " + "9" * 5000) + b"\r\n"), NoAnswer),
    "no HTTP": (parts(b"220 mail.example ESMTP\r\n"), NoAnswer),
    "another place": (told(307, "Location: http://127.0.0.1:1/"), Refused),
    "a content type of 8 KB": (parts(head(200, "a/" + '"' * 8000) + b"\r\n{}"), NoGateway),
    "marks of another format": (parts(head(403, MSGPACK, "Content-Length: 3") + b"\r\n\xdf\xff\xff"), NoGateway),
}  # fmt: skip


@pytest.mark.parametrize("options", SUITES, ids=str)
@pytest.mark.parametrize("name", ANSWERS)
async def test_little_is_read_before_anything_is_proven(name: str, options: Any) -> None:
    answer, error = ANSWERS[name]
    async with hostile(answer) as server, Client(server.url, **options, timeout_s=60) as client:
        with pytest.raises(error) as caught:
            await client.login("ann@example.org", code="0" * 26)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
    assert server.sent < IN_BUFFERS
    assert b"accept-encoding: identity" in server.requests[0].lower()


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
@pytest.mark.parametrize("status", [200, 403])
async def test_what_unpacks_to_60_mib_takes_no_memory(status: int, suite: str) -> None:
    async with (
        hostile(lists_in_gzip(status)) as server,
        python("-c", _LOGIN, server.url, suite, stdout=asyncio.subprocess.PIPE) as child,
    ):
        async with asyncio.timeout(60):
            out, _ = await child.communicate()
    name, grown = out.decode().split()
    assert name == "NoGateway"
    kib = 1024 if sys.platform == "darwin" else 1
    assert int(grown) / kib < 32 * 1024


@pytest.mark.parametrize(
    "first",
    [b"", b"HTTP/1.1 200 O", head(403), head(403) + b"\r\n", head(200, MSGPACK) + b"\r\n"],
    ids=["nothing", "half a line", "a head", "a refusal", "an answer"],
)
async def test_an_answer_that_drips_ends_in_time(first: bytes) -> None:
    async with hostile(dripping(first)) as server, Client(server.url, timeout_s=0.5) as client:
        with pytest.raises(NoAnswer, match=r"no response: not complete after 0\.5 s"):
            await client.login("ann@example.org", code="0" * 8)


async def test_interim_answers_without_end() -> None:
    more = endless(b"", lambda _: b"HTTP/1.1 100 Continue\r\n\r\n", blocks=1_000_000)
    async with hostile(more) as server, Client(server.url, timeout_s=0.5) as client:
        with pytest.raises(NoAnswer, match="not complete"):
            await client.login("ann@example.org", code="0" * 8)


async def test_an_answer_before_the_request_is_sent() -> None:
    """A refusal is told also where the server does not take the 8 MiB that it refuses."""
    async with running() as at, Client(at.url, timeout_s=60) as client:
        await client.login("ann@example.org", code=at.mails.code)
        body = b'{"error":"too_large","message":"less"}'
        refusal = head(413, "application/json", f"Content-Length: {len(body)}", "Connection: close")
        async with hostile(parts(refusal + b"\r\n" + body), reads=False) as server:
            client._transport.url = client._transport.url.with_port(
                int(server.url.rpartition(":")[2])
            )
            with pytest.raises(Refused, match="413 too_large: less"):
                await client.post("/echo", data=bytes(8 * MIB))


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, MSGPACK), ({"envelope": "json"}, "application/json"), ({"suite": "classic", "dialect": "article-2016"}, "application/json")],
    ids=["msgpack", "json", "classic"],
)  # fmt: skip
async def test_an_answer_in_a_session_has_a_limit_and_few_values(options: Any, kind: str) -> None:
    many = {
        MSGPACK: b"\x81\xa1a" + b"\xdc\x00\x80" + (b"\xdc\x00\x80" + b"\x90" * 128) * 128,
        "application/json": b'{"payload":[' + b"[]," * (16 * MIB) + b"[]]}",
    }[kind]
    async with (
        running(dialect="article-2016") as at,
        Client(at.url, **options, clock=at.clock, timeout_s=60) as client,
    ):
        await client.login("ann@example.org", code=at.mails.code)
        home = client._transport.url
        for answer in (
            endless(head(200, kind) + b"\r\n", lambda _: b" " * 65536),
            parts(head(200, kind, f"Content-Length: {1000 * MIB}") + b"\r\n"),
            parts(head(200, kind, f"Content-Length: {len(many)}") + b"\r\n", many),
        ):
            async with hostile(answer) as server:
                client._transport.url = home.with_port(int(server.url.rpartition(":")[2]))
                with pytest.raises((AnswerNotTrusted, NoGateway)):
                    await client.get("/echo")
                assert server.sent < 64 * MIB + IN_BUFFERS


async def test_retry_after_is_seconds_or_nothing() -> None:
    for said, seconds in {"30": 30, "9" * 9: None, "-1": None, "soon": None, "1e9": None}.items():
        answer = told(429, f"Retry-After: {said}", body=b'{"error":"too_many","message":"later"}')
        async with hostile(answer) as server, Client(server.url) as client:
            with pytest.raises(Refused) as caught:
                await client.login("ann@example.org", code="0" * 8)
            assert caught.value.retry_after_s == seconds


async def test_a_cookie_is_not_kept() -> None:
    async with (
        hostile(told(403, "Set-Cookie: a=b; Path=/")) as server,
        Client(server.url) as client,
    ):
        for _ in range(2):
            with pytest.raises(Refused, match="rejected"):
                await client.login("ann@example.org", code="0" * 8)
        assert b"cookie:" not in server.requests[-1].lower()


# --- what the gateway itself asks ---


@pytest.mark.parametrize("status", [200, 500])
async def test_a_webhook_is_read_for_its_status_alone(status: int) -> None:
    webhook = lists_in_gzip(status)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with hostile(webhook) as server:
        delivery = WebhookTransport(server.url)
        try:
            mail = CodeMail("shop", "ann", "7K3QWXYZ", "192.0.2.1", 10)
            if status == 200:
                await delivery.deliver("ann@example.org", mail)
            else:
                with pytest.raises(MailNotSent, match="the webhook answers 500"):
                    await delivery.deliver("ann@example.org", mail)
        finally:
            await delivery.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 128 * 1024
