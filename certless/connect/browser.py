"""``--browser``: a browser with a profile of its own, which uses no plain HTTP past ``connect``.

The profile has ``connect`` as its proxy for ``http://``, and ``connect`` refuses all other sites.
Without a setting, browsers use no proxy for this machine, and Chromium uses none for link-local
addresses (169.254.0.0/16, fe80::/10), which are on the network.
"""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

from yarl import URL

from .errors import CannotStart

_CHROMIUM = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("microsoft-edge", "brave-browser"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_FIREFOX = ("firefox", "firefox-esr", "/Applications/Firefox.app/Contents/MacOS/firefox")
_CHROMIUM_OPTIONS = (
    *("--no-first-run", "--no-default-browser-check", "--disable-background-networking"),
    # WebRTC would send UDP past the proxy.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
)
_FIREFOX_SETTINGS = {
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    # Both ask a server over plain HTTP whether there is a network.
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    # WebRTC. With ``ice.proxy_only`` instead, its search for a path did not end.
    "media.peerconnection.enabled": False,
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.allow_hijacking_localhost": True,
}
_CLOSING_S = 5


@dataclass(frozen=True, slots=True)
class Browser:
    """A program that was found on this machine."""

    program: str
    is_firefox: bool


def find_browser() -> Browser:
    """The first browser on the PATH. Raises: CannotStart."""
    for names, is_firefox in ((_CHROMIUM, False), (_FIREFOX, True)):
        for name in names:
            if program := shutil.which(name):
                return Browser(program, is_firefox)
    raise CannotStart(
        "no Chromium, Chrome or Firefox was found on the PATH: install one, or leave out "
        "--browser and open the printed address yourself"
    )


@asynccontextmanager
async def shown(
    browser: Browser, door_url: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The browser at ``door_url``. It is ended with the context. Profiles stay in ``folder``.

    Raises: CannotStart.
    """
    own = URL(door_url)
    profile = folder / ("firefox" if browser.is_firefox else "chromium")
    start = folder / "start.html"
    try:
        profile.mkdir(mode=0o700, exist_ok=True)
        # All users can read the arguments of a process, but only this user can read the file.
        _write(start, _leading_to(door_url))
        if browser.is_firefox:
            settings = {
                **_FIREFOX_SETTINGS,
                "network.proxy.http_port": own.port,
                "network.proxy.no_proxies_on": own.authority,
            }
            lines = (f'user_pref("{name}", {json.dumps(v)});\n' for name, v in settings.items())
            _write(profile / "user.js", "".join(lines))
        process = await asyncio.create_subprocess_exec(
            *(browser.program, *_arguments(browser, profile, own), start.as_uri()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # Ctrl+C in the terminal is for connect, which ends the browser.
            start_new_session=True,
        )
    except OSError as error:
        raise CannotStart(f"{browser.program}: {error.strerror}") from None
    try:
        yield process
    finally:
        await _end(process)
        start.unlink(missing_ok=True)


def _arguments(browser: Browser, profile: Path, own: URL) -> tuple[str, ...]:
    if browser.is_firefox:
        return ("--no-remote", "--profile", str(profile))
    proxy = f"--proxy-server=http=127.0.0.1:{own.port}"
    host = own.host or ""
    # Other users can read the arguments, but must not learn a random name.
    known = "*.localhost" if host.endswith(".localhost") else host
    direct = f"--proxy-bypass-list=<-loopback>;{known}:{own.port}"
    return (f"--user-data-dir={profile}", proxy, direct, *_CHROMIUM_OPTIONS)


def _leading_to(url: str) -> str:
    refresh = f'<meta http-equiv="refresh" content="0; url={escape(url)}">'
    return f'<!doctype html>\n<meta charset="utf-8">{refresh}\n'


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
