"""A user proves in each session that they hold their key. docs/binding.md explains it."""

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import certless
from certless.client import Client

LABEL = "shop.example key"
KEYS: dict[str, Ed25519PublicKey] = {}  # by user


async def prove(request: web.Request) -> web.Response:
    """The handler: the signature must be for this session."""
    session = request[certless.SESSION]
    try:
        KEYS[session.user].verify(await request.read(), session.export(LABEL, b"login"))
    except (KeyError, InvalidSignature):
        raise web.HTTPForbidden from None
    return web.Response(text=f"{session.user} holds the key")


async def sign(client: Client, key: Ed25519PrivateKey) -> str:
    """The client."""
    proof = key.sign(client.export(LABEL, b"login"))
    response = await client.post("/prove", data=proof)
    return await response.text()
