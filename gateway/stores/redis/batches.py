"""Sends the scripts that wait at the same time in one pipeline of redis-py.

A pipeline needs about a third of the processor time of single commands. The scripts stay
independent: each one is atomic by itself, and one that fails does not affect the others. A lone
script is sent alone. If the connection fails, all scripts of its batch fail, because any of them
can have been run.
"""

import asyncio
from typing import Any

# A second batch need not wait for the response to a slow script in the first one.
_SENDERS = 2


class Batches:
    """The scripts on their way to one server by ``client``, a ``redis.asyncio.Redis``."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._waiting: list[tuple[tuple[object, ...], asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._senders = 0

    async def evalsha(self, *arguments: object) -> Any:
        """The result of EVALSHA with ``arguments``. Raises: what redis-py raises."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((arguments, future))
        if self._senders < _SENDERS:
            self._senders += 1
            # It runs after the other callbacks of this pass of the loop, and takes their scripts.
            sender = asyncio.create_task(self._send_waiting())
            self._tasks.add(sender)
            sender.add_done_callback(self._tasks.discard)
        return await future

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._send_batch(batch)
        finally:
            # In the step that found nothing waiting: a script that comes later starts a sender.
            self._senders -= 1

    async def _send_batch(
        self, batch: list[tuple[tuple[object, ...], asyncio.Future[Any]]]
    ) -> None:
        try:
            results = await self._send([arguments for arguments, _ in batch])
        except Exception as error:  # whatever it is, each caller must get an answer
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _send(self, batch: list[tuple[object, ...]]) -> list[Any]:
        if len(batch) == 1:
            return [await self._client.evalsha(*batch[0])]
        pipeline = self._client.pipeline(transaction=False)
        for arguments in batch:
            pipeline.evalsha(*arguments)
        results: list[Any] = await pipeline.execute(raise_on_error=False)
        return results
