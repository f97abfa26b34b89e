"""The key that seals a store: what opens what, and the file it lives in."""

import asyncio
import base64
import os
import secrets
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.keys.key_file import KEY_BYTES, KeyFile
from gateway.keys.keyring import KeyRing

ANN, BOB = b"a" * 16, b"b" * 16
SECRET = b"a private key, or a code"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "certless.key"


def test_what_was_sealed_opens() -> None:
    ring = KeyRing([bytes(32)])
    for secret in (b"", b"x", bytes(range(256)) * 40):
        assert ring.open("login", ANN, ring.seal("login", ANN, secret)) == secret


def test_a_record_is_nonce_ciphertext_and_tag() -> None:
    assert len(KeyRing([bytes(32)]).seal("login", ANN, SECRET)) == 12 + len(SECRET) + 16


def test_no_two_records_are_alike() -> None:
    ring = KeyRing([bytes(32)])
    records = {ring.seal("login", ANN, SECRET) for _ in range(500)}
    assert len(records) == 500
    assert len({record[:12] for record in records}) == 500


def test_a_record_stands_for_one_purpose_and_one_session() -> None:
    ring = KeyRing([bytes(32)])
    sealed = ring.seal("login", ANN, SECRET)
    assert ring.open("session", ANN, sealed) is None
    assert ring.open("login", BOB, sealed) is None
    assert ring.open("", ANN, sealed) is None


def test_every_flipped_bit_shows() -> None:
    ring = KeyRing([bytes(32)])
    sealed = ring.seal("login", ANN, SECRET)
    for bit in range(len(sealed) * 8):
        bent = bytearray(sealed)
        bent[bit // 8] ^= 1 << bit % 8
        assert ring.open("login", ANN, bytes(bent)) is None


def test_every_other_length_shows() -> None:
    ring = KeyRing([bytes(32)])
    sealed = ring.seal("login", ANN, SECRET)
    for length in range(len(sealed)):
        assert ring.open("login", ANN, sealed[:length]) is None
    assert ring.open("login", ANN, sealed + b"\x00") is None


def test_another_key_opens_nothing() -> None:
    sealed = KeyRing([bytes(32)]).seal("login", ANN, SECRET)
    assert KeyRing([bytes(31) + b"\x01"]).open("login", ANN, sealed) is None


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        KeyRing([bytes(length)])


def test_ephemeral_keys_differ() -> None:
    sealed = KeyRing.ephemeral().seal("login", ANN, SECRET)
    assert KeyRing.ephemeral().open("login", ANN, sealed) is None


# --- the file ---


def test_a_file_is_made_once_and_found_again(path: Path) -> None:
    sealed = KeyRing.from_file(path).seal("login", ANN, SECRET)
    content = path.read_bytes()
    assert KeyRing.from_file(path).open("login", ANN, sealed) == SECRET
    assert path.read_bytes() == content
    assert len(base64.b64decode(content)) == KEY_BYTES
    assert content.endswith(b"\n")
    assert content.count(b"\n") == 1


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        KeyRing.from_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_of_ones_own(path: Path) -> None:
    path.write_text(base64.b64encode(bytes(range(32))).decode())
    path.chmod(0o400)
    sealed = KeyRing.from_file(path).seal("login", ANN, SECRET)
    assert KeyRing([bytes(range(32))]).open("login", ANN, sealed) == SECRET


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660, 0o666, 0o777, 0o610])
def test_a_file_that_others_can_touch(path: Path, mode: int) -> None:
    KeyRing.from_file(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        KeyRing.from_file(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"no base64 at all!",
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(33)),
        base64.b64encode(bytes(32)).rstrip(b"="),
        base64.b64encode(bytes(32)) * 2,
        b"\xff\xfe" + bytes(40),
        bytes(32),
        "ключ".encode(),
    ],
)
def test_a_file_that_holds_something_else(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        KeyRing.from_file(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    # It may be the only copy of a key with a slip in it.
    assert path.read_bytes() == content


def test_a_refusal_does_not_repeat_the_key(path: Path) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    path.write_text(f"{key}{key}")
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        KeyRing.from_file(path)
    assert key[:16] not in str(caught.value)


def test_a_folder_that_is_missing(path: Path) -> None:
    with pytest.raises(ConfigError, match="key file"):
        KeyRing.from_file(path / "certless.key")


def test_a_folder_in_place_of_the_file(path: Path) -> None:
    path.mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="key file"):
        KeyRing.from_file(path)


def test_a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(ConfigError, match="key file"):
        KeyRing.from_file(path)


def test_of_two_that_start_at_once_both_have_one_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second starts just when the first draws the key's bytes: between any two steps of it.
    others: list[KeyRing | ConfigError] = []

    def start() -> None:
        try:
            others.append(KeyRing.from_file(path))
        except ConfigError as error:
            others.append(error)

    second = threading.Thread(target=start)
    draw = secrets.token_bytes

    def token_bytes(length: int) -> bytes:
        if not second.ident:
            second.start()
            # If the second waits for the first, this goes on without it.
            second.join(0.3)
        return draw(length)

    monkeypatch.setattr(secrets, "token_bytes", token_bytes)
    first = KeyRing.from_file(path)
    second.join(10)
    (other,) = others
    assert isinstance(other, KeyRing), other
    assert other.open("login", ANN, first.seal("login", ANN, SECRET)) == SECRET


def test_a_ring_does_not_show_its_key() -> None:
    key = bytes(range(65, 97))
    shown = repr(KeyRing([key])) + str(KeyRing([key]))
    assert key.decode() not in shown
    assert key.hex() not in shown


# --- more keys than one ---

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def lines(*keys: bytes) -> str:
    return "".join(base64.b64encode(key).decode() + "\n" for key in keys)


def given(path: Path, *keys: bytes) -> KeyRing:
    path.write_text(lines(*keys))
    path.chmod(0o600)
    return KeyRing.from_file(path)


def seals_under(ring: KeyRing, key: bytes) -> bool:
    return KeyRing([key]).open("login", ANN, ring.seal("login", ANN, SECRET)) == SECRET


def test_the_first_seals_and_all_open() -> None:
    ring = KeyRing([NEW, OLD])
    assert seals_under(ring, NEW)
    for key in (OLD, NEW):
        assert ring.open("login", ANN, KeyRing([key]).seal("login", ANN, SECRET)) == SECRET
    assert ring.open("login", ANN, KeyRing([bytes(32)]).seal("login", ANN, SECRET)) is None


def test_a_ring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing([])


def test_the_name_of_a_key_is_short_and_shows_nothing_of_it() -> None:
    names = KeyRing([NEW, OLD]).ids
    assert names == (*KeyRing([NEW]).ids, *KeyRing([OLD]).ids)
    for name, key in zip(names, (NEW, OLD), strict=True):
        assert len(name) == 12
        assert name not in key.hex()


def test_a_record_tells_the_name_of_its_key() -> None:
    ring = KeyRing([NEW, OLD])
    sealed = KeyRing([OLD]).seal("login", ANN, SECRET)
    assert ring.find("login", ANN, sealed) == (ring.ids[1], SECRET)
    assert ring.find("session", ANN, sealed) is None


def test_a_file_of_more_lines(path: Path) -> None:
    ring = given(path, NEW, OLD)
    assert seals_under(ring, NEW)
    assert ring.open("login", ANN, KeyRing([OLD]).seal("login", ANN, SECRET)) == SECRET


@pytest.mark.parametrize("content", [lines(NEW) + "?\n", lines(NEW, b"short"), "x" + lines(NEW)])
def test_one_bad_line_is_a_bad_file(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="one key in each line") as caught:
        KeyRing.from_file(path)
    assert base64.b64encode(NEW).decode()[:8] not in str(caught.value)


# --- a ring follows its file ---


def test_what_is_sealed_is_sealed_under_the_first_key_of_the_moment(path: Path) -> None:
    ring = given(path, OLD)
    for keys in ([OLD, NEW], [NEW, OLD], [NEW], [OLD]):
        KeyFile(path).write(keys)
        assert seals_under(ring, keys[0])
        assert len(ring.ids) == len(keys)


def test_a_record_of_a_new_key_makes_the_ring_look(path: Path) -> None:
    ring = given(path, OLD)
    sealed = KeyRing([NEW]).seal("login", ANN, SECRET)
    assert ring.open("login", ANN, sealed) is None
    KeyFile(path).write([OLD, NEW])
    assert ring.open("login", ANN, sealed) == SECRET


@pytest.mark.parametrize("change", ["broken", "gone", "open to others"])
def test_a_bad_change_leaves_the_former_keys(
    path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    ring = given(path, OLD)
    if change == "gone":
        path.unlink()
    else:
        path.write_text("what is this" if change == "broken" else lines(OLD, NEW))
        path.chmod(0o600 if change == "broken" else 0o644)
    for _ in range(3):
        assert seals_under(ring, OLD)
    (said,) = caplog.messages
    assert "old keys stay" in said
    with pytest.raises(ConfigError):
        asyncio.run(ring.reload())
    path.unlink(missing_ok=True)
    path.write_text(lines(NEW))
    path.chmod(0o600)
    assert seals_under(ring, NEW)


# --- replacing the file ---


def test_a_change_keeps_the_mode_and_leaves_nothing_beside(path: Path) -> None:
    given(path, OLD)
    path.chmod(0o400)
    KeyFile(path).write([NEW, OLD])
    assert path.read_text() == lines(NEW, OLD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert list(path.parent.iterdir()) == [path]


def test_what_a_crash_has_left_goes_with_the_next_change(path: Path) -> None:
    given(path, OLD)
    killed = (
        "import os, sys, pathlib, gateway.keys.key_file as it\n"
        "os.fsync = lambda file: os.kill(os.getpid(), 9)\n"
        "it.KeyFile(pathlib.Path(sys.argv[1])).write([b'n' * 32, b'o' * 32])"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False, timeout=30)
    assert len(list(path.parent.iterdir())) == 2
    other = path.with_name(f".{path.name}.bak")
    other.touch()
    KeyFile(path).write([NEW])
    assert set(path.parent.iterdir()) == {path, other}


def test_a_link_stays_a_link(path: Path) -> None:
    there = path.with_name("there.key")
    given(there, OLD)
    path.symlink_to(there)
    ring = KeyRing.from_file(path)
    KeyFile(path).write([NEW, OLD])
    assert path.is_symlink()
    assert there.read_text() == lines(NEW, OLD)
    assert seals_under(ring, NEW)


def test_two_commands_do_not_change_one_file_at_once(path: Path) -> None:
    given(path, OLD)
    with KeyFile(path).locked():
        with pytest.raises(ConfigError, match="another command"), KeyFile(path).locked():
            raise AssertionError("both hold the lock")
    with KeyFile(path).locked():
        pass


# --- the environment ---


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("CERTLESS_KEYS", lines(NEW, OLD).replace("\n", ", "))
    for ring in (KeyRing.chosen(None), KeyRing.chosen(None, path)):
        assert ring.ids == KeyRing([NEW, OLD]).ids
    # It counts over a file that nobody has named, which is not even made.
    assert not path.exists()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("CERTLESS_KEYS", "")
    made = KeyRing.from_file(path)
    assert KeyRing.chosen(None, path).ids == made.ids


def test_both_are_refused(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setenv("CERTLESS_KEYS", lines(OLD).strip())
    with pytest.raises(ConfigError, match="remove one of them"):
        KeyRing.chosen(path)
    assert not path.exists()


@pytest.mark.parametrize("text", [",", "x", lines(OLD).strip() + ";", lines(OLD).strip()[:-4]])
def test_a_variable_that_holds_something_else(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTLESS_KEYS", text)
    with pytest.raises(ConfigError, match="CERTLESS_KEYS must be") as caught:
        KeyRing.chosen(None)
    assert lines(OLD)[:8] not in str(caught.value)
