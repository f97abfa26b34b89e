"""Redis killed with -9 under load and started again, with its data and without: it goes on.

What was sealed before is never run again; nobody is answered 500; nobody restarts a gateway.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import redis_servers
from two_gateways import WAYS, Message, Orders, Pair, log_in, two_gateways

# All that a client may see while the store comes and goes.
STATUSES = {200, 403, 503}
BEFORE = 60


class Traffic:
    """Orders without pause, in turn at both gateways, each message once."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self.sent: list[Message] = []
        self.statuses: Counter[int | None] = Counter()
        self.is_over = False

    async def run(self, orders: Orders) -> None:
        at = (self._pair.a, self._pair.b)
        while not self.is_over:
            message = orders.order()
            self.sent.append(message)
            self.statuses[await message.send(at[len(self.sent) % 2])] += 1

    async def until(self, status: int, count: int) -> None:
        """Wait for ``count`` more answers of ``status``."""
        enough = self.statuses[status] + count
        async with asyncio.timeout(60):
            while self.statuses[status] < enough:  # noqa: ASYNC110 (counted in several tasks)
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("keeps_its_data", [True, False], ids=["with-data", "without"])
async def test_redis_is_killed_and_started_again_under_load(
    tmp_path: Path, keeps_its_data: bool
) -> None:
    log = {"appendonly": "yes", "appendfsync": "always"} if keeps_its_data else {}
    async with redis_servers.running(tmp_path / "redis", **log) as redis:
        async with two_gateways(tmp_path, redis.url) as pair:
            sessions = [await log_in(way, pair.a, way) for way in WAYS]
            traffic = Traffic(pair)
            async with asyncio.TaskGroup() as tasks:
                for orders in sessions:
                    tasks.create_task(traffic.run(orders))
                await traffic.until(200, BEFORE)
                redis.kill()
                await traffic.until(503, 10)
                assert set(traffic.statuses) <= STATUSES
                await redis.start()
                # Refused, as sessions that are over: the store answers again, at both.
                await traffic.until(403, 20)
                traffic.is_over = True
            assert set(traffic.statuses) <= STATUSES, traffic.statuses
            ran = pair.ran()
            assert max(ran.values()) == 1
            assert sum(ran.values()) >= traffic.statuses[200]
            # Nothing of before runs, neither what ran nor what was refused, wherever it is sent.
            for message in traffic.sent:
                assert await message.send(pair.a) == await message.send(pair.b) == 403
            assert pair.ran() == ran
            # And everybody goes on by logging in again; no gateway was started anew.
            for way in WAYS:
                orders = await log_in(way, pair.a, f"{way}-again")
                message = orders.order()
                assert await message.send(pair.b) == 200
                assert pair.ran()[message.id] == 1
            assert " 500 " not in pair.logs()
            assert pair.a.process.returncode is None
            assert pair.b.process.returncode is None
            assert pair.logs().count("was restarted, replaced or emptied") == 2
