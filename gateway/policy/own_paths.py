"""What is at or below the gateway's own prefix, in whatever spelling."""

import re
from urllib.parse import unquote

from .route_patterns import DemandingPatterns, has_one_reading


class OwnPaths:
    """The prefix and all below it, which no application and no upstream is asked for."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._in_any_spelling = DemandingPatterns([f"{prefix}/*"])
        last = re.escape(prefix.rpartition("/")[2])
        self._last_segment = re.compile(rf"[/\\]{last}(?![\w-])", re.IGNORECASE)

    def have(self, raw_path: str) -> bool:
        """Whether ``raw_path`` is one of them as they are written."""
        return raw_path == self._prefix or raw_path.startswith(self._prefix + "/")

    def may_have(self, raw_path: str) -> bool:
        """Whether some program could take ``raw_path`` for one of them."""
        if has_one_reading(raw_path):
            return self._in_any_spelling.cover(raw_path)
        # Where a program begins to read it, nobody knows.
        return self._last_segment.search(unquote(unquote(raw_path))) is not None
