"""What is counted: each event somewhere, each gateway for itself, several processes as one."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from processes import ROOT
from prometheus_client import CollectorRegistry

from gateway import events
from gateway.admin.figures import Figures, rates_between, session_stats
from gateway.events import (
    CodeRefused,
    Event,
    KeyGenerated,
    KeyPoolChanged,
    LimitHit,
    LoginRequested,
    MessageRejected,
    MessageServed,
    SessionEnded,
    SessionExpired,
    SessionOpened,
    StoreAsked,
)
from gateway.monitoring import audit, metrics
from gateway.monitoring.metrics import Metrics, registry_of_files, reserve_files
from gateway.monitoring.process_memory import PROCESS_MEMORY, ProcessMemory

SOME: dict[str, Any] = {
    "session_id": bytes(16),
    "chain_id": bytes(16),
    "user_tag": bytes(16),
    "suite": "ecdh-gcm",
    "code": "rejected",
    "address": "10.0.0.7",
    "limit": "logins",
    "expires_ms": 1,
    "lasted_ms": 1,
    "sessions": 1,
    "seconds": 0.1,
    "final": True,
    "failed": True,
    "ready": 3,
    "method": "claim",
}


def some(kind: type[Event]) -> Event:
    return kind(**{field.name: SOME[field.name] for field in fields(kind)})


def after(*told: Event) -> Figures:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    for event in told:
        metrics(event)
    return Figures.of(registry)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: str(kind.__name__))
def test_each_event_is_counted(kind: type[Event]) -> None:
    before, now = after(), after(some(kind))
    moved = {name for name in now.samples if now.total(name) != before.total(name)}
    assert {name for name in moved if not name.endswith("_created")}


def test_two_gateways_in_one_process_count_for_themselves() -> None:
    assert after(MessageServed(b"", "ecdh-gcm", 0.1)).total("certless_messages_total") == 1
    assert after().total("certless_messages_total") == 0


def test_what_several_processes_count_is_read_as_one(tmp_path: Path) -> None:
    count = (
        "from prometheus_client import CollectorRegistry\n"
        "from gateway.events import KeyPoolChanged, MessageServed\n"
        "from gateway.metrics import Metrics\n"
        "metrics = Metrics(CollectorRegistry())\n"
        "for _ in range(3): metrics(MessageServed(b'', 'ecdh-gcm', 0.003))\n"
        "metrics(KeyPoolChanged(4))\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], check=True, env=environment, timeout=60)
    figures = Figures.of(registry_of_files(str(tmp_path)))
    assert figures.by("certless_messages_total", "suite") == {"ecdh-gcm": 6}
    assert figures.total("certless_message_duration_seconds_count") == 6
    assert figures.total("certless_key_pool_ready") == 8


def test_files_have_room_for_all_that_is_counted_before_it_is(tmp_path: Path) -> None:
    """Where a disk is full, a page that is first written to ends the process, by SIGBUS."""
    reserve_files(tmp_path, "1")
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [
        *("counter_1.db", "gauge_livesum_1.db", "histogram_1.db"),
    ]
    sizes = [(file.stat().st_size, file.stat().st_blocks * 512) for file in files]
    assert all(size <= on_disk for size, on_disk in sizes)
    count = (
        "import os\n"
        "os.getpid = lambda: 1\n"
        "from prometheus_client import CollectorRegistry\n"
        "from gateway import events\n"
        "from gateway.monitoring import metrics\n"
        "from gateway.policy.rates import RATES\n"
        "from gateway.stores import Store\n"
        "from protocol.classic.dialects import DIALECTS\n"
        "count = metrics.Metrics(CollectorRegistry())\n"
        "for suite in ('ecdh-gcm', 'rsa-gcm', *(f'classic/{name}' for name in DIALECTS)):\n"
        "    count(events.MessageServed(b'', suite, 0.1))\n"
        "    count(events.LoginRequested(b'', '', suite))\n"
        "    count(events.SessionOpened(b'', b'', suite, 1, ''))\n"
        "for method in Store.__abstractmethods__:\n"
        "    count(events.StoreAsked(method, 0.1, True))\n"
        "for name in (*RATES, *(f'a_code_of_an_error_{n}' for n in range(100))):\n"
        "    count(events.LimitHit(name, ''))\n"
        "    count(events.MessageRejected(name, ''))\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", count], check=True, env=environment, timeout=60)
    assert [file.stat().st_size for file in files] == [size for size, _ in sizes]
    assert len(Figures.of(registry_of_files(str(tmp_path))).samples["certless_messages_total"]) > 8


def test_where_there_is_no_room_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        reserve_files(tmp_path / "gone", "1")
    (tmp_path / "counter_1.db").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        reserve_files(tmp_path, "1")
    assert not list(tmp_path.glob("*.part"))


def test_session_stats_before_anything_came() -> None:
    assert session_stats(after(), 0) == {
        "active_sessions": 0,
        "total_keys_generated": 0,
        "avg_session_duration": None,
        "encryption_success_rate": None,
    }


def test_session_stats() -> None:
    figures = after(
        *(KeyGenerated() for _ in range(127)),
        SessionEnded(b"", 1_000),
        SessionExpired(b"", 3_600_000),
        SessionOpened(b"", b"", "ecdh-gcm", 0, ""),
        *(MessageServed(b"", "classic/sfet-3", 0.1) for _ in range(95)),
        *(MessageRejected(code, "") for code in ("decryption_failed", "code_refused")),
        MessageRejected("ticket_refused", ""),
        MessageRejected("key_not_admitted", ""),
        # These were sealed as they should be, or not at all.
        *(MessageRejected(code, "") for code in ("stale_timestamp", "replayed_nonce", "malformed")),
        *(MessageRejected(code, "") for code in ("login_required", "unavailable", "too_large")),
    )
    assert session_stats(figures, 3) == {
        "active_sessions": 3,
        "total_keys_generated": 127,
        "avg_session_duration": 1800.5,
        "encryption_success_rate": 0.96,
    }


def test_a_point_is_what_was_added_a_second() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics(MessageServed(b"", "ecdh-gcm", 9.0))
    metrics(LoginRequested(b"", "", "ecdh-gcm"))
    before = Figures.of(registry)
    more: list[Event] = [
        *(MessageServed(b"", "ecdh-gcm", 0.004) for _ in range(3)),
        MessageServed(b"", "classic/sfet-3", 0.004),
        MessageRejected("stale_timestamp", ""),
        CodeRefused(b"", "code_refused", ""),
        LimitHit("logins", ""),
        StoreAsked("claim", 0.00015, failed=False),
        StoreAsked("load", 20, failed=True),
        KeyPoolChanged(7),
    ]
    for event in more:
        metrics(event)
    assert rates_between(before, Figures.of(registry), 2.0, None) == {
        "messages": {"ecdh-gcm": 1.5, "classic/sfet-3": 0.5},
        # All four lie between 2.5 and 5 ms, taken as spread evenly.
        "message_ms": {"median": 3.75, "p99": 4.975},
        "rejections": {"stale_timestamp": 0.5},
        "logins": {"asked": 0, "opened": 0, "code refused": 0.5, "limit hit": 0.5},
        "mails": {"sent": 0, "failed": 0},
        # Half of them within the bucket of 0.1 to 0.2 ms; what is above the last bound is that.
        "store_ms": {"median": 0.2, "p99": 5000},
        "sessions": {"open": None},
        "key_pool": {"ready": 7},
    }


def test_a_point_without_anything_has_no_times() -> None:
    quiet = rates_between(after(), after(), 2.0, 4)
    assert quiet["message_ms"] == {"median": None, "p99": None}
    assert quiet["sessions"] == {"open": 4}


def test_no_event_has_a_field_that_could_hold_a_secret() -> None:
    names = {field.name for kind in get_args(events.Event) for field in fields(kind)}
    assert names <= set(SOME)


def test_the_page_of_names_has_all_of_them() -> None:
    text = (ROOT / "docs" / "watching.md").read_text("utf-8")
    registry = CollectorRegistry()
    Metrics(registry)
    names = {
        f"{one.name}_total" if one.type == "counter" else one.name for one in registry.collect()
    }
    documented = set(re.findall(r"^\| `(certless_\w+)`", text, re.MULTILINE))
    assert documented == names | {metrics.SESSIONS_OPEN, PROCESS_MEMORY}
    recorded = {
        name for name, _ in re.findall(r"^\| `([a-z]+_[a-z_]+)` \| (\w)", text, re.MULTILINE)
    }
    assert recorded >= {*audit.RECORDED.values(), "lines_lost"}


def test_the_memory_of_a_process_grows_and_an_ended_child_is_gone() -> None:
    def memory() -> dict[str, float]:
        (family,) = ProcessMemory().collect()
        return {sample.labels["process"]: sample.value for sample in family.samples}

    before = memory()["main"]
    held = b"x" * 50_000_000
    assert memory()["main"] - before > 40_000_000
    assert len(held) == 50_000_000
    waits = [sys.executable, "-c", "import sys; print('started', flush=True); sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"started\n"
        assert memory()[str(child.pid)] > 1_000_000
    assert str(child.pid) not in memory()
