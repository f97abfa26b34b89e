"""The Lua scripts of the store in Redis: each method of the contract is one, and so one step.

Their files stand in ``lua/``. A script begins with a line ``---- NAME``; before each stands what
all of its file have in common (``---- common``), and before that ``prelude.lua``.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

_ROOMS = ("logins", "handshakes", "sessions", "tickets", "operators")
_BEGINNING = re.compile(r"^---- (\w+).*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the name by which Redis knows it once it has seen it."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> "Script":
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _read(room: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{room}.lua").read_text("utf-8")


def _scripts() -> dict[str, Script]:
    prelude = _read("prelude")
    found: dict[str, Script] = {}
    for room in _ROOMS:
        _, *parts = _BEGINNING.split(_read(room))
        bodies = dict(zip(parts[::2], parts[1::2], strict=True))
        common = prelude + bodies.pop("common", "")
        found |= {name: Script.of(common + body) for name, body in bodies.items()}
    return found


SCRIPTS = _scripts()
RAISE_FENCE = Script.of(_read("fence"))
ABOUT = Script.of("return redis.call('INFO', 'server') .. redis.call('INFO', 'memory')")
