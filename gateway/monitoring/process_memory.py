"""The resident memory of the gateway's processes, as a metric (Linux only)."""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily

PROCESS_MEMORY = "certless_process_memory_bytes"
_PROC = Path("/proc")


class ProcessMemory:
    """A collector: one value for this process, and one for each of its workers by its process id.

    Without ``/proc`` there is no value.
    """

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            PROCESS_MEMORY, "Resident memory of a process of the gateway", labels=["process"]
        )
        for pid in (os.getpid(), *_children()):
            resident = _resident_bytes(pid)
            if resident is not None:
                family.add_metric(["main" if pid == os.getpid() else str(pid)], resident)
        return [family] if family.samples else []


def _children() -> Iterator[int]:
    """The process ids of the children of all threads."""
    for path in (_PROC / "self" / "task").glob("*/children"):
        try:
            yield from map(int, path.read_text().split())
        except OSError:
            # The thread has ended.
            continue


def _resident_bytes(pid: int) -> int | None:
    """The second field of statm counts resident pages; None if the process has ended."""
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
