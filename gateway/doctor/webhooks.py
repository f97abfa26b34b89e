"""Webhooks: connects to each, and sends no request."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from yarl import URL

from gateway.checks.webhook import check_webhook
from gateway.clock import system_clock
from gateway.mail.smtp import LOOPBACK
from gateway.mail.url import webhook_from_url

from . import ANSWER_S, Finding, Service, fix, ok, warn

ABOUT = "factors"


async def check_webhooks(service: Service) -> AsyncIterator[Finding]:
    """Whether the channels and the second check can be reached."""
    for kind, url in service.options.get("channels", {}).items():
        transport = webhook_from_url(url, f"channel {kind}")
        yield await reach(ABOUT, URL(transport.url), f"channel {kind}: ")
    if url := service.options.get("second_check"):
        secret = service.options.get("second_check_secret")
        timeout_s = service.option("second_check_s")
        webhook = check_webhook(url, Path(secret) if secret else None, timeout_s, system_clock)
        yield await reach(ABOUT, webhook.url, "second check: ")


async def reach(about: str, url: URL, what: str = "") -> Finding:
    """Whether a server accepts connections at ``url``. Its path can be a secret: do not show it."""
    place = f"{what}webhook {url.host}:{url.port}"
    tls = ssl.create_default_context() if url.scheme == "https" else None
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=tls)
    except ssl.SSLError as error:
        return fix(
            about,
            f"{place} has no trusted certificate ({error.reason}): use the host name of "
            "the certificate, or add its authority to this system",
        )
    except (OSError, TimeoutError):
        return fix(about, f"{place} cannot be reached: is the URL right, does the server run?")
    writer.close()
    if tls is None and url.host not in LOOPBACK:
        return warn(about, f"{place} accepts connections, unencrypted: use webhook:https://…")
    return ok(about, f"{place} accepts connections (no request was sent)")
