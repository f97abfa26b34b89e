"""The statistics of an audit: how far values are from independent random ones."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

# A statistic that is further from its expectation than this, in standard deviations, is no chance:
# 8 have a probability of 1 in 10^15, so even thousands of tests of a good dump do not reach it.
CERTAIN = 8.0
_BYTES = 256


def chi_square_z(counts: Sequence[int]) -> float:
    """How far ``counts`` are from equal ones, in standard deviations of chi square."""
    total, kinds = sum(counts), len(counts)
    expected = total / kinds
    chi_square = sum((count - expected) ** 2 for count in counts) / expected
    return (chi_square - (kinds - 1)) / math.sqrt(2 * (kinds - 1))


def uneven_place(values: Sequence[bytes], masks: dict[int, int]) -> tuple[int, float] | None:
    """The first byte of ``values`` that is not evenly distributed, and its deviation.

    ``masks`` has the bits that count, for the bytes of which some are fixed. There are too few
    values to tell below 10 for each value of a byte.
    """
    if len(values) < 10 * _BYTES:
        return None
    for place in range(min(map(len, values))):
        mask = masks.get(place, _BYTES - 1)
        counts = Counter(value[place] & mask for value in values)
        kinds = [one for one in range(_BYTES) if one & mask == one]
        deviation = chi_square_z([counts[one] for one in kinds])
        if deviation > CERTAIN:
            return place, deviation
    return None


def least_gap(values: Sequence[bytes], bits: int) -> float:
    """The smallest difference of two values, in parts of what is expected of random ones.

    The expected smallest one is about 2^bits / n^2.
    """
    numbers = sorted(int.from_bytes(value) for value in values)
    gaps = [after - before for before, after in pairwise(numbers)]
    expected = 2.0**bits / max(1, len(numbers)) ** 2
    return min(gaps, default=expected) / expected


def ascending_runs(values: Sequence[bytes] | Sequence[int]) -> int:
    """The number of ascending runs: 1 if ``values`` are sorted."""
    return 1 + sum(before > after for before, after in pairwise(values))  # type: ignore[operator]


def even_bytes_z(counts: Counter[int]) -> float:
    """How far the bytes that were counted are from evenly distributed ones."""
    return chi_square_z([counts[one] for one in range(_BYTES)])
