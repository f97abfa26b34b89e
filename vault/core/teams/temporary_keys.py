"""The temporary master key: 128 bits that open the master key of one epoch (TEAMS §7)."""

from dataclasses import dataclass, field

from protocol.common.primitives import hkdf
from vault.core.account import KEY_BYTES, label, lp
from vault.core.errors import WrongSecret
from vault.core.primitives import SEED_BYTES, SigningKey
from vault.core.wraps import seal, unseal

from .epochs import MasterKey, checked_master_key
from .roster import Roster


@dataclass(frozen=True, slots=True)
class TemporaryMasterKey:
    """A temporary master key of ``team`` in ``epoch``. ``secret`` is 16 random bytes."""

    team: bytes
    epoch: int
    secret: bytes = field(repr=False)

    @property
    def proof_key(self) -> SigningKey:
        """The key whose signature makes a server release the wrap."""
        return SigningKey.of(self._derived("team temporary proof", SEED_BYTES))

    def wrap(self, master: MasterKey, iv: bytes) -> bytes:
        """The wrap of ``master`` (61 bytes). ``iv`` is 12 random bytes."""
        return seal(self._derived("team temporary key", KEY_BYTES), iv, master.key, self._aad())

    def unwrap(self, roster: Roster, wrapped: bytes) -> MasterKey:
        """The master key of ``roster``. Raises: Malformed, WrongSecret, Forged."""
        key = unseal(self._derived("team temporary key", KEY_BYTES), wrapped, self._aad())
        if key is None:
            raise WrongSecret("this temporary master key does not open the team")
        return checked_master_key(roster, key)

    def _derived(self, purpose: str, length: int) -> bytes:
        return hkdf(self.secret, self.team, label(purpose) + self.epoch.to_bytes(2), length)

    def _aad(self) -> bytes:
        return label("team temporary wrap") + lp(self.team) + self.epoch.to_bytes(2)
