"""The Content-Security-Policy of every response: nothing of a page leaves unsealed.

A browser enforces all policies that it gets. So we keep the policy of the site, mapped, and add
ours.
"""

from collections.abc import Sequence

from .origins import Origins

# The browser would use TLS for our own address, and we have none.
_NO_TLS = frozenset({"upgrade-insecure-requests", "block-all-mixed-content"})
# Browsers send reports without regard to any policy.
_REPORTS = frozenset({"report-uri", "report-to"})


def own_policy(sealed: Sequence[str] = ()) -> str:
    """Allows only the site itself, the other ``sealed`` origins, and addresses with TLS.

    Only pages of the site itself may frame its pages.
    """
    places = " ".join(("'self'", *sealed, "https:"))
    return (
        f"default-src {places} wss: data: blob: 'unsafe-inline' 'unsafe-eval' "
        f"'wasm-unsafe-eval'; form-action {places}; base-uri {places}; "
        "frame-ancestors 'self'"
    )


def mapped_policy(policy: str, origins: Origins) -> str:
    """The site's policies in one header line, as they apply under our address."""
    return ", ".join(filter(None, (_mapped(one, origins) for one in policy.split(","))))


def _mapped(policy: str, origins: Origins) -> str:
    kept = []
    for directive in policy.split(";"):
        name, *sources = directive.split()[:1024] or [""]
        if name and name.lower() not in _NO_TLS | _REPORTS:
            kept.append(" ".join((name, *map(origins.source_to_own, sources))))
    return "; ".join(kept)
