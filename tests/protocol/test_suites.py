"""The classic suite in each dialect (PROTOCOL §3.2.3, §3.4)."""

import pytest
from peer import key_pair, seeded

from protocol.classic.dialects import DIALECTS, derive
from protocol.classic.suites import GCM_IV_CHARS, IV_CHARS, PASSPHRASE_CHARS, Classic
from protocol.common.codec import encode_bytes
from protocol.common.codes import Code
from protocol.common.primitives import aes_cbc_seal, md5

SUITES = [Classic(dialect) for dialect in DIALECTS.values()]
by_dialect = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.dialect.name)
GCM = Classic(DIALECTS["sfet-4-gcm"])
CBC = Classic(DIALECTS["sfet-4-cbc"])
CTR = Classic(DIALECTS["article-2016"])
PASSPHRASE = b"0123456789abcdef0123456789abcdef"


def test_names_say_suite_and_dialect() -> None:
    assert CTR.name == "classic/article-2016"


@by_dialect
def test_a_passphrase_is_32_printable_characters(suite: Classic) -> None:
    passphrase = suite.new_passphrase(seeded("p"))
    assert len(passphrase) == PASSPHRASE_CHARS
    assert passphrase.decode().isprintable()
    assert passphrase != suite.new_passphrase(seeded("q"))


def test_a_passphrase_has_192_bits() -> None:
    asked = []

    def draw(length: int) -> bytes:
        asked.append(length)
        return bytes(range(length))

    assert len(set(CTR.new_passphrase(draw))) == 32
    assert asked == [32]
    # All 256 bytes fall on 64 characters, four on each.
    text = b"".join(
        CTR.new_passphrase(lambda length, first=first: bytes(range(first, first + length)))  # type: ignore[misc]
        for first in range(0, 256, 32)
    )
    assert {text.count(char) for char in set(text)} == {4}
    assert len(set(text)) == 64


@by_dialect
def test_an_iv_is_sent_along_where_the_cipher_needs_it(suite: Classic) -> None:
    iv = suite.new_iv(seeded("iv"))
    if suite.dialect.aes != "gcm":
        assert iv is None
    else:
        assert iv is not None
        assert len(iv.encode()) == GCM_IV_CHARS
        assert iv != suite.new_iv(seeded("other"))


def test_a_code_becomes_a_passphrase_as_the_dialect_has_it() -> None:
    code = Code("0123456789ABCDEFGHJKMNPQRS")
    hexed = b"e27bd5b7298be171b83161a72a806028"
    assert CTR.code_passphrase(code) == hexed
    assert Classic(DIALECTS["sfet-3"]).code_passphrase(code) == code.text.encode()


@by_dialect
def test_wrap_and_unwrap(suite: Classic) -> None:
    key = key_pair("test-session")
    assert suite.unwrap(key, suite.wrap(key.public, PASSPHRASE)) == PASSPHRASE


@by_dialect
@pytest.mark.parametrize(
    "secret", [b"", PASSPHRASE[1:], PASSPHRASE + b"x", PASSPHRASE[1:] + b"\x1f", b"\x7f" * 32]
)
def test_what_is_no_passphrase_is_none(suite: Classic, secret: bytes) -> None:
    key = key_pair("test-session")
    assert suite.unwrap(key, suite.wrap(key.public, secret)) is None
    assert suite.unwrap(key, "not base64") is None


@by_dialect
@pytest.mark.parametrize("plaintext", [b"", b"{}", b"x" * 16, bytes(1000)])
def test_seal_and_open(suite: Classic, plaintext: bytes) -> None:
    iv = suite.new_iv(seeded("iv"))
    payload = suite.seal(PASSPHRASE, plaintext, iv)
    assert suite.open(PASSPHRASE, payload, iv) == (plaintext, True)


@by_dialect
def test_hex_is_the_same_bytes(suite: Classic) -> None:
    hexed = Classic(derive("hex", suite.dialect, {"encoding": "hex"}))
    iv = suite.new_iv(seeded("iv"))
    payload = hexed.seal(PASSPHRASE, b"text", iv)
    assert suite.seal(PASSPHRASE, b"text", iv) == encode_bytes("base64", bytes.fromhex(payload))
    assert hexed.open(PASSPHRASE, payload, iv) == (b"text", True)
    assert hexed.open(PASSPHRASE, payload.upper(), iv)[1] is False


@by_dialect
def test_another_passphrase_gives_another_text(suite: Classic) -> None:
    iv = suite.new_iv(seeded("iv"))
    payload = suite.seal(PASSPHRASE, b"text", iv)
    assert suite.open(PASSPHRASE[::-1], payload, iv) != (b"text", True)


@by_dialect
@pytest.mark.parametrize("payload", ["*", "AAA", " ", "\u00e9", "AA==\n"])
def test_what_is_no_text_of_bytes_is_worked_on_and_wrong(suite: Classic, payload: str) -> None:
    assert suite.open(PASSPHRASE, payload, suite.new_iv(seeded("iv")))[1] is False


def test_a_derived_iv_leaves_nothing_for_one_that_is_sent() -> None:
    # createCipher takes no IV, so a Node program of this dialect sends none and reads none.
    payload = CTR.seal(PASSPHRASE, b"text", None)
    for iv in ("", "0" * IV_CHARS, "anything \u00e9"):
        assert CTR.open(PASSPHRASE, payload, iv) == (b"text", True)


@pytest.mark.parametrize("name", ["sfet-2", "sfet-3.0", "sfet-3", "sfet-4-cbc"])
def test_an_iv_is_sixteen_zeros_unless_it_is_sent(name: str) -> None:
    suite = Classic(DIALECTS[name])
    plain = suite.seal(PASSPHRASE, b"text", None)
    assert plain == suite.seal(PASSPHRASE, b"text", "0" * IV_CHARS)
    sent = suite.seal(PASSPHRASE, b"text", "an iv of sixteen")
    assert sent != plain
    assert suite.open(PASSPHRASE, sent, "an iv of sixteen") == (b"text", True)
    assert suite.open(PASSPHRASE, sent, None) != (b"text", True)


@pytest.mark.parametrize("iv", ["", "0" * 15, "0" * 17, "0" * 12, "\u00e9" * 16, "\u00e9" * 8])
def test_an_iv_of_another_size_is_wrong_even_where_zeros_would_do(iv: str) -> None:
    payload = CBC.seal(PASSPHRASE, b"text", None)
    assert CBC.open(PASSPHRASE, payload, iv)[1] is False


@pytest.mark.parametrize("iv", [None, "", "0" * 11, "0" * 13, "0" * 16, "\u00e9" * 12])
def test_gcm_has_no_iv_but_the_one_that_is_sent(iv: str | None) -> None:
    payload = GCM.seal(PASSPHRASE, b"text", "0" * GCM_IV_CHARS)
    assert GCM.open(PASSPHRASE, payload, iv)[1] is False


def test_gcm_gives_nothing_of_what_it_does_not_authenticate() -> None:
    payload = GCM.seal(PASSPHRASE, b"text", "0" * 12)
    assert GCM.open(PASSPHRASE, payload, "1" * 12) == (b"", False)


def test_key_derivations_are_three_different_keys() -> None:
    md5hex = md5(PASSPHRASE).hex().encode()
    zeros = b"0" * 16
    raw = CBC.seal(PASSPHRASE, b"text", None)
    assert raw == encode_bytes("base64", aes_cbc_seal(PASSPHRASE, zeros, b"text"))
    hashed = Classic(DIALECTS["sfet-3"]).seal(PASSPHRASE, b"text", None)
    assert hashed == encode_bytes("base64", aes_cbc_seal(md5hex, zeros, b"text"))
    derived = Classic(DIALECTS["sfet-1.0"]).seal(PASSPHRASE, b"text", None)
    assert len({raw, hashed, derived}) == 3
