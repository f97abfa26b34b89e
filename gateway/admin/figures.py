"""Values computed from the counters: totals since the start, and rates of an interval.

This works for one process and for several.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from prometheus_client.registry import Collector

from gateway.monitoring import metrics

# Each upper bound in seconds, and the number of values up to it.
Buckets: TypeAlias = Sequence[tuple[float, float]]
_Samples: TypeAlias = dict[str, list[tuple[dict[str, str], float]]]

# Sealed messages that could not be opened: changed, or sealed with another key or code.
_NOT_OPENED = ("decryption_failed", "code_refused", "key_not_admitted", "ticket_refused")


@dataclass(frozen=True, slots=True)
class Figures:
    """The counters at one moment, by name."""

    samples: _Samples

    @classmethod
    def of(cls, registry: Collector) -> "Figures":
        """The current values in ``registry``."""
        samples: _Samples = {}
        for metric in registry.collect():
            for sample in metric.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return cls(samples)

    def total(self, name: str) -> float:
        """The sum over all labels; 0 if nothing was counted."""
        return sum(value for _, value in self.samples.get(name, ()))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums for each value of ``label``."""
        sums: dict[str, float] = {}
        for labels, value in self.samples.get(name, ()):
            sums[labels[label]] = sums.get(labels[label], 0) + value
        return sums

    def buckets(self, histogram: str) -> Buckets:
        """The buckets over all labels, in order."""
        by_bound = self.by(f"{histogram}_bucket", "le")
        return sorted((float(bound), count) for bound, count in by_bound.items())


def session_stats(figures: Figures, active_sessions: int | None) -> dict[str, Any]:
    """The four most important values (docs/watching.md)."""
    ended = figures.total(f"{metrics.SESSION_SECONDS}_count")
    lasted_s = figures.total(f"{metrics.SESSION_SECONDS}_sum")
    rejected = figures.by(f"{metrics.REJECTIONS}_total", "reason")
    failed = sum(rejected.get(reason, 0) for reason in _NOT_OPENED)
    opened = figures.total(f"{metrics.MESSAGES}_total")
    opened += figures.total(f"{metrics.SESSIONS_OPENED}_total")
    return {
        "active_sessions": active_sessions,
        "total_keys_generated": int(figures.total(f"{metrics.KEYS_GENERATED}_total")),
        "avg_session_duration": round(lasted_s / ended, 1) if ended else None,
        "encryption_success_rate": (
            round(opened / (opened + failed), 4) if opened + failed else None
        ),
    }


def rates_between(
    before: Figures, now: Figures, seconds: float, sessions: int | None
) -> dict[str, Any]:
    """The rates per second in the ``seconds`` between two moments; times in ms.

    ``sessions`` is the number of open sessions, None if unknown.
    """

    def rate(name: str) -> float:
        return _rate(now.total(f"{name}_total") - before.total(f"{name}_total"), seconds)

    def rates(name: str, label: str) -> dict[str, float]:
        earlier = before.by(f"{name}_total", label)
        return {
            value: _rate(count - earlier.get(value, 0), seconds)
            for value, count in now.by(f"{name}_total", label).items()
        }

    def times_ms(name: str) -> dict[str, float | None]:
        buckets = _difference(now.buckets(name), before.buckets(name))
        return {"median": _quantile_ms(buckets, 0.5), "p99": _quantile_ms(buckets, 0.99)}

    return {
        "messages": rates(metrics.MESSAGES, "suite"),
        "message_ms": times_ms(metrics.MESSAGE_SECONDS),
        "rejections": rates(metrics.REJECTIONS, "reason"),
        "logins": {
            "asked": rate(metrics.LOGINS_ASKED),
            "opened": rate(metrics.SESSIONS_OPENED),
            "code refused": rate(metrics.CODE_REFUSALS),
            "limit hit": rate(metrics.LIMITS_HIT),
        },
        "mails": {"sent": rate(metrics.MAILS_SENT), "failed": rate(metrics.MAILS_FAILED)},
        "store_ms": times_ms(metrics.STORE_SECONDS),
        "sessions": {"open": sessions},
        "key_pool": {"ready": now.total(metrics.KEY_POOL_READY)},
    }


def _rate(difference: float, seconds: float) -> float:
    return round(difference / seconds, 3)


def _difference(now: Buckets, before: Buckets) -> Buckets:
    earlier = dict(before)
    return [(bound, count - earlier.get(bound, 0)) for bound, count in now]


def _quantile_ms(buckets: Buckets, share: float) -> float | None:
    """The quantile ``share``, interpolated within its bucket; None without values.

    A value above the last bound counts as that bound.
    """
    if not buckets or not buckets[-1][1]:
        return None
    rank = share * buckets[-1][1]
    below_s, below = 0.0, 0.0
    for bound_s, count in buckets:
        if count >= rank:
            if bound_s == float("inf"):
                return round(below_s * 1000, 3)
            return round(
                (below_s + (bound_s - below_s) * (rank - below) / (count - below)) * 1000, 3
            )
        below_s, below = bound_s, count
    return None
