"""What one request may ask of the loop at a time, so that all others have their turn.

A message of a login is small, whatever a sealed message may have. Work on a large message is done
in steps, none of which takes 100 ms; between them others have a turn.
"""

import asyncio

from gateway.errors import BodyTooLarge
from protocol.common.envelopes import MAX_LOGIN_BYTES

from .outer import OuterRequest

# Smaller messages are done in a few milliseconds.
_LARGE_BYTES = 128 * 1024


async def read_login(request: OuterRequest, max_body_bytes: int) -> bytes:
    """The body of a message that begins or ends a session.

    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies.
    """
    most = min(MAX_LOGIN_BYTES, max_body_bytes)
    try:
        return await request.read(most)
    except BodyTooLarge:
        raise BodyTooLarge(f"a message of a login or logout has at most {most} bytes") from None


async def give_way(size: int) -> None:
    """A turn for everybody else, between two steps of the work on ``size`` bytes."""
    if size > _LARGE_BYTES:
        await asyncio.sleep(0)
