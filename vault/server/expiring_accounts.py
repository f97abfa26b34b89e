"""The bucket of an account: its use, the warning before its end, and its end (VAULT §22)."""

import logging
from collections.abc import AsyncIterable, Callable
from dataclasses import replace
from typing import TypeAlias

from vault.core.account import Owner
from vault.core.expiry import is_over, safe_until_s

from .call import Parts
from .notices import Notice
from .store.records import StoredAccount
from .store.transaction import Transaction

# The names of all users. The store has none, so without this no warning is mailed.
Usernames: TypeAlias = Callable[[], AsyncIterable[str]]

_log = logging.getLogger("certless.vault")
_HOUR_S = 3600
_BATCH = 100


async def used(parts: Parts, transaction: Transaction, account: StoredAccount) -> None:
    """Give a locked account the present bucket."""
    bucket = parts.buckets.present()
    if account.bucket is None or account.bucket < bucket:
        await transaction.save_account(replace(account, bucket=bucket))


def _is_archived(bucket: int, present: int) -> bool:
    """Whether the archive of the blocks has ended as well."""
    return is_over(bucket + 2, present)


async def keep_with_archive(transaction: Transaction, last: int, present: int) -> None:
    """Keep the accounts as long as the archive of their blocks, which begins now.

    There was no sweep between the buckets ``last`` and ``present``, because the server did not run.
    """
    await transaction.raise_buckets(last - 1, present - 2)


async def delete_expired(parts: Parts) -> None:
    """Delete the accounts whose time and archive have ended. Raises: Unavailable."""
    present = parts.buckets.present()
    async with parts.database.transaction() as transaction:
        await transaction.begin_buckets(present)
    while True:
        async with parts.database.transaction() as transaction:
            for name in await transaction.accounts_below(present - 3, _BATCH):
                account = await transaction.account(name)
                if account and account.bucket is not None and _is_archived(account.bucket, present):
                    await transaction.delete_account(name)
            if not await transaction.accounts_below(present - 3, 1):
                return


async def warn(parts: Parts, realm: str, usernames: Usernames) -> None:
    """Mail the users whose accounts are in their last quarter, each once. Raises: Unavailable."""
    async for username in usernames():
        name = Owner(username, realm).account
        async with parts.database.transaction() as transaction:
            account = await transaction.account(name)
        if account is None or account.bucket in (None, account.warned_bucket):
            continue
        hours = hours_left(account.bucket or 0, parts.buckets.frame_s, parts.clock() // 1000)
        if hours is None:
            continue
        try:
            await parts.notify(username, Notice("expires", hours))
        except Exception as error:  # the application's function can raise anything
            _log.error("no mail about a vault (expires): %s", type(error).__name__)
            continue
        async with parts.database.transaction() as transaction:
            now = await transaction.account(name)
            if now is not None and now.bucket == account.bucket:
                await transaction.save_account(replace(now, warned_bucket=now.bucket))


def hours_left(bucket: int, frame_s: int, now_s: int) -> int | None:
    """The hours until the account expires, or None before the last quarter of its time."""
    until_s = safe_until_s(bucket, frame_s)
    # The account lives from the beginning of its bucket to the end of the next one.
    if now_s < until_s - 2 * frame_s // 4:
        return None
    return max(0, -(-(until_s - now_s) // _HOUR_S))
