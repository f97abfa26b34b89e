"""The settings: valid for ``serve``, and without contradictions."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path

from gateway.config.options import default_of
from gateway.policy.client_address import ClientAddresses
from gateway.policy.forwarded import ForwardedHeaders
from gateway.policy.rates import NONE, RATES
from gateway.policy.routes import PublicRoute, RoutePatterns, SuitePolicy
from gateway.policy.suites import CLASSIC, is_hardened
from gateway.service.options import application, host_and_port
from gateway.service.serve import CLASSIC_WARNING
from gateway.users.directory import TomlDirectory

from . import Finding, Service, fix, ok, warn

ABOUT = "settings"
# messages_per_session is optional.
_AGAINST_FLOODS = (
    *(name for name in RATES if name != "messages_per_session"),
    *("sessions", "sessions_per_user", "key_queue_size"),
)


async def check_configuration(service: Service) -> AsyncIterator[Finding]:
    """Errors, contradictions and missing limits in the options."""
    options = {name: value for name, value in service.options.items() if name != "listen"}
    # Do not create a key file or an audit log; the store has its own check.
    create_nothing = {
        "store": default_of("store"),
        "ticket_store": None,
        "key_file": None,
        "audit": None,
    }
    await asyncio.to_thread(application, {**options, **create_nothing})
    settings = service.settings
    source = service.config.name if service.config else "the command line"
    yield ok(
        ABOUT,
        f"{source} is valid: listen {service.options['listen']}, prefix {settings.prefix}, "
        f"realm {settings.realm}",
    )
    yield await _users(options)
    workers, cores = service.option("workers"), os.cpu_count() or 1
    if workers > cores:
        yield warn(ABOUT, f"{workers} workers share {cores} cores: use at most one for each core")
    yield _suites(settings.suites, settings.dialect.name)
    for finding in (*_routes(service), *_addresses(service)):
        yield finding


async def _users(options: dict[str, object]) -> Finding:
    if options.get("any_address"):
        return ok("users", "the owner of any mail address can log in")
    directory = await asyncio.to_thread(TomlDirectory.from_file, Path(str(options["users"])))
    count = len(directory.accounts)
    text = f"{count} can log in" if count > 1 else "one can log in"
    without_address = sum(not account.addresses for account in directory.accounts)
    if without_address:
        text += f", {without_address} of them only by `code issue`: no address"
    return ok("users", text)


def _suites(suites: tuple[str, ...], dialect: str) -> Finding:
    names = ", ".join(suites)
    if CLASSIC not in suites:
        return ok("suites", names)
    return warn(
        "suites",
        f"{names}; {CLASSIC_WARNING}; remove it from suites unless old programs ({dialect}) need "
        "it",
    )


def _routes(service: Service) -> Iterator[Finding]:
    """Patterns that have no effect, or not the expected one."""
    settings = service.settings
    targets = service.options.get("targets")
    forwarded = RoutePatterns(targets if targets is not None else ("/", "/*"))
    demands = SuitePolicy(settings.require)
    contradictions = False
    for public in settings.public:
        pattern = PublicRoute.parse(public).pattern
        path = _example_path(pattern)
        if pattern == "/*":
            text = f"public {public} leaves no route protected: name the pages that need no login"
        elif path.startswith(settings.prefix + "/"):
            text = f"public {public} is below the prefix of the gateway: remove it"
        elif (suite := demands.of(path)) is not None:
            text = f"public {public} is not public, because require demands {suite}: remove one"
        elif not forwarded.match(path):
            text = f"public {public} is not forwarded: add it to targets"
        else:
            continue
        contradictions = True
        yield fix("routes", text)
    for pattern, suite in settings.require.items():
        if not forwarded.match(_example_path(pattern)):
            text = f"require {pattern} is for a path that is not forwarded: see targets"
        elif is_hardened(suite) and not any(map(is_hardened, settings.suites)):
            text = f"require {pattern} demands {suite}, but no hardened suite is on: see suites"
        else:
            continue
        contradictions = True
        yield fix("routes", text)
    if not contradictions:
        listed = ", ".join(settings.public) or "none"
        yield ok("routes", f"public: {listed}; all other routes and methods need a login")


def _addresses(service: Service) -> Iterator[Finding]:
    """How the gateway gets client addresses, and who can reach its metrics."""
    host, _ = host_and_port(service.options["listen"])
    trusted = service.settings.trusted_proxies
    if any(network in ("0.0.0.0/0", "::/0") for network in trusted):
        yield fix(
            "limits", "trusted_proxies contains all addresses: clients can fake their address"
        )
    elif trusted:
        headers = ForwardedHeaders(service.settings.trusted_headers, ClientAddresses(trusted))
        text = f"client addresses come from {headers.address_header} of {', '.join(trusted)}"
        yield ok("limits", text)
    elif _is_loopback(host):
        yield warn(
            "limits",
            f"only this machine reaches {host}: if a reverse proxy is in front, add it to "
            "trusted_proxies, else all clients count as one address",
        )
    else:
        yield ok("limits", "client addresses are those of the connections")
    settings = service.settings
    unlimited = [name for name in _AGAINST_FLOODS if getattr(settings, name) in (0, NONE)]
    if unlimited:
        yield warn("limits", f"no limit for {', '.join(unlimited)}: a flood can use up the gateway")
    admin = str(service.options.get("admin") or "")
    admin_host = admin.rpartition(":")[0].strip("[]")
    if admin_host and not _is_loopback(admin_host):
        yield warn("admin", f"the metrics at {admin} need no login: block that port for clients")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _example_path(pattern: str) -> str:
    """A path that ``pattern`` matches."""
    path = re.sub(r"\{[^}]*\}", "x", pattern)
    return path[:-1] + "x" if path.endswith("/*") else path
