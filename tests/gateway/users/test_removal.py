"""Users who are not in the file any more when it is reloaded."""

import logging
from pathlib import Path

import pytest

from gateway.errors import ConfigError, StoreUnavailable
from gateway.events import Event, Events, UserRemoved
from gateway.keys.keyring import KeyRing
from gateway.keys.user_tags import UserTags
from gateway.stores import NewSession
from gateway.stores.memory.store import MemoryStore
from gateway.users.directory import AnyAddress, TomlDirectory
from gateway.users.removal import UserRemoval

NOW_MS = 1_000_000
ANN, BEN = "ann", "Ben-7"


class Failing(MemoryStore):
    """A store that may be out of reach."""

    is_down = False

    def __init__(self) -> None:
        super().__init__()
        self.tags = UserTags(self, KeyRing.ephemeral())

    async def end_user(self, user_tag: bytes) -> int:
        if self.is_down:
            raise StoreUnavailable("the store is away")
        return await super().end_user(user_tag)


def write(path: Path, *users: str, slip: str = "") -> None:
    path.write_text("".join(f"[users.{user}]\naddresses = []\n" for user in users) + slip)


async def log_in(store: Failing, user: str) -> None:
    key = store.tags.of(user)
    await store.add_handshake(key, b"a login", NOW_MS, key)
    assert await store.open_login(NewSession(key, key, b"a session", NOW_MS))


async def online(store: MemoryStore) -> set[bytes]:
    return {session.session_id for session in await store.sessions(NOW_MS)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users.toml"
    write(path, ANN, BEN)
    return path


@pytest.fixture
async def store() -> Failing:
    store = Failing()
    await store.tags.open()
    for user in (ANN, BEN):
        await log_in(store, user)
    return store


async def test_who_has_left_is_logged_out(path: Path, store: Failing) -> None:
    told = list[Event]()
    user_removal = UserRemoval(
        TomlDirectory.from_file(path), store, store.tags.of, Events(told.append)
    )
    await user_removal.reload()
    assert await online(store) == {store.tags.of(ANN), store.tags.of(BEN)}
    assert not told
    write(path, ANN, "cleo")
    await user_removal.reload()
    assert await online(store) == {store.tags.of(ANN)}
    assert told == [UserRemoved(store.tags.of(BEN), 1)]


async def test_a_file_with_a_mistake_logs_nobody_out(path: Path, store: Failing) -> None:
    directory = TomlDirectory.from_file(path)
    write(path, ANN, slip="[users.")
    with pytest.raises(ConfigError):
        await UserRemoval(directory, store, store.tags.of, Events()).reload()
    assert await online(store) == {store.tags.of(ANN), store.tags.of(BEN)}
    assert await directory.find(ANN)


async def test_a_store_that_fails_is_asked_again(
    path: Path, store: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    directory = TomlDirectory.from_file(path)
    user_removal = UserRemoval(directory, store, store.tags.of, Events())
    write(path, ANN)
    store.is_down = True
    await user_removal.reload()
    # Nobody new comes in by the old name, and the log says what is still to be done.
    assert await directory.find("ben-7") is None
    assert "sessions of 1 removed users are open, reload again" in caplog.text
    store.is_down = False
    await user_removal.reload()
    assert await online(store) == {store.tags.of(ANN)}
    assert BEN not in caplog.text


async def test_who_is_back_by_then_stays(path: Path, store: Failing) -> None:
    user_removal = UserRemoval(TomlDirectory.from_file(path), store, store.tags.of, Events())
    write(path, ANN)
    store.is_down = True
    await user_removal.reload()
    write(path, ANN, BEN)
    store.is_down = False
    await user_removal.reload()
    assert await online(store) == {store.tags.of(ANN), store.tags.of(BEN)}


async def test_where_there_is_no_file_nobody_leaves(store: Failing) -> None:
    for directory in (AnyAddress(), TomlDirectory([])):
        await UserRemoval(directory, store, store.tags.of, Events()).reload()
    assert await online(store) == {store.tags.of(ANN), store.tags.of(BEN)}
