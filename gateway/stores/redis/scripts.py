"""The Lua scripts of the store in Redis: one for each method, so each method is atomic.

The files are in ``lua/``. A script begins with a line ``---- NAME``. Each script is prefixed by
``prelude.lua`` and by the section ``---- common`` of its file.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

_FILES = ("logins", "handshakes", "sessions", "tickets", "operators")
_HEADING = re.compile(r"^---- (\w+).*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script, and the SHA-1 by which Redis identifies it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _read(file: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{file}.lua").read_text("utf-8")


def _scripts() -> dict[str, Script]:
    prelude = _read("prelude")
    found: dict[str, Script] = {}
    for file in _FILES:
        _, *parts = _HEADING.split(_read(file))
        bodies = dict(zip(parts[::2], parts[1::2], strict=True))
        common = prelude + bodies.pop("common", "")
        found |= {name: Script.of(common + body) for name, body in bodies.items()}
    return found


SCRIPTS = _scripts()
RAISE_FENCE = Script.of(_read("fence"))
ABOUT = Script.of("return redis.call('INFO', 'server') .. redis.call('INFO', 'memory')")
