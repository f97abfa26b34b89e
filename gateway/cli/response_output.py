"""The response of ``certless request``: on standard output, or in a file while it arrives."""

import asyncio
import sys
from pathlib import Path

from certless.client import Response, StreamResponse
from gateway.errors import ConfigError
from gateway.logs import on_one_line

from .terminal import ProgressBar


async def show(response: Response | StreamResponse, *, include: bool, file: str | None) -> None:
    """Write the response. Raises: ConfigError (the file), ClientError."""
    if include:
        lines = [
            f"{response.status}",
            *(on_one_line(f"{name}: {value}") for name, value in response.headers.items()),
        ]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
    if file is not None:
        try:
            await _save(response, Path(file))
        except OSError as error:
            raise ConfigError(f"cannot write {file}: {error.strerror}") from None
    elif isinstance(response, StreamResponse):
        last = b""
        async for chunk in response.content:
            await asyncio.to_thread(_print, chunk)
            last = chunk
        _end_line(last)
    else:
        body = await response.read()
        _print(body)
        _end_line(body)
    if not response.ok and (file is not None or not include):
        sys.stderr.write(f"certless: the response has the status {response.status}\n")


async def _save(response: Response | StreamResponse, path: Path) -> None:
    if isinstance(response, StreamResponse):
        progress = ProgressBar("received")
        try:
            await response.save(path, progress)
        finally:
            progress.end()
    else:
        await asyncio.to_thread(path.write_bytes, await response.read())


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.flush()


def _end_line(last: bytes) -> None:
    """A prompt of the shell must not follow the body on its line."""
    if last and not last.endswith(b"\n") and sys.stdout.isatty():
        sys.stdout.write("\n")
        sys.stdout.flush()
