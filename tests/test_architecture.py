"""Which package imports which, read from the source."""

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = sorted((ROOT / "protocol").rglob("*.py"))
GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))
CERTLESS = sorted((ROOT / "certless").rglob("*.py"))
VAULT = sorted((ROOT / "vault").rglob("*.py"))
ISSUING = sorted((ROOT / "issuing").rglob("*.py"))
SESSION_CRYPTO = sorted((ROOT / "session_crypto").rglob("*.py"))

# I/O, clocks, entropy and logs stay outside, and the gateway knows the protocol, never back.
BANNED = {
    *("aiohttp", "asyncio", "certless", "datetime", "gateway", "logging", "os", "random"),
    *("redis", "secrets", "smtplib", "socket", "sqlite3", "time"),
}
CRYPTO_LIBRARIES = {"Crypto", "cryptography"}
FRAMEWORKS = {"aiohttp", "starlette", "fastapi", "uvicorn"}

# The modules of protocol/, lowest first: each may import those of the lines before its own.
LAYERS: list[set[str]] = [
    {"common.errors"},
    {"common.codec"},
    {"common.messages"},
    {"common.primitives", "common.acceptance"},
    {"common.codes", "common.rsa_keys", "common.envelopes"},
    {"classic.dialects", "hardened.suites", "common.typed_codes"},
    {"classic.freshness", "classic.suites", "classic.session"},
    {"streams.records"},
    {"streams.bodies"},
    {"streams.opening"},
    {"streams.sockets"},
    {"hardened.replay_window", "hardened.spake2", "hardened.handshake_messages"},
    {"hardened.sealed_messages", "hardened.key_schedule"},
    {"hardened.records", "hardened.exporter", "classic.exchange", "classic.client_exchange"},
    {"hardened.handshake_server", "hardened.confirmation", "hardened.message_server"},
    {"hardened.client_session"},
    {"hardened.client_confirmation", "hardened.ticket_files"},
    {"hardened.client_handshake"},
]
# Each part of protocol/, and the parts that it may import.
PARTS = {
    "common": set[str](),
    "classic": {"common"},
    "streams": {"common"},
    "hardened": {"common", "streams"},
}

# Everybody may import these. They import nothing else of the gateway.
FOUNDATION = {"clock", "errors", "events", "logs", "private_profile"}
# Each package of gateway/, lowest first, and the packages that it may import.
PACKAGES: dict[str, set[str]] = {
    "stores": set(),
    "keys": {"stores"},
    "policy": {"stores"},
    "config": {"stores", "policy"},
    "users": {"stores", "config"},
    "checks": {"config", "users"},
    "sessions": {"stores", "keys", "policy", "users"},
    "mail": {"stores", "config", "users"},
    "options": {"stores", "users", "mail"},
    "login": {"stores", "keys", "policy", "config", "users", "sessions", "mail", "checks"},
    "pipeline": {"login", "sessions", "policy", "config", "users"},
    "monitoring": set(),
    "pages": set(),
    "admin": {"monitoring", "sessions", "users", "keys", "policy", "stores", "pages"},
}
PACKAGES["build"] = set(PACKAGES) - {"pages"}
PACKAGES["adapters"] = {"build", "options", "pipeline", "policy", "config", "sessions"}
PACKAGES["service"] = {"adapters", "config", "policy", "mail", "monitoring", "admin"}
PACKAGES["doctor"] = set(PACKAGES)
PACKAGES["demo"] = set(PACKAGES) - {"doctor"}
PACKAGES["cli"] = set(PACKAGES)
# Contracts that an integrator implements: what takes them as options imports them.
CONTRACTS = {"gateway.stores", "gateway.users.directory", "gateway.mail.transports"}
TAKE_OPTIONS = {"adapters", "service"}
# The former places of public modules (CHANGELOG, 0.2.0).
FORMER = {"client", "asgi", "metrics"}
# Where it may be known which store it is, and which HTTP framework.
KNOW_STORES = {"stores", "build", "cli", "doctor"}
KNOW_FRAMEWORKS = {
    *("adapters", "service", "admin", "mail", "checks", "doctor", "demo", "cli", "pages"),
}


def imports(source: str, package: str) -> set[str]:
    """The full names of all modules that ``source``, a module of ``package``, may load.

    ``from x import y`` counts as x and as x.y, for y may be a module. Imports in functions count.
    If the name of a module to load is computed, each text of ``source`` counts.
    """
    found = set()
    nodes = list(ast.walk(ast.parse(source)))
    texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(filter(None, (*(above if node.level else ()), node.module)))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = {str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
            found |= named or texts
    return found


def imports_of(path: Path) -> set[str]:
    return imports(path.read_text(), ".".join(path.parent.relative_to(ROOT).parts))


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def module(path: Path) -> str:
    """Its full name, without ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


ALL = {module(path) for path in (*PROTOCOL, *GATEWAY, *CERTLESS, *VAULT, *ISSUING, *SESSION_CRYPTO)}


def known_modules(path: Path) -> set[str]:
    """The modules of ours that a module imports itself."""
    return (imports_of(path) & ALL) - {module(path)}


def package_of(name: str) -> str:
    """The package of a module of gateway/; "" for the package itself."""
    return name.split(".")[1] if "." in name else ""


each_of_protocol = pytest.mark.parametrize("path", PROTOCOL, ids=module)
each_of_gateway = pytest.mark.parametrize("path", GATEWAY, ids=module)


def test_no_module_is_there_only_for_tests() -> None:
    paths = (*PROTOCOL, *GATEWAY, *CERTLESS)
    used = set().union(*(known_modules(path) for path in paths))
    starts = {module(path) for path in paths if path.stem in ("__init__", "__main__")}
    assert set(map(module, paths)) - used - starts <= {f"gateway.{name}" for name in FORMER}


# --- protocol ---


@each_of_protocol
def test_protocol_does_no_io_and_has_no_clock_and_no_entropy(path: Path) -> None:
    assert top_level(imports_of(path)) & BANNED == set()


@each_of_protocol
def test_only_primitives_knows_a_crypto_library(path: Path) -> None:
    # Where nobody did, protocol/ would do its crypto somewhere unseen.
    is_primitives = module(path) == "protocol.common.primitives"
    assert bool(top_level(imports_of(path)) & CRYPTO_LIBRARIES) == is_primitives


@pytest.mark.parametrize("path", [p for p in PROTOCOL if p.stem != "__init__"], ids=module)
def test_each_module_of_protocol_imports_those_before_it(path: Path) -> None:
    name = module(path).removeprefix("protocol.")
    levels = [at for at, layer in enumerate(LAYERS) if name in layer]
    assert levels, "a new module needs a place in LAYERS"
    known = {one.removeprefix("protocol.") for one in known_modules(path)}
    assert {one for one in known if "." in one} <= set().union(*LAYERS[: levels[0]])
    part = name.partition(".")[0]
    assert {one.partition(".")[0] for one in known} <= {part, *PARTS[part]}


def test_the_packages_of_protocol_load_no_module() -> None:
    for path in PROTOCOL:
        if path.stem == "__init__":
            assert known_modules(path) == set()


# --- gateway ---


def test_no_arrow_of_the_table_runs_upward() -> None:
    names = list(PACKAGES)
    for name, below in PACKAGES.items():
        assert below <= set(names[: names.index(name)])


@each_of_gateway
def test_each_package_imports_what_the_table_says(path: Path) -> None:
    package = package_of(module(path))
    if package in FORMER | {"", "__main__"}:
        return
    known = {name for name in known_modules(path) if name.startswith("gateway.")}
    if package in FOUNDATION:
        assert {package_of(name) for name in known} <= FOUNDATION
        return
    assert package in PACKAGES, "a new package needs a line in PACKAGES"
    if package in TAKE_OPTIONS:
        known -= CONTRACTS
    allowed = {package, *FOUNDATION, *PACKAGES[package]}
    assert {name for name in known if package_of(name) not in allowed} == set()


@each_of_gateway
def test_the_gateway_has_no_crypto_of_its_own(path: Path) -> None:
    # It would be a second implementation of a primitive. TLS of mail servers and hashes of
    # passwords are no part of the protocol.
    used = top_level(imports_of(path)) & CRYPTO_LIBRARIES
    outside = ("gateway.mail.", "gateway.users.passwords")
    assert used == set() or module(path).startswith(outside)


@each_of_gateway
def test_only_those_who_wire_it_know_which_store_it_is(path: Path) -> None:
    stores = {n for n in known_modules(path) if n.startswith("gateway.stores.")}
    concrete = {n for n in stores if n.split(".")[2] in ("memory", "sqlite", "redis", "tickets")}
    assert concrete == set() or package_of(module(path)) in KNOW_STORES


@each_of_gateway
def test_what_is_the_same_for_every_framework_knows_none(path: Path) -> None:
    used = top_level(imports_of(path)) & FRAMEWORKS
    assert used == set() or package_of(module(path)) in KNOW_FRAMEWORKS


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_modules_of_a_package_import_each_other(package: str) -> None:
    arrows = {
        module(path): known_modules(path) for path in GATEWAY if package_of(module(path)) == package
    }
    done = set[str]()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        if name not in done:
            for other in arrows.get(name, ()):
                walk(other, (*way, name))
            done.add(name)

    for name in arrows:
        walk(name, ())


# --- the public face ---


@pytest.mark.parametrize("path", CERTLESS, ids=module)
def test_the_client_imports_the_protocol_alone(path: Path) -> None:
    known = known_modules(path)
    if module(path).startswith("certless.client"):
        assert {name for name in known if name.startswith("gateway")} == set()


@pytest.mark.parametrize(
    "path", [p for p in CERTLESS if module(p).startswith("certless.connect")], ids=module
)
def test_connect_imports_the_client_and_the_protocol_alone(path: Path) -> None:
    ours = {"certless.connect", "certless.client", "protocol"}
    known = {name for name in known_modules(path) if name != "certless"}
    assert {name for name in known if ".".join(name.split(".")[:2]) not in ours} <= {
        name for name in known if name.startswith("protocol.")
    }


def test_a_program_that_uses_the_client_loads_nothing_of_the_gateway() -> None:
    program = (
        "import sys; from certless import Client; "
        "print([n for n in sys.modules if n.split('.')[0] == 'gateway'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "[]\n"


# --- the vault ---

VAULT_CORE = [path for path in VAULT if module(path).startswith("vault.core")]


@pytest.mark.parametrize("path", VAULT_CORE, ids=module)
def test_the_core_of_the_vault_is_pure_and_knows_the_protocol_alone(path: Path) -> None:
    assert top_level(imports_of(path)) & BANNED == set()
    assert {name.partition(".")[0] for name in known_modules(path)} <= {"protocol", "vault"}
    assert {
        name for name in known_modules(path) if name.startswith("vault.") and "core" not in name
    } == set()


@pytest.mark.parametrize("path", VAULT, ids=module)
def test_only_the_primitives_of_the_vault_know_a_crypto_library(path: Path) -> None:
    uses = bool(top_level(imports_of(path)) & CRYPTO_LIBRARIES)
    assert uses == (module(path) == "vault.core.primitives")


VAULT_SERVER = [path for path in VAULT if module(path).startswith("vault.server")]


@pytest.mark.parametrize("path", VAULT_SERVER, ids=module)
def test_the_server_of_the_vault_knows_the_public_face_of_the_gateway_alone(path: Path) -> None:
    known = {name for name in known_modules(path) if name not in ("certless", "vault")}
    ours = ("vault.core", "vault.server", "protocol")
    assert {name for name in known if not name.startswith(ours)} == set()


VAULT_CLIENT = [path for path in VAULT if module(path).startswith("vault.client")]


@pytest.mark.parametrize("path", VAULT_CLIENT, ids=module)
def test_the_client_of_the_vault_knows_the_client_of_the_gateway_alone(path: Path) -> None:
    known = {name for name in known_modules(path) if name not in ("certless", "vault")}
    ours = ("vault.core", "vault.client", "protocol", "certless.client")
    assert {name for name in known if not name.startswith(ours)} == set()


def test_the_core_of_the_vault_loads_no_server() -> None:
    program = "import sys, vault, vault.core.messages; print('sqlalchemy' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "False\n"


# --- certificates ---


@pytest.mark.parametrize("path", ISSUING, ids=module)
def test_certificates_know_the_public_face_of_the_gateway_alone(path: Path) -> None:
    known = {name for name in known_modules(path) if name not in ("certless", "issuing")}
    assert {name for name in known if not name.startswith("issuing.")} == set()


@pytest.mark.parametrize("path", SESSION_CRYPTO, ids=module)
def test_session_keys_know_the_public_face_of_the_gateway_alone(path: Path) -> None:
    known = {name for name in known_modules(path) if name not in ("certless", "session_crypto")}
    assert {name for name in known if not name.startswith("session_crypto.")} == set()


# --- names ---


def test_nothing_is_called_utils() -> None:
    drawers = {"util", "utils", "helpers", "misc"}
    for folder in (
        "protocol",
        "gateway",
        "certless",
        "vault",
        "issuing",
        "session_crypto",
        "tests",
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert not drawers & set(path.relative_to(ROOT).with_suffix("").parts), path


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import os.path", "a", {"os.path"}),
        ("from . import b", "a", {"a", "a.b"}),
        ("from .b import x", "a", {"a.b", "a.b.x"}),
        ("from ..b import c", "top.a", {"top.b", "top.b.c"}),
        ("def f():\n    import time", "a", {"time"}),
        ("importlib.import_module('os')", "a", {"os"}),
    ],
)
def test_imports_are_seen_in_every_form(source: str, package: str, expected: set[str]) -> None:
    assert imports(source, package) == expected


def test_layers_name_each_module_once() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert len(names) == len(set(names))
    assert all(before.isdisjoint(after) for before, after in pairwise(LAYERS))
