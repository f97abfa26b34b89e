"""Changes of one account from two devices in random order: which secrets open, and the note.

Argon2id is replaced by a hash, because these tests are about states.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from quick_argon2id import quick
from vaults import RunningVault, running

from certless import Client
from examples import FUZZ, walking
from vault.client import Vault, VaultRefused, WrongSecret
from vault.core.attempts import LONGEST_WAIT_MS, TEMPORARY_ATTEMPTS

HOUR_MS = 3_600_000
SLOTS = st.integers(0, 1)
# The slot of a device whose session has ended before.
GONE = -1
NO = (WrongSecret, VaultRefused)
THEFTS = ["note", "save_note", "account", "change_password", "delete"]


class Accounts(RuleBasedStateMachine):
    """Two sessions of one user, and a thief with an older account key in one of the sessions.

    ``password``, ``recovery``, ``temporary`` and ``devices`` must open. ``dead`` must not.
    """

    names = itertools.count()

    def __init__(self, runner: asyncio.Runner, vaults: RunningVault) -> None:
        super().__init__()
        self.runner = runner
        self.vaults = vaults
        self.username = f"user{next(self.names)}@example.org"
        self.drawn = itertools.count()
        self.stack = AsyncExitStack()
        self.clients: list[Client] = []
        self.at: list[Vault] = []
        self.thief: Vault | None = None
        self.password = self.recovery = self.temporary = ""
        self.note: str | None = None
        self.devices: dict[bytes, tuple[bytes, int]] = {}
        self.dead: list[tuple[str, Any]] = []
        self.refused = 0  # the secrets of ``dead`` that were tried at once
        self.wrong = 0  # wrong proofs of the present temporary key
        self.exists = False

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(30):
                return await story

        return self.runner.run(bounded())

    def teardown(self) -> None:
        for vault in [*self.at, *([self.thief] if self.thief else [])]:
            vault.lock()
        self.run(self.stack.aclose())

    async def login(self) -> Client:
        gateway = self.vaults.gateway
        client = Client(gateway.url, clock=gateway.clock)
        await self.stack.enter_async_context(client)
        await client.login(self.username, code=gateway.mails.code)
        return client

    @initialize()
    def log_in(self) -> None:
        self.clients = [self.run(self.login()) for _ in range(2)]
        self.at = [Vault(client) for client in self.clients]
        self.create()

    async def write_down(self, code: str) -> str:
        self.code = code
        return code

    def secret(self) -> str:
        return f"password {next(self.drawn)}"

    def open_at(self, slot: int) -> Vault:
        """The vault of this session, opened with the present password and up to date."""
        vault = self.at[slot]
        self.run(vault.unlock(self.password))
        return vault

    def end_devices(self) -> None:
        self.dead += [("device", (one, secret)) for one, (secret, _) in self.devices.items()]
        self.devices = {}

    def end_temporary(self) -> None:
        if self.temporary:
            self.dead.append(("temporary", self.temporary))
        self.temporary, self.wrong = "", 0

    def end_all(self) -> None:
        self.dead += [("password", self.password), ("recovery", self.recovery)]
        self.end_devices()
        self.end_temporary()

    def ended(self, slot: int) -> None:
        """The session of this slot has ended: the user logs in again."""
        with pytest.raises(Exception, match="rejected"):
            self.run(self.at[slot].account())
        self.at[slot].lock()
        self.clients[slot] = self.run(self.login())
        self.at[slot] = Vault(self.clients[slot], memory=self.at[slot].memory)

    @precondition(lambda self: not self.exists)
    @rule()
    def create(self) -> None:
        self.password = self.secret()
        self.run(self.at[0].create(self.password, self.write_down))
        self.recovery, self.note, self.exists = self.code, None, True
        # The other client learns from its user that there is a new account.
        self.at[1].memory.sequence = 0

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def change_password(self, slot: int) -> None:
        vault, new = self.open_at(slot), self.secret()
        self.run(vault.change_password(new))
        self.dead.append(("password", self.password))
        self.password = new

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def new_recovery_code(self, slot: int) -> None:
        self.run(self.open_at(slot).new_recovery_code(self.write_down))
        self.dead.append(("recovery", self.recovery))
        self.recovery = self.code

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def rekey(self, slot: int) -> None:
        # A rekey ends temporary keys. Few random walks have one just then.
        if not self.temporary:
            self.temporary_key(slot)
        vault, new = self.open_at(slot), self.secret()
        # The thief has the session of this client and its account key.
        thief = Vault(self.clients[slot])
        thief._owner, thief._key, thief._revision = vault._owner, vault._key, vault._revision
        self.thief = thief
        self.run(vault.rekey(new, self.write_down))
        others = {at for _, at in self.devices.values()} - {slot, GONE}
        self.end_all()
        self.password, self.recovery = new, self.code
        for other in others:
            self.ended(other)
            self.open_at(other)

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def temporary_key(self, slot: int) -> None:
        code = self.run(self.open_at(slot).temporary_key())
        self.end_temporary()
        self.temporary = code

    @precondition(lambda self: self.temporary)
    @rule(slot=SLOTS)
    def use_temporary_key(self, slot: int) -> None:
        self.run(self.at[slot].unlock_temporarily(self.temporary))
        self.end_temporary()

    @precondition(lambda self: self.exists and len(self.devices) < 4)
    @rule(slot=SLOTS)
    def add_device(self, slot: int) -> None:
        vault = self.open_at(slot)
        device, secret = self.run(vault.add_device("laptop", "python", can_unlock=True))
        self.devices[device] = (secret, slot)

    @precondition(lambda self: self.devices)
    @rule(data=st.data(), slot=SLOTS)
    def sign_out(self, data: st.DataObject, slot: int) -> None:
        device = data.draw(st.sampled_from(list(self.devices)))
        secret, at = self.devices.pop(device)
        self.run(self.open_at(slot).sign_out(device))
        self.dead.append(("device", (device, secret)))
        if at == GONE:
            return
        self.ended(at)
        # The other devices of this session are still devices, but their session is over.
        self.devices = {one: (s, GONE if a == at else a) for one, (s, a) in self.devices.items()}

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def write(self, slot: int) -> None:
        self.note = f"note {next(self.drawn)}"
        vault = self.open_at(slot)
        # A client that knows an older note must read the present one before it writes.
        self.run(vault.note())
        self.run(vault.save_note(self.note))

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS, is_cancelled=st.booleans())
    def reset(self, slot: int, is_cancelled: bool) -> None:
        hours = self.run(self.at[slot].reset())
        with pytest.raises(VaultRefused) as early:
            self.run(self.at[0].create(self.secret(), self.write_down))
        assert early.value.code == "exists"
        if is_cancelled:
            self.run(self.open_at(slot).cancel_reset())
        # The temporary key ends by time.
        self.vaults.clock.offset_ms += hours * HOUR_MS
        self.end_temporary()
        if is_cancelled:
            with pytest.raises(VaultRefused):
                self.run(self.at[0].create(self.secret(), self.write_down))
            return
        self.end_all()
        self.exists = False
        self.create()

    @precondition(lambda self: self.exists)
    @rule(slot=SLOTS)
    def delete(self, slot: int) -> None:
        self.run(self.open_at(slot).delete())
        self.end_all()
        self.exists = False

    @precondition(lambda self: self.thief)
    @rule(change=st.sampled_from(THEFTS))
    def steal(self, change: str) -> None:
        """The thief has an older account key, which is worth nothing after a rekey."""
        assert self.thief is not None
        arguments = ("mine",) if change in ("save_note", "change_password") else ()
        with pytest.raises(Exception, match=r"refused|rejected|not accepted"):
            self.run(getattr(self.thief, change)(*arguments))

    @precondition(lambda self: self.dead)
    @rule(data=st.data(), slot=SLOTS)
    def try_a_dead_secret(self, data: st.DataObject, slot: int) -> None:
        self.refuse(slot, *data.draw(st.sampled_from(self.dead)))

    def refuse(self, slot: int, kind: str, secret: Any) -> None:
        """A secret that has ended opens nothing."""
        if kind == "temporary" and self.temporary:
            if self.wrong == TEMPORARY_ATTEMPTS - 1:
                return
            self.wrong += 1
        with pytest.raises(NO):
            self.run(self.unlock(slot, kind, secret))
        if kind == "password" and not self.exists:
            # The attempts count without an account too. The server must look at the next ones.
            self.vaults.clock.offset_ms += LONGEST_WAIT_MS

    async def unlock(self, slot: int, kind: str, secret: Any) -> None:
        vault = self.at[slot]
        match kind:
            case "password":
                await vault.unlock(secret)
            case "recovery":
                await vault.recover(secret)
            case "temporary":
                await vault.unlock_temporarily(secret)
            case _:
                await vault.unlock_device(*secret)

    @invariant()
    def what_has_just_ended_opens_nothing(self) -> None:
        newest, self.refused = self.dead[self.refused :], len(self.dead)
        for kind, secret in newest:
            self.refuse(next(self.drawn) % 2, kind, secret)

    @invariant()
    def every_good_secret_opens(self) -> None:
        if not self.exists or not self.at:
            return
        good: list[tuple[str, Any]] = [("password", self.password), ("recovery", self.recovery)]
        good += [("device", (one, secret)) for one, (secret, _) in self.devices.items()]
        slot = next(self.drawn) % 2
        for kind, secret in good:
            self.run(self.unlock(slot, kind, secret))
        assert self.run(self.at[slot].note()) == self.note
        listed = self.run(self.at[slot].devices())
        assert {device.id for device in listed} == set(self.devices)


class Walk(Accounts):
    """The states of one server."""

    server: tuple[asyncio.Runner, RunningVault]

    def __init__(self) -> None:
        super().__init__(*self.server)


@pytest.fixture
def walk(vault_url: str, vault_key: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Walk]]:
    """Walks at a new server. Each has a user of its own."""
    monkeypatch.setattr("vault.core.password.argon2id", quick)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        vaults = runner.run(
            stack.enter_async_context(running(vault_url, vault_key, logins_per_address="none"))
        )

        class Here(Walk):
            server = runner, vaults

        try:
            yield Here
        finally:
            runner.run(stack.aclose())


def test_only_the_present_secrets_open(walk: type[Walk]) -> None:
    # The same examples in each run of the tests, and others in each run of make fuzz.
    chosen = settings(walking(3, 14), derandomize=FUZZ == 1)
    run_state_machine_as_test(walk, settings=chosen)


def test_each_change_ends_what_it_replaces(walk: type[Walk]) -> None:
    """Each change at least once, because a few random walks leave some of them out."""
    at = walk()
    try:
        at.log_in()
        changes: list[Callable[[], None]] = [
            partial(at.add_device, 0),
            partial(at.add_device, 1),
            partial(at.write, 0),
            partial(at.change_password, 1),
            partial(at.new_recovery_code, 0),
            partial(at.temporary_key, 0),
            partial(at.temporary_key, 1),
            partial(at.use_temporary_key, 0),
            partial(at.rekey, 0),
            *(partial(at.steal, one) for one in THEFTS),
            partial(at.add_device, 0),
            partial(at.temporary_key, 0),
            partial(at.reset, 1, True),
            partial(at.reset, 0, False),
            partial(at.add_device, 1),
            partial(at.temporary_key, 0),
            partial(at.delete, 1),
            partial(at.create),
        ]
        for change in changes:
            change()
            at.what_has_just_ended_opens_nothing()
            at.every_good_secret_opens()
        assert {kind for kind, _ in at.dead} == {"password", "recovery", "temporary", "device"}
    finally:
        at.teardown()
