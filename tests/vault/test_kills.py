"""``kill -9`` of the client and of the server in every change of keys: old or new secrets open.

VAULT_KILLS is the number of kills of each change, for each victim and database. A sample is enough
for each run of the tests; ``make soak`` runs more.
"""

import os
from pathlib import Path
from typing import get_args

import pytest
from killed_vaults import CHANGES, Victim, story
from processes import ROOT
from quick_argon2id import quick

KILLS = int(os.environ.get("VAULT_KILLS", "2"))


@pytest.mark.parametrize("victim", get_args(Victim))
async def test_after_a_kill_the_old_or_the_new_secrets_open(
    victim: Victim,
    vault_url: str,
    vault_key: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vault.core.password.argon2id", quick)
    # The process that forks the others loads the modules from there.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")]))
    async with story(victim, vault_url, vault_key, tmp_path) as one:
        for change in CHANGES:
            await one.complete(change)
            assert one.lengths[change].steps > 5
        for number in range(KILLS):
            for change in CHANGES:
                await one.killed(change, number)
    assert one.tally.total() == KILLS * len(CHANGES)
    name = "PostgreSQL" if vault_url.startswith("postgresql") else "SQLite"
    print(f"\n{one.tally.total()} kills of the {victim}, {name}:", *one.report(), sep="\n")
