"""THREATS "Login and code" and "SPAKE2", over HTTP in the hardened suites."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from every_suite import EACH, STORES, assert_uniform
from gateways import Answer, Running, Users, running
from hardened_gateways import Device, a_code, told

from gateway import Account
from protocol.common.codec import serialize_msgpack
from protocol.common.envelopes import Format
from protocol.common.primitives import RsaPrivateKey
from protocol.hardened.handshake_messages import ServerShare
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.spake2 import M_BYTES, N_BYTES
from protocol.hardened.suites import Freshness

pytestmark = pytest.mark.usefixtures("framework")

WRONG = a_code("0000 0000")


@EACH
async def test_a_whole_login(suite: str, fresh: Freshness, form: Format) -> None:
    async with running() as at:
        online = await Device(at, suite, fresh, form).login()
        response = await online.call("PUT", "/echo?speed=2", b'{"a": 1}')
        assert response.status == 200
        assert json.loads(response.body) == {
            "user": "ann@example.org",
            "session": online.id,
            "method": "PUT",
            "query": {"speed": "2"},
            "body": '{"a": 1}',
        }
        assert at.ran == ['{"a": 1}']


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_an_unknown_user_is_answered_as_a_known_one(form: Format) -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        device = Device(at, form=form)
        known, unknown = await device.greet("ann"), await device.greet("eve")
        await at.mails.code()
        assert known.greeting.expires_s == unknown.greeting.expires_s == 600
        assert_uniform(await device.enter(known, WRONG), await device.enter(unknown, WRONG))
        assert at.mails.mails.empty()


async def test_a_user_without_an_address_gets_no_mail_and_nobody_can_tell() -> None:
    async with running(users=Users(Account("fan-7", ()))) as at:
        device = Device(at)
        assert_uniform(await device.enter(await device.greet("fan-7"), WRONG))
        assert at.mails.mails.empty()


async def test_a_name_that_could_bend_a_mail_is_rejected() -> None:
    async with running() as at:
        device = Device(at)
        hello = {"v": 1, "suites": ["ecdh-gcm"], "fresh": "clock", "cn": bytes(32)}
        for name in ("ann\r\nBcc: eve@example.org", "", "a" * 255, "ann\u2028"):
            body = serialize_msgpack({**hello, "username": name})
            assert_uniform(await device.post("/session/hello", body))
        assert at.mails.mails.empty()


async def test_the_fourth_mail_is_not_sent_and_its_login_has_no_code() -> None:
    async with running() as at:
        device = Device(at)
        for _ in range(3):
            await device.login()
        awaited = await device.greet()
        await asyncio.sleep(0)
        assert at.mails.mails.empty()
        assert_uniform(await device.enter(awaited, WRONG))


async def test_the_mail_has_eight_characters_on_a_line_of_their_own() -> None:
    async with running() as at:
        await Device(at).greet()
        _, mail = await at.mails.mails.get()
        assert len(mail.code) == 8
        assert mail.code in mail.text.splitlines()


@pytest.mark.parametrize(("age_ms", "status"), [(599_000, 200), (601_000, 403)])
async def test_a_code_lives_ten_minutes(age_ms: int, status: int) -> None:
    async with running() as at:
        device = Device(at)
        awaited = await device.greet()
        share, _ = awaited.enter(a_code(await at.mails.code()), bytes)
        at.clock.offset_ms = age_ms
        assert (await device.send_share(share)).status == status


async def test_an_exchange_lives_a_minute() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        message, _ = await device.share(awaited, code)
        at.clock.offset_ms = 60_001
        assert_uniform(await device.send_confirmation(message))
        assert (await device.enter(awaited, code)).status == 200


async def test_a_code_works_once() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        message, _ = await device.share(awaited, code)
        assert (await device.send_confirmation(message)).status == 200
        share, _ = awaited.enter(code, bytes)
        assert_uniform(await device.send_confirmation(message), await device.send_share(share))


@pytest.mark.parametrize(("wrong", "status"), [(4, 200), (5, 403)])
async def test_the_sixth_attempt_is_refused_with_the_right_code(wrong: int, status: int) -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        for _ in range(wrong):
            assert_uniform(await device.enter(awaited, WRONG))
        share, pending = awaited.enter(code, bytes)
        answer = await device.send_share(share)
        if answer.status == 200:
            answer = await device.send_confirmation(device.shared(answer, pending)[0])
        assert answer.status == status


@STORES
async def test_of_50_parallel_guesses_5_are_evaluated(
    store: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = []
    answer_share = HandshakeServer.answer_share

    def counting(self: Any, message: Any, login: Any, entropy: Any) -> Any:
        if login is not None:
            evaluated.append(message)
        return answer_share(self, message, login, entropy)

    monkeypatch.setattr(HandshakeServer, "answer_share", counting)
    async with running(store=store.format(tmp_path / "db")) as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        guesses = [awaited.enter(a_code(f"{n:08}"), bytes)[0] for n in range(50)]
        answers = await asyncio.gather(*(device.send_share(guess) for guess in guesses))
        assert len(evaluated) == 5
        assert_uniform(*(answer for answer in answers if answer.status != 200))
        assert_uniform(await device.send_share(awaited.enter(code, bytes)[0]))


@STORES
async def test_two_parallel_right_submissions_open_one_session(store: str, tmp_path: Any) -> None:
    async with running(store=store.format(tmp_path / "db")) as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        message, _ = await device.share(awaited, code)
        answers = await asyncio.gather(*(device.send_confirmation(message) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 403, 403, 403, 403]


# --- SPAKE2 ---


async def test_a_second_pA_voids_the_first_exchange() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        first, _ = await device.share(awaited, code)
        second, _ = await device.share(awaited, code)
        # The first proof meets the second exchange, and takes it away.
        assert_uniform(
            await device.send_confirmation(first), await device.send_confirmation(second)
        )
        assert (await device.enter(awaited, code)).status == 200


async def test_points_that_no_client_makes_spend_an_attempt() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        share, _ = awaited.enter(code, bytes)
        off_curve = share.p_a[:-1] + bytes([share.p_a[-1] ^ 1])
        bad = [b"\4" + bytes(64), off_curve, M_BYTES, N_BYTES, b"\2" + share.p_a[1:]]
        assert_uniform(*[await device.send_share(replace(share, p_a=point)) for point in bad])
        # Five attempts are gone.
        assert_uniform(await device.send_share(share))


async def test_a_point_of_another_length_is_no_message() -> None:
    async with running() as at:
        device = Device(at)
        awaited = await device.greet()
        share, _ = awaited.enter(WRONG, bytes)
        for point in (share.p_a[:33], share.p_a + b"\0"):
            answer = await device.send_share(replace(share, p_a=point))
            assert answer.status == 400
        assert_uniform(await device.enter(awaited, WRONG))


async def test_a_proof_with_one_wrong_bit_spends_the_attempt() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        for _ in range(5):
            message, _ = await device.share(awaited, code)
            wrong = message.confirmation[:-1] + bytes([message.confirmation[-1] ^ 1])
            assert_uniform(await device.send_confirmation(replace(message, confirmation=wrong)))
            assert_uniform(await device.send_confirmation(message))
        assert_uniform(await device.send_share(awaited.enter(code, bytes)[0]))


async def test_a_proof_before_any_share() -> None:
    async with running() as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        other = await device.greet("bob@example.org")
        message, _ = await device.share(other, a_code(await at.mails.code()))
        early = replace(message, session_id=awaited.greeting.session_id)
        assert_uniform(await device.send_confirmation(early))
        assert (await device.enter(awaited, code)).status == 200


async def test_changed_suite_lists_names_or_realms_fail_the_proof() -> None:
    async with running(realm="the shop") as at:
        assert_uniform(await _entered(Device(at, realm="another shop")))
        assert (await _entered(Device(at, realm="the shop"))).status == 200
        device = Device(at, realm="the shop")
        awaited, code = await device.greet(), a_code(await at.mails.code())
        bent = replace(awaited, transcript=bytes(32))
        assert_uniform(await device.enter(bent, code))


async def _entered(device: Device) -> Answer:
    awaited = await device.greet()
    return await device.enter(awaited, a_code(await device.at.mails.code()))


async def test_a_code_of_another_login_does_not_fit() -> None:
    async with running() as at:
        device = Device(at)
        first, code = await device.greet(), a_code(await at.mails.code())
        second = await device.greet()
        await at.mails.code()
        assert_uniform(await device.enter(second, code))
        assert (await device.enter(first, code)).status == 200


async def test_a_weak_key_spends_the_code() -> None:
    async with running() as at:
        device = Device(at, "rsa-gcm")
        awaited, code = await device.greet(), a_code(await at.mails.code())
        share, pending = awaited.enter(code, bytes)
        answer = await device.send_share(share)
        weak = RsaPrivateKey.generate(1024).public
        message, _ = pending.open(ServerShare.parse(device.form, answer.body), weak)
        assert_uniform(await device.send_confirmation(message))
        assert_uniform(await device.send_share(share))


async def test_a_box_that_does_not_open_spends_the_code() -> None:
    async with running() as at:
        device = Device(at, "rsa-gcm")
        for box in (None, b"", b"x" * 100):
            awaited, code = await device.greet(), a_code(await at.mails.code())
            message, _ = await device.share(awaited, code)
            assert_uniform(await device.send_confirmation(replace(message, box=box)))
            assert_uniform(await device.send_share(awaited.enter(code, bytes)[0]))


# --- suites and versions ---


@pytest.mark.parametrize(
    ("suites", "asked", "status"),
    [
        (["ecdh-gcm"], ["ecdh-gcm"], 200),
        (["ecdh-gcm"], ["rsa-gcm"], 400),
        (["ecdh-gcm"], ["hybrid-gcm", "ecdh-gcm"], 200),
        (["classic"], ["ecdh-gcm"], 400),
        (["ecdh-gcm", "classic"], ["classic"], 400),
    ],
)
async def test_suites_that_are_spoken(suites: list[str], asked: list[str], status: int) -> None:
    async with running(suites=suites) as at:
        hello = {"v": 1, "username": "a@b.example", "suites": asked, "fresh": "clock"}
        body = serialize_msgpack({**hello, "cn": bytes(32)})
        answer = await Device(at).post("/session/hello", body)
        assert answer.status == status
        if status == 400:
            assert told(answer)["error"] == "unsupported_suite"


async def test_another_version_is_not_spoken() -> None:
    async with running() as at:
        hello = {"v": 2, "username": "a@b.example", "suites": ["ecdh-gcm"], "fresh": "clock"}
        answer = await Device(at).post(
            "/session/hello", serialize_msgpack({**hello, "cn": bytes(32)})
        )
        assert answer.status == 400


async def test_classic_left_out_is_refused_and_never_run() -> None:
    async with running(suites=["ecdh-gcm"]) as at:
        for path in ("/session", "/session/authenticate", "/session/logout", "/message"):
            answer = await at.post("/.gateway" + path, {"username": "ann@example.org"})
            assert answer.status == 400
            assert answer.json["error"] == "unsupported_suite"
        plain = await at.post("/echo", {"token": "a", "key": "b", "payload": "c"})
        assert plain.status == 401
        assert at.ran == []
        assert at.mails.mails.empty()


@pytest.mark.parametrize("path", ["hello", "share", "confirm", "resume", "resume/confirm"])
@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", b""),
        ("json", b"[]"),
        ("json", b"{}"),
        ("json", b"[" * 65_536),
        ("msgpack", b""),
        ("msgpack", b"\x80"),
        ("msgpack", b"\x91" * 65_536),
        ("msgpack", b"\xc1"),
        ("msgpack", b'{"sid": 1}'),
    ],
)
async def test_what_is_no_message_is_malformed(path: str, form: Format, body: bytes) -> None:
    async with running() as at:
        answer = await Device(at).post(f"/session/{path}", body, form)
        assert answer.status == 400
        assert told(answer)["error"] == "malformed"


async def test_other_methods_and_codings() -> None:
    async with running() as at:
        assert (await at.get("/.gateway/session/hello")).status == 405
        answer = await at.post(
            "/.gateway/session/hello", b"x", headers={"Content-Encoding": "gzip"}
        )
        assert answer.status == 415
        assert (await at.post("/.gateway/session/nothing", {})).status == 404


# --- the directory ---


async def test_a_user_who_was_removed_meanwhile_is_refused() -> None:
    users = Users(Account("ann", ("ann@example.org",)))
    async with running(users=users) as at:
        device = Device(at)
        awaited, code = await device.greet("ann"), a_code(await at.mails.code())
        users._accounts.clear()
        assert_uniform(await device.enter(awaited, code))


async def _with_password(at: Running, password: str) -> tuple[int, int]:
    """The status of the password's message and of one after it."""
    online = await Device(at).login("ann")
    assert online.ticket is None
    before = await online.call()
    assert before.status == 401
    assert json.loads(before.body)["error"] == "password_required"
    body = json.dumps({"password": password}).encode()
    answer = await online.call("POST", "/.gateway/session/authenticate", body)
    after, _ = online.seal()
    return answer.status, (await online.send(after)).status


async def test_a_password_goes_under_the_seal_once() -> None:
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "correct horse"})
    async with running(users=users) as at:
        assert await _with_password(at, "correct horse") == (200, 200)
        assert len(at.ran) == 1
        assert await _with_password(at, "battery") == (403, 403)
        assert len(at.ran) == 1


async def test_of_many_passwords_at_once_one_is_looked_at() -> None:
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "p7"})
    looked_at: list[object] = []
    check = users.check

    async def counting(account: Account, payload: Any) -> bool:
        if payload:
            looked_at.append(payload)
            await asyncio.sleep(0)
        return await check(account, payload)

    users.check = counting  # type: ignore[method-assign]
    async with running(users=users) as at:
        online = await Device(at).login("ann")
        tries = []
        for n in range(20):
            body = json.dumps({"password": f"p{n}"}).encode()
            tries.append(online.seal("POST", "/.gateway/session/authenticate", body)[0])
        await asyncio.gather(*(online.send(envelope) for envelope in tries))
        assert len(looked_at) == 1


async def test_a_directory_that_fails_is_told_under_the_seal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "p7"})
    check = users.check

    async def failing(account: Account, payload: Any) -> bool:
        if payload:
            raise RuntimeError(f"no database for {payload}")
        return await check(account, payload)

    users.check = failing  # type: ignore[method-assign]
    async with running(users=users) as at:
        online = await Device(at).login("ann")
        path = "/.gateway/session/authenticate"
        assert (await online.call("POST", path, b'{"password": "battery"}')).status == 500
        assert_uniform(await online.send(online.seal()[0]))
    assert "battery" not in caplog.text


async def test_who_needs_no_password_may_send_one() -> None:
    async with running() as at:
        online = await Device(at).login()
        path = "/.gateway/session/authenticate"
        assert (await online.call("POST", path, b'{"password": "x"}')).status == 200
        assert (await online.call("POST", path, b"[" * 1_000_000)).status == 200
        assert (await online.call()).status == 200


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    users = Users(Account("ann", ("ann@example.org",)), passwords={"ann": "correct horse"})
    async with running(users=users) as at:
        device = Device(at, form="json")
        awaited = await device.greet("ann")
        code = await at.mails.code()
        assert_uniform(await device.enter(awaited, WRONG))
        message, pending = await device.share(awaited, a_code(code))
        online = device.enrolled(await device.send_confirmation(message), pending)
        body = b'{"password": "correct horse"}'
        await online.call("POST", "/.gateway/session/authenticate", body)
        await online.call("POST", "/echo?q=secret-query", b"secret-body")
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert awaited.greeting.session_id.hex() in logged
    for secret in (code, "correct horse", "secret-query", "secret-body"):
        assert secret not in logged
