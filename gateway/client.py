"""The Python client: log in with a code from the mail, then call the API as if in plain HTTP.

::

    async with Client("http://127.0.0.1:8440") as client:
        await client.login("ann@example.org", code=ask)
        response = await client.post("/orders", json={"item": "tea"})
        print(response.status, await response.json())

Every request goes as ``{prefix}/message``: method, path, headers and body are all sealed.
"""

import asyncio
import inspect
import secrets
from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from types import TracebackType
from typing import Any, Self, TypeAlias

import aiohttp
from yarl import URL

from protocol.client_exchange import ClientExchange, ClientKeys
from protocol.codec import JsonObject, JsonValue, parse_json_object, serialize_json
from protocol.codes import CLASSIC_CODE_CHARS, CODE_ALPHABET, Code
from protocol.dialects import DEFAULT_DIALECT, Dialect
from protocol.errors import MalformedMessage, ProtocolError
from protocol.messages import HttpRequest, SealedMessage, SessionGrant, SessionRequest
from protocol.primitives import RsaPrivateKey
from protocol.suites import Classic

from .client_request import http_request
from .client_response import (
    AnswerNotTrusted,
    ClientError,
    CodeMistyped,
    CodeNotAccepted,
    NotLoggedIn,
    Refused,
    RequestContext,
    Response,
)
from .config import DEFAULT_PREFIX, find_dialect, http_url, system_clock
from .sessions import Clock

__all__ = [
    "AnswerNotTrusted",
    "Client",
    "ClientError",
    "CodeMistyped",
    "CodeNotAccepted",
    "NotLoggedIn",
    "Refused",
    "Response",
]

CodeSource: TypeAlias = str | Callable[[], str | Awaitable[str]]

_MAX_ANSWER_BYTES = 64 * 1024 * 1024


def _plain(value: JsonValue, most: int) -> str:
    """What a server says of an error, fit to be shown: no control characters, not too much."""
    text = value if isinstance(value, str) else "unknown"
    return "".join(char if char.isprintable() else " " for char in text[:most])


async def _given(source: CodeSource) -> Code:
    given = source if isinstance(source, str) else source()
    text = "".join((await given if inspect.isawaitable(given) else given).split()).upper()
    if len(text) < CLASSIC_CODE_CHARS or not set(text) <= set(CODE_ALPHABET):
        raise CodeMistyped(
            f"a code has {CLASSIC_CODE_CHARS} letters and digits, and this is none: "
            "copy the whole line from the mail"
        )
    return Code(text)


class Client:
    """One user's session with one gateway."""

    def __init__(
        self,
        url: str,
        *,
        dialect: str | Dialect = DEFAULT_DIALECT,
        prefix: str = DEFAULT_PREFIX,
        timeout_s: float = 60,
        clock: Clock = system_clock,
    ) -> None:
        parsed = http_url(url)
        if parsed is None:
            raise ValueError("url must be like http://127.0.0.1:8440")
        self._url = parsed
        self._dialect = find_dialect(dialect) if isinstance(dialect, str) else dialect
        self._exchange = ClientExchange(Classic(self._dialect))
        self._prefix = prefix
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._http: aiohttp.ClientSession | None = None
        self._token = ""
        self._keys: ClientKeys | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections. The session on the server lives on until it expires."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def login(
        self,
        username: str,
        *,
        code: CodeSource,
        password: str | None = None,
        attempts: int = 1,
    ) -> None:
        """Name the user, get the code, open the session.

        ``code`` is asked once the mail is on its way: a function or coroutine function without
        arguments, or the code itself; white space and case do not matter. A function is asked
        up to ``attempts`` times (a code stands 5) while the gateway does not accept what it gives.
        Raises: ClientError, aiohttp.ClientError.
        """
        names = self._dialect.names
        # The key is made while the person reads the mail.
        pair_task = asyncio.create_task(asyncio.to_thread(RsaPrivateKey.generate))
        try:
            asked = SessionRequest(username).serialize(names)
            answer = await self._post(self._dialect.paths.session, asked)
            token = SessionGrant.parse(answer, names).token
            refused: set[str] = set()
            for left in reversed(range(attempts)):
                try:
                    given = await _given(code)
                    if given.text in refused:
                        # Two payloads under one code would share a key stream (PROTOCOL §4.4).
                        raise CodeMistyped("this code was not accepted before: ask for a new one")
                    refused.add(given.text)
                    self._keys = await self._redeem(token, given, await pair_task, password)
                except (CodeNotAccepted, CodeMistyped):
                    if not left or isinstance(code, str):
                        raise
                else:
                    self._token = token
                    return
        except MalformedMessage as error:
            raise AnswerNotTrusted(f"this is no answer of a gateway: {error}") from None
        except ProtocolError as error:
            raise AnswerNotTrusted(f"the login's answer is not ours: {error.code}") from None
        finally:
            pair_task.cancel()

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
            raise CodeNotAccepted(error.status, error.code) from None
        return pending.open(SealedMessage.parse(reply, names))

    async def logout(self) -> None:
        """End the session on the server. Raises: ClientError, aiohttp.ClientError."""
        token, keys = self._session()
        message, pending = self._exchange.seal_fields(
            token, keys, {}, self._clock(), secrets.token_bytes
        )
        names = self._dialect.names
        reply = await self._post(self._dialect.paths.logout, message.serialize(names))
        try:
            pending.open_plaintext(SealedMessage.parse(reply, names))
        except ProtocolError as error:
            raise AnswerNotTrusted(f"the answer is not ours: {error.code}") from None
        self._keys = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: bytes | str | Mapping[str, str] | None = None,
    ) -> RequestContext:
        """One sealed request; a response of any status.

        ``json`` and ``data`` as in aiohttp: text, bytes, or a mapping for a form.
        Raises: ClientError, aiohttp.ClientError.
        """
        inside = http_request(method, path, params=params, headers=headers, json=json, data=data)
        return RequestContext(self._send(inside))

    def get(self, path: str, **options: Any) -> RequestContext:
        """``request("GET", path, ...)``."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> RequestContext:
        """``request("POST", path, ...)``."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> RequestContext:
        """``request("PUT", path, ...)``."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> RequestContext:
        """``request("PATCH", path, ...)``."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> RequestContext:
        """``request("DELETE", path, ...)``."""
        return self.request("DELETE", path, **options)

    def _session(self) -> tuple[str, ClientKeys]:
        if self._keys is None:
            raise NotLoggedIn("there is no session: call login first")
        return self._token, self._keys

    async def _send(self, inside: HttpRequest) -> Response:
        token, keys = self._session()
        names = self._dialect.names
        message, pending = self._exchange.seal_request(
            token, keys, inside, self._clock(), secrets.token_bytes
        )
        reply = await self._post(self._dialect.paths.message, message.serialize(names))
        try:
            response = pending.open(SealedMessage.parse(reply, names))
        except ProtocolError as error:
            raise AnswerNotTrusted(f"the answer is not ours: {error.code}") from None
        return Response(inside.method, self._url.join(URL(inside.target, encoded=True)), response)

    async def _post(self, path: str, members: JsonObject) -> JsonObject:
        if self._http is None:
            raise NotLoggedIn("use the client in 'async with Client(url) as client'")
        async with self._http.post(
            self._url.with_path(self._prefix + path),
            data=BytesIO(serialize_json(members)),
            headers={"Content-Type": "application/json"},
            allow_redirects=False,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    raise AnswerNotTrusted("the answer is too large")
            status = response.status
        try:
            answer = parse_json_object(bytes(body))
        except MalformedMessage:
            raise Refused(
                status, "no_gateway", "there is no Certless gateway at this URL"
            ) from None
        if status >= 300:
            code, text = answer.get("error"), answer.get("message")
            raise Refused(status, _plain(code, 64), _plain(text, 256))
        return answer
