"""A text in the editor of the user: ``$VISUAL``, ``$EDITOR``, or vi."""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.errors import ConfigError

from .opened_vault import say


@asynccontextmanager
async def edited(text: str, suffix: str) -> AsyncIterator[str]:
    """What the user makes of ``text``. The file of the editor can only be read by this user.

    If the statement ends with an error, the file stays, so that no text is lost. Otherwise it is
    deleted. Raises: ConfigError, if the editor fails.
    """
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="certless-"))
    # Another device has chosen the name of the file, and with it the suffix.
    ending = suffix if suffix[1:].isalnum() else ".txt"
    path = folder / f"note{ending}"
    try:
        await asyncio.to_thread(_write, path, text)
        await _run_editor(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        yield await asyncio.to_thread(_read, path)
    except BaseException:
        say(f"Your text was not stored. It is in {path}")
        raise
    shutil.rmtree(folder)


async def _run_editor(path: Path) -> None:
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        process = await asyncio.create_subprocess_exec(*command, str(path))
    except (OSError, ValueError, IndexError):
        raise ConfigError("cannot start the editor: set EDITOR to the one that you use") from None
    status = await process.wait()
    if status != 0:
        raise ConfigError(f"the editor ended with status {status}: nothing was stored")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8", newline="")


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError:
        raise ConfigError("the editor has not written text in UTF-8") from None
