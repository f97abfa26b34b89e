"""Which client keys are admitted (PROTOCOL §1.7, THREATS "Client keys").

The texts themselves are cases of spec/vectors; here is which rule refuses which, and the edges.
"""

import json
import subprocess
from functools import cache
from math import gcd, isqrt, prod

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from make_vectors import (
    SMALL_PRIMES,
    good_keys,
    pem,
    roca_modulus,
    rough,
    spki,
    test_keys,
    weak_keys,
)
from peer import key_pair

from protocol.common.errors import InvalidPublicKey
from protocol.common.rsa_keys import MAX_PEM_CHARS, validate_public_key

REASONS = {
    **{
        f"a key of {bits} bits: make one of 2048 to 4096": {f"{bits}-bits"}
        for bits in (512, 1024, 2047, 4097, 16384)
    },
    "an exponent that is not 65537": {"e-is-3", "e-is-65539"},
    "a small factor": {"n-even", "factor-3", "factor-1999"},
    "a weak modulus": {"n-prime", "n-square", "close-primes", "roca"},
    "not an RSA public key": {
        "e-is-1",
        "e-is-2",
        "e-is-n-plus-2",
        "n-is-0",
        "n-negative",
        "private-pkcs8-labelled-public",
        "pkcs1-public-labelled-spki",
        "ec-p256",
        "ed25519",
        "pss-oid",
        "algorithm-without-null",
        "der-trailing-byte",
        "der-truncated",
        "der-length-not-minimal",
        "der-unused-bits",
        "base64-character-missing",
        "base64-padding-missing",
        "base64-url-alphabet",
        "pkcs1-trailing-byte",
        "spki-labelled-pkcs1",
    },
}


def reason(text: str) -> str:
    with pytest.raises(InvalidPublicKey) as raised:
        validate_public_key(text)
    return str(raised.value)


@pytest.mark.parametrize("name", weak_keys())
def test_each_weak_key_is_refused_by_its_own_rule(name: str) -> None:
    """A case that another rule catches first would leave its own rule untested."""
    expected = [why for why, names in REASONS.items() if name in names]
    assert [reason(weak_keys()[name])] == (expected or ["not one public key PEM"])


@pytest.mark.parametrize("name", good_keys())
def test_good_keys_come_back_as_they_are(name: str) -> None:
    key = validate_public_key(good_keys()[name])
    assert key.to_pem() == test_keys()["test-wide" if "4096" in name else "test-session"].public_pem


def test_what_the_library_writes_is_admitted() -> None:
    for name in test_keys():
        public = key_pair(name).public
        assert validate_public_key(public.to_pem()) == public


def test_keys_of_other_kinds_are_refused() -> None:
    for key in (
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        x25519.X25519PrivateKey.generate().public_key(),
    ):
        text = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        assert reason(text) == "not an RSA public key"


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_sizes_within_the_limits_are_admitted(bits: int) -> None:
    assert validate_public_key(pem(spki(rough(bits, "size")))).n.bit_length() == bits


def test_a_factor_below_2000_is_small_and_one_above_is_not() -> None:
    for prime in (3, 5, 997, 1997, 1999):
        bits = 2049 - prime.bit_length()
        n = prime * rough(bits, f"factor {prime}")
        assert n.bit_length() in (2048, 2049)
        assert reason(pem(spki(n))) == "a small factor"
    n = 2003 * rough(2038, "factor 2003")
    assert validate_public_key(pem(spki(n))).n == n


@cache
def modulus_of_steps(steps: int) -> int:
    """A modulus whose factors Fermat's walk from the square root meets at step ``steps``."""
    a = 2**1024 - 2**1000
    while True:
        a += 1
        # n = a² - b² and the walk starts at ceil(√n), so b² is about 2a for each step.
        b = isqrt(2 * a * steps + a)
        n = a * a - b * b
        start = isqrt(n - 1) + 1
        if n % 2 and a - start == steps and gcd(n, prod(SMALL_PRIMES)) == 1:
            return n


def test_close_primes_are_met_within_100_steps_and_not_later() -> None:
    for steps in (0, 1, 99):
        assert reason(pem(spki(modulus_of_steps(steps)))) == "a weak modulus"
    n = modulus_of_steps(100)
    assert validate_public_key(pem(spki(n))).n == n


def test_a_roca_modulus_is_refused_and_its_neighbours_are_not() -> None:
    n = roca_modulus()
    assert n.bit_length() == 2048
    assert gcd(n, prod(SMALL_PRIMES)) == 1
    assert reason(pem(spki(n))) == "a weak modulus"
    neighbour = n + 2
    while gcd(neighbour, prod(SMALL_PRIMES)) != 1:
        neighbour += 2
    assert validate_public_key(pem(spki(neighbour))).n == neighbour


def test_roca_needs_the_mark_in_every_residue() -> None:
    # 65537 generates all residues of 163 and 167: 157 is the largest prime that shows the mark.
    residues = {pow(65537, power, 157) for power in range(156)}
    assert len(residues) < 156
    # Steps of this size change n modulo 157 and modulo primes that are not looked at.
    step = 2 * prod(p for p in SMALL_PRIMES if 2 < p <= 167 and p != 157)
    n = roca_modulus()
    while n % 157 in residues or gcd(n, prod(SMALL_PRIMES)) != 1:
        n += step
    assert validate_public_key(pem(spki(n))).n == n


def test_short_lines_are_lines() -> None:
    good = test_keys()["test-session"].public_pem
    lines = good.splitlines()
    assert (
        validate_public_key("\n".join((lines[0], *"".join(lines[1:-1]), lines[-1]))).to_pem()
        == good
    )


def test_a_text_above_the_limit_is_not_read_at_all() -> None:
    below, above = pem(spki(rough(22_000, "below"))), pem(spki(rough(24_000, "above")))
    assert len(below) <= MAX_PEM_CHARS < len(above)
    assert reason(below) == "a key of 22000 bits: make one of 2048 to 4096"
    assert reason(above) == "not one public key PEM"


def test_the_reason_says_nothing_of_the_key() -> None:
    for text in weak_keys().values():
        assert len(reason(text)) < 50


# Of what createPublicKey reads, this is refused, because something would be lost by taking it.
REFUSED_THOUGH_NODE_READS_IT = {
    "weak": {
        *(f"{bits}-bits" for bits in (512, 1024, 2047, 4097, 16384)),
        *("e-is-1", "e-is-2", "e-is-3", "e-is-65539", "e-is-n-plus-2"),
        *("n-even", "n-is-0", "n-negative", "n-prime", "n-square", "factor-3", "factor-1999"),
        *("close-primes", "roca"),
    },
    "another kind": {"ec-p256", "ed25519", "pss-oid"},
    "a private key": {"private-pkcs8", "private-then-public", "public-then-private"},
    "which of two": {"two-pems", "another-block-before"},
    "more than one text for one key": {
        *("algorithm-without-null", "der-length-not-minimal", "der-unused-bits"),
        *("der-trailing-byte", "pkcs1-trailing-byte", "space-after"),
    },
    "above 4096 characters": {"one-mebibyte"},
}

READ_BY_NODE = """
const { createPublicKey } = require('node:crypto');
const texts = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const read = (text) => {
  try {
    return createPublicKey(text).export({ type: 'spki', format: 'pem' });
  } catch {
    return null;
  }
};
console.log(JSON.stringify(Object.entries(texts).map(([name, text]) => [name, read(text)])));
"""


def test_layouts_are_those_that_node_reads() -> None:
    told = subprocess.run(
        ["node", "-e", READ_BY_NODE],
        input=json.dumps(weak_keys() | good_keys()),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    read = {name: text for name, text in json.loads(told.stdout) if text is not None}
    assert {
        name: validate_public_key(text).to_pem() for name, text in good_keys().items()
    }.items() <= read.items()
    refused = set().union(*REFUSED_THOUGH_NODE_READS_IT.values())
    assert read.keys() - good_keys().keys() == refused
