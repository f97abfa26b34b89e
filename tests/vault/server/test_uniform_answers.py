"""A wrong secret, nothing to open, and an unknown user cannot be told apart (VAULT §15).

The answers are compared byte by byte. The work is compared by counting statements of the store and
calls of cryptography, not by time, so that a difference of one call is seen.
"""

import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from gateways import SetClock
from sqlalchemy import event

from vault.core import statements
from vault.core.account import Owner, next_revision
from vault.core.errors import VaultError
from vault.core.exchanges import BeginRun, ConfirmRun, DeviceProof, Proof, Run
from vault.core.spake2plus import prover_share
from vault.core.unlock_secrets import UnlockSecret
from vault.server import accounts, unlocking
from vault.server.buckets import Buckets
from vault.server.call import Call, Parts
from vault.server.key_file import read_or_make
from vault.server.routes import Handler, refusal
from vault.server.server_key import ServerKey, Verifier, random_scalar, random_verifier
from vault.server.store.database import Database
from vault.server.store.records import StoredAccount, StoredDevice, TemporaryKey

# Where the server computes with secrets.
CRYPTOGRAPHY = (
    *("protocol.common.primitives", "protocol.hardened.spake2", "Crypto.", "cryptography."),
    *("vault.core.primitives", "vault.core.spake2plus", "vault.core.statements"),
    *("vault.core.wraps", "vault.core.attempts", "vault.server.server_key"),
)
ANN, NOBODY = Owner("ann", "certless"), Owner("nobody", "certless")
DEVICE = b"d" * 16


@dataclass
class Server:
    """The parts of a server, without HTTP."""

    parts: Parts
    clock: SetClock

    async def close(self, kind: str) -> None:
        """Make the right secret of Ann useless: her account waits, or the secret has ended."""
        handler, body = REQUESTS[kind]
        for _ in range(5):
            await answered(self.parts, handler, call(ANN, body(None)))
        if kind == "device":
            async with self.parts.database.transaction() as at:
                await at.delete_device(ANN.account, DEVICE)


async def ignored(*_: Any) -> None:
    """No mail and no end of a session."""


def call(owner: Owner, body: bytes) -> Call:
    return Call(owner, "session", b"e" * 32, "POST", "/vault/unlock", body)


async def answered(parts: Parts, handler: Handler, asked: Call) -> tuple[int, bytes]:
    """The status and the bytes of the answer."""
    try:
        return 200, await handler(parts, asked)
    except VaultError as error:
        response = refusal(error)
        assert isinstance(response.body, bytes)
        return response.status, response.body


@pytest.fixture
async def server(vault_url: str, vault_key: Path) -> AsyncIterator[Server]:
    """A server on which Ann has an account with a recovery code, a temporary key and a device."""
    database, clock = Database(vault_url), SetClock()
    clock.stopped_at_ms = clock()
    key = ServerKey(read_or_make(vault_key))
    await database.open(key.id)
    planted = random_verifier()
    stored = StoredAccount(
        account=ANN.account,
        head=SECRETS["recovery"].proof_key.public,
        revision=next_revision(b"", b""),
        kdf=1,
        salt=b"s" * 16,
        verifier=key.seal_verifier(ANN.account, planted.w0.to_bytes(32), planted.big_l),
        password_wrap=b"w" * 61,
        recovery_proof=SECRETS["recovery"].proof_key.public,
        recovery_wrap=b"w" * 61,
    )
    until_ms = clock() + 3_600_000
    proof = SECRETS["temporary"].proof_key.public
    device = StoredDevice(DEVICE, b"r" * 285, SECRETS["device"].proof_key.public, b"w" * 61, b"")
    async with database.transaction() as at:
        await at.add_account(stored)
        await at.put_temporary(ANN.account, TemporaryKey(proof, b"w" * 61, until_ms))
        await at.put_device(ANN.account, device)
    yield Server(Parts(database, key, clock, ignored, ignored, Buckets(clock)), clock)
    await database.close()


SECRETS = {
    kind: UnlockSecret(ANN.account, kind, secrets.token_bytes(32))
    for kind in ("recovery", "temporary", "device")
}


def share(_: UnlockSecret | None) -> bytes:
    return BeginRun(prover_share(random_scalar(), random_scalar())).serialize()


def proof_of(kind: str) -> Callable[[UnlockSecret | None], bytes]:
    """The body for a secret of this kind, or for a wrong one."""

    def body(secret: UnlockSecret | None) -> bytes:
        used = secret or UnlockSecret(ANN.account, "recovery", secrets.token_bytes(32))
        subject = DEVICE if kind == "device" else b""
        statement = statements.proof(b"e" * 32, ANN.account, SECRETS[kind].kind, subject)
        signature = used.proof_key.sign(statement)
        return (DeviceProof(subject, signature) if subject else Proof(signature)).serialize()

    return body


REQUESTS: dict[str, tuple[Handler, Callable[[UnlockSecret | None], bytes]]] = {
    "password": (unlocking.begin, share),
    "recovery": (unlocking.by_recovery_code, proof_of("recovery")),
    "temporary": (unlocking.by_temporary_key, proof_of("temporary")),
    "device": (unlocking.by_device, proof_of("device")),
}


# --- the count of operations ---


@contextmanager
def counted(database: Database) -> Iterator[Counter[str]]:
    """The statements of the store and the calls of cryptography in the block."""
    work = Counter[str]()

    def profile(frame: FrameType, what: str, argument: Any) -> None:
        if what == "call":
            module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        elif what == "c_call":
            module, name = str(getattr(argument, "__module__", "")), argument.__qualname__
        else:
            return
        if module.startswith(CRYPTOGRAPHY):
            work[f"{module}.{name}"] += 1

    def statement(_1: Any, _2: Any, sql: str, *_3: Any) -> None:
        work[sql] += 1

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", statement)
    sys.setprofile(profile)
    try:
        yield work
    finally:
        sys.setprofile(None)
        event.remove(engine, "before_cursor_execute", statement)


async def work_of(server: Server, owner: Owner, kind: str, secret: UnlockSecret | None) -> Any:
    """The answer to one attempt and its work; for a password, with the confirmation."""
    handler, body = REQUESTS[kind]
    asked = call(owner, body(secret))
    with counted(server.parts.database) as work:
        answer = await answered(server.parts, handler, asked)
    if kind != "password":
        return answer, work
    run = Run.parse(answer[1])
    wrong = call(owner, ConfirmRun(run.run, bytes(32)).serialize())
    with counted(server.parts.database) as more:
        second = await answered(server.parts, unlocking.confirm, wrong)
    # The run, the share and the confirmation are random.
    return (answer[0], len(answer[1]), second), work + more


async def three_cases(server: Server, kind: str) -> list[Any]:
    """A wrong secret, an unknown user, and a right secret that is of no use any more."""
    await work_of(server, ANN, kind, None)  # what is loaded and cached at the first use
    cases = [await work_of(server, owner, kind, None) for owner in (ANN, NOBODY)]
    if kind == "recovery":  # A recovery code has no count and no end.
        return cases
    await server.close(kind)
    return [*cases, await work_of(server, ANN, kind, SECRETS.get(kind))]


@pytest.mark.parametrize("kind", REQUESTS)
async def test_three_cases_have_the_same_answer_and_the_same_work(
    server: Server, kind: str
) -> None:
    (wrong, work), *others = await three_cases(server, kind)
    assert sum(work.values()) > 5
    for answer, other in others:
        assert answer == wrong
        assert other == work


@pytest.mark.parametrize("kind", ["recovery", "temporary", "device"])
async def test_the_right_secret_has_another_answer(server: Server, kind: str) -> None:
    answer, _ = await work_of(server, ANN, kind, SECRETS[kind])
    assert answer[0] == 200


async def test_a_planted_difference_of_one_call_is_seen(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = unlocking._verifier

    def quick(key: ServerKey, name: bytes, account: StoredAccount | None) -> Verifier:
        return random_verifier() if account is None else real(key, name, account)

    monkeypatch.setattr(unlocking, "_verifier", quick)
    (_, work), (_, unknown), _ = await three_cases(server, "password")
    assert work != unknown


async def test_a_planted_statement_is_seen(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real = unlocking._secret

    async def eager(parts: Parts, at: Any, account: Any, *rest: Any) -> Any:
        if account is not None:
            await at.note(account.account)
        return await real(parts, at, account, *rest)

    monkeypatch.setattr(unlocking, "_secret", eager)
    (_, work), (_, unknown) = await three_cases(server, "recovery")
    assert work != unknown


async def test_a_signed_request_shows_nothing_about_an_unknown_user(server: Server) -> None:
    signature = "A" * 86
    asked = [
        replace(call(owner, b""), method="GET", signature=signature) for owner in (ANN, ANN, NOBODY)
    ]
    cases = []
    for one in asked:
        with counted(server.parts.database) as work:
            cases.append((await answered(server.parts, accounts.read, one), work))
    assert cases[1][0][0] == 403
    assert cases[1] == cases[2]


async def test_the_parameters_of_an_unknown_user_are_stable_and_their_own(server: Server) -> None:
    async def salt(owner: Owner) -> bytes:
        return (await unlocking.parameters(server.parts, call(owner, b"")))[-16:]

    assert await salt(NOBODY) == await salt(NOBODY)
    assert len({await salt(Owner(f"user {n}", "certless")) for n in range(50)}) == 50
    # Another server has other ones.
    other = ServerKey(secrets.token_bytes(32))
    assert other.decoy_salt(NOBODY.account) != server.parts.key.decoy_salt(NOBODY.account)


async def test_an_unknown_user_is_locked_like_a_known_one(server: Server) -> None:
    for owner in (ANN, NOBODY):
        for _ in range(7):
            await answered(server.parts, unlocking.begin, call(owner, share(None)))
    async with server.parts.database.transaction() as at:
        assert await at.attempts(ANN.account) == await at.attempts(NOBODY.account)
