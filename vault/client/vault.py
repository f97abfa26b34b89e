"""A user's vault: unlock it, read and write its note, change its secrets (spec/VAULT.md).

The module is long because it is the whole interface. It keeps the account key and the revision,
and every call needs both. What it makes and checks is in ``parts``.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from certless.client import Client
from protocol.common.primitives import SCALAR_SEED_BYTES, scalar, sha256
from protocol.hardened.suites import DEFAULT_REALM
from vault.core import statements
from vault.core.account import AccountKey, Owner, next_revision
from vault.core.errors import Tampered, WrongSecret
from vault.core.exchanges import (
    BeginRun,
    ConfirmRun,
    DeleteDevice,
    DeviceProof,
    Parameters,
    Proof,
    PutDevice,
    PutNote,
    PutTemporary,
    ResetWait,
    Revision,
    Run,
    StoredNote,
)
from vault.core.export import open_export, seal_export
from vault.core.messages import (
    AccountState,
    CommitChange,
    CreateAccount,
    DevicePart,
    Opened,
    Rekey,
    StageChange,
)
from vault.core.password import SALT_BYTES, STRONGEST_KDF
from vault.core.sealed_values import DeviceRecord, Note
from vault.core.spake2plus import Transcript, prover_confirmations, prover_share
from vault.core.unlock_secrets import (
    DEVICE_ID_BYTES,
    SECRET_BYTES,
    UnlockSecret,
    code_of,
    read_code,
)
from vault.core.wraps import Kind, unwrap

from .api import Api
from .errors import VaultLocked, VaultRefused
from .files import CACHE_BYTES, Files
from .memory import Memory
from .parts import (
    TypeBack,
    check_password,
    check_recovery,
    new_iv,
    new_key,
    password_part,
    password_secrets,
    recovery_part,
    secret_part,
)

LOCK_S = 300.0
TEMPORARY_S = 4 * 3600
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the account. ``opens`` says whether it can unlock by itself."""

    id: bytes
    name: str
    kind: str
    day: int
    opens: bool


@dataclass(frozen=True, slots=True)
class _StoredNote:
    note: Note
    digest: bytes


class Vault:
    """The vault of the user who has logged in with ``client``. It is locked at first.

    ``lock_s``: it locks itself after this time without a call. ``memory`` is what an earlier
    program remembered. ``on_lock`` is called when the vault was locked.
    """

    def __init__(
        self,
        client: Client,
        *,
        realm: str = DEFAULT_REALM,
        prefix: str = "/vault",
        lock_s: float = LOCK_S,
        memory: Memory | None = None,
        on_lock: Callable[[], None] | None = None,
    ) -> None:
        self._api = Api(client, prefix)
        self._realm = realm
        self._lock_s = lock_s
        self._on_lock = on_lock
        self._owner: Owner | None = None
        self._key: AccountKey | None = None
        self._revision = b""
        # An unlock is under way, and the vault was not locked meanwhile.
        self._is_opening = False
        self._timer: asyncio.TimerHandle | None = None
        self._files: Files | None = None
        # The digest of the note that the caller knows, b"" if it knows that there is none.
        self._known: bytes | None = None
        self.memory = Memory() if memory is None else memory

    @property
    def is_open(self) -> bool:
        """Whether the account key is here."""
        return self._key is not None

    def files(
        self,
        folder: str | Path | None = None,
        *,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> Files:
        """The files of this vault; use it with ``async with``. The vault has one at a time.

        ``folder`` keeps what the client remembers, and copies of at most ``cache_bytes``. ``clock``
        gives seconds since 1970.
        """
        path = None if folder is None else Path(folder).expanduser()
        self._files = Files(self._api, self._use, path, cache_bytes, clock)
        return self._files

    def lock(self) -> None:
        """Drop the account key. An unlock that is under way then fails with VaultLocked."""
        self._key = None
        if self._files is not None:
            self._files.drop()
        self._is_opening = False
        self._known = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._on_lock is not None:
            self._on_lock()

    async def create(self, password: str, type_back: TypeBack) -> None:
        """Create the account, and open it. Raises: VaultError."""
        owner, _ = await self._parameters()
        key = new_key(owner.account)
        part = await password_part(password, owner, key)
        recovery, secret = await recovery_part(key, type_back)
        head = key.head.public
        statement = statements.creation(self._api.exported(), key.account, head, recovery.proof)
        body = CreateAccount(
            head, part, recovery, key.head.sign(statement), secret.proof_key.sign(statement)
        ).serialize()
        answer = await self._api.plain("PUT", "/account", body)
        self._opened(owner, key, _checked(answer, next_revision(b"", body)))
        # An account that replaces another one has no note and no files yet.
        self.memory.sequence = 0
        if self._files is not None:
            self._files.forget()
        self.memory.kdf = part.kdf

    async def unlock(self, password: str) -> None:
        """Open the vault by its password. Raises: WrongSecret, VaultError."""
        owner, parameters = await self._parameters()
        kdf, salt = parameters.kdf, parameters.salt
        self.memory.saw_kdf(kdf)
        found = await password_secrets(password, salt, kdf, owner)
        transcript = Transcript.of(owner, self._api.exported(), kdf, salt)
        x = scalar(secrets.token_bytes(SCALAR_SEED_BYTES))
        share = prover_share(found.w0, x)
        answer = await self._api.plain("POST", "/unlock/password", BeginRun(share).serialize())
        run = Run.parse(answer)
        confirmations = prover_confirmations(transcript, found, x, share, run.share)
        if not hmac.compare_digest(confirmations.verifier, run.confirm):
            raise WrongSecret(
                "the password is wrong, or there is no vault, or it waits after wrong attempts"
            )
        confirm = ConfirmRun(run.run, confirmations.prover).serialize()
        answer = await self._api.plain("POST", "/unlock/confirm", confirm)
        self._open(owner, answer, found.kek, "password")

    async def recover(self, code: str) -> None:
        """Open the vault by its recovery code. Raises: WrongSecret, VaultError."""
        await self._unlock_by("recovery", read_code("recovery", code))

    async def unlock_temporarily(self, code: str) -> None:
        """Open the vault by a temporary key, which works once. Raises: WrongSecret, VaultError."""
        await self._unlock_by("temporary", read_code("temporary", code))

    async def unlock_device(self, device_id: bytes, secret: bytes) -> None:
        """Open the vault by the secret of this device. Raises: WrongSecret, VaultError."""
        await self._unlock_by("device", secret, device_id)

    async def note(self) -> str | None:
        """The text of the note. Raises: VaultError."""
        stored = await self._read_note()
        self._known = _digest(stored)
        return None if stored is None else stored.note.text

    async def save_note(self, text: str) -> None:
        """Replace the note.

        If ``note`` or ``save_note`` was called since the vault was opened, replace only that note.
        Raises: VaultRefused (``conflict``), if another device has written since; VaultError.
        """
        stored = await self._read_note()
        if self._known not in (None, _digest(stored)):
            raise VaultRefused(409, "conflict")
        key = self._use()
        note = Note(1, text) if stored is None else Note(stored.note.sequence + 1, text)
        sealed = note.seal(key, new_iv())
        body = PutNote(_digest(stored), sealed).serialize()
        await self._api.signed(key, "PUT", "/note", body)
        self.memory.saw_note(note.sequence)
        self._known = sha256(sealed)

    async def change_password(self, password: str) -> None:
        """Give the account another password. Raises: VaultError."""
        owner, key = self._use_owner()
        part = await password_part(password, owner, key)
        await self.account()

        async def check(staged: StageChange) -> None:
            await check_password(staged, password, owner, key)

        await self._change(StageChange(self._revision, password=part), check)
        self.memory.saw_kdf(part.kdf)

    async def new_recovery_code(self, type_back: TypeBack) -> None:
        """Replace the recovery code. Raises: VaultError."""
        key = self._use()
        recovery, secret = await recovery_part(key, type_back)
        await self.account()

        async def check(staged: StageChange) -> None:
            check_recovery(staged, secret, key)

        change = StageChange(self._revision, recovery=recovery, typed=self._typed(secret))
        await self._change(change, check)

    async def rekey(self, password: str, type_back: TypeBack) -> None:
        """Give the account a new key. All devices and temporary keys end. Raises: VaultError.

        ``password`` is the present one, or a new one.
        """
        owner, old = self._use_owner()
        key = new_key(old.account)
        recovery, secret = await recovery_part(key, type_back)
        part = await password_part(password, owner, key)
        stored = await self._read_note()
        await self.account()
        head = key.head
        statement = statements.rekey(key.account, self._revision, head.public)
        previous, note = (b"", None) if stored is None else (stored.digest, stored.note)
        sealed = None if note is None else note.seal(key, new_iv())
        previous_meta, meta = await (self._files or self.files()).rekeyed(key) or (None, None)
        signature = head.sign(statement)
        rekey = Rekey(head.public, signature, previous, sealed, (), previous_meta, meta)
        change = StageChange(self._revision, part, recovery, self._typed(secret), rekey)

        async def check(staged: StageChange) -> None:
            await check_password(staged, password, owner, key)
            check_recovery(staged, secret, key)

        await self._change(change, check)
        if self._known == previous:
            self._known = b"" if sealed is None else sha256(sealed)
        if self._files is not None:
            self._files.drop()
        self._opened(owner, key, self._revision)

    async def temporary_key(self, lifetime_s: int = TEMPORARY_S) -> str:
        """A new temporary key as a code, for at most 7 days. Raises: VaultError."""
        key = self._use()
        drawn = secrets.token_bytes(SECRET_BYTES["temporary"])
        part = secret_part(UnlockSecret(key.account, "temporary", drawn), key)
        await self.account()
        body = PutTemporary(self._revision, part, lifetime_s).serialize()
        await self._revise("PUT", "/temporary", body)
        return code_of("temporary", drawn)

    async def account(self) -> AccountState:
        """The state of the account. Raises: VaultError."""
        key = self._use()
        state = AccountState.parse(await self._api.signed(key, "GET", "/account"))
        key.check_head(state.head)
        self._revision = state.revision
        return state

    async def devices(self) -> list[Device]:
        """The devices of the account. Raises: VaultError."""
        key = self._use()
        devices = []
        for listed in (await self.account()).devices:
            record = DeviceRecord.open(key, listed.id, listed.record)
            devices.append(Device(listed.id, record.name, record.kind, record.day, listed.opens))
        return devices

    async def add_device(
        self, name: str, kind: str, *, can_unlock: bool = False
    ) -> tuple[bytes, bytes | None]:
        """Add this device. Returns its id (16 bytes) and its secret (32 bytes), or None.

        Raises: VaultError.
        """
        key = self._use()
        device_id = secrets.token_bytes(DEVICE_ID_BYTES)
        record = DeviceRecord(name, kind, int(time.time()) // _DAY_S)
        drawn = secrets.token_bytes(SECRET_BYTES["device"]) if can_unlock else None
        part = None
        if drawn is not None:
            part = secret_part(UnlockSecret(key.account, "device", drawn), key, device_id)
        device = DevicePart(device_id, record.seal(key, device_id, new_iv()), part)
        await self.account()
        await self._revise("PUT", "/devices", PutDevice(self._revision, device).serialize())
        return device_id, drawn

    async def sign_out(self, device_id: bytes) -> None:
        """Sign a device out. It keeps what it has read. Raises: VaultError."""
        await self.account()
        await self._revise(
            "DELETE", "/devices", DeleteDevice(self._revision, device_id).serialize()
        )

    async def export_note(self, passphrase: str) -> bytes:
        """The note as a file that only ``passphrase`` opens. Raises: VaultError."""
        stored = await self._read_note()
        text = "" if stored is None else stored.note.text
        salt = secrets.token_bytes(SALT_BYTES)
        return await asyncio.to_thread(seal_export, text, passphrase, salt, new_iv(), STRONGEST_KDF)

    async def import_note(self, data: bytes, passphrase: str) -> None:
        """Replace the note by that of a file. Raises: WrongSecret, VaultError."""
        await self.save_note(await asyncio.to_thread(open_export, data, passphrase))

    async def reset(self) -> int:
        """Ask for a new, empty account. Returns the hours until it can be created.

        Raises: VaultError.
        """
        return ResetWait.parse(await self._api.plain("POST", "/reset")).hours

    async def cancel_reset(self) -> None:
        """Keep the account. Raises: VaultError."""
        await self.account()
        await self._revise("DELETE", "/reset", Revision(self._revision).serialize())

    async def delete(self) -> None:
        """Delete the account and all its data. Raises: VaultError."""
        await self.account()
        body = Revision(self._revision).serialize()
        await self._api.signed(self._use(), "DELETE", "/account", body)
        self.lock()

    def _use(self) -> AccountKey:
        """The account key, for one call. Starts the lock timer again. Raises: VaultLocked."""
        if self._key is None:
            raise VaultLocked
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._lock_s, self.lock)
        return self._key

    def _use_owner(self) -> tuple[Owner, AccountKey]:
        key = self._use()
        assert self._owner is not None  # noqa: S101  # set with the key
        return self._owner, key

    def _opened(self, owner: Owner, key: AccountKey, revision: bytes) -> None:
        """Raises: Tampered, if the account had this key before its present one; VaultLocked."""
        self.memory.saw_head(key.head.public)
        if self._key is None and not self._is_opening:
            raise VaultLocked
        self._is_opening = False
        self._owner, self._key, self._revision = owner, key, revision
        self._use()

    async def _parameters(self) -> tuple[Owner, Parameters]:
        """The owner of the account, and how its password is stretched. Raises: VaultError."""
        self._is_opening = True
        parameters = Parameters.parse(await self._api.plain("GET", "/parameters"))
        if parameters.realm != self._realm:
            raise Tampered("the server names another realm than that of the session")
        return Owner(parameters.username, parameters.realm), parameters

    def _typed(self, secret: UnlockSecret) -> bytes:
        proof_key = secret.proof_key
        statement = statements.typed(self._api.exported(), secret.account, proof_key.public)
        return proof_key.sign(statement)

    async def _unlock_by(self, kind: Kind, drawn: bytes, device_id: bytes = b"") -> None:
        owner, _ = await self._parameters()
        secret = UnlockSecret(owner.account, kind, drawn)
        statement = statements.proof(self._api.exported(), owner.account, kind, device_id)
        signature = secret.proof_key.sign(statement)
        proof = DeviceProof(device_id, signature) if device_id else Proof(signature)
        answer = await self._api.plain("POST", f"/unlock/{kind}", proof.serialize())
        self._open(owner, answer, secret.kek, kind, device_id)

    def _open(
        self, owner: Owner, answer: bytes, kek: bytes, kind: Kind, subject: bytes = b""
    ) -> None:
        opened = Opened.parse(answer)
        key = unwrap(kek, opened.wrap, owner.account, kind, subject)
        key.check_head(opened.head)
        self._opened(owner, key, opened.revision)

    async def _revise(self, method: str, path: str, body: bytes) -> None:
        """One signed change, based on the revision in ``body``."""
        answer = await self._api.signed(self._use(), method, path, body)
        self._revision = _checked(answer, next_revision(self._revision, body))

    async def _change(
        self, change: StageChange, check: Callable[[StageChange], Awaitable[None]]
    ) -> None:
        """Stage, check, commit (VAULT §9). ``check`` opens the new wraps."""
        key = self._use()
        body = change.serialize()
        await self._api.signed(key, "POST", "/change", body)
        staged = await self._api.signed(key, "GET", "/change")
        if staged != body:
            raise Tampered("the server keeps another change than the one that was sent")
        await check(StageChange.parse(staged))
        commit = CommitChange(change.revision, sha256(body)).serialize()
        await self._revise("POST", "/change/commit", commit)

    async def _read_note(self) -> _StoredNote | None:
        key = self._use()
        sealed = StoredNote.parse(await self._api.signed(key, "GET", "/note")).note
        if sealed is None:
            self.memory.saw_note(0)
            return None
        note = Note.open(key, sealed)
        self.memory.saw_note(note.sequence)
        return _StoredNote(note, sha256(sealed))


def _digest(stored: _StoredNote | None) -> bytes:
    return b"" if stored is None else stored.digest


def _checked(answer: bytes, expected: bytes) -> bytes:
    """The revision in ``answer``. Raises: Tampered, if it is another one."""
    revision = Revision.parse(answer).revision
    if not hmac.compare_digest(revision, expected):
        raise Tampered("the server has made another change than the one that was sent")
    return revision
