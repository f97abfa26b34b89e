"""``--forget``: end the stored session of a site and delete its files."""

import contextlib
from pathlib import Path

from yarl import URL

from certless.client import Client, ClientError, Suite

from .state import State


async def forget(
    site: URL, suite: Suite, realm: str, prefix: str, base: Path | None = None
) -> bool:
    """Whether the gateway has ended the session. The files are deleted in any case.

    Raises: CannotStart.
    """
    with State(str(site.origin()), realm, suite, base) as state:
        try:
            with contextlib.suppress(ClientError):
                async with Client(
                    str(site), suite=suite, realm=realm, prefix=prefix, tickets=state.ticket
                ) as client:
                    await client.resume()
                    await client.logout()
                    return True
            return False
        finally:
            state.forget()
