"""Logged-in clients of each suite, which seal the worst known inputs."""

import json
import secrets
from dataclasses import dataclass

from bench.stalls_inputs import json_texts, requests, values
from bench.stalls_server import ANSWERS, HEX
from bench.stalls_visit import Bodies, Visit
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

MOST = DEFAULT_MAX_BODY_BYTES
# Sealed content becomes a third longer in base64, or twice as long in hex.
SEALED_MOST = {"base64": MOST // 4 * 3 - 1024, "hex": MOST // 2 - 1024}


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
