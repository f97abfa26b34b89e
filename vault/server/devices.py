"""Devices and the temporary key (VAULT §3.3, §10)."""

from dataclasses import replace

from vault.core.account import next_revision
from vault.core.errors import TooLarge
from vault.core.exchanges import DeleteDevice, PutDevice, PutTemporary, Revision
from vault.core.messages import MAX_DEVICES

from .call import Call, Parts, check_revision, signed
from .changes import stored_device
from .device_sessions import end_sessions, sealed_session
from .errors import Refused
from .store.records import StoredAccount, TemporaryKey
from .store.transaction import Transaction


async def put_temporary(parts: Parts, call: Call) -> bytes:
    """PUT /temporary."""
    asked = PutTemporary.parse(call.body)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        until_ms = parts.clock() + asked.lifetime_s * 1000
        key = TemporaryKey(asked.secret.proof, asked.secret.wrap, until_ms)
        await transaction.put_temporary(call.account, key)
        return await _next(transaction, call, account)


async def put(parts: Parts, call: Call) -> bytes:
    """PUT /devices."""
    asked = PutDevice.parse(call.body)
    part = asked.device
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        known = {device.id for device in await transaction.devices(call.account)}
        if len(known | {part.id}) > MAX_DEVICES:
            raise TooLarge(f"an account has at most {MAX_DEVICES} devices: sign out one of them")
        sealed = sealed_session(parts, call, part.id)
        await transaction.put_device(call.account, stored_device(part, sealed))
        return await _next(transaction, call, account)


async def sign_out(parts: Parts, call: Call) -> bytes:
    """DELETE /devices."""
    asked = DeleteDevice.parse(call.body)
    async with signed(parts, call) as (transaction, account):
        check_revision(account, asked.revision)
        device = await transaction.device(call.account, asked.id)
        if device is None:
            raise Refused
        await transaction.delete_device(call.account, asked.id)
        await end_sessions(parts, call, [device])
        return await _next(transaction, call, account)


async def _next(transaction: Transaction, call: Call, account: StoredAccount) -> bytes:
    """Save the revision after this request."""
    revision = next_revision(account.revision, call.body)
    await transaction.save_account(replace(account, revision=revision))
    return Revision(revision).serialize()
