"""The Certless protocol: pure functions and frozen values, as numbered in spec/PROTOCOL.md.

No I/O, no clock, no logging. Time enters as ``now_ms: int``, entropy as
``entropy: Callable[[int], bytes]``. The one exception is RSA: the padding and the key generation
of OpenSSL draw from OpenSSL's own generator, which no caller can replace.

The rooms, each knowing only those before it. Of all suites::

    errors <- codec <- messages <- primitives, rsa_keys, codes <- once

Of the classic suite::

    dialects, freshness <- suites <- sealing, session <- exchange, client_exchange

Of the hardened suites::

    record, envelopes, hardened_suites, hardened_states, replay_window
           <- spake2, handshake_messages, sealed_messages <- key_schedule <- records
           <- handshake_server, confirmation, message_server
           <- client_session <- client_confirmation <- client_handshake
"""
