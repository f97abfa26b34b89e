"""A gateway with a vault as a program, for clients that are not in Python.

``python vault_program.py FOLDER`` keeps mails, database and keys in FOLDER, and prints its port.
"""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

import certless
import vault


async def main(folder: Path) -> None:
    app = web.Application()

    async def notify(username: str, notice: vault.Notice) -> None:
        await asyncio.to_thread((folder / "notices").write_text, f"{username}: {notice.subject}")

    vault.setup(app, database=f"sqlite:{folder / 'vault.db'}", notify=notify)
    certless.setup(
        app,
        users=certless.AnyAddress(),
        mail=f"dir:{folder}",
        require={"/vault/*": "ecdh-gcm"},
        mail_limit=100,
        logins_per_user="none",
        logins_per_address="none",
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
