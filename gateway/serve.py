"""``certless serve``: the reverse proxy as a service, from options to the last request."""

import argparse
import asyncio
import errno
import logging
import signal
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from protocol.dialects import DEFAULT_DIALECT

from . import AnyAddress, reverse_proxy
from .aiohttp_app import OUTCOME
from .config import find_dialect
from .config_file import read_config
from .delivery import SmtpDelivery, delivery_from_url
from .errors import ConfigError
from .requirements import CLASSIC, SUITES

_log = logging.getLogger("certless")

CLASSIC_WARNING = (
    "classic hides content from those who listen; it cannot show that a message was changed, "
    "nor that a page was, and a session's stolen key opens the whole session (PROTOCOL §10)"
)


class AccessLog(AbstractAccessLogger):
    """One line a request: no query, no header, nothing from inside a seal."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        path = request.rel_url.raw_path.encode("ascii", "backslashreplace").decode()
        outcome = request.get(OUTCOME, "public")
        self.logger.info(
            "%s %s %s %d %.1fms %s",
            request.remote,
            request.method,
            path[:200],
            response.status,
            time * 1000,
            outcome,
        )


def host_and_port(listen: str) -> tuple[str, int]:
    """``HOST:PORT`` in its parts. Raises: ConfigError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"listen {listen!r} must be HOST:PORT, e.g. 127.0.0.1:8440")
    return host.strip("[]"), int(port)


def _suites(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]


def _demands(texts: list[str] | None) -> dict[str, str] | None:
    """``--require PATTERN=SUITE``, as often as there are such routes."""
    if texts is None:
        return None
    demands = {}
    for text in texts:
        pattern, equals, suite = text.rpartition("=")
        if not equals:
            raise ConfigError(f"require {text!r} must be PATTERN=SUITE, e.g. /admin/*=ecdh-gcm")
        demands[pattern] = suite
    return demands


def application(options: dict[str, Any]) -> web.Application:
    """The gateway of ``options``, which are used up; all but ``listen``. Raises: ConfigError."""
    own_dialects = options.pop("dialects", {})
    name = options.pop("dialect", None) or DEFAULT_DIALECT
    any_address = options.pop("any_address", None)
    users = options.pop("users", None)
    if bool(any_address) == bool(users):
        raise ConfigError("say who may log in: --users FILE or --any-address, one of them")
    for option, example in (("upstream", "http://127.0.0.1:9000"), ("mail", "console:")):
        if not options.get(option):
            raise ConfigError(f"--{option} is missing, e.g. --{option} {example}")
    return reverse_proxy(
        users=AnyAddress() if any_address else users,
        dialect=find_dialect(name, own_dialects),
        **options,
    )


def service_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the arguments set over the config file, by the names of gateway.toml.

    ``listen``, ``site`` and ``suites`` are always there. Raises: ConfigError.
    """
    options = read_config(Path(arguments.config)) if arguments.config else {}
    given = {
        "listen": arguments.listen,
        "upstream": arguments.upstream,
        "users": arguments.users,
        "any_address": arguments.any_address,
        "mail": arguments.mail,
        "mail_from": arguments.mail_from,
        "site": arguments.site,
        "store": arguments.store,
        "key_file": arguments.key_file,
        "dialect": arguments.dialect,
        "public": arguments.public,
        "realm": arguments.realm,
        "suites": _suites(arguments.suites),
        "require": _demands(arguments.require),
        "targets": arguments.target,
        "trusted_proxies": arguments.trusted_proxy,
        "admin": arguments.admin,
        "audit": arguments.audit,
    }
    if arguments.users or arguments.any_address:
        options.pop("users", None)
        options.pop("any_address", None)
    options.update({name: value for name, value in given.items() if value is not None})
    host, port = host_and_port(options.setdefault("listen", "127.0.0.1:8440"))
    options.setdefault("site", f"the service at {host}:{port}")
    options.setdefault("suites", list(SUITES))
    return options


async def serve(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status. Raises: ConfigError, StoreUnavailable."""
    options = service_options(arguments)
    host, port = host_and_port(options.pop("listen"))
    mail = options.get("mail", "")
    upstream = options.get("upstream")
    suites = options["suites"]
    app = application(options)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # The access log says it on the line of the request.
    logging.getLogger("certless.refused").disabled = True
    runner = web.AppRunner(
        app,
        access_log_class=AccessLog,
        access_log=_log,
        handle_signals=False,
        # What was refused unread is thrown away unread, not inflated first.
        auto_decompress=False,
        lingering_time=2,
    )
    await runner.setup()
    try:
        await _listen(runner, host, port)
        stop = told_to_stop()
        if CLASSIC in suites:
            _log.warning(CLASSIC_WARNING)
        await _try_smtp(mail)
        for address in runner.addresses:
            _log.info("serving http://%s in front of %s", _written(address), upstream)
        await stop.wait()
        _log.info("stopping")
    finally:
        await runner.cleanup()
    return 0


def _written(address: Any) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} is in use: end what listens there, or choose another --listen"
        else:
            text = f"cannot listen on {host}:{port}: {error.strerror or 'no such address'}"
        raise ConfigError(text) from None


async def _try_smtp(mail: str) -> None:
    """Say early that a mail server does not answer; logins are served and mails kept meanwhile."""
    delivery = delivery_from_url(mail, "certless@localhost")
    if isinstance(delivery, SmtpDelivery) and not await delivery.answers():
        _log.warning(
            "SMTP server %s does not answer: codes wait until it does; is --mail right?",
            delivery.server,
        )


def told_to_stop() -> asyncio.Event:
    """Set once this process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
