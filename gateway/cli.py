"""The command line: serve, demo, request.

What a person did wrong is one line that says what to do, and status 2; what went wrong elsewhere
is one line and status 1.
"""

import argparse
import asyncio
import contextlib
import getpass
import logging
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, NoReturn

import aiohttp

from protocol.codes import CODE_ATTEMPTS
from protocol.dialects import DEFAULT_DIALECT, DIALECTS

from . import __version__
from .client import Client, ClientError
from .config import DEFAULT_PREFIX, find_dialect, http_url
from .config_file import read_config
from .errors import ConfigError, GatewayError
from .serve import serve, told_to_stop


class _Parser(argparse.ArgumentParser):
    """One line for a wrong option, in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="certless", description="Encrypted, authenticated HTTP where TLS cannot go."
    )
    parser.add_argument("--version", action="version", version=f"certless {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    service = commands.add_parser("serve", help="put Certless in front of an HTTP API")
    service.add_argument("--listen", metavar="HOST:PORT", help="default 127.0.0.1:8440")
    service.add_argument("--upstream", metavar="URL", help="the API, e.g. http://127.0.0.1:9000")
    who = service.add_mutually_exclusive_group()
    who.add_argument("--users", metavar="FILE", help="TOML file of users and their addresses")
    who.add_argument(
        "--any-address", action="store_true", default=None, help="any mail address may log in"
    )
    service.add_argument("--mail", metavar="URL", help="smtp://…, dir:PATH, console:, webhook:URL")
    service.add_argument("--mail-from", metavar="ADDRESS", help="sender of the codes")
    service.add_argument("--site", metavar="NAME", help="what the mail calls this service")
    service.add_argument("--store", metavar="URL", help="memory: (default) or sqlite:PATH")
    service.add_argument("--key-file", metavar="FILE", help="seals the store; made on first start")
    service.add_argument("--dialect", metavar="NAME", help=f"default {DEFAULT_DIALECT}")
    service.add_argument(
        "--public", metavar="PATTERN", action="append", help="a route without login, e.g. /static/*"
    )
    service.add_argument(
        "--target",
        metavar="PATTERN",
        action="append",
        help="pass on these paths only; name public ones here as well",
    )
    service.add_argument(
        "--config", metavar="FILE", help="TOML file of all these, and own dialects"
    )
    service.set_defaults(run=serve)

    demo = commands.add_parser("demo", help="a gateway, a sample API and a mailbox to look into")
    demo.add_argument("--port", type=int, default=8440, help="the gateway; the next three are used")
    demo.add_argument("--dialect", choices=DIALECTS, default=DEFAULT_DIALECT)
    demo.set_defaults(run=_demo)

    request = commands.add_parser("request", help="log in and send one request, as curl would")
    request.add_argument("--login", metavar="NAME", required=True, help="user name or address")
    request.add_argument("--password", action="store_true", help="ask for a password as well")
    request.add_argument("--dialect", metavar="NAME", help="as the gateway's; default article-2016")
    request.add_argument("--prefix", metavar="PATH", help=f"as the gateway's; {DEFAULT_PREFIX}")
    request.add_argument("--config", metavar="FILE", help="dialect and prefix from gateway.toml")
    request.add_argument("-d", "--data", help="body; @FILE reads a file")
    request.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'")
    request.add_argument("-i", "--include", action="store_true", help="show status and headers")
    request.add_argument("method", metavar="METHOD")
    request.add_argument("url", metavar="URL", help="e.g. http://127.0.0.1:8440/orders")
    request.set_defaults(run=_request)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(not _is_text(argument) for argument in given):
        return _complain("an argument is not UTF-8; put such bytes in a file: -d @FILE", 2)
    options = _parser().parse_args(given)
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


def _is_text(argument: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _on_one_line(text: str) -> str:
    """Fit for a terminal: what comes from a server must not drive it."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"certless: {_on_one_line(text)}\n")
    return status


# --- demo ---------------------------------------------------------------------------------------


async def _demo(arguments: argparse.Namespace) -> int:
    try:
        from .demo import run  # noqa: PLC0415 (needs the extra "demo")
    except ModuleNotFoundError as error:
        raise ConfigError(f"the demo needs {error.name}: pip install 'certless[demo]'") from None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # aiosmtpd tells of every command.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    port = arguments.port
    step = 1 if port else 0  # port 0 stands for any that is free, for all four
    await run(
        port=port,
        mailbox_port=port + step,
        api_port=port + 2 * step,
        smtp_port=port + 3 * step,
        dialect=arguments.dialect,
        stop=told_to_stop(),
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
            content = Path(data[1:]).read_bytes()
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
    url = http_url(arguments.url)
    if url is None:
        raise ConfigError(f"URL {arguments.url!r} must be like http://127.0.0.1:8440/orders")
    data, headers = _body(arguments.data)
    headers.update(_headers(arguments.header))
    password = getpass.getpass("Password: ") if arguments.password else None

    options = read_config(Path(arguments.config)) if arguments.config else {}
    name = arguments.dialect or options.get("dialect", DEFAULT_DIALECT)
    dialect = find_dialect(name, options.get("dialects"))
    prefix = arguments.prefix or options.get("prefix", DEFAULT_PREFIX)
    prompts = iter(
        [
            f"If {arguments.login} may log in, a code is on its way (at most 3 in 15 minutes).\n"
            "Paste it here: ",
            *["Not accepted. Paste the newest code: "] * (CODE_ATTEMPTS - 1),
        ]
    )

    async def code() -> str:
        line = await _ask(next(prompts))
        if not line:
            raise ClientError("no code was accepted: copy the whole line from the mail")
        return line

    async with Client(str(url.origin()), dialect=dialect, prefix=prefix) as client:
        await client.login(arguments.login, code=code, password=password, attempts=CODE_ATTEMPTS)
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
        lines = [
            f"{response.status}",
            *(_on_one_line(f"{n}: {v}") for n, v in response.headers.items()),
        ]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
    sys.stdout.buffer.write(body)
    if body and not body.endswith(b"\n") and sys.stdout.isatty():
        sys.stdout.write("\n")
    sys.stdout.flush()
    if not response.ok and not arguments.include:
        sys.stderr.write(f"certless: the answer is {response.status}\n")
    return 0 if response.ok else 1
