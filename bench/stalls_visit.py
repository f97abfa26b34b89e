"""A server, the requests of an attacker, and how long they block another client."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import aiohttp

from bench.processes import Server
from bench.results import Size, progress
from protocol.classic.dialects import DEFAULT_PREFIX

AIM_S = 0.1
PING_EVERY_S = 0.003
TRIES = 4
MANY = 1000  # more than there are

# Each has a name, and returns path, body and format when called.
Bodies = Iterator[tuple[str, Callable[[], tuple[str, bytes, str]]]]


@dataclass(slots=True)
class Worst:
    """The worst result of one route."""

    held_s: float = 0.0
    name: str = ""
    waited_s: float = 0.0

    def see(self, name: str, held_s: float, waited_s: float) -> None:
        if held_s >= self.held_s:
            self.held_s, self.name = held_s, name
        self.waited_s = max(self.waited_s, waited_s)


class Visit:
    """One server, the attacker's requests, and those of another client."""

    def __init__(
        self,
        server: Server,
        http: aiohttp.ClientSession,
        adapter: str,
        size: Size,
        found: dict[str, Worst],
    ) -> None:
        self.server, self.http, self.adapter = server, http, adapter
        self._size, self._found = size, found

    async def held_s(self) -> float:
        async with self.http.get(self.server.url + "/held") as answer:
            return float((await answer.json(content_type=None))["held_s"])

    async def post(self, path: str, body: bytes, form: str = "json") -> tuple[int, bytes]:
        headers = {"Content-Type": f"application/{form}"}
        async with self.http.post(self.server.url + path, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def _ping(self, waits: list[float]) -> None:
        while True:
            began_s = time.perf_counter()
            # A missing page below the prefix: no login, no work.
            async with self.http.get(self.server.url + DEFAULT_PREFIX + "/none") as answer:
                await answer.read()
            waits.append(time.perf_counter() - began_s)
            await asyncio.sleep(PING_EVERY_S)

    async def _once(self, path: str, body: bytes, form: str) -> tuple[int, float, float]:
        """The status, how long the loop was blocked, and how long the other client waited."""
        await self.held_s()
        waits: list[float] = []
        pinger = asyncio.create_task(self._ping(waits))
        try:
            status = (await self.post(path, body, form))[0]
        except aiohttp.ClientError:
            status = 0  # closed upon us, as after a refusal that is not read
        pinger.cancel()
        await asyncio.wait([pinger])
        return status, await self.held_s(), max(waits, default=0.0)

    async def measure(self, route: str, bodies: "Bodies") -> None:
        """Each of ``bodies`` returns path, body and format when called."""
        worst = self._found.setdefault(route, Worst())
        for name, make in islice(bodies, self._size.of(MANY, 1)):
            # Other programs on the machine only add time, so the best of some tries counts.
            tries = [await self._once(*make())]
            while tries[-1][1] > AIM_S / 2 and len(tries) < self._size.of(TRIES, 1):
                tries.append(await self._once(*make()))
            status, held_s, waited_s = min(tries, key=lambda one: one[1])
            worst.see(f"{self.adapter}: {name} ({status})", held_s, waited_s)
        progress(f"{self.adapter}, {route}: at most {worst.held_s * 1000:.0f} ms")
