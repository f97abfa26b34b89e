"""The settings: sound as ``serve`` reads them, and saying what was meant."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path

from gateway.config.options import default_of
from gateway.policy.rates import NONE, RATES
from gateway.policy.routes import RoutePatterns, SuitePolicy
from gateway.policy.suites import CLASSIC, is_hardened
from gateway.service.options import application, host_and_port
from gateway.service.serve import CLASSIC_WARNING
from gateway.users.directory import TomlDirectory

from . import Finding, Service, fix, ok, warn

ABOUT = "settings"
# A rate of messages is for those who want one.
_AGAINST_FLOODS = (
    *(name for name in RATES if name != "messages_per_session"),
    *("sessions", "sessions_per_user", "key_queue_size"),
)


async def check_configuration(service: Service) -> AsyncIterator[Finding]:
    """All that is wrong with the options, and what they leave open."""
    options = {name: value for name, value in service.options.items() if name != "listen"}
    # The mere look would make a key file and an audit log; the store has a check of its own.
    unmade = {"store": default_of("store"), "key_file": None, "audit": None}
    await asyncio.to_thread(application, {**options, **unmade})
    settings = service.settings
    source = service.config.name if service.config else "the command line"
    yield ok(
        ABOUT,
        f"{source} is sound: listen {service.options['listen']}, prefix {settings.prefix}, "
        f"realm {settings.realm}",
    )
    yield await _users(options)
    workers, cores = service.option("workers"), os.cpu_count() or 1
    if workers > cores:
        yield warn(ABOUT, f"{workers} workers share {cores} cores: more than those gain nothing")
    yield _suites(settings.suites, settings.dialect.name)
    for finding in (*_routes(service), *_addresses(service)):
        yield finding


async def _users(options: dict[str, object]) -> Finding:
    if options.get("any_address"):
        return ok("users", "any mail address may log in, once it has read its mail")
    directory = await asyncio.to_thread(TomlDirectory.from_file, Path(str(options["users"])))
    count = len(directory.accounts)
    text = f"{count} may log in" if count > 1 else "one may log in"
    mute = sum(not account.addresses for account in directory.accounts)
    if mute:
        text += f", {mute} of them by `code issue` only: no address"
    return ok("users", text)


def _suites(suites: tuple[str, ...], dialect: str) -> Finding:
    spoken = ", ".join(suites)
    if CLASSIC not in suites:
        return ok("suites", spoken)
    return warn(
        "suites",
        f"{spoken}; {CLASSIC_WARNING}; leave it out of suites unless programs of 2016 ({dialect}) "
        "come here",
    )


def _routes(service: Service) -> Iterator[Finding]:
    """Patterns that do not say what they seem to say."""
    settings = service.settings
    targets = service.options.get("targets")
    passed_on = RoutePatterns(targets if targets is not None else ("/", "/*"))
    demands = SuitePolicy(settings.require)
    contradictions = False
    for pattern in settings.public:
        path = _a_path_of(pattern)
        if pattern == "/*":
            text = "public /* leaves no route protected: name the pages that need no login"
        elif path.startswith(settings.prefix + "/"):
            text = f"public {pattern} is below the prefix, where the gateway answers: leave it out"
        elif (suite := demands.of(path)) is not None:
            text = f"public {pattern} is not public, since require demands {suite}: drop one"
        elif not passed_on.match(path):
            text = f"public {pattern} is not passed on: name it under targets as well"
        else:
            continue
        contradictions = True
        yield fix("routes", text)
    for pattern, suite in settings.require.items():
        if not passed_on.match(_a_path_of(pattern)):
            text = f"require {pattern} is for a path that is not passed on: see targets"
        elif is_hardened(suite) and not any(map(is_hardened, settings.suites)):
            text = f"require {pattern} demands {suite}, and no hardened suite is spoken: see suites"
        else:
            continue
        contradictions = True
        yield fix("routes", text)
    if not contradictions:
        public = ", ".join(settings.public) or "none"
        yield ok("routes", f"public: {public}; all others need a login")


def _addresses(service: Service) -> Iterator[Finding]:
    """Whom a gateway takes its visitors for, and who may see its figures."""
    host, _ = host_and_port(service.options["listen"])
    trusted = service.settings.trusted_proxies
    if any(network in ("0.0.0.0/0", "::/0") for network in trusted):
        yield fix(
            "limits", "trusted_proxies names everybody: a visitor can then say that he is another"
        )
    elif trusted:
        yield ok("limits", f"an address is what {', '.join(trusted)} says in X-Forwarded-For")
    elif _is_loopback(host):
        yield warn(
            "limits",
            f"only this machine reaches {host}: if a reverse proxy does, name it in "
            "trusted_proxies, else all visitors count as one address",
        )
    else:
        yield ok("limits", "an address is where a connection comes from")
    settings = service.settings
    open_ended = [name for name in _AGAINST_FLOODS if getattr(settings, name) in (0, NONE)]
    if open_ended:
        yield warn("limits", f"{', '.join(open_ended)}: as many as come, also of a flood")
    admin = str(service.options.get("admin") or "")
    admin_host = admin.rpartition(":")[0].strip("[]")
    if admin_host and not _is_loopback(admin_host):
        yield warn("admin", f"the figures at {admin} have no login: keep visitors from that port")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _a_path_of(pattern: str) -> str:
    """Some path that ``pattern`` matches."""
    path = re.sub(r"\{[^}]*\}", "x", pattern)
    return path[:-1] + "x" if path.endswith("/*") else path
