"""``doctor``: each thing that is wrong is found, and no more once it is mended."""

import asyncio
import hashlib
import os
import re
import sqlite3
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import redis_servers
from aiohttp import web
from mailboxes import Mailbox, a_free_port, self_signed, smtp_server
from patient import PASSWORD, Examined, Patient, a_patient, listening, serving
from processes import ROOT, python
from smtp_peers import ScriptedPeer, listening_peer
from yarl import URL

from gateway.doctor import Check, Finding, Mark, Service, disk, examine, ok, upstream, visitor
from gateway.doctor.clock import is_synchronized
from gateway.doctor.files import check_files
from gateway.doctor.upstream import listeners
from gateway.doctor.visitor import obstacles_in
from gateway.errors import ConfigError
from gateway.keys.keyring import KeyRing

CLOCK = {
    True: "ok    clock     synchronized by the system; clients can differ by 60 s (window_ms)",
    False: "warn  clock     the kernel says that it is not synchronized: run chrony or "
    "systemd-timesyncd; clients can differ by 60 s (window_ms)",
    None: "warn  clock     the system does not say whether its clock is synchronized: "
    "check it yourself",
}[is_synchronized()]

GOOD = f"""\
ok    settings  gateway.toml is valid: listen 127.0.0.1:PORT, prefix /.gateway, realm shop.example
ok    users     2 can log in, 1 of them only by `code issue`: no address
ok    suites    ecdh-gcm
ok    routes    public: /; all other routes and methods need a login
ok    limits    client addresses come from X-Forwarded-For of 127.0.0.1
ok    codes     hardened: 40 bits, 5 attempts, 3 codes in 15 minutes: 1,440 guesses a day for one \
user, with a chance of 1 in 763,549,741 that one is right
ok    files     other users cannot change them or read secrets: store.db, store.db-wal, \
store.db-shm, store.db.key, users.toml, gateway.toml
{CLOCK}
ok    clock     agrees with the upstream's clock
ok    store     sqlite:FOLDER/store.db stores a record in N ms
ok    keys      FOLDER/store.db.key opens all records of the store (3)
ok    mail      SMTP server 127.0.0.1:PORT accepts codes@shop.example after a login from \
gateway.shop.example, unencrypted (no mail was sent)
ok    upstream  http://127.0.0.1:PORT answers in N ms
ok    upstream  port PORT listens on loopback only
ok    visitor   the browser client is installed
ok    visitor   client.js is served, with the suites ecdh-gcm
ok    visitor   plaintext to a protected route is refused (401)
ok    visitor   / is public (200), and its policy allows the client
0 to fix, {int("warn" in CLOCK)} warnings
"""

BAD = """\
fix   settings  no dialect 'klingon'; there are: article-2016, article-2016-oaep, sfet-1.0, \
sfet-1.1, sfet-2, sfet-3.0, sfet-3, sfet-3.3-cbc-browser, sfet-3.3-gcm, sfet-3.3-gcm-browser, \
sfet-4-cbc, sfet-4-gcm
fix   files     other users can read FOLDER/users.toml (addresses of users): \
chmod 640 FOLDER/users.toml
fix   files     other users can read FOLDER/gateway.toml (it holds a password): \
chmod 640 FOLDER/gateway.toml
fix   store     there is no folder FOLDER/gone: create it, or set another --store
fix   keys      FOLDER/gone/store.db.key cannot be created in its folder: set another --key-file
fix   mail      SMTP server 127.0.0.1:PORT does not answer: is --mail right, does the server run, \
does a firewall block it?
fix   upstream  http://127.0.0.1:PORT does not answer: start the API, or correct --upstream
ok    visitor   the browser client is installed
7 to fix, 0 warnings
"""


@pytest.fixture
async def patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], free_port: int
) -> AsyncIterator[Patient]:
    async with a_patient(tmp_path, capsys, free_port) as one:
        yield one


def pinned(examined: Examined, folder: Path) -> str:
    """The output without what differs from run to run."""
    out = examined.out.replace(str(folder), "FOLDER")
    out = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", out)
    return re.sub(r"port \d+", "port PORT", re.sub(r"\d+ ms\b", "N ms", out))


# --- as a whole ---


async def test_one_in_good_health(patient: Patient) -> None:
    async with serving(patient):
        examined = await patient.examine()
    assert pinned(examined, patient.folder) == GOOD
    assert examined.status == 0
    # It left nothing, and nobody got a mail but for the login.
    assert len(patient.mailbox.mails) == 1


async def test_one_that_has_everything(patient: Patient) -> None:
    patient.write(
        dialect="klingon",
        store="sqlite:gone/store.db",
        mail=f"smtp://shop:{PASSWORD}@127.0.0.1:{a_free_port()}",
        upstream=f"http://127.0.0.1:{a_free_port()}",
    )
    patient.config.chmod(0o644)
    (patient.folder / "users.toml").chmod(0o644)
    examined = await patient.examine()
    assert pinned(examined, patient.folder) == BAD
    assert examined.status == 1


async def test_before_the_first_start_it_makes_nothing(patient: Patient) -> None:
    before = sorted(patient.folder.iterdir())
    examined = await patient.examine()
    assert examined.status == 0
    (store,) = examined.about("store")
    assert store == f"ok {patient.store} will be created at the first start"
    (keys,) = examined.about("keys")
    assert keys.startswith(f"ok {patient.key_file} will be created")
    assert any("nothing listens" in line for line in examined.about("visitor"))
    assert sorted(patient.folder.iterdir()) == before


async def test_a_config_file_that_cannot_be_read_is_a_finding(patient: Patient) -> None:
    patient.config.write_text("listen = [")
    examined = await patient.examine()
    assert examined.status == 1
    (line,) = examined.about("settings")
    assert line.startswith(f"fix config file {patient.config}")
    assert line.endswith("nothing else was checked")


# --- checks that break ---


async def good(_: Service) -> AsyncIterator[Finding]:
    yield ok("good", "well")


async def breaks(_: Service) -> AsyncIterator[Finding]:
    yield ok("bad", "so far")
    raise RuntimeError(PASSWORD)


async def hangs(_: Service) -> AsyncIterator[Finding]:
    yield ok("stuck", "so far")
    await asyncio.Event().wait()


async def test_what_breaks_or_hangs_stops_nobody_else() -> None:
    checks: list[tuple[str, Check]] = [("bad", breaks), ("stuck", hangs), ("good", good)]
    report = await examine(Service({}), checks, check_s=0.2)
    assert report.is_stuck
    assert not report.is_sound
    assert [(finding.mark, finding.about) for finding in report.findings] == [
        (Mark.OK, "bad"),
        (Mark.FIX, "bad"),
        (Mark.FIX, "stuck"),
        (Mark.OK, "good"),
    ]
    assert PASSWORD not in str(report)


async def test_a_file_that_hangs_does_not_keep_the_process(patient: Patient) -> None:
    users = patient.folder / "users.toml"
    users.unlink()
    os.mkfifo(users, 0o600)
    arguments = ["-m", "gateway", "doctor", "--config", str(patient.config)]
    async with python(*arguments, stdout=asyncio.subprocess.PIPE) as process:
        out, _ = await process.communicate()
    assert process.returncode == 1
    assert re.search(r"^fix   settings  the check did not end in 10 s", out.decode(), re.MULTILINE)


# --- one by one ---


@pytest.mark.parametrize(
    ("about", "line", "changes"),
    [
        ("suites", "warn ecdh-gcm, classic; classic hides", {"suites": ["ecdh-gcm", "classic"]}),
        ("settings", "fix suites: there are", {"suites": ["tls"]}),
        ("settings", "fix prefix 'x' must be", {"prefix": "x"}),
        ("settings", "warn 256 workers share", {"workers": 256}),
        ("settings", "fix 2 workers need a store", {"workers": 2, "store": None}),
        ("settings", "fix say who can log in", {"users": None}),
        ("settings", "fix users file", {"users": "gone.toml"}),
        ("settings", "fix a classic code of 10", {"code_chars": 10}),
        ("routes", "fix public /* leaves no route", {"public": ["/*"]}),
        ("routes", "fix public /.gateway/x is below", {"public": ["/.gateway/x"]}),
        ("routes", "fix public /a is not forwarded", {"public": ["/a"], "targets": ["/b"]}),
        (
            "routes",
            "fix public /admin/{id} is not public, because require demands ecdh-gcm",
            {"public": ["/admin/{id}"], "require": {"/admin/*": "ecdh-gcm"}},
        ),
        (
            "routes",
            "fix require /a demands ecdh-gcm, but no hardened suite is on",
            {"suites": ["classic"], "require": {"/a": "ecdh-gcm"}},
        ),
        (
            "routes",
            "fix require /a is for a path that is not forwarded",
            {"targets": ["/"], "require": {"/a": "ecdh-gcm"}},
        ),
        ("codes", "warn hardened: 40 bits, 5 attempts, 1000 codes", {"mail_limit": 1000}),
        ("limits", "warn only this machine reaches 127.0.0.1", {"trusted_proxies": None}),
        (
            "limits",
            "fix trusted_proxies contains all addresses",
            {"trusted_proxies": ["0.0.0.0/0"]},
        ),
        (
            "limits",
            "warn no limit for logins, sessions: a flood",
            {"logins": "none", "sessions": 0},
        ),
        ("admin", "warn the metrics at 0.0.0.0:8441 need no", {"admin": "0.0.0.0:8441"}),
        ("files", "fix this user cannot create the audit", {"audit": "gone/audit.jsonl"}),
        ("files", "fix the audit log", {"audit": "."}),
        ("store", "warn memory:", {"store": "memory:"}),
        ("store", "fix the store must be", {"store": "disk:x"}),
        ("mail", "warn codes are printed", {"mail": "console:"}),
        ("mail", "warn codes are written to files", {"mail": "dir:mails"}),
        ("settings", "fix mail must be", {"mail": "pigeon:"}),
    ],
)
async def test_settings(patient: Patient, about: str, line: str, changes: dict[str, Any]) -> None:
    found = await patient.examine_changed(**changes)
    assert any(said.startswith(line) for said in found.about(about)), found.out
    assert found.status == int("\nfix" in "\n" + found.out)
    mended = await patient.examine()
    assert line not in mended.out
    assert mended.status == 0


async def test_the_header_of_the_address_is_named(patient: Patient) -> None:
    found = await patient.examine_changed(trusted_headers=["forwarded"])
    assert "ok    limits    client addresses come from Forwarded of 127.0.0.1" in found.out


@pytest.mark.parametrize(
    ("name", "mode", "mended"),
    [
        ("users.toml", 0o644, 0o640),
        ("gateway.toml", 0o644, 0o640),
        ("store.db", 0o644, 0o600),
        ("store.db.key", 0o640, 0o600),
    ],
)
async def test_modes(patient: Patient, name: str, mode: int, mended: int) -> None:
    async with serving(patient):
        file = patient.folder / name
        file.chmod(mode)
        found = await patient.examine()
        assert found.status == 1
        (line,) = found.about("files")
        assert line.startswith(f"fix other users can read {file}")
        command = line.partition(": ")[2]
        assert command == f"chmod {mended:o} {file}"
        file.chmod(mended)
        assert (await patient.examine()).status == 0


@contextmanager
def nobody() -> Iterator[Path]:
    """A folder of root's, and this process as somebody else, if it is root's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o555)
        was = os.geteuid()
        os.seteuid(65534 if was == 0 else was)
        try:
            yield path
        finally:
            os.seteuid(was)
            path.chmod(0o755)


async def test_a_folder_that_this_user_may_not_write() -> None:
    with nobody() as folder:
        found = list(disk.examine_place(folder / "store.db"))
    assert [(one.mark, "cannot write" in one.text) for one in found] == [(Mark.FIX, True)]


async def test_a_file_that_this_user_may_not_read() -> None:
    with nobody() as folder:
        os.seteuid(os.getuid())
        folder.chmod(0o755)
        keys = folder / "keys"
        keys.write_text("x")
        keys.chmod(0o000)
        os.seteuid(65534 if os.getuid() == 0 else os.getuid())
        found = [one async for one in check_files(Service({"key_file": str(keys)}))]
    assert [(one.mark, "cannot read" in one.text) for one in found] == [(Mark.FIX, True)]


@pytest.mark.parametrize("owner", [0, 65534])
async def test_a_mode_as_it_says_locks_nobody_out(owner: int) -> None:
    with nobody() as folder:
        os.seteuid(os.getuid())
        folder.chmod(0o755)
        file = folder / "users.toml"
        file.write_text("x")
        file.chmod(0o644)
        is_anothers = os.getuid() == 0 == owner
        if os.getuid() == 0:
            os.chown(file, owner, 4242)
        os.seteuid(65534 if os.getuid() == 0 else os.getuid())
        (found,) = [one async for one in check_files(Service({"users": str(file)}))]
    first = f"chgrp {os.getegid()} {file} && " if is_anothers else ""
    assert found.text.endswith(f" (addresses of users): {first}chmod 640 {file}")


# --- clock ---


@pytest.mark.parametrize(
    ("off_s", "line"),
    [
        (30, "warn 30 s behind the upstream's clock: synchronize both by NTP"),
        (-75, "fix 75 s ahead of the upstream's clock: synchronize both by NTP; clients can"),
    ],
)
async def test_the_clock_of_the_upstream(patient: Patient, off_s: int, line: str) -> None:
    patient.api.headers["Date"] = formatdate(time.time() + off_s, usegmt=True)
    _, found = (await patient.examine()).about("clock")
    # A second may have begun since.
    assert re.sub(r"\b(29|76) s", f"{abs(off_s)} s", found).startswith(line)
    patient.api.headers.clear()
    assert "ok agrees with the upstream's clock" in (await patient.examine()).about("clock")


async def test_an_upstream_without_a_date(patient: Patient) -> None:
    patient.api.headers["Date"] = "yesterday"
    assert any("sends no Date" in line for line in (await patient.examine()).about("clock"))


# --- store and keys ---


async def test_the_key_file_of_another_store(patient: Patient) -> None:
    async with serving(patient):
        pass
    right = patient.key_file.read_bytes()
    patient.key_file.unlink()
    found = await patient.examine()
    (line,) = found.about("keys")
    assert line.startswith(f"fix there is no {patient.key_file}, but 3 records are sealed")
    assert not patient.key_file.exists()

    KeyRing.from_file(patient.key_file)
    found = await patient.examine()
    (line,) = found.about("keys")
    assert line.startswith(f"fix {patient.key_file} opens none of 3 records: it belongs")
    assert found.status == 1

    with pytest.raises(ConfigError, match="sealed with another key"):
        async with serving(patient, log_in=False):
            pass

    patient.key_file.write_bytes(patient.key_file.read_bytes() + right)
    async with serving(patient):
        pass
    patient.key_file.write_bytes(right)
    (line,) = (await patient.examine()).about("keys")
    assert line.startswith(f"warn {patient.key_file} opens 3 of 5 records")

    patient.key_file.write_text("not a key")
    (line,) = (await patient.examine()).about("store")
    assert line.startswith(f"fix key file {patient.key_file} must have")


async def test_keys_in_the_environment(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(patient):
        pass
    monkeypatch.setenv("CERTLESS_KEYS", patient.key_file.read_text().strip())
    patient.key_file.unlink()
    assert (await patient.examine()).about("keys") == [
        "ok CERTLESS_KEYS opens all records of the store (3)"
    ]
    (line,) = (await patient.examine_changed(key_file="store.key")).about("store")
    assert line == "fix keys come from CERTLESS_KEYS or from a key file: remove one of them"


async def test_a_file_that_is_no_store(patient: Patient) -> None:
    patient.store.write_bytes(b"x" * 4096)
    patient.store.chmod(0o600)
    found = await patient.examine()
    (line,) = found.about("store")
    assert line.startswith(f"fix {patient.store} cannot be opened (file is not a database)")
    patient.store.unlink()
    assert (await patient.examine()).status == 0


@pytest.mark.parametrize(
    ("pragma", "line"),
    [
        ("user_version = 1", "warn {} has an earlier version: the next start converts it"),
        ("user_version = 1000", "fix {} was written by a later version"),
        ("journal_mode = delete", "fix {} has no write-ahead log"),
    ],
)
async def test_a_store_that_does_not_fit(patient: Patient, pragma: str, line: str) -> None:
    async with serving(patient, log_in=False):
        pass
    with closing(sqlite3.connect(patient.store)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    before = patient.store.read_bytes()
    (found,) = (await patient.examine()).about("store")
    assert found.startswith(line.format(patient.store))
    assert patient.store.read_bytes() == before


async def test_a_store_in_redis(patient: Patient, tmp_path: Path) -> None:
    async with redis_servers.running(tmp_path / "redis") as server:
        changes = {"store": server.url, "key_file": "keys"}
        patient.write(**changes)
        async with serving(patient):
            found = await patient.examine()
            assert found.status == 0
            first, second = found.about("store")
            assert re.fullmatch(r"ok Redis stores a record in \d+ ms", first)
            assert re.fullmatch(r"ok Redis 7[\d.]+, master with 0 replicas; a restart .*", second)
            (keys,) = found.about("keys")
            assert keys.endswith("keys opens all records of the store (3)")
            assert "ok agrees with the clock of Redis" in found.about("clock")
        async with server.client() as client:
            await client.config_set("maxmemory-policy", "allkeys-lru")
        (line,) = (await patient.examine()).about("store")
        assert line.startswith(f"fix Redis at 127.0.0.1:{server.port} deletes sessions")
        patient.write(**{**changes, "store": f"{server.url}?eviction=accepted"})
        assert any("warn Redis deletes" in one for one in (await patient.examine()).about("store"))
        patient.write(store=changes["store"])
        (line,) = (await patient.examine()).about("keys")
        assert line.startswith("fix gateways on one Redis share keys")
    patient.write(**{**changes, "store": f"redis://shop:{PASSWORD}@127.0.0.1:{server.port}"})
    (line,) = (await patient.examine()).about("store")
    assert line.startswith(f"fix Redis at 127.0.0.1:{server.port}: ")
    assert line.endswith("; does it run, and is --store right?")


async def test_a_ticket_store_beside_redis(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.stores.tickets.history.MEMORY", tmp_path)
    async with redis_servers.running(tmp_path / "redis") as server:
        changes = {"store": server.url, "key_file": "keys", "ticket_store": "sqlite:tickets.db"}
        patient.write(**changes)
        found = await patient.examine()
        assert found.about("tickets") == ["ok the ticket store will be created at the first start"]
        file = patient.folder / "tickets.db"
        assert not file.exists()
        async with serving(patient):
            found = await patient.examine()
            assert found.status == 0
            (line,) = found.about("tickets")
            assert line.startswith("ok the ticket store is the one that Redis knows")
        file.chmod(0o644)
        assert any("tickets.db" in one for one in (await patient.examine()).about("files"))
        file.chmod(0o600)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE certless_ticket_fence SET generation = 'x', position = 5")
        assert any("restored backup" in one for one in (await patient.examine()).about("store"))
        patient.write(**{**changes, "ticket_store": "sqlite:none/tickets.db"})
        assert any(
            "another --ticket-store" in one for one in (await patient.examine()).about("store")
        )
    patient.write(ticket_store="sqlite:tickets.db")
    (line,) = (await patient.examine()).about("store")
    assert line.startswith("fix a ticket store goes with a store in Redis")


async def test_a_user_of_redis_who_may_no_more_than_the_documents_say(
    patient: Patient, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "redis.md").read_text("utf-8")
    rights = re.search(r"`(~\{certless:\*\}\* [^`]+)`", text)
    assert rights
    async with redis_servers.running(tmp_path / "redis") as server:
        await server.tell("ACL", "SETUSER", "shop", "on", f">{PASSWORD}", *rights[1].split())
        store = f"redis://shop:{PASSWORD}@127.0.0.1:{server.port}"
        patient.write(store=store, key_file="keys")
        async with serving(patient):
            found = await patient.examine()
    assert found.status == 0
    assert [line.partition(" ")[0] for line in found.about("store")] == ["ok", "ok"]
    assert "ok agrees with the clock of Redis" in found.about("clock")


MOUNTS = """\
/dev/vda1 / ext4 rw 0 0
files:/export /srv/shared nfs4 rw 0 0
//nas/x /srv/with\\040blank cifs rw 0 0
/dev/vdb1 /srv/shared/local xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv", "ext4"),
        ("/srv/shared", "nfs4"),
        ("/srv/shared/certless", "nfs4"),
        ("/srv/shared/local/certless", "xfs"),
        ("/srv/sharedbox", "ext4"),
        ("/srv/with blank/certless", "cifs"),
    ],
)
def test_the_file_system_of_a_folder(tmp_path: Path, folder: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert disk.file_system_of(Path(folder), mounts) == kind


@pytest.mark.parametrize(
    ("limit", "line"),
    [("_SHORT_MIB", "warn {} MiB are free"), ("_FULL_MIB", "fix {} MiB are free")],
)
def test_a_disk_that_is_full_or_on_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, line: str
) -> None:
    assert list(disk.examine_place(tmp_path / "db")) == []
    # Against such a limit every disk is short.
    for name in ("_SHORT_MIB", limit):
        monkeypatch.setattr(disk, name, 100_000_000)
    monkeypatch.setattr(disk, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text("files:/export / nfs4 rw 0 0\n")
    full, remote = disk.examine_place(tmp_path / "db")
    assert re.sub(r"\d+", "{}", f"{full.mark} {full.text}", count=1).startswith(line)
    assert (remote.mark, "is on a network file system (nfs4)" in remote.text) == (Mark.WARN, True)


# --- mail ---


class Choosy(Mailbox):
    """A mail server that sends for nobody of the shop."""

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        return "550 not one of ours"


async def mail_line(patient: Patient, mail: str, **changes: Any) -> str:
    (line,) = (await patient.examine_changed(mail=mail, **changes)).about("mail")
    return line


async def test_a_mail_server_that_wants_another_password(patient: Patient) -> None:
    at = f"127.0.0.1:{patient.mailbox.port}"
    line = await mail_line(patient, f"smtp://shop:wr0ng@{at}")
    assert line.startswith(f"fix SMTP server {at} refuses the user or password (535)")
    assert "wr0ng" not in line


async def test_a_mail_server_that_takes_no_login(patient: Patient) -> None:
    async with smtp_server() as mailbox:
        at = f"127.0.0.1:{mailbox.port}"
        line = await mail_line(patient, f"smtp://shop:{PASSWORD}@{at}")
        assert line.startswith(f"fix SMTP server {at} offers no login")
        line = await mail_line(patient, f"smtp://{at}")
        assert line == (
            f"ok SMTP server {at} accepts codes@shop.example from gateway.shop.example, "
            "unencrypted (no mail was sent)"
        )
        assert mailbox.mails == []


async def test_a_mail_server_that_refuses_the_sender(patient: Patient) -> None:
    async with smtp_server(Choosy()) as mailbox:
        at = f"127.0.0.1:{mailbox.port}"
        line = await mail_line(patient, f"smtp://{at}")
        assert line.startswith(
            f"fix SMTP server {at} refuses mails from codes@shop.example (550): set mail_from"
        )


async def test_a_mail_server_without_starttls(patient: Patient) -> None:
    async with smtp_server() as mailbox:
        line = await mail_line(patient, f"smtp+starttls://127.0.0.1:{mailbox.port}")
        assert "offers no STARTTLS" in line


@pytest.mark.parametrize("way", ["smtps", "smtp+starttls"])
async def test_a_mail_server_whose_certificate_nobody_trusts(
    patient: Patient, way: str, server_context: ssl.SSLContext, tmp_path: Path, monkeypatch: Any
) -> None:
    tls = {"tls" if way == "smtps" else "starttls": server_context}
    async with smtp_server(**tls) as mailbox:  # type: ignore[arg-type]
        url = f"{way}://127.0.0.1:{mailbox.port}"
        line = await mail_line(patient, url)
        assert line.startswith("fix ")
        assert "has a certificate that is not trusted (self-signed certificate)" in line
        authorities = tmp_path / "authorities.pem"
        authorities.write_text(self_signed().pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
        assert "over TLS" in await mail_line(patient, url)


async def test_which_certificate_was_taken(
    patient: Patient, server_context: ssl.SSLContext, tmp_path: Path
) -> None:
    file = tmp_path / "mail.pem"
    file.write_text(self_signed().pem)
    digits = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self_signed().pem)).hexdigest()
    async with smtp_server(starttls=server_context) as mailbox:
        at = f"127.0.0.1:{mailbox.port}"
        over = "over TLS with a certificate"
        for url, way in (
            (f"smtp://{at}", "over TLS with any certificate"),
            (f"smtp+starttls://{at}?ca={file}", f"{over} of an authority in ca"),
            (
                f"smtp+starttls://{at}?fingerprint={digits}",
                "over TLS with the certificate of the set fingerprint",
            ),
        ):
            line = await mail_line(patient, url)
            assert line == (
                f"ok SMTP server {at} accepts codes@shop.example from gateway.shop.example, {way} "
                "(no mail was sent)"
            )
        line = await mail_line(patient, f"smtp+starttls://{at}?fingerprint={'0' * 64}")
        assert line.startswith(f"fix SMTP server {at} has a certificate with the fingerprint")
        assert digits in line
        assert mailbox.mails == []


async def test_what_can_be_read_on_the_way(
    patient: Patient, server_context: ssl.SSLContext, monkeypatch: Any
) -> None:
    # Loopback plays a host elsewhere.
    monkeypatch.setattr("gateway.mail.smtp.LOOPBACK", frozenset())
    for tls, way in ((None, "unencrypted"), (server_context, "over TLS with any certificate")):
        async with smtp_server(starttls=tls) as mailbox:
            line = await mail_line(patient, f"smtp://127.0.0.1:{mailbox.port}")
        assert line.startswith("warn ")
        assert f", {way} (no mail was sent): the network can read the codes" in line


async def test_a_mail_server_that_does_not_take_our_name(patient: Patient) -> None:
    answers = {"EHLO": ["550 who?"], "HELO": ["550 who?"]}
    async with listening_peer(ScriptedPeer(answers)) as peer:
        at = f"127.0.0.1:{peer.port}"
        line = await mail_line(patient, f"smtp://{at}")
    assert line.startswith(
        f"fix SMTP server {at} refuses the name of this host (550): set mail_helo"
    )


async def test_a_folder_of_codes_that_is_open(patient: Patient) -> None:
    mails = patient.folder / "mails"
    mails.mkdir(mode=0o755)
    assert "chmod 700" in await mail_line(patient, "dir:mails")
    mails.chmod(0o700)
    assert (await mail_line(patient, "dir:mails")).startswith("warn codes are written to files")


async def test_a_webhook(patient: Patient) -> None:
    asked = []

    async def hook(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hook)
    async with listening(app) as port:
        line = await mail_line(patient, f"webhook:http://127.0.0.1:{port}/T0KEN")
        assert line == f"ok webhook 127.0.0.1:{port} accepts connections (no request was sent)"
        assert asked == []
        line = await mail_line(patient, f"webhook:https://127.0.0.1:{port}/T0KEN")
        assert line.startswith(f"fix webhook 127.0.0.1:{port} has no trusted certificate")
        assert "add its authority" in line
    line = await mail_line(patient, f"webhook:http://127.0.0.1:{port}/T0KEN")
    assert line.startswith(f"fix webhook 127.0.0.1:{port} cannot be reached")
    assert "T0KEN" not in line


# --- upstream ---


async def test_an_upstream_that_fails(patient: Patient) -> None:
    patient.api.status = 503
    assert any(
        "answers 503 to HEAD" in line for line in (await patient.examine()).about("upstream")
    )
    patient.api.status = 404
    assert (await patient.examine()).status == 0


async def test_an_upstream_that_others_reach(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = patient.folder / "tcp"
    table.write_text(f"0: 00000000:{patient.api.port:04X} 00000000:0000 0A 0\n")
    monkeypatch.setattr(upstream, "SOCKETS", (table,))
    line = (await patient.examine()).about("upstream")[-1]
    assert line.startswith(f"fix port {patient.api.port} listens on 0.0.0.0: bind it to 127.0.0.1")
    table.unlink()
    line = (await patient.examine()).about("upstream")[-1]
    assert line.startswith("warn this system does not show")
    # An address that is for documentation: of no machine, and so not of this one.
    found = await upstream.who_reaches(URL("http://192.0.2.1:9000"))
    assert (found.mark, "on another host" in found.text) == (Mark.WARN, True)


def test_who_listens_where() -> None:
    table = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 00000000:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:232A 0100007F:8AF0 01 00000000:00000000 00:00000000 00000000     0        0 3
   0: 00000000000000000000000001000000:2328 00000000000000000000000000000000:0000 0A 0 0 0
   1: 0000000000000000FFFF00000100007F:2329 00000000000000000000000000000000:0000 0A 0 0 0
"""
    assert [(str(address), port) for address, port in listeners(table)] == [
        ("127.0.0.1", 9000),
        ("0.0.0.0", 9001),  # noqa: S104 (read, not listened on)
        ("::1", 9000),
        ("127.0.0.1", 9001),
    ]


# --- what a visitor gets ---


@pytest.mark.parametrize(
    ("policy", "obstacles"),
    [
        ("", []),
        ("default-src 'self'; worker-src blob:", []),
        ("script-src 'self'; connect-src 'self'; worker-src blob:; style-src 'none'", []),
        ("default-src *; worker-src 'self' BLOB:", []),
        ("default-src 'self'", ["default-src 'self', and the client blocks the page"]),
        (
            "script-src 'nonce-x' blob:",
            ["script-src 'nonce-x' blob:, and the client is not loaded"],
        ),
        ("connect-src https://api.example", ["connect-src https://api.example, and the client ca"]),
        (
            "default-src 'none'",
            [
                "default-src 'none', and the client is not loaded: add script-src 'self'",
                "default-src 'none', and the client cannot connect",
                "default-src 'none', and the client blocks the page",
            ],
        ),
        ("upgrade-insecure-requests", ["upgrade-insecure-requests, so browsers"]),
    ],
)
def test_policies(policy: str, obstacles: list[str]) -> None:
    found = list(obstacles_in(policy))
    assert len(found) == len(obstacles)
    assert all(text.startswith(start) for text, start in zip(found, obstacles, strict=True))


async def test_a_page_that_keeps_the_client_out(patient: Patient) -> None:
    async with serving(patient, log_in=False):
        patient.api.headers["Content-Security-Policy"] = "script-src 'none'; worker-src blob:"
        found = await patient.examine()
        assert found.status == 1
        line = found.about("visitor")[-1]
        assert line.startswith(
            "fix the Content-Security-Policy of / has script-src 'none', and the client is not"
        )
        patient.api.headers.clear()
        assert (await patient.examine()).status == 0


async def test_a_gateway_that_does_not_serve_what_is_set(patient: Patient) -> None:
    async with serving(patient, log_in=False):
        found = await patient.examine_changed(suites=["rsa-gcm"], public=["/open"])
        lines = found.about("visitor")
        assert any(
            "has other options (suites ecdh-gcm, realm shop.example)" in one for one in lines
        )
        found = await patient.examine_changed(prefix="/other")
        assert any(
            "/other/client.js is not the browser client" in one for one in found.about("visitor")
        )


async def test_a_gateway_where_everything_is_open_and_one_where_nothing_is(
    patient: Patient,
) -> None:
    patient.write(public=["/*"])
    async with serving(patient, log_in=False):
        lines = (await patient.examine()).about("visitor")
        assert any("answers 200 without a login, not 401" in line for line in lines)
    patient.write(public=None)
    async with serving(patient, log_in=False):
        lines = (await patient.examine()).about("visitor")
        assert any("/ needs a login" in line for line in lines)
    patient.write()
    async with serving(patient, log_in=False):
        assert (await patient.examine()).status == 0


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ('<form method="post">', "/"),
        ('<FORM METHOD=POST action="/contact?x=1">', "/contact"),
        ("<form method=post action='send.php'>", "/send.php"),
        ('<form method="post" action="/orders" data-certless>', ""),
        ('<form method="get" action="/search"><form action="/find">', ""),
        ('<form method="post" action="http://elsewhere.example/">', ""),
        ('<form method="post" action="/open/x">', ""),
    ],
)
async def test_a_public_page_with_a_form_that_needs_a_login(
    patient: Patient, form: str, path: str
) -> None:
    patient.api.text = f"<h1>Tea</h1>{form}"
    patient.write(public=["/", "/static/*", "POST /open/*"])
    async with serving(patient, log_in=False):
        lines = [line for line in (await patient.examine()).about("routes") if "form" in line]
    expected = (
        f"warn a form of the public page / sends POST {path}, which needs a login: add "
        f"'POST {path}' to public, or give the form data-certless"
    )
    assert lines == ([expected] if path else [])


async def test_something_else_that_listens_there(patient: Patient, free_port: int) -> None:
    other = web.Application()
    async with listening(other, free_port):
        lines = (await patient.examine()).about("visitor")
        assert any(
            f":{free_port}/.gateway/client.js is not the browser client" in line for line in lines
        )


@pytest.mark.parametrize("host", ["", "*", "0.0.0.0", "[::]"])  # noqa: S104
async def test_all_addresses_of_a_machine_are_asked_for_at_one(
    patient: Patient, free_port: int, host: str
) -> None:
    (*_, line) = (await patient.examine_changed(listen=f"{host}:{free_port}")).about("visitor")
    here = "[::1]" if host == "[::]" else "127.0.0.1"
    assert (
        line == f"warn nothing listens at http://{here}:{free_port}: "
        "start the gateway and run doctor again"
    )


async def test_an_installation_without_its_browser_client(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor, "BUNDLE", patient.folder / "client.js")
    lines = (await patient.examine()).about("visitor")
    assert "fix the browser client is not installed: run `make bundle`, then install again" in lines


# --- factors ---


async def test_channels_and_the_second_check(patient: Patient) -> None:
    app, secret = web.Application(), "s3cret-of-the-second-check-0123456789"
    sms, key = patient.folder / "sms.toml", patient.folder / "check.secret"
    key.write_text(secret)
    key.chmod(0o600)
    users = patient.folder / "users.toml"
    users.write_text(users.read_text().replace("[]", '["sms:+46701234567"]'))
    users.chmod(0o640)
    async with listening(app) as port:
        sms.write_text(f'url = "http://127.0.0.1:{port}/T0KEN"')
        sms.chmod(0o640)
        good: dict[str, Any] = {
            "channels": {"sms": "webhook:@sms.toml"},
            "second_check": f"http://127.0.0.1:{port}/T0KEN",
            "second_check_secret": "check.secret",
        }
        examined = await patient.examine_changed(**good)
        lines = [
            f"ok {what}: webhook 127.0.0.1:{port} accepts connections (no request was sent)"
            for what in ("channel sms", "second check")
        ]
        assert examined.about("factors") == lines
        assert not [line for line in examined.about("files") if line.startswith("fix")]
        sms.chmod(0o644)
        key.chmod(0o640)
        examined = await patient.examine_changed(**good)
        fixes = [line for line in examined.about("files") if line.startswith("fix")]
        assert len(fixes) == 2
        assert f"can read {key} (secret of the second check)" in fixes[0]
        assert f"can read {sms} (the request of a webhook)" in fixes[1]
        # A URL with a path can be a secret, and is then one of the config file.
        patient.write(**{**good, "channels": {"sms": f"webhook:http://127.0.0.1:{port}/T0KEN"}})
        patient.config.chmod(0o644)
        found = (await patient.examine()).about("files")
        assert any("gateway.toml (it holds a password)" in line for line in found)
    examined = await patient.examine_changed(**good)
    assert all(line.startswith("fix ") for line in examined.about("factors"))
    assert "T0KEN" not in examined.out
    assert secret not in examined.out
    # Without the channel, its user would get no code.
    (line,) = (await patient.examine()).about("settings")
    assert line.startswith("fix user 'fan-7' has the address 'sms:+46701234567'")
