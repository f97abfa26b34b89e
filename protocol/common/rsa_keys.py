"""The rules for RSA public keys of a peer (PROTOCOL §1.7).

The text is one public key in PEM, as SubjectPublicKeyInfo or PKCS#1, of at most 4096 characters, in
a layout that Node.js reads (``_read_pem``). The key is RSA with 2048 to 4096 bits and e = 65537. n
is odd, has no factor below 2000, is neither a square nor a prime, has no primes that 100 steps of
Fermat's method find, and does not have the mark of CVE-2017-15361 (ROCA). A key that breaks a rule
is refused, because somebody other than its owner could read a passphrase wrapped under it.
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
# Characters that OpenSSL ignores at the end of a line, and inside a line of base64.
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


# The primes of a ROCA key are powers of 65537 modulo each of these primes; so is their product.
_ROCA_RESIDUES = [(p, _powers_of_exponent(p)) for p in _SMALL_PRIMES if p <= 167]


def _is_roca(n: int) -> bool:
    return all(n % p in residues for p, residues in _ROCA_RESIDUES)


def _has_close_primes(n: int) -> bool:
    # If b is small in n = a² - b² = (a-b)(a+b), a search from √n upwards finds a in a few steps.
    a = isqrt(n - 1) + 1
    for step in range(FERMAT_STEPS):
        b_squared = (a + step) ** 2 - n
        if isqrt(b_squared) ** 2 == b_squared:
            return True
    return False


def _read_pem(text: str) -> tuple[RsaKeyForm, str] | None:
    """The form and the base64 of the public key in ``text``, read as OpenSSL reads it.

    Lines can have any length. Text above and below the key, spaces at the ends of lines, a blank
    line above the base64, and spaces in it are ignored. Unlike OpenSSL it refuses two blocks,
    because it cannot know which one is meant.
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
    """The key in ``pem``, checked by all rules. Raises: InvalidPublicKey."""
    read = _read_pem(pem)
    if read is None:
        raise InvalidPublicKey("not one public key PEM")
    form, base64 = read
    return validate_public_key_der(decode_bytes("base64", base64) or b"", form)


def validate_public_key_der(der: bytes, form: RsaKeyForm = "spki") -> RsaPublicKey:
    """The key in ``der``, checked by the same rules. Raises: InvalidPublicKey."""
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
