"""Mails are carried in the background, and tried again until they arrive or expire."""

# The files here are small and local: nothing else waits for this loop.

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mailboxes import (
    Mailbox,
    eventually,
    smtp_server,
)

from gateway.errors import MailNotSent
from gateway.events import CodeNotSent, Event, Events
from gateway.mail import queue as room
from gateway.mail.message import CodeMail
from gateway.mail.queue import MailQueue
from gateway.mail.transports import MailTransport
from gateway.mail.url import transport_from_url

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
SENDER = "codes@shop.example"
CODE = "0123456789ABCDEFGHJKMNPQRS"
PASSWORD = "p@ss:word/50%"
QUOTED_PASSWORD = "p%40ss%3Aword%2F50%25"
TAG = bytes(16)
MAIL = CodeMail("Ann's shop", "ann", CODE, "192.0.2.7", 10)


@contextlib.asynccontextmanager
async def courier_of(delivery: MailTransport) -> AsyncIterator[MailQueue]:
    mail_queue = MailQueue(delivery)
    try:
        yield mail_queue
    finally:
        async with asyncio.timeout(10):
            await mail_queue.close()


class Scripted(MailTransport):
    """Fails as it is told, then delivers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.tries: list[str] = []
        self.closed = False

    async def deliver(self, address: str, mail: CodeMail) -> None:
        self.tries.append(address)
        if self.failures:
            raise self.failures.pop(0)

    async def close(self) -> None:
        self.closed = True


class Stuck(Scripted):
    """Never comes back."""

    cancelled = 0

    async def deliver(self, address: str, mail: CodeMail) -> None:
        self.tries.append(address)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Deaf(Scripted):
    """Takes the first cancellation for a failure, as wait_for does where an answer just came."""

    async def deliver(self, address: str, mail: CodeMail) -> None:
        self.tries.append(address)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(self.tries) > 1:
                raise
            raise MailNotSent("the SMTP server says 454") from None


async def test_send_returns_before_anything_is_delivered() -> None:
    scripted = Scripted()
    async with courier_of(scripted) as mail_queue:
        mail_queue.send((ANN, BOB), MAIL, TAG)
        assert scripted.tries == []
        await eventually(lambda: sorted(scripted.tries) == [ANN, BOB])


@pytest.mark.usefixtures("quick")
async def test_a_server_that_is_down_at_first(
    free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    smtp = transport_from_url(f"smtp://127.0.0.1:{free_port}", SENDER)
    async with courier_of(smtp) as mail_queue:
        mail_queue.send((ANN, BOB), MAIL, TAG)
        await eventually(lambda: caplog.text.count("will try again") >= 4)
        async with smtp_server(port=free_port) as mailbox:
            await eventually(lambda: mailbox.to(ANN) and mailbox.to(BOB))
            # Each arrives once.
            assert len(mailbox.mails) == 2


@pytest.mark.usefixtures("quick")
async def test_a_refused_address_is_given_up_at_once_and_the_others_get_theirs() -> None:
    answers = {ANN: ["550 no such user"] * 9, EVE: ["451 later", "421 later"]}
    async with smtp_server(Mailbox(answers=answers)) as mailbox:
        smtp = transport_from_url(f"smtp://127.0.0.1:{mailbox.port}", SENDER)
        async with courier_of(smtp) as mail_queue:
            mail_queue.send((ANN, BOB, EVE), MAIL, TAG)
            await eventually(lambda: mailbox.to(BOB) and mailbox.to(EVE))
    assert mailbox.asked.count(ANN) == 1
    assert mailbox.asked.count(EVE) == 3
    assert len(mailbox.mails) == 2
    # Nobody learns of the other addresses.
    assert {mail.message["To"] for mail in mailbox.mails} == {BOB, EVE}


@pytest.mark.usefixtures("quick")
async def test_anything_that_a_delivery_raises_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scripted = Scripted(
        RuntimeError(f"{ANN} {CODE}"), TimeoutError(), OSError(5, "x"), KeyError(CODE), ValueError()
    )
    async with courier_of(scripted) as mail_queue:
        mail_queue.send((ANN,), MAIL, TAG)
        await eventually(lambda: len(scripted.tries) == 6)
    assert "RuntimeError" in caplog.text
    assert CODE not in caplog.text
    assert ANN not in caplog.text


@pytest.mark.usefixtures("quick")
async def test_what_is_final_is_not_tried_again() -> None:
    scripted = Scripted(MailNotSent("no", final=True))
    tasks = asyncio.all_tasks()
    async with courier_of(scripted) as mail_queue:
        mail_queue.send((ANN,), MAIL, TAG)
        await eventually(lambda: asyncio.all_tasks() == tasks)
    assert scripted.tries == [ANN]


@pytest.mark.usefixtures("quick")
async def test_a_mail_whose_code_has_expired_is_dropped() -> None:
    stuck = Stuck()
    tasks = asyncio.all_tasks()
    async with courier_of(stuck) as mail_queue:
        mail_queue.send((ANN,), CodeMail("Shop", "ann", CODE, "192.0.2.7", minutes=0), TAG)
        await eventually(lambda: asyncio.all_tasks() == tasks)
    assert stuck.cancelled == len(stuck.tries) <= 1


@pytest.mark.usefixtures("quick")
async def test_an_operator_hears_of_a_mail_whose_code_has_expired(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[Event] = []
    minutes: Any = 0.005
    mail = CodeMail("Shop", "ann", CODE, "192.0.2.7", minutes)
    mail_queue = MailQueue(Stuck(), Events(told.append))
    tasks = asyncio.all_tasks()
    mail_queue.send((ANN,), mail, TAG)
    await eventually(lambda: asyncio.all_tasks() == tasks)
    assert told == [CodeNotSent(TAG, True)]
    assert "giving up: its code has expired" in caplog.text
    await mail_queue.close()


async def test_closing_gives_up_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_FIRST_TRY_S", 0)
    tasks = asyncio.all_tasks()
    stuck = Stuck()
    mail_queue = MailQueue(stuck)
    mail_queue.send((ANN, BOB), MAIL, TAG)
    await eventually(lambda: len(stuck.tries) == 2)
    mail_queue.send((EVE,), MAIL, TAG)
    await mail_queue.close()
    assert stuck.cancelled == 2
    assert stuck.closed
    assert EVE not in stuck.tries
    assert asyncio.all_tasks() == tasks


async def test_a_stop_gives_every_mail_its_first_try() -> None:
    # At once, as where a login was answered the moment before.
    scripted = Scripted(MailNotSent("later"))
    mail_queue = MailQueue(scripted)
    mail_queue.send((ANN, BOB), MAIL, TAG)
    await mail_queue.finish()
    await mail_queue.close()
    assert sorted(scripted.tries) == [ANN, BOB]


@pytest.mark.usefixtures("quick")
async def test_a_stop_does_not_wait_for_a_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_FINISH_S", 0.05)
    stuck = Stuck()
    mail_queue = MailQueue(stuck)
    mail_queue.send((ANN,), MAIL, TAG)
    await mail_queue.finish()
    assert stuck.tries == [ANN]
    await mail_queue.close()
    assert stuck.cancelled == 1


@pytest.mark.usefixtures("quick")
async def test_closing_gives_up_what_waits_for_its_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_RETRY_S", (3600,))
    scripted = Scripted(MailNotSent("later"))
    mail_queue = MailQueue(scripted)
    mail_queue.send((ANN,), MAIL, TAG)
    await eventually(lambda: scripted.tries)
    async with asyncio.timeout(5):
        await mail_queue.close()
    assert scripted.tries == [ANN]


@pytest.mark.usefixtures("quick")
async def test_closing_ends_though_a_cancellation_was_lost() -> None:
    deaf = Deaf()
    mail_queue = MailQueue(deaf)
    mail_queue.send((ANN,), MAIL, TAG)
    await eventually(lambda: deaf.tries)
    async with asyncio.timeout(2):
        await mail_queue.close()
    assert deaf.tries == [ANN]


@pytest.mark.usefixtures("quick")
async def test_an_expired_mail_is_dropped_though_a_cancellation_was_lost() -> None:
    deaf = Deaf()
    tasks = asyncio.all_tasks()
    async with courier_of(deaf) as mail_queue:
        mail_queue.send((ANN,), CodeMail("Shop", "ann", CODE, "192.0.2.7", minutes=0), TAG)
        async with asyncio.timeout(2):
            await eventually(lambda: asyncio.all_tasks() == tasks)
    assert len(deaf.tries) <= 1


@pytest.mark.usefixtures("quick")
async def test_closing_in_the_middle_of_talks_with_a_server() -> None:
    # Wherever in a conversation it comes, and whatever the library under it makes of that.
    async with smtp_server(password="another", login_in_the_clear=True) as mailbox:
        url = f"smtp://ann:{QUOTED_PASSWORD}@127.0.0.1:{mailbox.port}"
        for rounds in range(100):
            mail_queue = MailQueue(transport_from_url(url, SENDER))
            mail_queue.send((ANN, BOB, EVE), MAIL, TAG)
            for _ in range(rounds):
                await asyncio.sleep(0)
            async with asyncio.timeout(2):
                await mail_queue.close()


def test_tries_are_spread_over_the_life_of_a_code() -> None:
    assert room._FIRST_TRY_S > 0
    assert list(room._RETRY_S) == sorted(room._RETRY_S)
    assert room._RETRY_S[-1] <= 60


@pytest.mark.usefixtures("quick", "trusted")
async def test_no_code_and_no_password_in_any_log(
    server_context: ssl.SSLContext, free_port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "file").write_text("")
    user = f"ann:{QUOTED_PASSWORD}"
    async with (
        smtp_server(starttls=server_context, password=PASSWORD) as good,
        smtp_server(password="another", login_in_the_clear=True) as wrong,
        smtp_server(Mailbox(answers={ANN: ["550 no"]})) as refusing,
    ):
        urls = [
            f"smtp://{user}@127.0.0.1:{good.port}",
            f"smtp://{user}@127.0.0.1:{wrong.port}",
            f"smtp://127.0.0.1:{refusing.port}",
            f"smtp://{user}@127.0.0.1:{free_port}",
            f"dir:{tmp_path / 'file'}",
            f"webhook:http://127.0.0.1:{free_port}/{QUOTED_PASSWORD}",
        ]
        async with contextlib.AsyncExitStack() as stack:
            for url in urls:
                mail_queue = await stack.enter_async_context(
                    courier_of(transport_from_url(url, SENDER))
                )
                mail_queue.send((ANN,), MAIL, TAG)
            await eventually(lambda: good.mails and wrong.passwords and refusing.asked)
            await eventually(lambda: caplog.text.count("will try again") >= 8)
    # The servers stand in for others, and keep logs of their own.
    said = [
        f"{record.getMessage()} {record.args!r} {record.exc_info!r} {record.exc_text!r}"
        for record in caplog.records
        if not record.name.startswith("mail")
    ]
    assert any("giving up" in line for line in said)
    assert any("will try again" in line for line in said)
    for secret in (CODE, PASSWORD, QUOTED_PASSWORD, ANN):
        assert [line for line in said if secret in line] == []
