"""Which client keys are admitted (PROTOCOL §4.3).

Rules: one public key in PEM, SubjectPublicKeyInfo or PKCS#1, in a text of at most 4096 characters
that Node.js would read (``_read_pem``); RSA, 2048 to 4096 bits, e = 65537; n odd, without a factor
below 2000, no square, no prime, no close primes within 100 steps of Fermat's method, and without
the mark of CVE-2017-15361 (ROCA). A key that fails is refused because a passphrase wrapped under it
could be read by others than its owner.
"""

from math import gcd, isqrt, prod

from .codec import decode_bytes
from .errors import InvalidPublicKey
from .primitives import RsaKeyForm, RsaPublicKey, is_fermat_prime

MAX_PEM_CHARS = 4096
MIN_BITS, MAX_BITS = 2048, 4096
EXPONENT = 65537
FERMAT_STEPS = 100

_BEGIN = "-----BEGIN "
_LABELS: dict[str, RsaKeyForm] = {"PUBLIC KEY": "spki", "RSA PUBLIC KEY": "pkcs1"}
# What OpenSSL passes over at the end of a line, and inside one of base64.
_AT_LINE_END = "\t\v\f\r "
_IN_BASE64 = str.maketrans("", "", "\t ")
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


def _read_pem(text: str) -> tuple[RsaKeyForm, str] | None:
    """The form and the base64 of the one public key in ``text``, as OpenSSL finds it.

    Lines are of any length. Text above and below, spaces at the ends of lines, a blank line above
    the base64 and spaces in it do not count. Two blocks are refused, which OpenSSL does not do:
    it is not for us to say which of them is meant.
    """
    if len(text) > MAX_PEM_CHARS or text.count(_BEGIN) != 1:
        return None
    lines = [line.rstrip(_AT_LINE_END) for line in text.removeprefix("\ufeff").split("\n")]
    for label, form in _LABELS.items():
        begin, end = f"{_BEGIN}{label}-----", f"-----END {label}-----"
        if begin not in lines or end not in lines:
            continue
        body = lines[lines.index(begin) + 1 : lines.index(end)]
        body = body[1:] if body and not body[0] else body
        return (form, "".join(body).translate(_IN_BASE64)) if body and all(body) else None
    return None


def validate_public_key(pem: str) -> RsaPublicKey:
    """The key in ``pem``, if it is one we encrypt to. Raises: InvalidPublicKey."""
    read = _read_pem(pem)
    if read is None:
        raise InvalidPublicKey("not one public key PEM")
    form, base64 = read
    return validate_public_key_der(decode_bytes("base64", base64) or b"", form)


def validate_public_key_der(der: bytes, form: RsaKeyForm = "spki") -> RsaPublicKey:
    """The key in ``der``, by the same rules. Raises: InvalidPublicKey."""
    key = RsaPublicKey.from_der(der, form) if len(der) <= MAX_PEM_CHARS else None
    if key is None:
        raise InvalidPublicKey("not an RSA public key")
    n = key.n
    if not MIN_BITS <= n.bit_length() <= MAX_BITS:
        raise InvalidPublicKey(
            f"a key of {n.bit_length()} bits: make one of {MIN_BITS} to {MAX_BITS}"
        )
    if key.e != EXPONENT:
        raise InvalidPublicKey("an exponent that is not 65537")
    if n % 2 == 0 or gcd(n, _SMALL_FACTORS) != 1:
        raise InvalidPublicKey("a small factor")
    if _has_close_primes(n) or _is_roca(n) or is_fermat_prime(n):
        raise InvalidPublicKey("a weak modulus")
    return key
