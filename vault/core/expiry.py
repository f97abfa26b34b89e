"""Buckets: how long the server keeps a block or an account (VAULT §22)."""

# A year.
FRAME_S = 31_557_600
MIN_FRAME_S = 3_600
MAX_FRAME_S = 2**32 - 1
MAX_BUCKET = 2**32 - 1


def bucket_of(now_s: int, frame_s: int, jitter_s: int = 0) -> int:
    """The bucket of the time ``now_s``, in seconds since 1970."""
    return (now_s + jitter_s) // frame_s


def most_jitter_s(frame_s: int) -> int:
    """The largest jitter of a block that is put or renewed."""
    return frame_s // 8


def is_over(bucket: int, present: int) -> bool:
    """Whether the time of ``bucket`` has ended in the bucket ``present``.

    It lasts until the end of the next bucket, so for at least one frame.
    """
    return present > bucket + 1


def safe_until_s(renewed: int, frame_s: int) -> int:
    """The time until which blocks with the bucket ``renewed`` are safe, in seconds since 1970."""
    return (renewed + 2) * frame_s
