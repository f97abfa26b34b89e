"""The spellings of a secret, for searches in files, logs and memory."""

import base64


def spellings(secret: bytes) -> list[bytes]:
    """``secret`` as bytes, UTF-16, hex, a Python literal, and base64 at any place of a text."""
    in_text = (secret.hex(), secret.hex().upper(), repr(secret)[2:-1])
    wide = secret.decode("latin1").encode("utf-16-le")
    in_base64 = [_in_base64(secret, before) for before in range(3)]
    return [secret, wide, *(text.encode() for text in in_text), *in_base64]


def _in_base64(secret: bytes, before: int) -> bytes:
    """The characters that depend on ``secret`` alone, after ``before`` other bytes."""
    text = base64.b64encode(bytes(before) + secret).rstrip(b"=")
    begin = (before * 8 + 5) // 6
    return text[begin : (before + len(secret)) * 8 // 6]
