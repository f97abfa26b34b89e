"""PROTOCOL.md matches the code: its tables are compared."""

import re
from dataclasses import fields
from enum import Enum
from types import ModuleType

import documents
import make_worked_exchange
import pytest
from hardened_reference import Grant, Login, exported, msgpack
from hardened_states import HARDENED_TRANSITIONS
from processes import ROOT

import gateway.stores
from gateway.pipeline import classic_routes, responses, socket_routes, stream_routes
from gateway.sessions import streams as sessions_streams
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
    exporter,
    handshake_messages,
    key_schedule,
    records,
    replay_window,
    sealed_messages,
)
from protocol.hardened import (
    suites as hardened_suites,
)
from protocol.hardened.sealed_messages import Header, Kind
from protocol.hardened.suites import FRESHNESS, HARDENED_SUITES
from protocol.streams import bodies, opening, sockets
from protocol.streams import records as stream_records
from vault.core.account import EXPORT_LABEL

SPEC = documents.read("spec/PROTOCOL.md")
STORAGE = documents.read("spec/STORAGE.md")

# The name of a constant in PROTOCOL.md, its module, and its name there.
CONSTANTS: dict[str, dict[str, tuple[ModuleType, str]]] = {
    "5.8.1 All suites": {
        "window, unless set": (acceptance, "WINDOW_MS"),
        "lifetime of a code": (codes, "CODE_LIFETIME_MS"),
        "attempts of a code": (codes, "CODE_ATTEMPTS"),
        "mails to a user, unless set": (gateway.stores, "MAIL_LIMIT"),
        "time in which these mails count, unless set": (gateway.stores, "MAIL_WINDOW_MS"),
        "longest text that is searched for a code": (typed_codes, "MAX_PASTED_CHARS"),
        "longest username": (codes, "MAX_USERNAME_CHARS"),
        "longest key in PEM": (rsa_keys, "MAX_PEM_CHARS"),
        "shortest RSA key": (rsa_keys, "MIN_BITS"),
        "longest RSA key": (rsa_keys, "MAX_BITS"),
        "RSA exponent": (rsa_keys, "EXPONENT"),
        "steps of Fermat's method": (rsa_keys, "FERMAT_STEPS"),
        "RSA key of a session": (primitives, "SESSION_KEY_BITS"),
        "JSON: nesting depth": (codec, "MAX_DEPTH"),
        "JSON: longest integer": (codec, "MAX_INTEGER_CHARS"),
        "JSON: commas and opening brackets": (codec, "MAX_JSON_MARKS"),
        "JSON outside a seal: commas and opening brackets": (codec, "MAX_ENVELOPE_MARKS"),
        "longest message that begins or ends a session": (envelopes, "MAX_LOGIN_BYTES"),
        "longest method": (messages, "MAX_METHOD_CHARS"),
        "longest target": (messages, "MAX_TARGET_CHARS"),
        "most headers": (messages, "MAX_HEADERS"),
        "names and values of all headers": (messages, "MAX_HEADER_CHARS"),
    },
    "5.8.2 Hardened suites": {
        "version": (hardened_suites, "VERSION"),
        "length of a code": (codes, "HARDENED_CODE_CHARS"),
        "iterations of PBKDF2": (key_schedule, "CODE_ITERATIONS"),
        "msgpack: nesting depth": (codec, "MAX_MSGPACK_DEPTH"),
        "msgpack: items in an array or a map": (codec, "MAX_MSGPACK_ITEMS"),
        "msgpack: arrays and maps": (codec, "MAX_MSGPACK_PARTS"),
        "longest text outside a seal": (envelopes, "MAX_TEXT_CHARS"),
        "nonce of a hello": (handshake_messages, "NONCE_BYTES"),
        "ticket": (handshake_messages, "TICKET_BYTES"),
        "point": (primitives, "POINT_BYTES"),
        "confirmation": (handshake_messages, "CONFIRMATION_BYTES"),
        "longest box": (handshake_messages, "MAX_BOX_BYTES"),
        "salt": (sealed_messages, "SALT_BYTES"),
        "cek": (sealed_messages, "CEK_BYTES"),
        "shortest wrapped key": (sealed_messages, "MIN_WRAPPED_BYTES"),
        "longest wrapped key": (sealed_messages, "MAX_WRAPPED_BYTES"),
        "header of a request": (sealed_messages, "REQUEST_HEADER_BYTES"),
        "header of an answer": (sealed_messages, "RESPONSE_HEADER_BYTES"),
        "highest value of a header": (replay_window, "MAX_FRESH_VALUE"),
        "counter: a value is refused if it is at least this far below the highest claimed value": (
            replay_window,
            "COUNTER_WINDOW",
        ),
        "time after which a client begins the next epoch": (client_session, "EPOCH_LIFETIME_MS"),
        "time for which the previous epoch is accepted": (records, "EPOCH_OVERLAP_MS"),
        "time after which an epoch ends at the server": (records, "MAX_EPOCH_MS"),
        "margin of clock correction": (client_session, "CLOCK_MARGIN_MS"),
        "longest session": (handshake_messages, "MAX_SESSION_MS"),
        "lifetime of a ticket, unless set": (confirmation, "TICKET_LIFETIME_MS"),
        "shelf life of a ticket from an operator, unless set": (confirmation, "SHELF_LIFE_MS"),
        "longest name of a device": (handshake_messages, "MAX_DEVICE_CHARS"),
        "longest lifetime of a code from an operator": (codes, "MAX_ISSUED_CODE_MS"),
        "longest exporter label": (exporter, "MAX_LABEL_CHARS"),
        "longest exporter context": (exporter, "MAX_CONTEXT_BYTES"),
        "shortest exported value": (exporter, "MIN_EXPORTED_BYTES"),
        "longest exported value": (exporter, "MAX_EXPORTED_BYTES"),
        "id of a stream": (stream_records, "STREAM_ID_BYTES"),
        "response salt of a stream": (stream_records, "RESPONSE_SALT_BYTES"),
        "shortest record": (stream_records, "MIN_RECORD_BYTES"),
        "lowest record limit": (stream_records, "LEAST_RECORD_BYTES"),
        "highest record limit": (stream_records, "MOST_RECORD_BYTES"),
        "longest head of a streamed response": (bodies, "MAX_HEAD_BYTES"),
        "records under one stream key after which REKEY follows": (
            stream_records,
            "MAX_KEY_RECORDS",
        ),
        "bytes under one stream key after which REKEY follows": (stream_records, "MAX_KEY_BYTES"),
        "age at which a stream key is renewed": (stream_records, "MAX_KEY_MS"),
        "time in which the body of a granted stream is accepted": (
            sessions_streams,
            "BODY_WAIT_MS",
        ),
        "longest socket request, in its envelope": (sockets, "MAX_OPENING_BYTES"),
        "longest message of the connection of a socket": (sockets, "MAX_SOCKET_MESSAGE_BYTES"),
        "most subprotocols": (opening, "MAX_PROTOCOLS"),
        "longest subprotocol": (opening, "MAX_PROTOCOL_CHARS"),
        "credit at the beginning": (sockets, "INITIAL_CREDIT_BYTES"),
        "sum of taken records at which a receiver must send CREDIT": (sockets, "CREDIT_STEP_BYTES"),
        "longest reason of a close": (sockets, "MAX_REASON_BYTES"),
        "close code for an end without a verified FINAL": (sockets, "NOT_CLOSED"),
        "close code for a close without a code": (sockets, "NO_CODE"),
    },
    "5.8.3 Classic suite": {
        "length of a code": (codes, "CLASSIC_CODE_CHARS"),
        "least bits of a code": (codes, "CLASSIC_MIN_CODE_BITS"),
        "least bits of a code for a password": (codes, "PASSWORD_MIN_CODE_BITS"),
        "passphrases of a session": (freshness, "MAX_MESSAGES"),
        "longest nonce": (freshness, "MAX_NONCE_CHARS"),
        "tries of a passphrase": (freshness, "PASSPHRASE_ATTEMPTS"),
        "tag of a claim": (freshness, "TAG_BYTES"),
        "passphrase": (suites, "PASSPHRASE_CHARS"),
        "IV": (suites, "IV_CHARS"),
        "IV in GCM": (suites, "GCM_IV_CHARS"),
    },
}
UNITS = {"MS": "ms", "BYTES": "bytes", "BITS": "bits", "CHARS": "characters"}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading of PROTOCOL.md."""
    return documents.table(SPEC, heading)


def tables_of(heading: str) -> list[list[list[str]]]:
    """The rows of every table of a section, without the headings."""
    level, below = re.split(rf"^(#+) {re.escape(heading)}$", SPEC, maxsplit=1, flags=re.M)[1:]
    section = re.split(rf"^#{{2,{len(level)}}} ", below, maxsplit=1, flags=re.M)[0]
    return [rows[1:] for rows in documents.tables(section)]


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [("3.7.1 States", TRANSITIONS), ("2.9.1 States", HARDENED_TRANSITIONS)],
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
    rows = table("3.2.2 The published dialects")
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
    assert table("3.2.4 Names of members") == [
        [field.name, getattr(FieldNames(), field.name)] for field in fields(FieldNames)
    ]
    hardened, classic = tables_of("5.5 Routes")
    assert [row[:2] for row in classic] == [
        [field.name, getattr(Paths(), field.name)] for field in fields(Paths)
    ]
    source = (ROOT / "gateway/pipeline/hardened_routes.py").read_text("utf-8")
    routes = set(re.findall(r'"(/session/(?:hello|share|confirm|resume)[a-z/]*)"', source))
    stream = stream_routes.STREAM
    others = {Paths().message, stream, stream + "/{id}", socket_routes.SOCKET}
    assert {row[1] for row in hardened} == routes | others


@pytest.mark.parametrize("heading", CONSTANTS)
def test_constants(heading: str) -> None:
    named = CONSTANTS[heading]
    rows = table(heading)
    assert [row[0] for row in rows] == list(named)
    for name, value, unit in rows:
        module, constant = named[name]
        assert int(value) == getattr(module, constant), name
        assert unit == UNITS.get(constant.rpartition("_")[2], ""), name


def test_a_constant_has_one_value_in_all_modules() -> None:
    modules = {module for named in CONSTANTS.values() for module, _ in named.values()}
    for named in CONSTANTS.values():
        for module, name in named.values():
            values = {getattr(other, name) for other in modules if hasattr(other, name)}
            assert values == {getattr(module, name)}, name


def test_registered_numbers() -> None:
    assert table("5.1 Suites") == [
        [suite.name, str(suite.number), "yes" if suite.wraps else "no"]
        for suite in HARDENED_SUITES.values()
    ]
    assert [row[:2] for row in table("5.2 Freshness kinds")] == [
        [name, str(number)] for name, number in FRESHNESS.items()
    ]
    assert [row[:2] for row in table("5.3 Message kinds")] == [
        [kind.name.lower().replace("_", " "), str(kind.value)] for kind in Kind
    ]


def test_labels() -> None:
    """The purposes in the tables are the purposes of the key schedule."""
    modules = ("key_schedule", "exporter")
    source = "".join((ROOT / f"protocol/hardened/{name}.py").read_text("utf-8") for name in modules)

    def used(function: str) -> set[str]:
        found = re.findall(rf'\b{function}\((?:self\.)?(?:suite, )?\s*f?"([a-z0-9 {{}}]+)"', source)
        return {
            name.replace("{direction}", direction) for name in found for direction in ("c2s", "s2c")
        }

    hashes, keys = tables_of("5.6 Labels")
    assert used("transcript") == {row[0] for row in hashes}
    assert used("info") == {row[0] for row in keys}


def test_exporter_labels() -> None:
    assert [row[0] for row in table("5.9 Exporter labels")] == [EXPORT_LABEL]


def test_header_fields() -> None:
    assert [row[0] for row in table("5.7 Header fields")] == [
        classic_routes.INNER_CONTENT_TYPE,
        classic_routes.INNER_CONTENT_ENCODING,
        opening.OFFER_FIELD.title(),
        classic_routes.INNER_STATUS,
    ]


def test_records() -> None:
    kinds: list[type[records.Record]] = [
        records.LoginRecord,
        records.ExchangeRecord,
        sessions_streams.GrantedStream,
        records.SessionRecord,
        records.TicketRecord,
        records.TicketChain,
    ]
    rows = [row for row in documents.table(STORAGE, "1. Records") if row[1]]
    assert [(row[0].split()[0], row[1]) for row in rows] == [
        (kind.__name__, kind.KIND) for kind in kinds
    ]
    assert f"the version of the record format ({records.RECORD_VERSION})" in STORAGE


def test_the_header_lies_where_its_table_says() -> None:
    """A header with different bytes in each field, split by the table."""
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
        rows = table("2.6.1 Header")
        data, end = header.serialize(), 0
        assert [row[2] for row in rows] == list(values)
        for offset, size, field, _ in rows:
            assert int(offset) == end, field
            end += int(size)
            assert data[int(offset) : end] == values[field], field
        assert end == len(data)
        assert Header.parse(data) == header


def _remote_errors() -> list[type[errors.RemoteProtocolError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.RemoteProtocolError)
        # An abort is sent inside a stream, so it has no status.
        and kind not in (errors.RemoteProtocolError, errors.AbortedStream)
    ]


def test_errors() -> None:
    spoken = {row[0]: int(row[1]) for row in table("5.4 Error codes")}
    for kind in _remote_errors():
        status, code, _ = responses.status_and_text(kind())
        assert spoken[code] == status
        if code == "rejected" and kind is not errors.RejectedMessage:
            assert f"`{kind.code}`" in SPEC


class _Example(Login):
    """The login of the worked exchange, computed without protocol/."""

    def draw(self, what: str, length: int) -> bytes:
        name = f"seed of {what}" if what in ("x", "y") else what
        return make_worked_exchange.random_bytes(name, length)


def test_the_worked_exchange_is_what_the_reference_computes() -> None:
    example = make_worked_exchange
    ticket = example.random_bytes("ticket", 16)
    login = _Example(
        username=example.USERNAME,
        realm=example.REALM,
        code=example.CODE,
        expires_s=example.EXPIRES_S,
        grant=Grant(time_ms=example.NOW_MS, session_s=example.SESSION_MS // 1000, ticket=ticket),
    )
    written = "".join(example.appendix().split())
    shares = [login.m2(), {"pB": login.p_b}]
    for message in (login.m0(), login.m1(), *shares, login.shake.client(), login.shake.server()):
        assert msgpack(message).hex() in written
    session = login.shake.session
    value = exported("ecdh-gcm", session.export, example.LABEL, example.CONTEXT, 32)
    for secret in (login.shake.th, session.c2s, session.s2c, session.resume, session.export, value):
        assert secret.hex() in written


def test_the_worked_exchange_is_what_the_code_computes() -> None:
    _, _, rest = SPEC.partition(make_worked_exchange.HEADING)
    written = rest[: rest.index(make_worked_exchange.NEXT_HEADING)]
    assert written == make_worked_exchange.appendix()
