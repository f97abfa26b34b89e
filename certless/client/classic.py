"""The classic suite at the Python client, in one dialect (PROTOCOL §3.3 to §3.5)."""

import asyncio
import secrets
from dataclasses import replace

from protocol.classic.client_exchange import ClientExchange, ClientKeys
from protocol.classic.dialects import Dialect
from protocol.classic.suites import Classic
from protocol.common.codec import JsonObject, parse_json_envelope, serialize_json
from protocol.common.codes import CLASSIC_CODE_CHARS, Code
from protocol.common.errors import MalformedMessage
from protocol.common.messages import (
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SessionGrant,
    SessionRequest,
)
from protocol.common.primitives import RsaPrivateKey
from protocol.common.typed_codes import read_classic_code

from .clock import Clock
from .errors import (
    CodeNotAccepted,
    NoGateway,
    NotLoggedIn,
    Refused,
    SuiteNotAccepted,
    answers_checked,
)
from .protocol import ClientProtocol, CodeEntry, given_code
from .request import as_text, with_values
from .sockets import SocketCall, WebSocket
from .streams import StreamCall, StreamResponse
from .transport import MESSAGE_BYTES, SMALL_ANSWER_BYTES, Transport


def _read_code(given: str) -> Code:
    return given_code(
        read_classic_code(given),
        f"no code found: a code has {CLASSIC_CODE_CHARS} letters and digits. "
        "Copy the whole line from the mail, or the whole mail",
    )


# PROTOCOL §3.3.3: two payloads under one code would share a key stream.
_THEN = (
    "If the code was wrong, type it again (at most 5 times). If it was right, it is used up now: "
    "check the clock of this machine and ask for a new code"
)


class ClassicClientProtocol(ClientProtocol):
    """A session in ``dialect``. Every request is sent to ``{prefix}/message``."""

    def __init__(self, transport: Transport, dialect: Dialect, clock: Clock) -> None:
        self._transport = transport
        self._dialect = dialect
        self._exchange = ClientExchange(Classic(dialect))
        self._clock = clock
        self._token = ""
        self._keys: ClientKeys | None = None

    async def login(
        self, username: str, entry: CodeEntry, password: str | None, device: str | None
    ) -> None:
        if device is not None:
            raise ValueError("classic has no codes of devices: choose another suite")
        names = self._dialect.names
        # Generate the key while the user reads the mail.
        pair_task = asyncio.create_task(asyncio.to_thread(RsaPrivateKey.generate))
        try:
            asked = SessionRequest(username).serialize(names)
            with answers_checked():
                token = SessionGrant.parse(await self._begin(asked), names).token

            async def redeem(code: Code) -> ClientKeys:
                return await self._redeem(token, code, await pair_task, password)

            self._keys = await entry.enter(_read_code, redeem)
            self._token = token
        finally:
            pair_task.cancel()

    async def _begin(self, asked: JsonObject) -> JsonObject:
        try:
            return await self._post(self._dialect.paths.session, asked)
        except Refused as error:
            if error.code != "unsupported_suite":
                raise
            raise SuiteNotAccepted(error.status, "classic") from None

    async def _redeem(
        self, token: str, code: Code, pair: RsaPrivateKey, password: str | None
    ) -> ClientKeys:
        names = self._dialect.names
        message, pending = self._exchange.seal_login(
            token, code, pair, self._clock(), secrets.token_bytes, password
        )
        try:
            reply = await self._post(self._dialect.paths.authenticate, message.serialize(names))
        except Refused as error:
            if error.code != "rejected":
                raise
            raise CodeNotAccepted(error.status, error.code, "dialect", _THEN) from None
        with answers_checked():
            return pending.open(SealedMessage.parse(reply, names))

    async def resume(self) -> None:
        raise NotLoggedIn("classic has no tickets: log in with a code")

    async def send(self, request: HttpRequest) -> HttpResponse:
        token, keys = self._session()
        # The JSON of a classic message cannot say that a value is bytes.
        request = replace(request, headers=with_values(request.headers, as_text))
        message, pending = self._exchange.seal_request(
            token, keys, request, self._clock(), secrets.token_bytes
        )
        names = self._dialect.names
        message_route = self._dialect.paths.message
        reply = await self._post(message_route, message.serialize(names), MESSAGE_BYTES)
        with answers_checked():
            return pending.open(SealedMessage.parse(reply, names))

    async def stream(self, call: StreamCall) -> StreamResponse:
        raise ValueError("classic has no streams: choose another suite")

    async def socket(self, call: SocketCall) -> WebSocket:
        raise ValueError("classic has no WebSockets: use a hardened suite")

    def export(self, label: str, context: bytes, length: int) -> bytes:
        raise ValueError("classic exports no values: use a hardened suite")

    async def logout(self) -> None:
        token, keys = self._session()
        message, pending = self._exchange.seal_fields(
            token, keys, {}, self._clock(), secrets.token_bytes
        )
        names = self._dialect.names
        try:
            reply = await self._post(self._dialect.paths.logout, message.serialize(names))
        except Refused as error:
            # If the gateway does not know the session, it has ended already.
            if error.code != "rejected":
                raise
        else:
            with answers_checked():
                pending.open_plaintext(SealedMessage.parse(reply, names))
        self._keys = None

    def _session(self) -> tuple[str, ClientKeys]:
        if self._keys is None:
            raise NotLoggedIn("there is no session: call login first")
        return self._token, self._keys

    async def _post(
        self, path: str, members: JsonObject, most: int = SMALL_ANSWER_BYTES
    ) -> JsonObject:
        answer = await self._transport.post(path, serialize_json(members), "json", most)
        try:
            return parse_json_envelope(answer)
        except MalformedMessage:
            raise NoGateway(200) from None
