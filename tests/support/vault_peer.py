"""A client of the vault with single requests, so that a test can change each one.

``VaultPeer`` sends the requests of spec/VAULT.md over a session of ``certless.Client``.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from certless import Client
from protocol.common.primitives import sha256
from protocol.hardened.suites import DEFAULT_REALM
from vault.core import spake2plus, statements
from vault.core.account import EXPORT_LABEL, AccountKey, Owner, next_revision
from vault.core.exchanges import (
    BeginRun,
    ConfirmRun,
    DeleteDevice,
    DeviceProof,
    ErrorBody,
    Parameters,
    Proof,
    PutDevice,
    PutNote,
    PutTemporary,
    ResetWait,
    Revision,
    Run,
    Staged,
    StoredNote,
)
from vault.core.messages import (
    AccountState,
    CommitChange,
    CreateAccount,
    DevicePart,
    Opened,
    PasswordPart,
    Rekey,
    SecretPart,
    StageChange,
)
from vault.core.password import PasswordSecrets
from vault.core.sealed_values import DeviceRecord, Note
from vault.core.unlock_secrets import SECRET_BYTES, UnlockSecret
from vault.core.wraps import IV_BYTES, Kind, unwrap, wrap
from vault.server.server_key import random_scalar

# The cheaper parameters: the tests are about the server, which does not compute Argon2id.
KDF = 2


@dataclass(frozen=True)
class Reply:
    """The response to one request."""

    status: int
    body: bytes

    @property
    def error(self) -> str:
        """The name of the error, "" for a success."""
        return "" if self.status < 400 else ErrorBody.parse(self.body).error

    def good(self) -> bytes:
        """The body of a success."""
        assert not self.error, ErrorBody.parse(self.body)
        return self.body


@dataclass(frozen=True)
class VaultRefused(Exception):
    """The vault has answered with an error."""

    reply: Reply


@cache
def password_secrets(password: str, salt: bytes, kdf: int, owner: Owner) -> PasswordSecrets:
    """Argon2id takes long, so each password of the tests is derived once."""
    return PasswordSecrets.derive(password, salt, kdf, owner)


def salt_of(password: str) -> bytes:
    """One salt for each password of the tests. A real client draws it."""
    return sha256(password.encode())[:16]


@dataclass
class VaultPeer:
    """The vault of the user of one session. ``key`` is N, once it is known."""

    client: Client
    username: str = "ann@example.org"
    prefix: str = "/vault"
    key: AccountKey | None = None
    revision: bytes = b""
    recovery: UnlockSecret | None = field(default=None, repr=False)

    @property
    def owner(self) -> Owner:
        return Owner(self.username, DEFAULT_REALM)

    @property
    def account(self) -> bytes:
        return self.owner.account

    @property
    def exported(self) -> bytes:
        """e of the session."""
        return self.client.export(EXPORT_LABEL)

    def known_key(self) -> AccountKey:
        assert self.key is not None, "the vault is locked"
        return self.key

    # --- one request ---

    async def send(
        self, method: str, target: str, body: bytes = b"", signature: str | None = None
    ) -> Reply:
        headers = {"Content-Type": "application/msgpack"} if body else {}
        if signature is not None:
            headers["Vault-Signature"] = signature
        path = self.prefix + target
        async with self.client.request(method, path, headers=headers, data=body) as response:
            return Reply(response.status, await response.read())

    def signature(self, method: str, target: str, body: bytes = b"") -> str:
        """The header field of a signed request."""
        full = self.prefix + target
        statement = statements.request(self.exported, self.account, method, full, body)
        signed = self.known_key().head.sign(statement)
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    async def signed(self, method: str, target: str, body: bytes = b"") -> Reply:
        return await self.send(method, target, body, self.signature(method, target, body))

    async def changed(self, method: str, target: str, body: bytes) -> None:
        """A signed request that changes the revision."""
        answer = (await self.signed(method, target, body)).good()
        self.revision = next_revision(self.revision, body)
        assert Revision.parse(answer).revision == self.revision

    # --- parts ---

    def password_part(self, password: str, key: AccountKey | None = None) -> PasswordPart:
        salt = salt_of(password)
        derived = password_secrets(password, salt, KDF, self.owner)
        sealed = wrap(
            derived.kek, secrets.token_bytes(IV_BYTES), key or self.known_key(), "password"
        )
        return PasswordPart(KDF, salt, *derived.verifier, sealed)

    def new_secret(self, kind: Kind) -> UnlockSecret:
        return UnlockSecret(self.account, kind, secrets.token_bytes(SECRET_BYTES[kind]))

    def secret_part(
        self, secret: UnlockSecret, subject: bytes = b"", key: AccountKey | None = None
    ) -> SecretPart:
        iv = secrets.token_bytes(IV_BYTES)
        sealed = wrap(secret.kek, iv, key or self.known_key(), secret.kind, subject)
        return SecretPart(secret.proof_key.public, sealed)

    def creation(self, password: str) -> CreateAccount:
        """A request for a new account, whose key and recovery code this peer has then."""
        self.key = AccountKey(self.account, secrets.token_bytes(32))
        self.recovery = self.new_secret("recovery")
        head, proof = self.key.head, self.recovery.proof_key
        statement = statements.creation(self.exported, self.account, head.public, proof.public)
        return CreateAccount(
            head.public,
            self.password_part(password),
            self.secret_part(self.recovery),
            head.sign(statement),
            proof.sign(statement),
        )

    # --- the account ---

    async def create(self, password: str) -> None:
        body = self.creation(password).serialize()
        answer = (await self.send("PUT", "/account", body)).good()
        self.revision = next_revision(b"", body)
        assert Revision.parse(answer).revision == self.revision

    async def state(self) -> AccountState:
        return AccountState.parse((await self.signed("GET", "/account")).good())

    async def delete(self) -> Reply:
        return await self.signed("DELETE", "/account", Revision(self.revision).serialize())

    async def cancel_reset(self) -> None:
        await self.changed("DELETE", "/reset", Revision(self.revision).serialize())

    async def request_reset(self) -> int:
        return ResetWait.parse((await self.send("POST", "/reset")).good()).hours

    # --- unlocking ---

    async def parameters(self) -> Parameters:
        return Parameters.parse((await self.send("GET", "/parameters")).good())

    async def begin(self, password: str) -> tuple[Run, spake2plus.Confirmations, PasswordSecrets]:
        """A run up to the server's share. The right confirmations are those of this password."""
        found = await self.parameters()
        derived = password_secrets(password, found.salt, found.kdf, self.owner)
        x = random_scalar()
        share = spake2plus.prover_share(derived.w0, x)
        run = Run.parse(
            (await self.send("POST", "/unlock/password", BeginRun(share).serialize())).good()
        )
        transcript = spake2plus.Transcript.of(self.owner, self.exported, found.kdf, found.salt)
        ours = spake2plus.prover_confirmations(transcript, derived, x, share, run.share)
        return run, ours, derived

    async def confirm(self, run: Run, confirmation: bytes) -> Reply:
        return await self.send(
            "POST", "/unlock/confirm", ConfirmRun(run.run, confirmation).serialize()
        )

    async def unlock(self, password: str) -> bool:
        """Whether the password was right; then the key and the revision are known."""
        run, ours, derived = await self.begin(password)
        if ours.verifier != run.confirm:
            return False
        self.take(derived.kek, "password", (await self.confirm(run, ours.prover)).good())
        return True

    def take(self, kek: bytes, kind: Kind, answer: bytes, subject: bytes = b"") -> None:
        opened = Opened.parse(answer)
        self.key = unwrap(kek, opened.wrap, self.account, kind, subject)
        self.key.check_head(opened.head)
        self.revision = opened.revision

    def proof(self, secret: UnlockSecret, subject: bytes = b"") -> bytes:
        """The body that proves a recovery code, a temporary key or a device."""
        statement = statements.proof(self.exported, self.account, secret.kind, subject)
        signature = secret.proof_key.sign(statement)
        return (DeviceProof(subject, signature) if subject else Proof(signature)).serialize()

    async def prove(self, secret: UnlockSecret, subject: bytes = b"") -> Reply:
        """Ask for the wrap of a recovery code, a temporary key or a device."""
        return await self.send("POST", f"/unlock/{secret.kind}", self.proof(secret, subject))

    async def unlock_by(self, secret: UnlockSecret, subject: bytes = b"") -> bool:
        reply = await self.prove(secret, subject)
        if reply.error:
            return False
        self.take(secret.kek, secret.kind, reply.body, subject)
        return True

    # --- changes ---

    def change(
        self, password: str | None = None, *, recovery: bool = False
    ) -> tuple[StageChange, UnlockSecret | None]:
        """A new password, a new recovery code, or both. The code is known after the commit."""
        code = self.new_secret("recovery") if recovery else None
        return self._change(self.known_key(), password, code, None), code

    def rekey(
        self,
        password: str,
        note: Note | None = None,
        previous: bytes = b"",
        devices: Sequence[bytes] = (),
    ) -> tuple[StageChange, UnlockSecret, AccountKey]:
        """A new account key. ``previous`` is the digest of the stored note.

        The devices with these ids stay, each as a record and no more.
        """
        key = AccountKey(self.account, secrets.token_bytes(32))
        code = self.new_secret("recovery")
        statement = statements.rekey(self.account, self.revision, key.head.public)
        sealed = None if note is None else note.seal(key, secrets.token_bytes(IV_BYTES))
        signature = key.head.sign(statement)
        parts = tuple(self.device_part(device_id, key=key) for device_id in devices)
        part = Rekey(key.head.public, signature, previous, sealed, parts)
        return self._change(key, password, code, part), code, key

    def _change(
        self,
        key: AccountKey,
        password: str | None,
        code: UnlockSecret | None,
        rekey: Rekey | None,
    ) -> StageChange:
        change = StageChange(self.revision, rekey=rekey)
        if password is not None:
            change = replace(change, password=self.password_part(password, key))
        if code is not None:
            proof = code.proof_key
            typed = proof.sign(statements.typed(self.exported, self.account, proof.public))
            change = replace(change, recovery=self.secret_part(code, b"", key), typed=typed)
        return change

    async def stage(self, change: StageChange) -> bytes:
        """The digest that the commit names."""
        answer = (await self.signed("POST", "/change", change.serialize())).good()
        digest = Staged.parse(answer).digest
        assert digest == sha256(change.serialize())
        return digest

    async def staged(self) -> StageChange:
        return StageChange.parse((await self.signed("GET", "/change")).good())

    async def commit(self, digest: bytes) -> None:
        body = CommitChange(self.revision, digest).serialize()
        await self.changed("POST", "/change/commit", body)

    async def change_password(self, password: str) -> None:
        await self.commit(await self.stage(self.change(password)[0]))

    # --- the rest ---

    async def put_temporary(self, lifetime_s: int = 3600) -> UnlockSecret:
        secret = self.new_secret("temporary")
        part = self.secret_part(secret)
        await self.changed(
            "PUT", "/temporary", PutTemporary(self.revision, part, lifetime_s).serialize()
        )
        return secret

    def device_part(
        self,
        device_id: bytes,
        secret: UnlockSecret | None = None,
        key: AccountKey | None = None,
    ) -> DevicePart:
        iv = secrets.token_bytes(IV_BYTES)
        record = DeviceRecord("laptop", "python", 20_000)
        sealed = record.seal(key or self.known_key(), device_id, iv)
        part = None if secret is None else self.secret_part(secret, device_id)
        return DevicePart(device_id, sealed, part)

    async def put_device(self, *, opens: bool = True) -> tuple[bytes, UnlockSecret]:
        """Register this device; its id and secret."""
        device_id, secret = secrets.token_bytes(16), self.new_secret("device")
        part = self.device_part(device_id, secret if opens else None)
        await self.changed("PUT", "/devices", PutDevice(self.revision, part).serialize())
        return device_id, secret

    async def sign_out(self, device_id: bytes) -> None:
        await self.changed("DELETE", "/devices", DeleteDevice(self.revision, device_id).serialize())

    async def sealed_note(self) -> bytes | None:
        return StoredNote.parse((await self.signed("GET", "/note")).good()).note

    async def note(self) -> Note | None:
        sealed = await self.sealed_note()
        return None if sealed is None else Note.open(self.known_key(), sealed)

    async def write_note(self, text: str) -> Reply:
        """Replace the stored note."""
        sealed = await self.sealed_note()
        sequence = 1
        if sealed is not None:
            sequence = Note.open(self.known_key(), sealed).sequence + 1
        note = Note(sequence, text).seal(self.known_key(), secrets.token_bytes(IV_BYTES))
        previous = b"" if sealed is None else sha256(sealed)
        return await self.signed("PUT", "/note", PutNote(previous, note).serialize())
