"""A service that confirms logins, for ``--second-check http://127.0.0.1:9100/check``.

Start it with the secret in CERTLESS_SECOND_CHECK_SECRET. It asks on its terminal.
"""

import asyncio
import hashlib
import hmac
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Approve = Callable[[str, dict[str, Any]], Awaitable[bool]]


def is_signed(secret: str, header: str, body: bytes) -> bool:
    fields = dict(part.partition("=")[::2] for part in header.split(","))
    time_s, given = fields.get("t", ""), fields.get("v1", "")
    expected = hmac.new(secret.encode(), f"{time_s}.".encode() + body, hashlib.sha256).hexdigest()
    is_fresh = time_s.isdecimal() and abs(time.time() - int(time_s)) < 300
    return hmac.compare_digest(given.encode(), expected.encode()) and is_fresh


def service(secret: str, approve: Approve) -> web.Application:
    async def check(request: web.Request) -> web.Response:
        body = await request.read()
        if not is_signed(secret, request.headers.get("Certless-Signature", ""), body):
            return web.json_response({"ok": False}, status=403)
        question = json.loads(body)
        return web.json_response({"ok": await approve(question["username"], question["members"])})

    app = web.Application()
    app.router.add_post("/check", check)
    return app


async def ask_here(username: str, members: dict[str, Any]) -> bool:
    sent = ", ".join(members)
    return await asyncio.to_thread(input, f"Is it {username} (sent: {sent})? ") == "yes"


if __name__ == "__main__":
    web.run_app(
        service(os.environ["CERTLESS_SECOND_CHECK_SECRET"], ask_here), host="127.0.0.1", port=9100
    )
