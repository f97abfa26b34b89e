"""Mail: connects to the server and stops before a mail is sent."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
from yarl import URL

from gateway.config.options import default_of
from gateway.mail.smtp import NotOffered, SmtpTransport
from gateway.mail.smtp_tls import CertificateRefused, Tls, Trust
from gateway.mail.transports import ConsoleTransport, FolderTransport, WebhookTransport
from gateway.mail.url import transport_from_url

from . import ANSWER_S, Finding, Service, fix, ok, warn
from .webhooks import reach

ABOUT = "mail"


async def check_mail(service: Service) -> AsyncIterator[Finding]:
    """Whether the mail server would accept a code."""
    if not service.options.get("mail"):
        return
    sender = service.option("mail_from")
    helo = service.options.get("mail_helo")
    match transport_from_url(service.options["mail"], sender, helo):
        case SmtpTransport() as transport:
            async for finding in _smtp(transport):
                yield finding
        case FolderTransport() as transport:
            yield await asyncio.to_thread(_folder, transport.folder)
        case WebhookTransport() as transport:
            yield await reach(ABOUT, URL(transport.url))
        case ConsoleTransport():
            yield warn(
                ABOUT, "codes are printed to the console: in production set mail to smtp://…"
            )


async def _smtp(transport: SmtpTransport) -> AsyncIterator[Finding]:
    server = transport.server
    try:
        async with asyncio.timeout(2 * ANSWER_S), transport.connected() as smtp:
            is_encrypted = smtp.get_transport_info("sslcontext") is not None
            name = smtp.local_hostname
            await smtp.mail(transport.sender)
            await smtp.rset()
    except (aiosmtplib.SMTPException, OSError) as error:
        yield fix(ABOUT, f"SMTP server {server} {_refusal(error, transport.sender)}")
        return
    way = _tls_text(transport.trust) if is_encrypted else "unencrypted"
    login = " after a login" if transport.logs_in else ""
    accepts = f"accepts {transport.sender}{login} from {name}, {way} (no mail was sent)"
    text = f"SMTP server {server} {accepts}"
    if transport.tls is Tls.OFFERED and not transport.is_local:
        yield warn(ABOUT, f"{text}: the network can read the codes; use smtp+starttls://")
    else:
        yield ok(ABOUT, text)
    if transport.sender == default_of("mail_from") and not transport.is_local:
        yield warn(ABOUT, f"mails come from {transport.sender}: set mail_from to your own address")


def _tls_text(trust: Trust) -> str:
    if trust.anybody:
        return "over TLS with any certificate"
    if trust.fingerprint:
        return "over TLS with the certificate of the set fingerprint"
    authority = "an authority in ca" if trust.ca else "an authority of this system"
    return f"over TLS with a certificate of {authority}"


def _refusal(error: Exception, sender: str) -> str:
    """The problem and what to do. It does not quote the server, which can repeat secrets."""
    refused = error if isinstance(error, ssl.SSLCertVerificationError) else error.__cause__
    if isinstance(refused, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({refused.verify_message}): use the host name "
            "of the certificate, add its authority to this system, or set ?ca=FILE or "
            "?fingerprint=SHA256"
        )
    match error:
        case CertificateRefused():
            return (
                f"has a certificate with the fingerprint {error.fingerprint}: if that is right, "
                "set it in mail"
            )
        case NotOffered() if error.extension == "AUTH":
            return "offers no login: remove USER:PASSWORD@ from mail, or use smtp+starttls://"
        case NotOffered():
            return "offers no STARTTLS: try smtps:// (TLS from the start)"
        case aiosmtplib.SMTPHeloError():
            return f"refuses the name of this host ({error.code}): set mail_helo to a name in DNS"
        case aiosmtplib.SMTPAuthenticationError():
            return (
                f"refuses the user or password ({error.code}): correct them in mail; "
                "write @, : and / as %40, %3A and %2F"
            )
        case aiosmtplib.SMTPSenderRefused():
            return (
                f"refuses mails from {sender} ({error.code}): set mail_from to an address that "
                "it accepts"
            )
        case aiosmtplib.SMTPResponseException():
            return f"answers {error.code}: see its log"
    return "does not answer: is --mail right, does the server run, does a firewall block it?"


def _folder(folder: Path) -> Finding:
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return fix(ABOUT, f"this user cannot write to folder {folder}: set another dir:PATH")
    if folder.exists() and folder.stat().st_mode & 0o077:
        return fix(ABOUT, f"other users can read the codes in folder {folder}: chmod 700 {folder}")
    return warn(ABOUT, f"codes are written to files in {folder}: you must deliver and delete them")
