"""The body of a request of aiohttp."""

import traceback

from aiohttp import web

from gateway.errors import BodyTooLarge, BrokenBody
from gateway.pipeline.memory_release import FREED
from gateway.pipeline.request_body import collect
from gateway.policy.client_address import UNKNOWN

from .private_api import whole_body


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The body. If its Content-Length is too large, none of it is read.

    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies.
    """
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge
    # A small message arrives complete with its head.
    whole = whole_body(request.content)
    if whole is not None:
        if len(whole) > max_bytes:
            raise BodyTooLarge
        return whole
    try:
        return await collect(request.content.readany, max_bytes, request.remote or UNKNOWN)
    except web.RequestPayloadError:
        raise BrokenBody("the body did not come whole") from None


def free_broken_body(request: web.Request) -> None:
    """Free the part of a body that was read before the connection broke. Else do nothing.

    The stream holds the error of its connection, the error holds the frames that it passed, and
    these hold what they read. Such a cycle stays until the garbage collector checks old objects,
    which takes hours on a quiet server.
    """
    error = request.content.exception()
    if error is not None:
        traceback.clear_frames(error.__traceback__)
        FREED.add(request.content.total_bytes)
