"""Read the body of a client: up to a size limit, at a minimum rate, within a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO

from gateway.errors import BodyTooLarge, BodyTooSlow, BrokenBody

from .body_memory import BODIES, SMALL_BYTES, Pace
from .memory_release import FREED

# For the whole body: enough for a slow line, and a limit for a client that occupies memory.
_READ_TIMEOUT_S = 120
# A body that is not small has to arrive at this rate. GPRS has about 5,000 bytes a second.
_LEAST_BYTES_PER_S = 4096
_PATIENCE_S = 10
_TOO_SLOW = (
    f"the body came too slowly: it may take {_READ_TIMEOUT_S} s, and one of more than "
    f"{SMALL_BYTES} bytes must arrive at {_LEAST_BYTES_PER_S} bytes a second; send less at a time"
)


async def collect(
    next_chunk: Callable[[], Awaitable[bytes]],
    max_bytes: int,
    of: str,
    *,
    is_whole: Callable[[], bool] = lambda: False,
) -> bytes:
    """The body from a client with the address ``of``. The first empty chunk ends it.

    ``is_whole`` says whether the last chunk was the end. A body in one chunk, which nearly all
    messages are, never waits in memory, so it is not counted there.
    Raises: BodyTooLarge, BodyTooSlow, BrokenBody, TooManyBodies, and what ``next_chunk`` raises.
    """
    # It gives its bytes away without a copy.
    body = BytesIO()
    size = 0
    end_s = asyncio.get_running_loop().time() + _READ_TIMEOUT_S
    pace = Pace(_LEAST_BYTES_PER_S, _PATIENCE_S)
    try:
        async with asyncio.timeout_at(end_s):
            chunk = await next_chunk()
        if not chunk or is_whole():
            size = len(chunk)
            if size > max_bytes:
                raise BodyTooLarge
            return chunk
        within_s = end_s - asyncio.get_running_loop().time()
        async with BODIES.hold(of, max_bytes, within_s) as held:
            while chunk:
                body.write(chunk)
                size += len(chunk)
                if size > max_bytes:
                    raise BodyTooLarge
                held.add(len(chunk))
                pace.received(len(chunk))
                if size > SMALL_BYTES:
                    held.timeout.reschedule(min(end_s, pace.until_s))
                chunk = await next_chunk()
        return body.getvalue()
    except ConnectionError:
        raise BrokenBody("the body did not come whole") from None
    except TimeoutError:
        raise BodyTooSlow(_TOO_SLOW) from None
    finally:
        # An error that is kept also keeps this frame.
        FREED.add(size)
        body.close()
