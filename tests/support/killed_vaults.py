"""A user whose commands, or whose server, are killed in the middle of a change of keys.

Server and commands are processes, each forked from one that has loaded all modules, so they start
in milliseconds. Argon2id is replaced by a hash, because this is about steps.
"""

import asyncio
import contextlib
import math
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

import aiohttp
from mailboxes import a_free_port
from vault_command import MAIL_WITHIN_S, RECOVERY_CODE, TEMPORARY_KEY, command, taken_code
from vault_process import serve

from certless import Client
from vault.client import Vault, VaultRefused, WrongSecret
from vault.client.state import VaultState

Victim = Literal["client", "server"]

# The arguments of the command for each change.
CHANGES = {
    "create": ("init",),
    "password": ("passwd",),
    "recovery code": ("recovery-code",),
    "temporary key": ("temporary",),
    "recovery": ("recover",),
    "new account key": ("devices", "--revoke"),
}
NOTE = "kept"
_WITHIN_S = 60
_KILLED = -9
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("vault_process", "vault_command"),
        # What they load later. ``gateway.cli.code`` is not here: it takes the standard input.
        *("vault.server.setup", "vault.client.state", "gateway.cli.vault_serve"),
        *("gateway.adapters.aiohttp.setup", "gateway.mail.url", "gateway.stores.urls"),
        *("sqlalchemy.dialects.sqlite.aiosqlite", "aiosqlite"),
        *("sqlalchemy.dialects.postgresql.asyncpg", "asyncpg"),
    ]
)


@dataclass(frozen=True)
class Secrets:
    """What opens the account."""

    password: str
    recovery: str
    temporary: str = ""


@dataclass(frozen=True)
class Kill:
    """Before a step, or after a time."""

    step: int = -1
    after_s: float | None = None


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    status: int
    printed: str
    seconds: float
    steps: int


@dataclass
class Length:
    """How long a change is: its steps, and the seconds of the last one."""

    steps: int = 0
    seconds: float = 0.0

    def kill(self, number: int, tries: int) -> Kill:
        """By turns at a step, each step once before any step again, and at a random moment.

        After ``tries`` that came too late, the next one is earlier.
        """
        if number % 2:
            seconds = self.seconds * 0.7**tries
            return Kill(after_s=random.uniform(0, seconds))  # noqa: S311 (no secret)
        stride = round(self.steps * 0.618)
        while math.gcd(stride, self.steps) != 1:
            stride += 1
        step = (self.steps // 2 + number // 2 * stride) % self.steps
        return Kill(step=max(0, step - tries))


@dataclass
class Story:
    """One server with its users, one after the other. ``tally`` counts what opened after kills."""

    victim: Victim
    database: str
    key_file: Path
    folder: Path
    port: int = field(default_factory=a_free_port)
    lengths: dict[str, Length] = field(default_factory=dict)
    tally: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    secrets: Secrets | None = None
    _users: int = 0
    _passwords: int = 0
    _server: ForkServerProcess | None = None
    _sessions: AsyncExitStack = field(default_factory=AsyncExitStack)
    _vault: Vault | None = None

    # --- processes ---

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def mails(self) -> Path:
        return self.folder / "mails"

    @property
    def username(self) -> str:
        return f"ann{self._users}@example.org"

    @property
    def machine(self) -> Path:
        """The folder of the commands of this user."""
        return self.folder / f"machine{self._users}"

    async def start(self) -> None:
        """Start the server, unless it runs."""
        if self._server is not None and self._server.is_alive():
            return
        await self._forget_session()
        given = (self.port, self.database, str(self.key_file), str(self.mails))
        self._server = _context.Process(target=serve, args=given, daemon=True)
        self._server.start()
        async with asyncio.timeout(_WITHIN_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                assert self._server.is_alive()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self._forget_session()
        if self._server is not None:
            self._server.kill()
            await _ended(self._server)

    async def _ask_server(self, path: str) -> str:
        async with aiohttp.ClientSession() as http, http.get(self.url + path) as response:
            assert response.status == 200
            return await response.text()

    async def run(
        self, arguments: tuple[str, ...], new_password: str, kill: Kill = Kill()
    ) -> tuple[Ran, bool]:
        """A command of the user. Whether the victim was killed."""
        answers = {
            "Password of the vault: ": self.secrets.password if self.secrets else new_password,
            "New password of the vault: ": new_password,
            "The same again: ": new_password,
            "Recovery code: ": self.secrets.recovery if self.secrets else "",
        }
        is_client = self.victim == "client"
        await self._ask_server(f"/arm/{-1 if is_client else kill.step}")
        whole = ("--url", self.url, "--login", self.username, *arguments)
        printed = self.folder / f"{self.machine.name}.printed"
        printed.unlink(missing_ok=True)
        # A server that is killed between its response and the mail never sends it.
        may_lose_mail = not is_client and kill.after_s is not None
        patience_s = 2.0 if may_lose_mail else MAIL_WITHIN_S
        given = (whole, str(self.machine), answers, self.mails, self.username, patience_s)
        step = kill.step if is_client else -1
        process = _context.Process(target=command, args=(*given, step), daemon=True)
        began_s = time.perf_counter()
        process.start()
        assert self._server is not None
        killed = process if is_client else self._server
        if kill.after_s is not None:
            await asyncio.sleep(kill.after_s)
            killed.kill()
        status = await _ended(process)
        seconds = time.perf_counter() - began_s
        text = printed.read_text() if printed.exists() else ""
        assert "Traceback" not in text, text
        if not is_client and (kill.after_s is not None or status):
            await _ended(self._server)
        was_killed = killed.exitcode == _KILLED
        steps = 0
        if status == 0 and not was_killed:
            steps = int(text.rpartition("steps: ")[2] if is_client else await self._disarmed())
        return Ran(status, text, seconds, steps), was_killed

    async def _disarmed(self) -> str:
        """The steps of the server. It dies at none of those that follow."""
        steps = await self._ask_server("/steps")
        await self._ask_server("/arm/-1")
        return steps

    # --- what opens ---

    async def _forget_session(self) -> None:
        self._vault = None
        await self._sessions.aclose()

    async def vault(self) -> Vault:
        """The vault in a session of the test."""
        if self._vault is None:
            client = await self._sessions.enter_async_context(Client(self.url, timeout_s=20))
            code = partial(asyncio.to_thread, taken_code, self.mails, self.username)
            # A mail of a login that was killed can come first.
            await client.login(self.username, code=code, attempts=5)
            self._vault = Vault(client)
        return self._vault

    async def opens(self, kind: str, secret: str) -> bool:
        """Whether this secret opens the account."""
        vault = await self.vault()
        by = {
            "password": vault.unlock,
            "recovery": vault.recover,
            "temporary": vault.unlock_temporarily,
        }
        try:
            await by[kind](secret)
        except WrongSecret:
            return False
        except VaultRefused as error:
            if error.code != "refused":
                raise
            return False
        return True

    async def _those_that_open(self, kind: str, *secrets: str) -> list[str]:
        return [secret for secret in secrets if await self.opens(kind, secret)]

    async def outcome(self, change: str, new_password: str, printed: str) -> bool:
        """Whether the change was made. ``secrets`` are then those that open the account.

        Either everything old opens, or everything new.
        """
        shown = RECOVERY_CODE.findall(printed)[-1:]
        was = self.secrets
        if was is None:
            is_new = await self.opens("password", new_password)
            for code in shown:
                assert await self.opens("recovery", code) == is_new
            self.secrets = Secrets(new_password, shown[0]) if is_new else None
            return is_new
        passwords = await self._those_that_open("password", was.password, new_password)
        codes = await self._those_that_open("recovery", was.recovery, *shown)
        assert len(passwords) == len(codes) == 1, (change, passwords, codes)
        assert await (await self.vault()).note() == NOTE
        has_new = passwords != [was.password], codes != [was.recovery]
        is_new = any(has_new)
        if change == "temporary key":
            assert not is_new
            is_new = not await self.opens("temporary", was.temporary)
            for key in TEMPORARY_KEY.findall(printed):
                assert await self.opens("temporary", key) == is_new
        else:
            changed = {
                "password": (is_new, False),
                "recovery": (is_new, False),
                "recovery code": (False, is_new),
                "new account key": (is_new, is_new),
            }
            assert has_new == changed[change], change
        self.secrets = Secrets(passwords[0], codes[0])
        return is_new

    # --- one change ---

    async def _before(self, change: str) -> str:
        """Prepare the account. Returns the new password."""
        self._passwords += 1
        if change == "create":
            self._users += 1
            self.secrets = None
            await self._forget_session()
        elif change == "temporary key":
            assert self.secrets is not None
            assert await self.opens("password", self.secrets.password)
            key = await (await self.vault()).temporary_key()
            self.secrets = replace(self.secrets, temporary=key)
        return f"password {self._passwords}"

    async def complete(self, change: str) -> None:
        """The change, without a kill. Notes its length."""
        new_password = await self._before(change)
        ran, _ = await self.run(CHANGES[change], new_password)
        assert ran.status == 0, ran.printed
        assert await self.outcome(change, new_password, ran.printed)
        length = self.lengths.setdefault(change, Length())
        length.seconds, length.steps = ran.seconds, ran.steps
        await self._after(change)

    async def _after(self, change: str) -> None:
        if change == "create":
            await (await self.vault()).save_note(NOTE)

    async def killed(self, change: str, number: int) -> None:
        """The change, with kill ``number``; then the same change again, without a kill."""
        for tries in range(20):
            kill = self.lengths[change].kill(number, tries)
            new_password = await self._before(change)
            ran, was_killed = await self.run(CHANGES[change], new_password, kill)
            assert was_killed or ran.status == 0, ran.printed
            await self.start()
            is_new = await self.outcome(change, new_password, ran.printed)
            assert is_new or ran.status != 0, (change, kill)
            if was_killed:
                how = "step" if kill.after_s is None else "moment"
                self.tally[change, how, "new" if is_new else "old"] += 1
                await self._again(change)
                return
            # The command ended before that moment, or had fewer steps than the one before.
            await self._after(change)
        raise AssertionError(f"nothing was killed in {change}")

    async def _again(self, change: str) -> None:
        """The next change works, from the files that the machine has."""
        VaultState.load(self.machine / "state.json")
        if change != "create":
            await self.complete(change)
            return
        arguments = CHANGES["create"] if self.secrets is None else ("unlock",)
        self._passwords += 1
        new_password = f"password {self._passwords}"
        ran, _ = await self.run(arguments, new_password)
        assert ran.status == 0, ran.printed
        if self.secrets is None:
            assert await self.outcome(change, new_password, ran.printed)
        await self._after(change)

    def report(self) -> list[str]:
        """The rows of a table: what opened after the kills of each change."""
        rows = []
        for change in CHANGES:
            counts = [
                str(self.tally[change, how, which])
                for how in ("step", "moment")
                for which in ("old", "new")
            ]
            rows.append(f"| {change} | {self.lengths[change].steps} | " + " | ".join(counts) + " |")
        return rows


async def _ended(process: ForkServerProcess) -> int:
    """The status of the process, once it has ended."""
    await asyncio.to_thread(process.join, _WITHIN_S)
    status = process.exitcode
    if status is None:
        process.kill()
        raise AssertionError("the process does not end")
    return int(status)


@asynccontextmanager
async def story(
    victim: Victim, database: str, key_file: Path, folder: Path
) -> AsyncIterator[Story]:
    """A server without accounts; all of it ends with the block."""
    one = Story(victim, database, key_file, folder)
    try:
        await one.start()
        yield one
    finally:
        await one.stop()
