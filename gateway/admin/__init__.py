"""The admin listener: metrics, charts, health checks and devices, on a port of its own.

It has no login. So it listens on loopback unless a host is given, refuses requests for other host
names (a page in the operator's browser could use DNS rebinding), and is read-only. It shows no key,
code, name or plaintext. Only ``devices.py`` shows names and revokes, with the operator's key.
"""

import asyncio
import errno
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily

from gateway.clock import Clock
from gateway.errors import ConfigError, StoreUnavailable
from gateway.keys.keyring import KeyRing
from gateway.monitoring import metrics
from gateway.monitoring.audit import hashed, rfc3339
from gateway.monitoring.process_memory import ProcessMemory
from gateway.pages import LOOK, add_files, headers, only_for
from gateway.sessions.devices import DeviceOperators
from gateway.sessions.management import OpenSession
from gateway.stores import Store

from .devices import AdminDevices
from .figures import Figures, session_stats
from .history import History

__all__ = ["Admin"]

# HOST:PORT, a PORT on loopback, or a listening socket.
Place: TypeAlias = str | socket.socket

LOOPBACK = "127.0.0.1"
# Sessions in ``/session-stats?debug=true``.
MAX_SHOWN = 100
_PING_S = 1
_TIME_MS = re.compile(r"[0-9]{1,15}")
_HERE = Path(__file__).parent
_FILES = ("admin.css", "admin.js", "admin.svg", "charts.js", "devices.js", "series.js")
_HEADERS = headers()
_log = logging.getLogger("certless")


class Admin:
    """Serves the metrics in ``registry`` and the state of ``store``."""

    def __init__(
        self,
        place: Place,
        registry: CollectorRegistry,
        store: Store,
        keyring: KeyRing,
        clock: Clock,
        *,
        needs_keys: bool,
        troubles: Callable[[], list[str]] = list,
    ) -> None:
        """``needs_keys`` if logins need RSA pairs; ``troubles`` are reasons for not being ready.

        Raises: ConfigError.
        """
        self._place = place if isinstance(place, socket.socket) else _host_and_port(place)
        self._registry = registry
        self._store = store
        self._clock = clock
        self._operators = DeviceOperators(store, keyring, clock)
        self._devices = AdminDevices(self._operators, keyring)
        self._history = History(registry, store, clock)
        self._needs_keys = needs_keys
        self._troubles = troubles
        self._stopping = False
        registry.register(_OpenSessions(self._history))
        registry.register(ProcessMemory())

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve while the context is open. Raises: ConfigError, if it cannot listen."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await self._listen(runner)
            keeper = asyncio.create_task(self._history.keep())
            try:
                yield
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
        finally:
            await runner.cleanup()

    def stop(self) -> None:
        """Report not ready from now on."""
        self._stopping = True

    async def _listen(self, runner: web.AppRunner) -> None:
        if isinstance(self._place, socket.socket):
            await web.SockSite(runner, self._place).start()
        else:
            host, port = self._place
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                text = f"cannot listen on {host}:{port} for --admin: "
                text += error.strerror or "no such address"
                if error.errno == errno.EADDRINUSE:
                    text = f"port {port}, for --admin, is in use: stop the program on it, "
                    text += "or set another port"
                raise ConfigError(text) from None
        for host, port, *_ in runner.addresses:
            at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            _log.info("metrics at http://%s/", at)
            if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                _log.warning(
                    "the metrics at %s need no login: anyone who reaches that port can read them",
                    at,
                )

    def _app(self) -> web.Application:
        names = ["localhost"]
        if not isinstance(self._place, socket.socket):
            names.append(re.escape(self._place[0]))
        app = web.Application(middlewares=[only_for("|".join(names))])
        app.on_response_prepare.append(_harden)
        app.router.add_get("/", _page)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/session-stats", self._session_stats)
        app.router.add_get("/figures", self._figures)
        app.router.add_get("/healthz", _alive)
        app.router.add_get("/readyz", self._ready)
        self._devices.add_to(app)
        add_files(app, (LOOK, *(_HERE / name for name in _FILES)))
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        await self._history.count_sessions()
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        return web.Response(body=encode(self._registry), headers={hdrs.CONTENT_TYPE: content_type})

    async def _session_stats(self, request: web.Request) -> web.Response:
        active = await self._history.count_sessions()
        if active is None:
            return _unavailable()
        stats = session_stats(Figures.of(self._registry), active)
        if request.query.get("debug") == "true":
            try:
                shown = await self._operators.sessions(MAX_SHOWN)
            except StoreUnavailable:
                return _unavailable()
            stats["sessions"] = [
                _shown(session, await self._operators.tag_of(session.user)) for session in shown
            ]
        return web.json_response(stats)

    async def _figures(self, request: web.Request) -> web.Response:
        """``?after=`` is the ``at_ms`` of the last point that the page has."""
        after = request.query.get("after", "0")
        troubles = await self._current_troubles()
        content = {
            "now_ms": self._clock(),
            "points": self._history.after(int(after) if _TIME_MS.fullmatch(after) else 0),
            "stats": session_stats(Figures.of(self._registry), self._history.sessions),
            "troubles": troubles,
        }
        return web.json_response(content)

    async def _ready(self, _: web.Request) -> web.Response:
        troubles = await self._current_troubles()
        status = 503 if troubles else 200
        return web.json_response({"ready": not troubles, "troubles": troubles}, status=status)

    async def _current_troubles(self) -> list[str]:
        troubles = self._troubles()
        if self._stopping:
            troubles.append("the gateway is stopping")
        try:
            async with asyncio.timeout(_PING_S):
                await self._store.ping()
        except (StoreUnavailable, TimeoutError):
            troubles.append("the store does not answer")
        # An empty pool later only delays logins, so it does not make the gateway unready.
        generated = Figures.of(self._registry).total(f"{metrics.KEYS_GENERATED}_total")
        if self._needs_keys and not generated:
            troubles.append("the first RSA pair is not ready yet")
        return troubles


class _OpenSessions:
    """The number of sessions in the store, as a metric of the registry."""

    def __init__(self, history: History) -> None:
        self._history = history

    def collect(self) -> list[GaugeMetricFamily]:
        count = self._history.sessions
        if count is None:
            return []
        return [GaugeMetricFamily(metrics.SESSIONS_OPEN, "Sessions in the store", value=count)]


def _host_and_port(place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535 or (colon and not host):
        raise ConfigError(f"admin {place!r} must be PORT or HOST:PORT, e.g. {LOOPBACK}:8441")
    return host.strip("[]") or LOOPBACK, int(port)


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=(_HERE / "admin.html").read_text("utf-8"), content_type="text/html")


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


def _unavailable() -> web.Response:
    return web.json_response({"error": "the store does not answer"}, status=503)


def _shown(session: OpenSession, user_tag: bytes) -> dict[str, str | int | None]:
    return {
        "session": hashed(bytes.fromhex(session.id)),
        "user": user_tag.hex(),
        "suite": session.suite,
        "opened": None if session.opened_ms is None else rfc3339(session.opened_ms),
        "expires": rfc3339(session.expires_ms),
        "epoch": session.epoch,
        "fresh": session.fresh,
    }
