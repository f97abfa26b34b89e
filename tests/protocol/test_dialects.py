"""The dialects as data (PROTOCOL §3.2)."""

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from protocol.classic.dialects import DEFAULT_DIALECT, DIALECTS, Dialect, Paths, derive
from protocol.common.messages import FieldNames

# The table of PROTOCOL §3.2.2, written down once more: what was published does not change.
PUBLISHED = {
    "article-2016": ("ctr", "md5hex", "evp-bytes-to-key", "pkcs1-v1.5", "last"),
    "article-2016-oaep": ("ctr", "md5hex", "evp-bytes-to-key", "oaep-sha1", "last"),
    "sfet-1.0": ("cbc", "md5hex", "evp-bytes-to-key", "pkcs1-v1.5", "last"),
    "sfet-1.1": ("cbc", "md5hex", "raw", "pkcs1-v1.5", "last"),
    "sfet-2": ("cbc", "as-is", "md5hex", "pkcs1-v1.5", "last"),
    "sfet-3.0": ("cbc", "as-is", "md5hex", "oaep-sha1", "last"),
    "sfet-3": ("cbc", "as-is", "md5hex", "oaep-sha256", "last"),
    "sfet-3.3-cbc-browser": ("cbc", "md5hex", "raw", "oaep-sha1", "last"),
    "sfet-3.3-gcm": ("gcm", "md5hex", "raw", "oaep-sha256", "first"),
    "sfet-3.3-gcm-browser": ("gcm", "md5hex", "raw", "oaep-sha1", "first"),
    "sfet-4-cbc": ("cbc", "md5hex", "raw", "oaep-sha256", "last"),
    "sfet-4-gcm": ("gcm", "md5hex", "raw", "oaep-sha256", "last"),
}
BASE = DIALECTS["article-2016"]


def test_the_published_dialects() -> None:
    found = {
        name: (d.aes, d.code_passphrase, d.key_derivation, d.rsa_padding, d.tag)
        for name, d in DIALECTS.items()
    }
    assert found == PUBLISHED
    assert DEFAULT_DIALECT == "article-2016"


def test_published_dialects_share_names_paths_and_text() -> None:
    for name, dialect in DIALECTS.items():
        assert dialect.name == name
        assert (dialect.encoding, dialect.timestamp) == ("base64", "ms")
        assert (dialect.names, dialect.paths) == (FieldNames(), Paths())


def test_a_dialect_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        BASE.aes = "gcm"  # type: ignore[misc]


def test_derive_changes_what_it_is_told_and_nothing_else() -> None:
    own = derive(
        "own",
        BASE,
        {"encoding": "hex", "names": {"token": "sid"}, "paths": {"message": "/m"}},
    )
    assert own == replace(
        BASE,
        name="own",
        encoding="hex",
        names=replace(BASE.names, token="sid"),
        paths=replace(BASE.paths, message="/m"),
    )
    assert DIALECTS["article-2016"] == BASE
    assert derive("again", own, {}) == replace(own, name="again")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"cipher": "ctr"}, "no 'cipher'; it has: aes, code_passphrase"),
        ({"name": "x"}, "no 'name'"),
        ({"aes": "ecb"}, "aes must be one of: ctr, cbc, gcm"),
        ({"aes": ["ctr"]}, "aes must be one of"),
        ({"aes": None}, "aes must be one of"),
        ({"code_passphrase": "sha1"}, "code_passphrase must be one of"),
        ({"key_derivation": "scrypt"}, "key_derivation must be one of"),
        ({"rsa_padding": "none"}, "rsa_padding must be one of"),
        ({"tag": "middle"}, "tag must be one of"),
        ({"tag": "first"}, "no other mode has a tag"),
        ({"encoding": "base64url"}, "encoding must be one of"),
        ({"timestamp": "us"}, "timestamp must be one of: ms, s, iso8601"),
        ({"aes": "gcm"}, "its iv is never derived"),
        ({"code_passphrase": "as-is", "key_derivation": "raw"}, "a code is not 32 characters"),
        ({"names": {"tokn": "x"}}, "names is a table of: iv, key"),
        ({"names": {"token": 7}}, "every value of names must be a string"),
        ({"names": {"token": ""}}, "must not be empty"),
        ({"names": {"token": "key"}}, "must differ"),
        ({"names": "token"}, "names is a table of"),
        ({"names": None}, "names is a table of"),
        ({"paths": {"message": "/session"}}, "must differ"),
        ({"paths": {"message": ""}}, "must not be empty"),
        ({"paths": {"message": "message"}}, "must start with /"),
        ({"paths": {"other": "/x"}}, "paths is a table of"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        derive("own", BASE, changes)


def test_gcm_and_raw_keys_go_with_what_they_need() -> None:
    gcm = {"aes": "gcm", "key_derivation": "md5hex", "code_passphrase": "as-is"}
    assert derive("own", BASE, gcm).aes == "gcm"
    assert derive("own", BASE, {"key_derivation": "raw"}).key_derivation == "raw"


def test_the_choices_of_a_dialect_are_all_checked() -> None:
    free = {"name", "names", "paths"}
    for f in fields(Dialect):
        if f.name not in free:
            with pytest.raises(ValueError, match=f.name):
                derive("own", BASE, {f.name: "no such thing"})
