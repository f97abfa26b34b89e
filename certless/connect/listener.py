"""The sockets of ``connect``: loopback only, on IPv4 and IPv6.

A browser can use either for ``localhost``. If we had only one, another user of this machine could
listen on the other and receive the requests of the browser.
"""

import errno
import socket

from .errors import CannotStart

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
# The machine has no such address, so no program can listen there.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def listen_on(address: str, port: int) -> socket.socket:
    """A listening socket on one loopback address. Raises: CannotStart."""
    for family, known in _ADDRESSES:
        if address == known:
            try:
                return _listening(family, address, port)
            except OSError as error:
                raise CannotStart(f"{address} port {port}: {error.strerror}") from None
    raise CannotStart(f"{address} is not 127.0.0.1 or ::1: connect is for this machine only")


def listen(port: int) -> list[socket.socket]:
    """Listening sockets on ``port`` (0: any free one) of each loopback address.

    Raises: CannotStart, if another program has one of them.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _ADDRESSES:
            try:
                sockets.append(_listening(family, address, port))
            except OSError as error:
                if error.errno in _ABSENT and sockets:
                    continue
                raise CannotStart(
                    f"{address} port {port}: {error.strerror}; choose another --port"
                ) from None
            port = port or sockets[0].getsockname()[1]
    except CannotStart:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(128)
    except OSError:
        opened.close()
        raise
    return opened
