"""The body of a request of aiohttp."""

import traceback

from aiohttp import web

from gateway.errors import BodyTooLarge, BrokenBody
from gateway.pipeline.freed_memory import FREED
from gateway.pipeline.request_body import collect
from gateway.policy.client_address import UNKNOWN


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The body; one that is larger by its own account is refused before any of it is read.

    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies.
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
        return await collect(request.content.readany, max_bytes, request.remote or UNKNOWN)
    except web.RequestPayloadError:
        raise BrokenBody("the body did not come whole") from None


def let_go_of_broken_body(request: web.Request) -> None:
    """Free what was read of a body that broke off; nothing happens where it came whole.

    The stream keeps the error of its connection, the error the frames that it went through, and
    those what they had read. Together they are a circle, which stays until Python's collector of
    garbage looks at old objects: after hours, on a quiet server.
    """
    error = request.content.exception()
    if error is not None:
        traceback.clear_frames(error.__traceback__)
        FREED.add(request.content.total_bytes)
