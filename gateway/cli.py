"""The command line: serve, demo, request.

What a person did wrong is one line that says what to do, and status 2; what went wrong elsewhere
is one line and status 1.
"""

import argparse
import asyncio
import contextlib
import errno
import getpass
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from yarl import URL

from protocol.dialects import DEFAULT_DIALECT, DIALECTS

from . import AnyAddress, reverse_proxy
from .client import Client, ClientError
from .config import find_dialect
from .config_file import read_config
from .delivery import SmtpDelivery, delivery_from_url
from .errors import ConfigError, GatewayError
from .middleware import OUTCOME

_log = logging.getLogger("certless")

CLASSIC_WARNING = (
    "classic hides content from those who listen; it cannot show that a message was changed, "
    "nor that a page was, and a session's stolen key opens the whole session (PROTOCOL §10)"
)


class _Parser(argparse.ArgumentParser):
    """One line for a wrong option, in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="certless", description="Encrypted, authenticated HTTP where TLS cannot go."
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    serve = commands.add_parser("serve", help="put Certless in front of an HTTP API")
    serve.add_argument("--listen", metavar="HOST:PORT", help="default 127.0.0.1:8440")
    serve.add_argument("--upstream", metavar="URL", help="the API, e.g. http://127.0.0.1:9000")
    who = serve.add_mutually_exclusive_group()
    who.add_argument("--users", metavar="FILE", help="TOML file of users and their addresses")
    who.add_argument(
        "--any-address", action="store_true", default=None, help="any mail address may log in"
    )
    serve.add_argument("--mail", metavar="URL", help="smtp://…, dir:PATH, console:, webhook:URL")
    serve.add_argument("--mail-from", metavar="ADDRESS", help="sender of the codes")
    serve.add_argument("--site", metavar="NAME", help="what the mail calls this service")
    serve.add_argument("--store", metavar="URL", help="memory: (default) or sqlite:PATH")
    serve.add_argument("--key-file", metavar="FILE", help="seals the store; made on first start")
    serve.add_argument("--dialect", metavar="NAME", help=f"default {DEFAULT_DIALECT}")
    serve.add_argument(
        "--public", metavar="PATTERN", action="append", help="a route without login, e.g. /static/*"
    )
    serve.add_argument(
        "--target", metavar="PATTERN", action="append", help="pass on these paths only"
    )
    serve.add_argument("--config", metavar="FILE", help="TOML file of all these, and own dialects")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="a gateway, a sample API and a mailbox to look into")
    demo.add_argument("--port", type=int, default=8440, help="the gateway; the next three are used")
    demo.add_argument("--dialect", choices=DIALECTS, default=DEFAULT_DIALECT)
    demo.set_defaults(run=_demo)

    request = commands.add_parser("request", help="log in and send one request, as curl would")
    request.add_argument("--login", metavar="NAME", required=True, help="user name or address")
    request.add_argument("--password", action="store_true", help="ask for a password as well")
    request.add_argument("--dialect", choices=DIALECTS, default=DEFAULT_DIALECT)
    request.add_argument("-d", "--data", help="body; @FILE reads a file, @- standard input")
    request.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'")
    request.add_argument("-i", "--include", action="store_true", help="show status and headers")
    request.add_argument("method", metavar="METHOD")
    request.add_argument("url", metavar="URL", help="e.g. http://127.0.0.1:8440/orders")
    request.set_defaults(run=_request)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    run: Coroutine[Any, Any, int] = options.run(options)
    try:
        return asyncio.run(run)
    except ConfigError as error:
        return _complain(str(error), 2)
    except (GatewayError, ClientError) as error:
        return _complain(str(error), 1)
    except aiohttp.ClientError as error:
        return _complain(f"no answer: {error}; is the gateway running there?", 1)
    except TimeoutError:
        return _complain("no answer in time; is the gateway running there?", 1)
    except KeyboardInterrupt:
        return 130


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"certless: {' '.join(text.split())}\n")
    return status


# --- serve --------------------------------------------------------------------------------------


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


def _host_and_port(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"listen {listen!r} must be HOST:PORT, e.g. 127.0.0.1:8440")
    return host.strip("[]"), int(port)


def _application(options: dict[str, Any]) -> web.Application:
    own_dialects = options.pop("dialects", {})
    name = options.pop("dialect", None) or DEFAULT_DIALECT
    any_address = options.pop("any_address", None)
    users = options.pop("users", None)
    if bool(any_address) == bool(users):
        raise ConfigError("say who may log in: --users FILE or --any-address, one of them")
    for option in ("upstream", "mail"):
        if not options.get(option):
            raise ConfigError(f"--{option} is missing")
    return reverse_proxy(
        users=AnyAddress() if any_address else users,
        dialect=find_dialect(name, own_dialects),
        **options,
    )


async def _serve(arguments: argparse.Namespace) -> int:
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
        "targets": arguments.target,
    }
    if arguments.users or arguments.any_address:
        options.pop("users", None)
        options.pop("any_address", None)
    options.update({name: value for name, value in given.items() if value is not None})
    host, port = _host_and_port(options.pop("listen", "127.0.0.1:8440"))
    options.setdefault("site", f"the service at {host}:{port}")
    mail = options.get("mail", "")
    upstream = options.get("upstream")
    app = _application(options)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    runner = web.AppRunner(app, access_log_class=AccessLog, access_log=_log, handle_signals=False)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        _log.warning(CLASSIC_WARNING)
        await _try_smtp(mail)
        for address in runner.addresses:
            _log.info("serving http://%s in front of %s", _written(address), upstream)
        await _until_told_to_stop()
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


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


# --- demo ---------------------------------------------------------------------------------------


async def _demo(arguments: argparse.Namespace) -> int:
    try:
        from . import demo  # noqa: PLC0415 (needs the extra "demo")
    except ModuleNotFoundError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install 'certless[demo]'") from None
    port = arguments.port
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await demo.run(
        port=port,
        mailbox_port=port + 1,
        api_port=port + 2,
        smtp_port=port + 3,
        dialect=arguments.dialect,
        stop=stop,
        announce=_announce,
    )
    return 0


def _announce(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- request ------------------------------------------------------------------------------------


async def _ask(prompt: str) -> str:
    # The prompt goes to stderr: stdout is the answer's.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return await asyncio.to_thread(sys.stdin.readline)


def _body(data: str | None) -> tuple[bytes | None, dict[str, str]]:
    if data is None:
        return None, {}
    if data.startswith("@"):
        try:
            content = sys.stdin.buffer.read() if data == "@-" else Path(data[1:]).read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {data[1:]}: {error.strerror}") from None
        return content, {"Content-Type": "application/octet-stream"}
    is_json = data.lstrip()[:1] in ("{", "[")
    return data.encode(), {"Content-Type": "application/json" if is_json else "text/plain"}


def _headers(lines: Sequence[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"header {line!r} must be 'NAME: VALUE'")
        headers[name.strip()] = value.strip()
    return headers


async def _request(arguments: argparse.Namespace) -> int:
    url = URL(arguments.url)
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"URL {arguments.url!r} must be like http://127.0.0.1:8440/orders")
    data, headers = _body(arguments.data)
    headers.update(_headers(arguments.header))
    password = getpass.getpass("Password: ") if arguments.password else None

    async def code() -> str:
        return await _ask(f"A code is on its way to {arguments.login}. Paste it here: ")

    async with Client(str(url.origin()), dialect=arguments.dialect) as client:
        await client.login(arguments.login, code=code, password=password)
        try:
            response = await client.request(
                arguments.method, url.raw_path_qs, headers=headers, data=data
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        body = await response.read()
        with contextlib.suppress(ClientError, aiohttp.ClientError):
            await client.logout()
    if arguments.include:
        lines = [f"{response.status}", *(f"{n}: {v}" for n, v in response.headers.items())]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
    sys.stdout.buffer.write(body)
    if body and not body.endswith(b"\n") and sys.stdout.isatty():
        sys.stdout.write("\n")
    sys.stdout.flush()
    if not response.ok and not arguments.include:
        sys.stderr.write(f"certless: the answer is {response.status}\n")
    return 0 if response.ok else 1
