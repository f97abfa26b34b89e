"""A store that emits an event with the duration of each call."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from gateway.errors import StoreUnavailable
from gateway.events import Events, StoreAsked

from . import Store


def timed(store: Store, events: Events) -> Store:
    """``store`` with the same interface; each call emits ``StoreAsked``."""
    methods = {name: _timed(getattr(store, name), events) for name in Store.__abstractmethods__}
    return cast("Store", type("TimedStore", (Store,), methods)())


def _timed(method: Callable[..., Awaitable[Any]], events: Events) -> "staticmethod[..., Any]":
    name = method.__name__

    async def call(*args: Any, **options: Any) -> Any:
        started_s = time.perf_counter()
        failed = False
        try:
            return await method(*args, **options)
        except StoreUnavailable:
            failed = True
            raise
        finally:
            events.emit(StoreAsked(name, time.perf_counter() - started_s, failed))

    return staticmethod(call)
