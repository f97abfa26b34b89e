"""Attacks on a recorded login, as a listener on the network could try them.

``listening`` is a proxy to a gateway that records every byte. ``classic_code`` tries codes with the
record of a classic login until one opens it. The record of a hardened login, ``HardenedRecord``,
allows no such test: ``opens`` checks a guess, but needs a secret of the client or the server.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.framing import End, Stream
from protocol.classic.dialects import DIALECTS
from protocol.classic.suites import Classic
from protocol.common.codes import Code
from protocol.common.primitives import aes_ctr, evp_bytes_to_key, md5
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ServerHello,
    ServerShare,
)
from protocol.hardened.key_schedule import code_scalar, greeting_transcript, login_transcript
from protocol.hardened.spake2 import Blinding, Identities, admit_share, agree, client_secret
from protocol.hardened.suites import HARDENED_SUITES


@dataclass
class Cable:
    """The recorded bytes; ``url`` is the address for the client."""

    url: str = ""
    sent: bytearray = field(default_factory=bytearray)
    came: bytearray = field(default_factory=bytearray)

    def requests(self) -> list[bytes]:
        """The body of each request."""
        return list(_bodies(self.sent, Stream()))

    def answers(self) -> list[bytes]:
        """The body of each answer."""
        return list(_bodies(self.came, Stream(lambda: False)))


def _bodies(data: bytes | bytearray, stream: Stream) -> Iterator[bytes]:
    message = b""
    for event in stream.feed(bytes(data)):
        if isinstance(event, bytes):
            message += event
        elif event is End.END:
            yield message.partition(b"\r\n\r\n")[2]
            message = b""


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Cable]:
    """A recording proxy to ``port``, for one connection at a time."""
    cable = Cable()

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
    ) -> None:
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                heard += data
                writer.write(data)
                await writer.drain()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            carry(reader, far_writer, cable.sent),
            carry(far_reader, writer, cable.came),
            return_exceptions=True,
        )

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    cable.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cable
    finally:
        server.close()


# --- classic ---


def classic_code(payload_b64: str, guesses: Iterable[str]) -> str | None:
    """The code that opens the payload of a login in ``article-2016``, if it is among ``guesses``.

    The first bytes of the plaintext are known, which is enough to recognize the right code. An
    attacker can try codes on a recorded login without limit.
    """
    payload = base64.b64decode(payload_b64)
    start = payload[:16]
    for guess in guesses:
        key, iv = evp_bytes_to_key(md5(guess.encode()).hex().encode())
        if aes_ctr(key, iv, start).startswith(b'{"'):
            plaintext, opened = _ARTICLE.open(
                _ARTICLE.code_passphrase(Code(guess)), payload_b64, None
            )
            if opened and _is_json(plaintext):
                return guess
    return None


_ARTICLE = Classic(DIALECTS["article-2016"])


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


# --- ecdh-gcm ---


@dataclass(frozen=True)
class HardenedRecord:
    """The messages up to ClientConfirmation; ServerConfirmation does not reveal more."""

    hello: ClientHello
    greeting: ServerHello
    client_share: ClientShare
    server_share: ServerShare
    client_confirmation: ClientConfirmation

    @classmethod
    def of(cls, cable: Cable) -> "HardenedRecord":
        """The first recorded login, in JSON."""
        m0, m2, m4, *_ = cable.requests()
        m1, m3, *_ = cable.answers()
        return cls(
            ClientHello.parse("json", m0),
            ServerHello.parse("json", m1),
            ClientShare.parse("json", m2),
            ServerShare.parse("json", m3),
            ClientConfirmation.parse("json", m4),
        )

    def w_of(self, guess: str) -> int:
        """The number w for a guess of the code; its other inputs are public."""
        return code_scalar(
            guess,
            HARDENED_SUITES[self.greeting.suite],
            self.hello.username,
            self.greeting.session_id,
            self.greeting.server_nonce,
        )

    def opens(self, guess: str, secrets: Iterable[bytes], realm: str) -> bool:
        """Whether ``guess``, with one of ``secrets`` as K, gives the cA that was sent."""
        hello, greeting = self.hello, self.greeting
        p_a, p_b = self.client_share.p_a, self.server_share.p_b
        th0 = greeting_transcript(hello, greeting, realm)
        who, th = Identities.of(hello.username, realm), login_transcript(th0, p_a, p_b)
        w, told = self.w_of(guess), self.client_confirmation.confirmation
        return any(agree(who, p_a, p_b, k, w, th).confirm_client == told for k in secrets)

    def secret_with(self, guess: str, x: int) -> bytes | None:
        """K for a guess, from the client's secret x, which a listener does not have."""
        share = admit_share(self.server_share.p_b)
        assert share is not None
        return client_secret(Blinding.of(self.w_of(guess)), x, share)

    def public_points(self, guess: str) -> list[bytes]:
        """Every point that a listener can compute with a guess.

        These are the sent points, unblinded or not, and the sums and differences of any two of
        them. None of these is K, for any guess.
        """
        blinding = Blinding.of(self.w_of(guess))
        p_a, p_b = admit_share(self.client_share.p_a), admit_share(self.server_share.p_b)
        assert p_a is not None
        assert p_b is not None
        x_g, y_g = p_a.minus(blinding.w_m), p_b.minus(blinding.w_n)
        points = [p_a, p_b, x_g, y_g, blinding.w_m, blinding.w_n]
        pairs = [(a, b) for a in points for b in points if a is not b]
        points += [a.plus(b) for a, b in pairs] + [a.minus(b) for a, b in pairs]
        points += [point.times(blinding.w) for point in (x_g, y_g)]
        return [point.encode() for point in points if not point.is_infinity()]


def members(body: bytes) -> dict[str, Any]:
    """A message of the classic suite."""
    value = json.loads(body)
    assert isinstance(value, dict)
    return value
