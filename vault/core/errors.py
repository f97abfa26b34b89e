"""The errors of the vault's cryptography. No text of an error holds a secret."""


class VaultError(Exception):
    """Any failure of the vault."""


class Malformed(VaultError):
    """A message, a code, a wrap or a password does not have its form."""


class TooLarge(Malformed):
    """A body, a note or a list is above its limit."""


class WrongSecret(VaultError):
    """The secret does not open this, or the other side does not know the secret."""


class Tampered(VaultError):
    """The server's data does not match the keys of the account."""


class WeakKdf(VaultError):
    """The server names parameters of Argon2id that this client does not accept."""


class Alarm(Tampered):
    """The server shows another index or other blocks than it must (VAULT §21.1).

    ``name`` is that of the table there. No client goes on by itself after an alarm.
    """

    name = ""


class Forged(Alarm):
    """A value was not made by this account."""

    name = "forged"


class RolledBack(Alarm):
    """The server shows an older index than before."""

    name = "rolled_back"


class Forked(Alarm):
    """The server shows an index that does not follow the one before."""

    name = "forked"


class Missing(Alarm):
    """A block that the index names is not there."""

    name = "missing"


class Swapped(Alarm):
    """A block has another digest than its extent names."""

    name = "swapped"
