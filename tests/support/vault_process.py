"""A gateway with a vault in a process of its own, which dies at a chosen step of a change.

``python vault_process.py PORT DATABASE KEY_FILE MAILS KILL_AT``: from the first request for a
change on, the process counts its steps: each statement, each commit, and each answer. It kills
itself like ``kill -9`` before step KILL_AT, or never if that is -1. GET /steps returns the count.
"""

import os
import signal
import sys
from typing import Any

from aiohttp import web
from sqlalchemy import event
from sqlalchemy.engine import Engine

import certless
import vault


class Steps:
    """Counts the steps, and dies at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self.begun = False
        self._kill_at = kill_at

    def __call__(self, *_: Any) -> None:
        if self.begun:
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1


def main() -> None:
    port, database, key_file, mails, kill_at = sys.argv[1:]
    steps = Steps(int(kill_at))
    event.listen(Engine, "before_cursor_execute", steps)
    event.listen(Engine, "commit", steps)

    @web.middleware
    async def counting(request: web.Request, handler: Any) -> Any:
        if request.get(certless.SESSION) is not None and request.path.startswith("/vault/change"):
            steps.begun = True
        response = await handler(request)
        steps()
        return response

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(steps.count))

    async def notify(username: str, notice: vault.Notice) -> None:
        """The tests of this process need no mail."""

    app = web.Application()
    vault.setup(app, database=database, key_file=key_file, notify=notify)
    app.router.add_get("/steps", count)
    certless.setup(
        app,
        users=certless.AnyAddress(),
        mail=f"dir:{mails}",
        require={"/vault/*": "ecdh-gcm"},
        public=["/steps"],
        logins_per_user="none",
        mail_limit=100,
    )
    # After the gateway's, so that it sees the requests inside the seal.
    app.middlewares.append(counting)
    web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)


if __name__ == "__main__":
    main()
