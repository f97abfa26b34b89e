"""One request to the vault, and the check of its signature (VAULT §7)."""

import base64
import binascii
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from protocol.common.primitives import equal
from vault.core import statements
from vault.core.account import Owner
from vault.core.errors import Malformed
from vault.core.primitives import SEED_BYTES, SigningKey, is_signature

from .buckets import Buckets
from .errors import Conflict, Refused
from .notices import Event, Notice, Notify
from .server_key import ServerKey
from .store.database import Database
from .store.records import StoredAccount
from .store.transaction import Transaction

_log = logging.getLogger("certless.vault")

SIGNATURE_FIELD = "Vault-Signature"
_SIGNATURE_CHARS = 86
# Checked for users without an account. Its private half is not kept.
DECOY_KEY = SigningKey.of(secrets.token_bytes(SEED_BYTES)).public


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers of requests use.

    ``end_session`` ends a session of the gateway and its ticket, by their ids.
    """

    database: Database
    key: ServerKey
    clock: Callable[[], int]
    notify: Notify
    end_session: Callable[[str, str], Awaitable[None]]
    buckets: Buckets


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as its session and its seal have authenticated it.

    ``exported`` is e of the session, ``session`` its id, ``ticket`` the id of its ticket, and
    ``signature`` the header field.
    """

    owner: Owner
    session: str
    exported: bytes = field(repr=False)
    method: str
    target: str
    body: bytes = field(repr=False)
    signature: str | None = None
    ticket: str = ""

    @property
    def account(self) -> bytes:
        """The name of the user's account, whether there is one or not."""
        return self.owner.account

    async def tell(self, parts: Parts, event: Event) -> None:
        """Send the user a notice about what has happened. A failure of the mail undoes nothing."""
        try:
            await parts.notify(self.owner.username, Notice(event))
        except Exception as error:  # the application's function can raise anything
            _log.error("no mail about a vault (%s): %s", event, type(error).__name__)

    def without_body(self) -> None:
        """Raises: Malformed, if there is a body."""
        if self.body:
            raise Malformed("this request has no body")

    def signed_by(self, head: bytes) -> bool:
        """Whether the head key signed the request. Raises: Malformed."""
        parts = (self.exported, self.account, self.method, self.target, self.body)
        return is_signature(head, _signature(self.signature), statements.request(*parts))


@asynccontextmanager
async def signed(parts: Parts, call: Call) -> AsyncIterator[tuple[Transaction, StoredAccount]]:
    """A transaction in which the account is locked, and its head key signed the request.

    Raises: Refused, Malformed, Unavailable.
    """
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
        is_right = call.signed_by(DECOY_KEY if account is None else account.head)
        if account is None or not is_right:
            raise Refused
        yield transaction, account


def check_revision(account: StoredAccount, revision: bytes) -> None:
    """Raises: Conflict."""
    if not equal(account.revision, revision):
        raise Conflict("the account has changed: read it again")


def _signature(text: str | None) -> bytes:
    if text is None or len(text) != _SIGNATURE_CHARS:
        raise Malformed(f"the request needs the header field {SIGNATURE_FIELD}, 86 characters")
    try:
        signature = base64.b64decode(text + "==", altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    # A signature has one spelling: neither the standard alphabet nor other unused bits.
    if base64.urlsafe_b64encode(signature).decode() != text + "==":
        raise Malformed(f"the header field {SIGNATURE_FIELD} must be base64url without padding")
    return signature
