"""The suite that a route demands: no spelling of a path avoids it."""

import pytest

from gateway.errors import ConfigError
from gateway.policy.routes import SuitePolicy

DEMANDS = SuitePolicy(
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
        ("/admin", "rsa-gcm"),
        ("/admin.json", "rsa-gcm"),
        ("/orders/5/lines", "ecdh-gcm"),
        ("/orders", None),
        ("/administration", None),
        ("/admin-tools", None),
        ("/x/admin", None),
        ("/open", None),
        ("/", None),
    ],
)
def test_routes_and_their_demands(path: str, suite: str | None) -> None:
    assert DEMANDS.of(path) == suite
    assert DEMANDS.violated_by("classic/sfet-3", path) == suite
    for hardened in ("ecdh-gcm", "rsa-gcm"):
        assert DEMANDS.violated_by(hardened, path) is None


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
        "/admin%20",
        "/admin::$DATA",
        "/x../admin/users",
        "/x/..%20/admin/users",
        "/%EF%BD%81dmin/users",
        "/x%EF%BC%8Fadmin",
        "/cafe%CC%81",
        "/caf%E9",
        "/%c1%a1dmin/users",
        "/%zz",
    ],
)
def test_no_spelling_leads_around_a_demand(path: str) -> None:
    assert DEMANDS.of(path) is not None


@pytest.mark.parametrize(
    ("pattern", "covered", "free"),
    [
        ("/", ["/", "/a", "/a/b", "*", ""], []),
        ("/*", ["/", "/a", "/a/b", "*"], []),
        ("/a/*", ["/a", "/a/", "/a/b", "/A.php/b"], ["/", "/ab", "/b/a"]),
        ("/a/", ["/a", "/a/b"], ["/ab"]),
        ("/a.php", ["/a.php", "/a.php/b", "/a", "/a.html", "/a/b"], ["/ab.php", "/a_b"]),
        ("/a.b/*", ["/a.b", "/a.b/c", "/a.b.c"], ["/a", "/a.c"]),
        ("/.env", ["/.env", "/.env/x", "/.env.local"], ["/", "/.envs", "/a"]),
        ("/a/index.php", ["/a", "/a/", "/a/index.html", "/a/b"], ["/", "/ab"]),
        ("/index.html", ["/", "/index.html", "/b"], []),
        ("/Files/{name}.txt", ["/files/x.txt", "/files/x", "/files/x/y"], ["/files", "/files/"]),
        ("/u/{name}/*", ["/u/ann", "/u/ann/x"], ["/u", "/u/"]),
    ],
)
def test_what_a_demand_covers(pattern: str, covered: list[str], free: list[str]) -> None:
    demands = SuitePolicy({pattern: "ecdh-gcm"})
    for path in covered:
        assert demands.of(path) == "ecdh-gcm", path
    for path in free:
        assert demands.of(path) is None, path


@pytest.mark.parametrize("pattern", ["/admin?x=1", "/admin#top"])
def test_a_demand_that_no_path_meets_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="without a query"):
        SuitePolicy({pattern: "ecdh-gcm"})


def test_without_demands_every_path_is_free() -> None:
    for path in ("/", "//", "/%zz"):
        assert SuitePolicy({}).of(path) is None
        assert SuitePolicy({"/a": "classic"}).of(path) is None
