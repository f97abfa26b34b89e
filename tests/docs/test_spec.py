"""PROTOCOL.md says what the code does: its tables are read and compared."""

import re
from dataclasses import fields
from enum import Enum
from typing import Any

import documents
import pytest
from hardened_states import HARDENED_TRANSITIONS
from processes import ROOT

import gateway.stores
from gateway.pipeline import responses
from protocol.classic import freshness, suites
from protocol.classic.dialects import DEFAULT_DIALECT, DIALECTS, Paths
from protocol.classic.session import TRANSITIONS
from protocol.common import (
    acceptance,
    codec,
    codes,
    envelopes,
    errors,
    messages,
    primitives,
    rsa_keys,
    typed_codes,
)
from protocol.common.messages import FieldNames
from protocol.hardened import (
    client_session,
    confirmation,
    handshake_messages,
    key_schedule,
    records,
    replay_window,
    sealed_messages,
)
from protocol.hardened import (
    suites as hardened_suites,
)
from protocol.hardened.sealed_messages import Envelope, Header, Kind
from protocol.hardened.suites import FRESHNESS, HARDENED_SUITES

SPEC = documents.read("spec/PROTOCOL.md")


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading of PROTOCOL.md."""
    return documents.table(SPEC, heading)


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [("8.1 States", TRANSITIONS), ("21.1 States", HARDENED_TRANSITIONS)],
    ids=["classic", "hardened"],
)
def test_states(heading: str, transitions: dict[Enum, dict[Enum, Enum]]) -> None:
    spoken = {(row[0], row[1], row[2]) for row in table(heading)}
    coded = {
        (state.value, event.value, following.value)
        for state, events in transitions.items()
        for event, following in events.items()
    }
    assert spoken == coded


def test_dialects() -> None:
    rows = table("2.2 The published dialects")
    assert [row[0].removesuffix(" (default)") for row in rows] == list(DIALECTS)
    for name, aes, code, key, iv, padding, tag in rows:
        dialect = DIALECTS[name.removesuffix(" (default)")]
        assert (dialect.aes, dialect.code_passphrase) == (aes, code)
        assert (dialect.key_derivation, dialect.rsa_padding) == (key, padding)
        assert (iv == "derived") == (dialect.key_derivation == "evp-bytes-to-key")
        assert ("sent" in iv) == (dialect.aes == "gcm")
        assert tag == (dialect.tag if dialect.aes == "gcm" else "-")
        assert (dialect.encoding, dialect.timestamp) == ("base64", "ms")
        assert name.endswith(" (default)") == (dialect.name == DEFAULT_DIALECT)


def test_names_and_paths() -> None:
    assert table("2.4 Names of members") == [
        [field.name, getattr(FieldNames(), field.name)] for field in fields(FieldNames)
    ]
    assert table("2.5 Routes") == [
        [field.name, getattr(Paths(), field.name)] for field in fields(Paths)
    ]


@pytest.mark.parametrize("heading", ["11. Constants", "22. Limits"])
def test_constants(heading: str) -> None:
    rooms = (
        *(codec, codes, freshness, messages, primitives, rsa_keys, suites, gateway.stores),
        *(client_session, confirmation, replay_window, envelopes, handshake_messages),
        *(hardened_suites, key_schedule, records, sealed_messages, typed_codes, acceptance),
    )
    for name, value in table(heading):
        holders = [room for room in rooms if hasattr(room, name)]
        assert holders, name
        assert {getattr(room, name) for room in holders} == {int(value)}, name


def test_hardened_suites() -> None:
    assert table("14.1 Suites") == [
        [suite.name, str(suite.number), "yes" if suite.wraps else "no"]
        for suite in HARDENED_SUITES.values()
    ]


def test_the_header_lies_where_its_table_says() -> None:
    """A header of which every field has bytes of its own, cut up by the table."""
    suite, sid, digest, tag = HARDENED_SUITES["rsa-gcm"], b"s" * 16, b"w" * 32, b"t" * 16
    for fresh, number in FRESHNESS.items():
        header = Header(suite, Kind.RESPONSE, 0x01020304, sid, fresh, 0x1A1B1C1D1E1F10, digest, tag)
        values = {
            "magic": b"CG1",
            "suite": suite.number.to_bytes(2),
            "kind": b"\x02",
            "epoch": bytes.fromhex("01020304"),
            "sid": sid,
            "fresh": bytes([number]),
            "value": bytes.fromhex("001a1b1c1d1e1f10"),
            "wrapped": digest,
            "request_tag": tag,
        }
        rows = table("17.1 Header")
        data, end = header.serialize(), 0
        assert [row[2] for row in rows] == list(values)
        for offset, size, field, _ in rows:
            assert int(offset) == end, field
            end += int(size)
            assert data[int(offset) : end] == values[field], field
        assert end == len(data)
        assert Header.parse(data) == header


def test_members_of_hardened_messages() -> None:
    session_id, nonce, point, proof = b"s" * 16, b"n" * 32, b"\4" * 65, b"c" * 32
    written: dict[str, Any] = {
        "M0": handshake_messages.Hello(1, "ada", ("ecdh-gcm",), "clock", nonce),
        "M1": handshake_messages.Greeting(session_id, "ecdh-gcm", nonce, 600),
        "M2": handshake_messages.ClientShare(session_id, point),
        "M3": handshake_messages.ServerShare(point),
        "M4": handshake_messages.ClientConfirmation(session_id, proof, b"box"),
        "M5": handshake_messages.ServerConfirmation(proof, b"box"),
        "R1": handshake_messages.ResumptionHello(1, b"t" * 16, "ecdh-gcm", "clock", nonce, point),
        "R2": handshake_messages.ResumptionGreeting(session_id, nonce, point),
    }
    rows = [*table("15.2 Messages"), *table("19.1 Messages")]
    for name, message in written.items():
        members = codec.parse_msgpack(message.serialize("msgpack"))
        assert list(members) == [row[1] for row in rows if row[0] == name], name  # type: ignore[arg-type]
    header = Header(HARDENED_SUITES["rsa-gcm"], Kind.REQUEST, 0, session_id, "clock", 0)
    envelope = Envelope(header.serialize(), header, b"s" * 16, b"w" * 256, b"s" * 16)
    members = codec.parse_msgpack(envelope.serialize("msgpack"))
    assert list(members) == [row[0] for row in table("17.2 Envelope")]  # type: ignore[arg-type]


def _remote_errors() -> list[type[errors.RemoteProtocolError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.RemoteProtocolError)
        and kind is not errors.RemoteProtocolError
    ]


def test_errors() -> None:
    spoken = {row[0]: int(row[1]) for row in table("9. Errors")}
    for kind in _remote_errors():
        status, code, _ = responses.status_and_text(kind())
        assert spoken[code] == status
        if code == "rejected" and kind is not errors.RejectedMessage:
            assert f"`{kind.code}`" in SPEC


def test_every_section_that_the_code_names_exists() -> None:
    headings = set(re.findall(r"^#+ (\d+(?:\.\d+)?)", SPEC, re.MULTILINE))
    root = ROOT
    named = set()
    for source in [*root.glob("protocol/**/*.py"), *root.glob("gateway/**/*.py")]:
        named |= set(re.findall(r"PROTOCOL §(\d+(?:\.\d+)?)", source.read_text("utf-8")))
    assert named
    assert named <= headings
