"""The main job with real parts: SMTP, an upstream, Node, SQLite, and a gateway killed with -9."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from mailboxes import Mailbox, a_free_port, smtp_server
from processes import ROOT, program, python, until_listening

from certless.client import Client
from gateway.clock import system_clock
from gateway.config.settings import find_dialect
from protocol.classic.client_exchange import ClientExchange, ClientKeys
from protocol.classic.suites import Classic
from protocol.common.codec import JsonObject
from protocol.common.codes import Code
from protocol.common.messages import HttpRequest, SealedMessage
from protocol.common.primitives import RsaPrivateKey

DIALECT = "article-2016"


@asynccontextmanager
async def upstream(journal: Path) -> AsyncIterator[int]:
    port = a_free_port()
    program = str(ROOT / "tests" / "support" / "journal_upstream.py")
    async with python(program, str(port), str(journal)) as process:
        await until_listening(port, process)
        yield port


@asynccontextmanager
async def gateway(
    port: int, upstream_port: int, smtp_port: int, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``certless serve`` as an operator starts it."""
    arguments = [
        *("-m", "gateway", "serve", "--listen", f"127.0.0.1:{port}", "--any-address"),
        *("--upstream", f"http://127.0.0.1:{upstream_port}"),
        *("--mail", f"smtp://127.0.0.1:{smtp_port}", "--dialect", DIALECT),
        *("--store", f"sqlite:{folder / 'db'}", "--key-file", str(folder / "key")),
    ]
    with (folder / "log").open("ab") as log:
        async with python(*arguments, stderr=log) as process:
            await until_listening(port, process)
            yield process


async def test_a_node_program_logs_in_with_a_code_from_a_real_mail(tmp_path: Path) -> None:
    port, journal = a_free_port(), tmp_path / "journal"
    async with upstream(journal) as behind, smtp_server() as mailbox:
        async with gateway(port, behind, mailbox.port, tmp_path):
            client = str(ROOT / "examples" / "node_client.mjs")
            async with program(
                *("node", client, f"http://127.0.0.1:{port}", "ann@example.org"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            ) as node:
                code = await mailbox.code()
                async with asyncio.timeout(30):
                    out, err = await node.communicate(f"{code}\n".encode())
    assert (node.returncode, err) == (0, b"")
    assert out.decode().split(": ", 1)[1] == '201 {"id": "none", "user": "ann@example.org"}\n'
    assert code.encode() not in (tmp_path / "log").read_bytes()


class Session:
    """A session whose sealed messages can be sent again, byte for byte."""

    def __init__(self, url: str, token: str, keys: ClientKeys, exchange: ClientExchange) -> None:
        self.url = url
        self.token = token
        self.keys = keys
        self.exchange = exchange

    @classmethod
    async def login(cls, url: str, username: str, mailbox: Mailbox) -> "Session":
        exchange = ClientExchange(Classic(find_dialect(DIALECT)))
        names = exchange.suite.dialect.names
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{url}/.gateway/session", json={"username": username}) as answer:
                token = (await answer.json())["token"]
            message, pending = exchange.seal_login(
                token,
                Code(await mailbox.code()),
                RsaPrivateKey.generate(),
                system_clock(),
                secrets.token_bytes,
            )
            async with http.post(
                f"{url}/.gateway/session/authenticate", json=message.serialize(names)
            ) as answer:
                keys = pending.open(SealedMessage.parse(await answer.json(), names))
        return cls(url, token, keys, exchange)

    def order(self, identity: str) -> JsonObject:
        body = json.dumps({"id": identity}).encode()
        request = HttpRequest("POST", "/orders", (("Content-Type", "application/json"),), body)
        message, _ = self.exchange.seal_request(
            self.token, self.keys, request, system_clock(), secrets.token_bytes
        )
        return message.serialize(self.exchange.suite.dialect.names)

    async def send(self, http: aiohttp.ClientSession, message: JsonObject) -> int | None:
        """The status, or None where there was no answer."""
        try:
            async with http.post(f"{self.url}/.gateway/message", json=message) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError:
            return None


async def test_killed_in_the_middle_of_traffic_nothing_runs_twice_and_sessions_go_on(
    tmp_path: Path,
) -> None:
    port, journal = a_free_port(), tmp_path / "journal"
    url = f"http://127.0.0.1:{port}"
    sent: dict[str, JsonObject] = {}
    answered: Counter[str] = Counter()
    busy = asyncio.Event()
    async with upstream(journal) as behind, smtp_server() as mailbox:
        async with gateway(port, behind, mailbox.port, tmp_path) as process:
            users = ("ann@example.org", "bob@example.org")
            sessions = [await Session.login(url, user, mailbox) for user in users]
            async with aiohttp.ClientSession() as http:

                async def traffic(session: Session, worker: int) -> None:
                    for n in range(200):
                        identity = f"{worker}-{n}"
                        sent[identity] = session.order(identity)
                        status = await session.send(http, sent[identity])
                        answered[identity] += status == 200
                        if sum(answered.values()) >= 60:
                            busy.set()
                        if status is None:
                            return

                async def killer() -> None:
                    await busy.wait()
                    process.kill()
                    await process.wait()

                await asyncio.gather(killer(), *(traffic(sessions[n % 2], n) for n in range(6)))
        before = Counter(journal.read_text().split())
        assert sum(answered.values()) >= 60

        async with gateway(port, behind, mailbox.port, tmp_path):
            async with aiohttp.ClientSession() as http:
                again: dict[str, int | None] = {}
                for identity, message in sent.items():
                    session = sessions[int(identity.split("-")[0]) % 2]
                    again[identity] = await session.send(http, message)
                for session in sessions:
                    assert await session.send(http, session.order(f"new-{id(session)}")) == 200
        ran = Counter(journal.read_text().split())

    assert max(ran.values()) == 1
    # What was answered has run, and is refused now; what ran before the kill is refused as well.
    for identity, count in answered.items():
        if count:
            assert ran[identity] == 1
            assert again[identity] == 403
    assert all(again[identity] == 403 for identity in before)
    # What the gateway had not claimed is no replay: it runs now.
    assert all(ran[identity] == 1 for identity, status in again.items() if status == 200)


async def test_smtp_down_loses_nothing(tmp_path: Path) -> None:
    port, smtp_port = a_free_port(), a_free_port()
    async with upstream(tmp_path / "journal") as behind:
        async with gateway(port, behind, smtp_port, tmp_path):
            url = f"http://127.0.0.1:{port}"
            async with Client(url, dialect=DIALECT) as client:

                async def code() -> str:
                    # The login was answered while nothing listened there.
                    async with smtp_server(port=smtp_port) as mailbox:
                        return await mailbox.code()

                await client.login("ann@example.org", code=code)
                answer = await client.post("/orders", json={"id": "1"})
                assert await answer.json() == {"id": "1", "user": "ann@example.org"}
    log = (tmp_path / "log").read_text()
    assert f"SMTP server 127.0.0.1:{smtp_port} does not answer" in log
    assert "Traceback" not in log
