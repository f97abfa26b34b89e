"""The Node dialects, as data (PROTOCOL §3.2).

A dialect fixes every name and format on the wire that differs between the Node programs that
speak this protocol. ``DIALECTS`` holds the published dialects. ``derive`` makes a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, get_args

from protocol.common.codec import TextEncoding
from protocol.common.messages import FieldNames
from protocol.common.primitives import RsaPadding

AesMode: TypeAlias = Literal["ctr", "cbc", "gcm"]
CodePassphrase: TypeAlias = Literal["md5hex", "as-is"]
KeyDerivation: TypeAlias = Literal["evp-bytes-to-key", "md5hex", "raw"]
TagPlace: TypeAlias = Literal["last", "first"]
TimestampFormat: TypeAlias = Literal["ms", "s", "iso8601"]


DEFAULT_PREFIX = "/.gateway"


@dataclass(frozen=True, slots=True)
class Paths:
    """The routes below the prefix; the default prefix is ``DEFAULT_PREFIX``."""

    session: str = "/session"
    authenticate: str = "/session/authenticate"
    logout: str = "/session/logout"
    message: str = "/message"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to write the classic suite (PROTOCOL §3.2.1).

    ``aes``             the mode of AES-256
    ``code_passphrase`` how the verification code becomes a passphrase
    ``key_derivation``  how a passphrase becomes the AES key
    ``rsa_padding``     how a passphrase is wrapped
    ``tag``             where GCM puts its tag: after the ciphertext, or before it
    ``encoding``        how key and payload become text
    ``timestamp``       how time is written

    With ``evp-bytes-to-key`` the IV is derived as well. Otherwise it is ASCII text: the member
    ``iv``, or sixteen ``0`` characters without it. GCM always sends an ``iv`` of 12 characters.
    Raises: ValueError, for a combination that Node does not have.
    """

    name: str
    aes: AesMode
    code_passphrase: CodePassphrase
    key_derivation: KeyDerivation
    rsa_padding: RsaPadding
    tag: TagPlace = "last"
    encoding: TextEncoding = "base64"
    timestamp: TimestampFormat = "ms"
    names: FieldNames = field(default_factory=FieldNames)
    paths: Paths = field(default_factory=Paths)

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of: {', '.join(choices)}")
        if self.aes == "gcm" and self.key_derivation == "evp-bytes-to-key":
            raise ValueError("gcm needs key_derivation md5hex or raw: its iv is never derived")
        if self.aes != "gcm" and self.tag == "first":
            raise ValueError("tag first needs aes gcm: no other mode has a tag")
        if self.code_passphrase == "as-is" and self.key_derivation == "raw":
            raise ValueError("raw keys need code_passphrase md5hex: a code is not 32 characters")
        for group in (self.names, self.paths):
            values = [getattr(group, f.name) for f in fields(group)]
            if len(set(values)) != len(values) or not all(values):
                raise ValueError("names and paths must not be empty and must differ")
        if not all(getattr(self.paths, f.name).startswith("/") for f in fields(self.paths)):
            raise ValueError("paths must start with /")


_CHOICES: dict[str, tuple[str, ...]] = {
    "aes": get_args(AesMode),
    "code_passphrase": get_args(CodePassphrase),
    "key_derivation": get_args(KeyDerivation),
    "rsa_padding": get_args(RsaPadding),
    "tag": get_args(TagPlace),
    "encoding": get_args(TextEncoding),
    "timestamp": get_args(TimestampFormat),
}

DEFAULT_DIALECT = "article-2016"

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect("article-2016", "ctr", "md5hex", "evp-bytes-to-key", "pkcs1-v1.5"),
        Dialect("article-2016-oaep", "ctr", "md5hex", "evp-bytes-to-key", "oaep-sha1"),
        Dialect("sfet-1.0", "cbc", "md5hex", "evp-bytes-to-key", "pkcs1-v1.5"),
        Dialect("sfet-1.1", "cbc", "md5hex", "raw", "pkcs1-v1.5"),
        Dialect("sfet-2", "cbc", "as-is", "md5hex", "pkcs1-v1.5"),
        Dialect("sfet-3.0", "cbc", "as-is", "md5hex", "oaep-sha1"),
        Dialect("sfet-3", "cbc", "as-is", "md5hex", "oaep-sha256"),
        Dialect("sfet-3.3-cbc-browser", "cbc", "md5hex", "raw", "oaep-sha1"),
        Dialect("sfet-3.3-gcm", "gcm", "md5hex", "raw", "oaep-sha256", "first"),
        Dialect("sfet-3.3-gcm-browser", "gcm", "md5hex", "raw", "oaep-sha1", "first"),
        Dialect("sfet-4-cbc", "cbc", "md5hex", "raw", "oaep-sha256"),
        Dialect("sfet-4-gcm", "gcm", "md5hex", "raw", "oaep-sha256"),
    )
}


def derive(name: str, base: Dialect, changes: Mapping[str, Any]) -> Dialect:
    """``base`` with ``changes`` under a new name; ``names`` and ``paths`` may be given in part.

    Raises: ValueError, with the option that is wrong.
    """
    known = {f.name for f in fields(Dialect)} - {"name"}
    if unknown := sorted(set(changes) - known):
        raise ValueError(f"a dialect has no {unknown[0]!r}; it has: {', '.join(sorted(known))}")
    whole = dict(changes)
    for group, current in (("names", base.names), ("paths", base.paths)):
        part = changes.get(group, {})
        allowed = {f.name for f in fields(current)}
        if not isinstance(part, Mapping) or set(part) - allowed:
            raise ValueError(f"{group} is a table of: {', '.join(sorted(allowed))}")
        if not all(isinstance(value, str) for value in part.values()):
            raise ValueError(f"every value of {group} must be a string")
        whole[group] = replace(current, **part)
    return replace(base, name=name, **whole)
