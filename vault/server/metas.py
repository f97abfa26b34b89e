"""The meta of an account: the root of its index (VAULT §20.2)."""

from protocol.common.primitives import equal, sha256
from vault.core.block_exchanges import PutMeta, StoredMeta

from .call import Call, Parts, signed
from .errors import Conflict
from .expiring_accounts import used


async def read(parts: Parts, call: Call) -> bytes:
    """GET /meta."""
    call.without_body()
    async with signed(parts, call) as (transaction, account):
        await used(parts, transaction, account)
        return StoredMeta(await transaction.meta(call.account)).serialize()


async def write(parts: Parts, call: Call) -> bytes:
    """PUT /meta: replace the meta that the client has seen."""
    asked = PutMeta.parse(call.body)
    async with signed(parts, call) as (transaction, _):
        before = await transaction.meta(call.account)
        if not equal(asked.previous, b"" if before is None else sha256(before)):
            raise Conflict("the meta has changed: read it again")
        await transaction.put_meta(call.account, asked.meta)
    return b""
