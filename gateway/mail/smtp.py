"""Sends one mail by SMTP (RFC 5321): the result is final, temporary, or unknown.

A server can answer each command with 4yz (try again) or 5yz (give up). After the final dot of a
mail, only the response shows whether the server accepted it; without a response the outcome is
unknown. This module sends the commands one by one, because ``aiosmtplib.SMTP.sendmail`` does not
show whether the final dot was sent, and has one time limit for all commands.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import aiosmtplib

from gateway.errors import MailNotSent, MailOutcomeUnknown
from gateway.users.addresses import address_literal, is_public_name, wire_address

from .message import CodeMail, sender_of
from .smtp_tls import CertificateRefused, Tls, Trust
from .transports import MailTransport

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CONNECT_S = 20
_QUIT_S = 5


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits for each response, in seconds (RFC 5321 §4.5.3.2)."""

    command_s: float = 300
    data_s: float = 120
    end_s: float = 600


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password at the server; ``repr`` shows neither."""

    username: str
    password: str

    def __repr__(self) -> str:
        return "Login()"


class NotOffered(aiosmtplib.SMTPException):
    """The server does not offer ``extension``, and the mail needs it."""

    def __init__(self, extension: str) -> None:
        super().__init__(f"the server offers no {extension}")
        self.extension = extension


class _HandshakeFailed(Exception):
    """The TLS handshake after STARTTLS failed."""


class SmtpTransport(MailTransport):
    """Sends to an SMTP server. ``helo`` is the name for EHLO, by default the host's."""

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        *,
        tls: Tls = Tls.OFFERED,
        trust: Trust | None = None,
        login: Login | None = None,
        helo: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.server = f"{host}:{port}"
        self.sender = sender_of(sender).addr_spec
        self.is_local = host in LOOPBACK
        self.logs_in = login is not None
        self.tls = tls
        self.trust = trust or Trust(anybody=tls is Tls.OFFERED)
        self._author = sender
        self._host = host
        self._port = port
        self._login = login
        self._helo = helo
        self._timeouts = timeouts or Timeouts()

    async def answers(self) -> bool:
        """Whether the server accepts connections."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection with the TLS that ``tls`` and ``trust`` demand, after the login.

        Raises: aiosmtplib.SMTPException, OSError.
        """
        smtp = await self._connect()
        try:
            yield smtp
        finally:
            # An error of QUIT does not change the result of the mail.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await smtp.quit(timeout=_QUIT_S)
            _drop(smtp)

    async def _connect(self) -> aiosmtplib.SMTP:
        try:
            return await self._open(self.tls is not Tls.FROM_THE_START)
        except _HandshakeFailed as error:
            if self.tls is not Tls.OFFERED:
                raise error.__cause__ or error from None
            return await self._open(False)

    async def _open(self, may_use_starttls: bool) -> aiosmtplib.SMTP:
        smtp = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=self.tls is Tls.FROM_THE_START,
            start_tls=False,
            tls_context=await asyncio.to_thread(self.trust.context),
            local_hostname="localhost",  # replaced below
            timeout=self._timeouts.command_s,
        )
        try:
            await smtp.connect()
            smtp.local_hostname = self._helo or await _helo_name(smtp)
            if self.tls is Tls.FROM_THE_START:
                self.trust.check(smtp)
            await _greet(smtp)
            if may_use_starttls and await self._starttls(smtp):
                await _greet(smtp)
            if self._login:
                await _log_in(smtp, self._login)
        except BaseException:
            _drop(smtp)
            raise
        return smtp

    async def _starttls(self, smtp: aiosmtplib.SMTP) -> bool:
        """Start TLS; whether the connection is now encrypted."""
        required = self.tls is Tls.STARTTLS
        if not smtp.supports_extension("starttls"):
            if required:
                raise NotOffered("STARTTLS")
            return False
        try:
            await smtp.starttls()
        except aiosmtplib.SMTPResponseException as error:
            # 421 closes the connection after any command.
            if required or error.code == 421:
                raise
            # An invalid response has no code, and makes the following ones unusable.
            if error.code < 0:
                raise _HandshakeFailed from error
            return False
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _HandshakeFailed from error
        self.trust.check(smtp)
        return True

    async def deliver(self, address: str, mail: CodeMail) -> None:
        recipient = wire_address(address)
        try:
            content = mail.to_email(self._author, recipient).as_bytes()
            async with self.connected() as smtp:
                await self._hand_over(smtp, recipient, content)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise MailNotSent(_reason(error, self.server), final=_is_final(error)) from None

    async def _hand_over(self, smtp: aiosmtplib.SMTP, recipient: str, content: bytes) -> None:
        options, encoding = [], "ascii"
        if not recipient.isascii():
            if not smtp.supports_extension("smtputf8"):
                raise NotOffered("SMTPUTF8")
            options, encoding = ["SMTPUTF8"], "utf-8"
        await _accepted(smtp.mail(self.sender, options=options, encoding=encoding))
        await _accepted(smtp.rcpt(recipient, encoding=encoding))
        reply = await smtp.execute_command(b"DATA", timeout=self._timeouts.data_s)
        if reply.code // 100 != 3:
            raise aiosmtplib.SMTPDataError(reply.code, reply.message)
        if smtp.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        # Dot stuffing: a line that begins with a dot gets another one (RFC 5321 §4.5.2).
        smtp.protocol.write((b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
        try:
            reply = await smtp.protocol.read_response(timeout=self._timeouts.end_s)
        except (aiosmtplib.SMTPException, OSError) as error:
            smtp.close()
            raise MailOutcomeUnknown(f"SMTP {self.server}: {type(error).__name__}") from None
        if reply.code // 100 in (4, 5):
            raise aiosmtplib.SMTPDataError(reply.code, reply.message)
        if reply.code // 100 != 2:
            raise MailOutcomeUnknown(f"SMTP {self.server} answers {reply.code} to a complete mail")


def _drop(smtp: aiosmtplib.SMTP) -> None:
    """Close without waiting for the server, as TLS would."""
    transport = smtp.transport
    smtp.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    """Send EHLO, then HELO if the server does not know EHLO (RFC 5321 §3.2)."""
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code // 100 != 5:
            raise
        await smtp.helo()


async def _helo_name(smtp: aiosmtplib.SMTP) -> str:
    """The name of this host if it has a domain, else the local address of the connection."""
    name = await asyncio.to_thread(_host_name)
    return name if is_public_name(name) else address_literal(smtp.get_transport_info("sockname")[0])


@cache
def _host_name() -> str:
    return socket.getfqdn().lower()


async def _log_in(smtp: aiosmtplib.SMTP, login: Login) -> None:
    """Try each method that both sides support, until one is accepted.

    ``aiosmtplib.SMTP.login`` also tries the next method after 4yz, which servers can punish.
    """
    methods = {"cram-md5": smtp.auth_crammd5, "plain": smtp.auth_plain, "login": smtp.auth_login}
    refusal: aiosmtplib.SMTPException = NotOffered("AUTH")
    for method in smtp.supported_auth_methods:
        try:
            await methods[method](login.username, login.password)
        except aiosmtplib.SMTPAuthenticationError as error:
            refusal = error
            if error.code // 100 != 5:
                break
        else:
            return
    raise refusal


async def _accepted(command: Awaitable[object]) -> None:
    """Await a command; any 2yz is success (RFC 5321 §4.2.1)."""
    try:
        await command
    except aiosmtplib.SMTPResponseException as error:
        if error.code // 100 != 2:
            raise


def _is_final(error: Exception) -> bool:
    """Whether another try cannot succeed (RFC 5321 §4.2.1)."""
    match error:
        case aiosmtplib.SMTPResponseException():
            return error.code // 100 == 5
        case NotOffered():
            return error.extension == "SMTPUTF8"
    # The address or content makes no valid mail.
    return isinstance(error, ValueError) and not isinstance(error, OSError)


# Responses can quote secrets that were sent, so errors contain only their number.
_REFUSED: dict[type[aiosmtplib.SMTPResponseException], str] = {
    aiosmtplib.SMTPConnectResponseError: "the SMTP server accepts no connections",
    aiosmtplib.SMTPHeloError: "the SMTP server refuses the name of this host (mail_helo)",
    aiosmtplib.SMTPAuthenticationError: "the SMTP server refuses the user or password",
    aiosmtplib.SMTPSenderRefused: "the SMTP server refuses the sender (mail_from)",
    aiosmtplib.SMTPRecipientRefused: "the SMTP server refuses the address",
    aiosmtplib.SMTPDataError: "the SMTP server refuses the mail",
}


def _reason(error: Exception, server: str) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{_REFUSED.get(type(error), 'the SMTP server refuses')} ({error.code})"
    if isinstance(error, NotOffered | CertificateRefused):
        return f"SMTP {server}: {error.message}"
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    return f"SMTP {server}: {type(cause).__name__}"
