"""Changes of keys: stage, check, commit (VAULT §9)."""

from dataclasses import replace

from protocol.common.primitives import equal, sha256
from vault.core import statements
from vault.core.account import next_revision
from vault.core.exchanges import Revision, Staged
from vault.core.messages import CommitChange, DevicePart, Rekey, StageChange
from vault.core.primitives import is_signature

from .call import Call, Parts, check_revision, signed
from .device_sessions import end_sessions
from .errors import Conflict, NotFound, Refused
from .notes import check_padding
from .store.records import Stage, StoredAccount, StoredDevice
from .store.transaction import Transaction

STAGE_LIFETIME_MS = 24 * 3_600_000


async def stage(parts: Parts, call: Call) -> bytes:
    """POST /change: keep the new parts beside the old ones."""
    asked = StageChange.parse(call.body)
    if asked.rekey is not None and asked.rekey.note is not None:
        check_padding(asked.rekey.note)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        _check_signatures(call, asked)
        if asked.rekey is not None:
            await _check_sealed(transaction, call.account, asked.rekey)
        sealed = parts.key.seal("stage", call.account, call.body)
        until_ms = parts.clock() + STAGE_LIFETIME_MS
        await transaction.put_stage(call.account, Stage(sealed, until_ms))
    return Staged(sha256(call.body)).serialize()


async def read(parts: Parts, call: Call) -> bytes:
    """GET /change: the body of the stage, as it came."""
    call.without_body()
    async with signed(parts, call) as (transaction, _):
        return await _staged(parts, transaction, call.account)


async def commit(parts: Parts, call: Call) -> bytes:
    """POST /change/commit: replace the parts in one step."""
    asked = CommitChange.parse(call.body)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        body = await _staged(parts, transaction, call.account)
        if not equal(sha256(body), asked.digest):
            raise Conflict("another change was staged: stage yours again")
        staged = StageChange.parse(body)
        check_revision(account, staged.revision)
        changed = _changed(parts, account, staged)
        if staged.rekey is not None:
            await _check_sealed(transaction, call.account, staged.rekey)
            await _apply_rekey(parts, transaction, call, staged.rekey)
            changed = replace(changed, head=staged.rekey.head)
        if staged.password is not None:
            await transaction.end_runs(call.account)
        changed = replace(changed, revision=next_revision(account.revision, call.body))
        await transaction.save_account(changed)
        await transaction.put_stage(call.account, None)
    return Revision(changed.revision).serialize()


def _check_signatures(call: Call, asked: StageChange) -> None:
    """Raises: Refused."""
    recovery, typed, rekey = asked.recovery, asked.typed, asked.rekey
    if recovery is not None and typed is not None:
        statement = statements.typed(call.exported, call.account, recovery.proof)
        if not is_signature(recovery.proof, typed, statement):
            raise Refused
    if rekey is not None:
        statement = statements.rekey(call.account, asked.revision, rekey.head)
        if not is_signature(rekey.head, rekey.signature, statement):
            raise Refused


async def _check_sealed(transaction: Transaction, account: bytes, rekey: Rekey) -> None:
    """Raises: Conflict, if the rekey would replace a note or meta that its client has not seen."""
    note = await transaction.note(account)
    if not equal(rekey.previous, b"" if note is None else sha256(note)):
        raise Conflict("the note has changed: read it, and stage the change again")
    meta = await transaction.meta(account)
    if not equal(rekey.previous_meta or b"", b"" if meta is None else sha256(meta)):
        raise Conflict("the meta has changed: read it, and stage the change again")


async def _staged(parts: Parts, transaction: Transaction, account: bytes) -> bytes:
    """The body of the staged change. Raises: NotFound."""
    staged = await transaction.stage(account)
    if staged is None or parts.clock() >= staged.until_ms:
        raise NotFound("there is no staged change: stage it again")
    return parts.key.open("stage", account, staged.body)


def _changed(parts: Parts, account: StoredAccount, staged: StageChange) -> StoredAccount:
    """The account with the password and the recovery code of the change."""
    password, recovery = staged.password, staged.recovery
    if password is not None:
        account = replace(
            account,
            kdf=password.kdf,
            salt=password.salt,
            verifier=parts.key.seal_verifier(account.account, password.w0, password.big_l),
            password_wrap=parts.key.seal("password wrap", account.account, password.wrap),
        )
    if recovery is not None:
        account = replace(account, recovery_proof=recovery.proof, recovery_wrap=recovery.wrap)
    return account


async def _apply_rekey(parts: Parts, transaction: Transaction, call: Call, rekey: Rekey) -> None:
    account = call.account
    before = {device.id: device for device in await transaction.devices(account)}
    for device_id in before:
        await transaction.delete_device(account, device_id)
    for part in rekey.devices:
        kept = before.pop(part.id, None)
        await transaction.put_device(account, stored_device(part, kept.session if kept else b""))
    # The sessions of those that are left.
    await end_sessions(parts, call, before.values(), keep_own=True)
    await transaction.put_temporary(account, None)
    if rekey.note is not None:
        await transaction.put_note(account, rekey.note)
    if rekey.meta is not None:
        await transaction.put_meta(account, rekey.meta)


def stored_device(part: DevicePart, session: bytes) -> StoredDevice:
    """``session`` is that of the registration, sealed."""
    secret = part.secret
    proof, wrap = (None, None) if secret is None else (secret.proof, secret.wrap)
    return StoredDevice(part.id, part.record, proof, wrap, session)
