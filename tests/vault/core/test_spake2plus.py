"""SPAKE2+ against the vector of RFC 9383, appendix C."""

import pytest

from protocol.hardened.spake2 import M_BYTES, N_BYTES
from vault.core.errors import Malformed
from vault.core.password import PasswordSecrets
from vault.core.spake2plus import (
    Transcript,
    prover_confirmations,
    prover_share,
    read_verifier,
    verifier_confirmations,
    verifier_share,
)

TRANSCRIPT = Transcript(
    b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors", b"client", b"server"
)
W0 = 0xBB8E1BBCF3C48F62C08DB243652AE55D3E5586053FCA77102994F23AD95491B3
W1 = 0x7E945F34D78785B8A3EF44D0DF5A1A97D6B3B460409A345CA7830387A74B1DBA
X = 0xD1232C8E8693D02368976C174E2088851B8365D0D79A9EEE709C6A05A2FAD539
Y = 0x717A72348A182085109C8D3917D6C43D59B224DC6A7FC4F0483232FA6516D8B3
SECRETS = PasswordSecrets(W0, W1, b"")
BIG_L = bytes.fromhex(
    "04eb7c9db3d9a9eb1f8adab81b5794c1f13ae3e225efbe91ea487425854c7fc00f"
    "00bfedcbd09b2400142d40a14f2064ef31dfaa903b91d1faea7093d835966efd"
)
CONFIRM_P = "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527"
CONFIRM_V = "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68"
SHARED = "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7"


def test_both_sides_agree_as_the_rfc_says() -> None:
    assert SECRETS.verifier == (W0.to_bytes(32), BIG_L)
    share_p, share_v = prover_share(W0, X), verifier_share(W0, Y)
    client = prover_confirmations(TRANSCRIPT, SECRETS, X, share_p, share_v)
    server = verifier_confirmations(TRANSCRIPT, W0, BIG_L, Y, share_p, share_v)
    assert client == server
    assert [client.prover.hex(), client.verifier.hex(), client.shared.hex()] == [
        CONFIRM_P,
        CONFIRM_V,
        SHARED,
    ]


@pytest.mark.parametrize("share", [M_BYTES, N_BYTES, bytes(65), b"\x04" + bytes(64), b""])
def test_a_share_that_no_honest_side_sends_is_refused(share: bytes) -> None:
    with pytest.raises(Malformed):
        prover_confirmations(TRANSCRIPT, SECRETS, X, prover_share(W0, X), share)
    with pytest.raises(Malformed):
        verifier_confirmations(TRANSCRIPT, W0, BIG_L, Y, share, verifier_share(W0, Y))


@pytest.mark.parametrize("w0", [bytes(32), b"\xff" * 32])
def test_a_verifier_out_of_range_is_refused(w0: bytes) -> None:
    with pytest.raises(Malformed):
        read_verifier(w0, BIG_L)
    with pytest.raises(Malformed):
        read_verifier(W0.to_bytes(32), bytes(65))
