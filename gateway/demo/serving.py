"""Serving an application of the demo on loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from gateway import ConfigError


@asynccontextmanager
async def served(app: web.Application, port: int, name: str) -> AsyncIterator[str]:
    """Serve ``app``; yields its URL. Raises: ConfigError, with the ``name`` of the part."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    try:
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise ConfigError(
                f"port {port}, for the {name}: {error.strerror}; choose another --port"
            ) from None
        host, number = runner.addresses[0][:2]
        yield f"http://{host}:{number}"
    finally:
        await runner.cleanup()
