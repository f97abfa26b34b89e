"""A gateway with a monitored loop: ``python -m bench.stalls_server aiohttp|asgi DIALECT``.

It prints ``{"port": ...}``, then ``{"address": ..., "code": ...}`` for each login. It ends when its
standard input ends. ``/held`` returns how long the loop was blocked at most since the last call: in
CPU time of the loop's thread, so that other programs on the machine have no effect.
"""

import argparse
import asyncio
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn
from aiohttp import web

from bench.server import NO_LIMITS, PrintedCodes
from gateway import Account, AnyAddress, setup
from gateway.adapters.asgi.app import Certless
from gateway.config.options import MAX_WINDOW_MS
from protocol.classic.dialects import DIALECTS, Dialect

MIB = 1024 * 1024
ANSWERS = {
    "letters": b"x" * (8 * MIB),
    "quotes": b'"' * (8 * MIB),
    "bytes": bytes(range(256)) * (8 * MIB // 256),
    "accents": "é".encode() * (4 * MIB),
    "emoji": "\U0001f600".encode() * (2 * MIB),
    "letters, then no text": b"x" * (8 * MIB - 1) + b"\xff",
}
HEX = Dialect("hex", "cbc", "as-is", "md5hex", "oaep-sha256", encoding="hex")


class MeteredLoop(asyncio.SelectorEventLoop):
    """Measures the longest CPU time of its passes."""

    held_s = 0.0

    def _run_once(self) -> None:
        began_s = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.held_s = max(self.held_s, time.thread_time() - began_s)

    def take_held_s(self) -> float:
        held_s, self.held_s = self.held_s, 0.0
        return held_s


class Passwords(AnyAddress):
    """Requires a password from users whose name begins with ``p``."""

    async def check(self, account: Account, payload: Mapping[str, Any]) -> bool:
        return not account.name.startswith("p") or payload.get("password") == "right"


def answer_to(path: str, query: str) -> bytes:
    """The application's response to every request."""
    if path == "/held":
        loop = asyncio.get_running_loop()
        assert isinstance(loop, MeteredLoop)
        return json.dumps({"held_s": loop.take_held_s()}).encode()
    return ANSWERS.get(query.replace("%20", " "), b"ok")


def on_aiohttp(options: Mapping[str, Any]) -> Callable[[socket.socket], Awaitable[None]]:
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=answer_to(request.path, request.rel_url.raw_query_string))

    async def run(listener: socket.socket) -> None:
        app = web.Application(client_max_size=16 * MIB)
        app.router.add_route("*", "/{path:.*}", handle)
        setup(app, **options)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()

    return run


def on_asgi(options: Mapping[str, Any]) -> Callable[[socket.socket], Awaitable[None]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            """Read to its end."""
        body = answer_to(scope["path"], scope["query_string"].decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def run(listener: socket.socket) -> None:
        config = uvicorn.Config(Certless(app, **options), log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("adapter", choices=["aiohttp", "asgi"])
    parser.add_argument("dialect", choices=[*DIALECTS, HEX.name])
    args = parser.parse_args()
    options = {
        "users": Passwords(),
        "mail": PrintedCodes(),
        "dialect": HEX if args.dialect == HEX.name else args.dialect,
        "window_ms": MAX_WINDOW_MS,
        "public": ("/held",),
        **NO_LIMITS,
    }
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    run = {"aiohttp": on_aiohttp, "asgi": on_asgi}[args.adapter](options)
    with asyncio.Runner(loop_factory=MeteredLoop) as runner:
        runner.run(run(listener))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
