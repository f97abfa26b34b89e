"""The note of an account (VAULT §11)."""

from protocol.common.primitives import equal, sha256
from vault.core.errors import Malformed
from vault.core.exchanges import PutNote, StoredNote
from vault.core.sealed_values import is_padded_note

from .call import Call, Parts, signed
from .errors import Conflict


def check_padding(note: bytes) -> None:
    """Raises: Malformed, if the length of a sealed note shows more than its pages."""
    if not is_padded_note(note):
        raise Malformed("a sealed note has 29 bytes and a multiple of 4,096: update the client")


async def read(parts: Parts, call: Call) -> bytes:
    """GET /note."""
    call.without_body()
    async with signed(parts, call) as (transaction, _):
        return StoredNote(await transaction.note(call.account)).serialize()


async def write(parts: Parts, call: Call) -> bytes:
    """PUT /note: replace the note that the client has seen."""
    asked = PutNote.parse(call.body)
    check_padding(asked.note)
    async with signed(parts, call) as (transaction, _):
        before = await transaction.note(call.account)
        if not equal(asked.previous, b"" if before is None else sha256(before)):
            raise Conflict("the note has changed: read it again")
        await transaction.put_note(call.account, asked.note)
    return b""
