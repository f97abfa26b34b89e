"""RSA pairs for the gateways and clients in the process of the tests.

Making one takes longer than most tests do, and the thread that makes them gives way to everything
else on a busy machine. So the first of a run are made, and then they are handed round: any SIZE
that follow each other differ.
"""

from collections import deque

from protocol.common.primitives import SESSION_KEY_BITS, RsaPrivateKey

SIZE = 32
_make = RsaPrivateKey.generate
_made: deque[RsaPrivateKey] = deque()


def handed_round(bits: int = SESSION_KEY_BITS) -> RsaPrivateKey:
    """In the place of ``RsaPrivateKey.generate``. Any thread may ask."""
    if bits != SESSION_KEY_BITS:
        return _make(bits)
    pair = _made.popleft() if len(_made) >= SIZE else _make()
    _made.append(pair)
    return pair
