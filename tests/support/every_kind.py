"""An application with every kind of handler, written as without Certless, in either framework."""

import asyncio
from pathlib import Path
from typing import Any

import frameworks
from aiohttp import web
from frameworks import METHODS
from multidict import CIMultiDict
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

import gateway
from gateway.adapters.asgi import app as asgi
from gateway.adapters.asgi.inner import Receive, Scope, Send

BINARY = bytes(range(256)) * 9
TEXT = "Räksmörgås \N{SNOWMAN} 漢字 \N{PILE OF POO}"
SECRET = "the number of the card is 4711"
# The default texts of the frameworks.
NOT_FOUND = {"aiohttp": b"404: Not Found", "starlette": b"Not Found"}
FAILED = {"aiohttp": b"500 Internal Server Error", "starlette": b"Internal Server Error"}
JSON_TYPE = {"aiohttp": "application/json; charset=utf-8", "starlette": "application/json"}


def every_kind(tmp_path: Path) -> web.Application | Starlette:
    """The application, in the framework of the test."""
    (tmp_path / "file.bin").write_bytes(BINARY)
    return _of_aiohttp(tmp_path) if frameworks.current == "aiohttp" else _of_starlette(tmp_path)


def _of_aiohttp(tmp_path: Path) -> web.Application:
    routes = web.RouteTableDef()

    @routes.post("/json")
    async def as_json(request: web.Request) -> web.Response:
        return web.json_response({"got": await request.json()}, status=201)

    @routes.post("/bytes")
    async def as_bytes(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="image/png")

    @routes.get("/text")
    async def text(request: web.Request) -> web.Response:
        return web.Response(text=TEXT, headers={"X-Kept": "yes"})

    @routes.get("/empty")
    async def empty(request: web.Request) -> web.Response:
        return web.Response()

    @routes.post("/no-content")
    @routes.get("/no-content")
    async def no_content(request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"X-Kept": "yes"})

    @routes.get("/moved")
    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/json?x=1")

    @routes.get("/broken")
    async def broken(request: web.Request) -> web.Response:
        raise ValueError(SECRET)

    @routes.get("/not-a-response")
    async def not_a_response(request: web.Request) -> Any:
        return "text"

    @routes.get("/cookies")
    async def cookies(request: web.Request) -> web.Response:
        response = web.Response(text=request.cookies.get("a", "none"))
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2")
        return response

    @routes.get("/stream")
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/csv"})
        response.enable_compression()
        await response.prepare(request)
        for line in range(100):
            await response.write(f"{line}\n".encode())
        await response.write_eof()
        return response

    @routes.get("/compressed")
    async def compressed(request: web.Request) -> web.StreamResponse:
        response = web.Response(text=TEXT * 100)
        response.enable_compression()
        return response

    @routes.get("/file")
    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / "file.bin")

    @routes.get("/file-by-hand")
    async def file_by_hand(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(tmp_path / "file.bin")
        await response.prepare(request)
        return response

    @routes.get("/socket")
    async def socket(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        return response

    @routes.get("/many-headers")
    async def many_headers(request: web.Request) -> web.Response:
        return web.Response(headers=CIMultiDict(("X-One", str(n)) for n in range(130)))

    @routes.get("/odd-status")
    async def odd_status(request: web.Request) -> web.Response:
        return web.Response(status=999)

    @routes.post("/form")
    async def form(request: web.Request) -> web.Response:
        fields = await request.post()
        picture = fields.get("picture")
        size = len(picture.file.read()) if isinstance(picture, web.FileField) else None
        return web.json_response({"name": fields["name"], "size": size})

    @routes.get("/items/{id}")
    async def item(request: web.Request) -> web.Response:
        seen: dict[str, Any] = {
            "id": request.match_info["id"],
            "query": list(request.query.items()),
        }
        seen["header"] = request.headers.get("X-Sent")
        return web.json_response(seen)

    @routes.post("/who")
    async def who(request: web.Request) -> web.Response:
        session = request[gateway.SESSION]
        seen = [request[gateway.USER], session.user, session.suite, session.id]
        return web.json_response({"seen": seen, "remote": request.remote})

    @routes.get("/open/{page}")
    async def opened(request: web.Request) -> web.Response:
        return web.json_response({"user": request.get(gateway.USER)})

    @routes.post("/large")
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int((await request.read()).decode())))

    app = web.Application()
    app.add_routes(routes)
    return app


def _of_starlette(tmp_path: Path) -> Starlette:
    async def as_json(request: Request) -> Response:
        return JSONResponse({"got": await request.json()}, status_code=201)

    async def as_bytes(request: Request) -> Response:
        return Response(await request.body(), media_type="image/png")

    async def text(request: Request) -> Response:
        return PlainTextResponse(TEXT, headers={"X-Kept": "yes"})

    async def empty(request: Request) -> Response:
        return Response()

    async def no_content(request: Request) -> Response:
        return Response(status_code=204, headers={"X-Kept": "yes"})

    async def moved(request: Request) -> Response:
        return RedirectResponse("/json?x=1", status_code=302)

    async def broken(request: Request) -> Response:
        raise ValueError(SECRET)

    async def not_a_response(request: Request) -> Any:
        return "text"

    async def cookies(request: Request) -> Response:
        response = PlainTextResponse(request.cookies.get("a", "none"))
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2")
        return response

    async def stream(request: Request) -> Response:
        async def lines() -> Any:
            for line in range(100):
                await asyncio.sleep(0)
                yield f"{line}\n"

        return StreamingResponse(lines(), media_type="text/csv")

    async def compressed(request: Request) -> Response:
        return PlainTextResponse(TEXT * 100)

    async def file(request: Request) -> Response:
        # As StaticFiles does, for a browser with the file in its cache.
        return await StaticFiles(directory=tmp_path).get_response("file.bin", request.scope)

    class FileByHand:
        """A server with this extension would send the file without sealing it."""

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            assert "extensions" not in scope
            await send({"type": "http.response.start", "status": 200, "headers": []})
            path = str(tmp_path / "file.bin")
            await send({"type": "http.response.pathsend", "path": path})

    async def many_headers(request: Request) -> Response:
        response = Response()
        response.raw_headers += [(b"x-one", str(n).encode()) for n in range(130)]
        return response

    async def odd_status(request: Request) -> Response:
        return Response(status_code=999)

    async def form(request: Request) -> Response:
        async with request.form() as fields:
            picture = fields.get("picture")
            size = len(await picture.read()) if isinstance(picture, UploadFile) else None
            return JSONResponse({"name": fields["name"], "size": size})

    async def item(request: Request) -> Response:
        return JSONResponse(
            {
                "id": request.path_params["id"],
                "query": request.query_params.multi_items(),
                "header": request.headers.get("X-Sent"),
            }
        )

    async def who(request: Request) -> Response:
        session = asgi.session(request)
        seen = [asgi.user(request), session.user, session.suite, session.id]
        assert request.client
        return JSONResponse({"seen": seen, "remote": request.client.host})

    async def opened(request: Request) -> Response:
        return JSONResponse({"user": request.scope.get(asgi.USER)})

    async def large(request: Request) -> Response:
        return Response(bytes(int(await request.body())))

    return Starlette(
        middleware=[Middleware(GZipMiddleware)],
        routes=[
            Route("/json", as_json, methods=["POST"]),
            Route("/bytes", as_bytes, methods=["POST"]),
            Route("/text", text),
            Route("/empty", empty),
            Route("/no-content", no_content, methods=["GET", "POST"]),
            Route("/moved", moved),
            Route("/broken", broken),
            Route("/not-a-response", not_a_response),
            Route("/cookies", cookies),
            Route("/stream", stream),
            Route("/compressed", compressed),
            Route("/file", file),
            Route("/file-by-hand", FileByHand()),
            Route("/many-headers", many_headers),
            Route("/odd-status", odd_status),
            Route("/form", form, methods=["POST"]),
            Route("/items/{id:path}", item, methods=METHODS),
            Route("/who", who, methods=["POST"]),
            Route("/open/{page}", opened),
            Route("/large", large, methods=["POST"]),
        ],
    )
