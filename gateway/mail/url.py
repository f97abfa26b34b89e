"""The URL of the option ``mail``, and its MailTransport."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from gateway.config.settings import http_url
from gateway.errors import ConfigError
from gateway.users.addresses import ascii_host, helo_name

from .message import sender_of
from .smtp import LOOPBACK, Login, SmtpTransport
from .smtp_tls import Tls, Trust
from .transports import ConsoleTransport, FolderTransport, MailTransport, WebhookTransport
from .webhook_request import webhook_file

_SCHEMES = frozenset(way.value for way in Tls)
_FORM = "mail: an SMTP server is smtp://[USER:PASSWORD@]HOST[:PORT], smtp+starttls://… or smtps://…"


def transport_from_url(url: str, sender: str, helo: str | None = None) -> MailTransport:
    """The MailTransport of ``url``. Raises: ConfigError.

    ``smtp://[user:password@]host[:port]`` uses STARTTLS if offered, and requires it before it
    sends a password to another machine; ``smtp+starttls://`` always requires it; ``smtps://`` uses
    TLS from the start. If TLS is required, the certificate is checked, against the system's
    authorities, ``?ca=FILE`` or ``?fingerprint=SHA256``. The others are ``dir:PATH``, ``console:``
    and ``webhook:URL``.
    """
    try:
        sender_of(sender)
    except ValueError:
        raise ConfigError("mail_from must be one address like codes@example.org") from None
    try:
        helo = helo and helo_name(helo)
    except ValueError:
        raise ConfigError(
            "mail_helo must be the name of this host, or its address like [192.0.2.7]"
        ) from None
    scheme, colon, rest = url.partition(":")
    if scheme in _SCHEMES:
        return _smtp(url, sender, helo)
    match scheme:
        case "dir" if rest:
            return FolderTransport(Path(rest), sender)
        case "console" if colon and not rest:
            return ConsoleTransport()
        case "webhook" if rest.startswith("@") or http_url(rest):
            return webhook_from_url(url, "mail")
    # The URL can contain a password, so the error does not repeat it.
    raise ConfigError("mail must be smtp://HOST:PORT, smtps://…, dir:PATH, console: or webhook:URL")


def webhook_from_url(url: str, about: str) -> WebhookTransport:
    """The transport of ``webhook:URL`` or ``webhook:@FILE``. Raises: ConfigError."""
    scheme, _, rest = url.partition(":")
    if scheme == "webhook" and rest.startswith("@"):
        return WebhookTransport(webhook_file(Path(rest[1:]), about))
    if scheme == "webhook" and http_url(rest):
        return WebhookTransport(rest)
    # The URL can contain a secret, so the error does not repeat it.
    raise ConfigError(f"{about} must be webhook:https://HOST/… or webhook:@FILE")


def _smtp(url: str, sender: str, helo: str | None) -> SmtpTransport:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if host and ":" not in host:
            host = ascii_host(host)
        options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError:
        raise ConfigError(_FORM) from None
    if not host or parts.path.strip("/") or parts.fragment:
        raise ConfigError(_FORM)
    tls = Tls(parts.scheme)
    if tls is Tls.OFFERED and parts.username and host not in LOOPBACK:
        tls = Tls.STARTTLS
    return SmtpTransport(
        host,
        port or _default_port(tls, parts),
        sender,
        tls=tls,
        trust=_trust(tls, options),
        login=_login(parts),
        helo=helo,
    )


def _default_port(tls: Tls, parts: SplitResult) -> int:
    if tls is Tls.FROM_THE_START:
        return 465
    return 587 if tls is Tls.STARTTLS or parts.username else 25


def _login(parts: SplitResult) -> Login | None:
    if not parts.username:
        return None
    return Login(unquote(parts.username), unquote(parts.password or ""))


def _trust(tls: Tls, options: Mapping[str, list[str]]) -> Trust:
    if not options:
        return Trust(anybody=tls is Tls.OFFERED)
    if tls is Tls.OFFERED:
        raise ConfigError(
            "mail: smtp:// accepts any certificate, so ca and fingerprint have no effect: "
            "write smtp+starttls:// or smtps://"
        )
    match options:
        case {"ca": [file], **others} if not others:
            trust = Trust(ca=Path(file))
        case {"fingerprint": [digits], **others} if not others:
            trust = Trust(fingerprint=_fingerprint(digits))
        case _:
            raise ConfigError(f"{_FORM}, optionally with ?ca=FILE or ?fingerprint=SHA256")
    try:
        trust.context()
    except OSError as error:
        raise ConfigError(
            f"mail: ca must be a file of certificates in PEM: {error.strerror or error}"
        ) from None
    return trust


def _fingerprint(digits: str) -> bytes:
    try:
        found = bytes.fromhex(digits.replace(":", ""))
    except ValueError:
        found = b""
    if len(found) != 32:
        raise ConfigError(
            "mail: a fingerprint is the SHA-256 of the certificate, 64 hex digits (openssl x509 "
            "-noout -fingerprint -sha256)"
        )
    return found
