"""Mailboxes for tests: real SMTP servers in the test's own loop, and folders of .eml files."""

import asyncio
import contextlib
import datetime
import email
import ipaddress
import os
import random
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CODE_LINE = re.compile(r"^(?:[0-9A-Z]{8}|[0-9A-Z]{26})$", re.MULTILINE)
DEADLINE_S = 20


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until ``condition`` is true; fail after a time limit."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 (it is about things outside the loop)
            await asyncio.sleep(0.005)


def wait_for(condition: Callable[[], Any]) -> None:
    """The same without an event loop."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


# Below the ports of outgoing connections. Each process of pytest-xdist has its own 2,000 ports.
_FIRST_PORT = 16_000 + 2_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
_ports = cycle(random.sample(range(_FIRST_PORT, _FIRST_PORT + 2_000), 2_000))


def a_free_port() -> int:
    """A free port on loopback, which no test has used before."""
    while True:
        port = next(_ports)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


# --- folders ---


def parse_mail(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    """The text that a mail program shows and copies."""
    text = message.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def mails_in(folder: Path) -> list[EmailMessage]:
    """All mails in a folder, oldest first."""
    files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    return [parse_mail(file.read_bytes()) for file in files]


def codes_in(folder: Path) -> list[str]:
    """The codes in a folder of mails, oldest first."""
    return [code for mail in mails_in(folder) for code in CODE_LINE.findall(text_of(mail))]


# --- servers ---


@dataclass
class Received:
    """A mail as it was received."""

    recipients: list[str]
    message: EmailMessage
    content: bytes
    encrypted: bool
    login: tuple[str, str] | None


@dataclass
class Mailbox:
    """The mails and commands of an SMTP server, and its answer for each recipient."""

    port: int = 0
    mails: list[Received] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)
    read: int = 0

    async def code(self) -> str:
        """The code of the first mail that was not returned before."""
        await eventually(lambda: len(self.mails) > self.read)
        self.read += 1
        codes: list[str] = CODE_LINE.findall(text_of(self.mails[self.read - 1].message))
        return codes[0]

    def to(self, address: str) -> list[Received]:
        return [mail for mail in self.mails if mail.recipients == [address]]

    # aiosmtpd calls both methods by these names.
    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        self.asked.append(address)
        answers = self.answers.get(address)
        answer = answers.pop(0) if answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        login = session.auth_data
        self.mails.append(
            Received(
                list(envelope.rcpt_tos),
                parse_mail(envelope.content),
                envelope.content,
                server.transport.get_extra_info("ssl_object") is not None,
                (login.login.decode(), login.password.decode()) if login else None,
            )
        )
        return "250 OK"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost: as PEM, and for a server."""

    pem: str
    key_pem: str

    def server_context(self, folder: Path) -> ssl.SSLContext:
        file = folder / "server.pem"
        file.write_text(self.key_pem + self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@cache
def self_signed() -> Certificate:
    """The certificate of this run."""
    return new_self_signed()


def new_self_signed() -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a mail server for tests")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


@asynccontextmanager
async def smtp_server(
    mailbox: Mailbox | None = None,
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    password: str | None = None,
    login_in_the_clear: bool = False,
    needs_starttls: bool = True,
) -> AsyncIterator[Mailbox]:
    """A real SMTP server on loopback; with ``password`` it requires a login."""
    mailbox = mailbox or Mailbox()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        given = data.password.decode()
        mailbox.passwords.append(given)
        return AuthResult(success=given == password, auth_data=data, handled=False)

    def protocol() -> SMTP:
        return SMTP(
            mailbox,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None and needs_starttls,
            authenticator=authenticate if password else None,
            # With implicit TLS, aiosmtpd does not detect that the connection is encrypted.
            auth_require_tls=not login_in_the_clear and tls is None,
            auth_exclude_mechanism=["LOGIN"],
            enable_SMTPUTF8=True,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
