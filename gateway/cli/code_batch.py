"""The files of ``certless code issue --batch``: the devices, and the codes for their labels."""

import csv
import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from gateway.errors import ConfigError
from gateway.sessions.management import MintedCode
from protocol.hardened.handshake_messages import DEVICE_RULE, is_device_name

from .listing import time_text

# So that the step that stores all codes stays short.
_MOST_CODES = 10_000
_MOST_BYTES = 8 * 1024 * 1024
_COLUMNS = ("name", "device")

# A user as handlers see them, and their device, or "".
Recipient: TypeAlias = tuple[str, str]


async def read_devices(path: Path, find_user: Callable[[str], Awaitable[str]]) -> list[Recipient]:
    """The users and devices that the CSV file lists; ``find_user`` raises ConfigError.

    Raises: ConfigError, with line and column.
    """
    seen: dict[Recipient, int] = {}
    for line, row in _rows(path):
        name, device = row["name"], row.get("device", "")
        if device and not is_device_name(device):
            raise _wrong(path, line, "device", f"{device!r}: {DEVICE_RULE}")
        try:
            user = await find_user(name)
        except ConfigError as error:
            raise _wrong(path, line, "name", str(error)) from None
        first = seen.setdefault((user, device), line)
        if first != line:
            raise _wrong(path, line, "device", f"the same user and device as in line {first}")
        if len(seen) > _MOST_CODES:
            raise ConfigError(f"{path} has more than {_MOST_CODES} devices: split it")
    if not seen:
        raise ConfigError(f"{path} lists no devices: add a line for each, below name,device")
    return list(seen)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line of the table below its head, with its number. Raises: ConfigError."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    head: list[str] = []
    try:
        for row in reader:
            line = reader.line_num
            if not head:
                head = _head(path, row)
            elif row and len(row) < len(head):
                raise _wrong(path, line, head[len(row)], "it is missing")
            elif len(row) > len(head):
                raise _wrong(path, line, str(len(head) + 1), "line 1 has no such column")
            elif row:
                yield line, dict(zip(head, (value.strip(" ") for value in row), strict=True))
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: {error}") from None


def _head(path: Path, row: list[str]) -> list[str]:
    head = [name.strip(" ").lower() for name in row]
    for name in head:
        if name not in _COLUMNS or head.count(name) > 1:
            raise _wrong(path, 1, name, "the first line must be name,device")
    if "name" not in head:
        raise ConfigError(f"{path}, line 1: there is no column name: write name,device")
    return head


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} has more than 8 MiB: split it")
        # Spreadsheets put a byte order mark before the text.
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8: save it as CSV in UTF-8") from None


def _wrong(path: Path, line: int, column: str, why: str) -> ConfigError:
    return ConfigError(f"{path}, line {line}, column {column}: {why}")


def codes_table(minted: Sequence[MintedCode]) -> bytes:
    """The codes as CSV."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((*_COLUMNS, "code", "expires"))
    for one in minted:
        writer.writerow((one.user, one.device, one.code.text, time_text(one.expires_ms)))
    return table.getvalue().encode()
