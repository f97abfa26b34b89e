"""A listener with a recorded login: a weak classic code falls, a code of SPAKE2 gives no hold."""

import secrets
from dataclasses import replace

import pytest
from gateways import running
from recorded_login import HardenedRecord, classic_code, listening, members
from yarl import URL

import gateway.login.classic
from certless.client import Client
from protocol.common.codes import CODE_ALPHABET, Code
from protocol.common.primitives import scalar
from protocol.hardened import client_handshake
from protocol.hardened.suites import DEFAULT_REALM

GUESSES = 50


def guess() -> str:
    return "".join(secrets.choice(CODE_ALPHABET) for _ in range(8))


async def test_six_digits_of_classic_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    # No setting makes such a code: here, and nowhere else, the mint is replaced.
    code = f"{secrets.randbelow(10**6):06}"
    monkeypatch.setattr(gateway.login.classic, "mint_code", lambda *_: Code(code))
    async with running(dialect="article-2016") as at, listening(URL(at.url).port or 0) as cable:
        # Our own clients refuse so short a code; others of that protocol do not.
        await replace(at, url=cable.url).raw_login()
        payload = members(cable.requests()[1])["payload"]
    found = classic_code(payload, (f"{number:06}" for number in range(10**6)))
    assert found == code


async def test_a_code_of_spake2_cannot_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def remembered(seed: bytes) -> int:
        drawn.append(scalar(seed))
        return drawn[-1]

    monkeypatch.setattr(client_handshake, "scalar", remembered)
    async with running() as at, listening(URL(at.url).port or 0) as cable:
        codes: list[str] = []

        async def mailed() -> str:
            codes.append(await at.mails.code())
            return codes[-1]

        async with Client(cable.url, envelope="json") as client:
            await client.login("ann@example.org", code=mailed)
        record = HardenedRecord.of(cable)
    (x,), (code,) = drawn, codes
    # The harness works: who has the client's x sees at once which guess is right.
    known = record.secret_with(code, x)
    assert known is not None
    assert record.opens(code, [known], DEFAULT_REALM)
    for wrong in (guess() for _ in range(10)):
        other = record.secret_with(wrong, x)
        assert other is not None
        assert not record.opens(wrong, [other], DEFAULT_REALM)
    # A listener has no x. To him the right code looks like any other: nothing that he can come to
    # confirms it, and nothing that he can come to rules out a wrong one.
    for tried in (code, *(guess() for _ in range(GUESSES))):
        assert not record.opens(tried, record.public_points(tried), DEFAULT_REALM)
