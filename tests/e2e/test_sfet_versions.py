"""The author's library speaks the dialect that docs/dialects.md names for it.

``node/sfet_versions.mjs`` does on Node's own crypto what each version does. That it does so is
shown by ``node/sfet_recorded.json``, which the versions themselves wrote: a login under a code, a
payload, and a passphrase that was wrapped for the key ``test-session``.
"""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest
from documents import read, table
from make_vectors import test_keys
from peer import key_pair, seeded
from processes import ROOT

from protocol.classic.dialects import DIALECTS
from protocol.classic.suites import Classic
from protocol.common.codes import Code

NODE = ROOT / "tests" / "support" / "node"
RECORDED = json.loads((NODE / "sfet_recorded.json").read_text("utf-8"))

PASSPHRASE = "0123456789abcdef0123456789abcdef"
CODE = Code("0123456789ABCDEFGHJKMNPQRS")
TEXT = '{"text":"Räksmörgås 🦊"}'
IV, GCM_IV = "sixteen chars iv", "iv-of-12-chr"

# "1.1.2 to 2.0.14", "Node.js, browser", "aes", "sfet-2", and what it was run with.
ROWS = table(read("docs/dialects.md"), "Versions of the library")


@dataclass(frozen=True, slots=True)
class Version:
    """A version in one build, and the dialect that the page names for its calls."""

    version: str
    build: str
    calls: str
    dialect: str

    @property
    def suite(self) -> Classic:
        return Classic(DIALECTS[self.dialect])

    @property
    def iv(self) -> str:
        return GCM_IV if self.calls == "aes.gcm" else IV

    @property
    def code_passphrase(self) -> str:
        """What a program hands to the library: with ``aes`` of 1.1 and later the code as it is."""
        if self.calls == "aes" and not self.version.startswith("1.0."):
            return CODE.text
        return Classic(DIALECTS["article-2016"]).code_passphrase(CODE).decode()

    def job(self, **what: str) -> dict[str, str]:
        return {"version": self.version, "build": self.build, "calls": self.calls, **what}


def _versions() -> list[Version]:
    """The first and the last version of each row, in each of its builds."""
    return [
        Version(version, {"Node.js": "node"}.get(build, build), calls, dialect)
        for versions, builds, calls, dialect, _ in ROWS
        for version in dict.fromkeys(versions.split(" to "))
        for build in builds.split(", ")
    ]


VERSIONS = _versions()
by_version = pytest.mark.parametrize(
    "one", VERSIONS, ids=lambda one: f"{one.version}-{one.build}-{one.calls}"
)


def as_node_does(*jobs: dict[str, str]) -> list[dict[str, Any]]:
    command = ["node", str(NODE / "sfet_versions.mjs")]
    told = subprocess.run(
        command, input=json.dumps(jobs), capture_output=True, text=True, check=True, timeout=60
    )
    done: list[dict[str, Any]] = json.loads(told.stdout)
    return done


def _of(case: dict[str, str]) -> Version:
    keys = ("version", "build", "calls")
    (one,) = [v for v in VERSIONS if all(getattr(v, key) == case[key] for key in keys)]
    return one


def test_the_reproduction_does_what_the_versions_did() -> None:
    jobs = []
    for case in RECORDED:
        one, private = _of(case), test_keys()["test-session"].private_pem
        login_iv = {"iv": GCM_IV} if one.calls == "aes.gcm" else {}
        jobs += [
            one.job(
                passphrase=PASSPHRASE, text=TEXT, iv=one.iv, key=case["key"], private_key=private
            ),
            one.job(passphrase=one.code_passphrase, text=TEXT, **login_iv),
        ]
    done = as_node_does(*jobs)
    messages, logins = done[::2], done[1::2]
    assert [one["payload"] for one in messages] == [case["payload"] for case in RECORDED]
    assert [one["payload"] for one in logins] == [case["login"] for case in RECORDED]
    assert {one["passphrase"] for one in messages} == {PASSPHRASE}


@pytest.mark.parametrize(
    "case", RECORDED, ids=lambda case: f"{case['version']}-{case['build']}-{case['calls']}"
)
def test_what_the_versions_wrote_is_opened_in_the_dialect_that_is_named(
    case: dict[str, str],
) -> None:
    one = _of(case)
    suite, expected = one.suite, (TEXT.encode(), True)
    assert suite.unwrap(key_pair("test-session"), case["key"]) == PASSPHRASE.encode()
    assert suite.open(PASSPHRASE.encode(), case["payload"], one.iv) == expected
    iv = GCM_IV if one.calls == "aes.gcm" else None
    assert suite.open(suite.code_passphrase(CODE), case["login"], iv) == expected


@by_version
def test_each_version_and_we_understand_each_other(one: Version) -> None:
    pair, suite = test_keys()["test-session"], one.suite
    session = key_pair("test-session")
    passphrase = suite.new_passphrase(seeded(one.version))
    # 1.0 reads no iv; the others read the one that is sent, or zeros.
    iv = suite.new_iv(seeded("iv"))
    sent = {"iv": iv} if iv else {}
    theirs, ours = as_node_does(
        one.job(passphrase=passphrase.decode(), text=TEXT, public_key=pair.public_pem, **sent),
        one.job(
            passphrase=passphrase.decode(),
            payload=suite.seal(passphrase, TEXT.encode(), iv),
            key=suite.wrap(session.public, passphrase),
            private_key=pair.private_pem,
            **sent,
        ),
    )
    assert suite.unwrap(session, theirs["key"]) == passphrase
    assert suite.open(passphrase, theirs["payload"], iv) == (TEXT.encode(), True)
    assert (ours["text"], ours["passphrase"]) == (TEXT, passphrase.decode())


def test_every_dialect_of_the_library_has_a_version_that_speaks_it() -> None:
    assert {one.dialect for one in VERSIONS} == {n for n in DIALECTS if n.startswith("sfet-")}
