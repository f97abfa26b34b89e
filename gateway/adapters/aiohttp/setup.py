"""``certless.setup`` and ``reverse_proxy``: in front of an aiohttp application; ``end_session``."""

from collections.abc import Iterable
from typing import Unpack

from aiohttp import web

from gateway.build import assemble
from gateway.config.options import default_of
from gateway.options import SetupOptions

from .app import ASSEMBLY, install
from .reverse_proxy import Proxy


def setup(app: web.Application, **options: Unpack[SetupOptions]) -> None:
    """Put Certless in front of every route of ``app``; call it once, before the app starts.

    ``users`` and ``mail`` must be given; docs/options.md lists all options.
    Raises: ConfigError, in one line.
    """
    install(app, assemble(**options))


async def end_session(app: web.Application, session_id: str, ticket_id: str = "") -> None:
    """End a session of the gateway in front of ``app``, for instance that of a lost device.

    ``session_id`` and ``ticket_id`` are ``Session.id`` and ``Session.ticket_id``. With the second,
    the ticket and a session that was resumed with it end too. Raises: GatewayError.
    """
    await app[ASSEMBLY].end_session(session_id, ticket_id)


def reverse_proxy(
    upstream: str,
    *,
    targets: Iterable[str] | None = None,
    upstream_host: str | None = None,
    **options: Unpack[SetupOptions],
) -> web.Application:
    """An application that is Certless in front of the API at the URL ``upstream``.

    ``targets`` are patterns of the paths to forward, all if it is None. ``upstream_host`` is the
    Host for the upstream, if not the client's; ``"upstream"`` means the host of ``upstream``.
    ``options`` are those of ``setup``. Raises: ConfigError, in one line.
    """
    app = web.Application()
    max_body_bytes = options.get("max_body_bytes", default_of("max_body_bytes"))
    max_stream_bytes = options.get("max_stream_bytes", default_of("max_stream_bytes"))
    proxy = Proxy(
        upstream,
        targets=targets,
        upstream_host=upstream_host,
        max_body_bytes=max_body_bytes,
        max_stream_bytes=max_stream_bytes,
    )
    install(app, assemble(**options), proxy.application)
    app.cleanup_ctx.append(proxy.lifespan)
    app.on_response_prepare.append(proxy.clean_headers)
    app.router.add_route("*", "/{path:.*}", proxy.forward)
    return app
