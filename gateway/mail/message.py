"""The mail with a code: its text and its format (RFC 5322)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, make_msgid
from typing import Any

from gateway.users.addresses import wire_address
from protocol.common.codes import HARDENED_CODE_CHARS

_HOW_TO_TYPE = "Small letters, spaces and hyphens are fine. What looks like O or I is 0 or 1.\n"


@dataclass(frozen=True, slots=True)
class CodeMail:
    """The content of a mail with a code."""

    site: str
    user: str
    code: str
    requested_from: str
    minutes: int

    def __repr__(self) -> str:
        return f"CodeMail(site={self.site!r}, user={self.user!r})"

    @property
    def subject(self) -> str:
        return f"Your code for {self.site}"

    @property
    def text(self) -> str:
        """The body. The code has a line of its own, so that it is easy to copy."""
        short = len(self.code) == HARDENED_CODE_CHARS
        way = "copy or type" if short else "copy"
        return (
            f"Somebody at {self.requested_from} asked to log in to {self.site} as {self.user}.\n"
            f"If that was you, {way} this code into the page or program that waits for it:\n"
            "\n"
            f"{self.code}\n"
            "\n"
            f"{_HOW_TO_TYPE if short else ''}"
            f"It works once, for {self.minutes} minutes.\n"
            "If that was not you, do nothing, and give this code to nobody.\n"
        )

    @property
    def short(self) -> str:
        """One line, for an SMS."""
        return f"{self.code} is your code for {self.site}. It works once, for {self.minutes} min."

    def to_email(self, sender: str, address: str) -> EmailMessage:
        """The mail to one address, plain text in 7 bits. Raises: ValueError.

        The headers are ASCII, except a non-ASCII local part (RFC 6532).
        """
        author = sender_of(sender)
        recipient = wire_address(address)
        policy = (SMTP if recipient.isascii() else SMTPUTF8).clone(cte_type="7bit")
        message = EmailMessage(policy=policy)
        message["From"] = author
        message["To"] = recipient
        if [to.addr_spec for to in message["To"].addresses] != [recipient]:
            raise ValueError("not one address")
        message["Subject"] = self.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=author.domain)
        message["Auto-Submitted"] = "auto-generated"
        # Not base64: the code must be readable in a file.
        message.set_content(self.text, cte=None if self.text.isascii() else "quoted-printable")
        return message


def sender_of(text: str) -> Address:
    """``codes@example.org`` or ``Name <codes@example.org>``. Raises: ValueError."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = text
    except (HeaderParseError, IndexError):
        raise ValueError("not an address") from None
    header: Any = message["From"]
    if header.defects or len(header.addresses) != 1:
        raise ValueError("not one address in ASCII")
    (found,) = header.addresses
    if not found.username or not found.domain:
        raise ValueError("not an address with a domain")
    domain = wire_address(f"@{found.domain}")[1:]
    return Address(found.display_name, found.username, domain)
