"""What holds for every input: rejection, its uniform cost, round trips and the state table."""

import base64
import json
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from make_vectors import NOW_MS, WINDOW_MS, flip
from peer import DECOY_CODE, Peer, key_pair, sealed, sealed_http, with_iv, with_key, with_payload

from examples import examples, walking
from protocol.classic.dialects import DIALECTS, Dialect, TimestampFormat, derive
from protocol.classic.exchange import OpenedLogin, OpenedRequest, ServerExchange
from protocol.classic.freshness import format_timestamp, parse_timestamp
from protocol.classic.session import TRANSITIONS, Event, State, advance
from protocol.common.codec import (
    MAX_INTEGER_CHARS,
    JsonObject,
    JsonValue,
    TextEncoding,
    decode_bytes,
    encode_bytes,
    parse_json,
    serialize_json,
)
from protocol.common.codes import normalise_username
from protocol.common.errors import (
    DecryptionFailed,
    LocalProtocolError,
    MalformedMessage,
    RejectedMessage,
    RemoteProtocolError,
    ReplayedNonce,
    StaleTimestamp,
)
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
from protocol.common.primitives import RsaPrivateKey
from protocol.common.rsa_keys import validate_public_key

# ``make fuzz`` tries this many times as many examples.


quick = examples(100)
costly = examples(40)

MALLEABLE = [name for name, dialect in DIALECTS.items() if dialect.aes != "gcm"]
SHAPES: list[Dialect] = [
    *DIALECTS.values(),
    derive("hex", DIALECTS["sfet-4-gcm"], {"encoding": "hex", "timestamp": "iso8601"}),
    derive("seconds", DIALECTS["article-2016"], {"timestamp": "s"}),
]

TEXT = st.text(max_size=20)
NUMBERS = (
    st.none()
    | st.booleans()
    | st.integers(-(10 ** (MAX_INTEGER_CHARS - 1)) + 1, 10**MAX_INTEGER_CHARS - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
MEMBER_NAMES = TEXT.filter(lambda name: name != "__proto__")


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(MEMBER_NAMES, inner, max_size=4)
        ),
        max_leaves=12,
    )


JSON: st.SearchStrategy[Any] = nested(NUMBERS | TEXT)
OBJECTS: st.SearchStrategy[JsonObject] = st.dictionaries(MEMBER_NAMES, JSON, max_size=5)


# --- the codec ----------------------------------------------------------------------------------

# Random bytes are hardly ever JSON; these are made of its pieces and so mostly nearly JSON.
PIECES = st.lists(
    st.sampled_from(
        [
            *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"-", b"0", b"1", b"e"),
            *(b'"a"', b'"a":', b"null", b"true", b"NaN", b"Infinity", b"1e999", b"9" * 30, b"."),
            *(b"\\u", b"d800", b"dc00", b"\\u0061", b'"__proto__":', b"\xff", b"\xc3\xa9"),
            *(b"\xef\xbb\xbf", b"\0", b"[" * 70, b"]" * 70),
        ]
    ),
    max_size=12,
).map(b"".join)


@examples(500)
@given(st.binary(max_size=60) | PIECES | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_value_or_malformed(data: bytes) -> None:
    try:
        value = parse_json(data)
    except MalformedMessage:
        return
    assert value == json.loads(data)
    # What was accepted can be written again, so nothing in it is no character or no number.
    assert parse_json(serialize_json(value)) == value


@quick
@given(JSON)
def test_every_value_within_the_limits_is_accepted_in_both_spellings(value: JsonValue) -> None:
    assert parse_json(serialize_json(value)) == value
    assert parse_json(json.dumps(value).encode()) == value


@quick
@given(st.sampled_from(["base64", "hex"]), st.binary(max_size=40))
def test_bytes_have_one_text(encoding: TextEncoding, data: bytes) -> None:
    assert decode_bytes(encoding, encode_bytes(encoding, data)) == data


@examples(500)
@given(st.sampled_from(["base64", "hex"]), st.text("ABYZaf019+/=-_ \n", max_size=12) | st.text())
def test_text_stands_for_bytes_only_if_it_is_their_text(encoding: TextEncoding, text: str) -> None:
    data = decode_bytes(encoding, text)
    assert data is None or encode_bytes(encoding, data) == text


# --- parse --------------------------------------------------------------------------------------

NAMES = FieldNames()
WIRE_NAMES = [
    *("token", "key", "payload", "iv", "username", "method", "path", "headers", "body"),
    *("encoding", "status", "__proto__"),
]
LIKELY = st.sampled_from(
    ["GET", "/", "//", "/a b", "base64", "utf8", "AA==", "A", "\r\n", "X-A", 200, 99, None, ""]
)
# Right names with right and wrong values: what a prober would send, and deeper than chance goes.
PROBES = st.dictionaries(
    st.sampled_from(WIRE_NAMES),
    LIKELY
    | JSON
    | st.lists(st.lists(LIKELY | TEXT, max_size=3), max_size=3)
    | st.dictionaries(TEXT, LIKELY | TEXT, max_size=3),
)


@examples(400)
@given(PROBES | OBJECTS)
def test_any_object_is_a_message_or_a_remote_error(members: JsonObject) -> None:
    for cls in (SessionRequest, SessionGrant, AuthenticateRequest, SealedMessage, SealedRequest):
        try:
            message = cls.parse(members, NAMES)
        except RemoteProtocolError:
            continue
        again = cls.parse(message.serialize(NAMES), NAMES)
        assert again == message


@examples(400)
@given(PROBES | JSON)
def test_any_value_is_a_request_or_a_response_or_a_remote_error(value: JsonValue) -> None:
    for cls in (HttpRequest, HttpResponse):
        try:
            message = cls.parse(value)
        except RemoteProtocolError:
            continue
        assert cls.parse(message.serialize()) == message
        for name, text in message.headers:
            assert re.fullmatch(r"[!-9;-~]+", name)
            assert not set("\r\n\0") & set(text)
        if isinstance(message, HttpRequest):
            assert message.target.isascii()
            assert message.target.startswith("/")
            assert not set(string.whitespace + "#\\") & set(message.target)


@examples(300)
@given(st.text(max_size=12))
def test_a_name_is_refused_or_has_one_form(name: str) -> None:
    try:
        form = normalise_username(name)
    except RejectedMessage:
        return
    assert normalise_username(form) == form
    assert normalise_username(unicodedata.normalize("NFD", name)) == form
    assert normalise_username(f"  {name} ") == form
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in form}


PEM = key_pair("test-session").public.to_pem()


@quick
@given(st.integers(0, len(PEM) - 1), st.characters(codec="utf-8"))
@example(70, "0")
def test_a_key_with_one_character_changed_is_refused_or_as_strong(at: int, char: str) -> None:
    text = PEM[:at] + char + PEM[at + 1 :]
    try:
        key = validate_public_key(text)
    except RejectedMessage:
        return
    # Other digits may be another modulus, of more bits where they fall on its leading zero; the
    # rest of the text leaves no choice.
    assert key.e == 65537
    assert 2048 <= key.n.bit_length() <= 4096
    assert key.to_pem().split() == text.split()


# --- time ---------------------------------------------------------------------------------------

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)).map(
    lambda moment: moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
)


def ms_of(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@quick
@given(MOMENTS)
def test_time_as_text_is_that_of_datetime(moment: datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert parse_timestamp("iso8601", text) == ms_of(moment)
    assert format_timestamp("iso8601", ms_of(moment)) == text


@quick
@given(MOMENTS)
def test_time_comes_back_in_every_form(moment: datetime) -> None:
    ms = ms_of(moment)
    forms: tuple[TimestampFormat, ...] = ("ms", "iso8601")
    for form in forms:
        assert parse_timestamp(form, format_timestamp(form, ms)) == ms
    assert parse_timestamp("s", format_timestamp("s", ms)) == ms // 1000 * 1000
    assert parse_timestamp("s", ms / 1000) == ms


@examples(400)
@given(
    st.tuples(
        st.integers(1970, 2100),
        st.integers(0, 14),
        st.integers(0, 33),
        st.integers(0, 25),
        st.integers(0, 61),
        st.integers(0, 61),
    )
)
def test_a_text_is_a_time_exactly_where_datetime_has_it(
    parts: tuple[int, int, int, int, int, int],
) -> None:
    year, month, day, hour, minute, second = parts
    text = f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    try:
        expected: int | None = ms_of(datetime(*parts, tzinfo=UTC))
    except ValueError:
        expected = None
    assert parse_timestamp("iso8601", text) == expected


@quick
@given(st.sampled_from(["ms", "s", "iso8601"]), JSON)
def test_any_value_is_a_time_or_none(form: TimestampFormat, value: JsonValue) -> None:
    assert type(parse_timestamp(form, value)) in (int, type(None))


# --- round trips --------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", SHAPES, ids=lambda dialect: dialect.name)
@costly
@given(fields=OBJECTS, body=st.binary(max_size=50), seed=st.integers())
def test_what_goes_in_comes_out(
    dialect: Dialect, fields: JsonObject, body: bytes, seed: int
) -> None:
    peer = Peer(dialect, seed)
    message, pending = peer.send(fields)
    wire = parse_json(serialize_json(message.serialize(dialect.names)))
    assert isinstance(wire, dict)
    accepted = peer.receive(SealedRequest.parse(wire, dialect.names))
    own = {dialect.names.timestamp, dialect.names.nonce}
    assert accepted.fields == {k: v for k, v in fields.items() if k not in own}
    assert pending.open_plaintext(sealed(accepted, body)) == body

    response = HttpResponse(200, (("X-A", "b"),), body)
    message, pending = peer.send()
    reply = sealed_http(peer.receive(message), response, NOW_MS)
    assert pending.open(reply) == response


@pytest.mark.parametrize("dialect", SHAPES, ids=lambda dialect: dialect.name)
@examples(10)
@given(password=st.none() | st.text(max_size=20), seed=st.integers())
def test_a_login_comes_through(dialect: Dialect, password: str | None, seed: int) -> None:
    assert Peer(dialect, seed).login(password).password == password


# --- one bit ------------------------------------------------------------------------------------


def flip_b64(text: str, bit: int) -> str:
    return base64.b64encode(flip(base64.b64decode(text), bit)).decode()


def flip_text(text: str, bit: int) -> str:
    """One of the seven bits of one ASCII character changed: text that base64 may not even be."""
    at = bit // 7 % len(text)
    return text[:at] + chr(ord(text[at]) ^ 1 << bit % 7) + text[at + 1 :]


def spoilt(message: SealedRequest, part: str, bit: int, text: bool) -> SealedRequest:
    change = flip_text if text else flip_b64
    sealed = message.sealed
    if part == "key":
        return with_key(message, change(sealed.key, bit))
    if part == "payload":
        return with_payload(message, change(sealed.payload, bit))
    return with_iv(message, flip_text(sealed.iv or "", bit))


@examples(300)
@given(st.sampled_from(["key", "payload", "iv"]), st.integers(0, 5000), st.booleans())
def test_a_gcm_message_rejects_any_bit_flipped(part: str, bit: int, text: bool) -> None:
    peer = Peer("sfet-4-gcm")
    message, _ = peer.send({"temperature": 21.5})
    with pytest.raises(DecryptionFailed):
        peer.open(spoilt(message, part, bit, text))
    peer.open(message)


@quick
@given(st.sampled_from(["key", "payload", "iv"]), st.integers(0, 5000), st.booleans())
def test_a_gcm_answer_rejects_any_bit_flipped(part: str, bit: int, text: bool) -> None:
    peer = Peer("sfet-4-gcm")
    message, pending = peer.send()
    reply = sealed(peer.receive(message), b"[21.5]")
    with pytest.raises(DecryptionFailed):
        pending.open_plaintext(spoilt(SealedRequest("", reply), part, bit, text).sealed)


@quick
@given(st.sampled_from(["payload", "iv"]), st.integers(0, 20_000), st.booleans())
def test_a_gcm_login_rejects_any_bit_flipped(part: str, bit: int, text: bool) -> None:
    peer = Peer("sfet-4-gcm")
    message, _ = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy
    )
    sealed = SealedMessage("AA==", message.payload, message.iv)
    wrong = spoilt(SealedRequest("", sealed), part, bit, text).sealed
    with pytest.raises(DecryptionFailed):
        peer.server.open_login(replace(message, payload=wrong.payload, iv=wrong.iv), peer.code)


@pytest.mark.parametrize("name", MALLEABLE)
@costly
@given(st.integers(0, 5000), st.booleans())
def test_a_malleable_dialect_rejects_any_bit_of_the_key_flipped(
    name: str, bit: int, text: bool
) -> None:
    peer = Peer(name)
    message, _ = peer.send({"temperature": 21.5})
    with pytest.raises(DecryptionFailed):
        peer.open(spoilt(message, "key", bit, text))


@pytest.mark.parametrize("name", MALLEABLE)
@costly
@given(st.integers(0, 5000))
def test_a_malleable_payload_with_a_bit_flipped_never_counts_twice(name: str, bit: int) -> None:
    """It may open, for nothing authenticates it; its passphrase tells that it is no new message."""
    peer = Peer(name)
    message, _ = peer.send({"temperature": 21.5})
    peer.receive(message)
    changed = spoilt(message, "payload", bit, text=False)
    try:
        opened = peer.open(changed)
    except RejectedMessage:
        return
    assert not peer.claim(opened.nonce_claim)


# --- nothing before the claim -------------------------------------------------------------------


def shown_by(thing: object) -> str:
    public = [name for name in dir(thing) if not name.startswith("_")]
    return repr(thing) + "".join(f"{name}={getattr(thing, name)!r}" for name in public)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_opened_request_shows_nothing_but_its_claim(name: str) -> None:
    peer = Peer(name)
    opened = peer.open(peer.send({"secret-name": "secret-value"})[0])
    public = {attribute for attribute in dir(opened) if not attribute.startswith("_")}
    assert public == {"nonce_claim", "accept"}
    assert isinstance(opened, OpenedRequest)
    assert "secret" not in shown_by(opened)


@pytest.mark.parametrize("name", DIALECTS)
def test_an_opened_login_shows_nothing(name: str) -> None:
    peer = Peer(name)
    message, _ = peer.client.seal_login(
        peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy, "secret-password"
    )
    opened = peer.server.open_login(message, peer.code)
    assert isinstance(opened, OpenedLogin)
    assert {name for name in dir(opened) if not name.startswith("_")} == {"accept"}
    assert "secret" not in shown_by(opened)


@pytest.mark.parametrize("name", DIALECTS)
def test_errors_show_nothing_of_the_message(name: str) -> None:
    peer = Peer(name)
    message, _ = peer.send({"secret-name": "secret-value"})
    with pytest.raises(StaleTimestamp) as raised:
        peer.open(message, NOW_MS + WINDOW_MS + 1)
    assert "secret" not in repr(raised.value)
    assert raised.value.public_code == "rejected"


# --- the uniform rejection ----------------------------------------------------------------------


@dataclass
class CountingKey:
    """Stands in for the library's key object and counts private operations.

    A number that is not below the modulus does not count: the library refuses it at once, and
    the time it saves would tell.
    """

    key: Any
    work: Counter[str] = field(default_factory=Counter)

    def decrypt(self, ciphertext: bytes, padding: Any) -> bytes:
        n = self.key.public_key().public_numbers().n
        if len(ciphertext) == (n.bit_length() + 7) // 8 and int.from_bytes(ciphertext) < n:
            self.work["rsa"] += 1
        return cast(bytes, self.key.decrypt(ciphertext, padding))


def counting(pair: RsaPrivateKey, work: Counter[str]) -> RsaPrivateKey:
    return replace(pair, _key=cast(Any, CountingKey(pair._key, work)))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """What was done: RSA private operations, AES decryptions and parses."""
    done: Counter[str] = Counter()

    def count(target: str, kind: str) -> None:
        module, _, name = target.rpartition(".")
        real: Callable[..., Any] = getattr(__import__(module, fromlist=[name]), name)

        def counted(*args: Any) -> Any:
            done[kind] += 1
            return real(*args)

        monkeypatch.setattr(target, counted)

    for name in ("aes_ctr", "aes_cbc_open", "aes_gcm_open"):
        count(f"protocol.classic.suites.{name}", "aes")
    count("protocol.common.codec.parse_json_object", "parse")
    return done  # type: ignore[return-value]


def wrapped_faults(n: int, text: str) -> dict[str, str]:
    raw = base64.b64decode(text)
    numbers = {"0": 0, "1": 1, "n-1": n - 1, "n": n, "n+1": n + 1, "2^2048-1": 2**2048 - 1}
    texts = {
        "short": raw[1:],
        "cut": raw[:-1],
        "long": raw + b"\0",
        "zero before": b"\0" + raw,
        "empty": b"",
        "other block": flip(raw, 77),
    }
    blocks = {name: number.to_bytes(256) for name, number in numbers.items()} | texts
    return {name: base64.b64encode(block).decode() for name, block in blocks.items()} | {
        "space before": " " + text,
        "newline behind": text + "\n",
        "newline inside": text[:64] + "\n" + text[64:],
        "url alphabet": text.replace("+", "-").replace("/", "_"),
        "missing padding": text.rstrip("="),
        "padding twice": text + "==",
        "hex": raw.hex(),
        "not ascii": "\uff21" + text[1:],
    }


def rejections(peer: Peer) -> Iterator[tuple[str, SealedRequest, bool, int]]:
    """Every way not to get in: its name, the message, whether the session exists, the time."""
    good, _ = peer.send({"n": 1})
    # The url alphabet only shows in a text that has a character outside the common part.
    while not set("+/") & set(good.sealed.key):
        good, _ = peer.send({"n": 1})
    n = peer.server_pair.public.n
    for name, key in wrapped_faults(n, good.sealed.key).items():
        yield f"wrapped {name}", with_key(good, key), True, NOW_MS
    yield "unknown session", good, False, NOW_MS
    yield "unknown session, wrong key", with_key(good, "AA=="), False, NOW_MS
    for secret in (b"", b"0" * 31, b"0" * 33, b"\0" * 32):
        key = peer.suite.wrap(peer.server_pair.public, secret)
        yield f"passphrase {secret!r}", with_key(good, key), True, NOW_MS
    yield "other padding", with_key(good, _other_padding(peer)), True, NOW_MS
    payload = good.sealed.payload
    raw = base64.b64decode(payload)
    for name, text in (
        ("empty", ""),
        ("cut", base64.b64encode(raw[:-1]).decode()),
        ("long", base64.b64encode(raw + b"\0").decode()),
        ("other first block", base64.b64encode(flip(raw, 0)).decode()),
        ("space before", " " + payload),
        ("not base64", "*" + payload),
    ):
        yield f"payload {name}", with_payload(good, text), True, NOW_MS
    for iv in ("", "0" * 11, "\u00e9" * 12):
        if peer.dialect.key_derivation != "evp-bytes-to-key":
            yield f"iv {iv}", with_iv(good, iv), True, NOW_MS
    for name, inside in (
        ("no json", b"hello"),
        ("a list", b"[]"),
        ("no members", b"{}"),
        ("no nonce", serialize_json({"timestamp": NOW_MS})),
        ("a number as nonce", serialize_json({"timestamp": NOW_MS, "nonce": 1})),
        ("no time", serialize_json({"nonce": "n"})),
        ("a text as time", serialize_json({"timestamp": "now", "nonce": "n"})),
        ("deep", b"[" * 100_000),
    ):
        passphrase = peer.suite.new_passphrase(peer.entropy)
        new_iv = peer.suite.new_iv(peer.entropy)
        sealed = SealedMessage(
            peer.suite.wrap(peer.server_pair.public, passphrase),
            peer.suite.seal(passphrase, inside, new_iv),
            new_iv,
        )
        yield f"inside {name}", SealedRequest(peer.token, sealed), True, NOW_MS
    for late in (-1, 1):
        now = NOW_MS + late * (WINDOW_MS + 1)
        yield f"stale {late}", good, True, now


def _other_padding(peer: Peer) -> str:
    scheme = "oaep-sha1" if peer.dialect.rsa_padding != "oaep-sha1" else "oaep-sha256"
    other = derive("other", peer.dialect, {"rsa_padding": scheme})
    return Peer(other).suite.wrap(peer.server_pair.public, b"0" * 32)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_rejection_does_the_same_work(name: str, work: Counter[str]) -> None:
    peer = Peer(name)
    pair = counting(peer.server_pair, work)
    decoy_pair = counting(key_pair("test-other"), work)
    keys = replace(peer.session_keys, private_key=pair)
    decoy = replace(peer.session_keys, private_key=decoy_pair)
    server = ServerExchange(peer.suite, decoy, peer.entropy)
    seen = 0
    for why, message, known, now in list(rejections(peer)):
        work.clear()
        with pytest.raises(RejectedMessage) as raised:
            server.unwrap_request(message, keys if known else None).decrypt(True).read(now)
        assert work == {"rsa": 1, "aes": 1, "parse": 1}, why
        assert raised.value.public_code == "rejected", why
        seen += 1
    assert seen > 35
    # And as much as a message that gets in, or the rejection could be told from it.
    good, _ = peer.send()
    work.clear()
    server.unwrap_request(good, keys).decrypt(True).read(NOW_MS)
    assert work == {"rsa": 1, "aes": 1, "parse": 1}
    work.clear()
    with pytest.raises(ReplayedNonce):
        server.unwrap_request(good, keys).decrypt(False).read(NOW_MS)
    assert work == {"rsa": 1, "aes": 1, "parse": 1}


@pytest.mark.parametrize("name", DIALECTS)
def test_every_refused_login_does_the_same_work(name: str, work: Counter[str]) -> None:
    peer = Peer(name)
    good, _ = peer.client.seal_login(peer.token, peer.code, peer.client_pair, NOW_MS, peer.entropy)
    wrong = {
        "no login": (good, None),
        "other code": (good, DECOY_CODE),
        "empty": (replace(good, payload=""), peer.code),
        "cut": (replace(good, payload=good.payload[:-4]), peer.code),
        "not base64": (replace(good, payload="*"), peer.code),
        "no login, not base64": (replace(good, payload="*"), None),
        "deep": (
            replace(
                good,
                payload=peer.suite.seal(
                    peer.suite.code_passphrase(peer.code), b"[" * 100_000, good.iv
                ),
            ),
            peer.code,
        ),
    }
    for why, (message, code) in wrong.items():
        work.clear()
        with pytest.raises(RejectedMessage):
            peer.server.open_login(message, code)
        assert work == {"aes": 1, "parse": 1}, why


@pytest.mark.parametrize("name", DIALECTS)
def test_a_client_does_the_same_work_for_every_answer_it_refuses(
    name: str, work: Counter[str]
) -> None:
    peer = Peer(name)
    peer.client_keys = replace(peer.client_keys, private_key=counting(peer.client_pair, work))
    message, _ = peer.send()
    reply = sealed_http(peer.receive(message), HttpResponse(200, (), b""), NOW_MS)
    for why, key in wrapped_faults(peer.client_pair.public.n, reply.key).items():
        if key == reply.key:
            continue  # this text has no character that the url alphabet writes otherwise
        _, pending = peer.send()
        work.clear()
        with pytest.raises(DecryptionFailed):
            pending.open(replace(reply, key=key))
        assert work == {"rsa": 1, "aes": 1, "parse": 1}, why


# --- the state table ----------------------------------------------------------------------------


class SessionWalk(RuleBasedStateMachine):
    """Random events against flags that know the rules in words, not the table."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.NEW
        self.requested = self.trying = self.enrolled = self.closed = False

    def may_happen(self, event: Event) -> bool:
        if self.closed:
            return False
        match event:
            case Event.SESSION_REQUESTED:
                return not self.requested
            case Event.CODE_CLAIMED:
                return self.requested and not self.trying and not self.enrolled
            case Event.CODE_REFUSED | Event.ATTEMPTS_SPENT:
                return self.trying
            case Event.LOGIN_REFUSED | Event.CLIENT_ENROLLED:
                return self.trying
            case Event.MESSAGE_CLAIMED | Event.MESSAGES_SPENT | Event.LOGGED_OUT:
                return self.enrolled
            case Event.EXPIRED:
                return self.requested

    def happened(self, event: Event) -> None:
        match event:
            case Event.SESSION_REQUESTED:
                self.requested = True
            case Event.CODE_CLAIMED:
                self.trying = True
            case Event.CODE_REFUSED:
                self.trying = False
            case Event.CLIENT_ENROLLED:
                self.trying, self.enrolled = False, True
            case Event.MESSAGE_CLAIMED:
                pass
            case _:
                self.closed = True

    @rule(event=st.sampled_from(Event))
    def anything(self, event: Event) -> None:
        if self.may_happen(event):
            self.state = advance(self.state, event)
            self.happened(event)
        else:
            with pytest.raises(LocalProtocolError):
                advance(self.state, event)

    @rule(data=st.data())
    def something_allowed(self, data: st.DataObject) -> None:
        """So that walks get beyond the first steps."""
        row = TRANSITIONS[self.state]
        assume(row)
        self.anything(data.draw(st.sampled_from(list(row))))

    @invariant()
    def the_state_is_what_happened(self) -> None:
        if self.closed:
            expected = State.CLOSED
        elif self.enrolled:
            expected = State.ENROLLED
        elif self.trying:
            expected = State.CODE_CLAIMED
        else:
            expected = State.AWAITING_CODE if self.requested else State.NEW
        assert self.state is expected


TestSessionWalk = SessionWalk.TestCase
TestSessionWalk.settings = walking(60, 25)
