"""The CDDL of PROTOCOL.md is one grammar, and it accepts the messages that the parsers accept."""

from typing import Any

import pytest
from grammar import assert_they_agree, is_valid, msgpack_of
from vector_files import read_all

from protocol.common.codec import parse_json_object, parse_msgpack
from protocol.common.errors import CodeRefused
from protocol.common.messages import (
    AuthenticateRequest,
    FieldNames,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
    SessionGrant,
    SessionRequest,
)
from protocol.hardened.client_confirmation import PendingConfirmation, Subject
from protocol.hardened.handshake_messages import (
    ClientConfirmation,
    ClientHello,
    ClientShare,
    ResumptionClientHello,
    ResumptionServerHello,
    ServerConfirmation,
    ServerHello,
    ServerShare,
)
from protocol.hardened.key_schedule import Handshake
from protocol.hardened.sealed_messages import Envelope, Header, Kind
from protocol.hardened.suites import ECDH_GCM, RSA_GCM
from protocol.streams.opening import SocketRequest
from protocol.streams.sockets import SocketHead

HARDENED_MESSAGES: dict[str, Any] = {
    "ClientHello": ClientHello,
    "ServerHello": ServerHello,
    "ClientShare": ClientShare,
    "ServerShare": ServerShare,
    "ClientConfirmation": ClientConfirmation,
    "ServerConfirmation": ServerConfirmation,
    "ResumptionClientHello": ResumptionClientHello,
    "ResumptionServerHello": ResumptionServerHello,
    "Envelope": Envelope,
}
CLASSIC_MESSAGES: dict[str, Any] = {
    "SessionRequest": SessionRequest,
    "SessionGrant": SessionGrant,
    "AuthenticateRequest": AuthenticateRequest,
    "SealedMessage": SealedMessage,
    "SealedRequest": SealedRequest,
}
VECTOR_NAMES = {
    "M0": "ClientHello",
    "M1": "ServerHello",
    "M2": "ClientShare",
    "M3": "ServerShare",
    "M4": "ClientConfirmation",
    "M5": "ServerConfirmation",
    "R1": "ResumptionClientHello",
    "R2": "ResumptionServerHello",
    "R3": "ClientConfirmation",
    "R4": "ServerConfirmation",
    "message": "Envelope",
}


def members_of(name: str, wire: dict[str, str]) -> Any:
    """A handshake message of the vectors, in msgpack."""
    form = wire["format"]
    data = wire["text"].encode() if form == "json" else bytes.fromhex(wire["hex"])
    message = HARDENED_MESSAGES[name].parse(form, data)
    return parse_msgpack(message.serialize("msgpack"))


def test_the_messages_of_the_vectors_are_valid() -> None:
    tests = read_all(
        [
            *("hardened_client_logins", "hardened_server_logins", "hardened_requests"),
            *("hardened_client_resumptions", "hardened_server_resumptions", "hardened_responses"),
        ]
    )
    seen = set()
    for test in tests.values():
        if test["expect"] != "ok":
            continue
        for key, wire in [*test["input"].items(), *test["output"].items()]:
            if key in VECTOR_NAMES:
                name = VECTOR_NAMES[key]
                seen.add(name)
                assert is_valid(name, members_of(name, wire)), test["name"]
    assert seen == set(HARDENED_MESSAGES)


@pytest.mark.parametrize("name", HARDENED_MESSAGES)
def test_hardened_messages(name: str) -> None:
    sid, nonce, point, proof = b"s" * 16, b"n" * 32, b"\4" * 65, b"c" * 32
    header = Header(RSA_GCM, Kind.REQUEST, 0, sid, "clock", 0)
    messages: dict[str, Any] = {
        "ClientHello": ClientHello(1, "ada", ("ecdh-gcm", "rsa-gcm"), "clock", nonce),
        "ServerHello": ServerHello(sid, "ecdh-gcm", nonce, 600),
        "ClientShare": ClientShare(sid, point),
        "ServerShare": ServerShare(point),
        "ClientConfirmation": ClientConfirmation(sid, proof, bytes(4096)),
        "ServerConfirmation": ServerConfirmation(proof, bytes(4096)),
        "ResumptionClientHello": ResumptionClientHello(
            1, b"t" * 16, "ecdh-gcm", "counter", nonce, point
        ),
        "ResumptionServerHello": ResumptionServerHello(sid, nonce, point),
        "Envelope": Envelope(header.serialize(), header, b"s" * 16, b"w" * 256, b"s" * 17),
    }
    members: Any = parse_msgpack(messages[name].serialize("msgpack"))
    kind = HARDENED_MESSAGES[name]

    def parse(value: Any) -> object:
        return kind.parse("msgpack", msgpack_of(value))

    if name == "Envelope":
        # The grammar cannot express that the suite in the header requires `wrapped`, the content
        # of a header, and that `sealed` has at least 16 bytes.
        assert is_valid(name, members)
        assert members.keys() == {"header", "salt", "wrapped", "sealed"}
        return
    # The validator accepts a text as bytes if their length is a range.
    assert_they_agree(name, parse, members, beyond=["box"])


def test_boxes() -> None:
    handshake = Handshake(ECDH_GCM, b"t" * 32, b"k" * 16, b"a" * 32, b"b" * 32)

    def parse(value: Any) -> object:
        box = handshake.seal_server_box(b"", msgpack_of(value))
        subject = Subject("ada", "certless", "clock")
        pending = PendingConfirmation(subject, b"s" * 16, handshake, b"", CodeRefused)
        return pending.open(ServerConfirmation(b"b" * 32, box), 0)

    without = {"time_ms": 1_800_000_000_000, "session_s": 3600}
    assert_they_agree("ServerBox", parse, without)
    ticket = {**without, "ticket": b"t" * 16, "ticket_s": 60}
    assert_they_agree("ServerBox", parse, ticket, beyond=["ticket", "ticket_s"])
    assert is_valid("ServerBox", {**without, "public_key": b"key"})
    assert is_valid("ClientBox", {"public_key": b"key"})
    assert not is_valid("ClientBox", {"public_key": "key"})
    assert not is_valid("ClientBox", {})


def test_plaintexts() -> None:
    fields = [["accept", "*/*"], ["x-a", "b"]]
    request, response = ["GET", "/", fields, b"body"], [200, fields, b"body"]
    assert_they_agree("Request", HttpRequest.parse_array, request, beyond="012")
    assert_they_agree("Response", HttpResponse.parse_array, response, beyond="1")
    refusal = {"error": "stale_epoch", "time_ms": 1, "window_ms": 60_000}
    assert is_valid("Refusal", refusal)
    assert not is_valid("Refusal", {**refusal, "error": "rejected"})
    assert not is_valid("Refusal", {**refusal, "other": 1})


def test_sockets() -> None:
    fields = [["accept", "*/*"], ["x-a", "b"]]
    request, head = ["/", fields, ["chat.v2", "chat.v1"], 4096], [fields, ["chat.v2"]]
    for rule, kind, value in (
        ("SocketRequest", SocketRequest, request),
        ("SocketHead", SocketHead, head),
    ):
        assert is_valid(rule, value)
        assert parse_msgpack(kind.parse(msgpack_of(value)).serialize()) == value
        assert not is_valid(rule, value[:-1])
        for at in range(len(value)):
            assert not is_valid(rule, [*value[:at], {}, *value[at + 1 :]])
    assert is_valid("SocketHead", [[], []])
    assert not is_valid("SocketRequest", [*request[:3], 4095])


@pytest.mark.parametrize("name", CLASSIC_MESSAGES)
def test_classic_messages(name: str) -> None:
    kind = CLASSIC_MESSAGES[name]
    members = {"username": "ada", "token": "t", "key": "k", "payload": "p", "iv": "i"}
    value = kind.parse(members, FieldNames()).serialize(FieldNames())
    # The validator lets `* tstr => any` match a member that has a rule of its own.
    assert_they_agree(name, lambda value: kind.parse(value, FieldNames()), value, beyond=["iv"])


def test_payloads_of_the_vectors_are_valid() -> None:
    ok = [test for test in read_all(["http_requests"]).values() if test["expect"] == "ok"]
    assert ok
    for test in ok:
        whole = {"request": test["input"]["request"], "timestamp": 1, "nonce": "n"}
        assert is_valid("WholeRequest", whole), test["name"]
    assert is_valid("LoginPayload", {"publicKey": "pem", "timestamp": 1.5, "nonce": "n"})
    assert is_valid("SessionKey", {"publicKey": "pem"})
    assert is_valid("Error", parse_json_object(b'{"error":"rejected","message":"no"}'))
    response = {"status": 200, "headers": [["a", "b"]], "body": "x"}
    assert is_valid("WholeResponse", {"timestamp": 1, "nonce": "n", "response": response})
