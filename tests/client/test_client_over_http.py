"""The Python client in the hardened suites and a real gateway, over HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from frameworks import application
from gateways import Running, SetClock, Users, running

from certless.client import (
    Client,
    ClockNotAccepted,
    CodeNotAccepted,
    NoAnswer,
    NotLoggedIn,
    PasswordNotAccepted,
    Refused,
    SuiteNotAccepted,
    TicketNotAccepted,
)
from gateway import Account
from protocol.common.envelopes import Format

pytestmark = pytest.mark.usefixtures("framework")

MINUTE_MS = 60_000
ANN = "ann@example.org"


def client_of(at: Running, **options: Any) -> Client:
    """A client with the gateway's clock, unless it has another."""
    return Client(at.url, **{"clock": at.clock, **options})


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
@pytest.mark.parametrize("fresh", ["clock", "counter"])
@pytest.mark.parametrize("envelope", ["msgpack", "json"])
async def test_a_conversation(suite: str, fresh: str, envelope: str) -> None:
    async with (
        running() as at,
        client_of(at, suite=suite, fresh=fresh, envelope=envelope) as client,
    ):
        await client.login(ANN, code=at.mails.code)
        answers = await asyncio.gather(*(client.post("/echo?a=å", data=str(n)) for n in range(10)))
        told = [await answer.json() for answer in answers]
        assert [answer["body"] for answer in told] == [str(n) for n in range(10)]
        assert {answer["user"] for answer in told} == {ANN}
        assert told[0]["query"] == {"a": "å"}
        assert (await client.get("/nowhere")).status == 404
        await client.logout()
        with pytest.raises(NotLoggedIn):
            await client.get("/echo")


async def test_a_new_client_speaks_ecdh_gcm() -> None:
    app = application({"/suite": lambda seen: seen.session.suite})
    async with running(app) as at, Client(at.url) as client:
        await client.login(ANN, code=at.mails.code)
        assert await (await client.get("/suite")).json() == "ecdh-gcm"
        # A login that fails leaves the session that was there as it was.
        with pytest.raises(CodeNotAccepted):
            await client.login(ANN, code="00000000")
        assert await (await client.get("/suite")).json() == "ecdh-gcm"


async def test_a_clock_that_is_wrong_spends_the_code_and_the_refusal_says_so() -> None:
    async with running() as at:
        late = Client(at.url, dialect=at.dialect, clock=lambda: at.clock() - 120_000)
        async with late as client:
            with pytest.raises(CodeNotAccepted, match="If it was right, it is used up now"):
                await client.login(ANN, code=at.mails.code)


async def test_a_wrong_code_and_then_the_right_one_as_a_person_types_it() -> None:
    async with running() as at, client_of(at, suite="ecdh-gcm") as client:
        given = iter(["typo", "0000-0000"])

        async def code() -> str:
            if wrong := next(given, None):
                return wrong
            right = (await at.mails.code()).replace("-", "")
            return f" {right[:4]}-{right[4:]} ".lower()

        await client.login(ANN, code=code, attempts=5)
        assert (await client.get("/echo")).status == 200


async def test_two_minutes_off_are_put_right_once() -> None:
    async with running() as at:
        clock = SetClock()
        async with client_of(at, suite="ecdh-gcm", clock=clock) as client:
            clock.offset_ms = -2 * MINUTE_MS
            await client.login(ANN, code=at.mails.code)
            clock.offset_ms = 2 * MINUTE_MS
            sent = watched(client)
            assert (await client.post("/echo", data="tea")).status == 200
            assert sent == ["/message", "/message"]
            assert at.ran == ["tea"]
            await client.post("/echo", data="milk")
            assert len(sent) == 3


async def test_what_may_have_been_handled_is_not_sent_again() -> None:
    async with running() as at:
        clock = SetClock()
        # Two minutes go by between any two looks at it.
        steady = iter(range(0, 10**9, 2 * MINUTE_MS)).__next__
        async with client_of(at, suite="ecdh-gcm", clock=clock, steady=steady) as client:
            await client.login(ANN, code=at.mails.code)
            clock.offset_ms = -2 * MINUTE_MS
            sent = watched(client)
            with pytest.raises(ClockNotAccepted):
                await client.post("/echo", data="tea")
            assert (sent, at.ran) == (["/message"], [])
            await client.post("/echo", data="milk")
            assert at.ran == ["milk"]


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_new_keys_every_15_minutes(suite: Any) -> None:
    async with running() as at, client_of(at, suite=suite) as client:
        await client.login(ANN, code=at.mails.code)
        epochs = []
        for _ in range(3):
            await client.get("/echo")
            at.clock.offset_ms += 15 * MINUTE_MS
            assert (await client.get("/echo")).status == 200
            epochs.append(epoch_of(client))
        assert epochs == [1, 2, 3]


def epoch_of(client: Client) -> int:
    conversation: Any = client._protocol
    epoch: int = conversation._messages._session.epoch
    return epoch


def watched(client: Client) -> list[str]:
    """The paths that ``client`` posts to from now on."""
    sent: list[str] = []
    post = client._transport.post

    async def watch(path: str, body: bytes, form: Format, *most: int) -> bytes:
        sent.append(path)
        return await post(path, body, form, *most)

    client._transport.post = watch  # type: ignore[method-assign, assignment]
    return sent


def losing(client: Client, lost: str) -> None:
    """Every answer to a post to ``lost`` is lost on its way back."""
    post = client._transport.post

    async def lose(path: str, body: bytes, form: Format, *most: int) -> bytes:
        answer = await post(path, body, form, *most)
        if path == lost:
            raise NoAnswer("lost")
        return answer

    client._transport.post = lose  # type: ignore[method-assign, assignment]


# --- a password ---


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_password(suite: Any, tmp_path: Path) -> None:
    users = Users(Account("ann", (ANN,)), passwords={"ann": "correct horse"})
    ticket = tmp_path / "ticket"
    async with (
        running(users=users) as at,
        client_of(at, suite=suite, tickets=ticket) as client,
    ):
        sent = watched(client)
        await client.login("ann", code=at.mails.code, password="correct horse")
        assert sent == ["/session/hello", "/session/share", "/session/confirm", "/message"]
        assert (await client.get("/echo")).status == 200
        with pytest.raises(PasswordNotAccepted, match="log in again") as wrong:
            await client.login("ann", code=at.mails.code, password="wr0ng")
        assert "wr0ng" not in str(wrong.value)
        # The session that was there still is.
        assert (await client.get("/echo")).status == 200


async def test_a_password_that_is_not_given() -> None:
    users = Users(Account("ann", (ANN,)), passwords={"ann": "correct horse"})
    async with running(users=users) as at, client_of(at) as client:
        await client.login("ann", code=at.mails.code)
        answer = await client.post("/echo", data="tea")
        assert (answer.status, (await answer.json())["error"]) == (401, "password_required")
        assert at.ran == []


async def test_a_password_that_nobody_asked_for() -> None:
    async with running() as at, client_of(at) as client:
        await client.login(ANN, code=at.mails.code, password="correct horse")
        assert (await client.get("/echo")).status == 200


# --- tickets ---


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_device_comes_back_after_a_restart_of_the_gateway(
    suite: Any, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"store": f"sqlite:{tmp_path / 'certless.db'}"}
    ticket = tmp_path / "fan.ticket"
    async with running(**options) as at, client_of(at, suite=suite, tickets=ticket) as client:
        await client.login(ANN, code=at.mails.code)
    for _ in range(2):
        async with running(**options) as at, client_of(at, suite=suite, tickets=ticket) as client:
            await client.resume()
            assert (await (await client.get("/echo")).json())["user"] == ANN
            assert at.mails.mails.empty()


@pytest.mark.parametrize("lost", ["/session/resume", "/session/resume/confirm"])
async def test_a_lost_answer_does_not_lock_a_device_out(lost: str, tmp_path: Path) -> None:
    ticket = tmp_path / "fan.ticket"
    async with running() as at:
        async with client_of(at, suite="ecdh-gcm", tickets=ticket) as client:
            await client.login(ANN, code=at.mails.code)
        for _ in range(2):
            async with client_of(at, suite="ecdh-gcm", tickets=ticket) as client:
                losing(client, lost)
                with pytest.raises(NoAnswer):
                    await client.resume()
        for _ in range(2):
            async with client_of(at, suite="ecdh-gcm", tickets=ticket) as client:
                await client.resume()
                assert (await client.get("/echo")).status == 200


async def test_a_copied_ticket_revokes_the_chain(tmp_path: Path) -> None:
    ticket, copy = tmp_path / "fan.ticket", tmp_path / "copy.ticket"
    async with (
        running() as at,
        client_of(at, suite="ecdh-gcm", tickets=ticket) as client,
        client_of(at, suite="ecdh-gcm", tickets=copy) as thief,
    ):
        await client.login(ANN, code=at.mails.code)
        copy.write_bytes(ticket.read_bytes())
        copy.chmod(0o600)
        await thief.resume()
        await thief.resume()
        with pytest.raises(TicketNotAccepted):
            await client.resume()
        with pytest.raises(Refused, match="rejected"):
            await thief.get("/echo")
        with pytest.raises(TicketNotAccepted):
            await thief.resume()


# --- what the gateway does not take ---


async def test_a_gateway_that_is_classic_only() -> None:
    async with running(suites=["classic"]) as at, Client(at.url) as client:
        sent = watched(client)
        with pytest.raises(SuiteNotAccepted, match="suite="):
            await client.login(ANN, code="unasked")
        assert sent == ["/session/hello"]


async def test_a_gateway_without_classic() -> None:
    async with running(suites=["ecdh-gcm"]) as at:
        for options in ({"suite": "classic"}, {"dialect": "sfet-3"}, {"suite": "rsa-gcm"}):
            async with client_of(at, **options) as client:
                with pytest.raises(SuiteNotAccepted) as refused:
                    await client.login(ANN, code="unasked")
                assert refused.value.code == "unsupported_suite"
