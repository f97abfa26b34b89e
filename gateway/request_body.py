"""Reading what a visitor sends: up to a cap, and not for ever."""

import asyncio
from collections.abc import Awaitable, Callable

from .errors import BodyTooLarge, BrokenBody
from .freed_memory import FREED

# For all of it. Long for a slow line, short for somebody who only wants to occupy memory.
_READ_TIMEOUT_S = 120


async def collect(next_chunk: Callable[[], Awaitable[bytes]], max_bytes: int) -> bytes:
    """The body whose chunks come from ``next_chunk``; the first empty one ends it.

    Raises: BodyTooLarge, BrokenBody, and what ``next_chunk`` raises.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            while chunk := await next_chunk():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge
        return bytes(body)
    except (ConnectionError, TimeoutError):
        raise BrokenBody("the body did not come whole") from None
    finally:
        # An error keeps this frame for as long as somebody keeps the error.
        FREED.add(len(body))
        body.clear()
