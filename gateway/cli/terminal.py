"""What commands show on a terminal: progress, and text that cannot control it."""

import sys
import time
import unicodedata

_UPDATE_S = 0.1
_MIB = 1024 * 1024


class ProgressBar:
    """A line on standard error that is rewritten; nothing if that is not a terminal."""

    def __init__(self, verb: str, *, is_quiet: bool = False) -> None:
        self._verb = verb
        self._is_shown = sys.stderr.isatty() and not is_quiet
        self._next_s = 0.0

    def __call__(self, done: int, length: int | None) -> None:
        now_s = time.monotonic()
        if not self._is_shown or (now_s < self._next_s and done != length):
            return
        self._next_s = now_s + _UPDATE_S
        text = f"{self._verb} {done / _MIB:.1f} MiB"
        if length:
            bar = "#" * (30 * done // length)
            text = f"{text} of {length / _MIB:.1f} MiB [{bar:<30}] {100 * done // length} %"
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown and self._next_s:
            sys.stderr.write("\n")


def harmless(text: str) -> str:
    """Without the control characters by which a text from another device could drive a terminal."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(char) == "Cc" and char not in "\n\t"
        else char
        for char in text
    )
