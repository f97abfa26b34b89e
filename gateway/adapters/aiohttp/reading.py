"""How fast a visitor takes an answer, counted only while bytes wait for them."""

import socket
import struct
import sys
from asyncio import Transport

# Within so long, who takes nothing is told from who reads in bursts.
_AT_LEAST_S = 5
# What is longer ago counts for less.
_WINDOW_S = 30
# tcpi_bytes_acked of Linux's struct tcp_info (linux/tcp.h), which only ever grows at its end.
_BYTES_ACKED = struct.Struct("=120xQ")


class Reading:
    """What a visitor has taken while something waited, as it is seen from time to time."""

    def __init__(self) -> None:
        self._taken_bytes = 0
        self._waited_s = 0.0
        self._last: tuple[float, int] | None = None

    def look(self, transport: Transport, now_s: float) -> None:
        """See how far it has come by ``now_s``."""
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
        """Whether it has been seen for long enough to be judged by itself."""
        return self._waited_s >= _WINDOW_S

    def bytes_per_s(self) -> float:
        """The rate; infinite as long as it cannot be told."""
        if self._waited_s < _AT_LEAST_S:
            return float("inf")
        return self._taken_bytes / self._waited_s


def _acked(transport: Transport) -> int | None:
    """What the other side has acknowledged; None where the system does not tell."""
    wire = transport.get_extra_info("socket")
    if sys.platform != "linux" or wire is None or wire.family == socket.AF_UNIX:
        return None
    told: bytes = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
    if len(told) < _BYTES_ACKED.size:
        return None
    acked: int = _BYTES_ACKED.unpack(told)[0]
    return acked
