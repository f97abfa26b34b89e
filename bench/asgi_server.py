"""The ASGI server under measurement: one JSON echo of Starlette on uvicorn, alone or behind
Certless or hpke-http, which has a server for ASGI only.

``python -m bench.asgi_server [--certless | --hpke]`` prints ``{"port": ...}``, with ``--hpke`` also
``key_b64`` and ``psk_b64``, with ``--certless`` then ``{"address": ..., "code": ...}`` for each
login. It ends when its standard input ends.
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

from bench.server import NO_LIMITS, ROUTE, PrintedCodes
from gateway import AnyAddress
from gateway.adapters.asgi.app import Certless
from gateway.config.options import MAX_WINDOW_MS

KEY_ID = b"bench"
PSK_ID = b"client"
TRANSPORT_PATH = "/protected"
_LEASE_S = 3600


async def echo(request: Request) -> JSONResponse:
    """The handler: parses JSON, answers the same JSON."""
    return JSONResponse(await request.json())


class SeenOnce:
    """Replay ids in memory, each until its deadline. hpke-http leaves this to its host."""

    def __init__(self) -> None:
        self._until_s: dict[bytes, int] = {}

    def admit(self, replay_id: bytes, until_s: int, _: Scope) -> bool:
        """True the first time."""
        if self._until_s.get(replay_id, 0) > time.time():
            return False
        self._until_s[replay_id] = until_s
        return True


def behind_hpke(app: ASGIApp) -> tuple[ASGIApp, dict[str, str]]:
    """``app`` behind hpke-http, and the keys that its client needs."""
    pair, psk = generate_key_pair(), secrets.token_bytes(32)
    protected = HPKEMiddleware(
        app,
        pair.private_key,
        KEY_ID,
        lambda _id, _scope: psk,
        SeenOnce().admit,
        transport_path=TRANSPORT_PATH,
        key_use_for_s=_LEASE_S,
    )
    keys = {
        "key_b64": base64.b64encode(pair.public_key).decode(),
        "psk_b64": base64.b64encode(psk).decode(),
    }
    return protected, keys


def behind_certless(app: ASGIApp) -> ASGIApp:
    """``app`` behind Certless, which prints its codes on the standard output."""
    return Certless(
        app, users=AnyAddress(), mail=PrintedCodes(), window_ms=MAX_WINDOW_MS, **NO_LIMITS
    )


async def serve(args: argparse.Namespace) -> None:
    """Serve on a free port of the loopback until the standard input ends."""
    app: ASGIApp = Starlette(routes=[Route(ROUTE, echo, methods=["POST"])])
    keys: dict[str, str] = {}
    if args.hpke:
        app, keys = behind_hpke(app)
    elif args.certless:
        app = behind_certless(app)
    # Name the protocol: otherwise asyncio does not set TCP_NODELAY, and every response waits.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    print(json.dumps({"port": listener.getsockname()[1], **keys}), flush=True)
    serving = asyncio.create_task(server.serve([listener]))
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


def main() -> None:
    parser = argparse.ArgumentParser()
    behind = parser.add_mutually_exclusive_group()
    behind.add_argument("--certless", action="store_true")
    behind.add_argument("--hpke", action="store_true")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
