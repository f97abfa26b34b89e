"""A session that a gateway remembers after a message: what this saves and must not change."""

import asyncio
import gc
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateways import InProcess, running
from hardened_gateways import Device, Online

from gateway.errors import SessionChanged
from gateway.events import Event, Events, StoreAsked
from gateway.sessions import hardened
from gateway.stores.instrumented import timed
from gateway.stores.memory.store import MemoryStore
from gateway.stores.urls import store_from_url
from protocol.hardened.records import SessionRecord
from protocol.hardened.suites import Freshness

SUITES = ["ecdh-gcm", "rsa-gcm"]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        url: str = request.getfixturevalue("redis_url")
        return url
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'db'}"


def moved(online: Online) -> None:
    """The client begins its next epoch."""
    online.session = online.session.rekeyed(online.device.at.clock())


def is_remembered(at: InProcess, online: Online) -> bool:
    return at.assembly.hardened.remembered(bytes.fromhex(online.id)) is not None


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_a_message_asks_the_store_once(store_url: str, suite: str, fresh: Freshness) -> None:
    asked: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, StoreAsked):
            asked.append(event.method)

    store = timed(store_from_url(store_url), Events(note))
    async with running(store=store) as at:
        online = await Device(at, suite, fresh).login()
        asked.clear()
        assert (await online.call()).status == 200
        assert asked == ["load", "claim_message"]
        for _ in range(3):
            asked.clear()
            assert (await online.call()).status == 200
            assert asked == ["claim_message"]
        # A new epoch changes the record, so the next message loads it.
        moved(online)
        asked.clear()
        assert (await online.call()).status == 200
        assert asked == ["claim_message", "swap"]
        asked.clear()
        assert (await online.call()).status == 200
        assert asked == ["load", "claim_message"]


async def test_a_message_that_does_not_open_is_not_remembered() -> None:
    async with running() as at:
        online = await Device(at).login()
        envelope, _ = online.seal()
        changed = replace(envelope, sealed=bytes([envelope.sealed[0] ^ 1]) + envelope.sealed[1:])
        assert (await online.send(changed)).status == 403
        assert not is_remembered(at, online)
        assert (await online.send(envelope)).status == 200
        assert is_remembered(at, online)
        assert (await online.send(changed)).status == 403
        assert (await online.send(envelope)).status == 403
        assert len(at.ran) == 1


@pytest.mark.parametrize("suite", SUITES)
async def test_a_session_that_was_ended_elsewhere_runs_nothing(store_url: str, suite: str) -> None:
    async with AsyncExitStack() as stack:
        store = store_from_url(store_url)
        at = await stack.enter_async_context(running(store=store))
        online = await Device(at, suite).login()
        assert (await online.call()).status == 200
        assert is_remembered(at, online)
        at.ran.clear()
        await store.end(bytes.fromhex(online.id))
        for _ in range(2):
            envelope, _ = online.seal()
            assert (await online.send(envelope)).status == 403
            assert not is_remembered(at, online)
        assert not at.ran


@pytest.mark.parametrize("suite", SUITES)
async def test_an_epoch_that_moved_elsewhere(suite: str, tmp_path: Path) -> None:
    key_file = tmp_path / "keys"
    store = f"sqlite:{tmp_path / 'db'}"
    async with (
        running(store=store, key_file=str(key_file)) as one,
        running(store=store, key_file=str(key_file)) as two,
    ):
        for at in (one, two):
            at.clock.stopped_at_ms = one.clock()
        online = await Device(one, suite).login()
        assert (await online.call()).status == 200
        held_back = [online.seal()[0] for _ in range(2)]
        online.device = Device(two, suite)
        for _ in range(2):
            moved(online)
            assert (await online.call()).status == 200
        # One remembers the first epoch, whose keys the store has no more.
        assert is_remembered(one, online)
        one.ran.clear()
        online.device = Device(one, suite)
        assert (await online.send(held_back[0])).status == 403
        assert not one.ran
        assert not is_remembered(one, online)
        # The session goes on there, in the epoch of now.
        assert (await online.call()).status == 200
        assert is_remembered(one, online)
        # And where it is remembered with an epoch that has moved on by more than one.
        online.device = Device(two, suite)
        for _ in range(2):
            moved(online)
            assert (await online.call()).status == 200
        online.device = Device(one, suite)
        assert (await online.call()).status == 200
        assert (await online.send(held_back[1])).status == 403
        assert len(one.ran) == 2


async def test_no_keys_of_an_epoch_stay_with_the_rsa_keys(tmp_path: Path) -> None:
    """From them, the keys of all later epochs can be computed."""
    key_file, store = tmp_path / "keys", f"sqlite:{tmp_path / 'db'}"
    async with (
        running(store=store, key_file=str(key_file)) as one,
        running(store=store, key_file=str(key_file)) as two,
    ):
        online = await Device(one, "rsa-gcm").login()
        assert (await online.call()).status == 200
        (first,) = held(online)
        online.device = Device(two, "rsa-gcm")
        for _ in range(2):
            moved(online)
            assert (await online.call()).status == 200
        # Time has passed at the first gateway.
        one.assembly.hardened._remembered.clear()
        await one.assembly.sweep()
        assert first not in held(online)
        online.device = Device(one, "rsa-gcm")
        assert (await online.call()).status == 200


def held(online: Online) -> set[bytes]:
    """The keys of messages of the session that gateways of this process have in memory."""
    gc.collect()
    session_id = bytes.fromhex(online.id)
    records = [one for one in gc.get_objects() if isinstance(one, SessionRecord)]
    return {one.c2s for one in records if one.session_id == session_id}


class Slow(MemoryStore):
    """A store whose answer to a claim comes late."""

    def __init__(self) -> None:
        super().__init__()
        self.has_claimed = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def claim_message(self, *arguments: Any) -> bool:
        claimed = await super().claim_message(*arguments)
        self.has_claimed.set()
        await self.may_answer.wait()
        return claimed


async def test_a_late_answer_of_the_store_brings_no_ended_session_back() -> None:
    store = Slow()
    async with running(store=store) as at:
        online = await Device(at).login()
        envelope, pending = online.seal()
        late = asyncio.create_task(online.send(envelope))
        async with asyncio.timeout(10):
            await store.has_claimed.wait()
        live = await at.assembly.hardened.find(bytes.fromhex(online.id), at.clock())
        assert live is not None
        await at.assembly.hardened.end(live, at.clock())
        store.may_answer.set()
        assert online.opened(await late, pending).status == 200
        assert not is_remembered(at, online)


async def test_a_session_is_remembered_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardened, "_REMEMBERED_S", 0.05)
    async with running() as at:
        online = await Device(at).login()
        for _ in range(2):
            assert (await online.call()).status == 200
            assert is_remembered(at, online)
            async with asyncio.timeout(10):
                while is_remembered(at, online):  # noqa: ASYNC110 (a timer ends it)
                    await asyncio.sleep(0.01)


async def test_a_remembered_session_expires() -> None:
    async with running(session_lifetime_s=60) as at:
        at.clock.stopped_at_ms = at.clock()
        online = await Device(at, fresh="counter").login()
        assert (await online.call()).status == 200
        assert is_remembered(at, online)
        at.ran.clear()
        at.clock.stopped_at_ms += 60_000
        assert (await online.send(online.seal()[0])).status == 403
        assert not at.ran


async def test_above_the_limit_no_session_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardened, "_MOST_REMEMBERED", 1)
    async with running() as at:
        first, second = [await Device(at).login() for _ in range(2)]
        for _ in range(2):
            for online in (first, second):
                assert (await online.call()).status == 200
        assert is_remembered(at, first)
        assert not is_remembered(at, second)
        await first.call("POST", "/.gateway/session/logout")
        assert (await second.call()).status == 200
        assert is_remembered(at, second)


class Restless(MemoryStore):
    """A store in which another process changes the session before each of ``left`` claims."""

    left = 0

    async def claim_message(self, *arguments: Any) -> bool:
        if self.left:
            self.left -= 1
            raise SessionChanged
        return await super().claim_message(*arguments)


@pytest.mark.parametrize(("changes", "status"), [(2, 200), (3, 503)])
async def test_a_session_that_keeps_changing(changes: int, status: int) -> None:
    store = Restless()
    async with running(store=store) as at:
        online = await Device(at).login()
        store.left = changes
        envelope, pending = online.seal()
        answer = await online.send(envelope)
        assert answer.status == status
        assert len(at.ran) == (status == 200)
        if status == 503:
            answer = await online.send(envelope)
        assert online.opened(answer, pending).status == 200
        assert len(at.ran) == 1
