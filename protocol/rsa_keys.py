"""Which client keys are admitted (PROTOCOL §4.3).

Rules: one SubjectPublicKeyInfo PEM of at most 4096 characters and nothing else; RSA, 2048 to 4096
bits, e = 65537; n odd, without a factor below 2000, no square, no prime, no close primes within
100 steps of Fermat's method, and without the mark of CVE-2017-15361 (ROCA). A key that fails is
refused because a passphrase wrapped under it could be read by others than its owner.
"""

import re
from math import gcd, isqrt, prod

from .codec import decode_bytes
from .errors import KeyNotAdmitted
from .primitives import RsaPublicKey, is_fermat_prime

MAX_PEM_CHARS = 4096
MIN_BITS, MAX_BITS = 2048, 4096
EXPONENT = 65537
FERMAT_STEPS = 100

_PEM = re.compile(
    r"-----BEGIN PUBLIC KEY-----\r?\n"
    r"((?:[A-Za-z0-9+/=]{1,76}\r?\n)+)"
    r"-----END PUBLIC KEY-----[\r\n]{0,2}"
)
_SMALL_PRIMES = [p for p in range(3, 2000, 2) if all(p % d for d in range(3, isqrt(p) + 1, 2))]
_SMALL_FACTORS = prod(_SMALL_PRIMES)


def _powers_of_exponent(p: int) -> frozenset[int]:
    powers, power = {1}, EXPONENT % p
    while power not in powers:
        powers.add(power)
        power = power * EXPONENT % p
    return frozenset(powers)


# The primes of a ROCA key are powers of 65537 modulo each of these, and so is their product.
_ROCA_RESIDUES = [(p, _powers_of_exponent(p)) for p in _SMALL_PRIMES if p <= 167]


def _is_roca(n: int) -> bool:
    return all(n % p in residues for p, residues in _ROCA_RESIDUES)


def _has_close_primes(n: int) -> bool:
    # n = a² - b² with b small is n = (a-b)(a+b): two primes that a walk from √n soon meets.
    a = isqrt(n - 1) + 1
    for step in range(FERMAT_STEPS):
        b_squared = (a + step) ** 2 - n
        if isqrt(b_squared) ** 2 == b_squared:
            return True
    return False


def admit(pem: str) -> RsaPublicKey:
    """The key in ``pem``, if it is one we encrypt to. Raises: KeyNotAdmitted."""
    match = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM_CHARS else None
    if match is None:
        raise KeyNotAdmitted("not one public key PEM")
    return admit_der(decode_bytes("base64", "".join(match[1].split())) or b"")


def admit_der(der: bytes) -> RsaPublicKey:
    """The key in ``der`` (SubjectPublicKeyInfo), by the same rules. Raises: KeyNotAdmitted."""
    key = RsaPublicKey.from_der(der) if len(der) <= MAX_PEM_CHARS else None
    if key is None:
        raise KeyNotAdmitted("not an RSA public key")
    n = key.n
    if key.e != EXPONENT or not MIN_BITS <= n.bit_length() <= MAX_BITS:
        raise KeyNotAdmitted("size or exponent")
    if n % 2 == 0 or gcd(n, _SMALL_FACTORS) != 1:
        raise KeyNotAdmitted("a small factor")
    if _has_close_primes(n) or _is_roca(n) or is_fermat_prime(n):
        raise KeyNotAdmitted("a weak modulus")
    return key
