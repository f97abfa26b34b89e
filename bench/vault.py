"""The vault: unlocks beside logins, the price of one guess, and an unlock on a page in plain HTTP.

Of an unlock and a login only the server's responses count. The client computes on the other core,
between them. The page is that of the demo, on an insecure origin, in Chromium.
"""

import asyncio
import gzip
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.hardened_target import HardenedTarget
from bench.load import ROUNDS
from bench.logins import CLIENTS, LOGINS, Clock, hardened_logins
from bench.messages import Bench, probe
from bench.processes import python
from bench.results import ROOT, Row, Rows, Size, progress
from gateway.clock import system_clock
from protocol.common.messages import HttpRequest
from protocol.common.primitives import SCALAR_SEED_BYTES, scalar
from protocol.hardened.client_session import ClientSession, seal_request
from protocol.hardened.exporter import exported_value
from protocol.hardened.suites import HARDENED_SUITES
from vault.client.parts import new_key, password_part, password_secrets, recovery_part
from vault.core import statements
from vault.core.account import EXPORT_LABEL, Owner
from vault.core.exchanges import BeginRun, ConfirmRun, Parameters, Run
from vault.core.messages import CreateAccount, Opened
from vault.core.password import PasswordSecrets
from vault.core.spake2plus import Transcript, prover_confirmations, prover_share

PASSWORD = "correct horse battery"
UNLOCKS = 192
UNLOCKS_OF_THE_PAGE = 15
_GUESSES = 5
_PAGE_S = 300


@dataclass(frozen=True)
class User:
    """A session, and what the password of its account gives."""

    session: ClientSession
    owner: Owner
    found: PasswordSecrets

    @property
    def exported(self) -> bytes:
        return exported(self.session)


def exported(session: ClientSession) -> bytes:
    """e of the session (VAULT §2)."""
    return exported_value(HARDENED_SUITES[session.suite], session.export, EXPORT_LABEL, b"", 32)


@dataclass(frozen=True)
class Request:
    """One request to the vault, inside of a session."""

    session: ClientSession
    method: str
    path: str
    body: bytes = b""


class VaultTarget(HardenedTarget):
    """A vault behind the gateway. ``clock`` adds up the time of the responses."""

    def __init__(self, target: HardenedTarget) -> None:
        super().__init__(target.server, target._http, "ecdh-gcm")
        self.clock = Clock()

    async def answers(self, requests: Sequence[Request]) -> list[bytes]:
        """The bodies of the responses. Raises: AssertionError."""
        sealed = []
        for one in requests:
            headers = (("Content-Type", "application/msgpack"),) if one.body else ()
            inside = HttpRequest(one.method, f"/vault{one.path}", headers, one.body)
            envelope, pending, _ = seal_request(
                one.session, inside, system_clock(), secrets.token_bytes, None
            )
            sealed.append((envelope, pending))
        came = await self.clock.timed([self.send(envelope) for envelope, _ in sealed])
        bodies = []
        for (_, pending), envelope in zip(sealed, came, strict=True):
            response = pending.open(envelope, 0)
            assert response.status < 300, response.status
            bodies.append(response.body)
        return bodies

    async def user(self) -> User:
        """A new user with an account."""
        session = await self.open_session()
        owner = Owner(session.username, session.realm)
        key = new_key(owner.account)

        async def type_back(code: str) -> str:
            return code

        part = await password_part(PASSWORD, owner, key)
        recovery, secret = await recovery_part(key, type_back)
        head = key.head.public
        signed = statements.creation(exported(session), owner.account, head, recovery.proof)
        body = CreateAccount(
            head, part, recovery, key.head.sign(signed), secret.proof_key.sign(signed)
        ).serialize()
        await self.answers([Request(session, "PUT", "/account", body)])
        found = await password_secrets(PASSWORD, part.salt, part.kdf, owner)
        return User(session, owner, found)

    async def unlock(self, users: Sequence[User]) -> None:
        """Each of the users once, at the same time."""
        answers = await self.answers([Request(one.session, "GET", "/parameters") for one in users])
        parameters = [Parameters.parse(answer) for answer in answers]
        drawn = [scalar(secrets.token_bytes(SCALAR_SEED_BYTES)) for _ in users]
        shares = [prover_share(one.found.w0, x) for one, x in zip(users, drawn, strict=True)]
        begun = [
            Request(one.session, "POST", "/unlock/password", BeginRun(share).serialize())
            for one, share in zip(users, shares, strict=True)
        ]
        runs = [Run.parse(answer) for answer in await self.answers(begun)]
        confirmed = []
        for one, named, x, share, run in zip(users, parameters, drawn, shares, runs, strict=True):
            transcript = Transcript.of(one.owner, one.exported, named.kdf, named.salt)
            ours = prover_confirmations(transcript, one.found, x, share, run.share)
            assert ours.verifier == run.confirm
            body = ConfirmRun(run.run, ours.prover).serialize()
            confirmed.append(Request(one.session, "POST", "/unlock/confirm", body))
        for answer in await self.answers(confirmed):
            Opened.parse(answer)


async def vault(one: Bench, size: Size) -> Rows:
    """All rows of the part."""
    rows: Rows = {}
    await _server(one, size, rows)
    for _ in range(size.of(ROUNDS, 1)):
        guess = probe(one.core, python("bench.probes", "guess", str(size.of(_GUESSES, 1))))
        row = rows.setdefault("a guess, with database and key file", Row())
        row.add(rate=1000 / guess["ms"], ms=guess["ms"], mib=guess["mib"])
    await asyncio.to_thread(_page, size, rows)
    script = (ROOT / "gateway" / "bundle" / "vault.js").read_bytes()
    for name, data in (("`vault.js`", script), ("`vault.js`, gzip", gzip.compress(script, 9))):
        rows[name] = Row()
        rows[name].add(kib=len(data) / 1024)
    return rows


async def _server(one: Bench, size: Size, rows: Rows) -> None:
    """Logins and unlocks, in turn."""
    server = await one.python("bench.server", "--certless", "--vault", str(one.folder))
    target = HardenedTarget(server, one.http, "ecdh-gcm")
    vault = VaultTarget(target)
    # Each user unlocks once at a time, because the server counts the attempts of an account.
    users = [await vault.user() for _ in range(size.of(CLIENTS, 1))]
    for number in range(size.of(ROUNDS, 1)):
        for name in ("logins, `ecdh-gcm`", "unlocks by password"):
            server.wait_until_idle()
            before_s, vault.clock = server.cpu_s(), Clock()
            if name == "unlocks by password":
                count = size.of(UNLOCKS, 4)
                for _ in range(0, count, len(users)):
                    await vault.unlock(users)
                seconds = vault.clock.passed_s
            else:
                count = size.of(LOGINS, 4)
                seconds = await hardened_logins(target, count)
            cpu_us = (server.cpu_s() - before_s) / count * 1e6
            rows.setdefault(name, Row()).add(rate=count / seconds, cpu_us=cpu_us)
            progress(f"round {number + 1}: {name}: {count / seconds:,.0f}/s")


def _page(size: Size, rows: Rows) -> None:
    """Unlocks in Chromium, as ``client_js/scripts/vaultFigures.mjs`` prints them."""
    progress("Chromium: unlocks")
    command = ("node", "scripts/vaultFigures.mjs", str(size.of(UNLOCKS_OF_THE_PAGE, 1)))
    printed = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT / "client_js",
        timeout=_PAGE_S,
        text=True,
        env={**os.environ, "CERTLESS_PYTHON": sys.executable},
    ).stdout
    for line in printed.splitlines():
        told = json.loads(line)
        rows.setdefault(told["name"], Row()).add(**told["figures"])
