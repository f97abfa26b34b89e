"""Who may import whom, read from the source (PROTOCOL's rooms; see protocol/__init__)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = sorted((ROOT / "protocol").glob("*.py"))
GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))

# I/O, clocks, entropy and logs stay outside, and the gateway knows the protocol, never back.
BANNED = {
    "aiohttp",
    "asyncio",
    "socket",
    "time",
    "datetime",
    "logging",
    "random",
    "secrets",
    "os",
    "smtplib",
    "sqlite3",
    "redis",
    "gateway",
}
CRYPTO_LIBRARIES = {"Crypto", "cryptography"}
# A room that decides what a store is for must not know which one it is.
STORE_BLIND = {"middleware", "classic_routes", "hardened_routes", "login", "hardened_login"}
STORE_BLIND |= {"sessions", "hardened_sessions", "resumption", "operators", "proxy"}
# What is the same in front of every framework must know none.
FRAMEWORK_BLIND = {"outer", "inner", "middleware", "classic_routes", "hardened_routes"}
FRAMEWORK_BLIND |= {"client_script", "assembly", "login", "hardened_login", "resumption"}
FRAMEWORKS = {"aiohttp", "starlette", "fastapi", "uvicorn"}
CONCRETE_STORES = {"memory", "memory_handshakes", "memory_records"}
CONCRETE_STORES |= {"sqlite", "sqlite_file", "sqlite_handshakes", "sqlite_reseal"}
CONCRETE_STORES |= {"redis", "redis_handshakes", "redis_records", "redis_scripts", "redis_server"}
CONCRETE_STORES |= {"redis_url", "urls"}

# Each room, and the rooms of protocol/ that it may know; what these know in turn is not repeated.
LAYERS: list[set[str]] = [
    {"errors"},
    {"codec"},
    {"messages"},
    {"primitives", "rsa_keys", "dialects", "freshness", "codes"},
    {"once", "record", "envelopes", "hardened_suites", "hardened_states", "counter_window"}
    | {"typed_codes"},
    {"suites", "spake2", "handshake_messages", "sealed_messages"},
    {"sealing", "session", "key_schedule", "records"},
    {"exchange", "client_exchange", "handshake_server", "confirmation", "message_server"},
    {"client_session", "client_confirmation", "client_handshake"},
]
# Inside a layer the order is this one: data on primitives, rules on data.
WITHIN_A_LAYER = {
    "rsa_keys": {"primitives"},
    "dialects": {"primitives"},
    "freshness": {"primitives", "dialects"},
    "codes": {"primitives"},
    "counter_window": {"hardened_suites"},
    "records": {"key_schedule"},
    "client_confirmation": {"client_session"},
    "client_handshake": {"client_session", "client_confirmation"},
}


def imports(source: str, package: str) -> set[str]:
    """The full names of all modules that ``source``, a module of ``package``, may load.

    ``from x import y`` counts as x and as x.y, for y may be a module. Imports in functions count.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(filter(None, (*(above if node.level else ()), node.module)))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return found


def imports_of(path: Path) -> set[str]:
    return imports(path.read_text(), ".".join(path.parent.relative_to(ROOT).parts))


def top_level(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def rooms_known_by(path: Path) -> set[str]:
    rooms = {other.stem for other in PROTOCOL}
    parts = (name.split(".") for name in imports_of(path))
    return {part[1] for part in parts if part[0] == "protocol" and len(part) > 1} & rooms


def allowed(room: str) -> set[str]:
    (level,) = (i for i, layer in enumerate(LAYERS) if room in layer)
    return set().union(*LAYERS[:level]) | WITHIN_A_LAYER.get(room, set())


by_room = pytest.mark.parametrize("path", PROTOCOL, ids=lambda path: path.stem)


@by_room
def test_protocol_does_no_io_and_has_no_clock_and_no_entropy(path: Path) -> None:
    assert top_level(imports_of(path)) & BANNED == set()


@by_room
def test_only_primitives_knows_a_crypto_library(path: Path) -> None:
    if path.stem != "primitives":
        assert top_level(imports_of(path)) & CRYPTO_LIBRARIES == set()


def test_primitives_is_where_the_crypto_libraries_are() -> None:
    # Else the test above would be true of a protocol that does its crypto somewhere unseen.
    (path,) = (path for path in PROTOCOL if path.stem == "primitives")
    assert top_level(imports_of(path)) >= CRYPTO_LIBRARIES


@pytest.mark.parametrize(
    "path", [path for path in PROTOCOL if path.stem != "__init__"], ids=lambda path: path.stem
)
def test_each_room_knows_only_those_before_it(path: Path) -> None:
    assert path.stem in set().union(*LAYERS), "a new room needs a place in LAYERS"
    assert rooms_known_by(path) - allowed(path.stem) == set()


def test_the_package_itself_loads_no_room() -> None:
    assert rooms_known_by(ROOT / "protocol" / "__init__.py") == set()


@pytest.mark.parametrize(
    "path", GATEWAY, ids=lambda path: ".".join(path.relative_to(ROOT).with_suffix("").parts)
)
def test_the_gateway_keeps_to_its_contracts(path: Path) -> None:
    known = imports_of(path)
    # Crypto of its own would be a second implementation of a primitive.
    assert top_level(known) & CRYPTO_LIBRARIES == set()
    if path.stem in STORE_BLIND:
        concrete = {f"gateway.stores.{store}" for store in CONCRETE_STORES}
        assert {name for name in known for store in concrete if (name + ".").startswith(store)} == (
            set()
        )


@pytest.mark.parametrize("room", sorted(FRAMEWORK_BLIND))
def test_the_core_knows_no_framework(room: str) -> None:
    known = imports_of(ROOT / "gateway" / f"{room}.py")
    assert top_level(known) & FRAMEWORKS == set()
    assert not {name for name in known if name.startswith("gateway.aiohttp_")}


def test_the_concrete_stores_are_the_modules_of_the_folder() -> None:
    found = {path.stem for path in (ROOT / "gateway" / "stores").glob("*.py")}
    assert found - {"__init__", "caps"} <= CONCRETE_STORES, (
        "a new store belongs into CONCRETE_STORES"
    )


def test_nothing_is_called_utils() -> None:
    drawers = {"util", "utils", "helpers", "misc", "common"}
    for folder in ("protocol", "gateway", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not drawers & set(path.relative_to(ROOT).with_suffix("").parts), path


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import os.path", "protocol", {"os.path"}),
        ("from . import codec", "protocol", {"protocol", "protocol.codec"}),
        ("from .codec import x", "protocol", {"protocol.codec", "protocol.codec.x"}),
        ("from ..stores import sqlite", "gateway.a", {"gateway.stores", "gateway.stores.sqlite"}),
        ("def f():\n    import time", "protocol", {"time"}),
        ("importlib.import_module('os')", "protocol", {"os"}),
    ],
)
def test_imports_are_seen_in_every_form(source: str, package: str, expected: set[str]) -> None:
    assert imports(source, package) == expected
