"""``certless request``: log in, send one request, print the response, log out.

With ``--tickets`` it does not log out, because that would delete the ticket.
"""

import argparse
import contextlib
import getpass
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from certless.client import (
    CLASSIC,
    DEFAULT_SUITE,
    SUITES,
    Client,
    ClientError,
    NotLoggedIn,
    Response,
    StreamResponse,
    Suite,
    TicketNotAccepted,
)
from gateway.config.arguments import add_argument
from gateway.config.file import read_config
from gateway.config.options import default_of
from gateway.config.settings import find_dialect, http_url
from gateway.errors import ConfigError
from gateway.logs import on_one_line
from protocol.common.codes import CODE_ATTEMPTS
from protocol.common.typed_codes import read_classic_code, read_code
from protocol.hardened.suites import FRESHNESS

from .code import ask_code, terminal
from .redirects import MAX_REDIRECTS, REDIRECTS, Call, redirected
from .request_body import add_body_arguments, body_of
from .response_output import show
from .terminal import ProgressBar

# The part of a URL before its path, as browsers and yarl parse it.
_AUTHORITY = re.compile(r"\s*[A-Za-z]+://[^/?#]*")


def add(commands: Any) -> None:
    """Add the command to the parser."""
    request = commands.add_parser(
        "request", help="log in, send one request, and print the response"
    )
    request.add_argument(
        "--login",
        metavar="NAME",
        help="user name or mail address; not necessary with a valid ticket",
    )
    request.add_argument(
        "--device", metavar="NAME", help="log in with the code that an operator issued for a device"
    )
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
    add_body_arguments(request)
    request.add_argument("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'")
    request.add_argument("-i", "--include", action="store_true", help="print status and headers")
    request.add_argument(
        "-o", "--output", metavar="FILE", help="write the body to a file while it arrives"
    )
    request.add_argument(
        "-L", "--location", action="store_true", help="follow redirects within the session"
    )
    request.add_argument(
        "--tickets",
        metavar="FILE",
        help="log in without a code by the ticket in this file, and store the next one there",
    )
    request.add_argument("--cookies", metavar="FILE", help="read and store cookies in this file")
    request.add_argument("method", metavar="METHOD")
    request.add_argument("url", metavar="URL", help="e.g. http://127.0.0.1:8440/orders")
    request.set_defaults(run=_request, errors=(ClientError,))


def _headers(lines: Sequence[str]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ConfigError(f"header {line!r} must be 'NAME: VALUE'")
        headers[name.strip()] = value.strip()
    return headers


def _with_own(ours: Mapping[str, str], own: dict[str, str]) -> dict[str, str]:
    """The headers of the body and those of the user, which replace ours, in any case."""
    named = {name.lower() for name in own}
    return {**{name: value for name, value in ours.items() if name.lower() not in named}, **own}


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
            tickets=arguments.tickets,
            cookies=True if arguments.cookies is None else arguments.cookies,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


async def _request(arguments: argparse.Namespace) -> int:
    if arguments.login is None and arguments.tickets is None:
        raise ConfigError("--login is missing: give the user name, or a ticket with --tickets")
    url = http_url(arguments.url)
    # The path as typed: parsing a URL loses differences that some servers see.
    typed = _AUTHORITY.sub("", arguments.url, count=1)
    if url is None:
        raise ConfigError(f"URL {arguments.url!r} must be like http://127.0.0.1:8440/orders")
    body = await body_of(arguments)
    is_classic = _suite(arguments) == CLASSIC
    if is_classic and body.is_upload:
        raise ConfigError("classic has no streams: send a smaller body with -d, --json or -F")
    call = Call(
        arguments.method.upper(),
        typed if typed.startswith("/") else f"/{typed}",
        _with_own(body.headers, _headers(arguments.header)),
        body,
    )
    origin = str(url.origin())
    async with _client(arguments, origin) as client:
        await _log_in(client, arguments)
        try:
            status = await _send(client, call, arguments, origin, has_streams=not is_classic)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if arguments.tickets is None:
            with contextlib.suppress(ClientError):
                await client.logout()
    return 0 if status < 400 else 1


async def _log_in(client: Client, arguments: argparse.Namespace) -> None:
    """By the ticket if there is one, otherwise by a code."""
    if arguments.tickets is not None:
        try:
            await client.resume()
        except (NotLoggedIn, TicketNotAccepted) as error:
            if arguments.login is None:
                raise ConfigError(f"{error}, with --login") from None
            if isinstance(error, TicketNotAccepted):
                sys.stderr.write(f"certless: {error}\n")
        else:
            return
    password = getpass.getpass("Password: ") if arguments.password else None
    code = _code_source(arguments)
    try:
        await client.login(
            arguments.login,
            code=code,
            password=password,
            attempts=CODE_ATTEMPTS,
            device=arguments.device,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _code_source(arguments: argparse.Namespace) -> Callable[[], Awaitable[str]]:
    is_classic = _suite(arguments) == CLASSIC
    agreed = "--dialect" if is_classic else "--realm"
    read = read_classic_code if is_classic else read_code
    by_mail = (
        f"If {arguments.login} is allowed to log in, a mail with a code is on its way. If no\n"
        "mail arrives, the limit of 3 mails in 15 minutes may be used up: try again later.\n"
        "Paste the code: "
    )
    prompts = iter(
        [
            f"Code for {on_one_line(arguments.device)}: " if arguments.device else by_mail,
            *[f"Not accepted (is {agreed} the same as the gateway's?). Paste the newest code: "]
            * (CODE_ATTEMPTS - 1),
        ]
    )
    # Standard input is the body.
    source = terminal() if arguments.upload_file == "-" else sys.stdin

    async def code() -> str:
        text = await ask_code(next(prompts), read, source)
        if not text:
            raise ClientError(
                "no code was accepted: copy the whole line from the mail. If no mail came, the "
                "limit of 3 mails in 15 minutes may be used up: try again later"
            )
        return text

    return code


async def _send(
    client: Client, call: Call, arguments: argparse.Namespace, origin: str, *, has_streams: bool
) -> int:
    """Send ``call``, follow redirects if that was asked for, and show the response; its status.

    Raises: ValueError, for a request that cannot be sealed; ConfigError, ClientError.
    """
    for _ in range(MAX_REDIRECTS + 1):
        is_streamed = has_streams and (
            call.body.data is None or call.body.is_upload or arguments.output is not None
        )
        async with _sent(client, call, is_streamed=is_streamed) as response:
            location = response.headers.get("Location")
            following = None
            if arguments.location and response.status in REDIRECTS and location is not None:
                following = redirected(call, response.status, location, origin)
                if following is None:
                    sys.stderr.write(
                        f"certless: not followed, because it is another origin: "
                        f"{on_one_line(location)}\n"
                    )
            if following is None:
                await show(response, include=arguments.include, file=arguments.output)
                return response.status
        call = following
    raise ClientError(f"there are more than {MAX_REDIRECTS} redirects")


@contextlib.asynccontextmanager
async def _sent(
    client: Client, call: Call, *, is_streamed: bool
) -> AsyncIterator[Response | StreamResponse]:
    data = call.body.data
    if not is_streamed and not isinstance(data, bytes | None):
        raise AssertionError("an upload is streamed")
    if not is_streamed:
        whole = data if isinstance(data, bytes) else None
        yield await client.request(call.method, call.target, headers=call.headers, data=whole)
        return
    progress = ProgressBar("sent") if call.body.is_upload else None
    async with client.stream(
        call.method, call.target, headers=call.headers, data=data, progress=progress
    ) as response:
        if progress is not None:
            progress.end()
        yield response
