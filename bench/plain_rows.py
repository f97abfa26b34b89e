"""Plain rows in the database of the vault: what blocks are compared with.

A put stores each value under its id in one transaction, and is answered after the commit. A get
reads by the ids. There are no tokens, no pool and no expiry.
"""

from collections.abc import Iterator

from aiohttp import web
from sqlalchemy import Column, LargeBinary, MetaData, Table, insert, select

from vault.core.tokens import BLOCK_BYTES
from vault.server.setup import SERVER

ID_BYTES = 16
_ROWS = Table(
    "bench_rows",
    MetaData(),
    Column("id", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


def _pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


async def _make(request: web.Request) -> web.Response:
    async with request.app[SERVER].blocks.database.blocks() as at:
        await at.connection.run_sync(_ROWS.metadata.create_all)
    return web.Response()


async def _put(request: web.Request) -> web.Response:
    rows = [
        {"id": piece[:ID_BYTES], "data": piece[ID_BYTES:]}
        for piece in _pieces(await request.read(), ID_BYTES + BLOCK_BYTES)
    ]
    async with request.app[SERVER].blocks.database.blocks() as at:
        await at.connection.execute(insert(_ROWS), rows)
    return web.Response()


async def _get(request: web.Request) -> web.Response:
    ids = list(_pieces(await request.read(), ID_BYTES))
    query = select(_ROWS.c.data).where(_ROWS.c.id.in_(ids))
    async with request.app[SERVER].blocks.database.blocks() as at:
        found = (await at.connection.execute(query)).scalars().all()
    return web.Response(body=b"".join(found))


def add_plain_rows(app: web.Application) -> None:
    """POST /rows/make, /rows/put and /rows/get."""
    app.router.add_post("/rows/make", _make)
    app.router.add_post("/rows/put", _put)
    app.router.add_post("/rows/get", _get)
