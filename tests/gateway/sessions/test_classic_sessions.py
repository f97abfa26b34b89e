"""The keys of classic sessions in the memory of a gateway."""

import gc
from pathlib import Path

from gateways import running

from protocol.classic.exchange import SessionKeys


def keys_in_memory() -> int:
    gc.collect()
    return sum(isinstance(one, SessionKeys) for one in gc.get_objects())


async def test_keys_of_a_session_that_was_ended_elsewhere_leave(tmp_path: Path) -> None:
    store, key_file = f"sqlite:{tmp_path / 'db'}", str(tmp_path / "keys")
    async with (
        running(store=store, key_file=key_file) as one,
        running(store=store, key_file=key_file) as two,
    ):
        before = keys_in_memory()
        raw = await one.raw_login()
        live = await two.assembly.sessions.find(raw.token, two.clock())
        assert live is not None
        await two.assembly.sessions.end(live)
        del live
        assert keys_in_memory() > before
        for _ in range(2):
            # A message that is refused does not keep them.
            assert (await raw.send(raw.seal()[0])).status == 403
            await one.assembly.sweep()
        assert keys_in_memory() == before


async def test_keys_in_use_stay() -> None:
    async with running() as at:
        raw = await at.raw_login()
        first = await at.assembly.sessions.find(raw.token, at.clock())
        for _ in range(3):
            await at.assembly.sweep()
            assert (await raw.send(raw.seal()[0])).status == 200
        assert await at.assembly.sessions.find(raw.token, at.clock()) is first
        for _ in range(2):
            await at.assembly.sweep()
        assert (await raw.send(raw.seal()[0])).status == 200
        assert await at.assembly.sessions.find(raw.token, at.clock()) is not first
