"""The parts of ``make bench``: what each measures, and the columns of its table."""

from collections.abc import Callable
from dataclasses import dataclass

from bench import messages
from bench.blocks import blocks
from bench.browser import client, page
from bench.connect import connect
from bench.fleet import fleet
from bench.flood import flood
from bench.growth import growth
from bench.logins import logins
from bench.messages import run
from bench.results import Row, Rows, Size
from bench.stalls import stalls
from bench.streams import streams
from bench.vault import vault
from bench.workers import workers


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in a table. ``spread``: with the lowest and the highest round."""

    figure: str
    title: str
    digits: int = 0
    spread: bool = False

    def cell(self, row: Row) -> str:
        if self.figure not in row.figures:
            return ""
        middle, low, high = (f"{value:,.{self.digits}f}" for value in row.spread(self.figure))
        return f"{middle} ({low} to {high})" if self.spread and low != high else middle


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are compared with each other, measured in interleaved rounds."""

    title: str
    measure: Callable[[Size], Rows]
    columns: tuple[Column, ...]
    note: str = ""  # the title of a column for the notes of the rows


_RATE = (
    Column("rate", "per second", spread=True),
    Column("cpu_us", "CPU µs each", spread=True),
)

PARTS = {
    "proxy": Part("messages, reverse proxy", run(messages.proxy), _RATE),
    "in_process": Part("messages, aiohttp", run(messages.in_process), _RATE),
    "asgi": Part("messages, ASGI", run(messages.asgi), _RATE),
    "stores": Part("messages, `ecdh-gcm`, by store", run(messages.stores), _RATE),
    "classic": Part("messages, classic", run(messages.classic), _RATE),
    "logins": Part("logins", run(logins), _RATE),
    "workers": Part(
        "`serve` with workers",
        run(workers),
        (*_RATE, Column("elsewhere", "per second, load elsewhere", spread=True)),
    ),
    "streams": Part(
        "streams (MiB, events, echoes)",
        streams,
        (
            Column("rate", "per second", spread=True),
            Column("cpu_us", "CPU µs each", 1),
            Column("client_mib", "client, MiB"),
            Column("server_mib", "gateway or proxy so far, MiB"),
        ),
    ),
    "connect": Part(
        "`connect` (requests, MiB)",
        connect,
        (
            Column("rate", "per second", spread=True),
            Column("near_mib", "near hop, MiB"),
            Column("near_growth_mib", "its growth"),
            Column("far_mib", "far hop, MiB"),
            Column("far_growth_mib", "its growth"),
        ),
    ),
    "flood": Part(
        "200 messages per second",
        run(flood),
        (
            Column("p50_ms", "p50 ms", 1, spread=True),
            Column("p99_ms", "p99 ms", 1, spread=True),
            Column("worst_ms", "worst ms", 1, spread=True),
            Column("accepted", "logins accepted"),
            Column("limited", "rate-limited"),
            Column("flood_s", "in s", 1),
        ),
    ),
    "fleet": Part(
        "1,000 devices after a restart",
        run(fleet),
        (
            Column("sessions", "sessions"),
            Column("session_s", "the last one after, s", 1, spread=True),
            Column("median_s", "half have sent after, s", 1, spread=True),
            Column("sent_s", "all after, s", 1, spread=True),
            Column("limited", "rate-limited"),
            Column("errors", "other errors"),
            Column("cpu_ms", "CPU ms of a device", 1, spread=True),
            Column("idle_mib", "gateway before, MiB"),
            Column("peak_mib", "at most, MiB"),
        ),
        "errors, and the load",
    ),
    "growth": Part(
        "messages, by sessions in the store",
        run(growth),
        (
            Column("cpu_us", "CPU µs, gateway"),
            Column("redis_us", "CPU µs, Redis"),
            Column("total_us", "together", spread=True),
            Column("stored_mib", "store, MiB", 1),
            Column("resident_mib", "gateway, MiB"),
        ),
    ),
    "memory": Part("memory", run(messages.memory), (Column("kib", "KiB", 2),)),
    "stalls": Part(
        "one request of 8 MiB",
        stalls,
        (Column("held_ms", "loop blocked, CPU ms"), Column("waited_ms", "others waited, ms")),
        "the worst input (status)",
    ),
    "page": Part(
        "200 MB in the browser",
        page,
        (
            Column("task_ms", "longest task, CPU ms", 1, spread=True),
            Column("late_ms", "timer late, ms", 0, spread=True),
            Column("mb_per_s", "MB/s", 1, spread=True),
            Column("page_mb", "heap of the page, MB", 1),
            Column("worker_mb", "heap of the Worker, MB", 1),
        ),
    ),
    "client": Part(
        "plain-HTTP page, no WebCrypto",
        client,
        (
            Column("ms", "median ms", 1),
            Column("worst_ms", "worst ms", 1),
            Column("held_ms", "page held, ms"),
        ),
    ),
    "vault": Part(
        "the vault",
        run(vault),
        (
            Column("rate", "per second", 1, spread=True),
            Column("cpu_us", "CPU µs each"),
            Column("ms", "ms", spread=True),
            Column("held_ms", "page held, ms", spread=True),
            Column("mib", "memory, MiB"),
            Column("kib", "size, KiB"),
        ),
    ),
    "blocks": Part(
        "blocks of the vault",
        run(blocks),
        (
            Column("rate", "per second", 1, spread=True),
            Column("cpu_us", "CPU µs each, server"),
            Column("ms", "ms", spread=True),
            Column("blocks", "blocks sent"),
            Column("client_mib", "client at most, MiB"),
            Column("server_mib", "server at most, MiB"),
        ),
    ),
}
