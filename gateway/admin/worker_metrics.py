"""The admin listener of ``serve --workers N``: one in the parent, with the sums of all workers.

Each worker counts into memory-mapped files of prometheus_client, and the parent reads them. The
counts of a worker stay when it ends; its gauges, like the size of the key pool, do not.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gateway.clock import system_clock
from gateway.errors import ConfigError
from gateway.keys.keyring import KeyRing
from gateway.monitoring.metrics import (
    ENDED,
    FOLDER_VARIABLE,
    forget_process,
    registry_of_files,
    reserve_files,
)
from gateway.policy.suites import needs_keys
from gateway.stores.urls import default_key_file, store_from_url

from . import Admin


class WorkersWatched:
    """Connects the parent of the workers with the admin listener, if there is one."""

    def __init__(self, admin: Admin | None = None, folder: Path | None = None) -> None:
        self._admin = admin
        self._folder = folder

    @property
    def count(self) -> bool:
        """Whether the workers should count."""
        return self._admin is not None

    def ended(self, pid: int) -> None:
        """The process of a worker has ended."""
        if self._folder:
            forget_process(self._folder, pid)

    def stop(self) -> None:
        """The workers are about to stop."""
        if self._admin:
            self._admin.stop()


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for the files of the workers. Raises: ConfigError."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="certless-figures-"))
            reserve_files(Path(folder), ENDED)
        except OSError as error:
            raise ConfigError(
                f"cannot write the metrics of the workers: {error}; set TMPDIR to another folder"
            ) from None
        yield folder


@asynccontextmanager
async def watched_workers(
    options: dict[str, Any], any_serves: Callable[[], bool]
) -> AsyncIterator[WorkersWatched]:
    """Serve the metrics of the workers; removes ``admin`` from ``options``.

    ``any_serves`` says whether a worker serves. Raises: ConfigError, StoreUnavailable.
    """
    place = options.pop("admin", None)
    if place is None:
        yield WorkersWatched()
        return
    url = options["store"]
    key_file = options.get("key_file")
    keyring = KeyRing.chosen(Path(key_file) if key_file else None, default_key_file(url))
    store = store_from_url(url, ticket_store=options.get("ticket_store"))
    with _folder() as folder:
        admin = Admin(
            place,
            registry_of_files(folder),
            store,
            keyring,
            system_clock,
            needs_keys=needs_keys(options["suites"]),
            troubles=lambda: [] if any_serves() else ["no worker is serving"],
        )
        await store.open()
        try:
            async with admin.listening():
                # Set before the workers start, because the library reads it at import.
                os.environ[FOLDER_VARIABLE] = folder
                try:
                    yield WorkersWatched(admin, Path(folder))
                finally:
                    del os.environ[FOLDER_VARIABLE]
        finally:
            await store.close()
