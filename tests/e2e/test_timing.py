"""The bisection for n over HTTP: it finds n where `c >= n` is refused early, and nothing here.

The modulus is a secret in classic. A prober sends numbers as wrapped keys and takes the time: what
is refused without a private operation is at least n. The harness first runs against a server that
was made to refuse early, to show that it works; no time is asserted anywhere, only what was found.
"""

import base64
import math
import time

import pytest
from gateways import Raw, Running, running

from protocol.common.codec import JsonObject
from protocol.common.primitives import RsaPadding, RsaPrivateKey

BITS = 16
SAMPLES = 7
MODULUS_BITS = 2048


class Prober:
    """Takes times of rejections, and bisects."""

    def __init__(self, at: Running, message: JsonObject) -> None:
        self.at = at
        self.message = message

    async def _time_s(self, number: int) -> float:
        key = base64.b64encode(number.to_bytes(MODULUS_BITS // 8)).decode()
        taken = []
        for _ in range(SAMPLES):
            began = time.perf_counter()
            answer = await self.at.post("/.gateway/message", {**self.message, "key": key})
            taken.append(time.perf_counter() - began)
            assert answer.status == 403
        # The least disturbed of them: what a prober who knows his trade would take.
        return min(taken)

    async def leading_bits(self) -> int:
        """The prober's best guess at the first 16 bits of n."""
        below = await self._time_s(2 ** (MODULUS_BITS - 1) - 1)
        above = await self._time_s(2**MODULUS_BITS - 1)
        threshold = math.sqrt(below * above)
        low, high = 1 << (BITS - 1), 1 << BITS
        while high - low > 1:
            middle = (low + high) // 2
            taken = await self._time_s(middle << (MODULUS_BITS - BITS))
            is_above_n = taken < threshold if above < below else taken > threshold
            low, high = (low, middle) if is_above_n else (middle, high)
        return low


async def bisect(at: Running) -> tuple[int, int]:
    """What the prober found, and the truth."""
    raw: Raw = await at.raw_login()
    message, _ = raw.seal()
    found = await Prober(at, message).leading_bits()
    return found, raw.keys.server_key.n >> (MODULUS_BITS - BITS)


async def test_the_harness_finds_n_where_it_is_refused_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unwrap = RsaPrivateKey.unwrap

    def early(self: RsaPrivateKey, wrapped: bytes | None, scheme: RsaPadding) -> bytes | None:
        if wrapped is None or int.from_bytes(wrapped) >= self._modulus:
            return None
        # Made slower than it is, so that the machine's own noise cannot hide the flaw.
        for _ in range(40):
            secret = unwrap(self, wrapped, scheme)
        return secret

    monkeypatch.setattr(RsaPrivateKey, "unwrap", early)
    monkeypatch.setattr("gateway.pipeline.middleware._REJECTION_STEP_S", 1e-9)
    async with running(dialect="article-2016") as at:
        found, truth = await bisect(at)
    # The last bit may be lost where n lies close to a step.
    assert abs(found - truth) <= 1


@pytest.mark.parametrize("dialect", ["article-2016", "sfet-3"])
async def test_the_bisection_does_not_converge(dialect: str) -> None:
    async with running(dialect=dialect) as at:
        found, truth = await bisect(at)
    assert abs(found - truth) > 1


async def test_nor_without_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    # The equal work alone has to hold: the step only covers what is left.
    monkeypatch.setattr("gateway.pipeline.middleware._REJECTION_STEP_S", 1e-9)
    async with running(dialect="article-2016") as at:
        found, truth = await bisect(at)
    assert abs(found - truth) > 1
