"""The parent's side of the child process that seals a key."""

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

from .errors import InvalidClientKey, SessionKeyFailed
from .sealing import SealedKey

# RSA-3072 takes seconds on a slow machine.
_WITHIN_S = 30
_PASSED_ON = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")


class SealingProcess:
    """One child process, for one key."""

    def __init__(self) -> None:
        """Start it. Raises: SessionKeyFailed."""
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "session_crypto.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError:
            raise SessionKeyFailed("the process that makes keys does not start") from None
        try:
            self.server_public_key = str(self._read()["server_public_key"])
        except BaseException:
            self.end()
            raise

    @property
    def is_running(self) -> bool:
        """Whether it still waits for its order."""
        return self._child.poll() is None

    def seal(self, order: dict[str, str]) -> SealedKey:
        """Give the order, and wait for the end. Raises: SessionKeyFailed; InvalidClientKey."""
        assert self._child.stdin is not None  # noqa: S101 (a pipe)
        try:
            with contextlib.suppress(BrokenPipeError):  # the answer is missing then
                self._child.stdin.write(json.dumps(order).encode() + b"\n")
                self._child.stdin.flush()
            answer = self._read()
        finally:
            self.end()
        if "error" in answer:
            raise InvalidClientKey(str(answer["error"]))
        return SealedKey(
            self.server_public_key,
            base64.b64decode(answer["iv"]),
            base64.b64decode(answer["sealed"]),
            answer["public_key"],
            base64.b64decode(answer.get("escrow", "")),
        )

    def end(self) -> None:
        """End the process, and wait until it is gone with its memory."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._child.wait()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101 (a pipe)
        late = threading.Timer(_WITHIN_S, self._child.kill)
        late.start()
        try:
            line = self._child.stdout.readline()
        finally:
            late.cancel()
        if not line:
            raise SessionKeyFailed("the process that makes keys ended early: try again")
        answer: dict[str, Any] = json.loads(line)
        return answer
