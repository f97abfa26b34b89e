"""The admin listener of ``serve --workers N``: once, in the parent, of what all workers count.

A worker counts into files that prometheus_client maps into it, and the parent reads them. What a
worker has counted stays when it ends; what it had at hand, like its key pool, does not.
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
    FOLDER_VARIABLE,
    GONE,
    forget_process,
    make_room,
    registry_of_files,
)
from gateway.policy.suites import needs_keys
from gateway.stores.urls import default_key_file, store_from_url

from . import Admin


class WorkersWatched:
    """What the parent tells the admin listener of its workers, where there is one."""

    def __init__(self, admin: Admin | None = None, folder: Path | None = None) -> None:
        self._admin = admin
        self._folder = folder

    @property
    def count(self) -> bool:
        """Whether workers are to count."""
        return self._admin is not None

    def ended(self, pid: int) -> None:
        """This worker's process is gone."""
        if self._folder:
            forget_process(self._folder, pid)

    def stop(self) -> None:
        """The workers are about to end."""
        if self._admin:
            self._admin.stop()


@contextmanager
def _folder() -> Iterator[str]:
    """Where the workers count. Raises: ConfigError."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="certless-figures-"))
            make_room(Path(folder), GONE)
        except OSError as error:
            raise ConfigError(
                f"no room for the figures of workers: {error}; have TMPDIR name a folder with some"
            ) from None
        yield folder


@asynccontextmanager
async def watched_workers(
    options: dict[str, Any], are_there: Callable[[], bool]
) -> AsyncIterator[WorkersWatched]:
    """Serve the figures of the workers of ``options``, of which ``admin`` is taken.

    ``are_there`` says whether any worker serves. Raises: ConfigError, StoreUnavailable.
    """
    place = options.pop("admin", None)
    if place is None:
        yield WorkersWatched()
        return
    url = options["store"]
    key_file = options.get("key_file")
    keyring = KeyRing.chosen(Path(key_file) if key_file else None, default_key_file(url))
    store = store_from_url(url)
    with _folder() as folder:
        admin = Admin(
            place,
            registry_of_files(folder),
            store,
            keyring,
            system_clock,
            needs_keys=needs_keys(options["suites"]),
            troubles=lambda: [] if are_there() else ["no worker serves"],
        )
        await store.open()
        try:
            async with admin.listening():
                # The library looks for it when it is loaded, so that workers must be born with it.
                os.environ[FOLDER_VARIABLE] = folder
                try:
                    yield WorkersWatched(admin, Path(folder))
                finally:
                    del os.environ[FOLDER_VARIABLE]
        finally:
            await store.close()
