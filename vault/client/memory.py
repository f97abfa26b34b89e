"""What a client remembers of an account, so that a service cannot go back (VAULT §3.2, §11)."""

from dataclasses import dataclass, field

from vault.core.errors import Tampered, WeakKdf
from vault.core.password import kdf_of


@dataclass(slots=True)
class Memory:
    """The largest sequence of a note, and the kdf with the largest cost; 0 for none.

    ``heads`` are the heads of the account in hex, the present one last. A program that keeps all
    of it between runs notices what happened meanwhile. If the user has replaced the account after
    a reset, begin with a new Memory.
    """

    sequence: int = 0
    kdf: int = 0
    heads: list[str] = field(default_factory=list)

    def saw_head(self, head: bytes) -> None:
        """Raises: Tampered, if a rekey has replaced this head before."""
        seen = head.hex()
        if seen in self.heads[:-1]:
            raise Tampered(
                "the server has an older key of the account: it was rolled back; ask its operator"
            )
        if seen not in self.heads:
            self.heads.append(seen)

    def saw_kdf(self, kdf: int) -> None:
        """Raises: WeakKdf, if its cost is smaller than one that was seen."""
        cost = kdf_of(kdf).cost
        if self.kdf and cost < kdf_of(self.kdf).cost:
            raise WeakKdf("the server names weaker parameters of Argon2id than before")
        self.kdf = kdf

    def saw_note(self, sequence: int) -> None:
        """``sequence`` is 0 if there is no note. Raises: Tampered, if it was larger before."""
        if sequence < self.sequence:
            raise Tampered(
                "the server has an older note than before: it was rolled back, or the account was "
                "replaced by a new one. If you have replaced it: certless vault forget, and unlock "
                "it again. If not, ask the operator"
            )
        self.sequence = sequence
