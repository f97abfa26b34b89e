"""The vectors of spec/vectors that a client in ecdh-gcm and msgpack can run, in the C client.

Each test becomes a line for tests/client_c/vectors.c, which runs with AddressSanitizer and UBSan.
"""

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from c_client import built, image, made
from hardened_reference import ORDER
from vector_files import Json, read_all

from protocol.common.codec import serialize_msgpack
from protocol.common.codes import Code
from protocol.common.errors import MalformedMessage
from protocol.common.messages import HttpRequest
from protocol.common.typed_codes import read_code
from protocol.hardened.key_schedule import code_scalar as scalar_of
from protocol.hardened.sealed_messages import Envelope
from protocol.hardened.suites import ECDH_GCM, FRESHNESS
from protocol.streams.records import Direction

# Other machines are built first, if nobody has.
pytestmark = pytest.mark.timeout(300)

Value = int | str | bytes
Line = dict[str, Value]


class Word(str):
    """A text that is written as it is."""


FILES = (
    "hardened_client_logins",
    "hardened_client_resumptions",
    "hardened_key_schedule",
    "hardened_msgpack",
    "hardened_responses",
    "hardened_sent_messages",
    "hardened_sent_streams",
    "hardened_spake2",
    "hardened_stream_openings",
    "hardened_stream_records",
)
MACHINES = ("test_vectors", "test_vectors_small", "arm", "s390x", "cortex-m3")
# No message has a negative number. The C client knows the names of all members, so a name that is
# not text, or occurs twice, is tested with the messages.
NO_MESSAGE = {
    "msgpack-negative-ok",
    "msgpack-name-twice",
    "msgpack-name-twice-other-values",
}


def raw(value: str | None) -> bytes:
    return bytes.fromhex(value or "")


def handshake(given: Json, *names: str) -> Line:
    return {
        "username": given["username"],
        "realm": given["realm"],
        "device": given.get("device", ""),
        "fresh": FRESHNESS[given["fresh"]],
        "now_ms": given["now_ms"],
        "entropy": b"".join(map(raw, given["entropy_hex"])),
        **{name: raw(given[name]["hex"]) for name in names},
    }


def client_login(given: Json) -> Line:
    return {**handshake(given, "M1", "M3", "M5"), "code": given["code"]}


def client_resumption(given: Json) -> Line:
    ticket, secret = raw(given["ticket_hex"]), raw(given["secret_hex"])
    return {**handshake(given, "R2", "R4"), "ticket": ticket, "secret": secret}


def seal_sealed_request(given: Json) -> Line:
    session = given["session"]
    method, target, headers, body = given["request"]
    fields: Line = {"headers": len(headers)}
    for number, (name, value) in enumerate(headers):
        fields |= {f"name{number}": name, f"value{number}": value}
    return fields | {
        "sid": raw(session["sid_hex"]),
        "c2s": raw(session["c2s_hex"]),
        "s2c": raw(session["s2c_hex"]),
        "epoch": session["epoch"],
        "fresh": FRESHNESS[session["fresh"]],
        "sequence": session["sequence"],
        "offset_ms": session["offset_ms"],
        "now_ms": given["now_ms"],
        "entropy": b"".join(map(raw, given["entropy_hex"])),
        "method": method,
        "target": target,
        "body": raw(body),
    }


def open_answer(given: Json) -> Line:
    request = Envelope.parse("msgpack", raw(given["request"]["hex"]))
    return {
        "sid": request.header.session_id,
        "c2s": bytes(32),
        "s2c": raw(given["keys"]["s2c_hex"]),
        "epoch": request.header.epoch,
        "fresh": FRESHNESS[request.header.fresh],
        "value": request.header.fresh_value,
        "tag": request.tag,
        "elapsed_ms": given["elapsed_ms"],
        "message": raw(given["message"]["hex"]),
    }


def spake2(given: Json) -> Line:
    names = {name: raw(given[f"{name}_hex"]) for name in ("w", "x")}
    return {"idA": given["idA"], "idB": given["idB"], "pB": raw(given["pB_hex"]), **names}


def code_scalar(given: Json) -> Line:
    return {
        "username": given["username"],
        "typed": given["typed"],
        "sid": raw(given["sid_hex"]),
        "sn": raw(given["sn_hex"]),
        "entropy": bytes(47) + b"\1",
    }


def open_stream_grant(given: Json) -> Line:
    whole = {**given, "elapsed_ms": 0}
    return {**open_answer(whole), "takes_stream": int(given["takes_stream"])}


def records(given: Json) -> Line:
    return {
        "direction": Direction[given["direction"].upper()],
        "stream": raw(given["stream_hex"]),
        "key": raw(given["key_hex"]),
        "record_bytes": given["record_bytes"],
    }


def read_stream(given: Json) -> Line:
    """The C client reads record by record, so how the bytes came in chunks does not matter."""
    length = given.get("length")
    return {
        **records(given),
        "in": b"".join(map(raw, given["chunks_hex"])),
        "length": Word("none") if length is None else length,
        "is_bodiless": int(given.get("is_bodiless", False)),
    }


def write_stream(given: Json) -> Line:
    line: Line = {**records(given), "pieces": len(given["pieces_hex"])}
    pairs = zip(given["pieces_hex"], given["at_ms"], strict=True)
    for number, (piece, at_ms) in enumerate(pairs):
        line |= {f"piece{number}": raw(piece), f"at{number}": at_ms}
    return line


LINES: dict[str, Callable[[Json], Line]] = {
    "client_login": client_login,
    "client_resumption": client_resumption,
    "seal_sealed_request": seal_sealed_request,
    "open_sealed_response": open_answer,
    "open_refusal": open_answer,
    "spake2": spake2,
    "spake2_share": lambda given: {"share": raw(given["share_hex"])},
    "code_scalar": code_scalar,
    "rekey": lambda given: {"c2s": raw(given["c2s_hex"]), "s2c": raw(given["s2c_hex"])},
    "parse_msgpack": lambda given: {"in": raw(given["hex"])},
    "open_stream_grant": open_stream_grant,
    "read_stream": read_stream,
    "write_stream": write_stream,
    "stream_response_key": lambda given: {
        "server_key": raw(given["server_key_hex"]),
        "salt": raw(given["salt_hex"]),
    },
}


def answered(given: Json, output: Json) -> Line:
    status, headers, body = output["response"]
    fields = b"".join(name.encode() + value.encode() for name, value in headers)
    return {"status": status, "body": raw(body), "fields": fields}


def enrolled(output: Json, ticket: str, *names: str) -> Line:
    return {
        "c2s": raw(output["c2s_hex"]),
        "s2c": raw(output["s2c_hex"]),
        "resume": raw(output["resume_hex"]),
        "ticket": raw(output[ticket]),
        **{name: raw(output[name]["hex"]) for name in names},
    }


def logged_in(_: Json, output: Json) -> Line:
    keys = enrolled(output, "ticket_hex", "M0", "M2", "M4")
    return {**keys, "offset_ms": output["offset_ms"]}


def stream_read(_: Json, output: Json) -> Line:
    head = b"" if output["head"] is None else serialize_msgpack(output["head"])
    verified = int(output["request_verified"] or 0)
    return {"body": raw(output["body_hex"]), "head": head, "request_verified": verified}


def hexed(*names: str) -> Callable[[Json, Json], Line]:
    return lambda _, output: {name: raw(output[f"{name}_hex"]) for name in names}


OUTPUTS: dict[str, Callable[[Json, Json], Line]] = {
    "client_login": logged_in,
    "client_resumption": lambda _, output: enrolled(output, "successor_hex", "R1", "R3"),
    "seal_sealed_request": lambda _, output: {"message": raw(output["message"]["hex"])},
    "open_sealed_response": answered,
    "open_refusal": lambda _, output: {
        "server_ms": output["server_ms"],
        "may_retry": int(output["may_retry"]),
    },
    "spake2": hexed("pA", "K", "Ke", "cA", "cB"),
    "spake2_share": hexed("share"),
    "code_scalar": hexed("w"),
    "rekey": hexed("c2s", "s2c"),
    # The strict encoding of a value is what was read.
    "parse_msgpack": lambda given, _: {"again": raw(given["hex"])},
    "open_stream_grant": lambda _, output: {
        "record_bytes": output["record_bytes"],
        **hexed("stream", "client_key", "server_key")(_, output),
    },
    "read_stream": stream_read,
    "write_stream": hexed("records"),
    "stream_response_key": hexed("server_key"),
}


def is_for_the_c_client(name: str, case: Json) -> bool:
    """Whether a client in ecdh-gcm and msgpack can come to this test."""
    given = case["input"]
    formats = {
        value["format"] for value in given.values() if isinstance(value, dict) and "format" in value
    }
    return (
        case["kind"] in LINES
        and "rsa-gcm" not in (case.get("suite"), given.get("suite"))
        and given.get("suites", ["ecdh-gcm"]) == ["ecdh-gcm"]
        and "json" not in formats | {given.get("format")}
        and name not in NO_MESSAGE
        and not (case["kind"] == "write_stream" and given["direction"] == "server")
    )


def written(value: Value) -> str:
    if isinstance(value, Word):
        return value
    if isinstance(value, int):
        return str(value)
    return (value.encode() if isinstance(value, str) else value).hex()


def program_for(machine: str) -> list[str]:
    """The command that runs vectors: on this machine, or in an emulator of another one."""
    if machine == "cortex-m3":
        return image("vectors")
    if machine in ("arm", "s390x"):
        return [f"qemu-{machine}", str(made("machines") / machine / "test_vectors")]
    return [str(built() / machine)]


def run(lines: list[tuple[str, Line]], machine: str = "test_vectors") -> list[str]:
    """What the program says to each line."""
    text = "".join(
        " ".join([kind, *(f"{name}={written(value)}" for name, value in line.items())]) + "\n"
        for kind, line in lines
    )
    ran = subprocess.run(
        program_for(machine),
        check=False,
        input=text,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def result_of(line: str) -> tuple[str, Line]:
    """The code, and the members as bytes or numbers; header fields are put together."""
    code, *parts = line.split(" ")
    pairs = [part.split("=") for part in parts]
    numbers = ("offset_ms", "server_ms", "may_retry", "status", "record_bytes", "request_verified")
    found: Line = {name: int(value) if name in numbers else raw(value) for name, value in pairs}
    if "headers" in found:
        found["fields"] = b"".join(raw(value) for name, value in pairs if name in ("n", "v"))
    return code, found


def given_to_c(case: Json) -> Json:
    """The input, with what only the output of a vector names."""
    return {
        **case["input"],
        **{k: v for k, v in (case.get("output") or {}).items() if k == "pB_hex"},
    }


@pytest.fixture(scope="module")
def cases() -> dict[str, Json]:
    return {name: case for name, case in read_all(FILES).items() if is_for_the_c_client(name, case)}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_vectors_of_a_client(cases: dict[str, Json], machine: str) -> None:
    """On x86-64 with both kinds of arithmetic, on 32-bit ARM, big-endian, and without a system."""
    lines = [(case["kind"], LINES[case["kind"]](given_to_c(case))) for case in cases.values()]
    wrong: dict[str, Any] = {}
    for (name, case), line in zip(cases.items(), run(lines, machine), strict=True):
        code, found = result_of(line)
        expected: Line = {}
        if case["expect"] == "ok":
            expected = OUTPUTS[case["kind"]](case["input"], case["output"])
        if code != case["expect"] or any(found.get(k) != v for k, v in expected.items()):
            wrong[name] = (case["expect"], expected, line)
    assert wrong == {}


def test_every_kind_is_run(cases: dict[str, Json]) -> None:
    counts = Counter(case["kind"] for case in cases.values())
    assert set(counts) == set(LINES) == set(OUTPUTS)
    assert counts.total() >= 250
    refused = sum(case["expect"] != "ok" for case in cases.values())
    assert refused > counts.total() / 2


# --- more values for the parts that are the client's own ---


def test_numbers_below_the_order() -> None:
    drawn = random.Random(17)  # noqa: S311  # the same numbers in each run
    edges = [
        factor * (ORDER - 1) + near for factor in (0, 1, 2, 2**127, 2**128) for near in (-1, 0, 1)
    ]
    seeds = [
        seed
        for seed in (*edges, ORDER, 2**256 - 1, 2**256, 2**383, 2**384 - 1)
        if 0 <= seed < 2**384
    ]
    seeds += [drawn.getrandbits(384) for _ in range(2000)]
    said = run([("scalar", {"seed": seed.to_bytes(48)}) for seed in seeds])
    expected = [f"ok scalar={1 + seed % (ORDER - 1):064x}" for seed in seeds]
    assert said == expected


def test_codes_as_people_type_them() -> None:
    """The C client reads ASCII, and finds a code only where the Python client finds the same."""
    texts = {
        case["input"]["text"]
        for case in read_all(["typed_codes"]).values()
        if case["input"]["suite"] == "hardened"
    }
    texts = {text for text in texts if ("\0" not in text and text.isascii()) or text.isprintable()}
    shared: Line = {"username": "Ada", "sid": bytes(16), "sn": bytes(32), "entropy": bytes(48)}
    said = run([("code_scalar", {**shared, "typed": text}) for text in sorted(texts)])
    found = 0
    for text, line in zip(sorted(texts), said, strict=True):
        if line == "code_refused":
            continue
        code = read_code(text)
        assert isinstance(code, Code), text
        w = scalar_of(code.text, ECDH_GCM, "Ada", bytes(16), bytes(32))
        assert line == f"ok w={w:064x}", text
        found += 1
    assert found >= 15


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("", "/", []),
        ("GET" * 22, "/", []),
        ("connect", "/", []),
        ("TRACE", "/", []),
        ("G T", "/", []),
        ("GET", "", []),
        ("GET", "a", []),
        ("GET", "//a", []),
        ("GET", "/a b", []),
        ("GET", "/a#b", []),
        ("GET", "/a\\b", []),
        ("GET", "/a\x7f", []),
        ("GET", "/" + "a" * 8192, []),
        ("GET", "/", [["", "b"]]),
        ("GET", "/", [["a:", "b"]]),
        ("GET", "/", [["a", "b\r\nc: d"]]),
        ("GET", "/", [["a", "b" * 65536]]),
        ("GET", "/" + "a" * 8191, [["a", "b" * 65535]]),
        ("patch", "/\u00e9?\u20ac", [["a", "\u00e9\t\U0001f600"]]),
        ("GET", "/", [["a", ""]]),
    ],
)
def test_requests_that_no_server_would_accept(
    method: str, target: str, headers: list[list[str]]
) -> None:
    """The C client refuses to seal what the Python code refuses to parse, and nothing else."""
    session = {
        "sid_hex": "00" * 16,
        "c2s_hex": "00" * 32,
        "s2c_hex": "00" * 32,
        "epoch": 0,
        "fresh": "counter",
        "sequence": 0,
        "offset_ms": 0,
    }
    line = seal_sealed_request({
        "session": session, "request": [method, target, headers, "00"], "now_ms": 5,
        "entropy_hex": ["00" * 16],
    })  # fmt: skip
    try:
        HttpRequest.parse_array([method, target, headers, b""])  # type: ignore[list-item]
        accepted = True
    except MalformedMessage:
        accepted = False
    [said] = run([("seal_sealed_request", line)])
    assert said.startswith("ok message=" if accepted else "bad_request"), said[:100]


def test_texts_that_are_not_utf_8_are_not_sealed() -> None:
    shared: Line = {
        "sid": bytes(16),
        "c2s": bytes(32),
        "s2c": bytes(32),
        "epoch": 0,
        "fresh": 2,
        "sequence": 0,
        "offset_ms": 0,
        "now_ms": 5,
        "entropy": bytes(16),
        "body": b"",
    }
    wrong = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82")
    lines = [
        (
            "seal_sealed_request",
            {**shared, "headers": 1, "name0": "a", "value0": value, "method": "GET", "target": "/"},
        )
        for value in wrong
    ]
    lines += [
        ("seal_sealed_request", {**shared, "headers": 0, "method": "GET", "target": b"/" + value})
        for value in wrong
    ]
    assert run(lines) == ["bad_request"] * len(lines)
