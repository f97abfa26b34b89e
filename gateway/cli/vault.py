"""``certless vault``: a vault of a user from the command line (spec/VAULT.md).

``init`` and ``unlock`` make this machine a device of the account. Later commands open the vault by
the secret of the device, so they ask for no password. ``lock`` signs the machine out.
"""

import argparse
import asyncio
import contextlib
import getpass
import socket
import sys
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from certless.client import Client, ClientError, NotLoggedIn, Refused, TicketNotAccepted
from gateway.config.options import default_of
from gateway.config.settings import http_url
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.typed_codes import read_code
from vault.client import Device, Vault, VaultError, VaultRefused
from vault.client.state import DeviceSecret, VaultState

from . import vault_serve
from .code import ask_code

_STATE = "state.json"
_TICKET = "ticket"
_HOUR_S = 3600
_RESET_WAITS = (
    "A reset is waiting: somebody who was logged in as you asked for an empty vault in place of "
    "this one. To keep this one: certless vault reset --cancel"
)
_Command = Callable[["_Opened", argparse.Namespace], Awaitable[None]]


class _Opened:
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
        (self.folder / _STATE).unlink(missing_ok=True)
        # The sign-out of this machine has ended its session already.
        with contextlib.suppress(Refused):
            await self._client.logout()
        (self.folder / _TICKET).unlink(missing_ok=True)

    async def enrol(self) -> None:
        """Make this machine a device that can unlock by itself."""
        device_id, secret = await self.vault.add_device(
            socket.gethostname()[:64] or "computer", "command line", can_unlock=True
        )
        assert secret is not None  # noqa: S101  # can_unlock
        self.state.device = DeviceSecret(device_id, secret)
        self.keep()


def add(commands: Any) -> None:
    """Add the command to the parser."""
    vault = commands.add_parser("vault", help="keep a note that the service cannot read")
    vault.add_argument("--url", metavar="URL", help="the service, if it is another one than before")
    vault.add_argument("--login", metavar="NAME", help="user name or mail address, likewise")
    vault.add_argument("--realm", help=f"the service's realm (default {default_of('realm')})")
    vault.add_argument(
        "--state", metavar="FOLDER", help="where this machine keeps its device secret and ticket"
    )
    actions = vault.add_subparsers(dest="action", required=True)

    def action(name: str, run: _Command, text: str) -> Any:
        parser = actions.add_parser(name, help=text)
        parser.set_defaults(run=_run, command=run, errors=(ClientError, VaultError, OSError))
        return parser

    vault_serve.add(actions)
    action("init", _init, "create a vault, and open it on this machine")
    action("unlock", _unlock, "open a vault on this machine by its password")
    action("lock", _lock, "sign this machine out")
    action("passwd", _passwd, "change the password")
    action("recover", _recover, "open a vault by its recovery code, and set a new password")
    action("recovery-code", _recovery_code, "make a new recovery code")
    temporary = action("temporary", _temporary, "make a temporary key, which works once")
    temporary.add_argument(
        "--hours", type=int, default=4, help="its lifetime (default 4, most 168)"
    )
    devices = action("devices", _devices, "list the devices, or sign one out")
    devices.add_argument("--sign-out", metavar="ID", help="the device cannot unlock any more")
    devices.add_argument(
        "--revoke",
        action="store_true",
        help="give the vault a new key: every device must unlock again by the password",
    )
    note = action("note", _note, "print the note, or replace it")
    note.add_argument("--set", action="store_true", help="replace it by the standard input")
    export = action("export", _export, "write the note to a file, sealed by a passphrase")
    export.add_argument("file", metavar="FILE")
    import_ = action("import", _import, "replace the note by that of an exported file")
    import_.add_argument("file", metavar="FILE")
    reset = action("reset", _reset, "ask for a new, empty vault, if every secret is lost")
    reset.add_argument("--cancel", action="store_true", help="keep the vault that there is")
    action("delete", _delete, "delete the vault and all its data")


async def _run(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.state or user_state_path("certless") / "vault")
    state = _state(arguments, folder)
    async with _session(state, folder) as client:
        vault = Vault(client, realm=state.realm, memory=state.memory)
        opened = _Opened(client, vault, state, folder)
        try:
            await arguments.command(opened, arguments)
        finally:
            vault.lock()
            if opened.reset_waits:
                _say(_RESET_WAITS)
    return 0


def _state(arguments: argparse.Namespace, folder: Path) -> VaultState:
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
async def _session(state: VaultState, folder: Path) -> AsyncIterator[Client]:
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


async def _ask_password(prompt: str = "Password of the vault: ") -> str:
    return await asyncio.to_thread(getpass.getpass, prompt)


async def _ask_new_password() -> str:
    first = await _ask_password("New password of the vault: ")
    if first != await _ask_password("The same again: "):
        raise ConfigError("the two passwords differ: try again")
    return first


async def _type_back(code: str) -> str:
    sys.stderr.write(
        f"\nYour recovery code:\n\n    {code}\n\n"
        "Write it on paper. It opens the vault if you forget the password. Nobody can replace it.\n"
    )
    return await asyncio.to_thread(input, "Type the recovery code: ")


async def _open(opened: _Opened) -> Vault:
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
    await opened.vault.unlock(await _ask_password())
    await opened.look()
    return opened.vault


async def _init(opened: _Opened, _: argparse.Namespace) -> None:
    await opened.vault.create(await _ask_new_password(), _type_back)
    await opened.enrol()
    _say("The vault is open on this machine.")


async def _unlock(opened: _Opened, _: argparse.Namespace) -> None:
    await opened.vault.unlock(await _ask_password())
    await opened.look()
    await opened.enrol()
    _say("The vault is open on this machine.")


async def _lock(opened: _Opened, _: argparse.Namespace) -> None:
    device = opened.state.device
    if device is not None:
        await _open(opened)
        await opened.vault.sign_out(device.id)
    await opened.forget()
    _say("This machine is signed out.")


async def _passwd(opened: _Opened, _: argparse.Namespace) -> None:
    vault = await _open(opened)
    await vault.change_password(await _ask_new_password())
    opened.keep()
    _say("The password is changed.")


async def _recover(opened: _Opened, _: argparse.Namespace) -> None:
    code = await asyncio.to_thread(input, "Recovery code: ")
    await opened.vault.recover(code)
    await opened.look()
    await opened.vault.change_password(await _ask_new_password())
    await opened.enrol()
    _say("The vault is open on this machine, and has a new password.")


async def _recovery_code(opened: _Opened, _: argparse.Namespace) -> None:
    vault = await _open(opened)
    await vault.new_recovery_code(_type_back)
    opened.keep()
    _say("The old recovery code does not work any more.")


async def _temporary(opened: _Opened, arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.hours <= 168:
        raise ConfigError("--hours must be from 1 to 168")
    vault = await _open(opened)
    sys.stdout.write(await vault.temporary_key(arguments.hours * _HOUR_S) + "\n")
    opened.keep()


async def _devices(opened: _Opened, arguments: argparse.Namespace) -> None:
    vault = await _open(opened)
    if arguments.revoke:
        await vault.rekey(await _ask_new_password(), _type_back)
        # Also if this machine cannot be added again: it must refuse the old key from now on.
        opened.keep()
        await opened.enrol()
        _say("The vault has a new key. Every other device must unlock again.")
    elif arguments.sign_out is not None:
        device = _named(await vault.devices(), arguments.sign_out)
        await vault.sign_out(device.id)
        _say(f"{on_one_line(device.name)} is signed out.")
    else:
        mine = opened.state.device
        for device in await vault.devices():
            here = "  (this machine)" if mine and device.id == mine.id else ""
            sys.stdout.write(
                f"{device.id.hex()[:8]}  {on_one_line(device.name)}, "
                f"{on_one_line(device.kind)}{here}\n"
            )
    opened.keep()


def _named(devices: list[Device], start: str) -> Device:
    found = [device for device in devices if start and device.id.hex().startswith(start.lower())]
    if len(found) != 1:
        raise ConfigError(f"no device has the id {start!r}: see certless vault devices")
    return found[0]


async def _note(opened: _Opened, arguments: argparse.Namespace) -> None:
    vault = await _open(opened)
    if arguments.set:
        # Not from an argument: other users see these, and the shell keeps them in a file.
        if sys.stdin.isatty():
            _say("Write the note. End it with Ctrl-D in a new line.")
        await vault.save_note(await asyncio.to_thread(sys.stdin.read))
    else:
        text = await vault.note() or ""
        sys.stdout.write(_harmless(text) if sys.stdout.isatty() else text)
    opened.keep()


def _harmless(text: str) -> str:
    """Without the control characters by which a text from another device could drive a terminal."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(char) == "Cc" and char not in "\n\t"
        else char
        for char in text
    )


async def _export(opened: _Opened, arguments: argparse.Namespace) -> None:
    vault = await _open(opened)
    path = Path(arguments.file)
    data = await vault.export_note(await _ask_password("Passphrase of the file: "))
    await asyncio.to_thread(path.write_bytes, data)
    opened.keep()


async def _import(opened: _Opened, arguments: argparse.Namespace) -> None:
    data = await asyncio.to_thread(Path(arguments.file).read_bytes)
    vault = await _open(opened)
    await vault.import_note(data, await _ask_password("Passphrase of the file: "))
    opened.keep()


async def _reset(opened: _Opened, arguments: argparse.Namespace) -> None:
    if arguments.cancel:
        await (await _open(opened)).cancel_reset()
        opened.reset_waits = False
        _say("The reset is cancelled.")
    else:
        hours = await opened.vault.reset()
        _say(
            f"In {hours} hours you can create a new, empty vault with certless vault init. It "
            "replaces the old one. Your addresses get a mail about it."
        )


async def _delete(opened: _Opened, _: argparse.Namespace) -> None:
    vault = await _open(opened)
    answer = await asyncio.to_thread(input, "Type DELETE to delete the vault and its note: ")
    if answer.strip() != "DELETE":
        raise ConfigError("nothing was deleted")
    await vault.delete()
    await opened.forget()
    _say("The vault is deleted.")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
