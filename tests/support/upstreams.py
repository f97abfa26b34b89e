"""Real upstreams with the same pages: guarded ones contain GUARDED, open ones OPEN.

``/admin``, all below it, and ``/secret.php`` are guarded; the files in ``/open/`` are open.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from frameworks import serving
from mailboxes import a_free_port
from processes import program, until_listening
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

GUARDED, OPEN = "GUARDED", "OPEN"
UPSTREAMS = ("php", "nginx", "flask", "node", "express", "aiohttp", "starlette")

_FLASK = """
import sys, flask
from werkzeug.serving import make_server
app = flask.Flask("upstream", static_folder=None)
@app.route("/admin")
@app.route("/admin/")
@app.route("/admin/<path:rest>")
@app.route("/secret.php")
def guarded(rest=""): return "GUARDED"
@app.route("/open/<path:name>")
def open_page(name): return flask.send_from_directory(sys.argv[2] + "/open", name)
make_server("127.0.0.1", int(sys.argv[1]), app, threaded=True).serve_forever()
"""
# As in programs without a framework: Node's own URL parser, which resolves dots.
_NODE = """
require('node:http').createServer((request, response) => {
  let path;
  try {
    path = decodeURIComponent(new URL(request.url, 'http://x').pathname);
  } catch {
    path = '';
  }
  const isGuarded = /^[/]admin([/]|$)/.test(path) || path === '/secret.php';
  response.end(isGuarded ? 'GUARDED' : path === '/open/a.css' ? 'OPEN' : 'nothing');
}).listen(Number(process.argv[1]), '127.0.0.1');
"""
# As in Express and Connect: any case, with or without a slash at the end. A mounted router gets
# everything after a slash or a full stop.
_EXPRESS = """
const { posix } = require('node:path');
require('node:http').createServer((request, response) => {
  const raw = request.url.split('?')[0].replace(/^https?:[/][/][^/]*/i, '');
  let path;
  try {
    path = posix.normalize(decodeURIComponent(raw));
  } catch {
    path = '';
  }
  const isGuarded = /^[/]admin([/.]|$)/i.test(path) || /^[/]secret[.]php[/]?$/i.test(path);
  response.end(isGuarded ? 'GUARDED' : path === '/open/a.css' ? 'OPEN' : 'nothing');
}).listen(Number(process.argv[1]), '127.0.0.1');
"""


@asynccontextmanager
async def upstream(name: str, folder: Path) -> AsyncIterator[str]:
    """The URL of the upstream ``name`` with the files in ``folder``."""
    root = folder / "pages"
    _write_pages(root)
    if name in ("aiohttp", "starlette"):
        app = guarded_aiohttp(root) if name == "aiohttp" else guarded_starlette()
        async with serving(app) as url:
            yield url
        return
    port = a_free_port()
    commands = {
        "php": ("php", "-S", f"127.0.0.1:{port}", "-t", str(root)),
        "nginx": ("nginx", "-e", "stderr", "-c", str(_nginx(folder, root, port))),
        "flask": (sys.executable, "-c", _FLASK, str(port), str(root)),
        "node": ("node", "-e", _NODE, str(port)),
        "express": ("node", "-e", _EXPRESS, str(port)),
    }
    quiet = asyncio.subprocess.DEVNULL
    async with program(*commands[name], stdout=quiet, stderr=quiet) as process:
        await until_listening(port, process)
        yield f"http://127.0.0.1:{port}"


def _write_pages(root: Path) -> None:
    pages = {
        "admin/index.php": GUARDED,
        "admin/index.html": GUARDED,
        "admin/users.html": GUARDED,
        "secret.php": GUARDED,
        "open/a.css": OPEN,
        "open/b/c.css": OPEN,
    }
    for name, content in pages.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _nginx(folder: Path, root: Path, port: int) -> Path:
    config = folder / "upstream.conf"
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # An alias without a slash at its end is a common mistake: /open.. leads out of it.
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/upstream.pid;\nerror_log stderr crit;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{places}default_type text/plain;\n"
        f"server {{\nlisten 127.0.0.1:{port};\nroot {root};\nindex index.html;\nautoindex off;\n"
        f"location /open {{ alias {root}/open/; }}\n"
        "location / { try_files $uri $uri/ $uri.html $uri.php =404; }\n}\n}\n"
    )
    return config


def guarded_aiohttp(root: Path) -> web.Application:
    """Guarded pages in an application below ``/admin``, and one guarded route."""

    async def guarded(_: web.Request) -> web.Response:
        return web.Response(text=GUARDED)

    admin = web.Application()
    for path in ("", "/", "/{rest:.*}"):
        admin.router.add_get(path, guarded)
    app = web.Application()
    app.add_subapp("/admin", admin)
    app.router.add_get("/secret.php", guarded)
    app.router.add_static("/open", root / "open")
    return app


def guarded_starlette() -> Starlette:
    """The same as a ``Mount``."""

    async def guarded(_: Request) -> Response:
        return PlainTextResponse(GUARDED)

    async def opened(_: Request) -> Response:
        return PlainTextResponse(OPEN)

    return Starlette(
        routes=[
            Mount("/admin", routes=[Route("/", guarded), Route("/{rest:path}", guarded)]),
            Route("/secret.php", guarded),
            Route("/open/a.css", opened),
        ]
    )


async def said(url: str, target: bytes) -> bytes:
    """The answer to ``GET target`` with exactly these bytes; b"" without an answer."""
    name, _, port = url.removeprefix("http://").partition(":")
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(name, int(port))
        try:
            writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
