"""``certless request``: log in, send one request, print the response, log out."""

import argparse
import contextlib
import getpass
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certless.client import CLASSIC, DEFAULT_SUITE, SUITES, Client, ClientError, Response, Suite
from gateway.config.arguments import add_argument
from gateway.config.file import read_config
from gateway.config.options import default_of
from gateway.config.settings import find_dialect, http_url
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.typed_codes import read_classic_code, read_code
from protocol.hardened.suites import FRESHNESS

from .code import ask_code

# The part of a URL before its path, as browsers and yarl parse it.
_AUTHORITY = re.compile(r"\s*[A-Za-z]+://[^/?#]*")


def add_request(commands: Any) -> None:
    """Add the command to the parser."""
    request = commands.add_parser(
        "request", help="log in, send one request, and print the response"
    )
    request.add_argument("--login", metavar="NAME", required=True, help="user name or mail address")
    request.add_argument("--password", action="store_true", help="also ask for a password")
    request.add_argument(
        "--suite", choices=SUITES, help=f"default {DEFAULT_SUITE}, or classic with --dialect"
    )
    request.add_argument(
        "--fresh",
        choices=tuple(FRESHNESS),
        default="clock",
        help="freshness of messages: by time (clock) or by number (counter)",
    )
    for name in ("realm", "dialect", "prefix"):
        add_argument(request, name, f"the gateway's {name} (default {default_of(name)})")
    request.add_argument(
        "--config", metavar="FILE", help="gateway.toml to read realm, dialect and prefix from"
    )
    request.add_argument("-d", "--data", help="request body; @FILE reads a file")
    request.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'")
    request.add_argument("-i", "--include", action="store_true", help="print status and headers")
    request.add_argument("method", metavar="METHOD")
    request.add_argument("url", metavar="URL", help="e.g. http://127.0.0.1:8440/orders")
    request.set_defaults(run=_request)


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


def _suite(arguments: argparse.Namespace) -> Suite:
    return arguments.suite or (CLASSIC if arguments.dialect else DEFAULT_SUITE)


def _client(arguments: argparse.Namespace, url: str) -> Client:
    options = read_config(Path(arguments.config)) if arguments.config else {}
    suite = _suite(arguments)
    dialect = arguments.dialect
    if suite == CLASSIC:
        name = dialect or options.get("dialect", default_of("dialect"))
        dialect = find_dialect(name, options.get("dialects"))
    try:
        return Client(
            url,
            suite=suite,
            dialect=dialect,
            fresh=arguments.fresh,
            realm=arguments.realm or options.get("realm", default_of("realm")),
            prefix=arguments.prefix or options.get("prefix", default_of("prefix")),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


async def _request(arguments: argparse.Namespace) -> int:
    url = http_url(arguments.url)
    # The path as typed: parsing a URL loses differences that some servers see.
    typed = _AUTHORITY.sub("", arguments.url, count=1)
    if url is None:
        raise ConfigError(f"URL {arguments.url!r} must be like http://127.0.0.1:8440/orders")
    data, headers = _body(arguments.data)
    headers.update(_headers(arguments.header))
    password = getpass.getpass("Password: ") if arguments.password else None
    is_classic = _suite(arguments) == CLASSIC
    agreed = "--dialect" if is_classic else "--realm"
    read = read_classic_code if is_classic else read_code
    prompts = iter(
        [
            f"If {arguments.login} is allowed to log in, a mail with a code is on its way. If no\n"
            "mail arrives, the limit of 3 mails in 15 minutes may be used up: try again later.\n"
            "Paste the code: ",
            *[f"Not accepted (is {agreed} the same as the gateway's?). Paste the newest code: "]
            * (CODE_ATTEMPTS - 1),
        ]
    )

    async def code() -> str:
        text = await ask_code(next(prompts), read)
        if not text:
            raise ClientError(
                "no code was accepted: copy the whole line from the mail. If no mail came, the "
                "limit of 3 mails in 15 minutes may be used up: try again later"
            )
        return text

    async with _client(arguments, str(url.origin())) as client:
        await client.login(arguments.login, code=code, password=password, attempts=CODE_ATTEMPTS)
        try:
            response = await client.request(
                arguments.method,
                typed if typed.startswith("/") else f"/{typed}",
                headers=headers,
                data=data,
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        body = await response.read()
        with contextlib.suppress(ClientError):
            await client.logout()
    _show(response, body, arguments.include)
    return 0 if response.ok else 1


def _show(response: Response, body: bytes, include: bool) -> None:
    if include:
        lines = [
            f"{response.status}",
            *(on_one_line(f"{n}: {v}") for n, v in response.headers.items()),
        ]
        sys.stdout.write("\n".join(lines) + "\n\n")
        sys.stdout.flush()
    sys.stdout.buffer.write(body)
    if body and not body.endswith(b"\n") and sys.stdout.isatty():
        sys.stdout.write("\n")
    sys.stdout.flush()
    if not response.ok and not include:
        sys.stderr.write(f"certless: the response has the status {response.status}\n")
