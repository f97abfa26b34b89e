"""How fast a client reads a response. Only time with unsent bytes in the buffer counts."""

import socket
import struct
import sys
from asyncio import Transport

# The shortest time that tells a client that reads nothing from one that reads in bursts.
_AT_LEAST_S = 5
# Older readings count less.
_WINDOW_S = 30
# tcpi_bytes_acked of Linux's struct tcp_info (linux/tcp.h). New fields are only added at its end.
_BYTES_ACKED = struct.Struct("=120xQ")


class ReadRate:
    """The bytes that a client took while others waited, sampled from time to time."""

    def __init__(self) -> None:
        self._taken_bytes = 0
        self._waited_s = 0.0
        self._last: tuple[float, int] | None = None

    def sample(self, transport: Transport, now_s: float) -> None:
        """Read how many bytes were acknowledged by ``now_s``."""
        acked = _acked(transport)
        if acked is None:
            return
        if self._last and transport.get_write_buffer_size():
            self._waited_s += now_s - self._last[0]
            self._taken_bytes += acked - self._last[1]
            if self._waited_s > 2 * _WINDOW_S:
                self._waited_s /= 2
                self._taken_bytes //= 2
        self._last = now_s, acked

    @property
    def is_long(self) -> bool:
        """Whether the samples are enough for a decision without other clients."""
        return self._waited_s >= _WINDOW_S

    def bytes_per_s(self) -> float:
        """The rate; infinite if it is not known yet."""
        if self._waited_s < _AT_LEAST_S:
            return float("inf")
        return self._taken_bytes / self._waited_s


def _acked(transport: Transport) -> int | None:
    """The number of bytes that the client acknowledged, or None if the system does not know."""
    wire = transport.get_extra_info("socket")
    if sys.platform != "linux" or wire is None or wire.family == socket.AF_UNIX:
        return None
    info: bytes = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
    if len(info) < _BYTES_ACKED.size:
        return None
    acked: int = _BYTES_ACKED.unpack(info)[0]
    return acked
