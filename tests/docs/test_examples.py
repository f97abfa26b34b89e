"""The examples run, and README and docs/ show them unchanged."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import documents
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from frameworks import serving
from gateways import CaughtMails
from processes import ROOT, program
from vault_peer import VaultPeer

import gateway
from certless.client import Client, Refused

EXAMPLES = ROOT / "examples"


def without_docstring(path: Path) -> str:
    return path.read_text("utf-8").split('"""', 2)[2].lstrip()


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("wrap_app.py", "README.md"),
        ("wrap_asgi.py", "docs/asgi.md"),
        ("python_client.py", "README.md"),
        ("python_device.py", "docs/devices.md"),
        ("python_rsa_key.py", "docs/clients.md"),
        ("second_check.py", "docs/users.md"),
        ("bound_key.py", "docs/binding.md"),
        ("vault_app.py", "docs/vault.md"),
    ],
)
def test_the_python_examples_are_shown(name: str, page: str) -> None:
    assert without_docstring(EXAMPLES / name) in documents.blocks(documents.read(page), "python")


@pytest.mark.parametrize(
    ("name", "page", "language"),
    [
        ("page.html", "README.md", "html"),
        ("package_client.mjs", "docs/clients.md", "js"),
        ("websocket_client.mjs", "docs/clients.md", "js"),
        ("bound_key.mjs", "docs/binding.md", "js"),
        ("node_client.mjs", "docs/dialects.md", "js"),
    ],
)
def test_the_other_examples_are_shown_whole(name: str, page: str, language: str) -> None:
    program = (EXAMPLES / name).read_text("utf-8")
    assert program in documents.blocks(documents.read(page), language)


def test_the_node_client_has_60_lines_and_readme_says_how_to_run_it() -> None:
    assert len((EXAMPLES / "node_client.mjs").read_text("utf-8").splitlines()) <= 60
    assert "node examples/node_client.mjs http" in documents.read("README.md")


def load(name: str) -> dict[str, Any]:
    """An example as a module that is not run as a program."""
    scope: dict[str, Any] = {"__name__": name}
    exec(compile((EXAMPLES / f"{name}.py").read_text("utf-8"), name, "exec"), scope)  # noqa: S102
    return scope


async def printed_code(capsys: pytest.CaptureFixture[str]) -> str:
    """The next printed code."""
    async with asyncio.timeout(20):
        while True:
            lines = capsys.readouterr().out.splitlines()
            if codes := [line for line in lines if len(line) == 8 and line.isalnum()]:
                return codes[0]
            await asyncio.sleep(0.01)


async def run_client(command: list[str], mails: CaughtMails, url: str, *more: str) -> str:
    """The output of a client that asks for the code on its standard input."""
    async with program(
        *command,
        url,
        "ann@example.org",
        *more,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        code = await mails.code()
        async with asyncio.timeout(30):
            out, err = await process.communicate(f"{code}\n".encode())
    assert (process.returncode, err) == (0, b"")
    return out.decode().removeprefix("Code from the mail: ").strip()


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ([sys.executable, str(EXAMPLES / "python_client.py")], "{'user': 'ann@example.org', "),
        (["node", str(EXAMPLES / "node_client.mjs")], '{"user": "ann@example.org", '),
    ],
)
async def test_clients_call_the_wrapped_application(program: list[str], answer: str) -> None:
    mails = CaughtMails()
    wrapped = load("wrap_app")
    # The application of the example, with mails in memory instead of on the console.
    app = web.Application()
    app.router.add_post("/orders", wrapped["orders"])
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    async with serving(app) as url:
        assert (await run_client(program, mails, url)).startswith(f"200 {answer}")


async def test_the_example_of_the_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    async with serving(load("vault_app")["app"]) as url, Client(url) as client:
        await client.login("ann@example.org", code=partial(printed_code, capsys))
        peer = VaultPeer(client)
        await peer.create("correct horse battery")
        assert (await peer.write_note("kept")).status == 204
        assert await peer.unlock("correct horse battery")
        await peer.request_reset()
    assert "--- to ann@example.org: A reset of your vault" in capsys.readouterr().out
    files = {path.name for path in tmp_path.iterdir()}  # noqa: ASYNC240
    assert files == {"vault.db", "vault.db.key"}


async def test_a_key_that_openssl_uses(tmp_path: Path) -> None:
    section = documents.read("docs/clients.md").rpartition("### A key in hardware")[2]
    make, run = documents.blocks(section, "sh")
    for line in make.splitlines():
        async with program(*line.split(), cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL) as made:
            async with asyncio.timeout(60):
                assert await made.wait() == 0
    _, name, *rest, public, private = run.split()
    assert rest == ["http://127.0.0.1:8440", "ann@example.org"]
    mails = CaughtMails()
    app = web.Application()
    app.router.add_post("/orders", load("wrap_app")["orders"])
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    command = [sys.executable, str(ROOT / name)]
    files = [str(tmp_path / public), str(tmp_path / private)]
    async with serving(app) as url:
        assert (await run_client(command, mails, url, *files)).startswith("200 {'user': 'ann@ex")


def install_npm_package(folder: Path, name: str) -> Path:
    """The program of an example, as after ``npm install ./client_js``."""
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "certless").symlink_to(ROOT / "client_js")
    program = folder / f"{name}.mjs"
    program.write_bytes((EXAMPLES / program.name).read_bytes())
    return program


async def chat(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(protocols=["chat.v2"])
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(f"{request[gateway.USER]}: {message.data}")
    return ws


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("package_client", '200 {"user": "ann@example.org", '),
        ("websocket_client", "chat.v2: ann@example.org: Räksmörgås"),
    ],
)
async def test_the_npm_package_in_node(name: str, expected: str, tmp_path: Path) -> None:
    program = install_npm_package(tmp_path, name)
    mails = CaughtMails()
    app = web.Application()
    app.router.add_post("/orders", load("wrap_app")["orders"])
    app.router.add_get("/chat", chat)
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    async with serving(app) as url:
        answer = await run_client(["node", str(program)], mails, url)
    assert answer.startswith(expected)


async def test_a_proof_that_is_bound_to_the_session(tmp_path: Path) -> None:
    program = install_npm_package(tmp_path, "bound_key")
    key, pem = Ed25519PrivateKey.generate(), tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    example, mails = load("bound_key"), CaughtMails()
    example["KEYS"]["ann@example.org"] = key.public_key()
    app = web.Application()
    app.router.add_post("/prove", example["prove"])
    gateway.setup(app, users=gateway.AnyAddress(), mail=mails)
    async with serving(app) as url, Client(url) as client, Client(url) as other:
        for each in (client, other):
            await each.login("ann@example.org", code=mails.code)
        assert await example["sign"](client, key) == "ann@example.org holds the key"
        proof = key.sign(client.export(example["LABEL"], b"login"))
        assert (await client.post("/prove", data=proof)).status == 200
        assert (await other.post("/prove", data=proof)).status == 403
        answer = await run_client(["node", str(program)], mails, url, str(pem))
    assert answer == "200 ann@example.org holds the key"


@pytest.mark.parametrize("name", ["wrap_app", "wrap_asgi"])
async def test_the_wrapped_application_prints_its_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(load(name)["app"]) as url, Client(url) as client:
        code = partial(printed_code, capsys)
        await client.login("ann@example.org", code=code)
        answer = await client.post("/orders", json={"item": "tea"})
        assert await answer.json() == {"user": "ann@example.org", "ordered": "tea"}


async def test_own_parts(capsys: pytest.CaptureFixture[str]) -> None:
    code = partial(printed_code, capsys)
    async with serving(load("own_parts")["app"]) as url, Client(url) as client:
        with pytest.raises(Refused):
            await client.login("ann", code=code, password="wrong")
        await client.login("ann", code=code, password="correct horse")
        assert await (await client.get("/whoami")).json() == {"user": "ann"}
