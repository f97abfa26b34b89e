"""An upstream that logs every order that it runs: ``python journal_upstream.py PORT FILE``.

It is a separate program, so that it survives the gateway in front of it. It does not use Certless.
"""

import os
import sys

from aiohttp import web


def main(port: int, path: str) -> None:
    journal = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def order(request: web.Request) -> web.Response:
        fields = await request.json()
        identity = fields.get("id", "none")
        os.write(journal, f"{identity}\n".encode())
        seen = {"id": identity, "user": request.headers.get("X-Certless-User")}
        return web.json_response(seen, status=201)

    app = web.Application()
    app.router.add_post("/orders", order)
    web.run_app(app, host="127.0.0.1", port=port, print=lambda _: None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
