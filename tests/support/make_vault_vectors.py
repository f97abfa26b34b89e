"""Makes the vectors of the vault (VAULT.md); ``make_vectors.py`` runs it too.

Every value comes from ``vault_reference``. ``make_vault_bodies`` makes the bodies of the routes.
Longer than other modules because each group of cases is a list.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import make_vault_bodies
import make_vault_envelopes
import make_vault_index
import make_vault_tokens
from hardened_reference import ORDER, M, N, finish, gcm, msgpack, scalar, times
from make_vectors import flip, stream
from vault_reference import (
    EXPORT,
    PAGE_BYTES,
    RECORD_BYTES,
    Password,
    Secret,
    Unlock,
    User,
    code,
    export_key,
    in_groups,
    padded,
    public_key,
    request,
    revision,
    sha256,
    sign,
    statement,
)
from vector_files import Case, Json, Subject

ADA = User()
OTHERS = {
    "another-user": replace(ADA, username="bob"),
    "another-realm": replace(ADA, realm="other.example"),
    "another-key": replace(ADA, n=bytes(32)),
}
IV = stream("vault iv", 12)
SALT = stream("vault salt", 16)
EXPORTED = stream("vault exported", 32)
DEVICE = stream("vault device", 16)
LENGTHS = {"recovery": 20, "temporary": 16, "device": 32}
P25519 = 2**255 - 19
L25519 = 2**252 + 27742317777372353535851937790883648493


def vault(name: str, kind: str, given: Json, output: Json | str) -> Case:
    """A test of the kind ``vault_``… ; ``output`` is the error if the test is a failure."""
    expect = output if isinstance(output, str) else "ok"
    members = {} if isinstance(output, str) else output
    return finish(f"vault-{name}", f"vault_{kind}", None, given, expect, members)


def secret_of(kind: str, user: User = ADA) -> Secret:
    return Secret(user, kind, stream(f"vault {kind}", LENGTHS[kind]))


# --- keys and statements -------------------------------------------------------------------------


def accounts() -> Iterator[Case]:
    users = {
        "ada": ADA,
        **OTHERS,
        "names-in-unicode": User("zo\xeb\U0001f600", "\u0434\u043e\u043c"),
    }
    # Without lengths, these two would be one account.
    users |= {"names-1": User("ab", "c"), "names-2": User("b", "ca"), "no-realm": User("ada", "")}
    for name, user in users.items():
        given = {"username": user.username, "realm": user.realm, "n_hex": user.n.hex()}
        output = {
            "account_hex": user.account.hex(),
            "head_hex": public_key(user.key("head")).hex(),
            "note_key_hex": user.key("note").hex(),
            "devices_key_hex": user.key("devices").hex(),
        }
        yield vault(f"account-{name}", "account", given, output)
        for kind in LENGTHS:
            secret = secret_of(kind, user)
            given = {
                "username": user.username,
                "realm": user.realm,
                "secret_kind": kind,
                "secret_hex": secret.secret.hex(),
            }
            output = {"kek_hex": secret.kek.hex(), "proof_hex": public_key(secret.seed).hex()}
            yield vault(f"{kind}-keys-{name}", "secret_keys", given, output)
    first, second = b"", sha256(b"before")
    for name, before, body in (
        ("new", first, b"body"),
        ("empty-body", first, b""),
        ("next", second, b"body"),
        ("next-empty-body", second, b""),
        ("next-long-body", second, bytes(300)),
    ):
        given = {"before_hex": before.hex(), "body_hex": body.hex()}
        output = {"revision_hex": revision(before, body).hex()}
        yield vault(f"revision-{name}", "revision", given, output)


def statements() -> Iterator[Case]:
    head, proof = ADA.key("head"), secret_of("recovery").seed
    head_key, proof_key = public_key(head), public_key(proof)
    account, target = ADA.account, "/vault/note?x=%2F"
    body, before = msgpack({"previous": b"", "note": b"n"}), revision(b"", b"body")
    named: list[tuple[str, bytes, Json, bytes]] = []

    def add(name: str, seed: bytes, data: bytes, **given: Any) -> None:
        named.append((name, seed, given, data))

    common = {"exported_hex": EXPORTED.hex(), "account_hex": account.hex()}
    for kind in LENGTHS:
        subject = DEVICE if kind == "device" else b""
        data = statement("proof", EXPORTED, account, kind.encode(), subject)
        members = {"secret_kind": kind, "subject_hex": subject.hex()}
        add(f"proof-{kind}", secret_of(kind).seed, data, statement="proof", **common, **members)
    for name, method, content in (("put", "PUT", body), ("get", "GET", b"")):
        members = {"method": method, "target": target, "body_hex": content.hex()}
        data = request(EXPORTED, account, method, target, content)
        add(f"request-{name}", head, data, statement="request", **common, **members)
    created = statement("create", EXPORTED, account, head_key, proof_key)
    members = {"head_hex": head_key.hex(), "proof_hex": proof_key.hex()}
    add("create-by-head", head, created, statement="create", **common, **members)
    add("create-by-proof", proof, created, statement="create", **common, **members)
    typed = statement("typed", EXPORTED, account, proof_key)
    add("typed", proof, typed, statement="typed", **common, proof_hex=proof_key.hex())
    rekeyed = statement("rekey", account, before, head_key)
    members = {"account_hex": account.hex(), "revision_hex": before.hex()}
    add("rekey", head, rekeyed, statement="rekey", **members, head_hex=head_key.hex())
    for name, seed, given, data in named:
        signature = sign(seed, data)
        output = {
            "statement_hex": data.hex(),
            "public_hex": public_key(seed).hex(),
            "signature_hex": signature.hex(),
        }
        yield vault(f"statement-{name}", "statement", {**given, "seed_hex": seed.hex()}, output)
    yield from signatures(head, request(EXPORTED, account, "PUT", target, body))
    good = sign(head, request(EXPORTED, account, "PUT", target, body))
    for name, data in {
        "another-session": request(bytes(32), account, "PUT", target, body),
        "another-account": request(EXPORTED, OTHERS["another-user"].account, "PUT", target, body),
        "another-method": request(EXPORTED, account, "POST", target, body),
        "another-target": request(EXPORTED, account, "PUT", "/vault/note", body),
        "another-body": request(EXPORTED, account, "PUT", target, b""),
        "moved-boundary": request(EXPORTED, account, "PU", "T" + target, body),
    }.items():
        yield verify(f"request-of-{name}", head_key, data, good)
    good = sign(proof, statement("proof", EXPORTED, account, b"recovery", b""))
    for name, data in {
        "another-session": statement("proof", bytes(32), account, b"recovery", b""),
        "another-kind": statement("proof", EXPORTED, account, b"temporary", b""),
        "another-subject": statement("proof", EXPORTED, account, b"recovery", DEVICE),
        "a-typed-code": statement("typed", EXPORTED, account, proof_key),
        "a-creation": created,
    }.items():
        yield verify(f"proof-as-{name}", proof_key, data, good)
    good = sign(head, rekeyed)
    for name, data in {
        "another-revision": statement("rekey", account, sha256(b"other"), head_key),
        "another-head": statement("rekey", account, before, proof_key),
        "a-typed-code": statement("typed", account, before, head_key),
    }.items():
        yield verify(f"rekey-of-{name}", head_key, data, good)


def verify(name: str, key: bytes, data: bytes, signature: bytes, expect: Any = "refused") -> Case:
    given = {"public_hex": key.hex(), "data_hex": data.hex(), "signature_hex": signature.hex()}
    return vault(f"signature-{name}", "verify", given, expect)


def signatures(seed: bytes, data: bytes) -> Iterator[Case]:
    key, good = public_key(seed), sign(seed, data)
    yield verify("good", key, data, good, {})
    s = int.from_bytes(good[32:], "little")
    larger = (s + L25519).to_bytes(32, "little")
    for name, signature in {
        "first-bit": flip(good, 0),
        "r-last-bit": flip(good, 255),
        "s-first-bit": flip(good, 256),
        "last-bit": flip(good, -1),
        "empty": b"",
        "short": good[:-1],
        "long": good + b"\0",
        "of-zeros": bytes(64),
        "s-not-reduced": good[:32] + larger,
        "halves-swapped": good[32:] + good[:32],
    }.items():
        yield verify(name, key, data, signature)
    for name, other in {
        "flipped": flip(key, 0),
        "of-another": public_key(bytes(32)),
        "short": key[:-1],
        "long": key + b"\0",
        "empty": b"",
    }.items():
        yield verify(f"key-{name}", other, data, good)
    # With R = s*B, this signature is valid under every key A for which h*A is the neutral point.
    forged = (1).to_bytes(32, "little") + bytes(32)
    for name, y in (
        ("order-1", 1),
        ("order-2", P25519 - 1),
        ("order-4", 0),
        ("order-8-a", 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826),
        ("order-8-b", 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7),
        ("order-1-not-canonical", P25519 + 1),
        ("order-4-not-canonical", P25519),
        ("not-canonical", P25519 + 3),
    ):
        for sign_bit in (0, 1):
            encoded = (y | sign_bit << 255).to_bytes(32, "little")
            yield verify(f"key-of-{name}-{sign_bit}", encoded, data, forged)


# --- passwords -----------------------------------------------------------------------------------


def passwords() -> Iterator[Case]:
    def derive(
        name: str, typed: str, nfc: str | None, kdf: int = 2, user: User = ADA, salt: bytes = SALT
    ) -> Case:
        """``nfc`` is the text in NFC, or None if the password is refused."""
        given = {
            "username": user.username,
            "realm": user.realm,
            "password": typed,
            "salt_hex": salt.hex(),
            "kdf": kdf,
        }
        if nfc is None:
            return vault(f"password-{name}", "password", given, "malformed")
        if kdf not in (1, 2):
            return vault(f"password-{name}", "password", given, "weak_kdf")
        password = Password(user, nfc, salt, kdf)
        output = {
            "w0_hex": password.halves[0].to_bytes(32).hex(),
            "w1_hex": password.halves[1].to_bytes(32).hex(),
            "l_hex": password.big_l.hex(),
            "kek_hex": password.kek.hex(),
        }
        return vault(f"password-{name}", "password", given, output)

    plain = "correct horse battery staple"
    yield derive("kdf-1", plain, plain, 1)
    yield derive("kdf-2", plain, plain)
    yield derive("nfd", "Zoe\u0308 \u1100\u1161", "Zo\xeb \uac00")
    yield derive("nfc", "Zo\xeb \uac00", "Zo\xeb \uac00")
    yield derive("not-nfkc", "\ufb01 \uff11", "\ufb01 \uff11")
    yield derive("singleton", "\u212b", "\xc5")
    yield derive("not-trimmed", " a\t\n", " a\t\n")
    yield derive("zero-character", "a\0b", "a\0b")
    yield derive("one-character", "\U0001f511", "\U0001f511")
    yield derive("1024-characters", "\U0001f511" * 1024, "\U0001f511" * 1024)
    yield derive("1024-after-nfc", "e\u0301" * 1024, "\xe9" * 1024)
    yield derive("another-salt", plain, plain, salt=bytes(16))
    yield derive("another-user", plain, plain, user=OTHERS["another-user"])
    yield derive("another-realm", plain, plain, user=OTHERS["another-realm"])
    yield derive("empty", "", None)
    yield derive("1025-characters", "a" * 1025, None)
    # Composition exclusion: this character has two characters in NFC.
    yield derive("1025-after-nfc", "\u0958" + "a" * 1023, None)
    yield derive("high-surrogate", "a\ud83d", None)
    yield derive("low-surrogate", "\udd11a", None)
    for kdf in (0, 3, 255):
        yield derive(f"kdf-{kdf}", plain, plain, kdf)


SIDES = {"P": M, "V": N}

# RFC 9383, appendix C: P256-SHA256-HKDF-SHA256-HMAC-SHA256.
RFC = Unlock(
    b"SPAKE2+-P256-SHA256-HKDF-SHA256-HMAC-SHA256 Test Vectors",
    b"client",
    b"server",
    0xBB8E1BBCF3C48F62C08DB243652AE55D3E5586053FCA77102994F23AD95491B3,
    0x7E945F34D78785B8A3EF44D0DF5A1A97D6B3B460409A345CA7830387A74B1DBA,
    0xD1232C8E8693D02368976C174E2088851B8365D0D79A9EEE709C6A05A2FAD539,
    0x717A72348A182085109C8D3917D6C43D59B224DC6A7FC4F0483232FA6516D8B3,
)
# The values that the RFC prints.
RFC_OUTPUT = {
    "shareP_hex": "04ef3bd051bf78a2234ec0df197f7828060fe9856503579bb1733009042c15c0c1"
    "de127727f418b5966afadfdd95a6e4591d171056b333dab97a79c7193e341727",
    "shareV_hex": "04c0f65da0d11927bdf5d560c69e1d7d939a05b0e88291887d679fcadea75810fb"
    "5cc1ca7494db39e82ff2f50665255d76173e09986ab46742c798a9a68437b048",
    "confirmP_hex": "926cc713504b9b4d76c9162ded04b5493e89109f6d89462cd33adc46fda27527",
    "confirmV_hex": "9747bcc4f8fe9f63defee53ac9b07876d907d55047e6ff2def2e7529089d3e68",
    "shared_hex": "0c5f8ccd1413423a54f6c1fb26ff01534a87f893779c6e68666d772bfd91f3e7",
}


def runs() -> Iterator[Case]:
    def given(run: Unlock, **changes: str) -> Json:
        return {
            "context_hex": run.context.hex(),
            "prover_hex": run.prover.hex(),
            "verifier_hex": run.verifier.hex(),
            "w0_hex": run.w0.to_bytes(32).hex(),
            "w1_hex": run.w1.to_bytes(32).hex(),
            "x_hex": run.x.to_bytes(32).hex(),
            "y_hex": run.y.to_bytes(32).hex(),
            **changes,
        }

    yield vault("run-rfc-9383", "run", given(RFC), RFC_OUTPUT)
    numbers = {name: scalar(stream(f"vault {name}", 48)) for name in ("w0", "w1", "x", "y")}
    drawn = Unlock(b"", b"", b"", **numbers)
    least = replace(RFC, w0=1, w1=1, x=1, y=2)
    for name, run in {
        "drawn": drawn,
        "least": least,
        "highest": Unlock(b"", b"", b"", *[ORDER - 1] * 4),
        "another-context": replace(RFC, context=b"other"),
        "names-moved": replace(RFC, prover=b"client:", verifier=b"server"),
    }.items():
        yield vault(f"run-{name}", "run", given(run), run.to_json())
    share = bytes.fromhex(RFC_OUTPUT["shareV_hex"])
    x, y = share[1:33], share[33:]
    for side in ("P", "V"):
        blinding = times(RFC.w0, SIDES[side])
        assert blinding is not None
        alone = b"\x04" + blinding[0].to_bytes(32) + blinding[1].to_bytes(32)
        for name, wrong in {
            "blinding-alone": alone,
            "not-on-the-curve": flip(share, -1),
            "infinity": b"\0",
            "zeros": b"\x04" + bytes(64),
            "zeros-only": bytes(65),
            "compressed": bytes([2 + y[-1] % 2]) + x,
            "hybrid": bytes([6 + y[-1] % 2]) + x + y,
            "x-not-reduced": b"\x04" + b"\xff" * 32 + y,
            "short": share[:-1],
            "long": share + b"\0",
            "empty": b"",
        }.items():
            members = given(RFC, **{f"share{side}_hex": wrong.hex()})
            yield vault(f"run-share-{side}-{name}", "run", members, "malformed")


def unlocks() -> Iterator[Case]:
    x, y = (scalar(stream(f"vault {name}", 48)) for name in "xy")
    for name, user, exported, kdf, salt in (
        ("whole", ADA, EXPORTED, 2, SALT),
        ("kdf-1", ADA, EXPORTED, 1, SALT),
        ("another-session", ADA, bytes(32), 2, SALT),
        ("another-user", OTHERS["another-user"], EXPORTED, 2, SALT),
        ("another-salt", ADA, EXPORTED, 2, bytes(16)),
    ):
        password = Password(user, "correct horse battery staple", salt, kdf)
        context = password.context(exported)
        run = Unlock(context, user.prover, user.verifier, *password.halves, x, y)
        given = {
            "username": user.username,
            "realm": user.realm,
            "exported_hex": exported.hex(),
            "kdf": kdf,
            "salt_hex": salt.hex(),
            "password": password.text,
            "x_hex": x.to_bytes(32).hex(),
            "y_hex": y.to_bytes(32).hex(),
        }
        output = {"context_hex": context.hex(), **run.to_json()}
        yield vault(f"unlock-{name}", "unlock", given, output)


# --- codes ---------------------------------------------------------------------------------------


def codes() -> Iterator[Case]:
    def read(kind: str, name: str, text: str, output: Json | str) -> Case:
        given = {"secret_kind": kind, "text": text}
        return vault(f"code-{kind}-{name}", "read_code", given, output)

    for kind in ("recovery", "temporary"):
        length = LENGTHS[kind]
        secrets = {
            "drawn": stream(f"vault code {kind}", length),
            "zeros": bytes(length),
            "ones": b"\xff" * length,
        }
        for name, secret in secrets.items():
            text = in_groups(code(kind, secret))
            given = {"secret_kind": kind, "secret_hex": secret.hex()}
            yield vault(f"code-{kind}-{name}", "write_code", given, {"text": text})
        secret = secrets["drawn"]
        good, bare = {"secret_hex": secret.hex()}, code(kind, secret)
        mixed = "".join(c.lower() if at % 2 else c for at, c in enumerate(bare))
        first = in_groups(bare)
        for name, text in {
            "as-written": first,
            "without-hyphens": bare,
            "lower-case": first.lower(),
            "mixed-case": mixed,
            "white-space": f" \t{bare[:9]}\r\n\v\f\xa0{bare[9:]} ",
            "hyphens-anywhere": f"--{bare[:3]}---{bare[3:]}-",
        }.items():
            yield read(kind, name, text, good)
        zeros = code(kind, bytes(length))
        assert zeros.startswith("0000")
        yield read(kind, "o-as-0", zeros.replace("0", "O"), {"secret_hex": bytes(length).hex()})
        yield read(kind, "small-o-as-0", "o" + zeros[1:], {"secret_hex": bytes(length).hex()})
        ones = next(
            made
            for made in (stream(f"vault 1s {at}", length) for at in range(99))
            if code(kind, made).count("1") >= 2
        )
        text = code(kind, ones)
        for name, letter in (("i", "I"), ("l", "L"), ("small-i", "i"), ("small-l", "l")):
            meant = text.replace("1", letter)
            yield read(kind, f"{name}-as-1", meant, {"secret_hex": ones.hex()})
        at = 0 if bare[0] not in "7" else 1
        swapped = bare[:at] + ("8" if bare[at] == "7" else "7") + bare[at + 1 :]
        for name, text in {
            "first-character": swapped,
            "last-character": bare[:-1] + ("8" if bare[-1] == "7" else "7"),
            "two-swapped": next(
                bare[:i] + bare[i + 1] + bare[i] + bare[i + 2 :]
                for i in range(len(bare) - 1)
                if bare[i] != bare[i + 1]
            ),
            "of-zeros": "0" * len(bare),
        }.items():
            yield read(kind, f"wrong-{name}", text, "wrong_secret")
        other = "temporary" if kind == "recovery" else "recovery"
        for name, text in {
            "empty": "",
            "short": bare[:-1],
            "long": bare + "0",
            "of-the-other-kind": code(other, bytes(LENGTHS[other])),
            "u": "U" + bare[1:],
            "u-small": "u" + bare[1:],
            "underscore": first.replace("-", "_"),
            "dash": first.replace("-", "\u2013"),
            "full-width": chr(0xFEE0 + ord(bare[0])) + bare[1:],
            "dotless-i": "\u0131" + bare[1:],
            "long-s": "\u017f" + bare[1:],
            "zero-width-space": "\u200b" + bare,
            "em-space": "\u2003" + bare,
            "file-separator": "\x1c" + bare,
            "surrogate": "\ud83d" + bare[1:],
        }.items():
            yield read(kind, name, text, "malformed")


# --- wraps ---------------------------------------------------------------------------------------


def wraps() -> Iterator[Case]:
    def given(kind: str, kek: bytes, wrap: bytes, **changes: str) -> Json:
        return {
            "account_hex": ADA.account.hex(),
            "wrap_kind": kind,
            "subject_hex": DEVICE.hex() if kind == "device" else "",
            "kek_hex": kek.hex(),
            "wrap_hex": wrap.hex(),
            **changes,
        }

    keks = {kind: secret_of(kind).kek for kind in LENGTHS}
    keks["password"] = stream("vault password kek", 32)
    for kind, kek in keks.items():
        subject = DEVICE if kind == "device" else b""
        wrap = ADA.wrap(kek, IV, kind, subject)
        assert len(wrap) == 61
        members = given(kind, kek, wrap)
        del members["wrap_hex"]
        sealing = {**members, "iv_hex": IV.hex(), "n_hex": ADA.n.hex()}
        yield vault(f"wrap-{kind}", "seal_wrap", sealing, {"wrap_hex": wrap.hex()})
        yield vault(f"unwrap-{kind}", "open_wrap", given(kind, kek, wrap), {"n_hex": ADA.n.hex()})
        for other in keks:
            if other != kind:
                changed = given(kind, kek, wrap, wrap_kind=other)
                yield vault(f"unwrap-{kind}-as-{other}", "open_wrap", changed, "wrong_secret")
        subject = b"" if kind == "device" else DEVICE
        for name, changes in {
            "another-account": {"account_hex": OTHERS["another-user"].account.hex()},
            "another-subject": {"subject_hex": subject.hex()},
            "another-key": {"kek_hex": bytes(32).hex()},
            "iv-changed": {"wrap_hex": flip(wrap, 8).hex()},
            "ciphertext-changed": {"wrap_hex": flip(wrap, 8 * 13).hex()},
            "tag-changed": {"wrap_hex": flip(wrap, -1).hex()},
        }.items():
            changed = given(kind, kek, wrap, **changes)
            yield vault(f"unwrap-{kind}-{name}", "open_wrap", changed, "wrong_secret")
        for name, bad in {
            "format-0": b"\0" + wrap[1:],
            "format-2": b"\2" + wrap[1:],
            "short": wrap[:-1],
            "long": wrap + b"\0",
            "empty": b"",
        }.items():
            members = given(kind, kek, bad)
            yield vault(f"unwrap-{kind}-{name}", "open_wrap", members, "malformed")


# --- notes, records and exports ------------------------------------------------------------------


def notes() -> Iterator[Case]:
    owner = {"account_hex": ADA.account.hex(), "n_hex": ADA.n.hex()}

    def opened(name: str, sealed: bytes, output: Json | str, **changes: str) -> Case:
        given = {**owner, "sealed_hex": sealed.hex(), **changes}
        return vault(f"note-{name}", "open_note", given, output)

    for name, sequence, text in (
        ("first", 1, "Zo\xeb \U0001f511\n"),
        ("empty", 2, ""),
        ("whole-page", 3, "a" * (PAGE_BYTES - 12)),
        ("page-and-a-byte", 4, "a" * (PAGE_BYTES - 11)),
        ("last-sequence", 2**53 - 1, "z"),
    ):
        sealed = ADA.note(IV, padded(sequence, text.encode()))
        given = {**owner, "iv_hex": IV.hex(), "sequence": sequence, "text": text}
        output = {"sealed_hex": sealed.hex(), "digest_hex": sha256(sealed).hex()}
        yield vault(f"note-{name}", "seal_note", given, output)
        yield opened(f"{name}-opened", sealed, {"sequence": sequence, "text": text})
    longest = b"a" * 65_536
    sealed = ADA.note(IV, padded(5, longest))
    assert len(sealed) == 69_661
    for name, count, digest in (
        ("longest", 65_536, {"digest_hex": sha256(sealed).hex()}),
        ("too-long", 65_537, "malformed"),
    ):
        parts = [{"hex": "61", "times": count}]
        long = {**owner, "iv_hex": IV.hex(), "sequence": 5, "text_parts": parts}
        yield vault(f"note-{name}", "note_digest", long, digest)
    for name, sequence, text in (
        ("sequence-0", 0, "a"),
        ("sequence-2-53", 2**53, "a"),
        ("surrogate", 1, "a\ud83d"),
    ):
        given = {**owner, "iv_hex": IV.hex(), "sequence": sequence, "text": text}
        yield vault(f"note-seal-{name}", "seal_note", given, "malformed")

    good = padded(1, b"note")
    sealed = ADA.note(IV, good)
    for name, plaintext in {
        "sequence-0": padded(0, b"note"),
        "sequence-2-53": padded(2**53, b"note"),
        "sequence-2-64-less-1": padded(2**64 - 1, b"note"),
        "not-utf-8": padded(1, b"\xff"),
        "surrogate": padded(1, b"\xed\xa0\x80"),
        "padding-not-zero": good[:-1] + b"\1",
        "padding-first-byte": good[:16] + b"\1" + good[17:],
        "padding-missing": good[:16],
        "padding-short": good[:-1],
        "padding-long": good + b"\0",
        "padding-a-page-more": good + bytes(PAGE_BYTES),
        "page-missing": padded(1, b"a" * PAGE_BYTES)[:PAGE_BYTES],
        "length-too-large": good[:8] + (PAGE_BYTES - 11).to_bytes(4) + good[12:],
        "length-2-32-less-1": good[:8] + b"\xff\xff\xff\xff" + good[12:],
        "length-too-small": good[:11] + b"\3" + good[12:],
        "length-cut": good[:11],
        "nothing": b"",
    }.items():
        yield opened(f"open-{name}", ADA.note(IV, plaintext), "tampered")
    for name, other in OTHERS.items():
        changes = {"account_hex": other.account.hex(), "n_hex": other.n.hex()}
        yield opened(f"open-of-{name}", sealed, "tampered", **changes)
    for name, bad in {
        "iv-changed": flip(sealed, 8),
        "sequence-changed": flip(sealed, 8 * 13 + 63),
        "text-changed": flip(sealed, 8 * 13 + 96),
        "padding-changed": flip(sealed, -8 * 17),
        "tag-changed": flip(sealed, -1),
        "short": sealed[:-1],
        "long": sealed + b"\0",
    }.items():
        yield opened(f"open-{name}", bad, "tampered")
    for name, bad in {
        "format-0": b"\0" + sealed[1:],
        "format-2": b"\2" + sealed[1:],
        "28-bytes": sealed[:28],
        "no-bytes": b"",
    }.items():
        yield opened(f"open-{name}", bad, "malformed")
    record = ADA.record(DEVICE, IV, padded(1, b"note"))
    yield opened("open-sealed-as-a-record", record, "tampered")


def records() -> Iterator[Case]:
    owner = {"account_hex": ADA.account.hex(), "n_hex": ADA.n.hex(), "id_hex": DEVICE.hex()}

    def opened(name: str, sealed: bytes, output: Json | str, **changes: str) -> Case:
        given = {**owner, "sealed_hex": sealed.hex(), **changes}
        return vault(f"record-{name}", "open_record", given, output)

    def plaintext(sequence: int = 0, **members: Any) -> bytes:
        whole = {"name": "Ada\u2019s phone", "kind": "browser", "day": 20_000}
        given = {name: value for name, value in (whole | members).items() if value is not ...}
        return padded(sequence, msgpack(given), RECORD_BYTES)

    longest = 200 - len(msgpack({"name": "a" * 100, "kind": "", "day": 0})) + 100
    written: dict[str, Json] = {
        "phone": {"name": "Ada\u2019s phone", "kind": "browser", "day": 20_000},
        "empty": {"name": "", "kind": "", "day": 0},
        "longest": {"name": "a" * longest, "kind": "", "day": 0},
        "last-day": {"name": "a", "kind": "cli", "day": 2**32 - 1},
    }
    for name, members in written.items():
        sealed = ADA.record(DEVICE, IV, plaintext(**members))
        assert len(sealed) == 285
        given = {**owner, "iv_hex": IV.hex(), **members}
        yield vault(f"record-{name}", "seal_record", given, {"sealed_hex": sealed.hex()})
        yield opened(f"{name}-opened", sealed, members)
    for name, members in {
        "too-long": {"name": "a" * (longest + 1), "kind": "", "day": 0},
        "day-2-32": {"name": "a", "kind": "cli", "day": 2**32},
        "day-below-0": {"name": "a", "kind": "cli", "day": -1},
        "surrogate": {"name": "\ud83d", "kind": "cli", "day": 1},
    }.items():
        given = {**owner, "iv_hex": IV.hex(), **members}
        yield vault(f"record-seal-{name}", "seal_record", given, "malformed")
    good = plaintext()
    sealed = ADA.record(DEVICE, IV, good)
    for name, changed in {
        "sequence-1": plaintext(1),
        "name-missing": plaintext(name=...),
        "kind-missing": plaintext(kind=...),
        "day-missing": plaintext(day=...),
        "unknown-member": plaintext(other=1),
        "name-bytes": plaintext(name=b"a"),
        "day-text": plaintext(day="1"),
        "day-2-32": plaintext(day=2**32),
        "201-bytes": plaintext(name="a" * (longest + 1), kind="", day=0),
        "not-msgpack": padded(0, b"\xc1", RECORD_BYTES),
        "no-map": padded(0, msgpack([]), RECORD_BYTES),
        "padding-not-zero": good[:-1] + b"\1",
    }.items():
        yield opened(f"open-{name}", ADA.record(DEVICE, IV, changed), "tampered")
    for name, other in OTHERS.items():
        changes = {"account_hex": other.account.hex(), "n_hex": other.n.hex()}
        yield opened(f"open-of-{name}", sealed, "tampered", **changes)
    yield opened("open-of-another-device", sealed, "tampered", id_hex=bytes(16).hex())
    yield opened("open-iv-changed", flip(sealed, 8), "tampered")
    yield opened("open-text-changed", flip(sealed, 8 * 30), "tampered")
    yield opened("open-tag-changed", flip(sealed, -1), "tampered")
    yield opened("open-format-2", b"\2" + sealed[1:], "malformed")
    yield opened("open-short", sealed[:-1], "malformed")
    yield opened("open-long", sealed + b"\0", "malformed")
    two = ADA.record(DEVICE, IV, padded(0, b"\x80", 2 * RECORD_BYTES))
    yield opened("open-twice-as-long", two, "malformed")


def exports() -> Iterator[Case]:
    phrase = "correct horse battery staple"

    def sealed(plaintext: bytes, kdf: int = 2, text: str = phrase) -> bytes:
        aad = EXPORT + bytes([kdf]) + SALT
        return aad + IV + gcm(export_key(text, SALT, kdf), IV, plaintext, aad)

    def opened(name: str, data: bytes, output: Json | str, passphrase: str = phrase) -> Case:
        given = {"passphrase": passphrase, "export_hex": data.hex()}
        return vault(f"export-{name}", "open_export", given, output)

    def seals(name: str, text: str, output: Json | str, kdf: int = 2, typed: str = phrase) -> Case:
        given = {
            "passphrase": typed,
            "salt_hex": SALT.hex(),
            "iv_hex": IV.hex(),
            "kdf": kdf,
            "text": text,
        }
        return vault(f"export-{name}", "seal_export", given, output)

    for name, text, kdf, typed, nfc in (
        ("kdf-1", "Zo\xeb", 1, phrase, phrase),
        ("kdf-2", "Zo\xeb", 2, phrase, phrase),
        ("empty", "", 2, phrase, phrase),
        ("nfd-passphrase", "a", 2, "Zoe\u0308", "Zo\xeb"),
    ):
        data = sealed(padded(0, text.encode()), kdf, nfc)
        yield seals(name, text, {"export_hex": data.hex()}, kdf, typed)
        yield opened(f"{name}-opened", data, {"text": text}, typed)
    yield seals("seal-surrogate", "\ud83d", "malformed")
    yield seals("seal-empty-passphrase", "a", "malformed", typed="")
    for kdf in (0, 3):
        yield seals(f"seal-kdf-{kdf}", "a", "weak_kdf", kdf)
    good = padded(0, b"note")
    data = sealed(good)
    at_kdf = len(EXPORT)
    yield opened("open-wrong-passphrase", data, "wrong_secret", "other")
    yield opened("open-empty-passphrase", data, "malformed", "")
    for name, changed, expect in (
        ("kdf-0", data[:at_kdf] + b"\0" + data[at_kdf + 1 :], "weak_kdf"),
        ("kdf-3", data[:at_kdf] + b"\3" + data[at_kdf + 1 :], "weak_kdf"),
        ("kdf-1", data[:at_kdf] + b"\1" + data[at_kdf + 1 :], "wrong_secret"),
        ("salt-changed", flip(data, 8 * (at_kdf + 1)), "wrong_secret"),
        ("iv-changed", flip(data, 8 * (at_kdf + 17)), "wrong_secret"),
        ("text-changed", flip(data, 8 * (at_kdf + 40)), "wrong_secret"),
        ("tag-changed", flip(data, -1), "wrong_secret"),
        ("short", data[:-1], "wrong_secret"),
        ("magic-changed", flip(data, 0), "malformed"),
        ("version-2", data.replace(b"vault/1", b"vault/2"), "malformed"),
        ("line-end-changed", data.replace(b"export\n", b"export\r"), "malformed"),
        ("68-bytes", data[:68], "malformed"),
        ("empty-file", b"", "malformed"),
        ("sequence-1", sealed(padded(1, b"note")), "tampered"),
        ("padding-not-zero", sealed(good[:-1] + b"\1"), "tampered"),
        ("not-utf-8", sealed(padded(0, b"\xff")), "tampered"),
    ):
        yield opened(f"open-{name}", changed, expect)


def subjects() -> dict[str, Subject]:
    """Every file of this module: its name and its content."""
    return {
        "vault_accounts": Subject(
            "The keys of accounts and of secrets, the chain of revisions, and what keys sign.",
            [*accounts(), *statements()],
        ),
        "vault_passwords": Subject(
            "Passwords, and SPAKE2+ with the vector of RFC 9383.",
            [*passwords(), *runs(), *unlocks()],
        ),
        "vault_codes": Subject("Recovery codes and temporary keys as text.", codes()),
        "vault_wraps": Subject("The account key under the key of a secret.", wraps()),
        "vault_sealed_values": Subject(
            "Notes, records of devices, and exports.", [*notes(), *records(), *exports()]
        ),
        "vault_tokens": Subject(
            "Tokens of blocks, permits, receipts, checks, tombstones, and buckets.",
            [*make_vault_tokens.tokens(), *make_vault_tokens.buckets()],
        ),
        "vault_bodies": Subject(
            "The bodies of requests and responses.", make_vault_bodies.bodies()
        ),
        **make_vault_index.subjects(),
        **make_vault_envelopes.subjects(),
    }
