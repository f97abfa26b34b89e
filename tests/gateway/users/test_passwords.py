"""Passwords in a users file: their hashes, their bounds, and logins that need them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateways import InProcess, running

from certless.client import Client, PasswordNotAccepted, Refused
from gateway.errors import ConfigError
from gateway.users.directory import Account, TomlDirectory
from gateway.users.passwords import Passwords, check_hash, hash_password

PASSWORD = "correct horse å"
HASH = hash_password(PASSWORD)
USERS = f"""
[users.ann]
addresses = ["ann@example.org"]
password = "{HASH}"

[users.bob]
addresses = ["bob@example.org"]
"""


async def test_a_password_and_its_hash() -> None:
    passwords = Passwords()
    assert await passwords.is_right(PASSWORD, HASH)
    # The same letter, as another keyboard writes it.
    assert await passwords.is_right("correct horse a\u030a", HASH)
    for wrong in ("", "correct horse", PASSWORD + " ", PASSWORD.upper(), "\ud800", "x" * 60_000):
        assert not await passwords.is_right(wrong, HASH)
    assert hash_password(PASSWORD) != HASH
    check_hash(HASH)


async def test_without_a_hash_the_same_work_is_done_and_the_answer_is_no() -> None:
    assert not await Passwords().is_right(PASSWORD, None)


async def test_the_event_loop_goes_on_and_one_thread_computes() -> None:
    passwords = Passwords()
    checks = [asyncio.create_task(passwords.is_right(PASSWORD, HASH)) for _ in range(4)]
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(check.done() for check in checks)
    assert await asyncio.gather(*checks) == [True] * 4
    assert len(passwords._thread._threads) == 1


SALT_AND_HASH = "$" + "A" * 22 + "$" + "A" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse",
        f"$argon2i$v=19$m=65536,t=3,p=4{SALT_AND_HASH}",
        f"$argon2id$v=16$m=65536,t=3,p=4{SALT_AND_HASH}",
        f"$argon2id$v=19$m=1024,t=3,p=4{SALT_AND_HASH}",
        # A line in a file must not make the gateway allocate 4 GiB.
        f"$argon2id$v=19$m=4194304,t=3,p=4{SALT_AND_HASH}",
        f"$argon2id$v=19$m=65536,t=1000,p=4{SALT_AND_HASH}",
        f"$argon2id$v=19$m=65536,t=0,p=4{SALT_AND_HASH}",
        f"$argon2id$v=19$m=65536,t=3,p=200{SALT_AND_HASH}",
        "$2b$12$abcdefghijklmnopqrstuuKHGCvpPnfOtFiKUYSkXqYGgkGBpeJTm",
        f"$argon2id$v=19$m=65536,t=3,p=4{SALT_AND_HASH}\n",
    ],
)
def test_other_hashes_are_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must|not a hash"):
        check_hash(text)
    path = tmp_path / "users.toml"
    path.write_text(f"[users.ann]\naddresses = []\npassword = '''{text}'''")
    with pytest.raises(ConfigError, match="run `certless users set-password`") as caught:
        TomlDirectory.from_file(path)
    assert "\n" not in str(caught.value)
    assert not text or text not in str(caught.value)


async def test_the_check_of_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text(USERS)
    directory = TomlDirectory.from_file(path)
    ann, bob = await directory.find("ann"), await directory.find("bob")
    assert ann is not None
    assert bob is not None
    assert HASH not in repr(ann)
    assert [await directory.check(ann, {"password": text}) for text in (PASSWORD, "x")] == [
        True,
        False,
    ]
    wrong: list[dict[str, Any]] = [{}, *({"password": given} for given in (None, 5, [PASSWORD]))]
    for payload in wrong:
        assert not await directory.check(ann, payload)
    # Nothing more is wanted of Bob, whatever he sends (PROTOCOL §2.4.7).
    assert await directory.check(bob, {})
    assert await directory.check(bob, {"password": "x"})
    assert Account("ann", ()) == Account("ann", (), None)


@pytest.mark.parametrize("suite", ["ecdh-gcm", "classic"])
async def test_a_login_with_a_password(suite: Any, tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text(USERS)
    async with running(users=path) as at:
        assert await _user_after_login(at, suite, "ann", PASSWORD) == "ann"
        assert await _user_after_login(at, suite, "bob", None) == "bob"
        assert await _user_after_login(at, suite, "bob", "anything") == "bob"
        for wrong in ("", "battery"):
            with pytest.raises((PasswordNotAccepted, Refused)):
                await _user_after_login(at, suite, "ann", wrong)
        # A reload brings a new password, and then a code alone is not enough for Bob either.
        path.write_text(USERS + f'password = "{HASH}"\n')
        await at.assembly.reloads.run()
        with pytest.raises((PasswordNotAccepted, Refused)):
            await _user_after_login(at, suite, "bob", "anything")


async def _user_after_login(at: InProcess, suite: Any, name: str, password: str | None) -> str:
    dialect = at.dialect if suite == "classic" else None
    async with Client(at.url, suite=suite, dialect=dialect) as client:
        await client.login(name, code=at.mails.code, password=password)
        user = (await (await client.get("/echo")).json())["user"]
        await client.logout()
        assert isinstance(user, str)
        return user
