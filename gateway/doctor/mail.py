"""The way of the codes: it is walked as far as it goes without a mail being sent."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
from yarl import URL

from gateway.config.options import default_of
from gateway.mail.smtp import LOOPBACK, NotOffered, SmtpTransport
from gateway.mail.smtp_tls import CertificateRefused, Tls, Trust
from gateway.mail.transports import ConsoleTransport, FolderTransport, WebhookTransport
from gateway.mail.url import transport_from_url

from . import ANSWER_S, Finding, Service, fix, ok, warn

ABOUT = "mail"


async def check_mail(service: Service) -> AsyncIterator[Finding]:
    """Whether a code would leave this machine."""
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
            yield await _webhook(URL(transport.url))
        case ConsoleTransport():
            yield warn(ABOUT, "codes are printed to the console: set mail to smtp://… for service")


async def _smtp(transport: SmtpTransport) -> AsyncIterator[Finding]:
    server = transport.server
    try:
        async with asyncio.timeout(2 * ANSWER_S), transport.connected() as smtp:
            is_sealed = smtp.get_transport_info("sslcontext") is not None
            name = smtp.local_hostname
            await smtp.mail(transport.sender)
            await smtp.rset()
    except (aiosmtplib.SMTPException, OSError) as error:
        yield fix(ABOUT, f"SMTP server {server} {_refusal(error, transport.sender)}")
        return
    way = _way(transport.trust) if is_sealed else "in plain"
    login = " after a login" if transport.logs_in else ""
    takes = f"takes {transport.sender}{login} from {name}, {way} (no mail was sent)"
    text = f"SMTP server {server} {takes}"
    if transport.tls is Tls.OFFERED and not transport.is_local:
        yield warn(ABOUT, f"{text}: the codes can be read on the way; use smtp+starttls://")
    else:
        yield ok(ABOUT, text)
    if transport.sender == default_of("mail_from") and not transport.is_local:
        yield warn(
            ABOUT, f"mails come from {transport.sender}: set mail_from to an address of yours"
        )


def _way(trust: Trust) -> str:
    if trust.anybody:
        return "over TLS with any certificate"
    if trust.fingerprint:
        return "over TLS with the certificate of that fingerprint"
    vouching = "an authority in ca" if trust.ca else "an authority of this system"
    return f"over TLS with a certificate of {vouching}"


def _refusal(error: Exception, sender: str) -> str:
    """What went wrong, and what to do. What a server answers may repeat what it was sent."""
    refused = error if isinstance(error, ssl.SSLCertVerificationError) else error.__cause__
    if isinstance(refused, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not accepted ({refused.verify_message}): name the server "
            "as its certificate does, have this system trust its authority, or name a certificate "
            "by ?ca=FILE or ?fingerprint=SHA256"
        )
    match error:
        case CertificateRefused():
            return (
                f"shows a certificate with the fingerprint {error.fingerprint}: if that is the "
                "server's, write it in mail"
            )
        case NotOffered() if error.extension == "AUTH":
            return "takes no login: leave USER:PASSWORD@ out of mail, or use smtp+starttls://"
        case NotOffered():
            return "offers no STARTTLS: try smtps://, for TLS from the start"
        case aiosmtplib.SMTPHeloError():
            return (
                f"refuses the name of this host ({error.code}): set mail_helo to a name that it "
                "can look up"
            )
        case aiosmtplib.SMTPAuthenticationError():
            return (
                f"refuses user or password ({error.code}): put them right in mail; "
                "@, : and / in them are written %40, %3A and %2F"
            )
        case aiosmtplib.SMTPSenderRefused():
            return (
                f"refuses mails from {sender} ({error.code}): set mail_from to an address that "
                "it sends for"
            )
        case aiosmtplib.SMTPResponseException():
            return f"says {error.code}: see its log"
    return "gives no answer: is --mail right, does the server run, does a firewall let it through?"


def _folder(folder: Path) -> Finding:
    place = folder
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        return fix(ABOUT, f"folder {folder} cannot be written: choose another dir:PATH")
    if folder.exists() and folder.stat().st_mode & 0o077:
        return fix(ABOUT, f"folder {folder} holds codes and is open to others: chmod 700 {folder}")
    return warn(ABOUT, f"codes go to files in {folder}: somebody has to carry and remove them")


async def _webhook(url: URL) -> Finding:
    place = f"{url.host}:{url.port}"
    tls = ssl.create_default_context() if url.scheme == "https" else None
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=tls)
    except ssl.SSLError as error:
        return fix(
            ABOUT,
            f"webhook {place} shows no accepted certificate ({error.reason}): name the server as "
            "its certificate does, or have this system trust its authority",
        )
    except (OSError, TimeoutError):
        return fix(ABOUT, f"webhook {place} cannot be reached: is its URL right, does it run?")
    writer.close()
    if tls is None and url.host not in LOOPBACK:
        return warn(ABOUT, f"webhook {place} accepts connections, in plain: use webhook:https://…")
    return ok(ABOUT, f"webhook {place} accepts connections (nothing was asked of it)")
