"""``certless vault``: a vault of a user from the command line (spec/VAULT.md).

``init`` and ``unlock`` make this machine a device of the account. Later commands open the vault by
the secret of the device, so they ask for no password. ``lock`` signs the machine out.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from certless.client import ClientError
from gateway.config.options import default_of
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from vault.client import Alarm, Device, Vault, VaultError

from . import vault_audit, vault_doctor, vault_files, vault_serve, vault_sweep
from .opened_vault import (
    OpenedVault,
    ask_new_password,
    ask_password,
    forget_here,
    opened_vault,
    say,
    session_of,
    state_of,
    type_back,
)
from .terminal import harmless

_HOUR_S = 3600
_RESET_WAITS = (
    "A reset is waiting: in a login under your name, an empty vault was requested in place of this "
    "one. To keep this one: certless vault reset --cancel"
)
_AFTER_ALARM = (
    "The service shows other data than your devices have stored. Nothing was changed. Compare the "
    "words of certless vault doctor on your devices, and ask the operator for the reason. "
    "docs/vault.md says what each alarm means."
)
# The exit status after an alarm: the service shows something that it must not.
_ALARM = 3
_Command = Callable[["OpenedVault", argparse.Namespace], Awaitable[int | None]]


def add(commands: Any) -> None:
    """Add the command to the parser."""
    vault = commands.add_parser("vault", help="keep notes and files that the service cannot read")
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
    vault_sweep.add(actions)
    vault_audit.add(actions)
    action("init", _init, "create a vault, and open it on this machine")
    action("unlock", _unlock, "open a vault on this machine by its password")
    action("lock", _lock, "sign this machine out")
    forget = actions.add_parser("forget", help="delete what this machine keeps of the vault")
    forget.set_defaults(run=_forget, errors=(OSError,))
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
    vault_files.add(action)
    vault_doctor.add(action)
    export = action("export", _export, "write the note to a file, sealed by a passphrase")
    export.add_argument("file", metavar="FILE")
    import_ = action("import", _import, "replace the note by that of an exported file")
    import_.add_argument("file", metavar="FILE")
    reset = action("reset", _reset, "ask for a new, empty vault, if every secret is lost")
    reset.add_argument("--cancel", action="store_true", help="keep the vault that there is")
    action("delete", _delete, "delete the vault and all its data")


def _folder(arguments: argparse.Namespace) -> Path:
    return Path(arguments.state or user_state_path("certless") / "vault")


async def _run(arguments: argparse.Namespace) -> int:
    folder = _folder(arguments)
    state = state_of(arguments, folder)
    async with session_of(state, folder) as client:
        vault = Vault(client, realm=state.realm, memory=state.memory)
        opened = OpenedVault(client, vault, state, folder)
        try:
            return await arguments.command(opened, arguments) or 0
        except Alarm as alarm:
            sys.stderr.write(f"certless: alarm ({alarm.name}): {alarm}\n")
            say(_AFTER_ALARM)
            return _ALARM
        finally:
            vault.lock()
            if opened.reset_waits:
                say(_RESET_WAITS)


async def _init(opened: OpenedVault, _: argparse.Namespace) -> None:
    await opened.vault.create(await ask_new_password(), type_back)
    await opened.enrol()
    say("The vault is open on this machine.")


async def _unlock(opened: OpenedVault, _: argparse.Namespace) -> None:
    await opened.vault.unlock(await ask_password())
    await opened.look()
    await opened.enrol()
    say("The vault is open on this machine.")


async def _lock(opened: OpenedVault, _: argparse.Namespace) -> None:
    device = opened.state.device
    if device is not None:
        await opened_vault(opened)
        await opened.vault.sign_out(device.id)
    await opened.forget()
    say("This machine is signed out.")


async def _forget(arguments: argparse.Namespace) -> int:
    """For a machine that remembers an account which its user has replaced after a reset."""
    forget_here(_folder(arguments))
    say("This machine keeps nothing of the vault now. To use it again: certless vault unlock")
    return 0


async def _passwd(opened: OpenedVault, _: argparse.Namespace) -> None:
    vault = await opened_vault(opened)
    await vault.change_password(await ask_new_password())
    opened.keep()
    say("The password is changed.")


async def _recover(opened: OpenedVault, _: argparse.Namespace) -> None:
    code = await asyncio.to_thread(input, "Recovery code: ")
    await opened.vault.recover(code)
    await opened.look()
    await opened.vault.change_password(await ask_new_password())
    await opened.enrol()
    say("The vault is open on this machine, and has a new password.")


async def _recovery_code(opened: OpenedVault, _: argparse.Namespace) -> None:
    vault = await opened_vault(opened)
    await vault.new_recovery_code(type_back)
    opened.keep()
    say("The old recovery code does not work any more.")


async def _temporary(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.hours <= 168:
        raise ConfigError("--hours must be from 1 to 168")
    vault = await opened_vault(opened)
    sys.stdout.write(await vault.temporary_key(arguments.hours * _HOUR_S) + "\n")
    opened.keep()


async def _devices(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    if arguments.revoke:
        # With what this machine remembers of the files.
        async with vault_files.files_of(opened):
            await opened.vault.rekey(await ask_new_password(), type_back)
        # Also if this machine cannot be added again: it must refuse the old key from now on.
        opened.keep()
        await opened.enrol()
        say(
            "The vault has a new key. Every other device must unlock again. certless vault sync "
            "writes the files again under the new key."
        )
        return
    vault = await opened_vault(opened)
    if arguments.sign_out is not None:
        device = _named(await vault.devices(), arguments.sign_out)
        await vault.sign_out(device.id)
        say(f"{on_one_line(device.name)} is signed out.")
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


async def _note(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    vault = await opened_vault(opened)
    if arguments.set:
        # Not from an argument: other users see these, and the shell keeps them in a file.
        if sys.stdin.isatty():
            say("Write the note. End it with Ctrl-D in a new line.")
        await vault.save_note(await asyncio.to_thread(sys.stdin.read))
    else:
        text = await vault.note() or ""
        sys.stdout.write(harmless(text) if sys.stdout.isatty() else text)
    opened.keep()


async def _export(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    vault = await opened_vault(opened)
    path = Path(arguments.file)
    data = await vault.export_note(await ask_password("Passphrase of the file: "))
    await asyncio.to_thread(path.write_bytes, data)
    opened.keep()


async def _import(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    data = await asyncio.to_thread(Path(arguments.file).read_bytes)
    vault = await opened_vault(opened)
    await vault.import_note(data, await ask_password("Passphrase of the file: "))
    opened.keep()


async def _reset(opened: OpenedVault, arguments: argparse.Namespace) -> None:
    if arguments.cancel:
        await (await opened_vault(opened)).cancel_reset()
        opened.reset_waits = False
        say("The reset is cancelled.")
    else:
        hours = await opened.vault.reset()
        say(
            f"In {hours} hours you can create a new, empty vault with certless vault init. It "
            "replaces the old one. Your addresses get a mail about it."
        )


async def _delete(opened: OpenedVault, _: argparse.Namespace) -> None:
    vault = await opened_vault(opened)
    answer = await asyncio.to_thread(input, "Type DELETE to delete the vault and its note: ")
    if answer.strip() != "DELETE":
        raise ConfigError("nothing was deleted")
    await vault.delete()
    await opened.forget()
    say("The vault is deleted.")
