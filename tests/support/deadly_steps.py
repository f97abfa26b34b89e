"""Counts the steps of a process, which kills itself like ``kill -9`` before one of them."""

import os
import signal
from typing import Any


class Steps:
    """``kill_at`` is the number of the step; -1 for none."""

    def __init__(self, kill_at: int = -1) -> None:
        self._kill_at = kill_at
        self.count = 0

    def __call__(self, *_: Any) -> None:
        """The next step."""
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
