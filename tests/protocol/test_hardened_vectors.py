"""The vectors of the hardened suites.

The JavaScript client runs the same files. ``RUNNERS`` has one function for each kind of test.
"""

from collections import Counter
from collections.abc import Callable

import make_hardened_vectors
import make_socket_vectors
import make_stream_vectors
import pytest
from hardened_reference import RSA_PAIRS
from peer import key_pair
from vector_files import Json, names_of_files, read_all, result_of, stale

from protocol.common import errors
from protocol.common.codec import parse_msgpack
from protocol.common.codes import Code, Entropy
from protocol.common.envelopes import Format
from protocol.common.errors import (
    CodeRefused,
    InvalidPublicKey,
    StaleTimestamp,
)
from protocol.common.messages import HttpRequest, HttpResponse
from protocol.common.primitives import RsaPrivateKey, RsaPublicKey
from protocol.common.typed_codes import read_code
from protocol.hardened.client_handshake import begin_login, begin_resumption
from protocol.hardened.client_session import (
    ClientSession,
    ClientTicket,
    ClockRefused,
    EpochRefused,
    OpenedStream,
    PendingMessage,
    seal_request,
)
from protocol.hardened.confirmation import Enrolment, Terms, confirm_login, confirm_resumption
from protocol.hardened.exporter import exported_value
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
from protocol.hardened.handshake_server import HandshakeServer
from protocol.hardened.key_schedule import EpochKeys, code_scalar
from protocol.hardened.message_server import (
    AcceptedMessage,
    ServerSession,
    StaleMessage,
    open_request,
)
from protocol.hardened.records import (
    ExchangeRecord,
    LoginRecord,
    SessionRecord,
    TicketChain,
    TicketRecord,
    ticket_hash,
)
from protocol.hardened.replay_window import ReplayWindow
from protocol.hardened.sealed_messages import Envelope, unwrap
from protocol.hardened.spake2 import (
    Blinding,
    Identities,
    admit_share,
    agree,
    client_secret,
    client_share,
    server_secret,
    server_share,
)
from protocol.hardened.suites import HARDENED_SUITES
from protocol.streams.bodies import BodyReader, BodyWriter, Head, ResponseReader
from protocol.streams.opening import SocketRequest, StreamRequest
from protocol.streams.records import (
    Direction,
    RecordReader,
    RecordType,
    RecordWriter,
    StreamKeys,
)
from protocol.streams.sockets import Closed, Fragment, Socket, SocketHead

FILES = [name for name in names_of_files() if name.startswith("hardened_")]
LOADED = read_all(FILES)
CHAIN_ID = b"chain of vectors"


def in_order(drawn: list[str]) -> Entropy:
    """Entropy that gives ``drawn``, each for the length that it has."""
    left = [bytes.fromhex(item) for item in drawn]

    def draw(length: int) -> bytes:
        following = left.pop(0)
        assert len(following) == length
        return following

    return draw


def wire(value: Json) -> tuple[Format, bytes]:
    if value["format"] == "json":
        return "json", value["text"].encode()
    return "msgpack", bytes.fromhex(value["hex"])


def as_wire(form: Format, data: bytes) -> Json:
    if form == "json":
        return {"format": form, "text": data.decode()}
    return {"format": form, "hex": data.hex()}


def pair_of(suite: str, side: str) -> RsaPrivateKey | None:
    return key_pair(RSA_PAIRS[side]) if HARDENED_SUITES[suite].wraps else None


def public_key_of(suite: str, side: str) -> RsaPublicKey | None:
    pair = pair_of(suite, side)
    return pair.public if pair else None


def session_keys(session: ClientSession | SessionRecord, resume: bytes | None) -> Json:
    return {
        "c2s_hex": session.c2s.hex(),
        "s2c_hex": session.s2c.hex(),
        "resume_hex": resume.hex() if resume else None,
        "export_hex": session.export.hex(),
    }


# --- handshakes ---------------------------------------------------------------------------------


def client_login(given: Json) -> Json:
    form, m1 = wire(given["M1"])
    draw = in_order(given["entropy_hex"])
    hello, greeting = begin_login(
        given["username"],
        given["realm"],
        draw,
        given["suites"],
        given["fresh"],
        given.get("device"),
    )
    awaited = greeting.open(ServerHello.parse(form, m1))
    share, pending = awaited.enter(Code(given["code"]), draw)
    message, confirmation = pending.open(
        ServerShare.parse(*wire(given["M3"])), public_key_of(given["suite"], "client")
    )
    session, ticket = confirmation.open(
        ServerConfirmation.parse(*wire(given["M5"])), given["now_ms"]
    )
    return {
        "M0": as_wire(form, hello.serialize(form)),
        "M2": as_wire(form, share.serialize(form)),
        "M4": as_wire(form, message.serialize(form)),
        **session_keys(session, ticket.secret if ticket else None),
        "ticket_hex": ticket.ticket.hex() if ticket else None,
        "offset_ms": session.offset_ms,
    }


def terms_of(given: Json) -> Terms:
    grant = given["grant"]
    ticket = grant["ticket_hex"]
    return Terms(
        grant["session_s"] * 1000,
        CHAIN_ID if ticket else b"",
        bytes.fromhex(ticket) if ticket else None,
        grant["ticket_s"] * 1000,
        pair_of(given["suite"], "server"),
    )


def enrolled(form: Format, name: str, enrolment: Enrolment) -> Json:
    ticket = enrolment.ticket
    return {
        name: as_wire(form, enrolment.accept(True).serialize(form)),
        **session_keys(enrolment.session, ticket.secret if ticket else None),
    }


def server_login(given: Json) -> Json:
    form, m0 = wire(given["M0"])
    draw = in_order(given["entropy_hex"])
    server = HandshakeServer(given["realm"], given["accepted"])
    invitation = server.greet(ClientHello.parse(form, m0), given["expires_s"], draw)
    login = invitation.for_code(Code(given["code"]))
    if not given.get("known", True):
        login = invitation.decoy_for_unknown_user(bytes)
    claimed = LoginRecord.parse(login.serialize()) if given.get("attempt", True) else None
    share, exchange = server.answer_share(ClientShare.parse(*wire(given["M2"])), claimed, draw)
    exchange = ExchangeRecord.parse(exchange.serialize())
    client = confirm_login(ClientConfirmation.parse(*wire(given["M4"])), exchange)
    return {
        "M1": as_wire(form, invitation.greeting.serialize(form)),
        "M3": as_wire(form, share.serialize(form)),
        **enrolled(form, "M5", client.enrol(terms_of(given), given["now_ms"])),
    }


def client_resumption(given: Json) -> Json:
    ticket = ClientTicket(
        bytes.fromhex(given["ticket_hex"]),
        given["suite"],
        given["username"],
        given["realm"],
        given["now_ms"] + 1,
        bytes.fromhex(given["secret_hex"]),
    )
    hello, pending = begin_resumption(ticket, in_order(given["entropy_hex"]), given["fresh"])
    form, r2 = wire(given["R2"])
    message, confirmation = pending.open(
        ResumptionServerHello.parse(form, r2), public_key_of(given["suite"], "client")
    )
    r4 = ServerConfirmation.parse(*wire(given["R4"]))
    session, successor = confirmation.open(r4, given["now_ms"])
    assert successor is not None
    return {
        "R1": as_wire(form, hello.serialize(form)),
        "R3": as_wire(form, message.serialize(form)),
        **session_keys(session, successor.secret),
        "successor_hex": successor.ticket.hex(),
    }


def server_resumption(given: Json) -> Json:
    form, r1 = wire(given["R1"])
    held = ticket_hash(bytes.fromhex(given["ticket_hex"]))
    stored = TicketRecord(
        held, CHAIN_ID, given["suite"], given["username"], bytes.fromhex(given["secret_hex"])
    )
    server = HandshakeServer(given["realm"])
    greeting, exchange = server.answer_resumption(
        ResumptionClientHello.parse(form, r1),
        TicketRecord.parse(stored.serialize()),
        chain_of(given),
        in_order(given["entropy_hex"]),
    )
    ticket = confirm_resumption(
        ClientConfirmation.parse(*wire(given["R3"])), ExchangeRecord.parse(exchange.serialize())
    )
    enrolment = ticket.redeem(terms_of(given), given["now_ms"])
    assert enrolment.chain is not None
    assert enrolment.chain.used == held
    return {
        "R2": as_wire(form, greeting.serialize(form)),
        **enrolled(form, "R4", enrolment),
    }


def chain_of(given: Json) -> TicketChain | None:
    chain = given["chain"]
    if chain is None:
        return None

    def hashed(ticket: str) -> bytes:
        return ticket_hash(bytes.fromhex(ticket)) if ticket else b""

    return TicketChain(
        CHAIN_ID,
        given["suite"],
        given["username"],
        chain["expires_ms"],
        b"session of before",
        hashed(chain["used_hex"]),
        hashed(chain["next_hex"]),
    )


# --- messages -----------------------------------------------------------------------------------


def decide(given: Json) -> AcceptedMessage | StaleMessage:
    """A request at the server, up to the decision on its claim."""
    stored, session = given["session"], None
    if stored["sid_hex"] is not None:
        wraps = HARDENED_SUITES[stored["suite"]].wraps
        record = SessionRecord(
            bytes.fromhex(stored["sid_hex"]),
            stored["suite"],
            "Ada",
            stored["fresh"],
            stored["expires_ms"],
            b"",
            stored["epoch"],
            bytes.fromhex(stored["c2s_hex"]),
            bytes.fromhex(stored["s2c_hex"]),
            bytes.fromhex(stored.get("previous_c2s_hex", "")),
            bytes.fromhex(stored.get("previous_s2c_hex", "")),
            stored.get("previous_until_ms", 0),
            key_pair("test-session").to_der() if wraps else b"",
            key_pair("test-client").public.to_der() if wraps else b"",
            stored.get("epoch_until_ms", given["now_ms"]),
            stored.get("extended", 0),
        )
        session = ServerSession.load(SessionRecord.parse(record.serialize()))
    envelope = Envelope.parse(*wire(given["message"]))
    opened = open_request(envelope, session, given["now_ms"], given["window_ms"])
    claim = opened.claim
    if claim.fresh == "clock":
        return opened.accept(claim.salt.hex() not in given["claimed_salts_hex"], given["now_ms"])
    window = given.get("window", {"top": 0, "seen": [0]})
    seen = sum(1 << window["top"] - value for value in window["seen"])
    claimed = ReplayWindow(window["top"], seen).claim(claim.value) is not None
    return opened.accept(claimed, given["now_ms"])


def open_sealed_request(given: Json) -> Json:
    """A request reaches the server; stale is an error here, a refusal in ``seal_sealed_answer``."""
    decided = decide(given)
    if isinstance(decided, StaleMessage):
        raise StaleTimestamp if decided.error == "stale_timestamp" else EpochRefused
    request = decided.http_request()
    return {
        "moved": decided.moved,
        "epoch": Envelope.parse(*wire(given["message"])).header.epoch,
        "request": [
            request.method,
            request.target,
            [list(header) for header in request.headers],
            request.body.hex(),
        ],
    }


def seal_sealed_answer(given: Json) -> Json:
    """The server answers a request: by ``response``, or by a refusal where it is stale."""
    decided, draw = decide(given), in_order(given["entropy_hex"])
    if isinstance(decided, StaleMessage):
        answer = decided.seal_refusal(given["now_ms"], draw)
    else:
        status, headers, body = given["response"]
        pairs = tuple((name, text) for name, text in headers)
        response = HttpResponse(status, pairs, bytes.fromhex(body))
        answer = decided.seal_response(response, given["now_ms"], draw)
    form, _ = wire(given["message"])
    return {"message": as_wire(form, answer.serialize(form))}


def seal_sealed_request(given: Json) -> Json:
    """The client writes a request."""
    kept = given["session"]
    session = ClientSession(
        bytes.fromhex(kept["sid_hex"]),
        "ecdh-gcm",
        "Ada",
        "",
        kept["fresh"],
        given["now_ms"] + 1,
        kept["offset_ms"],
        kept["epoch"],
        given["now_ms"],
        bytes.fromhex(kept["c2s_hex"]),
        bytes.fromhex(kept["s2c_hex"]),
        kept["sequence"],
    )
    method, target, headers, body = given["request"]
    pairs = tuple((name, text) for name, text in headers)
    request = HttpRequest(method, target, pairs, bytes.fromhex(body))
    envelope, _, after = seal_request(
        session, request, given["now_ms"], in_order(given["entropy_hex"])
    )
    assert after.sequence == kept["sequence"] + 1
    return {"message": as_wire(given["format"], envelope.serialize(given["format"]))}


def opened_answer(given: Json) -> HttpResponse:
    request = Envelope.parse(*wire(given["request"]))
    pending = PendingMessage(
        request,
        bytes.fromhex(given["keys"]["s2c_hex"]),
        pair_of(request.header.suite.name, "client"),
    )
    return pending.open(Envelope.parse(*wire(given["message"])), given["elapsed_ms"])


def open_sealed_response(given: Json) -> Json:
    """An answer reaches the client that sent ``request``."""
    response = opened_answer(given)
    headers = [list(header) for header in response.headers]
    return {"response": [response.status, headers, response.body.hex()]}


def open_refusal(given: Json) -> Json:
    """A refusal reaches the client: what it says, and whether the client may send again."""
    with pytest.raises(ClockRefused) as raised:
        opened_answer(given)
    return {"server_ms": raised.value.server_ms, "may_retry": raised.value.may_retry}


# --- streams ------------------------------------------------------------------------------------


def keys_of(given: Json) -> tuple[StreamKeys, Direction]:
    key = bytes.fromhex(given["key_hex"])
    direction = Direction.CLIENT if given["direction"] == "client" else Direction.SERVER
    return StreamKeys(bytes.fromhex(given["stream_hex"]), key, key), direction


def read_stream(given: Json) -> Json:
    """The reader of one direction gets chunks, and then the end."""
    keys, direction = keys_of(given)
    records = RecordReader(keys, direction, given["record_bytes"])
    reader = (
        BodyReader(records, given["length"])
        if direction is Direction.CLIENT
        else ResponseReader(records, is_bodiless=given.get("is_bodiless", False))
    )
    body = b""
    for chunk in given["chunks_hex"]:
        reader.feed(bytes.fromhex(chunk))
        body += b"".join(iter(reader.next, None))
    reader.end()
    output: Json = {"body_hex": body.hex(), "head": None, "request_verified": None}
    if isinstance(reader, ResponseReader):
        assert reader.head is not None
        output["head"] = parse_msgpack(reader.head.serialize())
        output["request_verified"] = reader.request_verified
    return output


def write_stream(given: Json) -> Json:
    keys, direction = keys_of(given)
    body = BodyWriter(RecordWriter(keys, direction, given["record_bytes"], 0))
    wrote = b""
    if given["head"] is not None:
        status, headers, (length,) = given["head"]
        wrote += body.head(Head(status, tuple(map(tuple, headers)), length), 0)
    now_ms = 0
    for piece, now_ms in zip(given["pieces_hex"], given["at_ms"], strict=True):
        wrote += body.data(bytes.fromhex(piece), now_ms)
    wrote += body.final(now_ms, request_verified=given["request_verified"])
    return {"records_hex": wrote.hex()}


def open_stream_grant(given: Json) -> Json:
    """A grant reaches the client that sent ``request``."""
    request = Envelope.parse(*wire(given["request"]))
    key = pair_of(request.header.suite.name, "client")
    s2c = bytes.fromhex(given["keys"]["s2c_hex"])
    pending = PendingMessage(request, s2c, key, takes_stream=given["takes_stream"])
    received = pending.receive(Envelope.parse(*wire(given["message"])))
    opened = received.open(unwrap(key, received.wrapped), 0)
    assert isinstance(opened, OpenedStream)
    return {
        "stream_hex": opened.keys.stream_id.hex(),
        "client_key_hex": opened.keys.client.hex(),
        "server_key_hex": opened.keys.server.hex(),
        "record_bytes": opened.record_bytes,
    }


def stream_response_key(given: Json) -> Json:
    server = bytes.fromhex(given["server_key_hex"])
    keys = StreamKeys(bytes(16), bytes(32), server).salted(bytes.fromhex(given["salt_hex"]))
    return {"server_key_hex": keys.server.hex()}


def parse_stream_request(given: Json) -> Json:
    request = StreamRequest.parse(bytes.fromhex(given["plaintext_hex"]))
    return {"request": parse_msgpack(request.serialize())}


# --- sockets ------------------------------------------------------------------------------------


def read_socket(given: Json) -> Json:
    """One end gets the messages of the other, and then the end of the connection."""
    keys, direction = keys_of(given)
    of_server = direction is Direction.SERVER
    own = Direction.CLIENT if of_server else Direction.SERVER
    limit = given["record_bytes"]
    writer, reader = RecordWriter(keys, own, limit, 0), RecordReader(keys, direction, limit)
    socket = Socket(writer, reader, awaits_head=of_server)
    events: list[list[str | int | bool]] = []
    for message in given["messages_hex"]:
        socket.feed(bytes.fromhex(message))
        for event in iter(socket.next, None):
            if isinstance(event, Closed):
                events.append(["close", event.code, event.reason])
            elif isinstance(event, Fragment):
                events.append([event.type.name.lower(), event.data.hex(), event.is_last])
    socket.end()
    head = None if socket.head is None else parse_msgpack(socket.head.serialize())
    return {"events": events, "head": head}


def write_socket(given: Json) -> Json:
    keys, direction = keys_of(given)
    is_server = direction is Direction.SERVER
    other = Direction.CLIENT if is_server else Direction.SERVER
    limit = given["record_bytes"]
    writer, reader = RecordWriter(keys, direction, limit, 0), RecordReader(keys, other, limit)
    socket = Socket(writer, reader, awaits_head=not is_server)
    wrote = b""
    if given["head"] is not None:
        headers, protocol = given["head"]
        head = SocketHead(tuple(map(tuple, headers)), protocol[0] if protocol else None)
        wrote += socket.accept(head, 0)
    socket.taken(given["taken"])
    for name, data in given["messages"]:
        socket.send(RecordType[name.upper()], bytes.fromhex(data))
    socket.close(*given["close"])
    while sent := socket.outgoing(0):
        wrote += sent
    return {"records_hex": wrote.hex()}


def parse_socket_request(given: Json) -> Json:
    request = SocketRequest.parse(bytes.fromhex(given["plaintext_hex"]))
    return {"request": parse_msgpack(request.serialize())}


# --- parts --------------------------------------------------------------------------------------


def spake2(given: Json) -> Json:
    w, x, y = (int(given[name], 16) for name in ("w_hex", "x_hex", "y_hex"))
    blinding = Blinding.parse(Blinding.of(w).serialize())
    p_a, p_b = client_share(blinding, x), server_share(blinding, y)
    at_server, at_client = admit_share(p_a), admit_share(p_b)
    assert at_server is not None
    assert at_client is not None
    secret = server_secret(blinding, y, at_server)
    assert secret is not None
    assert secret == client_secret(blinding, x, at_client)
    who = Identities(given["idA"].encode(), given["idB"].encode())
    agreed = agree(who, p_a, p_b, secret, w, b"")
    return {
        "pA_hex": p_a.hex(),
        "pB_hex": p_b.hex(),
        "K_hex": secret.hex(),
        "Ke_hex": agreed.shared.hex(),
        "cA_hex": agreed.confirm_client.hex(),
        "cB_hex": agreed.confirm_server.hex(),
    }


def spake2_share(given: Json) -> Json:
    share = admit_share(bytes.fromhex(given["share_hex"]))
    if share is None:
        raise InvalidPublicKey
    return {"share_hex": share.encode().hex()}


def run_code_scalar(given: Json) -> Json:
    code = read_code(given["typed"])
    if not isinstance(code, Code):
        raise CodeRefused
    sid, sn = bytes.fromhex(given["sid_hex"]), bytes.fromhex(given["sn_hex"])
    w = code_scalar(code.text, HARDENED_SUITES[given["suite"]], given["username"], sid, sn)
    return {"w_hex": f"{w:064x}"}


def rekey(given: Json) -> Json:
    keys = (bytes.fromhex(given[name]) for name in ("c2s_hex", "s2c_hex"))
    following = EpochKeys(HARDENED_SUITES[given["suite"]], 0, *keys).next()
    return {"c2s_hex": following.c2s.hex(), "s2c_hex": following.s2c.hex()}


def export(given: Json) -> Json:
    secret, context = (bytes.fromhex(given[name]) for name in ("export_hex", "context_hex"))
    suite = HARDENED_SUITES[given["suite"]]
    value = exported_value(suite, secret, given["label"], context, given["length"])
    return {"value_hex": value.hex()}


def window(given: Json) -> Json:
    state, taken = ReplayWindow(), []
    for value in given["values"]:
        claimed = state.claim(value)
        taken.append(claimed is not None)
        state = ReplayWindow.parse((claimed or state).serialize())
    return {"taken": taken}


def run_parse_msgpack(given: Json) -> Json:
    return {"value": parse_msgpack(bytes.fromhex(given["hex"]))}


RUNNERS: dict[str, Callable[[Json], Json]] = {
    "client_login": client_login,
    "server_login": server_login,
    "client_resumption": client_resumption,
    "server_resumption": server_resumption,
    "open_sealed_request": open_sealed_request,
    "seal_sealed_answer": seal_sealed_answer,
    "seal_sealed_request": seal_sealed_request,
    "open_sealed_response": open_sealed_response,
    "open_refusal": open_refusal,
    "read_stream": read_stream,
    "write_stream": write_stream,
    "open_stream_grant": open_stream_grant,
    "parse_stream_request": parse_stream_request,
    "read_socket": read_socket,
    "write_socket": write_socket,
    "parse_socket_request": parse_socket_request,
    "stream_response_key": stream_response_key,
    "spake2": spake2,
    "spake2_share": spake2_share,
    "code_scalar": run_code_scalar,
    "rekey": rekey,
    "export": export,
    "window": window,
    "parse_msgpack": run_parse_msgpack,
}


@pytest.mark.parametrize("name", LOADED)
def test_vector(name: str) -> None:
    case = LOADED[name]
    run = RUNNERS[case["kind"]]
    assert result_of(lambda: run(case["input"])) == (case["expect"], case.get("output"))


def test_the_files_are_what_the_generator_writes() -> None:
    makers = (make_hardened_vectors, make_stream_vectors, make_socket_vectors)
    made = {name: subject for maker in makers for name, subject in maker.subjects().items()}
    assert set(made) == set(FILES)
    assert stale(made) == []


def test_every_case_is_well_formed() -> None:
    for name, case in LOADED.items():
        assert set(case) <= {"name", "comment", "kind", "suite", "input", "expect", "output"}
        assert (case["expect"] == "ok") == ("output" in case) == name.endswith("-ok")
    assert {case["kind"] for case in LOADED.values()} == set(RUNNERS)


def test_failures_outnumber_successes() -> None:
    counts = Counter(case["expect"] == "ok" for case in LOADED.values())
    assert counts[False] > 2 * counts[True]


def test_every_error_of_the_hardened_suites_has_a_vector() -> None:
    caused: set[type[errors.RemoteProtocolError]] = {
        errors.MalformedMessage,
        errors.UnsupportedSuite,
        errors.DecryptionFailed,
        errors.StaleTimestamp,
        errors.ReplayedNonce,
        errors.CodeRefused,
        errors.TicketRefused,
        errors.TicketReuseDetected,
        errors.InvalidPublicKey,
        errors.BrokenStream,
        errors.AbortedStream,
    }
    assert {kind.code for kind in caused} <= {case["expect"] for case in LOADED.values()}
