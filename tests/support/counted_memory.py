"""A server process that counts the memory that Python allocates, as ``tracemalloc`` sees it.

``python counted_memory.py aiohttp|starlette SIZE`` prints its port, and then each code that it
sends. For each line on its standard input it prints the highest sum of allocations since the line
before, without what was there then. It ends when its standard input ends.

``/size`` answers the number of bytes of a request. ``/large`` answers SIZE bytes of text, and
``/fields`` a JSON object of that size.
"""

import asyncio
import gc
import sys
import tracemalloc
from typing import Any

import uvicorn
from aiohttp import web
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import gateway
from gateway.adapters.asgi.app import Certless

JSON = "application/json"


class PrintedCodes(gateway.MailTransport):
    async def deliver(self, address: str, mail: gateway.CodeMail) -> None:
        print(mail.code, flush=True)


def _in_aiohttp(bodies: dict[str, bytes], most: int, options: dict[str, Any]) -> web.Application:
    async def size(request: web.Request) -> web.Response:
        return web.json_response({"size": len(await request.read())})

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bodies[request.path], content_type=JSON)

    app = web.Application(client_max_size=most)
    app.router.add_post("/size", size)
    for path in bodies:
        app.router.add_post(path, large)
    gateway.setup(app, **options)
    return app


def _in_starlette(bodies: dict[str, bytes], options: dict[str, Any]) -> Certless:
    async def size(request: Request) -> Response:
        return Response(f'{{"size": {len(await request.body())}}}', media_type=JSON)

    async def large(request: Request) -> Response:
        return Response(bodies[request.scope["path"]], media_type=JSON)

    routes = [Route(path, large, methods=["POST"]) for path in bodies]
    routes.append(Route("/size", size, methods=["POST"]))
    return Certless(Starlette(routes=routes), **options)


async def _count() -> None:
    """Answer each line of the standard input by the peak, and begin again."""
    loop, before = asyncio.get_running_loop(), 0
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(tracemalloc.get_traced_memory()[1] - before, flush=True)
        gc.collect()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]


async def serve(framework: str, size: int) -> None:
    most = 4 * size
    bodies = {"/large": b"a" * size, "/fields": b'{"note":"%s"}' % (b"a" * (size - 11))}
    options: dict[str, Any] = {
        "users": gateway.AnyAddress(),
        "mail": PrintedCodes(),
        "dialect": "sfet-4-gcm",
        "max_body_bytes": most,
        "key_pool_size": 1,
    }
    if framework == "aiohttp":
        runner = web.AppRunner(_in_aiohttp(bodies, most, options), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await _count()
        await runner.cleanup()
        return
    server = uvicorn.Server(
        uvicorn.Config(_in_starlette(bodies, options), port=0, log_level="warning")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await _count()
    server.should_exit = True
    await serving


if __name__ == "__main__":
    tracemalloc.start()
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
