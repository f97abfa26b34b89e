"""A gateway with a vault in a process of its own, which dies at a chosen step of a change.

``GET /arm/N`` makes it kill itself before step N of the next change: -1 for never. It counts each
statement, each commit and each response from the first request of the change on. ``GET /steps``
returns the count.
"""

from typing import Any

from aiohttp import web
from deadly_steps import Steps
from sqlalchemy import event
from sqlalchemy.engine import Engine

import certless
import vault
from gateway.policy.rates import RATES

_CHANGES = {
    ("PUT", "/vault/account"),
    ("PUT", "/vault/temporary"),
    ("POST", "/vault/change"),
}


class Armed:
    """The steps of the next change."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.has_begun = False

    def arm(self, kill_at: int) -> None:
        self.steps, self.has_begun = Steps(kill_at), False

    def __call__(self, *_: Any) -> None:
        if self.has_begun:
            self.steps()


def serve(port: int, database: str, key_file: str, mails: str) -> None:
    """Serve on ``port`` until the end of the process."""
    armed = Armed()
    event.listen(Engine, "before_cursor_execute", armed)
    event.listen(Engine, "commit", armed)

    @web.middleware
    async def counting(request: web.Request, handler: Any) -> Any:
        is_inside = request.get(certless.SESSION) is not None
        if is_inside and (request.method, request.path) in _CHANGES:
            armed.has_begun = True
        response = await handler(request)
        # Not for /steps itself, which comes when the change is over.
        if is_inside:
            armed()
        return response

    async def arm(request: web.Request) -> web.Response:
        armed.arm(int(request.match_info["at"]))
        return web.Response()

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(armed.steps.count))

    async def notify(username: str, notice: vault.Notice) -> None:
        """The tests of this process need no mail."""

    app = web.Application()
    vault.setup(app, database=database, key_file=key_file, notify=notify)
    app.router.add_get("/arm/{at}", arm)
    app.router.add_get("/steps", count)
    limits: dict[str, Any] = dict.fromkeys(RATES, "none")
    certless.setup(
        app,
        users=certless.AnyAddress(),
        mail=f"dir:{mails}",
        suites=("ecdh-gcm",),
        require={"/vault/*": "ecdh-gcm"},
        public=["/arm/*", "/steps"],
        mail_limit=1000,
        **limits,
    )
    # After the gateway's, so that it sees the requests inside the seal.
    app.middlewares.append(counting)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)
