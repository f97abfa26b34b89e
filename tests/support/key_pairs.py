"""RSA pairs for the gateways and clients in the process of the tests.

Generating a pair takes longer than most tests, and the generating thread has the lowest priority.
So only the first SIZE pairs of a run are generated, and then used in turn: any SIZE pairs in a row
differ.
"""

from collections import deque

from protocol.common.primitives import SESSION_KEY_BITS, RsaPrivateKey

SIZE = 32
_make = RsaPrivateKey.generate
_made: deque[RsaPrivateKey] = deque()


def handed_round(bits: int = SESSION_KEY_BITS) -> RsaPrivateKey:
    """Replaces ``RsaPrivateKey.generate``; safe in any thread."""
    if bits != SESSION_KEY_BITS:
        return _make(bits)
    pair = _made.popleft() if len(_made) >= SIZE else _make()
    _made.append(pair)
    return pair
