"""Past one process: what two gateways on one store show, whichever store it is.

Real processes, a real store, a real upstream that writes down what it ran.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis_servers
from hardened_gateways import Device, a_code
from two_gateways import WAYS, Message, Pair, log_in, two_gateways

from protocol.common.codes import CODE_ATTEMPTS

MESSAGES = 1000
UNDER_WAY = 16
GUESSES = 50
WRONG = "AAAA-AAAA"


@pytest.fixture(params=["sqlite", "redis"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        store = f"sqlite:{tmp_path / 'db'}"
        if request.param == "redis":
            store = (await stack.enter_async_context(redis_servers.running(tmp_path))).url
        yield await stack.enter_async_context(two_gateways(tmp_path, store))


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_opened_on_one_works_on_the_other(pair: Pair, way: str) -> None:
    orders = await log_in(way, pair.a, "ann")
    sent = [orders.order() for _ in range(4)]
    at = [pair.b, pair.a, pair.b, pair.b]
    assert [await message.send(where) for message, where in zip(sent, at, strict=True)] == [200] * 4
    assert pair.ran() == {message.id: 1 for message in sent}


@pytest.mark.parametrize("way", WAYS)
async def test_the_same_message_at_both_at_once_runs_once(pair: Pair, way: str) -> None:
    orders = await log_in(way, pair.a, "ann")
    turns = asyncio.Semaphore(UNDER_WAY)

    async def send(message: Message) -> list[int | None]:
        async with turns:
            both = await asyncio.gather(message.send(pair.a), message.send(pair.b))
        return sorted(both, key=str)

    sent = [orders.order() for _ in range(MESSAGES)]
    answers = await asyncio.gather(*map(send, sent))
    assert answers == [[200, 403]] * MESSAGES
    assert pair.ran() == {message.id: 1 for message in sent}


async def test_parallel_guesses_at_both_are_at_most_five_evaluations_classic(pair: Pair) -> None:
    token = (await pair.a.post("/.gateway/session", {"username": "ann@example.org"})).json["token"]
    await pair.mailbox.code()
    guess = {"token": token, "payload": "AAAA" * 200, "iv": "AAAA" * 4}
    path = "/.gateway/session/authenticate"
    answers = await asyncio.gather(
        *((pair.a, pair.b)[number % 2].post(path, guess) for number in range(GUESSES))
    )
    assert {answer.visible for answer in answers} == {answers[0].visible}
    assert answers[0].status == 403
    # The logs tell what the answers do not: whether a code was tried at all.
    assert 1 <= len(re.findall(r"decryption_failed", pair.logs())) <= CODE_ATTEMPTS


async def test_parallel_guesses_at_both_count_exactly_hardened(pair: Pair) -> None:
    at_a, at_b = Device(pair.a), Device(pair.b)

    async def guess_in_parallel(count: int) -> int:
        """The status of the right code after ``count`` wrong ones."""
        awaited = await at_a.greet()
        right = await pair.mailbox.code()
        # A share that loses to another at the same moment is refused, and is counted all the same.
        shares = (awaited.enter(a_code(WRONG), secrets.token_bytes)[0] for _ in range(count))
        await asyncio.gather(
            *((at_a, at_b)[number % 2].send_share(share) for number, share in enumerate(shares))
        )
        share, pending = awaited.enter(a_code(right), secrets.token_bytes)
        answer = await at_b.send_share(share)
        if answer.status != 200:
            return answer.status
        return (await at_b.send_confirmation(at_b.shared(answer, pending)[0])).status

    assert await guess_in_parallel(CODE_ATTEMPTS - 1) == 200
    assert await guess_in_parallel(CODE_ATTEMPTS) == 403
    assert await guess_in_parallel(GUESSES) == 403


@pytest.mark.parametrize("way", WAYS)
async def test_one_is_killed_under_load_and_the_other_goes_on(pair: Pair, way: str) -> None:
    orders = await log_in(way, pair.a, "ann")
    answered: list[Message] = []
    lost: list[Message] = []
    enough = asyncio.Event()

    async def traffic() -> None:
        # As a client that knows both: the other is asked for what comes next, never for the same.
        at = pair.a
        for _ in range(50):
            message = orders.order()
            status = await message.send(at)
            (lost if status is None else answered).append(message)
            if status is None:
                at = pair.b
            else:
                assert status == 200
            if len(answered) >= 60:
                enough.set()

    async def killer() -> None:
        await enough.wait()
        await pair.a.kill()

    await asyncio.gather(killer(), *(traffic() for _ in range(8)))
    assert lost
    assert len(answered) > 60
    ran = pair.ran()
    assert all(ran[message.id] == 1 for message in answered)
    # What was lost may have run, once; it never runs a second time, and what ran is refused.
    turns = asyncio.Semaphore(UNDER_WAY)

    async def replay(message: Message) -> int | None:
        async with turns:
            return await message.send(pair.b)

    again = await asyncio.gather(*map(replay, lost + answered))
    assert set(again[len(lost) :]) == {403}
    assert max(pair.ran().values()) == 1
