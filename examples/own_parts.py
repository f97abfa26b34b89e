"""Your own directory and mail transport, with a password as the second check.

``python examples/own_parts.py``; log in as ann with the password "correct horse".
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from aiohttp import web

import certless

SALT = b"use one salt per user in production"


def digest(password: str) -> bytes:
    return hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1)


class Customers(certless.Directory):
    """The users. In production, use a database."""

    def __init__(self) -> None:
        self._digests = {"ann": digest("correct horse")}

    async def find(self, username: str) -> certless.Account | None:
        known = username in self._digests
        return certless.Account(username, (f"{username}@example.org",)) if known else None

    async def check(self, account: certless.Account, payload: Mapping[str, Any]) -> bool:
        password = str(payload.get("password", ""))
        return hmac.compare_digest(digest(password), self._digests[account.name])


class Pager(certless.MailTransport):
    """Delivers the codes, in any way that reaches the user."""

    async def deliver(self, address: str, mail: certless.CodeMail) -> None:
        print(f"to {address}:\n{mail.text}", flush=True)


async def whoami(request: web.Request) -> web.Response:
    return web.json_response({"user": request[certless.USER]})


app = web.Application()
app.router.add_get("/whoami", whoami)
certless.setup(app, users=Customers(), mail=Pager())

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8440)
