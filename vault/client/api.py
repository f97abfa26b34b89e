"""The requests of the vault over a session, signed or not (VAULT §7, §14)."""

import base64
import hmac

from certless.client import Client
from vault.core.account import EXPORT_LABEL, AccountKey
from vault.core.errors import Malformed
from vault.core.exchanges import ErrorBody
from vault.core.statements import request

from .errors import VaultRefused

_TYPE = {"Content-Type": "application/msgpack"}


class Api:
    """The vault below ``prefix``, in the session of ``client``."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def exported(self) -> bytes:
        """e of the present session (32 bytes). Raises: NotLoggedIn."""
        return self._client.export(EXPORT_LABEL)

    async def plain(self, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the response to a request that is not signed. Raises: VaultRefused."""
        return await self._send(method, path, {}, body)

    async def signed(self, key: AccountKey, method: str, path: str, body: bytes = b"") -> bytes:
        """The body of the response to a request that ``key`` signs. Raises: VaultRefused."""
        exported = self.exported()
        try:
            return await self._send(
                method, path, self._signed(key, exported, method, path, body), body
            )
        except VaultRefused as error:
            # A new session between the signature and the request has another value.
            now = self.exported()
            if error.code != "refused" or hmac.compare_digest(now, exported):
                raise
        return await self._send(method, path, self._signed(key, now, method, path, body), body)

    def _signed(
        self, key: AccountKey, exported: bytes, method: str, path: str, body: bytes
    ) -> dict[str, str]:
        statement = request(exported, key.account, method, self._prefix + path, body)
        signature = base64.urlsafe_b64encode(key.head.sign(statement)).rstrip(b"=")
        return {"Vault-Signature": signature.decode()}

    async def _send(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        typed = {**_TYPE, **headers} if body else headers
        response = await self._client.request(
            method, self._prefix + path, headers=typed, data=body or None
        )
        answer = await response.read()
        if 200 <= response.status < 300:
            return answer
        try:
            code = ErrorBody.parse(answer).error
        except Malformed:
            code = ""
        raise VaultRefused(response.status, code)
