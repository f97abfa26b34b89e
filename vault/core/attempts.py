"""How often a password can be tried, and how long the server waits after that (VAULT §6.3)."""

from dataclasses import dataclass

FREE_ATTEMPTS = 5
# A temporary key is deleted with this number of wrong proofs.
TEMPORARY_ATTEMPTS = 5
FIRST_WAIT_MS = 30_000
LONGEST_WAIT_MS = 24 * 3_600_000
FORGOTTEN_AFTER_MS = 30 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts at the password of one account.

    ``count`` is the attempts in a row that were not taken back. The server does not look at an
    attempt before ``waits_until_ms``.
    """

    count: int = 0
    waits_until_ms: int = 0
    last_ms: int = 0

    def counted(self, now_ms: int) -> tuple["Attempts", bool]:
        """The state after one more attempt, and whether the server looks at it.

        An attempt while the server waits tests nothing, so it is not counted.
        """
        count = 0 if now_ms - self.last_ms >= FORGOTTEN_AFTER_MS else self.count
        after = Attempts(count + 1, now_ms + wait_ms(count + 1), now_ms)
        is_looked_at = now_ms >= self.waits_until_ms
        return (after if is_looked_at else self), is_looked_at


def wait_ms(count: int) -> int:
    """How long the server waits after ``count`` attempts in a row."""
    if count < FREE_ATTEMPTS:
        return 0
    # The exponent has a limit, so that a large count makes no large number.
    return min(FIRST_WAIT_MS << min(count - FREE_ATTEMPTS, 20), LONGEST_WAIT_MS)
