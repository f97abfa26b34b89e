"""The body of a request of aiohttp."""

from aiohttp import web

from .errors import BodyTooLarge, BrokenBody
from .request_body import collect


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
    try:
        return await collect(request.content.readany, max_bytes)
    except web.RequestPayloadError:
        raise BrokenBody("the body did not come whole") from None
