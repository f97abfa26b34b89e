"""The Certless protocol: pure functions and frozen values, as numbered in spec/PROTOCOL.md.

No I/O, no clock, no logging. Time enters as ``now_ms: int``, entropy as
``entropy: Callable[[int], bytes]``. The one exception is RSA: the padding and the key generation
of OpenSSL draw from OpenSSL's own generator, which no caller can replace.

The rooms, each knowing only those before it::

    errors <- codec <- messages <- primitives, rsa_keys, dialects, freshness
           <- suites <- sealing, session <- exchange, client_exchange
"""
