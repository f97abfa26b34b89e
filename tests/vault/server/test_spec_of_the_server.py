"""The tables and times of spec/VAULT.md that are about the server match its code."""

import documents

from vault.server import application, changes, reservations, unlocking
from vault.server.errors import ERRORS

SPEC = documents.read("spec/VAULT.md")
HOUR_MS = 3_600_000


def test_the_errors_and_their_statuses() -> None:
    rows = documents.table(SPEC, "15. Errors")
    assert {row[0]: int(row[1]) for row in rows} == dict(ERRORS.values())


def test_a_class_comes_after_its_subclasses() -> None:
    kinds = list(ERRORS)
    for place, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[place + 1 :])


def test_the_limits_and_times_of_the_server() -> None:
    limits = {row[0]: row[1] for row in documents.table(SPEC, "16. Limits")}
    assert limits["open runs of an account"] == str(unlocking.MAX_RUNS)
    assert limits["ids that a user can reserve in an hour, unless set"] == "200,000"
    assert reservations.IDS_PER_HOUR == 200_000
    words = " ".join(SPEC.split())
    minutes, size = application.INTERVAL_S // 60, application.SIZE
    assert f"every {minutes} minutes, or when the pool has {size:,} changes, unless set" in words
    assert f"batches of at most {application._BATCH}, one transaction each" in words
    assert f"for {unlocking.RUN_LIFETIME_MS // 1000} s." in words
    assert f"dropped after {changes.STAGE_LIFETIME_MS // HOUR_MS} hours" in words
