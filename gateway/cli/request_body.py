"""The body of ``certless request``: ``-d``, ``--json``, ``-F`` and ``-T``, as curl has them."""

import argparse
import mimetypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from aiohttp import FormData

from gateway.errors import ConfigError

# A longer form is sent as a stream, which has no limit.
_MESSAGE_BYTES = 1024 * 1024
_BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Body:
    """A body and the headers that describe it. ``is_upload``: it is sent while it is read."""

    data: bytes | Path | BinaryIO | None = None
    headers: dict[str, str] = field(default_factory=dict)
    is_upload: bool = False

    @property
    def can_be_sent_again(self) -> bool:
        """Whether a redirect can have the same body."""
        return isinstance(self.data, bytes | Path | None)


def add_body_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options; only one kind of them can be given."""
    bodies = command.add_mutually_exclusive_group()
    bodies.add_argument(
        "-d",
        "--data",
        action="append",
        metavar="TEXT",
        help="a form (application/x-www-form-urlencoded); @FILE reads a file; more than one are "
        "joined by &",
    )
    bodies.add_argument("--json", metavar="TEXT", help="a JSON body; @FILE reads a file")
    bodies.add_argument(
        "-F",
        "--form",
        action="append",
        metavar="NAME=VALUE",
        help="a field of a multipart form; NAME=@FILE sends a file; can be repeated",
    )
    bodies.add_argument(
        "-T", "--upload-file", metavar="FILE", help="send a file of any size; - is standard input"
    )


async def body_of(arguments: argparse.Namespace) -> Body:
    """The body that was asked for. Raises: ConfigError."""
    if arguments.data is not None:
        content_type = "application/x-www-form-urlencoded"
        data = b"&".join(_content(text) for text in arguments.data)
        return Body(data, {"Content-Type": content_type})
    if arguments.json is not None:
        kind = "application/json"
        return Body(_content(arguments.json), {"Content-Type": kind, "Accept": kind})
    if arguments.form is not None:
        return await _form(arguments.form)
    if arguments.upload_file is not None:
        return _upload(arguments.upload_file)
    return Body()


def _content(text: str) -> bytes:
    return _read(text[1:]) if text.startswith("@") else text.encode("utf-8", "surrogateescape")


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}") from None


async def _form(fields: Sequence[str]) -> Body:
    form = FormData(default_to_multipart=True)
    for text in fields:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"field {text!r} must be NAME=VALUE or NAME=@FILE")
        if value.startswith("@"):
            file = Path(value[1:])
            content_type = mimetypes.guess_type(file.name)[0] or _BYTES
            form.add_field(name, _read(value[1:]), filename=file.name, content_type=content_type)
        else:
            form.add_field(name, value)
    encoded = form()
    data = await encoded.as_bytes()
    return Body(data, {"Content-Type": encoded.content_type}, len(data) > _MESSAGE_BYTES)


def _upload(name: str) -> Body:
    headers = {"Content-Type": _BYTES}
    if name == "-":
        return Body(sys.stdin.buffer, headers, is_upload=True)
    path = Path(name)
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {error.strerror}") from None
    return Body(path, headers, is_upload=True)
