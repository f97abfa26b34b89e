"""How many examples the property tests try; ``make fuzz`` sets FUZZ to multiply them."""

import os

from hypothesis import HealthCheck, settings

FUZZ = int(os.environ.get("FUZZ", "1"))


def examples(count: int) -> settings:
    return settings(deadline=None, max_examples=count * FUZZ)


def walking(count: int, steps: int) -> settings:
    return settings(
        deadline=None,
        max_examples=count * FUZZ,
        stateful_step_count=steps,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )
