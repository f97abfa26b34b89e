"""``certless vault put|get|ls|edit|rm|mv|resolve|sync``: files and notes of a vault.

The module is long because it has eight commands, which share the choice of a file and a version.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from gateway.errors import ConfigError
from gateway.logs import on_one_line
from vault.client import File, Files, FileVersion, NoSuchFile, Unresolved

from .opened_vault import FILES, OpenedVault, opened_vault, say
from .terminal import ProgressBar, harmless
from .text_editor import edited

_PIECE_BYTES = 256 * 1024
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_MOST_EDITED_BYTES = 1024 * 1024
# What ``action`` of the vault's parser does: it takes the name, the function and the help.
_AddAction = Callable[[str, Any, str], Any]


def add(action: _AddAction) -> None:
    """Add the commands to those of ``certless vault``."""
    put = action("put", _put, "store files, or replace them")
    put.add_argument("files", metavar="FILE", nargs="+", help="- is the standard input")
    put.add_argument(
        "--as", dest="name", metavar="NAME", help="the name in the vault, for one FILE"
    )
    put.add_argument("--note", action="store_true", help="a new file is a note, which is text")
    _quiet(put)
    get = action("get", _get, "read a file")
    get.add_argument("name", metavar="NAME")
    get.add_argument("file", metavar="FILE", nargs="?", help="where to; - is the standard output")
    get.add_argument("--version", metavar="ID", help="one of several versions (see ls -l)")
    get.add_argument("--force", action="store_true", help="replace FILE if it exists")
    _quiet(get)
    ls = action("ls", _ls, "list the files")
    ls.add_argument("-l", "--long", action="store_true", help="with size, day and versions")
    ls.add_argument("--json", action="store_true", help="as JSON")
    edit = action("edit", _edit, "change a note with $VISUAL or $EDITOR, or write a new one")
    edit.add_argument("name", metavar="NAME")
    rm = action("rm", _rm, "remove files")
    rm.add_argument("names", metavar="NAME", nargs="+")
    mv = action("mv", _mv, "give a file another name")
    mv.add_argument("name", metavar="NAME")
    mv.add_argument("new", metavar="NEW")
    resolve = action("resolve", _resolve, "keep one of several versions of a file")
    resolve.add_argument("name", metavar="NAME")
    resolve.add_argument("version", metavar="ID", help="see ls -l")
    action("sync", _sync, "show what other devices have changed, and renew everything")


def _quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


@asynccontextmanager
async def files_of(opened: OpenedVault) -> AsyncIterator[Files]:
    """The files of the vault, which is unlocked first."""
    vault = await opened_vault(opened)
    opened.keep()
    async with vault.files(opened.folder / FILES) as files:
        yield files


# --- put -------------------------------------------------------------------------------------


async def _put(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    named = [(path, arguments.name or _name_of(path)) for path in arguments.files]
    if arguments.name is not None and len(named) > 1:
        raise ConfigError("--as is for one FILE")
    # All are open before the first one is sent.
    with ExitStack() as stack:
        sources = [(_opened(path, stack), name) for path, name in named]
        async with files_of(opened) as files:
            for (source, length), name in sources:
                await _put_one(files, source, length, name, arguments)


async def _put_one(
    files: Files, source: BinaryIO, length: int | None, name: str, arguments: argparse.Namespace
) -> None:
    bar = ProgressBar("sent", is_quiet=arguments.quiet)
    try:
        await files.put(
            name,
            _pieces(source),
            kind="note" if arguments.note else "file",
            progress=lambda done: bar(done, length),
        )
    except Unresolved:
        raise _unresolved(name) from None
    finally:
        bar.end()


def _name_of(path: str) -> str:
    if path == "-":
        raise ConfigError("name the standard input: --as NAME")
    return Path(path).name


def _opened(path: str, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    """The open file and its length. ``stack`` closes it."""
    if path == "-":
        return sys.stdin.buffer, None
    try:
        source = stack.enter_context(Path(path).open("rb"))  # noqa: SIM115  (``stack`` closes it)
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder: name its files, or put an archive") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    return source, os.fstat(source.fileno()).st_size


async def _pieces(source: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(source.read, _PIECE_BYTES):
        yield piece


# --- get -------------------------------------------------------------------------------------


async def _get(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    target = _target(arguments)
    async with files_of(opened) as files:
        file = await files.file(arguments.name)
        version = _version(file, arguments.version) if arguments.version else file.versions[0]
        if len(file.versions) > 1 and not arguments.version:
            say(f"{on_one_line(file.name)} has several versions; this is the newest (see ls -l)")
        bar = ProgressBar("received", is_quiet=arguments.quiet or target is None)
        stream = files.stream(
            file.name, version=version.id, progress=lambda done: bar(done, version.size)
        )
        try:
            if target is None:
                await _print(stream, is_note=file.kind == "note")
            else:
                await _save(stream, target)
        finally:
            bar.end()


def _target(arguments: argparse.Namespace) -> Path | None:
    """The file to write; None for the standard output. Raises: ConfigError, if it exists."""
    if arguments.file == "-":
        return None
    target = Path(arguments.file or _local_name(arguments.name))
    if target.is_dir():
        target /= _local_name(arguments.name)
    if target.exists() and not arguments.force:
        raise ConfigError(f"{target} exists: name another FILE, or give --force")
    return target


def _local_name(name: str) -> str:
    """The last part of a name of the vault: another device has chosen the name."""
    last = PurePosixPath(name).name
    if last in ("", ".", "..") or "\0" in last or os.sep in last:
        raise ConfigError("no file can have this name here: name a FILE, or -")
    return last


async def _print(stream: AsyncIterator[bytes], *, is_note: bool) -> None:
    if sys.stdout.isatty():
        if not is_note:
            raise ConfigError("this is not a note, and would go to the terminal: name a FILE")
        text = b"".join([piece async for piece in stream]).decode(errors="replace")
        sys.stdout.write(harmless(text))
        return
    async for piece in stream:
        await asyncio.to_thread(sys.stdout.buffer.write, piece)
    sys.stdout.buffer.flush()


async def _save(stream: AsyncIterator[bytes], target: Path) -> None:
    """Write a file that only this user can read. It is there only if it is whole."""
    try:
        handle, part = await asyncio.to_thread(
            tempfile.mkstemp, dir=target.parent, prefix=f".{target.name}."
        )
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            async for piece in stream:
                await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(os.replace, part, target)
    except BaseException:
        # Also if the user interrupts it.
        Path(part).unlink()  # noqa: ASYNC240  (it is short)
        raise


# --- ls --------------------------------------------------------------------------------------


async def _ls(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    async with files_of(opened) as files:
        found = await files.list()
    if arguments.json:
        sys.stdout.write(json.dumps([_as_json(file) for file in found], indent=2) + "\n")
        return
    for file in found:
        sys.stdout.write(_long(file) if arguments.long else f"{on_one_line(file.name)}\n")
    conflicts = sum(len(file.versions) > 1 for file in found)
    if conflicts:
        say(
            f"Files with several versions: {conflicts}. Look at them with ls -l and "
            "get --version ID, then keep one: certless vault resolve NAME ID"
        )


def _as_json(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "kind": file.kind,
        "size": file.size,
        "day": _day(file.day),
        "is_pending": file.is_pending,
        "versions": [
            {"id": one.id.hex(), "size": one.size, "day": _day(one.day), "is_mine": one.is_mine}
            for one in file.versions
        ],
    }


def _long(file: File) -> str:
    pending = "  (not sent yet)" if file.is_pending else ""
    head = f"{_size(file.size):>10}  {file.kind}  {_day(file.day)}  {on_one_line(file.name)}"
    versions = [
        f"            version {one.id.hex()[:8]}  {_size(one.size)}  {_day(one.day)}"
        f"{'  (written here)' if one.is_mine else ''}\n"
        for one in (file.versions if len(file.versions) > 1 else ())
    ]
    return f"{head}{pending}\n" + "".join(versions)


def _day(day: int) -> str:
    return date.fromordinal(_EPOCH_DAY + day).isoformat()


def _size(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} B"


# --- changes ---------------------------------------------------------------------------------


async def _edit(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    name = arguments.name
    async with files_of(opened) as files:
        try:
            file: File | None = await files.file(name)
        except NoSuchFile:
            file = None
        if file is not None and len(file.versions) > 1:
            raise _unresolved(name)
        before = "" if file is None else await _text_of(files, file)
        base = None if file is None else file.versions[0].id
        async with edited(before, PurePosixPath(name).suffix) as after:
            if after == before:
                say("Nothing was changed.")
                return
            if not opened.vault.is_open:
                # The vault locks itself while the editor is open for long.
                await opened_vault(opened)
            changed = await files.put(name, after, kind="note", base=base)
    if len(changed.versions) > 1:
        say(
            f"Another device has changed {on_one_line(name)} meanwhile. The vault has both "
            "versions: look at them with ls -l, then keep one with resolve."
        )


async def _text_of(files: Files, file: File) -> str:
    advice = "get it, change it, and put it again"
    if file.size > _MOST_EDITED_BYTES:
        raise ConfigError(f"the file is too large for an editor: {advice}")
    try:
        return await files.text(file.name)
    except UnicodeDecodeError:
        raise ConfigError(f"the file is not text in UTF-8: {advice}") from None


async def _rm(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    async with files_of(opened) as files:
        known = {file.name for file in await files.list()}
        for name in arguments.names:
            # Before the first one is removed.
            if name not in known:
                raise NoSuchFile
        for name in dict.fromkeys(arguments.names):
            await files.remove(name)


async def _mv(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    async with files_of(opened) as files:
        if any(file.name == arguments.new for file in await files.list()):
            raise ConfigError(f"{arguments.new} is there already: remove it first")
        await files.rename(arguments.name, arguments.new)


async def _resolve(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    async with files_of(opened) as files:
        file = await files.file(arguments.name)
        await files.resolve(file.name, _version(file, arguments.version).id)


def _version(file: File, start: str) -> FileVersion:
    found = [one for one in file.versions if start and one.id.hex().startswith(start.lower())]
    if len(found) != 1:
        raise ConfigError(f"no version has the id {start!r}: see certless vault ls -l")
    return found[0]


def _unresolved(name: str) -> ConfigError:
    return ConfigError(
        f"{name} has several versions: see ls -l, then keep one: certless vault resolve NAME ID"
    )


# --- sync ------------------------------------------------------------------------------------


async def _sync(opened: OpenedVault, _: argparse.Namespace) -> None:
    async with files_of(opened) as files:
        await files.sync()
        for change in await files.changes():
            sys.stdout.write(f"{change.what} {on_one_line(change.name)}\n")
        conflicts = [file.name for file in await files.list() if len(file.versions) > 1]
    for name in conflicts:
        sys.stdout.write(f"several versions of {on_one_line(name)}\n")
    say(safe_until(files))
    if files.clock_differs:
        say(CLOCK_DIFFERS)


CLOCK_DIFFERS = "The clock of this machine or that of the service is wrong: compare them."


def safe_until(files: Files) -> str:
    """A sentence about the time for which the service keeps the data."""
    assert files.safe_until_s is not None  # noqa: S101  # after ``sync`` and ``check``
    day = datetime.fromtimestamp(files.safe_until_s, UTC).date()
    return f"The data is safe until at least {day}."
