"""What a head key or a proof key signs. Each statement names its purpose (VAULT §6.2, §7 to §9)."""

from protocol.common.primitives import sha256

from .account import label, lp
from .wraps import Kind


def proof(exported: bytes, account: bytes, kind: Kind, subject: bytes = b"") -> bytes:
    """By a proof key: release the wrap of this kind. ``exported`` is e of the session."""
    return label("proof") + lp(exported) + lp(account) + lp(kind.encode()) + lp(subject)


def request(exported: bytes, account: bytes, method: str, target: str, body: bytes) -> bytes:
    """By the head key: this request, in this session."""
    named = lp(method.encode()) + lp(target.encode())
    return label("request") + lp(exported) + lp(account) + named + sha256(body)


def creation(exported: bytes, account: bytes, head: bytes, proof_key: bytes) -> bytes:
    """By the new head key and by the proof key of the code that was typed back."""
    return label("create") + lp(exported) + lp(account) + lp(head) + lp(proof_key)


def typed(exported: bytes, account: bytes, proof_key: bytes) -> bytes:
    """By the proof key of a new recovery code that was typed back."""
    return label("typed") + lp(exported) + lp(account) + lp(proof_key)


def rekey(account: bytes, revision: bytes, head: bytes) -> bytes:
    """By the new head key: it becomes the head of the account after ``revision``."""
    return label("rekey") + lp(account) + lp(revision) + lp(head)
