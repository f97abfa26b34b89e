"""The ways to unlock: each proof releases one wrap. Passwords are counted first (VAULT §6).

A wrong secret, a locked account and an unknown account take the same path: the same operations of
the store, and the same cryptography with other values.
"""

import logging
import secrets

from protocol.common.primitives import equal
from protocol.hardened.spake2 import admit_share
from vault.core import statements
from vault.core.attempts import FREE_ATTEMPTS, TEMPORARY_ATTEMPTS, Attempts
from vault.core.errors import Malformed
from vault.core.exchanges import BeginRun, ConfirmRun, DeviceProof, Parameters, Proof, Run
from vault.core.messages import RUN_BYTES, Opened, SecretPart
from vault.core.password import STRONGEST_KDF
from vault.core.primitives import is_signature
from vault.core.spake2plus import Transcript, verifier_confirmations, verifier_share
from vault.core.wraps import Kind

from .call import DECOY_KEY, Call, Parts
from .errors import Refused
from .expiring_accounts import used
from .server_key import ServerKey, Unsealable, Verifier, random_scalar, random_verifier
from .store.records import StoredAccount, StoredRun
from .store.transaction import Transaction

RUN_LIFETIME_MS = 60_000
MAX_RUNS = 8
_log = logging.getLogger("certless.vault")


# --- by password ---


async def parameters(parts: Parts, call: Call) -> bytes:
    """GET /parameters."""
    call.without_body()
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
    owner = call.owner
    kdf, salt = _kdf_and_salt(parts.key, call, account)
    return Parameters(owner.username, owner.realm, kdf, salt).serialize()


async def begin(parts: Parts, call: Call) -> bytes:
    """POST /unlock/password: the server's half of SPAKE2+."""
    share_p = BeginRun.parse(call.body).share
    if admit_share(share_p) is None:
        raise Malformed("member 'share' must be a point of P-256")
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
        before = await transaction.attempts(call.account)
        attempts, is_looked_at = before.counted(parts.clock())
        await transaction.put_attempts(call.account, attempts)
    if is_looked_at and attempts.count == FREE_ATTEMPTS:
        # Also for a user without an account, so that the work does not differ.
        await call.tell(parts, "guessed")
    verifier, decoy = _verifier(parts.key, call.account, account), random_verifier()
    if account is None or not is_looked_at:
        verifier = decoy
    kdf, salt = _kdf_and_salt(parts.key, call, account)
    transcript = Transcript.of(call.owner, call.exported, kdf, salt)
    y = random_scalar()
    share_v = verifier_share(verifier.w0, y)
    right = verifier_confirmations(transcript, verifier.w0, verifier.big_l, y, share_p, share_v)
    run_id = secrets.token_bytes(RUN_BYTES)
    sealed = parts.key.seal("run", call.account, right.prover, run_id)
    until_ms = parts.clock() + RUN_LIFETIME_MS
    async with parts.database.transaction() as transaction:
        now = await transaction.account(call.account)
        # If the password was replaced since the first transaction, the run is not kept. It would
        # release the wrap of the new password for a proof of the old one.
        if _sealed_verifier(now) == _sealed_verifier(account):
            stored = StoredRun(run_id, call.account, call.session, sealed, until_ms)
            await transaction.add_run(stored, MAX_RUNS)
    return Run(run_id, share_v, right.verifier).serialize()


async def confirm(parts: Parts, call: Call) -> bytes:
    """POST /unlock/confirm: the client's confirmation releases the wrap."""
    asked = ConfirmRun.parse(call.body)
    opened = None
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
        run = await transaction.take_run(asked.run, call.account, call.session)
        if run is not None and parts.clock() < run.until_ms:
            right = parts.key.open("run", call.account, run.confirm, run.run)
            if equal(asked.confirm, right) and account is not None:
                await transaction.put_attempts(call.account, Attempts())
                await used(parts, transaction, account)
                wrap = parts.key.open("password wrap", call.account, account.password_wrap)
                opened = _opened(account, wrap)
    # Raised after the commit, because the run is used up.
    return _answer(opened)


# --- by another secret ---


async def by_recovery_code(parts: Parts, call: Call) -> bytes:
    """POST /unlock/recovery."""
    return await _by_proof(parts, call, Proof.parse(call.body).signature, "recovery")


async def by_temporary_key(parts: Parts, call: Call) -> bytes:
    """POST /unlock/temporary."""
    return await _by_proof(parts, call, Proof.parse(call.body).signature, "temporary")


async def by_device(parts: Parts, call: Call) -> bytes:
    """POST /unlock/device."""
    asked = DeviceProof.parse(call.body)
    return await _by_proof(parts, call, asked.signature, "device", asked.id)


async def _by_proof(
    parts: Parts, call: Call, signature: bytes, kind: Kind, subject: bytes = b""
) -> bytes:
    opened = None
    async with parts.database.transaction() as transaction:
        account = await transaction.account(call.account)
        secret = await _secret(parts, transaction, account, call.account, kind, subject)
        statement = statements.proof(call.exported, call.account, kind, subject)
        proof = DECOY_KEY if secret is None else secret.proof
        is_right = is_signature(proof, signature, statement)
        if is_right and account is not None and secret is not None:
            if kind == "temporary":
                await transaction.put_temporary(call.account, None)
            await used(parts, transaction, account)
            opened = _opened(account, secret.wrap)
        elif kind == "temporary":
            await transaction.count_wrong_proof(call.account, TEMPORARY_ATTEMPTS)
    # Raised after the commit, because the wrong proof is counted.
    return _answer(opened)


async def _secret(
    parts: Parts,
    transaction: Transaction,
    account: StoredAccount | None,
    name: bytes,
    kind: Kind,
    subject: bytes,
) -> SecretPart | None:
    """What a proof of this kind releases now, if there is anything."""
    if kind == "temporary":
        key = await transaction.temporary(name)
        is_good = key is not None and parts.clock() < key.until_ms
        return SecretPart(key.proof, key.wrap) if key is not None and is_good else None
    if kind == "device":
        device = await transaction.device(name, subject)
        return None if device is None else device.secret
    return None if account is None else account.recovery


# --- both ---


def _kdf_and_salt(key: ServerKey, call: Call, account: StoredAccount | None) -> tuple[int, bytes]:
    decoy = key.decoy_salt(call.account)
    return (STRONGEST_KDF, decoy) if account is None else (account.kdf, account.salt)


def _sealed_verifier(account: StoredAccount | None) -> bytes | None:
    """Other bytes for each password, because each seal has its own IV."""
    return None if account is None else account.verifier


def _verifier(key: ServerKey, name: bytes, account: StoredAccount | None) -> Verifier:
    try:
        return key.open_verifier(name, _sealed_verifier(account))
    except Unsealable as error:
        _log.error("no password opens an account: %s; restore the database", error)
        return random_verifier()


def _opened(account: StoredAccount, wrap: bytes) -> Opened:
    return Opened(wrap, account.head, account.revision)


def _answer(opened: Opened | None) -> bytes:
    """Raises: Refused."""
    if opened is None:
        raise Refused
    return opened.serialize()
