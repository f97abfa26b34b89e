"""The operations of one transaction on the store.

``account`` locks the row of the account until the end of the transaction, so two workers change an
account one after the other. It comes first in a transaction: if one transaction locked the account
first, and another one a run or the attempts, PostgreSQL would end one of them as a deadlock. Only
``sweep`` locks no account, so it waits for no other transaction.
"""

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from vault.core.attempts import FORGOTTEN_AFTER_MS, Attempts

from .records import Stage, StoredAccount, StoredDevice, StoredRun, TemporaryKey
from .tables import ACCOUNTS, ATTEMPTS, DEVICES, METAS, NOTES, RUNS, STAGES, TEMPORARY


class Transaction:
    """What happens in one transaction, or not at all. An account is named by its 32 bytes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    # --- accounts ---

    async def account(self, account: bytes) -> StoredAccount | None:
        """The account, locked."""
        query = select(ACCOUNTS).where(ACCOUNTS.c.account == account).with_for_update()
        row = await self._first(query)
        return None if row is None else StoredAccount(**row)

    async def add_account(self, stored: StoredAccount) -> bool:
        """Whether there was no such account."""
        return await self._added(ACCOUNTS, asdict(stored))

    async def save_account(self, stored: StoredAccount) -> None:
        """Replace the row of an account that ``account`` has locked."""
        values = asdict(stored)
        is_it = ACCOUNTS.c.account == values.pop("account")
        await self._connection.execute(update(ACCOUNTS).where(is_it).values(values))

    async def delete_account(self, account: bytes) -> None:
        """Delete the account with all its data and all its runs."""
        for table in (DEVICES, TEMPORARY, STAGES, NOTES, METAS):
            await self._connection.execute(delete(table).where(table.c.account == account))
        await self.forget_unlocking(account)
        await self._connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.account == account))

    async def forget_unlocking(self, account: bytes) -> None:
        """Delete the runs and the attempts of an account, or of a user without one."""
        for table in (RUNS, ATTEMPTS):
            await self._connection.execute(delete(table).where(table.c.account == account))

    async def note(self, account: bytes) -> bytes | None:
        row = await self._first(select(NOTES).where(NOTES.c.account == account))
        return None if row is None else bytes(row["note"])

    async def put_note(self, account: bytes, note: bytes | None) -> None:
        await self._put(NOTES, account, None if note is None else {"note": note})

    async def meta(self, account: bytes) -> bytes | None:
        row = await self._first(select(METAS).where(METAS.c.account == account))
        return None if row is None else bytes(row["meta"])

    async def put_meta(self, account: bytes, meta: bytes | None) -> None:
        await self._put(METAS, account, None if meta is None else {"meta": meta})

    async def stage(self, account: bytes) -> Stage | None:
        row = await self._first(select(STAGES).where(STAGES.c.account == account))
        return None if row is None else Stage(row["body"], row["until_ms"])

    async def put_stage(self, account: bytes, stage: Stage | None) -> None:
        await self._put(STAGES, account, None if stage is None else asdict(stage))

    async def temporary(self, account: bytes) -> TemporaryKey | None:
        row = await self._first(select(TEMPORARY).where(TEMPORARY.c.account == account))
        if row is None:
            return None
        return TemporaryKey(row["proof"], row["wrap"], row["until_ms"], row["wrong_proofs"])

    async def put_temporary(self, account: bytes, key: TemporaryKey | None) -> None:
        await self._put(TEMPORARY, account, None if key is None else asdict(key))

    async def count_wrong_proof(self, account: bytes, most: int) -> None:
        """Count a wrong proof of the temporary key. Number ``most`` deletes the key."""
        is_it = TEMPORARY.c.account == account
        count = TEMPORARY.c.wrong_proofs
        await self._connection.execute(
            update(TEMPORARY).where(is_it).values(wrong_proofs=count + 1)
        )
        await self._connection.execute(delete(TEMPORARY).where(is_it, count >= most))

    # --- devices ---

    async def devices(self, account: bytes) -> list[StoredDevice]:
        """All devices, sorted by id."""
        query = select(DEVICES).where(DEVICES.c.account == account).order_by(DEVICES.c.id)
        return [_device(row) for row in (await self._connection.execute(query)).mappings()]

    async def device(self, account: bytes, device_id: bytes) -> StoredDevice | None:
        row = await self._first(select(DEVICES).where(_is_device(account, device_id)))
        return None if row is None else _device(row)

    async def put_device(self, account: bytes, device: StoredDevice) -> None:
        await self.delete_device(account, device.id)
        values = {"account": account, **asdict(device)}
        await self._connection.execute(DEVICES.insert().values(values))

    async def delete_device(self, account: bytes, device_id: bytes) -> None:
        await self._connection.execute(delete(DEVICES).where(_is_device(account, device_id)))

    # --- attempts and runs ---

    async def attempts(self, account: bytes) -> Attempts:
        """The attempts at the password, locked."""
        new = {"account": account, "count": 0, "waits_until_ms": 0, "last_ms": 0}
        # In one statement: between two of them, another transaction could delete the row.
        kept = self._insert(ATTEMPTS).values(new)
        kept = kept.on_conflict_do_update(
            index_elements=[ATTEMPTS.c.account], set_={"count": ATTEMPTS.c.count}
        )
        row = (await self._connection.execute(kept.returning(*ATTEMPTS.c))).mappings().one()
        return Attempts(row["count"], row["waits_until_ms"], row["last_ms"])

    async def put_attempts(self, account: bytes, attempts: Attempts) -> None:
        """Replace what ``attempts`` has locked, or set it."""
        is_it = ATTEMPTS.c.account == account
        await self._connection.execute(update(ATTEMPTS).where(is_it).values(asdict(attempts)))

    async def add_run(self, run: StoredRun, most: int) -> None:
        """Add a run. If the account has more than ``most`` now, delete the oldest ones."""
        await self._connection.execute(RUNS.insert().values(asdict(run)))
        of_account = RUNS.c.account == run.account
        newest = (
            select(RUNS.c.run).where(of_account).order_by(RUNS.c.until_ms.desc(), RUNS.c.run)
        ).limit(most)
        await self._connection.execute(delete(RUNS).where(of_account, RUNS.c.run.not_in(newest)))

    async def take_run(self, run: bytes, account: bytes, session: str) -> StoredRun | None:
        """A run of this account and session. It is deleted, so nobody gets it twice."""
        is_it = and_(RUNS.c.run == run, RUNS.c.account == account, RUNS.c.session == session)
        row = await self._first(delete(RUNS).where(is_it).returning(*RUNS.c))
        return None if row is None else StoredRun(**row)

    async def end_runs(self, account: bytes) -> None:
        await self._connection.execute(delete(RUNS).where(RUNS.c.account == account))

    # --- old rows ---

    async def begin_buckets(self, bucket: int) -> None:
        """Give ``bucket`` to the accounts that have none, because they are from before buckets."""
        has_none = ACCOUNTS.c.bucket.is_(None)
        await self._connection.execute(update(ACCOUNTS).where(has_none).values(bucket=bucket))

    async def raise_buckets(self, low: int, high: int) -> None:
        """Give the bucket ``high`` to the accounts that have one from ``low`` to it."""
        is_between = and_(ACCOUNTS.c.bucket >= low, ACCOUNTS.c.bucket < high)
        await self._connection.execute(update(ACCOUNTS).where(is_between).values(bucket=high))

    async def accounts_below(self, bucket: int, most: int) -> list[bytes]:
        """The names of at most ``most`` accounts with an earlier bucket."""
        old = select(ACCOUNTS.c.account).where(ACCOUNTS.c.bucket < bucket)
        query = old.order_by(ACCOUNTS.c.account).limit(most)
        return [bytes(name) for name in (await self._connection.execute(query)).scalars()]

    async def sweep(self, now_ms: int) -> None:
        """Delete what has expired, except rows that another transaction has locked.

        A sweep locks no account first, so a wait for a lock could be part of a deadlock. The next
        sweep deletes the rows that are left.
        """
        for table in (TEMPORARY, STAGES, RUNS):
            await self._delete_unlocked(table, table.c.until_ms <= now_ms)
        await self._delete_unlocked(ATTEMPTS, ATTEMPTS.c.last_ms <= now_ms - FORGOTTEN_AFTER_MS)

    async def _delete_unlocked(self, table: Table, condition: ColumnElement[bool]) -> None:
        """``table`` has one column as its primary key."""
        (key,) = table.primary_key.columns
        found = select(key).where(condition).with_for_update(skip_locked=True)
        await self._connection.execute(delete(table).where(key.in_(found)))

    async def _first(self, query: Any) -> dict[str, Any] | None:
        row = (await self._connection.execute(query)).mappings().first()
        return None if row is None else dict(row)

    async def _added(self, table: Table, values: dict[str, Any]) -> bool:
        """Whether there was no row with these keys; then the row is there now."""
        made = self._insert(table).values(values).on_conflict_do_nothing()
        result = await self._connection.execute(made)
        return result.rowcount == 1

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        # The two dialects have the same methods, but no common class with them.
        is_sqlite = self._connection.dialect.name == "sqlite"
        return sqlite.insert(table) if is_sqlite else postgresql.insert(table)

    async def _put(self, table: Table, account: bytes, values: dict[str, Any] | None) -> None:
        """Replace the one row of an account; None deletes it."""
        await self._connection.execute(delete(table).where(table.c.account == account))
        if values is not None:
            await self._connection.execute(table.insert().values(account=account, **values))


def _device(row: Any) -> StoredDevice:
    return StoredDevice(**{name: value for name, value in row.items() if name != "account"})


def _is_device(account: bytes, device_id: bytes) -> ColumnElement[bool]:
    return and_(DEVICES.c.account == account, DEVICES.c.id == device_id)
