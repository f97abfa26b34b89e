"""The upstream: it answers, and clients cannot reach it directly."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import aiohttp
from aiohttp import hdrs
from yarl import URL

from gateway.config.settings import http_url

from . import ANSWER_S, Finding, Service, fix, ok, warn

ABOUT = "upstream"
_SLOW_S = 1.0
_LISTEN = "0A"
SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of the upstream to HEAD /."""

    status: int
    date: str | None
    took_s: float


async def ask_upstream(upstream: str) -> Answer | None:
    """Send HEAD; None if there was no response."""
    url = http_url(upstream)
    if url is None:
        return None
    began_s = time.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as http,
            http.head(url, allow_redirects=False) as response,
        ):
            took_s = time.monotonic() - began_s
            return Answer(response.status, response.headers.get(hdrs.DATE), took_s)
    except (aiohttp.ClientError, TimeoutError):
        return None


async def check_upstream(service: Service) -> AsyncIterator[Finding]:
    """Whether it answers, how fast, and who else can reach it."""
    upstream = service.options.get("upstream", "")
    url = http_url(upstream)
    if url is None:
        return
    answer = await ask_upstream(upstream)
    if answer is None:
        yield fix(ABOUT, f"{url.origin()} does not answer: start the API, or correct --upstream")
        return
    start = f"{url.origin()} answers"
    if answer.status >= 500:
        yield warn(ABOUT, f"{start} {answer.status} to HEAD: see its log")
    elif answer.took_s > _SLOW_S:
        yield warn(ABOUT, f"{start} after {answer.took_s:.1f} s, which delays every client")
    else:
        yield ok(ABOUT, f"{start} in {answer.took_s * 1000:.0f} ms")
    yield await who_reaches(url)


async def who_reaches(url: URL) -> Finding:
    """Whether clients could reach the upstream directly, as far as this machine knows."""
    port = url.port
    if not await _is_here(url.host or ""):
        return warn(
            ABOUT,
            f"it is on another host: allow only this gateway to reach port {port} there, because a "
            "direct client needs no login and can claim to be any user",
        )
    listening = _listening(port)
    open_to = sorted(str(address) for address in listening if not address.is_loopback)
    if not listening:
        return warn(
            ABOUT, f"this system does not show who can reach port {port}: check it yourself"
        )
    if open_to:
        return fix(
            ABOUT,
            f"port {port} listens on {', '.join(open_to)}: bind it to 127.0.0.1, because a direct "
            "client needs no login and can claim to be any user",
        )
    return ok(ABOUT, f"port {port} listens on loopback only")


async def _is_here(host: str) -> bool:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None)
    return all(ip_address(address[0]).is_loopback for *_, address in found)


def _listening(port: int | None) -> set[IPv4Address | IPv6Address]:
    """The addresses that listen on ``port``; empty if the system does not show them."""
    text = "".join(table.read_text("ascii") for table in SOCKETS if table.exists())
    return {address for address, open_port in listeners(text) if open_port == port}


def listeners(table: str) -> Iterator[tuple[IPv4Address | IPv6Address, int]]:
    """The listening sockets of a table like /proc/net/tcp: address and port.

    Source: proc(5). An address is written as words of four bytes in the machine's byte order.
    """
    for line in table.splitlines():
        _, local, _, state, *_ = [*line.split(), "", "", "", ""]
        if state != _LISTEN:
            continue
        words, port = local.split(":")
        raw = b"".join(
            int(words[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(words), 8)
        )
        address = ip_address(raw)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        yield mapped or address, int(port, 16)
