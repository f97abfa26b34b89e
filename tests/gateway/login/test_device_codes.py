"""Codes of single devices: a login that names its device (PROTOCOL §2.8.4)."""

import secrets
from dataclasses import replace

import pytest
from every_suite import assert_uniform
from gateways import Running, Users, running
from hardened_gateways import Device, a_code

from gateway.errors import ConfigError
from gateway.keys.keyring import KeyRing
from gateway.sessions.management import Operators
from gateway.stores.memory.store import MemoryStore
from gateway.users.directory import Account
from protocol.common.envelopes import Format
from protocol.hardened.client_handshake import begin_login
from protocol.hardened.handshake_messages import ClientHello, ServerHello
from protocol.hardened.records import TicketChain

PLANT = "plant"
USERS = Users(Account(PLANT, ()), Account("ann", ("ann@example.org",)))
PUMP, FAN = "pump-7", "10:2f:3a"


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    """The key of a gateway in memory, known to the test."""
    ring = KeyRing.ephemeral()
    monkeypatch.setattr(KeyRing, "ephemeral", lambda: ring)
    return ring


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def operators_of(at: Running, store: MemoryStore, keyring: KeyRing) -> Operators:
    return Operators(store, keyring, at.clock)


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_devices_of_one_user_have_codes_at_the_same_time(
    store: MemoryStore, keyring: KeyRing, form: Format
) -> None:
    async with running(users=USERS, store=store) as at:
        operators = operators_of(at, store, keyring)
        codes = {
            name: await operators.issue_code("ann", device=name or "") for name in (PUMP, FAN, None)
        }
        for name, code in reversed(codes.items()):
            device = Device(at, "rsa-gcm" if name else "ecdh-gcm", form=form, name=name)
            online = await device.login("ann", code.text)
            assert (await online.call()).status == 200
            # It works once.
            assert_uniform(await device.enter(await device.greet("ann"), code))
        # The last login had no device and no code: it is the only one with a mail.
        assert await at.mails.code()
        assert at.mails.mails.empty()


async def test_a_code_of_one_device_opens_nothing_for_another(
    store: MemoryStore, keyring: KeyRing
) -> None:
    async with running(users=USERS, store=store) as at:
        operators = operators_of(at, store, keyring)
        codes = {name: await operators.issue_code(PLANT, device=name) for name in (PUMP, FAN, "")}
        for name in codes:
            for other, code in codes.items():
                if other != name:
                    device = Device(at, name=name or None)
                    assert_uniform(await device.enter(await device.greet(PLANT), code))
        assert_uniform(
            await Device(at, name="PUMP-7").enter(
                await Device(at, name="PUMP-7").greet(PLANT), codes[PUMP]
            )
        )
        # Two attempts of each are used up, and each still opens a session for its device.
        for name, code in codes.items():
            await (await Device(at, name=name or None).login(PLANT, code.text)).call()


@pytest.mark.parametrize(("sent", "arrives"), [(PUMP, None), (None, PUMP), (PUMP, FAN)])
async def test_a_device_that_was_changed_on_the_way(
    store: MemoryStore, keyring: KeyRing, sent: str | None, arrives: str | None
) -> None:
    async with running(users=USERS, store=store) as at:
        operators = operators_of(at, store, keyring)
        device = Device(at)
        hello, pending = begin_login(
            PLANT, device.realm, secrets.token_bytes, ["ecdh-gcm"], device=sent
        )
        # The attacker even makes the code fit: the one code is issued for what arrives.
        code = await operators.issue_code(PLANT, device=arrives or "")
        changed: ClientHello = replace(hello, device=arrives)
        answer = await device.good("/session/hello", changed.serialize("msgpack"))
        assert_uniform(await device.enter(pending.open(ServerHello.parse("msgpack", answer)), code))
        await (await Device(at, name=arrives).login(PLANT, code.text)).call()


async def test_nobody_can_tell_which_device_has_a_code(
    store: MemoryStore, keyring: KeyRing
) -> None:
    async with running(users=USERS, store=store) as at:
        await operators_of(at, store, keyring).issue_code(PLANT, device=PUMP)
        for user in (PLANT, "ann", "nobody"):
            for name in (PUMP, FAN):
                device = Device(at, name=name)
                logins = [await device.greet(user), await device.greet(user)]
                shares = [login.enter(a_code("0" * 8), secrets.token_bytes)[0] for login in logins]
                for share in shares * 5:
                    assert (await device.send_share(share)).status == 200, (user, name)
                for share in shares:
                    assert_uniform(await device.send_share(share))
        assert at.mails.mails.empty()


async def test_logins_of_devices_use_up_neither_mails_nor_logins_of_their_user(
    store: MemoryStore, keyring: KeyRing
) -> None:
    async with running(
        users=USERS, store=store, logins_per_user="4 per 15 minutes", logins="none"
    ) as at:
        operators = operators_of(at, store, keyring)
        for number in range(12):
            name = f"pump-{number}"
            code = await operators.issue_code("ann", device=name)
            await (await Device(at, name=name).login("ann", code.text)).call()
        device = Device(at, name=PUMP)
        for _ in range(3):
            await device.greet("ann")
        hello, _ = begin_login("ann", device.realm, secrets.token_bytes, device="pump-0")
        for status in (200, 200, 200, 429):
            answer = await device.post("/session/hello", hello.serialize("msgpack"))
            assert answer.status == status
        for _ in range(3):
            await Device(at).login("ann")


async def test_a_code_of_a_device_is_replaced_and_revoked_alone(
    store: MemoryStore, keyring: KeyRing
) -> None:
    async with running(users=USERS, store=store) as at:
        operators, device = operators_of(at, store, keyring), Device(at, name=PUMP)
        first = await operators.issue_code(PLANT, device=PUMP)
        fan = await operators.issue_code(PLANT, device=FAN)
        awaited = await device.greet(PLANT)
        second = await operators.issue_code(PLANT, device=PUMP)
        assert_uniform(await device.enter(awaited, first))
        awaited = await device.greet(PLANT)
        assert await operators.revoke_code(PLANT, PUMP)
        assert not await operators.revoke_code(PLANT, PUMP)
        assert not await operators.revoke_code(PLANT)
        assert_uniform(await device.enter(awaited, second))
        await (await Device(at, name=FAN).login(PLANT, fan.text)).call()


async def test_the_chain_has_the_name_of_its_device(store: MemoryStore, keyring: KeyRing) -> None:
    async def names() -> list[str]:
        opened = [
            keyring.open("chain", chain.chain_id, chain.sealed)
            for chain in await store.chains(at.clock())
        ]
        return sorted(TicketChain.parse(one or b"").device for one in opened)

    async with running(users=USERS, store=store) as at:
        code = await operators_of(at, store, keyring).issue_code(PLANT, device=PUMP)
        await Device(at).login("ann")
        online = await Device(at, name=PUMP).login(PLANT, code.text)
        assert await names() == ["", PUMP]
        assert online.ticket
        await online.device.resume(online.ticket)
        assert await names() == ["", PUMP]


async def test_a_wrong_name_of_a_device_is_refused(store: MemoryStore, keyring: KeyRing) -> None:
    async with running(users=USERS, store=store) as at:
        device = Device(at)
        hello, _ = begin_login(PLANT, device.realm, secrets.token_bytes)
        for name in ("", "-x", "pump 7", "a" * 65, "p\u00fcmp", "pump\n"):
            body = replace(hello, device=name).serialize("json")
            answer = await device.post("/session/hello", body, "json")
            assert (answer.status, answer.json["error"]) == (400, "malformed")
            if name:
                with pytest.raises(ConfigError, match="1 to 64 characters"):
                    await operators_of(at, store, keyring).issue_code(PLANT, device=name)
