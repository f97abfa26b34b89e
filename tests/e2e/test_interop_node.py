"""Node.js and this implementation understand each other, in every dialect and both ways.

``tests/support/node/classic_peer.mjs`` speaks the classic suite on Node's own crypto. Each dialect
here gets one process of it, which ends with the dialect's last test. Node is not optional: without
it nothing shows that the wire is the one that existing clients speak, so these tests fail.
"""

import base64
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives import serialization
from peer import sealed, sealed_http
from processes import ROOT

from protocol.classic.client_exchange import ClientExchange, ClientKeys
from protocol.classic.dialects import DIALECTS, Dialect, derive
from protocol.classic.exchange import ServerExchange, SessionKeys
from protocol.classic.suites import Classic
from protocol.common.acceptance import WINDOW_MS
from protocol.common.codec import JsonObject
from protocol.common.codes import Code
from protocol.common.errors import (
    DecryptionFailed,
    InvalidPublicKey,
    ReplayedNonce,
    StaleTimestamp,
)
from protocol.common.messages import (
    AuthenticateRequest,
    HttpRequest,
    HttpResponse,
    SealedMessage,
    SealedRequest,
)
from protocol.common.primitives import RsaPadding, RsaPrivateKey, evp_bytes_to_key
from protocol.common.rsa_keys import validate_public_key

PEER = ROOT / "tests" / "support" / "node" / "classic_peer.mjs"
# Since February 2024 a Node with OpenSSL 3.0 takes PKCS#1 v1.5 padding off only with this flag.
# Later ones, whose OpenSSL answers wrong padding with random bytes, need none and know none.
REVERT_FLAG = "--security-revert=CVE-2023-46809"

NOW_MS = 1_760_000_000_789
TOKEN = "00112233-4455-6677-8899-aabbccddeeff"
CODE = Code("0123456789ABCDEFGHJKMNPQRS")
PASSWORD = "correct horse å 🔑"

# The derived dialects change what a dialect leaves open; the peer takes the same changes.
CASES: dict[str, tuple[Dialect, dict[str, Any]]] = {
    **{name: (dialect, {}) for name, dialect in DIALECTS.items()},
    "article-2016-hex-s": (
        DIALECTS["article-2016"],
        {"encoding": "hex", "timestamp": "s", "names": {"public_key": "pubKey", "key": "pass"}},
    ),
    "sfet-2-iso8601": (DIALECTS["sfet-2"], {"timestamp": "iso8601"}),
    "sfet-3-s": (DIALECTS["sfet-3"], {"timestamp": "s"}),
    "sfet-4-gcm-hex-iso8601": (
        DIALECTS["sfet-4-gcm"],
        {"encoding": "hex", "timestamp": "iso8601"},
    ),
}

BODIES = {
    "utf-8": "Ett smörgåsbord å 🦊\n".encode(),
    "json": '{"item":"🍞","quantity":2}'.encode(),
    "empty": b"",
    "binary": bytes(range(256)),
    "1MiB-text": b"0123456789abcdef" * 65536,
    "1MiB-binary": bytes(range(255, -1, -1)) * 4096,
}
# What a client sends in place, and the bytes that it is answered.
IN_PLACE: dict[str, tuple[JsonObject, bytes]] = {
    "empty": ({}, b""),
    "text": ({"price": 2.5, "tags": ["å", None, True, {"🦊": []}]}, BODIES["utf-8"]),
    "binary": ({"image": base64.b64encode(BODIES["binary"]).decode()}, BODIES["binary"]),
    "1MiB": ({"text": BODIES["1MiB-text"].decode()}, BODIES["1MiB-binary"]),
}
HEADERS = (("Content-Type", "text/plain; charset=utf-8"), ("X-Row", "1"), ("X-Row", "2"))


class PeerRefused(Exception):
    """The Node program would not take what it was given."""


@dataclass(frozen=True, slots=True)
class NodePeer:
    """A running Node program and the suite that it speaks."""

    suite: Classic
    process: subprocess.Popen[str]

    def __call__(self, command: str, **arguments: object) -> dict[str, Any]:
        """The result of one command. Raises: PeerRefused."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = json.dumps({"command": command, **arguments}, ensure_ascii=False)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the Node program has ended"
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            raise PeerRefused(reply["error"])
        result: dict[str, Any] = reply["result"]
        return result


@cache
def node_command() -> tuple[str, ...]:
    """Node, with the flag that lets it take PKCS#1 v1.5 padding off, where that takes one."""
    program = shutil.which("node")
    if program is None:
        pytest.fail("Node.js is not on the PATH: interoperability cannot be shown without it")
    for flags in ((), (REVERT_FLAG,)):
        probe = [program, *flags, str(PEER), "--probe"]
        if subprocess.run(probe, capture_output=True, check=False, timeout=30).returncode == 0:
            return (program, *flags)
    return (program,)  # the peer then strips the padding by hand


@pytest.fixture(scope="module", params=CASES)
def node(request: pytest.FixtureRequest) -> Iterator[NodePeer]:
    """One Node program per dialect, ended when the dialect's last test is done."""
    base, changes = CASES[request.param]
    dialect = derive(request.param, base, changes)
    arguments = [*node_command(), str(PEER), base.name, json.dumps(changes)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        try:
            # Before it runs the program, Node announces the flag on standard output.
            assert "ready\n" in iter(process.stdout.readline, "")
            yield NodePeer(Classic(dialect), process)
            process.communicate(timeout=10)  # the end of its input ends the program
        finally:
            process.kill()
    assert process.returncode == 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """The RSA pairs of the Python side."""

    server: RsaPrivateKey
    client: RsaPrivateKey


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs(RsaPrivateKey.generate(), RsaPrivateKey.generate())


def server_of(suite: Classic, pairs: Pairs) -> ServerExchange:
    decoy = SessionKeys(pairs.client, pairs.client.public, bytes(32))
    return ServerExchange(suite, decoy, secrets.token_bytes)


# --- a client in Node, a server in Python -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeClient:
    """A Node client that has logged in to a Python server."""

    node: NodePeer
    private_pems: dict[str, str]
    server_pem: str
    server: ServerExchange
    keys: SessionKeys

    def seal(self, **arguments: object) -> tuple[SealedRequest, str]:
        """A message of the Node client, as the server parses it, and its nonce."""
        sealing = {"token": TOKEN, "public_key": self.server_pem, "now": NOW_MS, **arguments}
        reply = self.node("seal_request", **sealing)
        names = self.server.suite.dialect.names
        return SealedRequest.parse(reply["message"], names), reply["nonce"]

    def open(self, message: SealedMessage, form: str = "pkcs8", **arguments: object) -> Any:
        return self.node(
            "open_response",
            message=message.serialize(self.server.suite.dialect.names),
            private_key=self.private_pems[form],
            now=NOW_MS,
            **arguments,
        )


def log_in_node_client(node: NodePeer, pairs: Pairs, **arguments: object) -> NodeClient:
    names = node.suite.dialect.names
    server = server_of(node.suite, pairs)
    pems = node("generate_key")
    login = node(
        "seal_login",
        token=TOKEN,
        code=CODE.text,
        public_key=pems["spki"],
        password=PASSWORD,
        now=NOW_MS,
        **arguments,
    )
    message = AuthenticateRequest.parse(login["message"], names)
    assert message.token == TOKEN
    accepted = server.open_login(message, CODE).accept(NOW_MS)
    assert accepted.password == PASSWORD
    reply = accepted.seal_response(pairs.server.public, os.urandom)
    opened = node("open_login_reply", message=reply.serialize(names), private_key=pems["pkcs1"])
    assert opened["public_key"] == pairs.server.public.to_pem()
    keys = SessionKeys(pairs.server, accepted.client_key, bytes(32))
    return NodeClient(node, pems, opened["public_key"], server, keys)


@pytest.fixture(scope="module")
def node_client(node: NodePeer, pairs: Pairs) -> NodeClient:
    return log_in_node_client(node, pairs)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_node_client_sends_whole_requests(node_client: NodeClient, body: bytes) -> None:
    request = {
        "method": "POST",
        "path": "/orders?name=å 🦊".replace(" ", "%20"),
        "headers": HEADERS,
        "body": to_pipe(body),
    }
    message, nonce = node_client.seal(request=request)
    opened = node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)
    accepted = opened.accept(True)
    target = "/orders?name=%C3%A5%20%F0%9F%A6%8A"
    assert accepted.http_request() == HttpRequest("POST", target, HEADERS, body)

    response = HttpResponse(201, HEADERS, body)
    answer = sealed_http(accepted, response, NOW_MS)
    opened_answer = node_client.open(answer, nonce=nonce)["response"]
    assert opened_answer == {
        "status": 201,
        "headers": [list(pair) for pair in HEADERS],
        "body": to_pipe(body),
    }


@pytest.mark.parametrize(("fields", "body"), IN_PLACE.values(), ids=IN_PLACE)
def test_node_client_sends_fields_in_place(
    node_client: NodeClient, fields: JsonObject, body: bytes
) -> None:
    message, _ = node_client.seal(fields=fields)
    opened = node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)
    accepted = opened.accept(True)
    assert accepted.fields == fields
    answer = sealed(accepted, body)
    assert node_client.open(answer) == {"body": to_pipe(body)}


def test_node_client_may_leave_json_and_headers_as_objects(node_client: NodeClient) -> None:
    request = {
        "path": "/orders",
        "method": "put",
        "headers": {"X-Row": "1"},
        "body": {"item": "🍞"},
    }
    message, _ = node_client.seal(fields={node_client.server.suite.dialect.names.request: request})
    opened = node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)
    headers = (("X-Row", "1"), ("Content-Type", "application/json"))
    body = '{"item":"🍞"}'.encode()
    assert opened.accept(True).http_request() == HttpRequest("PUT", "/orders", headers, body)


@pytest.mark.parametrize("form", ["pkcs1", "pkcs8"])
def test_node_client_opens_with_either_private_pem(node_client: NodeClient, form: str) -> None:
    assert node_client.private_pems[form].startswith(
        {"pkcs1": "-----BEGIN RSA PRIVATE KEY", "pkcs8": "-----BEGIN PRIVATE KEY"}[form]
    )
    message, _ = node_client.seal(fields={})
    opened = node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)
    answer = sealed(opened.accept(True), b"in place")
    assert node_client.open(answer, form) == {"body": to_pipe(b"in place")}


def test_node_client_may_send_its_key_as_pkcs1(node: NodePeer, pairs: Pairs) -> None:
    pems = node("generate_key")
    pem = pems["public_pkcs1"]
    login = node("seal_login", token=TOKEN, code=CODE.text, public_key=pem, now=NOW_MS)
    message = AuthenticateRequest.parse(login["message"], node.suite.dialect.names)
    accepted = server_of(node.suite, pairs).open_login(message, CODE).accept(NOW_MS)
    assert accepted.client_key.to_pem() == pems["spki"]


def test_node_client_must_not_send_its_private_key(node: NodePeer, pairs: Pairs) -> None:
    pem = node("generate_key")["pkcs8"]
    login = node("seal_login", token=TOKEN, code=CODE.text, public_key=pem, now=NOW_MS)
    message = AuthenticateRequest.parse(login["message"], node.suite.dialect.names)
    with pytest.raises(InvalidPublicKey):
        server_of(node.suite, pairs).open_login(message, CODE).accept(NOW_MS)


def test_node_client_may_send_an_iv(node: NodePeer, pairs: Pairs) -> None:
    iv = "aV3ry0wnIV-_" if node.suite.dialect.aes == "gcm" else "aV3ry0wnIV-_16ch"
    client = log_in_node_client(node, pairs, iv=iv)
    message, _ = client.seal(fields={"item": "🍞"}, iv=iv)
    assert message.sealed.iv == iv
    opened = client.server.unwrap_request(message, client.keys).decrypt(True).read(NOW_MS)
    assert opened.accept(True).fields == {"item": "🍞"}


def test_node_client_with_a_wrong_code_is_refused(node: NodePeer, pairs: Pairs) -> None:
    pem = pairs.client.public.to_pem()
    login = node("seal_login", token=TOKEN, code="Y" * 26, public_key=pem, now=NOW_MS)
    message = AuthenticateRequest.parse(login["message"], node.suite.dialect.names)
    with pytest.raises(DecryptionFailed):
        server_of(node.suite, pairs).open_login(message, CODE)


def test_node_client_with_wrong_padding_is_refused(node_client: NodeClient) -> None:
    for padding in other_paddings(node_client.server.suite.dialect):
        message, _ = node_client.seal(fields={}, padding=padding)
        with pytest.raises(DecryptionFailed):
            node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)


@pytest.mark.parametrize("sign", [-1, 1], ids=["past", "future"])
def test_node_client_is_fresh_up_to_the_edge(node_client: NodeClient, sign: int) -> None:
    at_edge, _ = node_client.seal(fields={}, now=NOW_MS + sign * WINDOW_MS)
    node_client.server.unwrap_request(at_edge, node_client.keys).decrypt(True).read(NOW_MS)
    beyond, _ = node_client.seal(fields={}, now=NOW_MS + sign * (WINDOW_MS + 1))
    with pytest.raises(StaleTimestamp):
        node_client.server.unwrap_request(beyond, node_client.keys).decrypt(True).read(NOW_MS)


def test_node_client_refuses_the_answer_to_another_request(node_client: NodeClient) -> None:
    message, _ = node_client.seal(fields={})
    opened = node_client.server.unwrap_request(message, node_client.keys).decrypt(True).read(NOW_MS)
    response = HttpResponse(200, (), b"")
    answer = sealed_http(opened.accept(True), response, NOW_MS)
    with pytest.raises(PeerRefused, match="another request"):
        node_client.open(answer, nonce="another")


# --- a client in Python, a server in Node -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PythonClient:
    """A Python client that has logged in to a Node server."""

    node: NodePeer
    exchange: ClientExchange
    keys: ClientKeys
    server_pems: dict[str, str]

    def open_by_node(self, message: SealedRequest, form: str = "pkcs8") -> dict[str, Any]:
        """What the Node server makes of ``message``."""
        return self.node(
            "open_request",
            message=message.serialize(self.exchange.suite.dialect.names),
            private_key=self.server_pems[form],
            now=NOW_MS,
        )

    def answer_by_node(self, **arguments: object) -> SealedMessage:
        """An answer of the Node server, as the client parses it."""
        client_pem = self.keys.private_key.public.to_pem()
        reply = self.node("seal_response", public_key=client_pem, now=NOW_MS, **arguments)
        return SealedMessage.parse(reply["message"], self.exchange.suite.dialect.names)


@pytest.fixture(scope="module")
def python_client(node: NodePeer, pairs: Pairs) -> PythonClient:
    names = node.suite.dialect.names
    exchange = ClientExchange(node.suite)
    message, pending = exchange.seal_login(TOKEN, CODE, pairs.client, NOW_MS, os.urandom, PASSWORD)
    login = node("open_login", message=message.serialize(names), code=CODE.text, now=NOW_MS)
    assert login == {"public_key": pairs.client.public.to_pem(), "password": PASSWORD}
    pems = node("generate_key")
    reply = node("seal_login_reply", client_key=login["public_key"], public_key=pems["spki"])
    keys = pending.open(SealedMessage.parse(reply["message"], names))
    assert keys.server_key.to_pem() == pems["spki"]
    return PythonClient(node, exchange, keys, pems)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_python_client_sends_whole_requests(python_client: PythonClient, body: bytes) -> None:
    request = HttpRequest("POST", "/orders?name=%C3%A5", HEADERS, body)
    message, pending = python_client.exchange.seal_request(
        TOKEN, python_client.keys, request, NOW_MS, os.urandom
    )
    opened = python_client.open_by_node(message)
    assert opened["request"] == {
        "method": "POST",
        "path": "/orders?name=%C3%A5",
        "headers": [list(pair) for pair in HEADERS],
        "body": to_pipe(body),
    }
    response = {"status": 201, "headers": HEADERS, "body": to_pipe(body)}
    answer = python_client.answer_by_node(response=response, nonce=opened["nonce"])
    assert pending.open(answer) == HttpResponse(201, HEADERS, body)


@pytest.mark.parametrize(("fields", "body"), IN_PLACE.values(), ids=IN_PLACE)
def test_python_client_sends_fields_in_place(
    python_client: PythonClient, fields: JsonObject, body: bytes
) -> None:
    message, pending = python_client.exchange.seal_fields(
        TOKEN, python_client.keys, fields, NOW_MS, os.urandom
    )
    assert python_client.open_by_node(message)["fields"] == fields
    assert pending.open_plaintext(python_client.answer_by_node(body=to_pipe(body))) == body


@pytest.mark.parametrize("form", ["pkcs1", "pkcs8"])
def test_node_server_opens_with_either_private_pem(python_client: PythonClient, form: str) -> None:
    message, _ = python_client.exchange.seal_fields(
        TOKEN, python_client.keys, {"item": "🍞"}, NOW_MS, os.urandom
    )
    assert python_client.open_by_node(message, form)["fields"] == {"item": "🍞"}


def test_node_server_refuses_a_wrong_code(node: NodePeer, pairs: Pairs) -> None:
    exchange = ClientExchange(node.suite)
    message, _ = exchange.seal_login(TOKEN, Code("Y" * 26), pairs.client, NOW_MS, os.urandom)
    sealed = message.serialize(node.suite.dialect.names)
    with pytest.raises(PeerRefused):
        node("open_login", message=sealed, code=CODE.text, now=NOW_MS)


def test_node_server_refuses_wrong_padding(python_client: PythonClient) -> None:
    dialect = python_client.exchange.suite.dialect
    for padding in other_paddings(dialect):
        other = derive("other", dialect, {"rsa_padding": padding})
        message, _ = ClientExchange(Classic(other)).seal_fields(
            TOKEN, python_client.keys, {}, NOW_MS, os.urandom
        )
        with pytest.raises(PeerRefused):
            python_client.open_by_node(message)


def test_node_server_refuses_a_stale_message(python_client: PythonClient) -> None:
    # A second more, for the dialects that write whole seconds.
    for now_ms in (NOW_MS - WINDOW_MS - 1000, NOW_MS + WINDOW_MS + 1000):
        message, _ = python_client.exchange.seal_fields(
            TOKEN, python_client.keys, {}, now_ms, os.urandom
        )
        with pytest.raises(PeerRefused, match="stale timestamp"):
            python_client.open_by_node(message)


def test_python_client_refuses_the_answer_to_another_request(
    python_client: PythonClient,
) -> None:
    _, pending = python_client.exchange.seal_fields(
        TOKEN, python_client.keys, {}, NOW_MS, os.urandom
    )
    response = {"status": 200, "headers": [], "body": ""}
    answer = python_client.answer_by_node(response=response, nonce="another")
    with pytest.raises(ReplayedNonce):
        pending.open(answer)


# --- keys and ciphers ---------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["PKCS1", "PKCS8"])
def test_node_takes_our_private_key(node: NodePeer, pairs: Pairs, container: str) -> None:
    key = serialization.load_der_private_key(pairs.server.to_der(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        {
            "PKCS1": serialization.PrivateFormat.TraditionalOpenSSL,
            "PKCS8": serialization.PrivateFormat.PKCS8,
        }[container],
        serialization.NoEncryption(),
    ).decode()
    keys = ClientKeys(pairs.client, pairs.server.public)
    message, _ = ClientExchange(node.suite).seal_fields(
        TOKEN, keys, {"item": "🍞"}, NOW_MS, os.urandom
    )
    sealed = message.serialize(node.suite.dialect.names)
    opened = node("open_request", message=sealed, private_key=pem, now=NOW_MS)
    assert opened["fields"] == {"item": "🍞"}


def test_keys_of_node_are_admitted(node: NodePeer) -> None:
    pem = node("generate_key")["spki"]
    assert validate_public_key(pem).to_pem() == pem


def test_both_derive_the_same_key_and_iv(node: NodePeer) -> None:
    for passphrase in ("", "a", "0123456789abcdef" * 2, "å🦊"):
        key, iv = evp_bytes_to_key(passphrase.encode())
        derived = node("evp_key_and_iv", passphrase=passphrase)
        assert derived == {"key": key.hex(), "iv": iv.hex()}


KAT_PASSPHRASE = "0123456789abcdef0123456789abcdef"
KAT_TEXT = "hello"
KAT_HEX = "f56c5d730d"


def test_known_answer_in_python() -> None:
    suite = Classic(derive("hex", DIALECTS["article-2016"], {"encoding": "hex"}))
    assert suite.seal(KAT_PASSPHRASE.encode(), KAT_TEXT.encode(), None) == KAT_HEX
    assert suite.open(KAT_PASSPHRASE.encode(), KAT_HEX, None) == (KAT_TEXT.encode(), True)


@pytest.mark.parametrize("node", ["article-2016", "article-2016-hex-s"], indirect=True)
def test_known_answer_in_node(node: NodePeer) -> None:
    payload = node("seal_text", passphrase=KAT_PASSPHRASE, text=KAT_TEXT)["payload"]
    is_hex = node.suite.dialect.encoding == "hex"
    assert (payload if is_hex else base64.b64decode(payload).hex()) == KAT_HEX


def other_paddings(dialect: Dialect) -> list[RsaPadding]:
    return [padding for padding in get_args(RsaPadding) if padding != dialect.rsa_padding]


def to_pipe(body: bytes) -> str:
    """Bodies travel between the two programs as base64."""
    return base64.b64encode(body).decode()
