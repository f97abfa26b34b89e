"""The three ways to serve Certless, each as a separate process.

``serve`` has an upstream in the process of the test. The other two have a public route that reads
the request, and one with a large response. ``python served.py NAME PORT FOLDER`` is such a process.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from aiohttp import web
from frameworks import serving
from mailboxes import a_free_port
from processes import python, until_listening
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import gateway
from gateway.adapters.asgi.app import Certless

MIB = 1 << 20
LARGE = 8 * MIB


@dataclass
class Upstream:
    """A server with large requests and responses, and with slow ones."""

    url: str = ""
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    cut_off: int = 0

    async def large(self, request: web.Request) -> web.Response:
        self.asked.release()
        return await self._whole(request, web.Response(body=bytes(LARGE)))

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """More bytes than fit into the buffers on the way."""
        self.asked.release()
        response = web.StreamResponse()
        try:
            await response.prepare(request)
            while True:
                await response.write(bytes(65536))
        except (ConnectionError, asyncio.CancelledError):
            self.cut_off += 1
            raise

    async def waits(self, request: web.Request) -> web.Response:
        await request.read()
        self.asked.release()
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        return web.Response(text="at last")

    async def _whole(self, request: web.Request, response: web.Response) -> web.Response:
        try:
            await response.prepare(request)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            self.cut_off += 1
            raise
        return response

    async def read(self, request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))


@asynccontextmanager
async def an_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application(client_max_size=2 * LARGE)
    app.router.add_get("/public/large", upstream.large)
    app.router.add_get("/public/endless", upstream.endless)
    app.router.add_route("*", "/public/waits", upstream.waits)
    app.router.add_route("*", "/{path:.*}", upstream.read)
    async with serving(app, handler_cancellation=True) as upstream.url:
        try:
            yield upstream
        finally:
            upstream.may_answer.set()


@dataclass
class Served:
    """A listening process."""

    port: int
    pid: int
    log: Path
    upstream: Upstream

    def resident_bytes(self) -> int:
        """The memory of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * 4096


@asynccontextmanager
async def served(adapter: str, folder: Path, *options: str) -> AsyncIterator[Served]:
    """``adapter`` in front of public routes below ``/public``; ``options`` as for serve."""
    port, log = a_free_port(), folder / f"{adapter}.log"
    async with an_upstream() as upstream:
        command: tuple[str, ...] = (__file__, adapter, str(port), str(folder))
        if adapter == "serve":
            command = (
                *("-m", "gateway", "serve", "--listen", f"127.0.0.1:{port}"),
                *("--upstream", upstream.url, "--public", "/public/*", "--any-address"),
                *("--public", "POST /public/*"),
                *("--mail", f"dir:{folder}", "--suites", "ecdh-gcm", *options),
            )
        with log.open("wb") as file:
            async with python(*command, stderr=file) as process:
                await until_listening(port, process)
                yield Served(port, process.pid, log, upstream)


def main() -> None:
    adapter, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    mail, users, public = f"dir:{folder}", gateway.AnyAddress(), ["/public/*", "POST /public/*"]
    if adapter == "aiohttp":
        app = web.Application(client_max_size=2 * LARGE)
        app.router.add_get("/public/large", _large_of_aiohttp)
        app.router.add_post("/public/read", Upstream().read)
        gateway.setup(app, users=users, mail=mail, public=public, suites=["ecdh-gcm"])
        web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
    else:
        inner = Starlette(routes=[Route("/public/read", _read, methods=["POST"])])
        outer = Certless(inner, users=users, mail=mail, public=public, suites=["ecdh-gcm"])
        uvicorn.run(outer, host="127.0.0.1", port=port, log_level="critical", http="h11")


async def _large_of_aiohttp(_: web.Request) -> web.Response:
    return web.Response(body=bytes(LARGE))


async def _read(request: Request) -> Response:
    return Response(str(len(await request.body())))


if __name__ == "__main__":
    main()
