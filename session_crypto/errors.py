"""The errors of session-bound keys. No message has a key or a part of a request."""


class SessionCryptoError(Exception):
    """No key was sealed. There is no fallback: nothing is ever returned unsealed."""

    code, status = "failed", 500


class SessionEncryptionDisabled(SessionCryptoError):
    """The feature is off."""

    code, status = "disabled", 404


class WrongConfiguration(SessionCryptoError):
    """The configuration, or the number of workers, is not accepted."""


class SessionExpired(SessionCryptoError):
    """The time of the session's keys is over, or it never asked for the server's key."""

    code, status = "expired", 403


class ClientKeyChanged(SessionCryptoError):
    """The session is bound to another client key."""

    code, status = "client_key_changed", 403


class InvalidClientKey(SessionCryptoError):
    """The client's key or its request cannot be used."""

    code, status = "malformed", 400


class SuiteRequired(SessionCryptoError):
    """The request has no session of a hardened suite."""

    code, status = "suite_required", 403


class SessionKeyFailed(SessionCryptoError):
    """The child process failed, or there are too many at the same time."""

    code, status = "unavailable", 503
