"""The gain of a second worker of ``serve``, on SQLite and on Redis.

wrk, nginx (the upstream) and Redis share one of the two cores, so they take CPU time from the
second worker. The figure ``elsewhere`` leaves their CPU time out: the rate, divided by the cores
that the workers could use, times the number of workers. It includes the time that workers wait for
a lock or a disk. It cannot show that the caches of the processor would be warmer without the load,
so it is rather too low. It says nothing about more than two workers.
"""

from bench.growth import GrownTarget, fill, new_session
from bench.load import ROUNDS, play, warm_up
from bench.messages import Bench
from bench.nginx import nginx
from bench.processes import gateway
from bench.redis_process import redis_process
from bench.results import Row, Rows, Size, progress
from gateway.keys.keyring import KeyRing
from gateway.stores.urls import store_from_url

SESSIONS = 64
WORKERS = (1, 2)
_CORES = 2


async def workers(one: Bench, size: Size) -> Rows:
    """``serve`` with one and with two workers."""
    upstream = await one.stack.enter_async_context(nginx(one.folder, one.load_core))
    redis = await one.stack.enter_async_context(redis_process(one.load_core))
    both = f"{one.core},{one.load_core}"
    key_file = one.folder / "key"
    keyring = KeyRing.from_file(key_file)
    targets = {}
    for store_name, url in (("SQLite", f"sqlite:{one.folder / 'db'}"), ("Redis", redis.url)):
        store = store_from_url(url)
        await store.open()
        clients = await fill(store, keyring, SESSIONS, new_session)
        await store.close()
        for count in WORKERS:
            own = ("--store", url, "--key-file", str(key_file), "--suites", "ecdh-gcm")
            server = one.stack.enter_context(
                gateway(upstream, *own, "--workers", str(count), core=both)
            )
            target = GrownTarget(server, one.http, clients)
            messages = size.of(await warm_up(target, size) * count, 100)
            targets[f"{store_name}, workers {count}"] = (target, count, messages)
    rows = {name: Row() for name in targets}
    for number in range(size.of(ROUNDS, 1)):
        for name, (target, count, messages) in targets.items():
            sample = await play(target, messages)
            usable = min(count, _CORES - sample.other_cores)
            elsewhere = sample.rate / usable * count
            rows[name].add(
                sample.fault, rate=sample.rate, cpu_us=sample.cpu_us, elsewhere=elsewhere
            )
            progress(f"round {number + 1}: {name}: {sample.rate:,.0f}/s {sample.fault}")
    return rows
