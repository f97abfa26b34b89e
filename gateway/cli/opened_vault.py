"""The vault of one command: its session, what the user is asked, and what this machine keeps."""

import argparse
import asyncio
import contextlib
import getpass
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from certless.client import Client, ClientError, NotLoggedIn, TicketNotAccepted
from certless.client.private_files import delete_private
from gateway.config.options import default_of
from gateway.config.settings import http_url
from gateway.errors import ConfigError
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.typed_codes import read_code
from vault.client import Vault, VaultRefused
from vault.client.state import DeviceSecret, VaultState

from .code import ask_code

_STATE = "state.json"
_TICKET = "ticket"
# The folder of ``vault.files``.
FILES = "files"


class OpenedVault:
    """The vault of one command, and the state that it leaves behind."""

    def __init__(self, client: Client, vault: Vault, state: VaultState, folder: Path) -> None:
        self._client = client
        self.vault = vault
        self.state = state
        self.folder = folder
        self.reset_waits = False

    async def look(self) -> None:
        """See whether a reset waits. The command says so at its end."""
        self.reset_waits = (await self.vault.account()).is_to_be_reset

    def keep(self) -> None:
        """Store what the next command needs."""
        self.state.save(self.folder / _STATE)

    async def forget(self) -> None:
        """Log out, and delete what this machine keeps of the vault."""
        forget_here(self.folder)
        await self._client.logout()

    async def enrol(self) -> None:
        """Make this machine a device that can unlock by itself."""
        device_id, secret = await self.vault.add_device(
            socket.gethostname()[:64] or "computer", "command line", can_unlock=True
        )
        assert secret is not None  # noqa: S101  # can_unlock
        self.state.device = DeviceSecret(device_id, secret)
        self.keep()


def forget_here(folder: Path) -> None:
    """Delete what this machine keeps of a vault, and tell no server."""
    for name in (_STATE, _TICKET):
        delete_private(folder / name)
    shutil.rmtree(folder / FILES, ignore_errors=True)


def state_of(arguments: argparse.Namespace, folder: Path) -> VaultState:
    """The state of the vault that the command is about."""
    kept = VaultState.load(folder / _STATE)
    if arguments.url is None or arguments.login is None:
        if kept is None or arguments.login is not None or arguments.url is not None:
            raise ConfigError("give --url and --login: certless vault --url URL --login NAME ...")
        return kept
    url = http_url(arguments.url)
    if url is None:
        raise ConfigError(f"URL {arguments.url!r} must be like http://127.0.0.1:8440")
    asked = (str(url.origin()), arguments.login, arguments.realm or str(default_of("realm")))
    if kept is not None and (kept.url, kept.username, kept.realm) == asked:
        return kept
    return VaultState(*asked)


@contextlib.asynccontextmanager
async def session_of(state: VaultState, folder: Path) -> AsyncIterator[Client]:
    """A session, by the ticket if there is one, otherwise by a code from the mail."""
    try:
        client = _client(state, folder)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    async with client:
        try:
            await client.resume()
        except (NotLoggedIn, TicketNotAccepted):
            await client.login(state.username, code=_ask_code, attempts=CODE_ATTEMPTS)
        yield client


def _client(state: VaultState, folder: Path) -> Client:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Client(state.url, realm=state.realm, tickets=folder / _TICKET)


async def _ask_code() -> str:
    text = await ask_code("A mail with a code is on its way. Paste the code: ", read_code)
    if not text:
        raise ClientError("no code was given: copy the whole line from the mail")
    return text


async def ask_password(prompt: str = "Password of the vault: ") -> str:
    return await asyncio.to_thread(getpass.getpass, prompt)


async def ask_new_password() -> str:
    first = await ask_password("New password of the vault: ")
    if first != await ask_password("The same again: "):
        raise ConfigError("the two passwords differ: try again")
    return first


async def type_back(code: str) -> str:
    sys.stderr.write(
        f"\nYour recovery code:\n\n    {code}\n\n"
        "Write it on paper. It opens the vault if you forget the password. Nobody can replace it.\n"
    )
    return await asyncio.to_thread(input, "Type the recovery code: ")


async def opened_vault(opened: OpenedVault) -> Vault:
    """The vault, by the secret of this machine if it has one, otherwise by the password."""
    device = opened.state.device
    if device is not None:
        try:
            await opened.vault.unlock_device(device.id, device.secret)
        except VaultRefused:
            sys.stderr.write("certless: this machine was signed out; give the password\n")
            opened.state.device = None
        else:
            await opened.look()
            return opened.vault
    await opened.vault.unlock(await ask_password())
    await opened.look()
    return opened.vault


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
