"""``certless vault serve``: a process that is a gateway with a vault."""

import signal
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from mailboxes import a_free_port, codes_in, eventually, mails_in, text_of
from processes import python, until_listening
from vault_peer import VaultPeer

from certless import Client

PASSWORD = "correct horse battery"


async def test_a_vault_is_served_and_kept(tmp_path: Path) -> None:
    mails, database = tmp_path / "mails", tmp_path / "vault.db"

    async def code() -> str:
        await eventually(lambda: len(codes_in(mails)) > len(seen))
        seen.append(codes_in(mails)[-1])
        return seen[-1]

    seen: list[str] = []
    recovery = None
    for starts in range(2):
        port = a_free_port()
        arguments = (
            *("-m", "certless", "vault", "serve", "--listen", f"127.0.0.1:{port}"),
            *("--any-address", "--mail", f"dir:{mails}", "--database", f"sqlite:{database}"),
        )
        async with python(*arguments, stdout=PIPE, stderr=STDOUT) as process:
            await until_listening(port, process)
            async with Client(f"http://127.0.0.1:{port}") as client:
                await client.login("ann@example.org", code=code)
                peer = VaultPeer(client)
                if starts == 0:
                    await peer.create(PASSWORD)
                    recovery = peer.recovery
                    assert (await peer.write_note("kept")).status == 204
                    assert 168 <= await peer.request_reset() <= 169
                else:
                    assert await peer.unlock(PASSWORD)
                    note = await peer.note()
                    assert note is not None
                    assert note.text == "kept"
                    assert (await peer.state()).is_to_be_reset
            process.send_signal(signal.SIGTERM)
            output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()
            assert b"in front of the vault" in output
            # The private profile is on.
            assert b"/session/confirm 200" in output
            assert b"/message" not in output
    assert recovery is not None
    (notice,) = [mail for mail in mails_in(mails) if "reset of your vault" in str(mail["Subject"])]
    assert notice["To"] == "ann@example.org"
    assert "vault can replace it" in text_of(notice)
    files = list(tmp_path.glob("vault.db*"))  # noqa: ASYNC240
    assert {path.name: path.stat().st_mode & 0o777 for path in files} == {
        "vault.db": 0o600,
        "vault.db.key": 0o600,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--database", "mysql:x"), "sqlite:PATH or postgresql"),
        (("--database", "postgresql://x/y"), "key_file"),
        ((), "--mail is missing"),
        (("--mail", "console:", "--upstream", "http://127.0.0.1:1"), "unrecognized arguments"),
    ],
)
async def test_a_wrong_option_is_one_line(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    whole = list(arguments)
    if "--database" in whole:
        whole += ["--mail", "console:"]
    command = ("-m", "certless", "vault", "serve", "--any-address", "--listen", "127.0.0.1:0")
    async with python(*command, *whole, stdout=PIPE, stderr=STDOUT) as process:
        output, _ = await process.communicate()
    assert process.returncode == 2
    assert said in output.decode().splitlines()[-1]


async def test_a_database_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    command = (
        *("-m", "certless", "vault", "serve", "--any-address", "--listen", "127.0.0.1:0"),
        *("--mail", "console:", "--database", f"postgresql://nobody@/none?host={tmp_path}"),
        *("--vault-key-file", str(tmp_path / "vault.key")),
    )
    async with python(*command, stdout=PIPE, stderr=STDOUT) as process:
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert output.decode() == "certless: the vault's database does not answer: FileNotFoundError\n"
