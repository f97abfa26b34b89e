"""THREATS "Classic messages", "Client keys" and "Parsing", over HTTP: each line with its outcome.

What only bends the payload is shown in a dialect that can be bent (CTR); the rest in several.
"""

import asyncio
import base64
import json
import secrets
import socket
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateways import Answer, Raw, Running, changed, running

from protocol.common.codec import JsonObject, read_members
from protocol.common.errors import DecryptionFailed, ReplayedNonce
from protocol.common.messages import SealedMessage

pytestmark = pytest.mark.usefixtures("framework")

BENDABLE = "article-2016-oaep"
PADDINGS = ("article-2016", "article-2016-oaep", "sfet-3")


def assert_rejected(at: Running, *answers: Answer) -> None:
    """The same visible rejection for all, and no handler ran."""
    assert {answer.visible for answer in answers} == {answers[0].visible}
    assert (answers[0].status, answers[0].json["error"]) == (403, "rejected")
    assert at.ran == []


async def test_the_edge_of_the_window_is_inside() -> None:
    async with running() as at:
        raw = await at.raw_login()
        now_ms = at.clock.stopped_at_ms = at.clock()
        for offset_ms in (-60_000, 60_000):
            assert (await raw.send(raw.seal(now_ms=now_ms + offset_ms)[0])).status == 200
        at.ran.clear()
        outside = [raw.seal(now_ms=now_ms + ms)[0] for ms in (-60_001, 60_001)]
        assert_rejected(at, *[await raw.send(message) for message in outside])


@pytest.mark.parametrize(
    "timestamp", ['"now"', "null", "true", "-1", "18446744073709551616", "1e400", "1.5e12", "[]"]
)
async def test_a_timestamp_of_another_type_or_size(timestamp: str) -> None:
    async with running() as at:
        raw = await at.raw_login()
        plaintext = f'{{"timestamp": {timestamp}, "nonce": "n", "request": {{"path": "/echo"}}}}'
        assert_rejected(at, await raw.send(raw.seal_plaintext(plaintext.encode())))


async def test_a_replay() -> None:
    async with running() as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        assert (await raw.send(message)).status == 200
        at.ran.clear()
        assert_rejected(at, await raw.send(message), await raw.send(message))


async def test_the_same_message_at_the_same_moment_runs_once() -> None:
    async with running() as at:
        raw = await at.raw_login()
        for _ in range(10):
            message, _ = raw.seal()
            answers = await asyncio.gather(*(raw.send(message) for _ in range(8)))
            assert sorted(answer.status for answer in answers) == [200, *[403] * 7]
        assert len(at.ran) == 10


async def test_a_replay_with_nonce_or_timestamp_flipped_through_the_cipher() -> None:
    async with running(dialect=BENDABLE) as at:
        raw = await at.raw_login()
        now_ms = at.clock()
        plaintext = f'{{"timestamp":{now_ms},"nonce":"abc","request":{{"path":"/echo"}}}}'
        message = raw.seal_plaintext(plaintext.encode())
        assert (await raw.send(message)).status == 200
        at.ran.clear()
        bent_nonce = {
            **message,
            "payload": changed(str(message["payload"]), plaintext.index("abc")),
        }
        # An hour later the attacker moves the recorded timestamp by an hour, digit by digit.
        at.clock.offset_ms = 3_000_000
        later = plaintext.replace(str(now_ms), str(now_ms + 3_000_000))
        payload = str(message["payload"])
        for position, (old, new) in enumerate(zip(plaintext, later, strict=True)):
            payload = changed(payload, position, partial(int.__xor__, ord(old) ^ ord(new)))
        assert_rejected(
            at, await raw.send(bent_nonce), await raw.send({**message, "payload": payload})
        )


async def test_the_same_passphrase_with_a_new_payload() -> None:
    async with running() as at:
        raw = await at.raw_login()
        passphrase = secrets.token_hex(16).encode()

        def message(nonce: str) -> Any:
            inside = {"timestamp": at.clock(), "nonce": nonce, "request": {"path": "/echo"}}
            return raw.seal_plaintext(json.dumps(inside).encode(), passphrase)

        assert (await raw.send(message("one"))).status == 200
        at.ran.clear()
        assert_rejected(at, await raw.send(message("two")))


def url_alphabet(text: str) -> str:
    return text.replace("+", "-").replace("/", "_") if {"+", "/"} & set(text) else "-" + text[1:]


@pytest.mark.parametrize("dialect", PADDINGS)
@pytest.mark.parametrize(
    "bend",
    [
        lambda text: text + "\n",
        lambda text: text[:100] + " " + text[100:],
        lambda text: text.rstrip("="),
        url_alphabet,
        lambda text: "",
        lambda text: "é" + text,
        lambda text: changed(text, 255),
        lambda text: changed(text, 0),
    ],
)
async def test_a_wrapped_key_in_another_text(dialect: str, bend: Callable[[str], str]) -> None:
    async with running(dialect=dialect) as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        assert_rejected(at, await raw.send({**message, "key": bend(str(message["key"]))}))


@pytest.mark.parametrize("dialect", PADDINGS)
async def test_wrapped_numbers_that_are_no_ciphertext(dialect: str) -> None:
    async with running(dialect=dialect) as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        wrapped = base64.b64decode(str(message["key"]))
        n = raw.keys.server_key.n
        numbers = [x.to_bytes(256) for x in (0, 1, n - 1, n, n + 1, 2**2048 - 1)]
        numbers += [wrapped[1:], b"\0" + wrapped, wrapped + b"\0", b""]
        texts = [base64.b64encode(number).decode() for number in numbers]
        assert_rejected(at, *[await raw.send({**message, "key": text}) for text in texts])
        assert (await raw.send(message)).status == 200


@pytest.mark.parametrize("dialect", [*PADDINGS, "sfet-4-gcm"])
@pytest.mark.parametrize("passphrase", [b"a" * 31, b"a" * 33, b"a" * 31 + b"\n", b"\xff" * 32])
async def test_valid_padding_around_what_is_no_passphrase(dialect: str, passphrase: bytes) -> None:
    async with running(dialect=dialect) as at:
        raw = await at.raw_login()
        inside = {"timestamp": at.clock(), "nonce": "n", "request": {"path": "/echo"}}
        message = raw.seal_plaintext(json.dumps(inside).encode(), passphrase)
        assert_rejected(at, await raw.send(message))


@pytest.mark.parametrize("dialect", [BENDABLE, "sfet-3", "sfet-4-gcm"])
async def test_a_payload_cut_longer_or_empty(dialect: str) -> None:
    async with running(dialect=dialect) as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        sealed = base64.b64decode(str(message["payload"]))
        for bent in (sealed[:-1], sealed[:-16], sealed + b"x", sealed + bytes(16), b""):
            text = base64.b64encode(bent).decode()
            assert_rejected(at, await raw.send({**message, "payload": text}))


async def test_a_message_of_another_session() -> None:
    async with running() as at:
        ann, bob = await at.raw_login(), await at.raw_login("bob@example.org")
        message, _ = ann.seal()
        assert_rejected(
            at,
            await ann.send({**message, "token": bob.token}),
            await ann.send({**message, "token": "nobody"}),
            await ann.send({**message, "token": ""}),
        )


@pytest.mark.parametrize("dialect", ["article-2016", "sfet-4-gcm"])
async def test_a_request_reflected_as_a_response_is_refused_by_the_client(dialect: str) -> None:
    async with running(dialect=dialect) as at:
        raw = await at.raw_login()
        message, pending = raw.seal()
        reflected = SealedMessage.parse(message, raw.exchange.suite.dialect.names)
        with pytest.raises(DecryptionFailed):
            pending.open(reflected)


async def test_an_answer_to_another_request_is_refused_by_the_client() -> None:
    async with running() as at:
        raw = await at.raw_login()
        first, _ = raw.seal()
        _, pending = raw.seal()
        answer = await raw.send(first)
        with pytest.raises(ReplayedNonce):
            pending.open(SealedMessage.parse(answer.json, raw.exchange.suite.dialect.names))


async def test_message_4097_closes_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    # The store contract tests the count. Here a limit of 3 shows what a client sees.
    monkeypatch.setattr("gateway.stores.memory.store.MAX_MESSAGES", 3)
    async with running() as at:
        raw = await at.raw_login()
        for _ in range(3):
            assert (await raw.call("POST", "/echo", b"1")).status == 200
        at.ran.clear()
        answers = [await raw.send(raw.seal()[0]) for _ in range(2)]
        assert_rejected(at, *answers)


@pytest.mark.parametrize("store", ["memory:", "sqlite:{}"])
async def test_a_recorded_message_is_no_oracle(
    store: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An eavesdropper changes the payload of a recorded message and measures each rejection: what
    # is parsed must then have nothing to do with what was recorded.
    parsed: list[bytes] = []
    read = read_members

    def watched(plaintext: bytes, valid: bool) -> JsonObject | None:
        parsed.append(plaintext)
        return read(plaintext, valid)

    def bend(text: str, position: int) -> str:
        return changed(text, position, lambda byte: byte ^ 0x80)

    async with running(dialect=BENDABLE, store=store.format(tmp_path / "db")) as at:
        raw = await at.raw_login()
        message, _ = raw.seal(body=b"the number is 4711")
        assert (await raw.send(message)).status == 200
        held_back, _ = raw.seal(body=b"the number is 4711")
        at.ran.clear()
        monkeypatch.setattr("protocol.classic.exchange.read_members", watched)
        bent = [{**message, "payload": bend(str(message["payload"]), n)} for n in range(9)]
        assert_rejected(at, *[await raw.send(one) for one in (message, *bent)])
        assert len(parsed) == 10
        assert not [data for data in parsed if b"4711" in data]
        # A message that was held back and never answered allows five tries.
        parsed.clear()
        bent = [{**held_back, "payload": bend(str(held_back["payload"]), n)} for n in range(9)]
        assert_rejected(at, *[await raw.send(one) for one in bent])
        assert len([data for data in parsed if b"4711" in data]) == 5
        assert_rejected(at, await raw.send(held_back))


async def test_a_session_expires_and_cannot_come_back() -> None:
    async with running(session_lifetime_s=60) as at:
        raw = await at.raw_login()
        assert (await raw.call("GET", "/echo")).status == 200
        at.ran.clear()
        at.clock.offset_ms = 61_000
        expired = await raw.send(raw.seal()[0])
        at.clock.offset_ms = 0
        assert_rejected(at, expired)


async def test_a_clock_set_back_ten_minutes_accepts_nothing_old_and_nothing_new() -> None:
    async with running() as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        fresh, _ = raw.seal()
        assert (await raw.send(message)).status == 200
        at.ran.clear()
        at.clock.offset_ms = -600_000
        assert_rejected(at, await raw.send(message), await raw.send(fresh))


async def test_after_logout_nothing_is_accepted() -> None:
    async with running() as at:
        raw = await at.raw_login()
        names = raw.exchange.suite.dialect.names
        message, pending = raw.exchange.seal_fields(
            raw.token, raw.keys, {}, at.clock(), secrets.token_bytes
        )
        answer = await at.post("/.gateway/session/logout", message.serialize(names))
        assert pending.open_plaintext(SealedMessage.parse(answer.json, names)) == b"{}"
        assert_rejected(at, await raw.send(raw.seal()[0]))


@pytest.mark.parametrize("store", ["memory:", "sqlite:{}"])
async def test_a_rejection_changes_nothing(store: str, tmp_path: Any) -> None:
    async with running(store=store.format(tmp_path / "db")) as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        for bent in (
            {**message, "key": changed(str(message["key"]), 9)},
            {**message, "payload": changed(str(message["payload"]), 9)},
            {**message, "iv": "x" * 12},
            {**message, "iv": None},
        ):
            assert_rejected(at, await raw.send(bent))
        assert (await raw.send(message)).status == 200


# --- parsing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"token":"a","key":"b","payload":"c","key":"d"}',
        b'{"token":"a","key":"b","payload":"c","x":NaN}',
        b'{"token":"a","key":"b","payload":"c","x":Infinity}',
        b'{"token":"a","key":"b","payload":"c","x":1e999}',
        b'{"token":"a","key":"b","payload":"c","x":' + b"9" * 5000 + b"}",
        b'{"token":"a","key":"b","payload":"c","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"token":"a","key":"b","payload":"c","__proto__":{}}',
        b'{"token":"a","key":"b","payload":"c"}{}',
        b'{"token":"a","key":"b","payload":"\\ud800"}',
        b'{"token":"a","key":"b","payload":3}',
    ],
)
async def test_an_envelope_that_is_not_strict_json(body: bytes) -> None:
    async with running() as at:
        answer = await at.post("/.gateway/message", body)
        assert (answer.status, answer.json["error"]) == (400, "malformed")
        assert at.ran == []


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"[]",
        b'{"timestamp":%d,"nonce":"n","nonce":"m"}',
        b'{"timestamp":%d,"nonce":"n","x":NaN}',
        b'{"timestamp":%d,"nonce":"n","x":1e999}',
        b'{"timestamp":%d,"nonce":"n","__proto__":{}}',
        b'{"timestamp":%d,"nonce":"n"} trailing',
        b'{"timestamp":%d,"nonce":"n","x":' + b"[" * 100_000,
        b'{"timestamp":%d,"nonce":7}',
        b'{"timestamp":%d,"nonce":""}',
        b'{"timestamp":%d}',
        b'\xff{"timestamp":%d,"nonce":"n"}',
    ],
)
async def test_a_payload_that_is_not_strict_json(plaintext: bytes) -> None:
    async with running() as at:
        raw = await at.raw_login()
        filled = plaintext.replace(b"%d", str(at.clock()).encode())
        assert_rejected(at, await raw.send(raw.seal_plaintext(filled)))


@pytest.mark.parametrize(
    "request_member",
    [
        None,
        "GET /",
        {},
        {"path": 1},
        {"path": "echo"},
        {"path": "//evil.example/echo"},
        {"path": "http://evil.example/"},
        {"path": "/echo#x"},
        {"path": "/ec ho"},
        {"path": "/echo\r\nX: y"},
        {"path": "/" + "a" * 8192},
        {"path": "/echo", "method": "CONNECT"},
        {"path": "/echo", "method": "GET /x"},
        {"path": "/echo", "headers": {"X": "a\r\nY: b"}},
        {"path": "/echo", "headers": {"X y": "a"}},
        {"path": "/echo", "headers": {"": "a"}},
        {"path": "/echo", "headers": [["a"]]},
        {"path": "/echo", "headers": "X: y"},
        {"path": "/echo", "headers": [["a", "b"]] * 129},
        {"path": "/echo", "body": "###", "encoding": "base64"},
        {"path": "/echo", "body": 1, "encoding": "base64"},
        {"path": "/echo", "encoding": "gzip"},
    ],
)
async def test_a_request_inside_that_is_none_is_answered_inside(request_member: Any) -> None:
    async with running() as at:
        raw = await at.raw_login()
        message, pending = raw.exchange.seal_fields(
            raw.token, raw.keys, {"request": request_member}, at.clock(), secrets.token_bytes
        )
        names = raw.exchange.suite.dialect.names
        answer = await raw.send(message.serialize(names))
        assert answer.status == 200
        response = pending.open(SealedMessage.parse(answer.json, names))
        assert response.status == 400
        assert at.ran == []


async def test_a_content_encoding_is_refused_outside_and_inside() -> None:
    async with running() as at:
        raw = await at.raw_login()
        message, _ = raw.seal()
        for coding in ("gzip", "identity", "br", "x"):
            body = json.dumps(message).encode()
            headers = {"Content-Encoding": coding}
            for path in ("/.gateway/message", "/.gateway/session", "/echo"):
                # 400 if aiohttp has no decoder for it.
                assert (await at.post(path, body, headers=headers)).status in (400, 415)
        inside: JsonObject = {
            "method": "POST",
            "path": "/echo",
            "headers": {"content-encoding": "gzip"},
        }
        sealed, pending = raw.exchange.seal_fields(
            raw.token, raw.keys, {"request": inside}, at.clock(), secrets.token_bytes
        )
        names = raw.exchange.suite.dialect.names
        answer = await raw.send(sealed.serialize(names))
        assert pending.open(SealedMessage.parse(answer.json, names)).status == 415
        assert at.ran == []


async def on_the_wire(at: Running, *chunks: bytes) -> bytes:
    """The response of the server to bytes that no client library would send."""
    parts = urlsplit(at.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for chunk in chunks:
        writer.write(chunk)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


HEAD = b"POST /.gateway/message HTTP/1.1\r\nHost: x\r\n"


async def test_content_length_with_transfer_encoding() -> None:
    async with running() as at:
        both = HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        assert (await on_the_wire(at, both)).split()[1] == b"400"


@pytest.mark.parametrize("path", [b"/.gateway/message", b"/.gateway/session", b"/echo"])
async def test_a_body_above_the_cap_is_refused_before_it_is_sent(path: bytes) -> None:
    async with running(max_body_bytes=2000) as at:
        head = HEAD.replace(b"/.gateway/message", path)
        # No body follows, so the response depends on the head only.
        said = await on_the_wire(at, head + b"Content-Length: 2001\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 413 ")
        chunk = b"%x\r\n" % 2001 + b"a" * 2001 + b"\r\n"
        said = await on_the_wire(at, head + b"Transfer-Encoding: chunked\r\n\r\n", chunk)
        assert said.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_breaks_off_is_no_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as at:
        parts = urlsplit(at.url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(HEAD + b"Content-Length: 500\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await (await at.raw_login()).call("GET", "/echo")).status == 200
    assert "failed" not in caplog.text


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.pipeline.request_body._READ_TIMEOUT_S", 0.05)
    async with running() as at:
        said = await on_the_wire(at, HEAD + b"Content-Length: 500\r\n\r\n{")
        assert said.split()[1] == b"408"


# Each took seconds to minutes of everybody's time for some 100 kB: a second look at the rest of
# the text from each of its quotes, and marks that normalising has to sort.
HEAVY = [
    b"[" * 65 + b'"' + b'\\"' * 1_000_000,
    b"[" * 65 + b'"' * 1_000_001,
    b"[" * 65 + b'"' + b"\\" * 1_000_001,
    json.dumps({"username": "a" + "\u0301" * 500_000 + "\u0316" * 500_000}).encode(),
]


@pytest.mark.parametrize("body", HEAVY, ids=range(len(HEAVY)))
async def test_a_body_that_was_made_to_take_long_does_not(body: bytes) -> None:
    async with running() as at:
        for path in ("/.gateway/session", "/echo"):
            assert (await at.post(path, body)).status in (400, 401, 413)


async def test_a_body_of_just_the_cap_is_read() -> None:
    async with running(max_body_bytes=2000) as at:
        body = json.dumps({"username": "a"}).encode()
        assert (await at.post("/.gateway/session", body.ljust(2000))).status == 201


async def test_a_connection_that_breaks_off_leaves_nothing_behind() -> None:
    async with running() as at:
        parts = urlsplit(at.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
            connection.sendall(HEAD + b"Content-Length: 500\r\n\r\n{")
        raw: Raw = await at.raw_login()
        assert (await raw.call("GET", "/echo")).status == 200
