"""``ticket issue``, ``devices list`` and ``devices revoke``, beside a gateway on the same store."""

import json
import re
import socket
import stat
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from beside import Beside, gateway_beside

from certless.client import Client, CodeNotAccepted, Refused, TicketNotAccepted, TicketNotKept
from gateway.admin.devices import AdminDevices
from gateway.clock import system_clock
from gateway.keys.keyring import KeyRing
from gateway.sessions.devices import DeviceOperators
from gateway.stores.memory.store import MemoryStore

HEAD = "ID SUITE SEEN UNTIL REVOKED DEVICE USER"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(params=["sqlite", "redis"])
def beside(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    store = redis_url if request.param == "redis" else f"sqlite:{tmp_path / 'certless.db'}"

    def start(**more: Any) -> AbstractAsyncContextManager[Beside]:
        return gateway_beside(tmp_path, store, capsys, **more)

    return start


async def issued(here: Beside, name: str, *options: str) -> Path:
    """The ticket that was issued, for the Python client."""
    path = here.folder / name
    ran = await here.certless(
        "ticket", "issue", "fan-7", "--out", str(path), "--format", "json", *options
    )
    assert (ran.status, ran.out) == (0, ""), ran.err
    return path


async def devices(here: Beside) -> list[list[str]]:
    return await here.listed("devices", HEAD)


# --- tickets ---


async def test_a_device_begins_with_a_ticket_from_the_factory(beside: Any) -> None:
    async with beside() as here:
        path = await issued(here, "pump.ticket", "--device", "pump-7")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        written = json.loads(path.read_bytes())
        assert {name: written[name] for name in ("suite", "username", "realm")} == {
            "suite": "ecdh-gcm",
            "username": "Fan-7",
            "realm": "certless",
        }
        ((*_, seen, _, revoked, name, user),) = await devices(here)
        assert (seen, revoked, name, user) == ("never", "no", "pump-7", "Fan-7")
        for _ in range(3):
            async with here.client(tickets=path) as client:
                await client.resume()
                assert (await (await client.get("/echo")).json())["user"] == "Fan-7"
        # The first use has replaced the secret.
        assert written["secret"].encode() not in path.read_bytes()
        assert here.at.mails.mails.empty()


async def test_the_shelf_life_of_a_ticket(beside: Any) -> None:
    async with beside() as here:
        paths = [await issued(here, "a"), await issued(here, "b", "--shelf-life", "2d")]
        here.at.clock.offset_ms = 2 * DAY_MS + 1
        with pytest.raises(TicketNotAccepted):
            async with here.client(tickets=paths[1], clock=here.at.clock) as client:
                await client.resume()
        here.at.clock.offset_ms = 180 * DAY_MS - 60_000
        async with here.client(tickets=paths[0], clock=here.at.clock) as client:
            await client.resume()
        here.at.clock.offset_ms += 29 * DAY_MS
        async with here.client(tickets=paths[0], clock=here.at.clock) as client:
            await client.resume()


async def test_a_stolen_file_ends_the_chain(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        path = await issued(here, "pump.ticket", "--device", "pump-7")
        copy = tmp_path / "copy"
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        thief, device = here.client(tickets=copy), here.client(tickets=path)
        async with thief, device:
            await thief.resume()
            # The ticket was redeemed last, so it is good: the session of the thief ends.
            await device.resume()
            with pytest.raises(Refused):
                await thief.get("/echo")
            with pytest.raises(TicketNotAccepted):
                await thief.resume()
            # Both have used the chain, so it is revoked.
            with pytest.raises(Refused):
                await device.get("/echo")
            with pytest.raises(TicketNotAccepted):
                await device.resume()
        ((*_, revoked, _, _),) = await devices(here)
        assert revoked == "yes"


async def test_a_ticket_without_a_device_is_only_among_the_tickets(beside: Any) -> None:
    async with beside() as here:
        await issued(here, "ticket")
        assert await devices(here) == []
        ((ticket_id, _, since, _, user),) = await here.listed("tickets")
        assert (since, user) == ("-", "Fan-7")
        assert (await here.certless("tickets", "revoke", ticket_id)).status == 0
        assert await here.listed("tickets") == []


async def test_the_realm_is_that_of_the_gateway(beside: Any, tmp_path: Path) -> None:
    async with beside(realm="plant") as here:
        path = await issued(here, "a", "--realm", "plant")
        async with here.client(tickets=path, realm="plant") as client:
            await client.resume()
        with (tmp_path / "gateway.toml").open("a") as file:
            file.write('\nrealm = "plant"\n')
        path = await issued(here, "b")
        async with here.client(tickets=path) as client:
            with pytest.raises(TicketNotKept, match="'plant'"):
                await client.resume()


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        (["nobody"], "", "no user 'nobody'"),
        (["ann"], "", "needs more than a ticket"),
        (["fan-7", "--device", "a b"], "", "1 to 64 characters"),
        (["fan-7", "--shelf-life", "4000d"], "", "from 1 day to 3650 days"),
        (["fan-7"], "ticket_lifetime_s = 0", "accepts no tickets"),
        (["fan-7"], 'suites = ["rsa-gcm"]', "does not accept the suite ecdh-gcm"),
        (["fan-7"], 'second_check = "https://check.example"', "needs more than a ticket"),
    ],
)
async def test_a_ticket_that_would_be_of_no_use(
    beside: Any, tmp_path: Path, options: list[str], more: str, words: str
) -> None:
    hashed = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
    async with beside() as here:
        users = tmp_path / "users.toml"
        users.write_text(users.read_text() + f'password = "{hashed}"\n')
        with (tmp_path / "gateway.toml").open("a") as file:
            file.write(f"\n{more}\n")
        out = tmp_path / "x"
        ran = await here.certless("ticket", "issue", *options, "--out", str(out))
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err
        assert not out.exists()
        assert await here.listed("tickets") == []


async def test_a_file_is_not_replaced_by_a_ticket(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        (tmp_path / "x").write_text("of yesterday")
        ran = await here.certless("ticket", "issue", "fan-7", "--out", str(tmp_path / "x"))
        assert (ran.status, ran.out) == (2, "")
        assert "exists: name a new file" in ran.err
        assert (tmp_path / "x").read_text() == "of yesterday"
        assert await here.listed("tickets") == []


async def test_a_text_that_is_no_ticket(tmp_path: Path) -> None:
    path = tmp_path / "ticket"
    path.write_text('{"form": "certless ticket 1"}')
    path.chmod(0o600)
    async with Client("http://127.0.0.1:1", tickets=path) as client:
        with pytest.raises(TicketNotKept, match="not a ticket"):
            await client.resume()


# --- the list ---


async def test_devices_are_listed_with_the_hour_in_which_they_were_seen(
    beside: Any, tmp_path: Path
) -> None:
    async with beside() as here:
        at = here.at
        codes = {name: await here.issued("fan-7", "--device", name) for name in ("p-2", "p-1")}
        # Ten minutes before an hour, three hours ago.
        at.clock.offset_ms = 50 * 60_000 - at.clock() % HOUR_MS - 3 * HOUR_MS
        clients = {
            name: here.client(tickets=tmp_path / name, clock=at.clock, steady=at.clock)
            for name in codes
        }
        async with clients["p-1"], clients["p-2"], here.client() as ann:
            for name, client in clients.items():
                await client.login("FAN-7", code=codes[name], device=name)
                await client.get("/echo")
            await ann.login("ann", code=at.mails.code)
            before = await devices(here)
            assert [row[5:] for row in before] == [["p-1", "FAN-7"], ["p-2", "FAN-7"]]
            for chain_id, suite, seen, until, revoked, *_ in before:
                assert re.fullmatch(r"[0-9a-f]{32}", chain_id)
                assert (suite, revoked) == ("ecdh-gcm", "no")
                assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:00Z", seen)
                assert seen < until
            # The next epoch shows that the device was seen; a message of the same epoch does not.
            at.clock.offset_ms += 16 * 60_000
            await clients["p-2"].get("/echo")
            after = await devices(here)
            assert after[0] == before[0]
            assert after[1][2] > before[1][2]
            # So does a resumption.
            await clients["p-1"].resume()
            assert (await devices(here))[0][2] == after[1][2]


async def test_a_revoked_device_is_out_and_stays_in_the_list(beside: Any, tmp_path: Path) -> None:
    async with beside() as here:
        codes = {name: await here.issued("fan-7", "--device", name) for name in ("p-1", "p-2")}
        lost, kept = (here.client(tickets=tmp_path / name) for name in codes)
        async with lost, kept:
            for client, (name, code) in zip((lost, kept), codes.items(), strict=True):
                await client.login("fan-7", code=code, device=name)
            # A second chain of the same device, and a code that waits.
            path = await issued(here, "again", "--device", "p-1")
            code = await here.issued("fan-7", "--device", "p-1")
            ran = await here.certless("devices", "revoke", "FAN-7", "p-1")
            assert (ran.status, ran.out) == (0, "")
            assert ran.err == "Device p-1 of Fan-7 is revoked, and its session has ended.\n"
            with pytest.raises(Refused):
                await lost.get("/echo")
            with pytest.raises(TicketNotAccepted):
                await lost.resume()
            async with here.client(tickets=path) as again:
                with pytest.raises(TicketNotAccepted):
                    await again.resume()
                with pytest.raises(CodeNotAccepted):
                    await again.login("fan-7", code=code, device="p-1")
            # No other device is touched.
            await kept.resume()
            assert (await kept.get("/echo")).status == 200
        shown = [(row[5], row[4]) for row in await devices(here)]
        assert shown == [("p-1", "yes"), ("p-1", "yes"), ("p-2", "no")]
        assert len(await here.listed("tickets")) == 1
        for user, name in (("fan-7", "p-1"), ("fan-7", "p-3"), ("ann", "p-2")):
            ran = await here.certless("devices", "revoke", user, name)
            assert (ran.status, ran.out) == (1, "")
            assert f"has no valid device {name}: see `devices list`" in ran.err


async def test_a_device_that_logs_out_is_revoked(beside: Any, tmp_path: Path) -> None:
    async with beside() as here, here.client(tickets=tmp_path / "t") as device:
        code = await here.issued("fan-7", "--device", "p-1")
        await device.login("fan-7", code=code, device="p-1")
        await device.logout()
        ((*_, revoked, name, _),) = await devices(here)
        assert (revoked, name) == ("yes", "p-1")


async def test_a_device_that_was_never_there_is_revoked_by_its_code(beside: Any) -> None:
    async with beside() as here:
        await here.issued("fan-7", "--device", "p-1")
        assert (await here.certless("devices", "revoke", "fan-7", "p-1")).status == 0
        assert (await here.certless("devices", "revoke", "fan-7", "p-1")).status == 1


# --- the admin page ---


async def test_the_key_of_the_operator_shows_and_revokes_devices(
    beside: Any, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with beside(admin=listener) as here, here.client(tickets=tmp_path / "t") as device:
            code = await here.issued("fan-7", "--device", "p-1")
            await device.login("fan-7", code=code, device="p-1")
            await issued(here, "again", "--device", "p-1")
            ran = await here.certless("devices", "key")
            assert ran.status == 0
            assert re.fullmatch(r"[0-9a-f]{64}\n", ran.out)
            allowed = {"Authorization": f"Bearer {ran.out.strip()}"}
            for headers in (
                {},
                {"Authorization": "Bearer "},
                {"Authorization": ran.out.strip()},
                {"Authorization": "Bearer " + "0" * 64},
                {"Authorization": "Bearer \u00fc"},
                {"Cookie": f"key={ran.out.strip()}"},
            ):
                async with here.at.http.get(url + "/devices", headers=headers) as answer:
                    assert answer.status == 401
                    assert await answer.json() == {"error": "this is not the operator's key"}
                async with here.at.http.post(
                    url + "/devices/revoke", headers=headers, data="0" * 32
                ) as answer:
                    assert answer.status == 401
            async with here.at.http.get(url + "/devices", headers=allowed) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in answer.headers
                listed = (await answer.json())["devices"]
            shown = [(one["name"], one["owner"], one["is_revoked"]) for one in listed]
            assert shown == [("p-1", "Fan-7", False), ("p-1", "fan-7", False)]
            assert (await device.get("/echo")).status == 200
            for sent, status in ((listed[0]["id"], 200), (listed[1]["id"], 404), ("x" * 99, 404)):
                async with here.at.http.post(
                    url + "/devices/revoke", headers=allowed, data=sent
                ) as answer:
                    assert answer.status == status
            # All tickets of the device are revoked, and its session has ended.
            with pytest.raises(Refused):
                await device.get("/echo")
            async with here.at.http.get(url + "/devices", headers=allowed) as answer:
                listed = (await answer.json())["devices"]
            assert [one["is_revoked"] for one in listed] == [True, True]
            async with here.at.http.options(
                url + "/devices/revoke", headers={"Origin": "http://evil.example"}
            ) as answer:
                assert answer.status == 405
                assert "Access-Control-Allow-Headers" not in answer.headers


@pytest.mark.parametrize(
    ("address", "status"),
    [("127.0.0.1", 401), ("::1", 401), ("::ffff:127.0.0.1", 401), ("192.0.2.7", 403), (None, 403)],
)
async def test_devices_are_for_clients_on_the_same_machine(
    address: str | None, status: int
) -> None:
    ring = KeyRing.ephemeral()
    app = web.Application()
    AdminDevices(DeviceOperators(MemoryStore(), ring, system_clock), ring).add_to(app)
    asked = make_mocked_request("GET", "/devices", app=app).clone(remote=address or "")
    handler = (await app.router.resolve(asked)).handler
    answer = await handler(asked)
    assert answer.status == status
