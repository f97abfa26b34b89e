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
