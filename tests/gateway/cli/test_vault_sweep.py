"""``certless vault sweep`` and the options of ``certless vault serve`` about blocks."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.cli.main import main
from vault.core.expiry import FRAME_S
from vault.server.store.block_transaction import KeptExpiry
from vault.server.store.database import Database

KEY_ID_QUERY = "SELECT key_id FROM vault_schema"


def test_a_jump_of_the_clock_is_confirmed(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "vault.db"
    command = ["vault", "sweep", "--database", f"sqlite:{path}"]
    assert main(command) == 0
    with closing(sqlite3.connect(path)) as connection:
        ((key_id,),) = connection.execute(KEY_ID_QUERY)

    async def last_sweep(bucket: int | None) -> int | None:
        database = Database(f"sqlite:{path}")
        await database.open(key_id)
        async with database.blocks("alone") as at:
            found = await at.expiry()
            if bucket is not None:
                await at.keep_expiry(KeptExpiry(FRAME_S, bucket))
        await database.close()
        assert found is not None
        return found.bucket

    present = asyncio.run(last_sweep(3))
    assert main(command) == 1
    assert f"names the bucket {present} after 3" in capsys.readouterr().err
    assert asyncio.run(last_sweep(None)) == 3
    assert main([*command, "--confirm-clock"]) == 0
    assert asyncio.run(last_sweep(None)) == present
    assert main([*command, "--rewrite"]) == 0
    assert main([*command, "--frame", "86400"]) != 0
    assert f"set it to {FRAME_S}" in capsys.readouterr().err
