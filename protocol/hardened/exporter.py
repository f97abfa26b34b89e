"""The exporter: values that bind a protocol of the application to a session (PROTOCOL §2.5.3)."""

from protocol.common.primitives import hkdf_expand

from .key_schedule import info, length_prefixed
from .suites import HardenedSuite

MAX_LABEL_CHARS = 128
MAX_CONTEXT_BYTES = 65_535
MIN_EXPORTED_BYTES = 16
MAX_EXPORTED_BYTES = 8160


def exported_value(
    suite: HardenedSuite, secret: bytes, label: str, context: bytes, length: int
) -> bytes:
    """``length`` bytes from the exporter secret of a session (32 bytes).

    Both sides of the session get the same bytes for the same arguments, and nobody else can compute
    them. Raises: ValueError, for a label, a context or a length outside of the limits.
    """
    if not (0 < len(label) <= MAX_LABEL_CHARS and label.isascii() and label.isprintable()):
        raise ValueError(f"a label has 1 to {MAX_LABEL_CHARS} printable ASCII characters")
    if len(context) > MAX_CONTEXT_BYTES:
        raise ValueError(f"a context has at most {MAX_CONTEXT_BYTES} bytes: pass its hash")
    if not MIN_EXPORTED_BYTES <= length <= MAX_EXPORTED_BYTES:
        raise ValueError(
            f"an exported value has {MIN_EXPORTED_BYTES} to {MAX_EXPORTED_BYTES} bytes"
        )
    purpose = info(suite, "exported") + length_prefixed(label.encode(), context)
    return hkdf_expand(secret, purpose + length.to_bytes(2), length)
