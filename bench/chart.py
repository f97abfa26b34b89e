"""The chart of growth, drawn from its results."""

import re
from pathlib import Path

from matplotlib import pyplot

from bench.results import ROOT, Rows

PICTURE = ROOT / "docs" / "pictures" / "growth.png"

_COLORS = {"SQLite": "tab:green", "Redis": "tab:red"}


def draw(rows: Rows, path: Path) -> None:
    """The CPU time of a message and the memory, by the number of sessions."""
    figure, (time, memory) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for kind, color in _COLORS.items():
        grown = {name: row for name, row in rows.items() if name.startswith(kind)}
        sessions = [int(re.sub(r"\D", "", name)) for name in grown]

        def middles(figure: str, grown: Rows = grown) -> list[float]:
            return [row.spread(figure).middle for row in grown.values()]

        time.plot(sessions, middles("total_us"), "o-", color=color, label=kind)
        memory.plot(sessions, middles("stored_mib"), "o-", color=color, label=f"{kind}: the store")
        memory.plot(
            sessions, middles("resident_mib"), "s--", color=color, label=f"{kind}: the gateway"
        )
    time.set(title="CPU time of a message", ylabel="µs, gateway and Redis")
    time.set_ylim(bottom=0)
    memory.set(title="Memory, and the file of SQLite", ylabel="MiB")
    for axes in (time, memory):
        axes.set(xscale="log", xlabel="open sessions")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
