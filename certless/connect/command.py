"""``connect ... -- COMMAND``: one program whose requests go through a proxy of its own.

The session is for this program alone: it stores no ticket, and ends with the program.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from yarl import URL

from certless.client import Client, ClientError, Suite
from certless.client.protocol import CodeSource
from protocol.common.codes import CODE_ATTEMPTS

from .errors import CannotStart, NothingPassed
from .listener import listen_on
from .proxy import NamedSite, named_site, proxy_for

_PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_EXCEPTIONS = ("no_proxy", "NO_PROXY")


async def run_command(
    command: Sequence[str],
    sites: Sequence[URL],
    user: str,
    code: CodeSource,
    suite: Suite,
    realm: str,
    prefix: str,
) -> int:
    """Log in at each site, run ``command``, log out; its exit status.

    Raises: CannotStart, NothingPassed (the command succeeded, but not through us), ClientError.
    """
    async with AsyncExitStack() as stack:
        named = []
        for site in sites:
            client = await stack.enter_async_context(
                Client(str(site), suite=suite, realm=realm, prefix=prefix, cookies=False)
            )
            await client.login(user, code=code, attempts=CODE_ATTEMPTS)
            stack.push_async_callback(_log_out, client)
            one = named_site(site, client, suite, realm, can_resume=False)
            one.session.logged_in()
            named.append(one)
        opened = listen_on("127.0.0.1", 0)
        proxy = await stack.enter_async_context(proxy_for(named, prefix, opened))
        status = await _run(command, _environment(os.environ, proxy.url))
    if status == 0 and not _passed(named):
        raise NothingPassed(
            f"{command[0]} sent nothing through certless connect. Does it ignore the variable "
            "http_proxy, or did it use another address than that of the site?"
        )
    return status


def _environment(own: Mapping[str, str], proxy: str) -> dict[str, str]:
    """``own`` with every spelling of the proxy, and with no exceptions from it."""
    return {**own, **dict.fromkeys(_PROXY_VARIABLES, proxy), **dict.fromkeys(_EXCEPTIONS, "")}


def _passed(named: Sequence[NamedSite]) -> bool:
    return any(one.session.requests for one in named)


async def _log_out(client: Client) -> None:
    with contextlib.suppress(ClientError):
        await client.logout()


async def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The status of the program, as shells count it. It gets our signals."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        raise CannotStart(f"{command[0]}: {error.strerror}") from None
    loop = asyncio.get_running_loop()
    # A terminal sends SIGINT to the program itself. We stay until it has ended, and log out.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, _terminate, process)
    try:
        status = await process.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)
        if process.returncode is None:
            process.kill()
            await process.wait()
    return status if status >= 0 else 128 - status


def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
