"""Accounts: create, read, delete, and the reset without a secret (VAULT §8, §12)."""

import logging
from dataclasses import replace

from vault.core import statements
from vault.core.account import next_revision
from vault.core.exchanges import ResetWait, Revision
from vault.core.messages import AccountState, CreateAccount, ListedDevice
from vault.core.primitives import is_signature
from vault.core.resets import hour_of_request, hours_left, is_due, is_open

from .call import Call, Parts, check_revision, signed
from .errors import Conflict, Exists, Refused, Unavailable
from .notices import Notice
from .store.records import StoredAccount

_log = logging.getLogger("certless.vault")


async def create(parts: Parts, call: Call) -> bytes:
    """PUT /account."""
    asked = CreateAccount.parse(call.body)
    head, proof = asked.head, asked.recovery.proof
    statement = statements.creation(call.exported, call.account, head, proof)
    if not is_signature(head, asked.signature, statement):
        raise Refused
    if not is_signature(proof, asked.typed, statement):
        raise Refused
    password = asked.password
    stored = StoredAccount(
        account=call.account,
        head=head,
        revision=next_revision(b"", call.body),
        kdf=password.kdf,
        salt=password.salt,
        verifier=parts.key.seal_verifier(call.account, password.w0, password.big_l),
        password_wrap=parts.key.seal("password wrap", call.account, password.wrap),
        recovery_proof=proof,
        recovery_wrap=asked.recovery.wrap,
        bucket=parts.buckets.present(),
    )
    async with parts.database.transaction() as transaction:
        before = await transaction.account(call.account)
        if before is not None and not _is_to_be_replaced(before, parts.clock()):
            raise Exists("there is an account already: unlock it, or request a reset")
        if before is None:
            # The attempts before were at nothing. An account that another request has created
            # meanwhile was not locked here, and stays.
            await transaction.forget_unlocking(call.account)
        else:
            await transaction.delete_account(call.account)
        if not await transaction.add_account(stored):
            raise Exists("there is an account already: another request has just created it")
    await call.tell(parts, "created")
    return Revision(stored.revision).serialize()


def _is_to_be_replaced(account: StoredAccount, now_ms: int) -> bool:
    return account.reset_hour is not None and is_due(account.reset_hour, now_ms)


async def read(parts: Parts, call: Call) -> bytes:
    """GET /account."""
    call.without_body()
    async with signed(parts, call) as (transaction, account):
        devices = await transaction.devices(call.account)
        temporary = await transaction.temporary(call.account)
    now_ms = parts.clock()
    hour = account.reset_hour
    listed = (ListedDevice(one.id, one.record, one.secret is not None) for one in devices)
    return AccountState(
        head=account.head,
        revision=account.revision,
        kdf=account.kdf,
        devices=tuple(listed),
        has_temporary=temporary is not None and now_ms < temporary.until_ms,
        is_to_be_reset=hour is not None and is_open(hour, now_ms),
    ).serialize()


async def delete(parts: Parts, call: Call) -> bytes:
    """DELETE /account."""
    asked = Revision.parse(call.body)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        await transaction.delete_account(call.account)
    await call.tell(parts, "deleted")
    return b""


async def request_reset(parts: Parts, call: Call) -> bytes:
    """POST /reset."""
    call.without_body()
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
    if account is None:
        raise Refused
    now_ms = parts.clock()
    if account.reset_hour is not None and is_open(account.reset_hour, now_ms):
        return ResetWait(hours_left(account.reset_hour, now_ms)).serialize()
    hour = hour_of_request(now_ms)
    hours = hours_left(hour, now_ms)
    try:
        # First: no account is replaced of which the user heard nothing.
        await parts.notify(call.owner.username, Notice("reset", hours))
    except Exception as error:  # the application's function can raise anything
        _log.error("no reset, because no mail about it was sent: %s", type(error).__name__)
        raise Unavailable("the mail about the reset cannot be sent now: try again") from None
    async with parts.database.transaction() as transaction:
        now = await transaction.account(call.account)
        if now is None or now.revision != account.revision:
            raise Conflict("the account has changed meanwhile: ask again")
        await transaction.save_account(replace(now, reset_hour=hour))
    return ResetWait(hours).serialize()


async def cancel_reset(parts: Parts, call: Call) -> bytes:
    """DELETE /reset."""
    asked = Revision.parse(call.body)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        revision = next_revision(account.revision, call.body)
        await transaction.save_account(replace(account, reset_hour=None, revision=revision))
    return Revision(revision).serialize()
