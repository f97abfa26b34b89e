"""The aiohttp server under measurement: one JSON echo, alone or behind Certless.

``python -m bench.server [--certless] [--uvloop] [--key-pool-size N] [--store URL] [--limits]
[--vault FOLDER [--database URL] [--pool URL]]`` prints ``{"port": ...}``, then
``{"address": ..., "code": ...}`` for each login, and ends when its standard input ends.
``--limits`` uses the default limits, and the loopback is a trusted proxy. ``--vault`` adds a vault
with its key, and its database unless set, in the folder, and plain rows in the same database
(``bench.plain_rows``).
"""

import argparse
import asyncio
import json
import sys
from typing import Any

import uvloop
from aiohttp import web

from gateway import AnyAddress, CodeMail, MailTransport, setup
from gateway.config.options import MAX_WINDOW_MS
from gateway.policy.rates import RATES

DIALECT = "sfet-3"
ROUTE = "/echo"


class PrintedCodes(MailTransport):
    """Prints each code for the parent process."""

    async def deliver(self, address: str, mail: CodeMail) -> None:
        print(json.dumps({"address": address, "code": mail.code}), flush=True)


async def echo(request: web.Request) -> web.Response:
    """The handler of every row: parses JSON, answers the same JSON."""
    return web.json_response(await request.json())


def _add_vault(app: web.Application, folder: str, database: str | None, pool: str | None) -> None:
    """A vault that mails nothing."""
    # Here, because the other rows need no database.
    import vault  # noqa: PLC0415
    from bench.plain_rows import add_plain_rows  # noqa: PLC0415

    async def notify(username: str, notice: vault.Notice) -> None:
        pass

    vault.setup(
        app,
        database=database or f"sqlite:{folder}/vault.db",
        key_file=f"{folder}/vault.key",
        notify=notify,
        pool=pool,
        ids_per_hour=10**9,
    )
    add_plain_rows(app)


# The limits are off, because the speed of logins is measured, except for the flood.
NO_LIMITS: dict[str, Any] = dict.fromkeys(RATES, "none")
DEFAULT_LIMITS = {"trusted_proxies": ("127.0.0.1",)}


async def serve(args: argparse.Namespace) -> None:
    """Serve on a free port of the loopback until the standard input ends."""
    app = web.Application()
    app.router.add_post(ROUTE, echo)
    limits: dict[str, Any] = DEFAULT_LIMITS if args.limits else NO_LIMITS
    if args.vault:
        _add_vault(app, args.vault, args.database, args.pool)
    if args.certless:
        setup(
            app,
            users=AnyAddress(),
            mail=PrintedCodes(),
            dialect=DIALECT,
            window_ms=MAX_WINDOW_MS,
            key_pool_size=args.key_pool_size,
            store=args.store,
            key_file=args.key_file,
            **limits,
        )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certless", action="store_true")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--key-pool-size", type=int, default=16)
    parser.add_argument("--store", default="memory:")
    parser.add_argument("--key-file")
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--vault", metavar="FOLDER")
    parser.add_argument("--database")
    parser.add_argument("--pool")
    args = parser.parse_args()
    loop_factory = uvloop.new_event_loop if args.uvloop else None
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(args))


if __name__ == "__main__":
    main()
