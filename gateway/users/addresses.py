"""Mail addresses and host names, as mail servers expect them (RFC 5321, 5890, 6531).

Only the server of a mailbox knows whether two spellings of a local part are the same (RFC 5321
§2.4), so this module never changes a local part. A domain is converted to lower case and ASCII,
which every mail server accepts.
"""

import ipaddress
import re

import idna

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
KIND = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_OTHER_KIND = re.compile(rf"({KIND.pattern}):(\S.*)", re.ASCII)
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def ascii_host(host: str) -> str:
    """The name of a host in ASCII and lower case. Raises: ValueError."""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode()
    host = host.lower()
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError("not the name of a host")
    return host


def kind_of(address: str) -> tuple[str, str]:
    """The kind of an address and the rest: ``sms:+467…`` is ("sms", "+467…"); mail has the kind "".

    No mail address has a colon before its ``@`` (RFC 5321 §4.1.2, without quoted strings).
    """
    found = _OTHER_KIND.fullmatch(address)
    return (found[1], found[2]) if found else ("", address)


def wire_address(address: str) -> str:
    """``address`` with its domain in ASCII; unchanged if that is impossible."""
    local, at, domain = address.rpartition("@")
    if not at:
        return address
    try:
        return f"{local}{at}{ascii_host(domain)}"
    except ValueError:
        return address


def address_literal(ip: str) -> str:
    """The EHLO name of a host without a domain (RFC 5321 §4.1.3): ``[192.0.2.7]``."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    return f"[{'IPv6:' * (address.version == 6)}{address}]"


def helo_name(text: str) -> str:
    """A name for EHLO, a host's or an address literal. Raises: ValueError."""
    if text.startswith("[") and text.endswith("]"):
        return address_literal(text[1:-1].removeprefix("IPv6:"))
    return ascii_host(text)


def is_public_name(host: str) -> bool:
    """Whether ``host`` has a domain, so that a mail server can look it up."""
    return bool(_HOST.fullmatch(host)) and "." in host and not host.startswith("localhost.")
