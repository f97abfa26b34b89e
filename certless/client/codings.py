"""Decodes response bodies by their Content-Encoding: gzip, deflate, br and zstd.

br and zstd need a library (the extra ``codings``); without it, the client does not ask for them.
The expansion is bounded, so that a small body cannot fill the memory or the disk.
"""

import importlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Protocol

from .errors import BodyNotDecoded

# A body can become that long in any case. Beyond, it must not be more than 100 times what came.
# Text becomes about 5 to 20 times shorter.
FREE_BYTES = 64 * 1024 * 1024
MAX_EXPANSION = 100
MAX_CODINGS = 3
_PIECE_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"


class _Step(Protocol):
    """One coding."""

    @property
    def is_complete(self) -> bool:
        """Whether the end of the coding has come."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes, in pieces of about 64 KiB. Raises: what its library raises."""


class _Zlib:
    """gzip (also several members, one after the other), or deflate with zlib's header or none."""

    def __init__(self, *, is_gzip: bool) -> None:
        self.is_complete = False
        self._is_gzip = is_gzip
        self._inflate: Any = zlib.decompressobj(zlib.MAX_WBITS | 16) if is_gzip else None
        # The first bytes after a member of gzip: another member, or padding.
        self._after = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            # The low half of zlib's first byte is 8; a raw deflate stream cannot begin so.
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS * (1 if data[0] & 15 == 8 else -1))
        is_full = False
        while data or is_full:
            if self.is_complete and not (data := self._next_member(data)):
                return
            if piece := self._inflate.decompress(data, _PIECE_BYTES):
                yield piece
            self.is_complete = self._inflate.eof
            # A full piece can leave output inside, even if all input was taken.
            is_full = len(piece) == _PIECE_BYTES and not self.is_complete
            data = self._inflate.unused_data if self.is_complete else self._inflate.unconsumed_tail

    def _next_member(self, data: bytes) -> bytes:
        """Begin the next member of gzip; b"" if there is none (yet). Padding is ignored."""
        if not self._is_gzip:
            return b""
        self._after += data
        if len(self._after) < len(_GZIP_MAGIC):
            return b""
        member, self._after = self._after, b""
        if not member.startswith(_GZIP_MAGIC):
            self._is_gzip = False
            return b""
        self._inflate, self.is_complete = zlib.decompressobj(zlib.MAX_WBITS | 16), False
        return member


class _Brotli:
    def __init__(self, library: ModuleType) -> None:
        self._decoder = library.Decompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._decoder.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        # What follows the end is padding, and ignored.
        while not self._decoder.is_finished():
            piece = self._decoder.process(data, output_buffer_limit=_PIECE_BYTES)
            if piece:
                yield piece
            elif self._decoder.can_accept_more_data():
                return
            data = b""


class _Zstd:
    """One frame, or several."""

    def __init__(self, library: ModuleType) -> None:
        self._library = library
        self._decoder = library.ZstdDecompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._decoder.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._decoder.eof:
                if not data:
                    return
                self._decoder = self._library.ZstdDecompressor()
            if piece := self._decoder.decompress(data, _PIECE_BYTES):
                yield piece
            data = b""
            if self._decoder.eof:
                data = self._decoder.unused_data
            elif self._decoder.needs_input:
                return


def _library(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _known_codings() -> dict[str, Callable[[], _Step] | None]:
    """Each coding; None if its library is not installed."""
    known: dict[str, Callable[[], _Step] | None] = {
        "gzip": lambda: _Zlib(is_gzip=True),
        "deflate": lambda: _Zlib(is_gzip=False),
        "br": None,
        "zstd": None,
    }
    brotli, zstd = _library("brotli", "brotlicffi"), _library("compression.zstd", "backports.zstd")
    # Versions of Brotli before 1.2 cannot limit their output.
    if brotli is not None and hasattr(brotli.Decompressor, "can_accept_more_data"):
        known["br"] = lambda: _Brotli(brotli)
    if zstd is not None:
        known["zstd"] = lambda: _Zstd(zstd)
    return known


_STEPS = _known_codings()
ACCEPTED = ", ".join(name for name, step in _STEPS.items() if step is not None)


def codings_of(values: Sequence[str]) -> list[str]:
    """The codings in Content-Encoding headers, in the order in which they were applied."""
    names = [name.strip().lower() for value in values for name in value.split(",")]
    named = ["gzip" if name == "x-gzip" else name for name in names]
    return [name for name in named if name not in ("", "identity")]


class Decoder:
    """Decodes one body. ``most`` is the longest decoded body, None for a body that is streamed.

    Raises: BodyNotDecoded, for too many codings or one whose library is not installed.
    """

    def __init__(self, codings: Sequence[str], most: int | None = None) -> None:
        if len(codings) > MAX_CODINGS:
            raise BodyNotDecoded(f"the body has more than {MAX_CODINGS} codings")
        self._most = most
        self._received = self._decoded = 0
        self._steps: list[_Step] = []
        for name in reversed(codings):
            if (step := _STEPS[name]) is None:
                raise BodyNotDecoded(f"the body is in {name}: pip install 'certless[codings]'")
            self._steps.append(step())

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes, in pieces. Raises: BodyNotDecoded."""
        self._received += len(data)
        try:
            for piece in self._through(self._steps, data):
                self._decoded += len(piece)
                self._check()
                yield piece
        except BodyNotDecoded:
            raise
        except Exception as error:
            # Each library has an exception of its own.
            raise BodyNotDecoded("the body is not in its Content-Encoding") from error

    def _through(self, steps: Sequence[_Step], data: bytes) -> Iterator[bytes]:
        if not steps:
            yield data
            return
        for piece in steps[0].feed(data):
            yield from self._through(steps[1:], piece)

    def _check(self) -> None:
        if self._most is not None and self._decoded > self._most:
            raise BodyNotDecoded(f"the decoded body is longer than {self._most} bytes")
        if self._decoded > max(FREE_BYTES, MAX_EXPANSION * self._received):
            raise BodyNotDecoded(
                f"the decoded body is more than {MAX_EXPANSION} times as long as what came. To "
                "get it as it is, send the header 'Accept-Encoding: identity'"
            )

    def end(self) -> None:
        """The body has ended. Raises: BodyNotDecoded, if a coding has not."""
        if self._received and not all(step.is_complete for step in self._steps):
            raise BodyNotDecoded("the body ended before its Content-Encoding did")


def decoder_for(values: Sequence[str], most: int | None = None) -> Decoder | None:
    """The decoder for Content-Encoding headers. Raises: BodyNotDecoded.

    None if there is nothing to decode. A body in an unknown coding stays as it is, as with
    requests: the program that asked for it can decode it.
    """
    codings = codings_of(values)
    if not codings or any(name not in _STEPS for name in codings):
        return None
    return Decoder(codings, most)


def decoded(values: Sequence[str], body: bytes, most: int) -> bytes:
    """A whole body. Raises: BodyNotDecoded."""
    decoder = decoder_for(values, most)
    if decoder is None:
        return body
    whole = b"".join(decoder.feed(body)) if body else b""
    decoder.end()
    return whole
