"""THREATS "Hardened messages" and "State and faults", over HTTP: what the gateway decides."""

import asyncio
import contextlib
import json
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from every_suite import EACH, STORES, assert_uniform
from frameworks import Seen, application
from gateways import Answer, running
from hardened_gateways import Device, Online, a_code, told
from processes import program

from gateway.errors import StoreUnavailable
from gateway.pipeline import middleware
from gateway.stores.memory.store import MemoryStore
from protocol.common.codec import serialize_msgpack
from protocol.common.envelopes import Format
from protocol.common.messages import HttpRequest
from protocol.common.primitives import RsaPublicKey
from protocol.hardened.client_session import ClockRefused, EpochRefused, PendingMessage
from protocol.hardened.records import EPOCH_OVERLAP_MS, MAX_EPOCH_MS
from protocol.hardened.sealed_messages import Envelope, Header, Kind, seal_message
from protocol.hardened.suites import Freshness

pytestmark = pytest.mark.usefixtures("framework")

EPOCH_MS = 900_000


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def bent(envelope: Envelope, **changes: bytes) -> bytes:
    """The envelope with members changed, as msgpack."""
    members = {
        "header": envelope.raw_header,
        "salt": envelope.salt,
        **({} if envelope.wrapped is None else {"wrapped": envelope.wrapped}),
        "sealed": envelope.sealed,
        **changes,
    }
    return serialize_msgpack(dict(members))


async def post(online: Online, body: bytes) -> Answer:
    return await online.device.post("/message", body, "msgpack")


# --- messages that were changed ---


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_any_bit_of_a_message_counts(suite: str) -> None:
    async with running() as at:
        online = await Device(at, suite).login()
        envelope, pending = online.seal()
        answers = []
        for name in ("header", "salt", "wrapped", "sealed"):
            data = getattr(envelope, "raw_header" if name == "header" else name)
            if data is None:
                continue
            for position in (*range(0, len(data), max(1, len(data) // 12)), len(data) - 1):
                answers.append(
                    await post(online, bent(envelope, **{name: flipped(data, position)}))
                )
        # An invalid header is visible in public bytes. All else gets the same rejection.
        assert {answer.status for answer in answers} <= {400, 403}
        assert_uniform(*(answer for answer in answers if answer.status == 403))
        assert at.ran == []
        assert online.opened(await online.send(envelope), pending).status == 200


async def test_short_tags_and_wrong_keys() -> None:
    async with running() as at:
        online = await Device(at).login()
        other = await Device(at).login("bob@example.org")
        envelope, _ = online.seal()
        cuts = [bent(envelope, sealed=envelope.sealed[:-n]) for n in (4, 8, 12)]
        theirs, _ = other.seal()
        moved = bent(envelope, salt=theirs.salt, sealed=theirs.sealed)
        assert_uniform(*[await post(online, body) for body in (*cuts, moved)])
        assert at.ran == []


async def test_a_wrap_without_the_key_of_the_direction() -> None:
    # Anybody with the public key can wrap a cek. Only k authenticates.
    async with running() as at:
        online = await Device(at, "rsa-gcm").login()
        server_key = RsaPublicKey.from_der(online.session.server_key)
        header = online.seal()[0].header
        forged = seal_message(bytes(32), header, b"x", server_key, secrets.token_bytes)
        assert_uniform(await post(online, forged.serialize("msgpack")))


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_message_for_the_other_direction_suite_or_epoch(suite: str) -> None:
    async with running() as at:
        online = await Device(at, suite).login()
        envelope, _ = online.seal()
        answer = await online.send(envelope)
        response = Envelope.parse("msgpack", answer.body)
        reflected = await post(online, response.serialize("msgpack"))
        keys = online.session.keys()
        header = Header(
            keys.suite, Kind.REQUEST, 2, envelope.header.session_id, "clock", at.clock()
        )
        assert_uniform(reflected, await post(online, _sealed(online, header)))
        swapped = replace(header, epoch=0, fresh="counter", fresh_value=1)
        assert_uniform(await post(online, _sealed(online, swapped)))
        assert len(at.ran) == 1


def _sealed(online: Online, header: Header) -> bytes:
    """A request under the keys of the session, with any header."""
    wrap_to = (
        RsaPublicKey.from_der(online.session.server_key) if online.session.server_key else None
    )
    plaintext = serialize_msgpack(HttpRequest("POST", "/echo", (), b"").to_array())
    key = online.session.c2s
    return seal_message(key, header, plaintext, wrap_to, secrets.token_bytes).serialize("msgpack")


async def test_a_session_of_nobody() -> None:
    async with running() as at:
        online = await Device(at).login()
        envelope, _ = online.seal()
        header = replace(envelope.header, session_id=bytes(16))
        assert_uniform(await post(online, bent(envelope, header=header.serialize())))


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"\x90",
        serialize_msgpack(["GET", "/echo", [], "text"]),
        serialize_msgpack(["CONNECT", "/echo", [], b""]),
        serialize_msgpack(["GET", "//echo", [], b""]),
        serialize_msgpack(["GET", "/echo", [["a b", "c"]], b""]),
        serialize_msgpack(["GET", "/echo", [], b"", b""]),
    ],
)
async def test_what_is_no_request_inside_is_answered_inside(plaintext: bytes) -> None:
    async with running() as at:
        online = await Device(at).login()
        envelope, _ = online.seal()
        sealed = seal_message(
            online.session.c2s, envelope.header, plaintext, None, secrets.token_bytes
        )
        answer = await post(online, sealed.serialize("msgpack"))
        asked = PendingMessage(sealed, online.session.s2c, None)
        assert online.opened(answer, asked).status == 400
        assert at.ran == []
        assert_uniform(await post(online, sealed.serialize("msgpack")))


async def test_content_codings_and_own_routes_inside() -> None:
    async with running() as at:
        online = await Device(at).login()
        coded = await online.call(headers=(("Content-Encoding", "gzip"),))
        assert coded.status == 415
        for path in ("/session/hello", "/session", "/message", "/session/resume/confirm"):
            assert (await online.call("POST", "/.gateway" + path)).status == 404
        assert at.ran == []


async def test_plaintext_is_refused_beside_all_suites() -> None:
    async with running() as at:
        await Device(at).login()
        for answer in (await at.get("/echo"), await at.post("/echo", {"a": 1})):
            assert answer.status == 401
        assert at.ran == []


# --- freshness ---


@EACH
async def test_a_message_counts_once(suite: str, fresh: Freshness, form: Format) -> None:
    async with running() as at:
        online = await Device(at, suite, fresh, form).login()
        envelope, pending = online.seal()
        answers = await asyncio.gather(*(online.send(envelope) for _ in range(10)))
        (accepted,) = (answer for answer in answers if answer.status == 200)
        assert_uniform(*(answer for answer in answers if answer is not accepted))
        assert online.opened(accepted, pending).status == 200
        assert len(at.ran) == 1


async def test_the_edge_of_the_counters_window() -> None:
    async with running() as at:
        online = await Device(at, fresh="counter").login()
        early = [online.seal() for _ in range(3)]
        online.session = replace(online.session, sequence=2 + 1023)
        assert (await online.call()).status == 200
        # The top is 1026: 2 is 1024 below it and refused, 3 is 1023 below it and taken.
        assert_uniform(await online.send(early[1][0]))
        assert (await online.send(early[2][0])).status == 200
        assert len(at.ran) == 2


async def test_a_forged_far_number_leaves_the_window_as_it_is() -> None:
    async with running() as at:
        online = await Device(at, fresh="counter").login()
        envelope, _ = online.seal()
        far = replace(envelope.header, fresh_value=2**53 - 1).serialize()
        assert_uniform(await post(online, bent(envelope, header=far)))
        assert (await online.send(envelope)).status == 200


@pytest.mark.parametrize("late_ms", [60_001, -60_001, 3_000_000, 10**9])
@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_stale_message_is_refused_under_the_seal_and_used_up(
    suite: str, late_ms: int
) -> None:
    async with running() as at:
        online = await Device(at, suite).login()
        at.clock.stopped_at_ms = at.clock()
        online.session = replace(online.session, offset_ms=0)
        envelope, pending = online.seal(now_ms=at.clock() - late_ms)
        with pytest.raises(ClockRefused) as caught:
            online.opened(await online.send(envelope), pending)
        assert caught.value.server_ms == at.clock()
        assert caught.value.may_retry == (abs(late_ms) > 61_000)
        # It does not run when its time comes.
        at.clock.stopped_at_ms -= late_ms
        assert_uniform(await online.send(envelope))
        assert at.ran == []


async def test_a_client_with_a_wrong_clock_goes_on_after_one_refusal() -> None:
    async with running() as at:
        online = await Device(at).login()
        wrong_ms = at.clock() - 7_200_000
        envelope, pending = online.seal(now_ms=wrong_ms)
        with pytest.raises(ClockRefused) as caught:
            online.opened(await online.send(envelope), pending)
        online.session = online.session.corrected(caught.value.server_ms, wrong_ms)
        assert (await online.call(now_ms=wrong_ms)).status == 200


@pytest.mark.parametrize("at_edge_ms", [60_000, -60_000])
async def test_the_edge_of_the_time_window_is_inside(at_edge_ms: int) -> None:
    async with running() as at:
        online = await Device(at).login()
        at.clock.stopped_at_ms = at.clock()
        online.session = replace(online.session, offset_ms=0)
        assert (await online.call(now_ms=at.clock() + at_edge_ms)).status == 200


@STORES
async def test_a_clock_that_was_set_back_runs_nothing_again(store: str, tmp_path: Path) -> None:
    async with running(store=store.format(tmp_path / "db"), sweep_interval_s=1) as at:
        online = await Device(at).login()
        envelope, pending = online.seal()
        assert online.opened(await online.send(envelope), pending).status == 200
        at.clock.offset_ms += 600_000
        await at.assembly.sweep()
        at.clock.offset_ms -= 600_000
        assert_uniform(await online.send(envelope))
        assert len(at.ran) == 1


# --- epochs ---


def moved(online: Online) -> None:
    """The client begins its next epoch."""
    online.session = online.session.rekeyed(online.device.at.clock())


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_epochs_and_their_overlap(suite: str) -> None:
    async with running() as at:
        at.clock.stopped_at_ms = at.clock()
        online = await Device(at, suite, "counter").login()
        assert (await online.call()).status == 200
        old = [online.seal() for _ in range(2)]
        moved(online)
        assert (await online.call()).status == 200
        assert online.opened(await online.send(old[0][0]), old[0][1]).status == 200
        at.clock.stopped_at_ms += EPOCH_OVERLAP_MS + 1
        assert_uniform(await online.send(old[1][0]))
        # Two ahead is refused, one ahead is not.
        here = online.session
        moved(online)
        ahead = online.session
        moved(online)
        assert_uniform(await online.send(online.seal()[0]))
        online.session = replace(ahead, sequence=here.sequence + 10)
        assert (await online.call()).status == 200


async def test_a_client_moves_by_itself_after_fifteen_minutes() -> None:
    async with running(session_lifetime_s=7200) as at:
        online = await Device(at).login()
        for epoch in range(4):
            assert (await online.call()).status == 200
            assert online.session.epoch == epoch
            at.clock.offset_ms += EPOCH_MS


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_no_epoch_lasts_for_ever(suite: str) -> None:
    async with running(session_lifetime_s=40_000) as at:
        online = await Device(at, suite).login()

        async def unmoved() -> int:
            """Send one more message of a client that begins no epoch. Returns how many ran."""
            online.session = replace(online.session, heard=0)
            envelope, pending = online.seal()
            with contextlib.suppress(EpochRefused):
                online.opened(await online.send(envelope), pending)
            return len(at.ran)

        # Its first message can come late: without a response it must not begin the next epoch.
        at.clock.offset_ms += 3 * MAX_EPOCH_MS
        assert await unmoved() == 1
        at.clock.offset_ms += MAX_EPOCH_MS - 5000
        assert await unmoved() == 2
        at.clock.offset_ms += 10_000
        assert await unmoved() == 2
        assert await unmoved() == 2
        # It continues without a login, and its next epoch is a normal one.
        moved(online)
        assert (await online.call()).status == 200
        live = await at.assembly.hardened.find(bytes.fromhex(online.id), at.clock())
        assert live
        assert (live.record.epoch, live.record.extended) == (1, 0)


async def test_a_client_that_slept_goes_on_without_a_login() -> None:
    async with running(session_lifetime_s=40_000) as at:
        online = await Device(at).login()
        for epoch in range(4):
            assert (await online.call()).status == 200
            assert online.session.epoch == epoch
            at.clock.offset_ms += 2 * 3_600_000


async def test_keys_of_an_epoch_that_is_over_are_gone() -> None:
    store = MemoryStore()
    async with running(store=store) as at:
        at.clock.stopped_at_ms = at.clock()
        online = await Device(at).login()
        await online.call()
        moved(online)
        await online.call()
        key = bytes.fromhex(online.id)
        hardened = at.assembly.hardened
        live = await hardened.find(key, at.clock())
        assert live
        assert live.record.previous_c2s
        at.clock.stopped_at_ms += EPOCH_OVERLAP_MS + 1
        await at.assembly.sweep()
        live = await hardened.find(key, at.clock())
        assert live
        assert live.record.previous_c2s == b""
        assert (await online.call()).status == 200


async def test_two_processes_on_one_file_agree_on_epochs_and_claims(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store) as one, running(store=store) as two:
        for suite in ("ecdh-gcm", "rsa-gcm"):
            online = await Device(one, suite).login()
            elsewhere = Device(two, suite)
            for epoch in range(4):
                for device in (Device(one, suite), elsewhere):
                    online.device = device
                    assert (await online.call()).status == 200
                    assert online.session.epoch == epoch
                envelope, _ = online.seal()
                answers = await asyncio.gather(
                    *(
                        device.post("/message", envelope.serialize("msgpack"))
                        for device in (Device(one, suite), elsewhere) * 2
                    )
                )
                assert sorted(answer.status for answer in answers) == [200, 403, 403, 403]
                online.session = replace(online.session, heard=1)
                moved(online)


async def test_messages_that_move_an_epoch_at_once_all_run() -> None:
    async with running() as at:
        online = await Device(at).login()
        await online.call()
        moved(online)
        sealed = [online.seal() for _ in range(10)]
        answers = await asyncio.gather(*(online.send(envelope) for envelope, _ in sealed))
        for answer, (_, pending) in zip(answers, sealed, strict=True):
            assert online.opened(answer, pending).status == 200


# --- sessions and their end ---


async def test_a_logout_ends_session_and_ticket() -> None:
    async with running() as at:
        online = await Device(at).login()
        assert online.ticket
        assert (await online.call("POST", "/.gateway/session/logout")).status == 200
        answer, _ = await online.device.begin(online.ticket)
        assert_uniform(await online.send(online.seal()[0]), answer)


async def test_a_logout_is_a_post() -> None:
    async with running() as at:
        online = await Device(at).login()
        assert (await online.call("GET", "/.gateway/session/logout")).status == 404
        assert (await online.call()).status == 200


@pytest.mark.parametrize(("lifetime_s", "lives_ms"), [(60, 60_000), (86_400, 43_200_000)])
async def test_a_session_has_its_time_and_twelve_hours_at_most(
    lifetime_s: int, lives_ms: int
) -> None:
    async with running(session_lifetime_s=lifetime_s) as at:
        at.clock.stopped_at_ms = at.clock()
        online = await Device(at, fresh="counter").login()
        assert online.session.expires_ms == at.clock() + lives_ms
        at.clock.stopped_at_ms += lives_ms - 1
        envelope, pending = online.seal()
        assert online.opened(await online.send(envelope), pending).status == 200
        at.clock.stopped_at_ms += 1
        assert_uniform(await online.send(online.seal()[0]))


@pytest.mark.parametrize("suite", ["ecdh-gcm", "rsa-gcm"])
async def test_a_restart_keeps_sessions_and_refuses_replays(suite: str, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    for fresh in ("clock", "counter"):
        async with running(store=store) as at:
            online = await Device(at, suite, fresh).login(f"{fresh}@example.org")
            envelope, pending = online.seal()
            assert online.opened(await online.send(envelope), pending).status == 200
        async with running(store=store) as at:
            online.device.at = at
            assert_uniform(await online.send(envelope))
            assert (await online.call()).status == 200
            assert at.ran == ["{}"]


async def test_a_suite_that_is_no_longer_spoken_ends_its_sessions(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path / 'db'}"
    async with running(store=store) as at:
        online = await Device(at).login()
        assert online.ticket
    async with running(store=store, suites=["rsa-gcm"]) as at:
        online.device.at = at
        assert_uniform(await online.send(online.seal()[0]))
        answer, _ = await online.device.begin(online.ticket)
        assert told(answer)["error"] == "unsupported_suite"


async def test_kill_9_between_claim_and_handler_never_runs_a_message_twice(
    tmp_path: Path,
) -> None:
    # The handler writes that it was reached and then kills the process.
    handler = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from aiohttp import web\n"
        "import gateway\n"
        "from gateway import AnyAddress\n"
        "async def die(request):\n"
        "    with open(sys.argv[2], 'a') as log: log.write('ran\\n')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "app = web.Application()\n"
        "app.router.add_post('/echo', die)\n"
        "gateway.setup(app, users=AnyAddress(), mail='dir:' + sys.argv[3],\n"
        "              store='sqlite:' + sys.argv[1])\n"
        "async def main():\n"
        "    runner = web.AppRunner(app)\n"
        "    await runner.setup()\n"
        "    await web.TCPSite(runner, '127.0.0.1', 0).start()\n"
        "    print(runner.addresses[0][1], flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    database, log, mails = tmp_path / "db", tmp_path / "ran", tmp_path / "mails"
    async with running(store=f"sqlite:{database}") as at:
        online = await Device(at).login()
        envelope, _ = online.seal()
        for _ in range(2):
            command = [sys.executable, "-c", handler, *map(str, (database, log, mails))]
            async with program(*command, stdout=asyncio.subprocess.PIPE) as child:
                assert child.stdout
                port = int(await child.stdout.readline())
                url, at.url = at.url, f"http://127.0.0.1:{port}"
                try:
                    answer = await online.send(envelope)
                    assert answer.status == 403
                    child.kill()
                except aiohttp.ClientError:
                    pass  # it was killed by what it ran
                finally:
                    at.url = url
                await child.wait()
        assert_uniform(await online.send(envelope))
        assert log.read_text() == "ran\n"
        assert at.ran == []


# --- faults ---


class Failing(MemoryStore):
    """A store that fails at one step if the test wants it."""

    broken = ""

    def _check(self, name: str) -> None:
        if self.broken == name:
            raise StoreUnavailable("down")

    async def load(self, *arguments: Any) -> Any:
        self._check("load")
        return await super().load(*arguments)

    async def claim_message(self, *arguments: Any) -> Any:
        self._check("claim")
        return await super().claim_message(*arguments)

    async def swap(self, *arguments: Any) -> Any:
        self._check("swap")
        return await super().swap(*arguments)

    async def claim_attempt(self, *arguments: Any) -> Any:
        self._check("claim_attempt")
        return await super().claim_attempt(*arguments)

    async def open_login(self, *arguments: Any) -> Any:
        self._check("open_login")
        return await super().open_login(*arguments)


@pytest.mark.parametrize("step", ["load", "claim", "swap"])
async def test_a_store_that_fails_accepts_nothing(step: str) -> None:
    store = Failing()
    async with running(store=store) as at:
        online = await Device(at).login()
        if step != "load":  # the first message of a session loads it
            await online.call()
            moved(online)
        at.ran.clear()
        store.broken = step
        envelope, _ = online.seal()
        answer = await online.send(envelope)
        assert answer.status == 503
        assert told(answer)["error"] == "unavailable"
        assert not at.ran
        store.broken = ""
        assert (await online.call()).status == 200


@pytest.mark.parametrize("step", ["claim_attempt", "open_login"])
async def test_a_store_that_fails_opens_nothing(step: str) -> None:
    store = Failing()
    async with running(store=store) as at:
        device = Device(at)
        awaited, code = await device.greet(), a_code(await at.mails.code())
        store.broken = step
        if step == "claim_attempt":
            answer = await device.send_share(awaited.enter(code, bytes)[0])
        else:
            answer = await device.enter(awaited, code)
        assert answer.status == 503
        store.broken = ""
        assert (await device.enter(awaited, code)).status == 200


# --- concurrent messages ---


async def test_all_suites_beside_one_another() -> None:
    seen: list[tuple[str, str]] = []

    def whoami(asked: Seen) -> str:
        seen.append((asked.session.suite, asked.session.strength))
        return asked.user

    async with running(application({"/whoami": whoami})) as at:
        raw = await at.raw_login()
        assert (await raw.call("GET", "/whoami")).body == b'"ann@example.org"'
        for suite in ("ecdh-gcm", "rsa-gcm"):
            online = await Device(at, suite).login(f"{suite}@example.org")
            answer = await online.call("GET", "/whoami")
            assert json.loads(answer.body) == f"{suite}@example.org"
    assert seen == [
        ("classic/sfet-4-gcm", "classic"),
        ("ecdh-gcm", "hardened"),
        ("rsa-gcm", "hardened"),
    ]


async def test_a_route_demands_a_suite() -> None:
    require = {"/echo": "ecdh-gcm"}
    async with running(require=require, public=["/echo"]) as at:
        assert (await at.post("/echo", {})).status == 401
        raw = await at.raw_login()
        for path in ("/echo", "/%65cho", "/./echo", "//echo"):
            assert (await raw.call("POST", path)).status in (400, 403)
        response = await raw.call("POST", "/echo")
        assert response.status == 403
        assert json.loads(response.body)["error"] == "suite_required"
        assert json.loads(response.body)["suite"] == "ecdh-gcm"
        message, _ = raw.seal()
        in_place = await at.post("/echo", message)
        assert in_place.status == 403
        assert b"suite_required" not in in_place.body
        assert at.ran == []
        for suite in ("ecdh-gcm", "rsa-gcm"):
            online = await Device(at, suite).login(f"{suite}@example.org")
            assert (await online.call()).status == 200


async def test_no_spelling_of_a_path_leads_around_a_demand() -> None:
    ran: list[str] = []

    def run(seen: Seen) -> None:
        ran.append(seen.path)

    app = application({"/admin/{name}": run, "/the café": run})
    async with running(app, require={"/admin/*": "ecdh-gcm", "/the café": "ecdh-gcm"}) as at:
        raw = await at.raw_login()
        for path in ("/%61dmin/a%20b", "/%61dmin/%C3%A9", "/the%20caf%C3%A9", "/%74he%20caf%c3%a9"):
            response = await raw.call("GET", path)
            assert (response.status, ran) == (403, []), path
        online = await Device(at).login("ben@example.org")
        assert (await online.call("GET", "/%61dmin/a%20b")).status == 200
        assert ran == ["/admin/a b"]


async def test_rejections_are_alike_in_all_that_can_be_seen() -> None:
    async with running() as at:
        online = await Device(at, form="json").login()
        assert online.ticket
        envelope, _ = online.seal()
        await online.send(envelope)
        stranger = replace(envelope.header, session_id=bytes(16)).serialize()
        raw = await at.raw_login("bob@example.org")
        message, _ = raw.seal()
        await raw.send(message)
        bodies = [
            envelope.serialize("json"),
            replace(envelope, raw_header=stranger).serialize("json"),
            replace(envelope, sealed=flipped(envelope.sealed, 0)).serialize("json"),
        ]
        answers = [await online.device.post("/message", body) for body in bodies]
        answers.append(await raw.send(message))
        answers.append(await online.device.enter(await online.device.greet(), a_code("0" * 8)))
        assert_uniform(*answers)


async def test_a_rejection_leaves_on_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    wait = middleware._wait_for_step

    async def counting(arrived_s: float) -> None:
        waited.append(arrived_s)
        await wait(arrived_s)

    monkeypatch.setattr("gateway.pipeline.middleware._wait_for_step", counting)
    async with running() as at:
        device = Device(at)
        online = await device.login()
        assert online.ticket
        envelope, _ = online.seal()
        await online.send(envelope)
        assert waited == []
        awaited = await device.greet()
        await device.enter(awaited, a_code("0" * 8))
        await online.send(envelope)
        await device.begin(replace(online.ticket, ticket=bytes(16)))
        assert len(waited) == 3
