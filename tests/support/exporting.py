"""Applications whose handler answers with an exported value, in both frameworks.

``python exporting.py FRAMEWORK PORT MAIL STORE KEYS`` is a process with one of them.
"""

import sys
from typing import Any

import frameworks
import uvicorn
from aiohttp import web
from frameworks import Seen, application

import certless
from gateway.adapters.asgi.app import Certless
from gateway.adapters.asgi.inner import ASGIApp

LABEL = "shop.example device"


def exporting_app() -> web.Application | ASGIApp:
    """``/value`` exports for the context of its query, or returns the error."""

    def value(seen: Seen) -> Any:
        try:
            exported = seen.session.export(LABEL, seen.query.get("context", "").encode())
        except certless.ExporterUnavailable as error:
            return {"error": str(error)}
        return {"value": exported.hex(), "session": seen.session.id}

    return application({"/value": value})


def main() -> None:
    frameworks.current, port, mail, store, keys = sys.argv[1:]
    app, users = exporting_app(), certless.AnyAddress()
    if isinstance(app, web.Application):
        certless.setup(app, users=users, mail=mail, store=store, key_file=keys)
        web.run_app(app, host="127.0.0.1", port=int(port), print=None, access_log=None)
    else:
        outer = Certless(app, users=users, mail=mail, store=store, key_file=keys)
        uvicorn.run(outer, host="127.0.0.1", port=int(port), log_level="critical", http="h11")


if __name__ == "__main__":
    main()
