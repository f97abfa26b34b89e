"""How long one request can block the loop, for each route, suite, format and adapter.

Each route gets the worst known 8 MiB, while another client requests a cheap page every few
milliseconds. A row is the worst result of its route: how long the server's loop was blocked (CPU
time of its thread), and the longest wait of the other client.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import aiohttp
import msgpack

from bench.run import cores
from bench.stalls_server import ANSWERS, HEX, MIB
from bench.targets import Server, python
from gateway.clock import system_clock
from gateway.config.options import DEFAULT_MAX_BODY_BYTES
from protocol.classic.client_exchange import ClientExchange, ClientKeys
from protocol.classic.dialects import DEFAULT_PREFIX, DIALECTS
from protocol.classic.suites import Classic
from protocol.common.codec import serialize_json
from protocol.common.codes import Code
from protocol.common.messages import HttpRequest, SealedMessage
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.client_handshake import begin_login
from protocol.hardened.client_session import ClientSession, seal_request
from protocol.hardened.handshake_messages import ServerConfirmation, ServerHello, ServerShare
from protocol.hardened.suites import DEFAULT_REALM, HARDENED_SUITES

AIM_S = 0.1
PING_EVERY_S = 0.003
TRIES = 4
CLASSIC = ("article-2016", "sfet-3", "sfet-4-gcm", HEX.name)
LOGIN_ROUTES = (
    *("/session", "/session/authenticate", "/session/logout"),
    *("/session/hello", "/session/share", "/session/confirm"),
    *("/session/resume", "/session/resume/confirm"),
)
MOST = DEFAULT_MAX_BODY_BYTES
# Sealed content becomes a third longer in base64, or twice as long in hex.
SEALED_MOST = {"base64": MOST // 4 * 3 - 1024, "hex": MOST // 2 - 1024}


def filled(unit: str, most: int, before: str = "", after: str = "") -> bytes:
    """``unit`` repeated, up to ``most`` bytes."""
    room = most - len((before + after).encode())
    return (before + unit * (room // len(unit.encode())) + after).encode()


def json_texts(most: int) -> Iterator[tuple[str, bytes]]:
    """Objects that take long to parse or to reject."""
    yield "small lists", filled("[],", most, '{"a":[', "[]]}")
    yield "small objects", filled("{},", most, '{"a":[', "{}]}")
    yield "numbers", filled("1,", most, '{"a":[', "1]}")
    yield "empty strings", filled('"",', most, '{"a":[', '""]}')
    yield "one deep nest", b"[" * most
    yield "4000 lists, then quotes", filled('"', most, "[" * 4000)
    yield "4000 lists, then a string", filled("x", most, "[" * 4000 + '"')
    yield "4000 lists, then escapes", filled("\\\\", most, "[" * 4000 + '"')
    yield "escapes", filled("\\n", most, '{"a":"', '"}')
    yield "unicode escapes", filled("\\u00e9", most, '{"a":"', '"}')
    yield "an escape and emoji", filled("\U0001f600", most, '{"a":"\\u00e9', '"}')
    yield "spaces", filled(" ", most)
    yield "one long integer", filled("1", most, '{"a":', "}")
    yield "one long fraction", filled("1", most, '{"a":0.', "}")
    yield "members", json.dumps({f"{n:x}": 1 for n in range(most // 13)}).encode()[:most]
    yield (
        "4000 values, then a string",
        filled("x", most, '{"b":[' + "[]," * 1990 + '[]],"a":"', '"}'),
    )
    key = "k" * 344
    ready = f'{{"token":"{"t" * 36}","key":"{key}","payload":"'
    yield "no session", filled("QUJD", most, ready, '"}')
    yield "no session, no base64", filled("=-", most, ready, '"}')
    header = base64.b64encode(b"CG1" + bytes(64)).decode()
    sealed = f'{{"header":"{header}","salt":"{"AAAA" * 5}AA==","sealed":"'
    yield "no hardened session", filled("QUJD", most, sealed, '"}')


def msgpack_texts(most: int) -> Iterator[tuple[str, bytes]]:
    yield "text", msgpack.packb({"a": "é" * (most // 2 - 64)})
    yield "one deep nest", b"\x91" * most
    yield "small lists", b"\xdd" + (most - 8).to_bytes(4) + b"\x90" * (most - 8)
    yield "lists of lists", msgpack.packb([[[1] * 128] * 7] * 128)[:most]
    yield "long names", msgpack.packb({"n" * (most - 64): 1})
    yield (
        "no session",
        msgpack.packb(
            {"header": b"CG1" + bytes(64), "salt": bytes(16), "sealed": bytes(most - 200)}
        ),
    )


def values(most: int) -> Iterator[tuple[str, str]]:
    """JSON values for the inside of a sealed message."""
    yield "letters", json.dumps("x" * (most - 2))
    yield "commas", json.dumps("," * (most - 2))
    yield "quotes", json.dumps('"' * (most // 2 - 2))
    yield "escapes", '"' + "\\u00e9" * (most // 6 - 2) + '"'
    yield "emoji", '"\\u00e9' + "\U0001f600" * (most // 4 - 10) + '"'
    yield "small lists", filled("[],", most, "[", "[]]").decode()
    yield "small objects", filled('{"":{}},', most, "[", "1]").decode()
    yield "numbers", filled("1,", most, "[", "1]").decode()
    many = ",".join(f'"{n:x}":1' for n in range(32_000))
    yield "32000 members and letters", f'[{{{many}}},"{"x" * (most - len(many) - 8)}"]'
    yield "32000 members and commas", f'[{{{many}}},"{"," * (most - len(many) - 8)}"]'
    quotes = '\\"' * (most // 2 - 60_000)
    yield "16000 objects and quotes", "[" + "{}," * 16_000 + f'"{quotes}"]'
    yield "one deep nest", "[" * (most // 2) + "]" * (most // 2)


def requests(most: int) -> Iterator[tuple[str, HttpRequest]]:
    """Requests for the inside of a sealed message."""

    def request(headers: tuple[tuple[str, str], ...] = (), body: bytes = b"") -> HttpRequest:
        return HttpRequest("POST", "/x", headers, body)

    yield "random bytes", request(body=secrets.token_bytes(most * 3 // 4 - 512))
    yield "letters", request(body=b"x" * (most - 512))
    yield "a long header", request((("X", "x" * (most - 512)),))
    yield "Connection of many names", request((("Connection", "a," * (most // 2 - 512)),))
    yield "a long method", HttpRequest("M" * (most - 512), "/x", (), b"")
    yield "many headers", request((("X", "y"),) * (most // 32))
    yield "long target", HttpRequest("GET", "/" + "%41" * (most // 8), (), b"")
    for kind in ANSWERS:
        yield f"an answer of {kind}", HttpRequest("GET", f"/x?{kind.replace(' ', '%20')}", (), b"")


@dataclass(slots=True)
class Row:
    """The worst result of one route."""

    route: str
    held_s: float = 0.0
    worst: str = ""
    waited_s: float = 0.0

    def see(self, name: str, status: int, held_s: float, waited_s: float) -> None:
        if held_s > self.held_s:
            self.held_s, self.worst = held_s, f"{name} ({status})"
        self.waited_s = max(self.waited_s, waited_s)


class Visit:
    """One server, the attacker's requests, and those of another client."""

    def __init__(self, server: Server, http: aiohttp.ClientSession, title: str) -> None:
        self.server, self.http, self.title = server, http, title

    async def held_s(self) -> float:
        async with self.http.get(self.server.url + "/held") as answer:
            return float((await answer.json(content_type=None))["held_s"])

    async def post(self, path: str, body: bytes, form: str = "json") -> tuple[int, bytes]:
        headers = {"Content-Type": f"application/{form}"}
        async with self.http.post(self.server.url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def _ping(self, waits: list[float]) -> None:
        while True:
            began_s = time.perf_counter()
            # A missing page below the prefix: no login, no work.
            async with self.http.get(self.server.url + DEFAULT_PREFIX + "/none") as answer:
                await answer.read()
            waits.append(time.perf_counter() - began_s)
            await asyncio.sleep(PING_EVERY_S)

    async def _once(self, path: str, body: bytes, form: str) -> tuple[int, float, float]:
        """The status, how long the loop was blocked, and how long the other client waited."""
        await self.held_s()
        waits: list[float] = []
        pinger = asyncio.create_task(self._ping(waits))
        try:
            status = (await self.post(path, body, form))[0]
        except aiohttp.ClientError:
            status = 0  # closed upon us, as after a refusal that is not read
        pinger.cancel()
        await asyncio.wait([pinger])
        return status, await self.held_s(), max(waits, default=0.0)

    async def measure(
        self, route: str, bodies: Iterator[tuple[str, Callable[[], tuple[str, bytes, str]]]]
    ) -> Row:
        """The worst of ``bodies``; each returns path, body and format when called."""
        row = Row(route)
        for name, make in bodies:
            # Other programs on the machine only add time, so the best of some tries counts.
            tries = [await self._once(*make())]
            while tries[-1][1] > AIM_S / 2 and len(tries) < TRIES:
                tries.append(await self._once(*make()))
            row.see(name, *min(tries, key=lambda one: one[1]))
        print(
            f"| {self.title} | {row.route} | {row.worst} | {row.held_s * 1000:.0f} "
            f"| {row.waited_s * 1000:.0f} |",
            flush=True,
        )
        return row


Bodies = Iterator[tuple[str, Callable[[], tuple[str, bytes, str]]]]


def plain(path: str, forms: tuple[str, ...]) -> Bodies:
    """Requests to ``path`` that need no login."""
    for form in forms:
        texts = json_texts if form == "json" else msgpack_texts
        for most in (MOST, 65_536):
            for name, body in texts(most):
                yield f"{form}: {name}", lambda body=body, form=form: (path, body, form)  # type: ignore[misc]


async def outside(visit: Visit) -> list[Row]:
    """Every route, without a login."""
    both = ("json", "msgpack")
    rows = [await visit.measure(path, plain(DEFAULT_PREFIX + path, both)) for path in LOGIN_ROUTES]
    rows.append(await visit.measure("/message", plain(DEFAULT_PREFIX + "/message", both)))
    rows.append(await visit.measure("in place", plain("/x", ("json",))))
    return rows


@dataclass(frozen=True, slots=True)
class ClassicClient:
    """A session in a dialect; seals any content."""

    suite: Classic
    token: str
    keys: ClientKeys

    @classmethod
    async def login(cls, visit: Visit, dialect: str) -> "ClassicClient":
        suite = Classic(HEX if dialect == HEX.name else DIALECTS[dialect])
        names, exchange = suite.dialect.names, ClientExchange(suite)
        _, told = await visit.post(DEFAULT_PREFIX + "/session", b'{"username":"a@example.org"}')
        token, code = json.loads(told)["token"], str((await visit.server.line())["code"])
        pair = RsaPrivateKey.generate()
        message, pending = exchange.seal_login(
            token, Code(code), pair, system_clock(), secrets.token_bytes
        )
        path = DEFAULT_PREFIX + "/session/authenticate"
        _, told = await visit.post(path, serialize_json(message.serialize(names)))
        return cls(suite, token, pending.open(SealedMessage.parse(json.loads(told), names)))

    def seal(self, plaintext: str) -> bytes:
        passphrase = self.suite.new_passphrase(secrets.token_bytes)
        iv = self.suite.new_iv(secrets.token_bytes)
        payload = self.suite.seal(passphrase, plaintext.encode(), iv)
        key = self.suite.wrap(self.keys.server_key, passphrase)
        names = self.suite.dialect.names
        members = SealedMessage(key, payload, iv).serialize(names)
        return serialize_json({names.token: self.token, **members})

    def fresh(self) -> str:
        return f'"timestamp":{system_clock()},"nonce":"{secrets.token_hex(16)}"'

    def payload(self, members: str) -> bytes:
        return self.seal(f"{{{self.fresh()},{members}}}")

    def whole(self) -> Bodies:
        """Whole messages (PROTOCOL §3.5.2)."""
        path, most = DEFAULT_PREFIX + "/message", SEALED_MOST[self.suite.dialect.encoding]
        for name, value in values(most - 256):
            yield (
                name,
                lambda value=value: (  # type: ignore[misc]
                    path,
                    self.payload(f'"request":{{"path":"/x","method":"POST","body":{value}}}'),
                    "json",
                ),
            )
        for name, request in requests(most - 256):
            yield (
                name,
                lambda request=request: (  # type: ignore[misc]
                    path,
                    self.payload(f'"request":{serialize_json(request.serialize()).decode()}'),
                    "json",
                ),
            )

    def in_place(self) -> Bodies:
        most = SEALED_MOST[self.suite.dialect.encoding]
        for name, value in values(most - 256):
            yield name, lambda value=value: ("/x", self.payload(f'"a":{value}'), "json")  # type: ignore[misc]
        for kind in ANSWERS:
            path = f"/x?{kind.replace(' ', '%20')}"
            yield f"an answer of {kind}", lambda path=path: (path, self.payload('"a":1'), "json")  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class HardenedClient:
    """A session in a hardened suite."""

    session: ClientSession
    pair: RsaPrivateKey | None

    @classmethod
    async def login(cls, visit: Visit, suite: str, username: str) -> "HardenedClient":
        async def post(path: str, message: bytes) -> bytes:
            status, told = await visit.post(DEFAULT_PREFIX + path, message, "msgpack")
            assert status == 200, told
            return told

        hello, greeted = begin_login(username, DEFAULT_REALM, secrets.token_bytes, [suite])
        told = await post("/session/hello", hello.serialize("msgpack"))
        awaited = greeted.open(ServerHello.parse("msgpack", told))
        share, shared = awaited.enter(
            Code(str((await visit.server.line())["code"])), secrets.token_bytes
        )
        told = await post("/session/share", share.serialize("msgpack"))
        pair = RsaPrivateKey.generate() if HARDENED_SUITES[suite].wraps else None
        message, pending = shared.open(
            ServerShare.parse("msgpack", told), pair.public if pair else None
        )
        told = await post("/session/confirm", message.serialize("msgpack"))
        confirmed = ServerConfirmation.parse("msgpack", told)
        return cls(pending.open(confirmed, system_clock())[0], pair)

    def _seal(self, request: HttpRequest, form: str) -> bytes:
        envelope, _, _ = seal_request(
            self.session, request, system_clock(), secrets.token_bytes, self.pair
        )
        return envelope.serialize("json" if form == "json" else "msgpack")

    def whole(self, form: str) -> Bodies:
        most = SEALED_MOST["base64"] if form == "json" else MOST - 1024
        for name, request in requests(most):
            yield (
                name,
                lambda request=request: (  # type: ignore[misc]
                    DEFAULT_PREFIX + "/message",
                    self._seal(request, form),
                    form,
                ),
            )

    def password(self, form: str) -> Bodies:
        """Requests to the second check, which stays open until a right password."""
        path = DEFAULT_PREFIX + "/session/authenticate"
        texts = [*json_texts(SEALED_MOST["base64"] - 512), *json_texts(65_536)]
        for name, text in texts:
            request = HttpRequest("POST", path, (), text)
            yield (
                name,
                lambda request=request: (  # type: ignore[misc]
                    DEFAULT_PREFIX + "/message",
                    self._seal(request, form),
                    form,
                ),
            )


async def in_classic(visit: Visit, dialect: str) -> list[Row]:
    client = await ClassicClient.login(visit, dialect)
    return [
        await visit.measure(f"classic {dialect}, /message", client.whole()),
        await visit.measure(f"classic {dialect}, in place", client.in_place()),
    ]


async def in_hardened(visit: Visit) -> list[Row]:
    rows = []
    for suite in HARDENED_SUITES:
        if suite in ("ecdh-gcm", "rsa-gcm"):
            for form in ("json", "msgpack"):
                client = await HardenedClient.login(visit, suite, f"a-{suite}-{form}@example.org")
                rows.append(await visit.measure(f"{suite} {form}, /message", client.whole(form)))
                client = await HardenedClient.login(visit, suite, f"p-{suite}-{form}@example.org")
                title = f"{suite} {form}, second check"
                rows.append(await visit.measure(title, client.password(form)))
    return rows


async def at(
    adapter: str, dialect: str, core: int, measure: Callable[[Visit], Awaitable[list[Row]]]
) -> list[Row]:
    server = await Server.start(core, python("bench.stalls_server", adapter, dialect))
    try:
        async with aiohttp.ClientSession() as http:
            await server.wait_until_idle()
            return await measure(Visit(server, http, adapter))
    finally:
        await server.stop()


async def run() -> None:
    core, _ = cores()
    print("| adapter | route | worst input (status) | loop held, CPU ms | others waited, ms |")
    print("|---|---|---|--:|--:|", flush=True)
    rows = []
    for adapter in ("aiohttp", "asgi"):
        rows += await at(adapter, CLASSIC[0], core, outside)
        for dialect in CLASSIC:
            rows += await at(
                adapter,
                dialect,
                core,
                lambda visit, dialect=dialect: in_classic(visit, dialect),  # type: ignore[misc]
            )
        rows += await at(adapter, CLASSIC[0], core, in_hardened)
    over = [row for row in rows if row.held_s > AIM_S]
    print(f"\n{len(rows)} routes, {len(over)} held the loop for more than {AIM_S * 1000:.0f} ms")


if __name__ == "__main__":
    assert MOST == 8 * MIB
    asyncio.run(run())
