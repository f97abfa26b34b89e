"""HTTP/2 for tests: hypercorn as server, and a client that does not check its requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from hypercorn.asyncio import serve
from hypercorn.config import Config
from mailboxes import a_free_port, eventually


@asynccontextmanager
async def over_http_2(app: Any) -> AsyncIterator[int]:
    """The port at which hypercorn serves ``app``."""
    config, stop = Config(), asyncio.Event()
    port = a_free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    served = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    try:
        await eventually(lambda: served.done() or _listens(port))
        yield port
    finally:
        stop.set()
        await served


def _listens(port: int) -> bool:
    hexed = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1] == hexed and line.split()[3] == "0A" for line in lines)


async def status(port: int, path: bytes, *, authority: bytes | None = b"shop.example") -> int:
    """The answer to a request for exactly these bytes of ``path``."""
    settings = H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    client = H2Connection(settings)
    client.initiate_connection()
    head = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", path)]
    if authority is not None:
        head.append((b":authority", authority))
    client.send_headers(1, head, end_stream=True)
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                writer.write(client.data_to_send())
                data = await reader.read(65536)
                assert data, "the server has closed"
                for event in client.receive_data(data):
                    if isinstance(event, ResponseReceived):
                        headers = {bytes(name): value for name, value in event.headers or []}
                        return int(headers[b":status"])
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
