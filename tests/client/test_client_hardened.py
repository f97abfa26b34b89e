"""The Python client in the hardened suites, against a server made of protocol/ alone."""

import asyncio
import stat
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from frameworks import serving
from hardened_peer import OTHER_CODE8
from hardened_server import CODE, hardened_server

from certless.client import (
    AnswerNotTrusted,
    Client,
    ClientError,
    ClockNotAccepted,
    CodeMistyped,
    CodeNotAccepted,
    NotLoggedIn,
    Refused,
    SuiteNotAccepted,
    TicketFile,
    TicketNotAccepted,
    TicketNotKept,
)
from certless.client.codings import ACCEPTED
from protocol.common.envelopes import Format
from protocol.hardened.client_session import ClientTicket
from protocol.hardened.records import SessionRecord
from protocol.hardened.suites import Freshness

MINUTE_MS = 60_000

every_kind = pytest.mark.parametrize(
    ("suite", "fresh", "form"),
    [
        (suite, fresh, form)
        for suite in ("ecdh-gcm", "rsa-gcm")
        for fresh in ("clock", "counter")
        for form in ("msgpack", "json")
    ],
)


@every_kind
async def test_login_requests_and_logout(suite: str, fresh: Freshness, form: Format) -> None:
    async with hardened_server(suite, fresh, form) as server, server.client() as client:
        await client.login("Ada", code=CODE)
        answers = await asyncio.gather(*(client.post("/echo", data=str(n)) for n in range(20)))
        assert [await answer.text() for answer in answers] == [str(n) for n in range(20)]
        await client.put("/fan?speed=2", headers={"X-Unit": "rpm"}, json={"on": True})
        inside = server.ran[-1]
        assert (inside.method, inside.target, inside.body) == (
            "PUT",
            "/fan?speed=2",
            b'{"on":true}',
        )
        assert inside.headers == (
            ("X-Unit", "rpm"),
            ("Content-Type", "application/json"),
            ("Host", server.url.removeprefix("http://")),
            ("Accept-Encoding", ACCEPTED),
            ("certless-stream", "0"),
        )
        await client.logout()
        assert server.ran[-1].target == "/.gateway/session/logout"
        with pytest.raises(NotLoggedIn, match="login first"):
            await client.get("/echo")
    assert server.asked[:4] == [
        "/session/hello", "/session/share", "/session/confirm", "/message",
    ]  # fmt: skip


# --- what is chosen ---


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"suite": "hybrid-gcm"}, "ecdh-gcm, rsa-gcm, classic"),
        ({"suite": "ecdh-gcm", "fresh": "never"}, "clock, counter"),
        ({"suite": "ecdh-gcm", "envelope": "xml"}, "json, msgpack"),
        ({"suite": "ecdh-gcm", "dialect": "sfet-3"}, "no dialects"),
        ({"suite": "classic", "tickets": "ticket"}, "no tickets"),
        ({"dialect": "sfet-3", "fresh": "counter"}, "no counters"),
    ],
)
def test_what_does_not_go_together(options: dict[str, str], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Client("http://127.0.0.1:1", **options)  # type: ignore[arg-type]


async def test_a_suite_that_is_not_taken_is_one_error_and_no_other_is_tried() -> None:
    async with hardened_server() as server:
        server.peer.server = replace(server.peer.server, accepted=("rsa-gcm",))
        async with server.client() as client:
            with pytest.raises(SuiteNotAccepted, match="suite=") as refused:
                await client.login("Ada", code=CODE)
        assert (refused.value.code, refused.value.status) == ("unsupported_suite", 400)
        assert server.asked == ["/session/hello"]


async def test_a_gateway_of_before_there_were_suites() -> None:
    async def not_found(request: web.Request) -> web.Response:
        return web.json_response({"error": "not_found", "message": "no such route"}, status=404)

    app = web.Application()
    app.router.add_post("/{path:.*}", not_found)
    async with serving(app) as url, Client(url) as client:
        with pytest.raises(SuiteNotAccepted, match="does not accept ecdh-gcm"):
            await client.login("Ada", code=CODE)


async def test_a_ticket_for_a_suite_that_is_not_taken_any_more(tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server() as server, server.client(tickets=path) as client:
        await client.login("Ada", code=CODE)
        server.peer.server = replace(server.peer.server, accepted=("rsa-gcm",))
        with pytest.raises(SuiteNotAccepted):
            await client.resume()
        assert path.exists()


async def test_a_greeting_with_a_suite_that_was_not_offered() -> None:
    async with hardened_server(form="json") as server, server.client() as client:
        server.bend = lambda _, answer: answer.replace(b'"ecdh-gcm"', b'"rsa-gcm"')
        with pytest.raises(AnswerNotTrusted, match="unsupported_suite"):
            await client.login("Ada", code=CODE)
        assert server.asked == ["/session/hello"]


# --- codes ---


@pytest.mark.parametrize("typed", ["7K3QWXYZ", " 7k3q-wxyz\n", "7K3Q WXYZ"])
async def test_a_code_as_people_type_it(typed: str) -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=typed)


@pytest.mark.parametrize("name", ["", "-x", "pump 7", "pump\n", "p\u00fcmp", "a" * 65])
async def test_a_name_that_no_device_can_have_is_not_sent(name: str) -> None:
    async with Client("http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="1 to 64 characters"):
            await client.login("Ada", code=CODE, device=name)


async def test_classic_has_no_devices() -> None:
    async with Client("http://127.0.0.1:1", suite="classic") as client:
        with pytest.raises(ValueError, match="choose another suite"):
            await client.login("Ada", code=CODE, device="pump-7")


async def test_letters_that_look_like_digits() -> None:
    async with hardened_server() as server, server.client() as client:
        server.peer.code = replace(OTHER_CODE8, text="01101234")
        await client.login("Ada", code="oLi0-1234")


@pytest.mark.parametrize("typed", ["", "7K3QWXY", "7K3QWXYZ2", "7K3QWXYU", "A" * 26, "7К3QWXYZ"])
async def test_what_cannot_be_a_code_is_not_sent(typed: str) -> None:
    async with hardened_server() as server, server.client() as client:
        with pytest.raises(CodeMistyped, match="8 letters and digits"):
            await client.login("Ada", code=typed)
        assert server.asked == ["/session/hello"]


async def test_a_wrong_code_and_then_the_right_one() -> None:
    async with hardened_server() as server, server.client() as client:
        typed = iter(["typo", "00000000", "0000-0000", "11111111", CODE])
        await client.login("Ada", code=lambda: next(typed), attempts=5)
        assert (await client.get("/echo")).status == 200
        assert server.asked.count("/session/share") == 3


async def test_a_wrong_code_is_one_error_that_says_what_to_do() -> None:
    async with hardened_server() as server, server.client() as client:
        with pytest.raises(CodeNotAccepted, match="is the realm the same"):
            await client.login("Ada", code="00000000")
        assert server.asked.count("/session/share") == 1
        with pytest.raises(ValueError, match="attempts"):
            await client.login("Ada", code=CODE, attempts=0)


async def test_another_realm_gets_no_session() -> None:
    async with hardened_server() as server, server.client(realm="another.example") as client:
        with pytest.raises(CodeNotAccepted):
            await client.login("Ada", code=CODE)


async def test_a_server_that_does_not_know_the_code_gets_nothing_more() -> None:
    async with hardened_server(form="json") as server, server.client() as client:

        def with_another_proof(path: str, answer: bytes) -> bytes:
            start = len(b'{"cB":"')
            return answer[:start] + b"AAAA" + answer[start + 4 :]

        server.bend = lambda path, answer: (
            with_another_proof(path, answer) if path == "/session/confirm" else answer
        )
        with pytest.raises(AnswerNotTrusted, match="did not prove"):
            await client.login("Ada", code=CODE)
        with pytest.raises(NotLoggedIn):
            await client.get("/echo")
        assert server.asked[-1] == "/session/confirm"


async def test_a_login_that_fails_leaves_the_session_that_was_there() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        with pytest.raises(CodeNotAccepted):
            await client.login("Bob", code="00000000")
        assert (await client.get("/echo")).status == 200


# --- the clock ---


@pytest.mark.parametrize("ahead_ms", [2 * MINUTE_MS, -2 * MINUTE_MS])
async def test_a_clock_that_is_off_at_login_does_not_matter(ahead_ms: int) -> None:
    async with hardened_server() as server, server.client() as client:
        server.client_ahead_ms = ahead_ms
        await client.login("Ada", code=CODE)
        await client.get("/echo")
        assert server.asked.count("/message") == 1


@pytest.mark.parametrize("ahead_ms", [2 * MINUTE_MS, -2 * MINUTE_MS])
async def test_a_clock_that_was_set_is_put_right_with_one_more_message(ahead_ms: int) -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        server.client_ahead_ms = ahead_ms
        assert await (await client.post("/orders", data="tea")).text() == "tea"
        assert server.asked.count("/message") == 2
        assert [inside.body for inside in server.ran] == [b"tea"]
        await client.post("/orders", data="milk")
        assert server.asked.count("/message") == 3


async def test_a_request_that_was_long_on_its_way_is_not_sent_again() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)

        def later(path: str, answer: bytes) -> bytes:
            server.steady_ms += 2 * MINUTE_MS
            return answer

        server.client_ahead_ms = -2 * MINUTE_MS
        server.bend = later
        # In these two minutes it may have been handled, and its answer held back.
        with pytest.raises(ClockNotAccepted, match="check whether it was processed"):
            await client.post("/orders", data="tea")
        assert server.asked.count("/message") == 1
        # The next one is in time.
        await client.post("/orders", data="milk")
        assert [inside.body for inside in server.ran] == [b"milk"]


async def test_the_second_refusal_is_the_last() -> None:
    async with hardened_server() as server:
        # A clock that is two minutes on each time one looks at it.
        clock = map(server.peer.now_ms.__add__, count(0, 2 * MINUTE_MS)).__next__
        async with server.client(clock=clock) as client:
            await client.login("Ada", code=CODE)
            with pytest.raises(ClockNotAccepted):
                await client.post("/orders", data="tea")
        assert server.asked.count("/message") == 2
        assert server.ran == []


# --- answers ---


async def test_an_error_outside_a_seal_is_not_answered_by_a_second_try() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        server.peer.memory.sessions.clear()
        with pytest.raises(Refused, match="403 rejected"):
            await client.post("/orders", data="tea")
        assert server.asked.count("/message") == 1


async def test_an_answer_to_another_request_is_refused() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        answers: list[bytes] = []
        bends: list[Callable[[bytes], bytes]] = [
            lambda answer: answers[0],
            lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]),
            lambda answer: b"",
            lambda answer: b"{}",
        ]

        def kept(path: str, answer: bytes) -> bytes:
            answers.append(answer)
            return answer

        server.bend = kept
        await client.get("/echo")
        for bend in bends:
            server.bend = lambda _, answer, bend=bend: bend(answer)  # type: ignore[misc]
            with pytest.raises(AnswerNotTrusted):
                await client.get("/echo")


# --- epochs ---


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_new_epoch_after_15_minutes(suite: str) -> None:
    async with hardened_server(suite) as server, server.client() as client:
        await client.login("Ada", code=CODE)
        epochs = []
        for minutes in (0, 14, 1, 0, 15):
            server.peer.now_ms += minutes * MINUTE_MS
            assert (await client.get("/echo")).status == 200
            (session,) = server.peer.memory.sessions
            record = server.peer.memory.session(session)
            assert record
            epochs.append(record.epoch)
        assert epochs == [0, 0, 1, 1, 2]


async def test_no_epoch_is_begun_while_none_of_the_last_was_answered_in() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        for _ in range(3):
            server.peer.now_ms += 15 * MINUTE_MS
            server.bend = lambda _, answer: b""
            with pytest.raises(AnswerNotTrusted):
                await client.get("/echo")
            server.bend = lambda _, answer: answer
        assert (await client.get("/echo")).status == 200


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_client_without_a_clock_begins_an_epoch_when_it_is_told_to(suite: str) -> None:
    async with hardened_server(suite, "counter") as server:
        standing_ms = server.peer.now_ms
        async with server.client(clock=lambda: standing_ms) as client:
            await client.login("Ada", code=CODE)
            epochs = []
            for minutes in (0, 19, 2, 18, 3, 0):
                server.peer.now_ms += minutes * MINUTE_MS
                server.ran.clear()
                assert (await client.post("/echo", data="x")).status == 200
                # Where it was refused it went out once more by itself, and it was run once.
                assert len(server.ran) == 1
                (session,) = server.peer.memory.sessions
                record = server.peer.memory.session(session)
                assert record
                epochs.append(record.epoch)
            assert epochs == [0, 0, 0, 0, 1, 1]


async def test_a_server_that_refuses_every_epoch_is_not_run_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        monkeypatch.setattr(SessionRecord, "moved_to", lambda *_: None)
        with pytest.raises(AnswerNotTrusted, match="log in again"):
            await client.post("/echo", data="x")
        assert server.asked.count("/message") == 2
        assert server.ran == []


async def test_a_session_that_has_ended_sends_nothing() -> None:
    async with hardened_server() as server, server.client() as client:
        await client.login("Ada", code=CODE)
        server.peer.now_ms += 60 * MINUTE_MS
        with pytest.raises(NotLoggedIn, match="resume, or login"):
            await client.get("/echo")
        assert "/message" not in server.asked


# --- tickets ---


@every_kind
async def test_a_client_comes_back_without_a_code(
    suite: str, fresh: Freshness, form: Format, tmp_path: Path
) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server(suite, fresh, form) as server:
        async with server.client(tickets=path) as client:
            await client.login("Ada", code=CODE)
            await client.get("/echo")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for _ in range(3):
            async with server.client(tickets=str(path)) as client:
                await client.resume()
                assert (await client.get("/echo")).status == 200
        assert server.peer.memory.revoked == []


async def test_the_successor_is_kept_before_the_session_is_used(tmp_path: Path) -> None:
    class FullDisk(TicketFile):
        async def keep(self, ticket: bytes) -> None:
            raise TicketNotKept("no space left")

    path = tmp_path / "fan.ticket"
    async with hardened_server() as server:
        async with server.client(tickets=path) as client:
            await client.login("Ada", code=CODE)
        async with server.client(tickets=FullDisk(path)) as client:
            with pytest.raises(TicketNotKept):
                await client.resume()
            with pytest.raises(NotLoggedIn):
                await client.get("/echo")
        assert "/message" not in server.asked
        # What was kept is still good.
        async with server.client(tickets=path) as client:
            await client.resume()
        assert server.peer.memory.revoked == []


@pytest.mark.parametrize("lost", ["/session/resume", "/session/resume/confirm"])
async def test_an_answer_that_was_lost_does_not_lock_the_device_out(
    lost: str, tmp_path: Path
) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server() as server, server.client(tickets=path) as client:
        await client.login("Ada", code=CODE)
        server.bend = lambda path, answer: b"" if path == lost else answer
        for _ in range(3):
            with pytest.raises(AnswerNotTrusted):
                await client.resume()
        server.bend = lambda path, answer: answer
        await client.resume()
        assert (await client.get("/echo")).status == 200
        await client.resume()
        assert server.peer.memory.revoked == []


async def test_a_copied_ticket_ends_the_chain(tmp_path: Path) -> None:
    path, copy = tmp_path / "fan.ticket", tmp_path / "copy.ticket"
    async with hardened_server() as server:
        async with (
            server.client(tickets=path) as client,
            server.client(tickets=copy) as thief,
        ):
            await client.login("Ada", code=CODE)
            await TicketFile(copy).keep(path.read_bytes())
            await thief.resume()
            await thief.resume()
            with pytest.raises(TicketNotAccepted, match="log in with a code"):
                await client.resume()
            assert len(server.peer.memory.revoked) == 1
            with pytest.raises(TicketNotAccepted):
                await thief.resume()
        # A refusal may be anybody's word: the ticket is kept.
        assert path.exists()


async def test_one_resumption_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server() as server, server.client(tickets=path) as client:
        await client.login("Ada", code=CODE)
        async with server.client(tickets=path) as other:
            results = await asyncio.gather(client.resume(), other.resume(), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), TicketNotKept]
        assert server.asked.count("/session/resume") == 1
        await client.resume()


async def test_a_ticket_of_another_suite_or_realm_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server() as server:
        async with server.client(tickets=path) as client:
            await client.login("Ada", code=CODE)
        before = len(server.asked)
        for options in ({"suite": "rsa-gcm"}, {"realm": "another.example"}):
            async with server.client(tickets=path, **options) as client:
                with pytest.raises(TicketNotKept, match="ecdh-gcm in the realm"):
                    await client.resume()
        assert len(server.asked) == before


async def test_logout_forgets_the_ticket(tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    async with hardened_server() as server, server.client(tickets=path) as client:
        await client.login("Ada", code=CODE)
        assert ClientTicket.parse(path.read_bytes()).username == "Ada"
        await client.logout()
        assert not path.exists()
        with pytest.raises(NotLoggedIn, match="no ticket"):
            await client.resume()


async def test_resuming_without_a_place_for_tickets() -> None:
    for client in (Client("http://127.0.0.1:1", suite="rsa-gcm"), Client("http://127.0.0.1:1")):
        with pytest.raises(NotLoggedIn, match="log in"):
            await client.resume()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93\xadclient ticket\x01\x01"])
async def test_a_file_that_holds_no_ticket(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    await TicketFile(path).keep(content)
    async with Client("http://127.0.0.1:1", suite="ecdh-gcm", tickets=path) as client:
        with pytest.raises(TicketNotKept, match="not a ticket"):
            await client.resume()


async def test_a_file_that_others_can_read_or_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "fan.ticket"
    path.write_bytes(b"x")
    path.chmod(0o644)
    with pytest.raises(TicketNotKept, match="chmod 600"):
        await TicketFile(path).load()
    missing = TicketFile(tmp_path / "missing" / "fan.ticket")
    assert await missing.load() is None
    with pytest.raises(TicketNotKept, match="No such file"):
        await missing.keep(b"x")
    with pytest.raises(TicketNotKept, match="No such file"):
        async with missing.resuming():
            pass


async def test_errors_hold_no_secret(tmp_path: Path) -> None:
    async with hardened_server() as server, server.client(tickets=tmp_path / "t") as client:
        with pytest.raises(ClientError) as wrong:
            await client.login("Ada", code="00000000")
        assert "00000000" not in str(wrong.value)
        await client.login("Ada", code=CODE)
        secret = ClientTicket.parse((tmp_path / "t").read_bytes()).secret
        # The file alone holds it.
        session: Any = client._protocol
        assert repr(secret) not in repr((vars(session), vars(session._messages)))
