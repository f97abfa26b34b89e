"""THREATS "Login and code", over HTTP: each line with its outcome."""

import asyncio
import json
import logging
import re
import secrets
import unicodedata
from typing import Any

import pytest
from gateways import CLIENT_PAIR, Answer, Running, Users, running

import gateway
import gateway.config.settings
from gateway import Account
from protocol.classic.client_exchange import ClientExchange
from protocol.classic.exchange import ServerExchange
from protocol.classic.suites import Classic
from protocol.common.codes import Code
from protocol.common.primitives import RsaPrivateKey

pytestmark = pytest.mark.usefixtures("framework")

SESSION = "/.gateway/session"
AUTHENTICATE = "/.gateway/session/authenticate"


def login_message(at: Running, token: str, code: str, **options: Any) -> dict[str, Any]:
    exchange = ClientExchange(Classic(gateway.config.settings.find_dialect(at.dialect)))
    message, _ = exchange.seal_login(
        token,
        Code(code),
        options.get("pair", CLIENT_PAIR),
        options.get("now_ms", at.clock()),
        secrets.token_bytes,
        options.get("password"),
    )
    return message.serialize(exchange.suite.dialect.names)


async def grant(at: Running, username: str = "ann@example.org") -> tuple[str, str]:
    """A token and its code."""
    answer = await at.post(SESSION, {"username": username})
    assert answer.status == 201
    return answer.json["token"], await at.mails.code()


async def authenticate(at: Running, token: str, code: str, **options: Any) -> Answer:
    return await at.post(AUTHENTICATE, login_message(at, token, code, **options))


def assert_uniform(*answers: Answer) -> None:
    """Every answer is the one rejection, in all that can be seen."""
    assert {answer.visible for answer in answers} == {answers[0].visible}
    assert answers[0].status == 403
    assert answers[0].json["error"] == "rejected"


async def test_a_login_gives_a_session_whose_token_is_guid_shaped() -> None:
    async with running() as at:
        token, code = await grant(at)
        assert [len(part) for part in token.split("-")] == [8, 4, 4, 4, 12]
        assert len(code) == 26
        answer = await authenticate(at, token, code)
        assert answer.status == 200
        assert set(answer.json) == {"key", "payload", "iv"}


async def test_an_unknown_user_is_answered_as_a_known_one() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        known = await at.post(SESSION, {"username": "ann"})
        await at.mails.code()
        unknown = await at.post(SESSION, {"username": "eve"})
        assert known.status == unknown.status == 201
        assert set(known.json) == set(unknown.json) == {"token"}
        assert len(known.body) == len(unknown.body)
        assert known.visible[2] == unknown.visible[2]
        assert_uniform(
            await authenticate(at, known.json["token"], "0" * 26),
            await authenticate(at, unknown.json["token"], "0" * 26),
            await authenticate(at, "no such token", "0" * 26),
        )
        assert at.mails.mails.empty()


async def test_every_address_of_the_user_gets_the_code() -> None:
    users = Users(Account("ann", ("ann@example.org", "ann@work.example")))
    async with running(users=users) as at:
        await at.post(SESSION, {"username": "ann"})
        mails = [await at.mails.mails.get() for _ in range(2)]
        assert {address for address, _ in mails} == {"ann@example.org", "ann@work.example"}
        assert len({mail.code for _, mail in mails}) == 1


@pytest.mark.parametrize(
    "username",
    [
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\nX: y",
        "ann\x00@example.org",
        "ann\u2028@example.org",
        "",
        "  ",
        "a" * 255,
    ],
)
async def test_a_username_that_could_bend_a_mail_is_rejected(username: str) -> None:
    async with running() as at:
        assert_uniform(await at.post(SESSION, {"username": username}))
        assert at.mails.mails.empty()


async def test_variants_of_a_name_are_one_account() -> None:
    name = "josé@example.org"
    users = Users(Account(unicodedata.normalize("NFC", name), ("jose@example.org",)))
    async with running(users=users) as at:
        for variant in (name, unicodedata.normalize("NFD", name), name.upper(), f" {name} "):
            # Three mails in 15 minutes are the limit of the one account; so the clock moves on.
            at.clock.offset_ms += 900_000
            token, code = await grant(at, variant)
            assert (await authenticate(at, token, code)).status == 200


async def test_the_fourth_mail_in_15_minutes_is_not_sent_and_nobody_can_tell() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        answers = [await at.post(SESSION, {"username": "ann"}) for _ in range(4)]
        assert {answer.status for answer in answers} == {201}
        assert len({(len(a.body), a.visible[2]) for a in answers}) == 1
        for _ in range(3):
            await at.mails.code()
        await asyncio.sleep(0)
        assert at.mails.mails.empty()
        at.clock.offset_ms = 900_001
        await grant(at, "ann")


@pytest.mark.parametrize(("age_ms", "status"), [(599_000, 200), (601_000, 403)])
async def test_a_code_lives_ten_minutes(age_ms: int, status: int) -> None:
    async with running() as at:
        token, code = await grant(at)
        at.clock.offset_ms = age_ms
        assert (await authenticate(at, token, code)).status == status


async def test_a_code_works_once() -> None:
    async with running() as at:
        token, code = await grant(at)
        message = login_message(at, token, code)
        assert (await at.post(AUTHENTICATE, message)).status == 200
        assert_uniform(await at.post(AUTHENTICATE, message), await authenticate(at, token, code))


SPENT = "its code was right and is used up"


async def test_a_stale_login_spends_its_code_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "certless")
    async with running() as at:
        token, code = await grant(at)
        stale = await authenticate(at, token, code, now_ms=at.clock() - 61_000)
        assert re.search(rf"login [0-9a-f]{{32}} ended \(stale_timestamp\): {SPENT}", caplog.text)
        assert_uniform(stale, await authenticate(at, token, code))
        assert caplog.text.count(SPENT) == 1


async def test_a_code_with_another_token_is_rejected_and_costs_an_attempt_there() -> None:
    async with running() as at:
        token, code = await grant(at)
        other, other_code = await grant(at, "bob@example.org")
        assert_uniform(await authenticate(at, other, code))
        assert (await authenticate(at, token, code)).status == 200
        assert (await authenticate(at, other, other_code)).status == 200


@pytest.mark.parametrize(("wrong", "status"), [(4, 200), (5, 403)])
async def test_the_sixth_attempt_is_refused_with_the_right_code(wrong: int, status: int) -> None:
    async with running() as at:
        token, code = await grant(at)
        for _ in range(wrong):
            assert_uniform(await authenticate(at, token, "0" * 26))
        assert (await authenticate(at, token, code)).status == status


@pytest.mark.parametrize("store", ["memory:", "sqlite:{}"])
async def test_of_50_parallel_guesses_at_most_5_are_evaluated(
    store: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []
    open_login = ServerExchange.open_login

    def counting(self: Any, message: Any, code: Code | None) -> Any:
        if code is not None:
            evaluated.append(code)
        return open_login(self, message, code)

    monkeypatch.setattr(ServerExchange, "open_login", counting)
    async with running(store=store.format(tmp_path / "db")) as at:
        token, code = await grant(at)
        guesses = [login_message(at, token, f"{n:026}") for n in range(50)]
        answers = await asyncio.gather(*(at.post(AUTHENTICATE, guess) for guess in guesses))
        assert_uniform(*answers)
        assert 1 <= len(evaluated) <= 5
        for n in range(5 - len(evaluated)):
            assert_uniform(await authenticate(at, token, f"{n:026}"))
        assert_uniform(await authenticate(at, token, code))
        assert len(evaluated) == 5


@pytest.mark.parametrize("store", ["memory:", "sqlite:{}"])
async def test_two_parallel_right_submissions_open_one_session(store: str, tmp_path: Any) -> None:
    async with running(store=store.format(tmp_path / "db")) as at:
        token, code = await grant(at)
        answers = await asyncio.gather(*(authenticate(at, token, code) for _ in range(2)))
        assert sorted(answer.status for answer in answers) == [200, 403]


async def test_a_code_of_another_dialect_is_refused_after_a_restart(tmp_path: Any) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store, dialect="sfet-4-gcm") as at:
        token, code = await grant(at)
    async with running(store=store, dialect="sfet-4-cbc") as at:
        assert_uniform(await authenticate(at, token, code))


async def test_a_pending_login_survives_a_restart(tmp_path: Any) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store) as at:
        token, code = await grant(at)
    async with running(store=store) as at:
        assert (await authenticate(at, token, code)).status == 200


async def test_the_integrators_own_check_of_the_password() -> None:
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "correct horse"})
    async with running(users=users) as at:
        token, code = await grant(at, "ann")
        refused = await authenticate(at, token, code, password="battery")
        again = await authenticate(at, token, code, password="correct horse")
        assert_uniform(refused, again)
        token, code = await grant(at, "ann")
        assert (await authenticate(at, token, code, password="correct horse")).status == 200


async def test_a_user_who_was_removed_meanwhile_is_refused() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        token, code = await grant(at, "ann")
        users._accounts.clear()
        assert_uniform(await authenticate(at, token, code))


async def test_a_weak_client_key_spends_the_code(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "certless")
    async with running() as at:
        token, code = await grant(at)
        # JSEncrypt makes keys like this one now and then.
        weak = await authenticate(at, token, code, pair=RsaPrivateKey.generate(2047))
        assert "key_not_admitted: a key of 2047 bits: make one of 2048 to 4096" in caplog.text
        assert f"(key_not_admitted): {SPENT}" in caplog.text
        assert_uniform(weak, await authenticate(at, token, code))


async def test_an_smtp_server_that_fails_does_not_hold_up_a_login() -> None:
    class Broken(gateway.MailTransport):
        tried = 0

        async def deliver(self, address: str, mail: gateway.CodeMail) -> None:
            Broken.tried += 1
            raise gateway.MailNotSent("down")

    async with running(mail=Broken()) as at:
        assert (await at.post(SESSION, {"username": "ann@example.org"})).status == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SESSION, b""),
        (SESSION, b"{"),
        (SESSION, b"[]"),
        (SESSION, b"{}"),
        (SESSION, b'{"username": 1}'),
        (SESSION, b'{"username": "a", "username": "b"}'),
        (SESSION, b'{"username": NaN}'),
        (SESSION, b'\xef\xbb\xbf{"username": "a"}'),
        (SESSION, b'{"username": "\xff"}'),
        (SESSION, b'{"username": "a"} x'),
        (SESSION, b"[" * 65_536),
        (SESSION, b'{"a":' * 10_000),
        (AUTHENTICATE, b'{"token": "x"}'),
        (AUTHENTICATE, b'{"token": "x", "payload": null}'),
        (AUTHENTICATE, b'{"token": "x", "payload": "x", "iv": 1}'),
    ],
)
async def test_what_is_no_message_is_malformed(path: str, body: bytes) -> None:
    async with running() as at:
        answer = await at.post(path, body)
        assert answer.status == 400
        assert answer.json["error"] == "malformed"


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "correct horse"})
    async with running(users=users) as at:
        token, code = await grant(at, "ann")
        await authenticate(at, token, "0" * 26, password="correct horse")
        answer = await authenticate(at, token, code, password="correct horse")
        assert answer.status == 200
    logged = "\n".join(record.getMessage() for record in caplog.records) + json.dumps(
        [str(record.exc_info) for record in caplog.records if record.exc_info]
    )
    for secret in (token, code, "correct horse"):
        assert secret not in logged
