"""Reading what a visitor sends: up to a cap, and not for ever."""

import asyncio

from aiohttp import web

from .errors import BodyTooLarge, BrokenBody

# For all of it. Long for a slow line, short for somebody who only wants to occupy memory.
_READ_TIMEOUT_S = 120


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The body; one that is larger by its own account is refused before any of it is read.

    Raises: BodyTooLarge, BrokenBody.
    """
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge
    if request.content.is_eof() and request.content.exception() is None:
        # Small messages come whole, along with their head.
        whole = request.content.read_nowait()
        if len(whole) > max_bytes:
            raise BodyTooLarge
        return whole
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge
    except (ConnectionError, TimeoutError, web.RequestPayloadError):
        raise BrokenBody("the body did not come whole") from None
    return bytes(body)
