"""How many files of ours one sealed message passes on its way through the server.

A reader who follows a message has to open each of these files, so a limit holds their number.

What is counted: the work of ``Middleware.answer`` for one request of a real aiohttp server, from
its call to its return. A file of ours is a file below ``gateway/`` or ``protocol/``. The adapter
and the application run outside of this: a frame below ``gateway/adapters/`` and all that it calls
are left out. The store is in memory, the suite is the first of each kind, and nothing is limited.

* A file is entered when a function in it is called.
* The file changes when the innermost frame of ours is in another file than before, by a call or by
  a return. One call into another file and back is therefore two changes.

Before the packages, the same count gave 26 files and 148 changes for the hardened message, and 25
and 186 for the classic one.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from gateways import recording_app, running
from hardened_gateways import Device
from processes import ROOT

from gateway.pipeline.middleware import Middleware
from protocol.common.messages import SealedMessage

_ADAPTERS = "gateway/adapters/"
_OURS = ("gateway/", "protocol/")


@dataclass
class Trace:
    """The files of ours that were current, one after the other."""

    steps: list[str] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)

    @property
    def changes(self) -> int:
        return sum(one != other for one, other in pairwise(self.steps))

    def __str__(self) -> str:
        """For a test that fails: each file, and how often it became current."""
        came = Counter(other for one, other in pairwise(["", *self.steps]) if one != other)
        return "\n".join(f"{count:4} {name}" for name, count in came.most_common())


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace ``Middleware.answer`` in this thread, which runs server and client."""
    trace, names = Trace(), dict[str, str]()

    def name_of(path: str) -> str:
        if path not in names:
            inside = Path(path).is_relative_to(ROOT)
            names[path] = str(Path(path).relative_to(ROOT)) if inside else ""
        return names[path]

    def current(frame: FrameType | None) -> str:
        """The file of the innermost frame of ours; empty outside of ``Middleware.answer``."""
        innermost = ""
        while frame is not None:
            name = name_of(frame.f_code.co_filename)
            if name.startswith(_ADAPTERS):
                return ""
            if name.startswith(_OURS):
                innermost = innermost or name
            if frame.f_code is Middleware.answer.__code__:
                return innermost
            frame = frame.f_back
        return ""

    def see(frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        name = current(frame if event == "call" else frame.f_back)
        if name:
            trace.steps.append(name)
            if event == "call":
                trace.entered.add(name)

    sys.setprofile(see)
    try:
        yield trace
    finally:
        sys.setprofile(None)


async def test_a_hardened_message_passes_few_files() -> None:
    async with running(recording_app([])) as at:
        online = await Device(at).login()
        envelope, pending = online.seal()
        with traced() as trace:
            answer = await online.send(envelope)
    assert online.opened(answer, pending).status == 200
    assert len(trace.entered) <= 16, trace
    assert trace.changes <= 90, trace


async def test_a_classic_message_passes_few_files() -> None:
    async with running(recording_app([])) as at:
        raw = await at.raw_login()
        message, pending = raw.seal()
        with traced() as trace:
            answer = await raw.send(message)
    names = raw.exchange.suite.dialect.names
    assert pending.open(SealedMessage.parse(answer.json, names)).status == 200
    assert len(trace.entered) <= 15, trace
    assert trace.changes <= 84, trace
    assert not any("hardened" in name for name in trace.entered), trace
