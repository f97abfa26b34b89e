"""An upstream with a fixed answer: nginx, which takes little CPU time."""

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import pinned
from bench.redis_process import free_port, until_listening
from bench.targets import ORDER_JSON

_SETTINGS = """
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log stderr crit;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{body}';
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, core: int | None = None) -> AsyncIterator[str]:
    """nginx that answers every request with the order; its URL."""
    port, settings = free_port(), folder / "nginx.conf"
    body = ORDER_JSON.decode()
    settings.write_text(_SETTINGS.format(folder=folder, port=port, body=body), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *pinned(core, "nginx", "-p", str(folder), "-c", str(settings)), stderr=DEVNULL
    )
    try:
        await until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
