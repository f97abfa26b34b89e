"""Tables in the order of their keys, so that files show no order of writing (VAULT §24)."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from .tables import METADATA


async def rewrite(connection: AsyncConnection) -> None:
    """Write all tables again. Nobody can use them meanwhile."""
    if connection.dialect.name == "sqlite":
        # VACUUM is not possible in a transaction, which the first statement would begin.
        raw: Any = (await connection.get_raw_connection()).driver_connection
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            async with raw.execute(statement):
                """It is done when it has begun."""
        return
    for table in METADATA.sorted_tables:
        await connection.execute(text(f"CLUSTER {table.name} USING {table.name}_pkey"))
    await connection.commit()
