"""The login by the pages of ``connect``, step by step: the address, then the code.

``Client.login`` asks for the code while it runs, so it runs in a task between two pages.
"""

import asyncio
from enum import Enum, auto

from certless.client import Client, ClientError
from protocol.common.codes import CODE_ATTEMPTS


class Step(Enum):
    """What the user does next."""

    ADDRESS = auto()
    CODE = auto()
    CODE_AGAIN = auto()
    DONE = auto()


class Login:
    """One login at a time. A new address begins a new one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()
        self._code: asyncio.Future[str] | None = None
        self._codes_given = 0

    async def begin(self, address: str, password: str | None) -> Step:
        """Ask the gateway for a code. Raises: ClientError."""
        await self.cancel()
        self._codes_given = 0
        self._task = asyncio.create_task(
            self._client.login(
                address, code=self._next_code, password=password, attempts=CODE_ATTEMPTS
            )
        )
        return await self._next_step()

    async def enter(self, code: str) -> Step:
        """Try this code. Raises: ClientError; then the login starts again."""
        if self._task is None or self._code is None or self._code.done():
            return Step.ADDRESS
        self._codes_given += 1
        self._asked.clear()
        self._code.set_result(code)
        return await self._next_step()

    async def cancel(self) -> None:
        """End a login that waits for a code."""
        task, self._task, self._code = self._task, None, None
        self._asked.clear()
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()

    async def _next_code(self) -> str:
        self._code = asyncio.get_running_loop().create_future()
        self._asked.set()
        return await self._code

    async def _next_step(self) -> Step:
        task = self._task
        if task is None:
            return Step.ADDRESS
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if not task.done():
            return Step.CODE_AGAIN if self._codes_given else Step.CODE
        self._task = self._code = None
        if task.cancelled():
            return Step.ADDRESS
        if (error := task.exception()) is not None:
            raise error if isinstance(error, ClientError) else ClientError("the login failed")
        return Step.DONE
