"""The targets of measurements: a server process on its core, and messages sealed for it.

A corpus is made before it is sent, with its own sessions. Every message has its own passphrase and
nonce, no session gets more messages than its limit, and the load generator encrypts nothing.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.processes import Process, Server
from bench.results import ROOT
from bench.server import DIALECT, ROUTE
from gateway.clock import system_clock
from protocol.classic.client_exchange import (
    ClientExchange,
    ClientKeys,
    PendingLogin,
    PendingResponse,
)
from protocol.classic.dialects import DEFAULT_PREFIX, DIALECTS
from protocol.classic.freshness import MAX_MESSAGES
from protocol.classic.suites import Classic
from protocol.common.codec import parse_json_object, serialize_json
from protocol.common.codes import Code
from protocol.common.messages import HttpRequest, SealedMessage
from protocol.common.primitives import RsaPrivateKey
from protocol.common.rsa_keys import validate_public_key

NODE_SERVER = ROOT / "bench" / "node_server.mjs"
BODY_BYTES = 1024

_SUITE = Classic(DIALECTS[DIALECT])
_NAMES = _SUITE.dialect.names
_PATHS = _SUITE.dialect.paths
_CLIENT = ClientExchange(_SUITE)


def _order() -> dict[str, Any]:
    """A JSON object of ``BODY_BYTES`` in compact form: numbers, booleans, lists, some UTF-8."""
    lines = [
        {"id": number, "name": f"tea no. {number}", "price": 4.5, "fresh": True}
        for number in range(12)
    ]
    order = {"customer": "Räksmörgås", "lines": lines, "note": ""}
    order["note"] = "x" * (BODY_BYTES - len(serialize_json(order)))
    return order


ORDER = _order()
ORDER_JSON = serialize_json(ORDER)
assert len(ORDER_JSON) == BODY_BYTES


def node(mode: str) -> list[str]:
    """The command of the Node server in one of its modes."""
    return ["node", str(NODE_SERVER), mode]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The client's side of a session."""

    token: str
    keys: ClientKeys


class Target:
    """One server and one way to call it. This one: the bare echo, without a session."""

    path = ROUTE
    content_type = "application/json"

    def __init__(self, server: Process, http: aiohttp.ClientSession) -> None:
        self.server = server
        self._http = http

    async def codes(self, count: int) -> dict[str, str]:
        """The codes of the last ``count`` logins, by address; the server prints them."""
        assert isinstance(self.server, Server)
        lines = [await self.server.line() for _ in range(count)]
        return {line["address"]: line["code"] for line in lines}

    @property
    def url(self) -> str:
        return self.server.url + self.path

    async def corpus(self, count: int) -> Iterator[bytes]:
        """``count`` request bodies, none of them sent before; the echo repeats one."""
        return iter([ORDER_JSON])

    async def check(self) -> None:
        """One call: the echo must equal the request. Raises: AssertionError."""
        assert await self.post(self.path, ORDER) == ORDER

    async def post(self, path: str, members: Any) -> dict[str, Any]:
        """The response to ``members``. Raises: AssertionError, if the status is not a success."""
        async with self._http.post(self.server.url + path, data=serialize_json(members)) as answer:
            body = await answer.read()
            assert answer.status < 300, f"{path}: {answer.status} {body[:200]!r}"
            return parse_json_object(body)


class SealedTarget(Target):
    """An echo behind a session; calls go through ``{prefix}/message``."""

    path = DEFAULT_PREFIX + _PATHS.message

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        super().__init__(server, http)
        self._pair = RsaPrivateKey.generate()

    async def open_session(self) -> OpenSession:
        """A new session."""
        raise NotImplementedError

    def seal(self, session: OpenSession) -> tuple[dict[str, Any], PendingResponse]:
        """One message, and a function that opens its response."""
        inside = HttpRequest("POST", ROUTE, (("Content-Type", "application/json"),), ORDER_JSON)
        message, pending = _CLIENT.seal_request(
            session.token, session.keys, inside, system_clock(), secrets.token_bytes
        )
        return message.serialize(_NAMES), pending

    def open(self, pending: PendingResponse, answer: dict[str, Any]) -> Any:
        """The JSON that the handler answered."""
        return json.loads(pending.open(SealedMessage.parse(answer, _NAMES)).body)

    async def corpus(self, count: int) -> Iterator[bytes]:
        sessions = [await self.open_session() for _ in range(-(-count // MAX_MESSAGES))]
        return (serialize_json(self.seal(sessions[n % len(sessions)])[0]) for n in range(count))

    async def check(self) -> None:
        message, pending = self.seal(await self.open_session())
        assert self.open(pending, await self.post(self.path, message)) == ORDER


class CertlessTarget(SealedTarget):
    """Certless, with a login like any client; the codes come from the server's output."""

    logins = 0

    async def request_code(self) -> tuple[str, str]:
        """A token for a new user, and the user's address."""
        CertlessTarget.logins += 1
        address = f"user{CertlessTarget.logins}@example.org"
        path = DEFAULT_PREFIX + _PATHS.session
        return str((await self.post(path, {_NAMES.username: address}))[_NAMES.token]), address

    async def send_login(self, token: str, code: str) -> tuple[SealedMessage, PendingLogin]:
        """The response to a login, and a function that opens it."""
        message, pending = _CLIENT.seal_login(
            token, Code(code), self._pair, system_clock(), secrets.token_bytes
        )
        path = DEFAULT_PREFIX + _PATHS.authenticate
        answer = await self.post(path, message.serialize(_NAMES))
        return SealedMessage.parse(answer, _NAMES), pending

    async def open_session(self) -> OpenSession:
        token, address = await self.request_code()
        answer, pending = await self.send_login(token, (await self.codes(1))[address])
        return OpenSession(token, pending.open(answer))


class InPlaceTarget(CertlessTarget):
    """Certless, with the message sent to the route itself."""

    path = ROUTE

    def seal(self, session: OpenSession) -> tuple[dict[str, Any], PendingResponse]:
        message, pending = _CLIENT.seal_fields(
            session.token, session.keys, ORDER, system_clock(), secrets.token_bytes
        )
        return message.serialize(_NAMES), pending

    def open(self, pending: PendingResponse, answer: dict[str, Any]) -> Any:
        return json.loads(pending.open_plaintext(SealedMessage.parse(answer, _NAMES)))


class NodeTarget(SealedTarget):
    """The Node server, which opens a session on request."""

    async def open_session(self) -> OpenSession:
        answer = await self.post("/sessions", {"publicKey": self._pair.public.to_pem()})
        return OpenSession(
            answer["token"], ClientKeys(self._pair, validate_public_key(answer["publicKey"]))
        )
