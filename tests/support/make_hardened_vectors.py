"""Makes the cases of the hardened suites; ``python tests/support/make_vectors.py`` writes them.

A message on the wire is ``{"format": "json", "text"}`` or ``{"format": "msgpack", "hex"}``.
``entropy_hex`` lists what is drawn, in order; RSA keys are named as in keys.json. The expected
values come from hardened_reference, not from protocol/.

Longer than other modules because each group of cases is a list.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from hardened_reference import (
    DAY_MS,
    FRESH,
    MAX_VALUE,
    NO_CHANGES,
    NUMBERS,
    G,
    Grant,
    Login,
    M,
    Message,
    N,
    P,
    Resumption,
    decompress,
    encode_point,
    exported,
    finish,
    msgpack,
    next_key,
    times,
)
from make_vectors import NOW_MS, WINDOW_MS, flip, stream, test_keys
from vector_files import Case, Json, Subject, noted

REQUEST: list[Any] = ["PUT", "/fan?speed=2", [["Accept", "*/*"]], b"\xff\x00 21.5"]
RESPONSE: list[Any] = [201, [["X-Unit", "rpm"]], b"1200"]


def keys_json(message: Message, epoch: int | None = None) -> Json:
    """The two keys of an epoch; by default the epoch of the message."""
    at = message.epoch if epoch is None else epoch
    found = {}
    for kind, name in ((1, "c2s"), (2, "s2c")):
        found[f"{name}_hex"] = replace(message, kind=kind, epoch=at, key=None).key_of_epoch.hex()
    return {"epoch": at, **found}


def request_case(
    name: str,
    message: Message,
    expect: str = "ok",
    session: Json | None = None,
    now_ms: int = NOW_MS,
    claimed: tuple[str, ...] = (),
    window: Json | None = None,
    changes: Json | None = None,
    moved: bool = False,
) -> Case:
    """The server receives a request. ``session`` has the differences from the message."""
    given: Json = {
        "session": {
            "sid_hex": message.sid.hex(),
            "suite": message.suite,
            "fresh": message.fresh,
            "expires_ms": NOW_MS + 3_600_000,
            **keys_json(message),
            **(session or {}),
        },
        "now_ms": now_ms,
        "window_ms": WINDOW_MS,
        "claimed_salts_hex": list(claimed),
        "message": message.wire(**(changes or {})),
    }
    if window is not None:
        given["window"] = window
    output: Json = {"moved": moved, "epoch": message.epoch}
    if expect == "ok":
        method, target, headers, body = message.plaintext
        output["request"] = [method, target, headers, body.hex()]
    return finish(
        f"message-request-{name}", "open_sealed_request", message.suite, given, expect, output
    )


def requests() -> Iterator[Case]:
    for suite in NUMBERS:
        for fresh in FRESH:
            for form in ("json", "msgpack"):
                value = NOW_MS if fresh == "clock" else 7
                message = Message(REQUEST, suite, fresh, form, value=value)
                yield request_case(f"{suite}-{fresh}-{form}", message)
    for suite in NUMBERS:
        yield from _spoilt_requests(suite)


def requests_in_order() -> Iterator[Case]:
    yield from _requests_out_of_order()
    yield from _requests_of_other_epochs()
    yield from _requests_of_a_long_epoch()


def _spoilt_requests(suite: str) -> Iterator[Case]:
    good = Message(REQUEST, suite, seed=f"spoilt {suite}")
    refused = "decryption_failed"
    for name, part, bit in (
        ("sealed-first-bit", "sealed", 0),
        ("tag-last-bit", "sealed", -1),
        ("salt-first-bit", "salt", 0),
        ("header-epoch-bit", "header", 79),
        ("header-value-bit", "header", 279),
        ("header-wrapped-hash-bit", "header", 287),
    ):
        changed = {part: flip(good.members()[part], bit)}
        yield request_case(f"{suite}-{name}", good, refused, changes=changed)
    for size in (12, 8, 4):
        cut = {"sealed": good.sealed[: size - 16]}
        yield request_case(f"{suite}-tag-of-{size}", good, refused, changes=cut)
    for name, message in (
        ("without-the-key", replace(good, key=bytes(32))),
        ("response-as-request", replace(good, kind=2, request_tag=bytes(16))),
        ("refusal-as-request", replace(good, kind=3, request_tag=bytes(16))),
        ("sealed-by-the-other-direction", replace(good, key=replace(good, kind=2).root)),
        ("counter-in-a-clock-session", replace(good, fresh_number=2)),
    ):
        yield request_case(f"{suite}-{name}", message, refused)
    other = {"ecdh-gcm": "rsa-gcm", "rsa-gcm": "ecdh-gcm"}[suite]
    yield request_case(f"{suite}-session-of-the-other-suite", good, refused, {"suite": other})
    yield request_case(f"{suite}-no-session", good, refused, {"sid_hex": None})
    if suite == "rsa-gcm":
        for name, message in (
            ("oaep-with-sha-1", replace(good, hash_name="sha1")),
            ("cek-of-31", replace(good, cek=bytes(31))),
            ("cek-of-33", replace(good, cek=bytes(33))),
            ("cek-empty", replace(good, cek=b"")),
            ("hash-of-another-wrap", replace(good, wrapped_hash=bytes(32))),
        ):
            yield request_case(f"rsa-gcm-{name}", message, refused)
        for name, number in (("0", 0), ("n", test_keys()["test-session"].n), ("1", 1)):
            changed = {"wrapped": number.to_bytes(256)}
            yield request_case(f"rsa-gcm-wrapped-{name}", good, refused, changes=changed)
        flipped = {"wrapped": flip(good.wrapped or b"", 100)}
        yield request_case("rsa-gcm-wrapped-bit", good, refused, changes=flipped)


def _requests_out_of_order() -> Iterator[Case]:
    good = Message(REQUEST, seed="order")
    for name, now in (("past", NOW_MS + WINDOW_MS), ("future", NOW_MS - WINDOW_MS)):
        yield request_case(f"clock-window-edge-{name}", good, now_ms=now)
    for name, now in (("past", NOW_MS + WINDOW_MS + 1), ("future", NOW_MS - WINDOW_MS - 1)):
        yield request_case(f"clock-stale-{name}", good, "stale_timestamp", now_ms=now)
    claimed = (good.salt.hex(),)
    yield request_case("clock-replayed", good, "replayed_nonce", claimed=claimed)
    late = NOW_MS + WINDOW_MS + 1
    yield noted(
        request_case(
            "clock-replayed-and-stale", good, "replayed_nonce", now_ms=late, claimed=claimed
        ),
        "A replay gets no sealed refusal, even if it is stale as well.",
    )
    yield request_case("session-expired", good, "decryption_failed", {"expires_ms": NOW_MS})
    top = {"top": 5000, "seen": [5000, 4999, 4500]}
    for value, expect in (
        (5001, "ok"),
        (4998, "ok"),
        (5000 - 1023, "ok"),
        (5000 - 1024, "replayed_nonce"),
        (5000, "replayed_nonce"),
        (4500, "replayed_nonce"),
        (0, "replayed_nonce"),
        (MAX_VALUE, "ok"),
    ):
        message = Message(REQUEST, fresh="counter", value=value, seed="counter")
        yield request_case(f"counter-{value}", message, expect, window=top)
    forged = Message(REQUEST, fresh="counter", value=9000, key=bytes(32))
    yield request_case("counter-far-with-a-bad-tag", forged, "decryption_failed", window=top)


def _requests_of_a_long_epoch() -> Iterator[Case]:
    good = Message(REQUEST, epoch=2, seed="long epoch")
    following = Message(REQUEST, epoch=3, seed="long epoch")
    over = {"epoch_until_ms": NOW_MS - 1}
    twice = {**over, "extended": 1}
    yield request_case("epoch-at-its-end", good, session={"epoch_until_ms": NOW_MS, "extended": 1})
    yield request_case("epoch-over", good, session=over, moved=True)
    yield request_case("epoch-over-twice", good, "stale_epoch", session=twice)
    yield request_case(
        "epoch-over-twice-and-stale",
        good,
        "stale_timestamp",
        session=twice,
        now_ms=NOW_MS + WINDOW_MS + 1,
    )
    behind = {**keys_json(good), **twice}
    yield request_case("epoch-after-a-long-one", following, session=behind, moved=True)


def _requests_of_other_epochs() -> Iterator[Case]:
    for suite in NUMBERS:
        third = Message(REQUEST, suite, epoch=3, seed="epoch")
        previous = {
            "previous_c2s_hex": third.key_of_epoch.hex(),
            "previous_s2c_hex": keys_json(third)["s2c_hex"],
            "previous_until_ms": NOW_MS,
        }
        past = previous | {"previous_until_ms": NOW_MS - 1}
        for name, at, more, expect in (
            ("next", 2, {}, "ok"),
            ("two-ahead", 1, {}, "decryption_failed"),
            ("one-back", 4, previous, "ok"),
            (
                "one-back-too-late",
                4,
                past,
                "decryption_failed",
            ),
            ("one-back-forgotten", 4, {}, "decryption_failed"),
            ("two-back", 5, previous, "decryption_failed"),
        ):
            session = {**keys_json(third, at), **more}
            yield request_case(
                f"{suite}-epoch-{name}", third, expect, session, moved=name == "next"
            )


def requests_that_are_none() -> Iterator[Case]:
    malformed = "malformed"
    good = Message(REQUEST, seed="none")
    long = Message(REQUEST, "rsa-gcm", seed="none")
    for name, message, expect in (
        ("magic", replace(good, magic=b"CG2"), malformed),
        ("suite-0", replace(good, suite_number=256), "unsupported_suite"),
        ("suite-3", replace(good, suite_number=3), "unsupported_suite"),
        ("kind-0", replace(good, kind=0), malformed),
        ("kind-4-of-streams", replace(good, kind=4), "decryption_failed"),
        ("kind-5-without-request-tag", replace(good, kind=5), malformed),
        ("kind-6-of-sockets", replace(good, kind=6), "decryption_failed"),
        ("kind-7", replace(good, kind=7), malformed),
        ("request-with-a-request-tag", replace(good, request_tag=bytes(16)), malformed),
        ("response-without-a-request-tag", replace(good, kind=2), malformed),
        ("fresh-3", replace(good, fresh_number=3), malformed),
        ("value-2-to-53", replace(good, value=2**53), malformed),
        ("value-2-to-64-minus-1", replace(good, value=2**64 - 1), malformed),
    ):
        yield request_case(f"header-{name}", message, expect)
    for name, message, changes in (
        ("header-of-66", good, {"header": good.header[:-1]}),
        ("header-empty", good, {"header": b""}),
        ("header-missing", good, {"header": ...}),
        ("salt-of-15", good, {"salt": bytes(15)}),
        ("salt-missing", good, {"salt": ...}),
        ("sealed-of-15", good, {"sealed": bytes(15)}),
        ("sealed-text", good, {"sealed": "text"}),
        ("wrapped-in-ecdh-gcm", good, {"wrapped": bytes(256)}),
        ("wrapped-missing-in-rsa-gcm", long, {"wrapped": ...}),
        ("wrapped-of-255", long, {"wrapped": bytes(255)}),
        ("wrapped-of-513", long, {"wrapped": bytes(513)}),
        ("member-unknown", good, {"more": 1}),
    ):
        for form in ("json", "msgpack"):
            case = replace(message, form=form)
            yield request_case(f"{name}-{form}", case, malformed, changes=changes)
    for name, inside in (
        ("nil", b"\xc0"),
        ("empty", b""),
        ("three-items", msgpack(REQUEST[:3])),
        ("five-items", msgpack([*REQUEST, 1])),
        ("body-text", msgpack([*REQUEST[:3], "text"])),
        ("method-connect", msgpack(["CONNECT", *REQUEST[1:]])),
        ("target-of-another-host", msgpack(["GET", "//host/", [], b""])),
        ("headers-map", msgpack(["GET", "/", {"A": "b"}, b""])),
        ("header-with-newline", msgpack(["GET", "/", [["A", "b\r\nC: d"]], b""])),
        ("trailing-byte", msgpack(REQUEST) + b"\x01"),
        ("response", msgpack(RESPONSE)),
    ):
        message = Message(raw_plaintext=inside, seed=f"inside {name}")
        yield request_case(f"inside-{name}", message, malformed)


def response_case(
    name: str,
    asked: Message,
    answer: Message,
    expect: str = "ok",
    changes: Json | None = None,
    elapsed_ms: int = 0,
    kind: str = "open_sealed_response",
    output: Json | None = None,
) -> Case:
    """The client that sent ``asked`` receives a response."""
    given: Json = {
        "keys": keys_json(asked),
        "request": asked.wire(),
        "elapsed_ms": elapsed_ms,
        "message": answer.wire(**(changes or {})),
    }
    if expect == "ok" and output is None:
        status, headers, body = answer.plaintext
        output = {"response": [status, headers, body.hex()]}
    return finish(f"message-response-{name}", kind, asked.suite, given, expect, output or {})


def answer_to(asked: Message, plaintext: Any = RESPONSE, **changes: Any) -> Message:
    value = NOW_MS + 5 if asked.fresh == "clock" else asked.value
    answer = replace(
        asked,
        plaintext=plaintext,
        kind=2,
        value=value,
        request_tag=asked.sealed[-16:],
        seed=asked.seed + " answer",
    )
    return replace(answer, **changes)


def responses() -> Iterator[Case]:
    for suite in NUMBERS:
        for fresh in FRESH:
            for form in ("json", "msgpack"):
                value = NOW_MS if fresh == "clock" else 7
                asked = Message(REQUEST, suite, fresh, form, value=value, epoch=1, seed="asked")
                yield response_case(f"{suite}-{fresh}-{form}", asked, answer_to(asked))
        yield from _spoilt_responses(suite)
    clock = Message(REQUEST, seed="refused")
    yield from _refusals(clock)


def _spoilt_responses(suite: str) -> Iterator[Case]:
    asked = Message(REQUEST, suite, seed=f"asked of {suite}")
    good = answer_to(asked)
    refused = "decryption_failed"
    for name, answer in (
        ("to-another-request", replace(good, request_tag=bytes(16))),
        ("the-request-reflected", asked),
        ("sealed-by-the-other-direction", replace(good, key=asked.root)),
        ("of-another-session", replace(good, sid=bytes(16))),
        ("of-the-next-epoch", replace(good, epoch=1)),
        ("with-a-counter", replace(good, fresh_number=2)),
    ):
        yield response_case(f"{suite}-{name}", asked, answer, refused)
    for name, part, bit in (
        ("sealed-bit", "sealed", 0),
        ("tag-bit", "sealed", -1),
        ("salt-bit", "salt", 5),
        ("header-kind-bit", "header", 47),
        ("header-value-bit", "header", 279),
        ("header-request-tag-bit", "header", -1),
    ):
        changed = {part: flip(good.members()[part], bit)}
        yield response_case(f"{suite}-{name}", asked, good, refused, changed)
    counted = Message(REQUEST, suite, "counter", value=7, seed=f"counted {suite}")
    another = answer_to(counted, value=8)
    yield response_case(f"{suite}-with-another-number", counted, another, refused)
    for name, inside in (
        ("status-199", [199, [], b""]),
        ("status-600", [600, [], b""]),
        ("status-text", ["200", [], b""]),
        ("two-items", [200, []]),
        ("header-with-nul", [200, [["A", "\0"]], b""]),
    ):
        answer = answer_to(asked, inside)
        yield response_case(f"{suite}-inside-{name}", asked, answer, "malformed")


def _refusals(asked: Message) -> Iterator[Case]:
    def refusal(time_ms: int, inside_more: Json = NO_CHANGES) -> Message:
        inside = {"error": "stale_timestamp", "time_ms": time_ms, "window_ms": WINDOW_MS}
        return answer_to(asked, inside | inside_more, kind=3, value=time_ms)

    margin = WINDOW_MS + 1000
    for name, time_ms, elapsed_ms, may_retry in (
        ("clock-ahead", NOW_MS - margin - 1, 0, True),
        ("clock-ahead-by-the-margin", NOW_MS - margin, 0, False),
        ("clock-behind", NOW_MS + margin + 1, 0, True),
        ("clock-behind-by-the-margin", NOW_MS + margin, 0, False),
        ("held-back", NOW_MS + margin + 5000, 5000, False),
        ("clock-behind-and-held-back", NOW_MS + margin + 5001, 5000, True),
    ):
        yield response_case(
            f"refusal-{name}",
            asked,
            refusal(time_ms),
            elapsed_ms=elapsed_ms,
            kind="open_refusal",
            output={"server_ms": time_ms, "may_retry": may_retry},
        )
    for fresh, value in (("clock", NOW_MS), ("counter", 3)):
        late = Message(REQUEST, fresh=fresh, value=value, seed="long epoch")
        inside = {"error": "stale_epoch", "time_ms": NOW_MS, "window_ms": WINDOW_MS}
        over = answer_to(late, inside, kind=3)
        yield response_case(f"refusal-of-a-long-epoch-{fresh}", late, over, "stale_epoch")
    stale = refusal(NOW_MS + DAY_MS)
    yield response_case("refusal-is-no-response", asked, stale, "stale_timestamp")
    for name, answer in (
        ("other-error", refusal(NOW_MS, {"error": "expired"})),
        ("member-unknown", refusal(NOW_MS, {"more": 1})),
        ("time-negative", refusal(NOW_MS, {"time_ms": -1})),
        ("is-a-response", answer_to(asked, RESPONSE, kind=3)),
    ):
        yield response_case(f"refusal-{name}", asked, answer, "malformed")
    tag = stale.sealed[-16:]
    yield response_case(
        "refusal-of-another-request", asked, replace(stale, request_tag=tag), "decryption_failed"
    )
    counted = Message(REQUEST, fresh="counter", value=3)
    inside = {"error": "stale_timestamp", "time_ms": NOW_MS, "window_ms": WINDOW_MS}
    yield response_case(
        "refusal-of-a-counter", counted, answer_to(counted, inside, kind=3), "malformed"
    )


def senders() -> Iterator[Case]:
    """The exact bytes of each side. Only ecdh-gcm: OAEP draws its own random bytes."""
    for fresh in FRESH:
        for form in ("json", "msgpack"):
            value = NOW_MS if fresh == "clock" else 8
            asked = Message(REQUEST, "ecdh-gcm", fresh, form, value=value, seed="sent")
            request = [*REQUEST[:3], REQUEST[3].hex()]
            session = {
                "sid_hex": asked.sid.hex(),
                "fresh": fresh,
                "offset_ms": 250,
                "sequence": 7,
                **keys_json(asked),
            }
            yield Case(
                f"message-seal-request-{fresh}-{form}-ok",
                "seal_sealed_request",
                {
                    "session": session,
                    "request": request,
                    "now_ms": NOW_MS - 250,
                    "format": form,
                    "entropy_hex": [asked.salt.hex()],
                },
                output={"message": asked.wire()},
                suite=asked.suite,
            )
            for kind, plaintext in (
                ("response", RESPONSE),
                ("refusal", None),
            ):
                if (kind, fresh) == ("refusal", "counter"):
                    continue
                late = NOW_MS + WINDOW_MS + 1
                now = NOW_MS if kind == "response" else late
                inside = plaintext or {
                    "error": "stale_timestamp",
                    "time_ms": now,
                    "window_ms": WINDOW_MS,
                }
                value = now if fresh == "clock" else asked.value
                number = 2 if kind == "response" else 3
                answer = answer_to(asked, inside, kind=number, value=value)
                given = request_case("", asked).input | {
                    "now_ms": now,
                    "entropy_hex": [answer.salt.hex()],
                }
                if kind == "response":
                    given["response"] = [*RESPONSE[:2], RESPONSE[2].hex()]
                yield Case(
                    f"message-seal-{kind}-{fresh}-{form}-ok",
                    "seal_sealed_answer",
                    given,
                    output={"message": answer.wire()},
                    suite=asked.suite,
                )


# --- logins -------------------------------------------------------------------------------------


def logins() -> Iterator[Case]:
    for suite in NUMBERS:
        for fresh in FRESH:
            for form in ("json", "msgpack"):
                login = Login(suite, fresh, form, suites=(suite,))
                yield login.client_case(f"{suite}-{fresh}-{form}")
                yield login.server_case(f"{suite}-{fresh}-{form}")
    both = Login("rsa-gcm", suites=("rsa-gcm", "ecdh-gcm"), grant=Grant(None, NOW_MS + 90_000))
    yield both.client_case("first-of-two-suites-and-no-ticket")
    yield replace(both, grant=Grant(None)).server_case("first-of-two-suites-and-no-ticket")
    yield Login(username="J\u00f6rg \u00c5").server_case("name-beyond-ascii")
    for suite in NUMBERS:
        for form in ("json", "msgpack"):
            named = Login(suite, form=form, suites=(suite,), device="pump-7")
            yield named.client_case(f"{suite}-of-a-device-{form}")
            yield named.server_case(f"{suite}-of-a-device-{form}")
    for name, device in (("longest", "0" + "aZ9._:-" * 9), ("shortest", "z")):
        yield Login(device=device).client_case(f"of-a-device-{name}")
        yield Login(device=device).server_case(f"of-a-device-{name}")
    yield from _spoilt_server_logins()
    yield from _spoilt_client_logins()


def _spoilt_server_logins() -> Iterator[Case]:
    refused = "code_refused"
    for suite in NUMBERS:
        good = Login(suite, suites=(suite,))
        shake = good.shake
        other = replace(good, code="7K3QWXY0").shake
        for name, m4 in (
            ("another-code", other.client()),
            ("proof-last-bit", shake.client(cA=flip(shake.c_a, -1))),
            ("proof-is-the-servers", shake.client(cA=shake.c_b)),
            ("proof-is-zero", shake.client(cA=bytes(32))),
        ):
            yield good.server_case(f"{suite}-{name}", refused, M4=m4)
        yield good.server_case(f"{suite}-no-attempt-left", refused, attempt=False)
        yield good.server_case(f"{suite}-unknown-user", refused, known=False)
        # A client that has received another greeting.
        for name, seen in (
            ("another-username", replace(good, username="ada")),
            ("another-realm", replace(good, realm="evil.example")),
            ("suites-cut", replace(good, suites=("hybrid-gcm", suite))),
            ("suites-reordered", replace(good, suites=(suite, "classic"))),
            ("another-freshness", replace(good, fresh="counter")),
            ("another-expiry", replace(good, expires_s=601)),
            ("device-cut", replace(good, device="pump-7")),
            ("another-nonce-of-the-client", None),
        ):
            if seen is None:
                m0 = good.m0(cn=bytes(32))
                yield good.server_case(f"{suite}-{name}", refused, M0=m0)
            else:
                m2, m4 = seen.m2(), seen.shake.client()
                yield good.server_case(f"{suite}-{name}", refused, M2=m2, M4=m4)
        added = good.m0(device="pump-7")
        yield good.server_case(f"{suite}-device-added", refused, M0=added)
        named = replace(good, device="pump-7")
        yield named.server_case(f"{suite}-device-changed", refused, M0=named.m0(device="pump-8"))
    plain, wrapping = Login(), Login("rsa-gcm", suites=("rsa-gcm",))
    for name, login, m4, expect in (
        ("box-in-ecdh-gcm", plain, plain.shake.client(box=b"box"), "decryption_failed"),
        (
            "box-missing-in-rsa-gcm",
            wrapping,
            {"sid": wrapping.sid, "cA": wrapping.shake.c_a},
            "decryption_failed",
        ),
        (
            "box-bit",
            wrapping,
            wrapping.shake.client(box=flip(wrapping.shake.client_box, 9)),
            "decryption_failed",
        ),
        ("box-of-4097", wrapping, wrapping.shake.client(box=bytes(4097)), "malformed"),
        (
            "box-is-the-servers",
            wrapping,
            wrapping.shake.client(box=wrapping.shake.server_box),
            "decryption_failed",
        ),
    ):
        yield login.server_case(name, expect, M4=m4)
    for name, point in bad_points().items():
        expect = "malformed" if len(point) != 65 else "key_not_admitted"
        yield plain.server_case(f"share-{name}", expect, M2={"sid": plain.sid, "pA": point})
    w_m = encode_point(times(plain.w, M))
    m2 = {"sid": plain.sid, "pA": w_m}
    yield plain.server_case("share-of-w-alone", "key_not_admitted", M2=m2)
    for name, m0, expect in (
        ("version-2", plain.m0(v=2), "unsupported_suite"),
        ("version-0", plain.m0(v=0), "unsupported_suite"),
        ("suites-unknown", plain.m0(suites=["hybrid-gcm", "classic"]), "unsupported_suite"),
        ("suites-empty", plain.m0(suites=[]), "malformed"),
        ("suites-twice", plain.m0(suites=["ecdh-gcm", "ecdh-gcm"]), "malformed"),
        ("suites-17", plain.m0(suites=[f"s{i}" for i in range(17)]), "malformed"),
        ("suites-text", plain.m0(suites="ecdh-gcm"), "malformed"),
        ("suites-number", plain.m0(suites=[1]), "malformed"),
        ("version-text", plain.m0(v="1"), "malformed"),
        ("version-negative", plain.m0(v=-1), "malformed"),
        ("version-2-to-16", plain.m0(v=65536), "malformed"),
        ("username-number", plain.m0(username=7), "malformed"),
        ("username-1025-chars", plain.m0(username="a" * 1025), "malformed"),
        ("freshness-unknown", plain.m0(fresh="none"), "malformed"),
        ("freshness-number", plain.m0(fresh=1), "malformed"),
        ("nonce-of-31", plain.m0(cn=bytes(31)), "malformed"),
        ("nonce-number", plain.m0(cn=1), "malformed"),
        ("device-empty", plain.m0(device=""), "malformed"),
        ("device-65-chars", plain.m0(device="a" * 65), "malformed"),
        ("device-with-space", plain.m0(device="pump 7"), "malformed"),
        ("device-with-line-end", plain.m0(device="pump-7\n"), "malformed"),
        ("device-begins-with-dash", plain.m0(device="-pump"), "malformed"),
        ("device-begins-with-dot", plain.m0(device=".."), "malformed"),
        ("device-beyond-ascii", plain.m0(device="p\u00fcmp"), "malformed"),
        ("device-with-digit-beyond-ascii", plain.m0(device="pump-\u0667"), "malformed"),
        ("device-number", plain.m0(device=7), "malformed"),
        ("member-unknown", plain.m0(more=1), "malformed"),
        ("member-missing", {"v": 1}, "malformed"),
    ):
        for form in ("json", "msgpack"):
            login = replace(plain, form=form)
            yield login.server_case(f"hello-{name}-{form}", expect, M0=m0)


@cache
def bad_points() -> dict[str, bytes]:
    """Shares that no correct implementation sends."""
    good = encode_point(times(5, G))
    x = int.from_bytes(good[1:33])
    root_of_b = decompress(b"\x02" + bytes(32))[1]
    return {
        "zero": b"\x04" + bytes(64),
        "off-the-curve": flip(good, -1),
        "compressed": b"\x02" + good[1:33],
        "hybrid-form": b"\x06" + good[1:],
        "infinity-of-one-byte": b"\0",
        "of-66": good + b"\0",
        "of-64": good[:-1],
        "x-is-p": b"\x04" + P.to_bytes(32) + good[33:],
        # (0, sqrt(b)) is on the curve; its x can also be written as p.
        "x-0-written-as-p": b"\x04" + P.to_bytes(32) + root_of_b.to_bytes(32),
        "coordinates-all-ones": b"\x04" + b"\xff" * 64,
        "on-the-twist": b"\x04" + (x + 1).to_bytes(32) + good[33:],
        "is-m": encode_point(M),
        "is-n": encode_point(N),
    }


def _spoilt_client_logins() -> Iterator[Case]:
    for suite in NUMBERS:
        good = Login(suite, suites=(suite,))
        shake = good.shake
        other = replace(good, code="00000000")
        for name, expect, changed in (
            ("server-without-the-code", "code_refused", {"M3": {"pB": other.p_b}}),
            ("proof-last-bit", "code_refused", {"M5": shake.server(cB=flip(shake.c_b, -1))}),
            ("proof-is-our-own", "code_refused", {"M5": shake.server(cB=shake.c_a)}),
            ("session-id-changed", "code_refused", {"M1": good.m1(sid=bytes(16))}),
            ("nonce-changed", "code_refused", {"M1": good.m1(sn=bytes(32))}),
            ("expiry-changed", "code_refused", {"M1": good.m1(expires_s=60)}),
            (
                "box-bit",
                "decryption_failed",
                {"M5": shake.server(box=flip(shake.server_box, 3))},
            ),
            ("box-empty", "decryption_failed", {"M5": shake.server(box=b"")}),
            ("box-of-4097", "malformed", {"M5": shake.server(box=bytes(4097))}),
            ("share-echoed", "key_not_admitted", {"M3": {"pB": good.p_a}}),
            (
                "suite-not-offered",
                "unsupported_suite",
                {"M1": good.m1(suite={"ecdh-gcm": "rsa-gcm", "rsa-gcm": "ecdh-gcm"}[suite])},
            ),
            ("suite-unknown", "unsupported_suite", {"M1": good.m1(suite="classic")}),
        ):
            yield good.client_case(f"{suite}-{name}", expect, **changed)
    plain = Login()
    for name, point in bad_points().items():
        expect = "malformed" if len(point) != 65 else "key_not_admitted"
        yield plain.client_case(f"share-{name}", expect, M3={"pB": point})
    w_n = encode_point(times(plain.w, N))
    yield plain.client_case("share-of-w-alone", "key_not_admitted", M3={"pB": w_n})
    for name, m1 in (
        ("member-missing", {"sid": plain.sid}),
        ("classic-token", {"token": "00112233-4455-6677-8899-aabbccddeeff"}),
        ("expiry-2-to-32", plain.m1(expires_s=2**32)),
        ("sid-of-15", plain.m1(sid=bytes(15))),
    ):
        yield plain.client_case(f"greeting-{name}", "malformed", M1=m1)
    for name, grant in (
        ("session-of-13-hours", Grant(session_s=43201)),
        ("time-2-to-53", Grant(time_ms=2**53)),
    ):
        bad = Login(grant=grant)
        yield bad.client_case(f"box-{name}", "malformed")


def resumptions() -> Iterator[Case]:
    for suite in NUMBERS:
        for fresh in FRESH:
            for form in ("json", "msgpack"):
                resumption = Resumption(suite, fresh, form)
                yield resumption.client_case(f"{suite}-{fresh}-{form}")
                yield resumption.server_case(f"{suite}-{fresh}-{form}")
    good = Resumption()
    shake = good.shake
    again = {"used_hex": good.ticket.hex(), "next_hex": stream("lost", 16).hex()}
    yield good.server_case("answer-lost-same-ticket", chain=again)
    spent = {"used_hex": stream("later", 16).hex(), "next_hex": stream("latest", 16).hex()}
    refused = "ticket_refused"
    yield good.server_case("spent-ticket", "ticket_returned", chain=spent)
    wrong = shake.client(cA=flip(shake.c_a, 0))
    yield noted(
        good.server_case("spent-ticket-without-proof", refused, chain=spent, R3=wrong),
        "A client that knows the ticket but not its secret must not revoke the chain.",
    )
    yield good.server_case("chain-expired", refused, chain={"expires_ms": NOW_MS - 1})
    yield good.server_case("chain-revoked", refused, chain=None)
    for name, r3 in (
        ("proof-last-bit", shake.client(cA=flip(shake.c_a, -1))),
        ("proof-is-the-servers", shake.client(cA=shake.c_b)),
    ):
        yield good.server_case(name, refused, R3=r3)
    for name, r1, expect in (
        ("suite-of-another", good.r1(suite="rsa-gcm"), refused),
        ("suite-unknown", good.r1(suite="classic"), "unsupported_suite"),
        ("version-2", good.r1(v=2), "unsupported_suite"),
        ("nonce-changed", good.r1(cn=bytes(32)), refused),
        ("freshness-changed", good.r1(fresh="counter"), refused),
        ("ticket-of-15", good.r1(ticket=bytes(15)), "malformed"),
        ("member-unknown", good.r1(more=1), "malformed"),
    ):
        yield good.server_case(f"hello-{name}", expect, R1=r1)
    unusable = ("is-m", "is-n")
    for name, point in bad_points().items():
        if name not in unusable:
            expect = "malformed" if len(point) != 65 else "key_not_admitted"
            yield good.server_case(f"point-{name}", expect, R1=good.r1(eC=point))
            yield good.client_case(f"point-{name}", expect, R2=good.r2(eS=point))
    for name, expect, changed in (
        ("proof-last-bit", refused, {"R4": shake.server(cB=flip(shake.c_b, -1))}),
        ("proof-is-our-own", refused, {"R4": shake.server(cB=shake.c_a)}),
        ("session-id-changed", refused, {"R2": good.r2(sid=bytes(16))}),
        ("nonce-changed", refused, {"R2": good.r2(sn=bytes(32))}),
        ("point-echoed", "key_not_admitted", {"R2": good.r2(eS=good.e_c)}),
        ("box-bit", "decryption_failed", {"R4": shake.server(box=flip(shake.server_box, 3))}),
    ):
        yield good.client_case(name, expect, **changed)


# --- parts --------------------------------------------------------------------------------------


def spake2s() -> Iterator[Case]:
    for index, vector in enumerate(RFC_VECTORS, 1):
        given = {key: vector[key] for key in ("idA", "idB", "w_hex", "x_hex", "y_hex")}
        output = {key: value for key, value in vector.items() if key not in given}
        yield Case(f"spake2-rfc9382-{index}-ok", "spake2", given, output=output)
    for name, point in bad_points().items():
        given = {"share_hex": point.hex()}
        yield Case(f"spake2-share-{name}", "spake2_share", given, "key_not_admitted")
    share = encode_point(times(7, G)).hex()
    yield Case("spake2-share-ok", "spake2_share", {"share_hex": share}, output={"share_hex": share})


def key_schedule() -> Iterator[Case]:
    login = Login()
    for name, typed in (
        ("as-printed", "7K3Q-WXYZ"),
        ("lower-case-and-spaces", " 7k3q wxyz "),
    ):
        given = {
            "typed": typed,
            "suite": login.suite,
            "username": login.username,
            "sid_hex": login.sid.hex(),
            "sn_hex": login.sn.hex(),
        }
        yield Case(f"code-{name}-ok", "code_scalar", given, output={"w_hex": f"{login.w:064x}"})
    look_alike = given | {"typed": "OIL0-0000"}
    as_digits = replace(login, code="01100000")
    output = {"w_hex": f"{as_digits.w:064x}"}
    yield Case("code-look-alikes-ok", "code_scalar", look_alike, output=output)
    for name, typed in (
        ("of-7", "7K3QWXY"),
        ("of-9", "7K3QWXYZ0"),
        ("of-26", "0123456789ABCDEFGHJKMNPQRS"),
        ("empty", ""),
        ("with-u", "7K3QWXYU"),
        ("cyrillic", "7\u041a3QWXYZ"),
        ("dotless-i", "7K3QWXY\u0131"),
        ("with-mark", "7K3QWXYZ\u0301"),
    ):
        yield Case(f"code-{name}", "code_scalar", given | {"typed": typed}, "code_refused")
    for suite in NUMBERS:
        key = stream("rekey", 32)
        given = {"suite": suite, "c2s_hex": key.hex(), "s2c_hex": key[::-1].hex()}
        output = {
            "c2s_hex": next_key(suite, key).hex(),
            "s2c_hex": next_key(suite, key[::-1]).hex(),
        }
        yield Case(f"rekey-{suite}-ok", "rekey", given, output=output)


def exports() -> Iterator[Case]:
    """Values of the exporter, after a login and after a resumption."""
    for suite in NUMBERS:
        for way, shake in (("login", Login(suite).shake), ("resumption", Resumption(suite).shake)):
            secret = shake.session.export
            for name, label, context, length in (
                ("empty-context", "shop.example device", b"", 32),
                ("context", "shop.example device", b"enrol", 32),
                ("shortest", "a", b"\x00", 16),
                ("other-length", "a", b"\x00", 17),
                ("label-of-128", " ~" * 64, stream("context", 300), 100),
            ):
                given = {
                    "suite": suite,
                    "export_hex": secret.hex(),
                    "label": label,
                    "context_hex": context.hex(),
                    "length": length,
                }
                value = exported(suite, secret, label, context, length)
                output = {"value_hex": value.hex()}
                yield Case(f"export-{suite}-{way}-{name}-ok", "export", given, output=output)


RFC_VECTORS: list[Json] = [
    {
        "idA": "server",
        "idB": "client",
        "w_hex": "2ee57912099d31560b3a44b1184b9b4866e904c49d12ac5042c97dca461b1a5f",
        "x_hex": "43dd0fd7215bdcb482879fca3220c6a968e66d70b1356cac18bb26c84a78d729",
        "y_hex": "dcb60106f276b02606d8ef0a328c02e4b629f84f89786af5befb0bc75b6e66be",
        "pA_hex": "04a56fa807caaa53a4d28dbb9853b9815c61a411118a6fe516a8798434751470f9"
        "010153ac33d0d5f2047ffdb1a3e42c9b4e6be662766e1eeb4116988ede5f912c",
        "pB_hex": "0406557e482bd03097ad0cbaa5df82115460d951e3451962f1eaf4367a420676d0"
        "9857ccbc522686c83d1852abfa8ed6e4a1155cf8f1543ceca528afb591a1e0b7",
        "K_hex": "0412af7e89717850671913e6b469ace67bd90a4df8ce45c2af19010175e37eed69"
        "f75897996d539356e2fa6a406d528501f907e04d97515fbe83db277b715d3325",
        "Ke_hex": "0e0672dc86f8e45565d338b0540abe69",
        "cA_hex": "58ad4aa88e0b60d5061eb6b5dd93e80d9c4f00d127c65b3b35b1b5281fee38f0",
        "cB_hex": "d3e2e547f1ae04f2dbdbf0fc4b79f8ecff2dff314b5d32fe9fcef2fb26dc459b",
    },
    {
        "idA": "",
        "idB": "client",
        "w_hex": "0548d8729f730589e579b0475a582c1608138ddf7054b73b5381c7e883e2efae",
        "x_hex": "403abbe3b1b4b9ba17e3032849759d723939a27a27b9d921c500edde18ed654b",
        "y_hex": "903023b6598908936ea7c929bd761af6039577a9c3f9581064187c3049d87065",
        "pA_hex": "04a897b769e681c62ac1c2357319a3d363f610839c4477720d24cbe32f5fd85f44"
        "fb92ba966578c1b712be6962498834078262caa5b441ecfa9d4a9485720e918a",
        "pB_hex": "04e0f816fd1c35e22065d5556215c097e799390d16661c386e0ecc84593974a61b"
        "881a8c82327687d0501862970c64565560cb5671f696048050ca66ca5f8cc7fc",
        "K_hex": "048f83ec9f6e4f87cc6f9dc740bdc2769725f923364f01c84148c049a39a735ebd"
        "a82eac03e00112fd6a5710682767cff5361f7e819e53d8d3c3a2922e0d837aa6",
        "Ke_hex": "642f05c473c2cd79909f9a841e2f30a7",
        "cA_hex": "47d29e6666af1b7dd450d571233085d7a9866e4d49d2645e2df975489521232b",
        "cB_hex": "3313c5cefc361d27fb16847a91c2a73b766ffa90a4839122a9b70a2f6bd1d6df",
    },
]


def windows() -> Iterator[Case]:
    for name, values, taken in (
        ("in-order", [1, 2, 3], [True] * 3),
        ("zero-is-taken", [0, 1, 0], [False, True, False]),
        ("each-once", [5, 5, 3, 3, 4], [True, False, True, False, True]),
        ("edge", [2000, 977, 976, 2001, 978, 977], [True, True, False, True, True, False]),
        ("far-ahead", [1, MAX_VALUE, 1, MAX_VALUE - 1023], [True, True, False, True]),
        ("by-the-width", [1, 1025, 1, 2], [True, True, False, True]),
        ("by-the-width-and-one", [1, 2, 1026, 2, 3], [True, True, True, False, True]),
    ):
        yield Case(f"window-{name}-ok", "window", {"values": values}, output={"taken": taken})


def msgpacks() -> Iterator[Case]:
    for name, value in (
        ("request", ["GET", "/", [["A", "b"]], ""]),
        ("numbers", [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53]),
        ("texts", ["", "a" * 31, "a" * 32, "a" * 255, "a" * 256, "\u00e9\U0001f600"]),
        ("map", {"a": 1, "": {"b": [2]}}),
        ("items-128", list(range(128))),
        ("depth-4", [[[[1]]]]),
        ("negative", [-1, -32]),
    ):
        output = {"value": value}
        text = msgpack(value)
        yield Case(f"msgpack-{name}-ok", "parse_msgpack", {"hex": text.hex()}, output=output)
    for name, spelled in (
        ("empty", ""),
        ("nil", "c0"),
        ("never-used", "c1"),
        ("true", "c3"),
        ("float", "ca3f800000"),
        ("double", "cb3ff0000000000000"),
        ("extension", "d40100"),
        ("timestamp", "d6ff00000000"),
        ("extension-of-any-size", "c70001"),
        ("float-inside", "91ca3f800000"),
        ("nil-in-a-map", "81a161c0"),
        ("number-too-long", "cc7f"),
        ("number-in-64-bits", "cf0000000000000001"),
        ("positive-as-signed", "d001"),
        ("text-too-long", "d90161"),
        ("bytes-too-long", "c5000161"),
        ("array-too-long", "dc000101"),
        ("map-too-long", "de0001a16101"),
        ("name-twice", "82a16101a16101"),
        ("name-twice-other-values", "82a16101a16102"),
        ("name-number", "810101"),
        ("name-bytes", "81c4016101"),
        ("text-not-utf-8", "a1ff"),
        ("text-overlong-utf-8", "a2c080"),
        ("text-surrogate", "a3eda080"),
        ("trailing-byte", "0101"),
        ("array-cut", "9201"),
        ("text-cut", "a261"),
        ("array-claims-2-to-32", "ddffffffff"),
        ("map-claims-2-to-32", "dfffffffff"),
        ("bytes-claim-2-to-32", "c6ffffffff"),
        ("items-129", "dc0081" + "01" * 129),
        ("depth-5", "919191919101"),
        ("depth-of-maps-5", "81a161" * 5 + "01"),
        ("depth-2000", "91" * 2000 + "01"),
        ("number-above-64-bits", "d3ffffffff"),
    ):
        yield Case(f"msgpack-{name}", "parse_msgpack", {"hex": spelled}, "malformed")


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name and its content."""
    login_cases, resumption_cases = list(logins()), list(resumptions())

    def of_kind(cases: list[Case], kind: str) -> list[Case]:
        return [case for case in cases if case.kind == kind]

    return {
        "hardened_client_logins": Subject(
            "Logins at the client, with every message that it gets.",
            of_kind(login_cases, "client_login"),
        ),
        "hardened_server_logins": Subject(
            "Logins at the server, with every message that it gets.",
            of_kind(login_cases, "server_login"),
        ),
        "hardened_client_resumptions": Subject(
            "Resumptions at the client, with every message that it gets.",
            of_kind(resumption_cases, "client_resumption"),
        ),
        "hardened_server_resumptions": Subject(
            "Resumptions at the server, with every message that it gets.",
            of_kind(resumption_cases, "server_resumption"),
        ),
        "hardened_requests": Subject(
            "Sealed requests that reach the server, and one fault in each part.", requests()
        ),
        "hardened_request_order": Subject(
            "Requests that are replayed, stale, out of order, or from another epoch.",
            requests_in_order(),
        ),
        "hardened_request_shapes": Subject(
            "Bodies that are not sealed requests, and plaintexts that are not HTTP requests.",
            requests_that_are_none(),
        ),
        "hardened_responses": Subject(
            "Sealed responses and refusals that reach the client.", responses()
        ),
        "hardened_sent_messages": Subject(
            "What each side writes, byte for byte. Only in ecdh-gcm, because OAEP draws random "
            "bytes of its own.",
            senders(),
        ),
        "hardened_spake2": Subject(
            "The vectors of RFC 9382, and shares that are not valid.", spake2s()
        ),
        "hardened_key_schedule": Subject(
            "From a typed code to a scalar, and from an epoch to the next.", key_schedule()
        ),
        "hardened_exporter": Subject(
            "Values of the exporter, after a login and after a resumption.", exports()
        ),
        "hardened_replay_window": Subject(
            "Which of the counters are accepted, one after the other.", windows()
        ),
        "hardened_msgpack": Subject(
            "The part of MessagePack that messages use, in its shortest form.", msgpacks()
        ),
    }
