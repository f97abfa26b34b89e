"""Which suite a route demands: no spelling of a path leads around it."""

import pytest

from gateway.errors import ConfigError
from gateway.requirements import Requirements

DEMANDS = Requirements(
    {
        "/admin/*": "rsa-gcm",
        "/orders/{id}": "ecdh-gcm",
        "/the café": "ecdh-gcm",
        "/caf%C3%A9/": "ecdh-gcm",
        "/open": "classic",
    }
)


@pytest.mark.parametrize(
    ("path", "suite"),
    [
        ("/admin/users", "rsa-gcm"),
        ("/admin/", "rsa-gcm"),
        ("/orders/5", "ecdh-gcm"),
        ("/the%20caf%c3%a9", "ecdh-gcm"),
        ("/caf%C3%A9/", "ecdh-gcm"),
        ("/admin", None),
        ("/orders", None),
        ("/orders/5/lines", None),
        ("/open", None),
        ("/", None),
    ],
)
def test_routes_and_their_demands(path: str, suite: str | None) -> None:
    assert DEMANDS.of(path) == suite
    assert DEMANDS.missed_by("classic/sfet-3", path) == suite
    for hardened in ("ecdh-gcm", "rsa-gcm"):
        assert DEMANDS.missed_by(hardened, path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/Admin/users",
        "/%61dmin/users",
        "/%61DMIN/users",
        "/%61dmin/a%20user",
        "/%61dmin/caf%C3%A9",
        "/admin/%C3",
        "/orders/5/",
        "/order%73/%35%C3%A9",
        "/the%20caf%C3%89",
        "/%74he%20caf%C3%A9/",
        "/%63af%C3%A9",
        "//admin/users",
        "/./admin/users",
        "/x/../admin/users",
        "/admin%2fusers",
        "/x/..%2fadmin/users",
        "/%2561dmin/users",
        "/admin;a=b/users",
        "/admin\\users",
        "/%c1%a1dmin/users",
        "/%zz",
    ],
)
def test_no_spelling_leads_around_a_demand(path: str) -> None:
    assert DEMANDS.of(path) is not None


@pytest.mark.parametrize("pattern", ["/admin?x=1", "/admin#top"])
def test_a_demand_that_no_path_meets_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="without a query"):
        Requirements({pattern: "ecdh-gcm"})


def test_without_demands_every_path_is_free() -> None:
    for path in ("/", "//", "/%zz"):
        assert Requirements({}).of(path) is None
        assert Requirements({"/a": "classic"}).of(path) is None
