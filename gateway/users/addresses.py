"""Mail addresses and host names as they go over the wire (RFC 5321, 5890, 6531).

Only the server of a mailbox may say that two spellings of a local part are one (RFC 5321 §2.4), so
a local part is never changed. A domain has one form: lower case, and in ASCII, which every mail
server takes.
"""

import ipaddress
import re

import idna

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def ascii_host(host: str) -> str:
    """The name of a host in ASCII and lower case. Raises: ValueError."""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    host = host.lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError("not the name of a host")
    return host


def wire_address(address: str) -> str:
    """``address`` with its domain in ASCII; one that has no such domain stays as it is."""
    local, at, domain = address.rpartition("@")
    if not at:
        return address
    try:
        return f"{local}{at}{ascii_host(domain)}"
    except ValueError:
        return address


def address_literal(ip: str) -> str:
    """What a host without a name calls itself (RFC 5321 §4.1.3): ``[192.0.2.7]``."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    return f"[{'IPv6:' * (address.version == 6)}{address}]"


def helo_name(text: str) -> str:
    """A name for EHLO, a host's or an address literal. Raises: ValueError."""
    if text.startswith("[") and text.endswith("]"):
        return address_literal(text[1:-1].removeprefix("IPv6:"))
    return ascii_host(text)


def is_public_name(host: str) -> bool:
    """Whether ``host`` is a name that a mail server may look up: it has a domain."""
    return bool(_HOST.fullmatch(host)) and "." in host and not host.startswith("localhost.")
