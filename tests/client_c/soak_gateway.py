"""A long run of the C client over a bad network, with power cuts: ``make soak-c``.

It is no part of ``make test``, because it takes minutes. It prints its seed. ``SOAK_SEED`` begins
with the same faults, but power cuts come at a time, so the two runs differ after the first.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from c_device import Device, Fault, Network, network
from test_c_gateway import Plant, echoed, planted

MESSAGES = int(os.environ.get("SOAK_MESSAGES", "10000"))
RESUMPTIONS = MESSAGES // 50
FAULTS: tuple[Fault, ...] = (
    "lost_request",
    "lost_answer",
    "truncated",
    "cut",
    "reflected",
    "replayed",
    "rejected",
    "garbage",
    "repeated",
    "delayed",
)
FAULTS_OF_100, CUTS_OF_1000 = 15, 20
# With these odds a resumption fails so often in a row less than once in 10^20 runs.
ATTEMPTS = 100


@dataclass
class Life:
    """What happened to a device, over all restarts of its process."""

    plant: Plant
    between: Network
    fresh: str
    chance: random.Random
    results: Counter[str] = field(default_factory=Counter)
    answered: list[str] = field(default_factory=list)
    resumed: int = 0
    cuts: int = 0
    sent: int = 0
    injected: Counter[str] = field(default_factory=Counter)

    def spoil(self) -> None:
        """Decide what happens to the next four exchanges: no command has more of them."""
        self.between.faults.clear()
        for _ in range(4):
            bad = self.chance.randrange(100) < FAULTS_OF_100
            self.between.faults.append(self.chance.choice(FAULTS) if bad else None)

    async def say(self, made: Device, command: str) -> str | None:
        """The result of a command, or None if the power was cut while it ran."""
        self.spoil()
        planned = [fault for fault in self.between.faults if fault]
        saying = asyncio.create_task(made.say(command))
        if self.chance.randrange(1000) < CUTS_OF_1000:
            await asyncio.wait({saying}, timeout=self.chance.random() * 0.03)
            made.process.kill()
            await made.process.wait()
            self.cuts += 1
            await asyncio.gather(saying, return_exceptions=True)
            self.between.faults.clear()
            return None
        said = await saying
        left = [fault for fault in self.between.faults if fault]
        self.injected.update(planned[: len(planned) - len(left)])
        self.results[f"{command.partition(' ')[0]} {said.partition(' ')[0]}"] += 1
        return said

    async def resume(self, made: Device) -> bool:
        """False if the power was cut. A device that is locked out fails here."""
        for _ in range(ATTEMPTS):
            said = await self.say(made, "resume")
            if said is None:
                return False
            if said == "ok 200":
                self.resumed += 1
                return True
        raise AssertionError(f"locked out: {said}")

    async def send(self, made: Device) -> bool:
        """One message with a body that no other message has. False if the power was cut."""
        body, self.sent = str(self.sent), self.sent + 1
        said = await self.say(made, f"send {body}")
        if said is None:
            return False
        if said.startswith("ok 200 "):
            assert echoed(said) == body
            self.answered.append(body)
        elif said.startswith(("http_refused", "session_ended")):
            return await self.resume(made)
        return True

    async def until_the_power_is_cut(self, made: Device) -> None:
        assert (await made.say("load")).startswith("ok")
        assert await made.say("timeout 5000") == "ok 0"
        if not (await made.state()).has_session and not await self.resume(made):
            return
        while self.sent < MESSAGES or self.resumed < RESUMPTIONS:
            if not await self.send(made):
                return
            if self.sent % 20 == 0:
                assert (await made.say("age")).startswith("ok")
            if self.sent % 50 == 0 and not await self.resume(made):
                return


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fresh", ["clock", "counter"])
async def test_a_long_life(tmp_path: Path, capsys: pytest.CaptureFixture[str], fresh: str) -> None:
    seed = os.environ.get("SOAK_SEED", str(random.SystemRandom().randrange(10**9)))
    with capsys.disabled():
        print(f"\n{fresh}, seed {seed}:")
    # A gateway accepts fewer resumptions from one address, unless it is set.
    rate = "1000000 per 15 minutes"
    async with (
        planted(tmp_path, capsys, resumptions_per_address=rate) as plant,
        network(plant.at.url) as between,
    ):
        chance = random.Random(f"{fresh} {seed}")  # noqa: S311
        life = Life(plant, between, fresh, chance)
        async with plant.started(fresh, between.address) as made:
            await made.login(await plant.code())
        while life.sent < MESSAGES or life.resumed < RESUMPTIONS:
            async with plant.started(fresh, between.address) as made:
                await life.until_the_power_is_cut(made)
        between.faults.clear()
        async with plant.started(fresh, between.address) as made:
            assert (await made.say("load")).startswith("ok")
            assert await made.say("resume") == "ok 200"
            assert echoed(await made.say("send last")) == "last"
    ran = plant.at.ran
    with capsys.disabled():
        print(f"{life.sent} messages sent, {len(ran) - 1} handled,")
        print(f"{len(life.answered)} answered; {life.resumed} resumptions, {life.cuts} power cuts")
        print(f"faults: {dict(life.injected)}\nresults: {dict(life.results)}")
    assert len(ran) == len(set(ran)), "a message was handled twice"
    assert set(life.answered) <= set(ran), "an answered message was not handled"
    assert set(ran) <= {"last", *map(str, range(life.sent))}
