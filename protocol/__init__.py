"""The Certless protocol of spec/PROTOCOL.md, as pure functions and frozen values.

No I/O, no clock, no logging. Callers pass the time as ``now_ms: int`` and random bytes as
``entropy: Callable[[int], bytes]``. RSA is the one exception: OpenSSL's padding and key generation
use OpenSSL's own random generator, which a caller cannot replace.

Packages::

    common     errors, codecs, messages, primitives: shared by all suites
    classic    the suite of 2016, in its dialects
    hardened   ecdh-gcm and rsa-gcm: handshake, sealed messages, resumption
"""
