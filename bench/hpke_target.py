"""Messages for hpke-http, sealed by its own client."""

import base64
from collections.abc import Iterator

import aiohttp
from hpke_http.protocol import Client, Header, Method, ProtectedRequest, Request
from hpke_http.transport import REQUEST_MEDIA_TYPE
from yarl import URL

from bench.asgi_server import KEY_ID, PSK_ID, TRANSPORT_PATH
from bench.processes import Server
from bench.server import ROUTE
from bench.targets import ORDER, ORDER_JSON, Target
from protocol.common.codec import parse_json_object


class HpkeTarget(Target):
    """hpke-http: an X25519 agreement and a shared secret for every message."""

    path = TRANSPORT_PATH
    content_type = REQUEST_MEDIA_TYPE

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        super().__init__(server, http)
        key, psk = (base64.b64decode(server.said[name]) for name in ("key_b64", "psk_b64"))
        self._client = Client(key, KEY_ID, psk, PSK_ID)

    def _seal(self) -> ProtectedRequest:
        headers = (Header("content-type", "application/json"),)
        authority = URL(self.server.url).authority
        return self._client.protect(Request(Method.POST, authority, ROUTE, headers, ORDER_JSON))

    async def corpus(self, count: int) -> Iterator[bytes]:
        return (self._seal().envelope for _ in range(count))

    async def check(self) -> None:
        message = self._seal()
        headers = {"Content-Type": self.content_type}
        async with self._http.post(self.url, data=message.envelope, headers=headers) as answer:
            assert answer.status == 200, answer.status
            opened = message.open_response(await answer.read())
        assert parse_json_object(opened.body) == ORDER
