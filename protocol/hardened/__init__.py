"""The suites ``ecdh-gcm`` and ``rsa-gcm`` (PROTOCOL, Part II)."""
