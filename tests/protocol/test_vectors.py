"""The vectors of the classic suite and of what both suites share.

The JavaScript client runs the same files. ``RUNNERS`` has one function for each kind of test.
"""

import ast
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from make_vectors import WINDOW_MS, dialect_of, subjects
from peer import key_pair
from vector_files import KEYS_FILE, VECTORS, Json, names_of_files, read, read_all, result_of, stale

import protocol
from protocol.classic.client_exchange import PendingLogin, PendingResponse
from protocol.classic.dialects import DIALECTS
from protocol.classic.exchange import ServerExchange, SessionKeys
from protocol.classic.freshness import parse_timestamp
from protocol.classic.suites import Classic
from protocol.common import errors
from protocol.common.codec import parse_json
from protocol.common.codes import Code, normalise_username, session_id
from protocol.common.errors import DecryptionFailed, RemoteProtocolError
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    SealedMessage,
    SealedRequest,
    SessionRequest,
)
from protocol.common.rsa_keys import validate_public_key

FILES = [
    name
    for name in names_of_files()
    if name != "typed_codes" and not name.startswith(("hardened_", "team_", "vault_"))
]
LOADED = read_all(FILES)


def _suite(case: Json) -> Classic:
    return Classic(dialect_of(case.get("dialect")))


def _server(suite: Classic) -> ServerExchange:
    decoy = SessionKeys(key_pair("test-other"), key_pair("test-other").public, bytes(32))
    return ServerExchange(suite, decoy, os.urandom, WINDOW_MS)


def _object(message: Any) -> Json:
    # What a gateway does with a body, down to a body that is no object.
    if not isinstance(message, dict):
        raise errors.MalformedMessage
    return message


def _joined(parts: list[Json]) -> bytes:
    return b"".join(bytes.fromhex(part["hex"]) * int(part["times"]) for part in parts)


def open_request(case: Json) -> Json:
    """A request reaches the server; ``claimed_tags_hex`` were claimed before."""
    given, suite = case["input"], _suite(case)
    tag_key = bytes.fromhex(given["tag_key_hex"])
    name = given["private_key"]
    keys = name and SessionKeys(key_pair(name), key_pair("test-client").public, tag_key)
    message = SealedRequest.parse(_object(given["message"]), suite.dialect.names)
    claimed = set(given.get("claimed_tags_hex", ()))
    unwrapped = _server(suite).unwrap_request(message, keys or None)
    tag = unwrapped.passphrase_tag
    opened = unwrapped.decrypt(tag is not None and tag.hex() not in claimed).read(given["now_ms"])
    tags = opened.nonce_claim.nonce_tag.hex(), opened.nonce_claim.passphrase_tag.hex()
    accepted = opened.accept(not set(tags) & claimed)
    return {
        "nonce_tag_hex": tags[0],
        "passphrase_tag_hex": tags[1],
        "fields": accepted.fields,
    }


def open_login(case: Json) -> Json:
    """A login reaches the server; a ``code`` of null is a login that nobody began."""
    given, suite = case["input"], _suite(case)
    code = None if given["code"] is None else Code(given["code"])
    message = AuthenticateRequest.parse(_object(given["message"]), suite.dialect.names)
    accepted = _server(suite).open_login(message, code).accept(given["now_ms"])
    members = suite.dialect.names
    assert accepted.client_key == validate_public_key(accepted.payload[members.public_key])  # type: ignore[arg-type]
    assert accepted.password == accepted.payload.get(members.password)
    return {"payload": accepted.payload}


def open_response(case: Json) -> Json:
    """A sealed HTTP response reaches the client that sent ``nonce``."""
    given, suite = case["input"], _suite(case)
    message = SealedMessage.parse(given["message"], suite.dialect.names)
    pending = PendingResponse(suite, key_pair(given["private_key"]), given["nonce"], os.urandom)
    response = pending.open(message)
    headers = [list(header) for header in response.headers]
    return {"status": response.status, "headers": headers, "body_hex": response.body.hex()}


def open_plaintext_response(case: Json) -> Json:
    """What a handler answered in place reaches the client."""
    given, suite = case["input"], _suite(case)
    message = SealedMessage.parse(given["message"], suite.dialect.names)
    pending = PendingResponse(suite, key_pair(given["private_key"]), "any", os.urandom)
    return {"plaintext_hex": pending.open_plaintext(message).hex()}


def open_login_response(case: Json) -> Json:
    """The answer to a login reaches the client."""
    given, suite = case["input"], _suite(case)
    message = SealedMessage.parse(given["message"], suite.dialect.names)
    keys = PendingLogin(suite, key_pair(given["private_key"]), os.urandom).open(message)
    pairs = json.loads(KEYS_FILE.read_text())["keys"]
    (name,) = (n for n, pair in pairs.items() if pair["public_key_pem"] == keys.server_key.to_pem())
    return {"public_key": name}


def seal_payload(case: Json) -> Json:
    """A plaintext under a passphrase; opening gives it back."""
    given, suite = case["input"], _suite(case)
    passphrase, plaintext = given["passphrase"].encode(), bytes.fromhex(given["plaintext_hex"])
    payload = suite.seal(passphrase, plaintext, given.get("iv"))
    assert suite.open(passphrase, payload, given.get("iv")) == (plaintext, True)
    return {"payload": payload}


def code_passphrase(case: Json) -> Json:
    return {"passphrase": _suite(case).code_passphrase(Code(case["input"]["code"])).decode()}


def admit_key(case: Json) -> Json:
    given = case["input"]
    pem = _joined(given["pem_parts"]).decode() if "pem_parts" in given else given["pem"]
    return {"bits": validate_public_key(pem).n.bit_length()}


def run_parse_json(case: Json) -> Json:
    given = case["input"]
    text = _joined(given["text_parts"]) if "text_parts" in given else None
    return {"value": parse_json(bytes.fromhex(given["text_hex"]) if text is None else text)}


def run_parse_timestamp(case: Json) -> Json:
    ms = parse_timestamp(case["input"]["form"], case["input"]["value"])
    if ms is None:
        raise DecryptionFailed
    return {"ms": ms}


def http_request(case: Json) -> Json:
    request = HttpRequest.parse(case["input"]["request"])
    assert HttpRequest.parse(request.serialize()) == request
    return {
        "method": request.method,
        "target": request.target,
        "headers": [list(header) for header in request.headers],
        "body_hex": request.body.hex(),
    }


def run_normalise_username(case: Json) -> Json:
    return {"username": normalise_username(case["input"]["username"])}


def session_request(case: Json) -> Json:
    names = dialect_of(None).names
    return {"username": SessionRequest.parse(case["input"]["message"], names).username}


def run_session_id(case: Json) -> Json:
    return {"session_id_hex": session_id(case["input"]["token"]).hex()}


RUNNERS: dict[str, Callable[[Json], Json]] = {
    "open_request": open_request,
    "open_login": open_login,
    "open_response": open_response,
    "open_plaintext_response": open_plaintext_response,
    "open_login_response": open_login_response,
    "seal_payload": seal_payload,
    "code_passphrase": code_passphrase,
    "admit_key": admit_key,
    "parse_json": run_parse_json,
    "parse_timestamp": run_parse_timestamp,
    "http_request": http_request,
    "normalise_username": run_normalise_username,
    "session_request": session_request,
    "session_id": run_session_id,
}


@pytest.mark.parametrize("name", LOADED)
def test_vector(name: str) -> None:
    case = LOADED[name]
    run = RUNNERS[case["kind"]]
    assert result_of(lambda: run(case)) == (case["expect"], case.get("output"))


def test_the_files_are_what_the_generator_writes() -> None:
    made = subjects()
    assert set(made) == set(FILES)
    assert stale(made) == []


def test_every_case_is_well_formed() -> None:
    for name, case in LOADED.items():
        members = {"name", "comment", "kind", "dialect", "input", "expect", "output"}
        assert set(case) <= members
        assert (
            (case["expect"] == "ok")
            == ("output" in case)
            == name.endswith(
                (
                    "-ok",
                    "-seal",
                    "-seal-empty",
                    "-seal-with-iv",
                    "-code-passphrase",
                    "-known-answer",
                )
            )
        )


@pytest.mark.parametrize("file", names_of_files())
def test_a_file_states_how_many_tests_it_has(file: str) -> None:
    whole = json.loads((VECTORS / f"{file}.json").read_text())
    assert set(whole) == {"comment", "number_of_tests", "groups"}
    assert whole["number_of_tests"] == sum(len(group["tests"]) for group in whole["groups"]) > 0
    for group in whole["groups"]:
        assert {"kind", "shared", "tests"} <= set(group)
        assert set(group) <= {"kind", "dialect", "suite", "shared", "tests"}


def test_no_two_tests_share_a_name() -> None:
    assert len(read_all(names_of_files())) == sum(len(read(file)) for file in names_of_files())


def _documented() -> dict[str, tuple[set[str], set[str]]]:
    """Kind by kind, the members of input and output that README.md lists in its tables."""
    found = {}
    for line in (VECTORS / "README.md").read_text().splitlines():
        if re.match(r"\| `\w+` \|", line):
            cells = line.strip("|").split("|")
            if len(cells) == 4:
                kind, _, *members = (set(re.findall(r"`(\w+)`", cell)) for cell in cells)
                found[kind.pop()] = (members[0], members[1])
    return found


def test_the_readme_lists_every_kind_and_its_members() -> None:
    used: dict[str, tuple[set[str], set[str]]] = {}
    for case in read_all(names_of_files()).values():
        given, output = used.setdefault(case["kind"], (set(), set()))
        given |= set(case["input"])
        output |= set(case.get("output", ()))
    assert _documented() == used


def test_the_readme_lists_every_file() -> None:
    text = (VECTORS / "README.md").read_text()
    listed = re.findall(r"^\| \[(\w+)\.json\]\(\1\.json\)", text, re.MULTILINE)
    assert listed == ["keys", *names_of_files()]
    assert f"\n{len(read_all(names_of_files()))} tests of [PROTOCOL.md]" in text


def test_failures_outnumber_successes() -> None:
    counts = Counter(case["expect"] == "ok" for case in LOADED.values())
    assert counts[False] > 2 * counts[True]


def _raised_in_protocol() -> set[str]:
    """The names of the errors that a ``raise`` statement in protocol/ mentions."""
    found = set()
    for path in Path(protocol.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                found.add(ast.unparse(raised).rpartition(".")[2])
    return found


def _subclasses(cls: type[RemoteProtocolError]) -> set[type[RemoteProtocolError]]:
    return {cls}.union(*(_subclasses(sub) for sub in cls.__subclasses__()))


def test_every_code_that_a_peer_can_cause_has_a_vector() -> None:
    caused = {cls.code for cls in _subclasses(RemoteProtocolError)} & {
        getattr(errors, name).code for name in _raised_in_protocol() if hasattr(errors, name)
    }
    assert caused >= {"malformed", "rejected", "decryption_failed", "stale_timestamp"}
    assert caused <= {case["expect"] for case in read_all(names_of_files()).values()}


@pytest.mark.parametrize("kind", ["open_request", "open_login", "open_response", "seal_payload"])
def test_every_dialect_has_a_success_of_each_kind(kind: str) -> None:
    covered = {
        case.get("dialect")
        for case in LOADED.values()
        if case["kind"] == kind and case["expect"] == "ok" and isinstance(case["dialect"], str)
    }
    assert covered == set(DIALECTS)


@pytest.mark.parametrize("kind", ["open_request", "open_login", "open_response"])
def test_every_dialect_has_a_failure_of_each_kind(kind: str) -> None:
    covered = {
        case["dialect"]
        for case in LOADED.values()
        if case["kind"] == kind and case["expect"] != "ok" and isinstance(case["dialect"], str)
    }
    assert covered == set(DIALECTS)
