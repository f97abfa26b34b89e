"""Reading what a visitor sends: up to a cap, at some rate at least, and not for ever."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody

from .freed_memory import FREED
from .held_bodies import BODIES, SMALL_BYTES, Pace

# For all of it. Long for a slow line, short for somebody who only wants to occupy memory.
_READ_TIMEOUT_S = 120
# Of a body that is not small, so much has to come: less than GPRS has (some 5,000 bytes a second).
_LEAST_BYTES_PER_S = 4096
_PATIENCE_S = 10
_TOO_SLOW = (
    f"the body came too slowly: it may take {_READ_TIMEOUT_S} s, and one of more than "
    f"{SMALL_BYTES} bytes has to come at {_LEAST_BYTES_PER_S} bytes a second; send less at a time"
)


async def collect(next_chunk: Callable[[], Awaitable[bytes]], max_bytes: int, of: str) -> bytes:
    """The body of the visitor ``of`` an address; the first empty chunk ends it.

    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies, and what ``next_chunk`` raises.
    """
    body = bytearray()
    end_s = asyncio.get_running_loop().time() + _READ_TIMEOUT_S
    pace = Pace(_LEAST_BYTES_PER_S, _PATIENCE_S)
    try:
        async with BODIES.hold(of, max_bytes, _READ_TIMEOUT_S) as held:
            while chunk := await next_chunk():
                body += chunk
                if len(body) > max_bytes:
                    raise BodyTooLarge
                held.add(len(chunk))
                pace.came(len(chunk))
                if len(body) > SMALL_BYTES:
                    held.limit.reschedule(min(end_s, pace.until_s))
        return bytes(body)
    except ConnectionError:
        raise BrokenBody("the body did not come whole") from None
    except TimeoutError:
        raise BodyTooSlow(_TOO_SLOW) from None
    finally:
        # An error keeps this frame for as long as somebody keeps the error.
        FREED.add(len(body))
        body.clear()
