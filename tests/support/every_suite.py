"""Every hardened suite, freshness and format; and the uniform rejection."""

import pytest
from gateways import Answer
from hardened_gateways import told

EACH = pytest.mark.parametrize(
    ("suite", "fresh", "form"),
    [
        (suite, fresh, form)
        for suite in ("ecdh-gcm", "rsa-gcm")
        for fresh in ("clock", "counter")
        for form in ("json", "msgpack")
    ],
)
STORES = pytest.mark.parametrize("store", ["memory:", "sqlite:{}"])


def assert_uniform(*answers: Answer) -> None:
    """All answers are the uniform rejection."""
    assert {answer.visible for answer in answers} == {answers[0].visible}
    assert answers[0].status == 403
    assert told(answers[0])["error"] == "rejected"
