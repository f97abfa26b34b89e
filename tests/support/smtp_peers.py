"""A mail server with an answer of the test for each step, also answers of no real server."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

# Instead of an answer: close the connection, never answer, or send single bytes at intervals.
CUT, HANG, DRIP = "(cut)", "(hang)", "(drip)"
GARBAGE, TOO_LONG, ENDLESS = "hello there", "250 " + "x" * 9000, "250-" + "x" * 70_000
# Several lines, the last one without a hyphen after its number (RFC 5321 §4.2.1).
LINES = "250-mail.test is\r\n250-glad to\r\n250 hear it"

STEPS = ("banner", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "end")
USUAL = {
    "banner": "220 mail.test",
    "STARTTLS": "454 not today",
    "AUTH": "235 welcome",
    "DATA": "354 go ahead",
    "QUIT": "221 bye",
}


@dataclass
class ScriptedPeer:
    """``answers`` to a step are sent one after another; after them, the usual one.

    ``"RCPT bob@example.org"`` is for that recipient only.
    """

    answers: dict[str, list[str]] = field(default_factory=dict)
    offers: tuple[str, ...] = ("AUTH PLAIN",)
    port: int = 0
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    # The complete mails, each with its final dot, and their recipients.
    mails: list[tuple[str, bytes]] = field(default_factory=list)

    def to(self, address: str) -> list[bytes]:
        return [content for recipient, content in self.mails if recipient == address]

    def said(self, verb: str) -> list[str]:
        """The commands with this beginning."""
        return [command for command in self.commands if command.startswith(verb)]

    def _answer(self, step: str, line: str = "") -> str:
        to = line.partition("<")[2].partition(">")[0]
        for name in (f"{step} {to}", step):
            if self.answers.get(name):
                return self.answers[name].pop(0)
        if step == "EHLO":
            return "\r\n".join(
                ["250-mail.test", *(f"250-{word}" for word in self.offers), "250 OK"]
            )
        return USUAL.get(step, "250 OK")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer, recipient = self._answer("banner"), ""
        while await _say(writer, answer):
            line = (await reader.readuntil(b"\r\n")).decode()[:-2]
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            if verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
            answer = self._answer(verb, line)
            if verb == "DATA" and answer.startswith("354"):
                await _say(writer, answer)
                content = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append((recipient, content[:-3]))
                answer = self._answer("end", f"<{recipient}>")


async def _say(writer: asyncio.StreamWriter, answer: str) -> bool:
    """Answer a command; whether the connection stays open."""
    if answer == CUT:
        return False
    if answer == HANG:
        await asyncio.Event().wait()
    while answer == DRIP:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(answer.encode() + b"\r\n")
    await writer.drain()
    return not answer.startswith(("421", "221"))


@asynccontextmanager
async def listening_peer(peer: ScriptedPeer) -> AsyncIterator[ScriptedPeer]:
    """``peer`` on a port of loopback."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        try:
            await peer.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            talks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**20)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in tuple(talks):
            task.cancel()
        await server.wait_closed()


def credentials(command: str) -> list[str]:
    """User name and password of AUTH PLAIN."""
    return base64.b64decode(command.split()[2]).decode().split("\0")[1:]
