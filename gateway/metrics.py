"""The former name of ``gateway.monitoring.metrics``."""

import warnings

from gateway.monitoring.metrics import Metrics

__all__ = [
    "Metrics",
]

warnings.warn(
    "gateway.metrics is now gateway.monitoring.metrics: import that",
    DeprecationWarning,
    stacklevel=2,
)
