"""The peer under measurement: hpke-http in front of the same JSON echo.

hpke-http has a server for ASGI only, so its echo is a Starlette application on uvicorn; with
``--alone`` the echo stands without it, so that what ASGI itself costs can be seen. Says
``{"port", "key_b64", "psk_b64"}`` and ends with its standard input.
"""

import argparse
import asyncio
import base64
import json
import secrets
import socket
import sys
import time

import uvicorn
from hpke_http.middleware.fastapi import HPKEMiddleware
from hpke_http.protocol import generate_key_pair
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Scope

KEY_ID = b"bench"
PSK_ID = b"client"
TRANSPORT_PATH = "/protected"
_LEASE_S = 3600


async def echo(request: Request) -> JSONResponse:
    """The handler: parses JSON, answers the same JSON."""
    return JSONResponse(await request.json())


class SeenOnce:
    """Replay ids in memory, each until its deadline: what hpke-http leaves to its host."""

    def __init__(self) -> None:
        self._until_s: dict[bytes, int] = {}

    def admit(self, replay_id: bytes, until_s: int, _: Scope) -> bool:
        """True the first time."""
        if self._until_s.get(replay_id, 0) > time.time():
            return False
        self._until_s[replay_id] = until_s
        return True


async def serve(alone: bool) -> None:
    """Serve on a free port of the loopback until the standard input ends."""
    pair, psk = generate_key_pair(), secrets.token_bytes(32)
    app: ASGIApp = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
    if not alone:
        app = HPKEMiddleware(
            app,
            pair.private_key,
            KEY_ID,
            lambda _id, _scope: psk,
            SeenOnce().admit,
            transport_path=TRANSPORT_PATH,
            key_use_for_s=_LEASE_S,
        )
    # With its protocol named, for else asyncio does not set TCP_NODELAY, and every answer waits.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    said = {
        "port": listener.getsockname()[1],
        "key_b64": base64.b64encode(pair.public_key).decode(),
        "psk_b64": base64.b64encode(psk).decode(),
    }
    print(json.dumps(said), flush=True)
    serving = asyncio.create_task(server.serve([listener]))
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--alone", action="store_true")
    asyncio.run(serve(parser.parse_args().alone))


if __name__ == "__main__":
    main()
