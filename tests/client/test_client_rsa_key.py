"""The Python client with an RSA key that is in another process (decision 0063)."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from gateways import running
from hardened_server import CODE, hardened_server
from rsa_device import Device, DeviceFailed, rsa_device

from certless.client import AnswerNotTrusted, Client, NoAnswer, RsaDecrypter
from protocol.hardened.records import SessionRecord

URL = "http://127.0.0.1:1"
MINUTE_MS = 60_000


@pytest.fixture
async def device() -> AsyncIterator[Device]:
    async with rsa_device() as one:
        yield one


def der_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pem_of(der: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(der).decode()}-----END PUBLIC KEY-----"


class Shown:
    """A key of which only the public half matters."""

    def __init__(self, public_key: str | bytes) -> None:
        self.public_key = public_key

    async def decrypt(self, wrapped: bytes) -> bytes:
        raise AssertionError("nothing was sent, so nothing is unwrapped")


@pytest.mark.parametrize("form", ["DER", "PEM", "PEM in bytes"])
@pytest.mark.parametrize("fresh", ["clock", "counter"])
@pytest.mark.parametrize("envelope", ["msgpack", "json"])
async def test_login_messages_and_logout(
    device: Device, form: str, fresh: Any, envelope: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    der = device.public_key
    assert isinstance(der, bytes)
    forms: dict[str, bytes | str] = {
        "DER": der,
        "PEM": pem_of(der),
        "PEM in bytes": pem_of(der).encode(),
    }
    device.public_key = forms[form]
    options: dict[str, Any] = {
        "suite": "rsa-gcm",
        "rsa_key": device,
        "fresh": fresh,
        "envelope": envelope,
    }
    async with (
        running() as at,
        Client(at.url, clock=at.clock, **options) as client,
    ):
        await client.login("ann@example.org", code=at.mails.code)
        answers = await asyncio.gather(*(client.post("/echo", data=str(n)) for n in range(5)))
        assert [(await one.json())["body"] for one in answers] == [str(n) for n in range(5)]
        await client.logout()
    assert device.asked == len(device.secrets) == 6
    for secret in device.secrets:
        for shown in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)):
            assert shown not in caplog.text


async def test_each_epoch_asks_the_same_key(device: Device) -> None:
    async with (
        hardened_server("rsa-gcm") as server,
        server.client(rsa_key=device) as client,
    ):
        await client.login("Ada", code=CODE)
        epochs = []
        for _ in range(3):
            answer = await client.post("/echo", data="still")
            assert await answer.text() == "still"
            (record,) = map(SessionRecord.parse, server.peer.memory.sessions.values())
            epochs.append(record.epoch)
            server.peer.now_ms += 15 * MINUTE_MS
        assert (epochs, device.asked) == ([0, 1, 2], 3)


async def test_a_resumption_uses_the_key_again(device: Device, tmp_path: Path) -> None:
    options: dict[str, Any] = {"rsa_key": device, "tickets": tmp_path / "ticket"}
    keys: list[bytes] = []

    def note_key() -> None:
        records = [SessionRecord.parse(one) for one in server.peer.memory.sessions.values()]
        keys.append(records[-1].client_key)

    async with hardened_server("rsa-gcm") as server:
        async with server.client(**options) as client:
            await client.login("Ada", code=CODE)
            note_key()
        async with server.client(**options) as client:
            await client.resume()
            note_key()
            assert await (await client.post("/echo", data="back")).text() == "back"
    assert keys == [device.public_key] * 2
    assert device.asked == 1


@pytest.mark.parametrize("manner", ["short", "long", "other", "empty"])
async def test_what_is_not_the_secret_is_an_answer_that_is_not_ours(
    device: Device, manner: str
) -> None:
    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=device) as client:
        await client.login("Ada", code=CODE)
        device.manner = manner
        with pytest.raises(AnswerNotTrusted, match="decryption_failed") as failed:
            await client.post("/echo", data="once")
        device.manner = "honest"
        # One bad answer is not the end of the session.
        assert await (await client.post("/echo", data="twice")).text() == "twice"
        assert [inside.body for inside in server.ran] == [b"once", b"twice"]
    assert str(failed.value) == "the response is not for this request: decryption_failed"


@pytest.mark.parametrize("given", [None, "x" * 32, bytearray(32)])
async def test_what_is_no_bytes_is_refused_likewise(device: Device, given: object) -> None:
    class Odd:
        public_key = device.public_key

        async def decrypt(self, wrapped: bytes) -> object:
            return given

    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=Odd()) as client:
        await client.login("Ada", code=CODE)
        with pytest.raises(
            AnswerNotTrusted, match="the response is not for this request: decryption_failed"
        ):
            await client.get("/echo")


async def test_what_the_device_raises_is_the_cause(device: Device) -> None:
    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=device) as client:
        await client.login("Ada", code=CODE)
        device.manner = "fails"
        with pytest.raises(AnswerNotTrusted, match="rsa_key failed: decryption_failed") as failed:
            await client.get("/echo")
        assert isinstance(failed.value.__cause__, DeviceFailed)
        device.manner = "honest"
        assert (await client.get("/echo")).status == 200


async def test_a_time_limit_of_the_device_itself_is_its_failure(device: Device) -> None:
    class Slow:
        public_key = device.public_key

        async def decrypt(self, wrapped: bytes) -> bytes:
            raise TimeoutError("the reader does not answer")

    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=Slow()) as client:
        await client.login("Ada", code=CODE)
        with pytest.raises(AnswerNotTrusted, match="rsa_key failed"):
            await client.get("/echo")


async def test_a_device_that_hangs_is_waited_for_as_long_as_an_exchange(device: Device) -> None:
    async with (
        asyncio.timeout(60),
        hardened_server("rsa-gcm") as server,
        server.client(rsa_key=device, timeout_s=2) as client,
    ):
        await client.login("Ada", code=CODE)
        device.manner = "hangs"
        with pytest.raises(NoAnswer, match="rsa_key did not decrypt it in 2 s; is the device"):
            await client.get("/echo")
        device.manner = "honest"
        assert (await client.get("/echo")).status == 200


async def test_an_answer_to_another_request_does_not_reach_the_device(device: Device) -> None:
    answers: list[bytes] = []

    def replay(path: str, answer: bytes) -> bytes:
        if path == "/message":
            answers.append(answer)
            return answers[0]
        return answer

    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=device) as client:
        await client.login("Ada", code=CODE)
        server.bend = replay
        await client.get("/echo")
        with pytest.raises(AnswerNotTrusted, match="decryption_failed"):
            await client.get("/echo")
    assert device.asked == 1


WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505
OTHER_EXPONENT = rsa.generate_private_key(3, 2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("public_key", "why"),
    [
        (der_of(WEAK), "a key of 1024 bits: make one of 2048 to 4096"),
        (pem_of(der_of(WEAK)), "a key of 1024 bits"),
        (der_of(OTHER_EXPONENT), "an exponent that is not 65537"),
        (der_of(CURVE), "not an RSA public key"),
        (b"", "not an RSA public key"),
        ("", "not one public key PEM"),
        (b"\xff-----BEGIN PUBLIC KEY-----", "not one public key PEM"),
    ],
    ids=["short", "short in PEM", "exponent", "curve", "no DER", "no PEM", "no text"],
)
def test_a_public_key_that_no_gateway_takes(public_key: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"rsa_key cannot be used: {why}"):
        Client(URL, suite="rsa-gcm", rsa_key=Shown(public_key))


@pytest.mark.parametrize("options", [{}, {"suite": "ecdh-gcm"}, {"dialect": "sfet-3"}])
def test_other_suites_have_no_rsa_key(options: dict[str, Any]) -> None:
    key: RsaDecrypter = Shown(der_of(WEAK))
    with pytest.raises(ValueError, match="rsa_key needs rsa-gcm"):
        Client(URL, rsa_key=key, **options)


async def test_a_key_that_is_cancelled_with_its_request(device: Device) -> None:
    async with hardened_server("rsa-gcm") as server, server.client(rsa_key=device) as client:
        await client.login("Ada", code=CODE)
        device.manner = "hangs"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.get("/echo")
        device.manner = "honest"
        assert (await client.get("/echo")).status == 200
