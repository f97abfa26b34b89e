"""The documents and the code agree about clients, dialects, headers and numbers."""

import inspect
import re

import pytest
from documents import read, table, tables

from certless import client
from gateway.adapters.aiohttp import public_slots, upstream, upstream_client
from gateway.adapters.aiohttp import reverse_proxy as proxy
from gateway.config.settings import Settings
from gateway.mail.smtp import SmtpTransport
from gateway.mail.url import transport_from_url
from gateway.pipeline import body_memory, request_body
from gateway.pipeline.request_headers import _BEGINNINGS, _OF_A_PROXY, passes_inside
from gateway.pipeline.streams import STREAMS_PER_USER
from gateway.policy.rate_limits import _AHEAD
from gateway.policy.rates import _MAX_WINDOW_S
from gateway.service import listener as listening
from protocol.classic import freshness
from protocol.classic.dialects import DEFAULT_DIALECT, DIALECTS
from protocol.common import codes
from protocol.hardened import (
    client_session,
    confirmation,
    handshake_messages,
)
from protocol.hardened import (
    suites as hardened_suites,
)

PADDINGS = {"pkcs1-v1.5": "PKCS#1 v1.5", "oaep-sha1": "OAEP-SHA1", "oaep-sha256": "OAEP-SHA256"}
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def test_options_and_errors_of_the_python_client() -> None:
    options, errors = tables(read("docs/clients.md").rpartition("## Python")[2])
    said = {name for row in options[1:] for name in row[0].split(", ")}
    assert said == set(inspect.signature(client.Client).parameters) - {"url", "clock", "steady"}
    (timeout,) = [row[1] for row in options if row[0] == "timeout_s"]
    assert timeout.endswith(
        f"; default {inspect.signature(client.Client).parameters['timeout_s'].default}"
    )
    raised = {
        name: kind
        for name in client.__all__
        if inspect.isclass(kind := getattr(client, name)) and issubclass(kind, client.ClientError)
    }
    assert {row[0] for row in errors[1:]} == set(raised) - {"ClientError"}
    for name, text in errors[1:]:
        refused = issubclass(raised[name], client.Refused) and raised[name] is not client.Refused
        assert text.startswith("a Refused: ") == refused, name


def test_dialects() -> None:
    assert len(DIALECTS) == 12
    assert "in [twelve dialects](docs/dialects.md)" in read("README.md")
    rows = table(read("docs/dialects.md"), "Dialects of classic")
    assert [row[0].removesuffix(" (default)") for row in rows] == list(DIALECTS)
    for name, _, aes, padding, shows in rows:
        dialect = DIALECTS[name.removesuffix(" (default)")]
        mode = dialect.aes.upper() + (", tag first" if dialect.tag == "first" else "")
        assert (aes, padding) == (mode, PADDINGS[dialect.rsa_padding])
        assert (shows == "yes") == (dialect.aes == "gcm")
        assert name.endswith(" (default)") == (dialect.name == DEFAULT_DIALECT)


def test_how_much_of_a_core_a_shop_takes() -> None:
    """The share of a shop follows from the table above it."""
    page, readme = read("docs/sizing.md"), read("README.md")
    cost_ms = {row[0]: row[1] for row in table(page, "Processor")}
    shares = [
        f"{400 * float(cost_ms[f'a message, {suite}'].removesuffix(' ms')) / 1000:.2f}"
        for suite in ("ecdh-gcm", "classic")
    ]
    text = " ".join(page.split())
    assert shares == re.findall(r"(0\.\d\d)(?: of a core in `ecdh-gcm`| in classic)", text)
    assert f"is {shares[0]} of a core in `ecdh-gcm`" in " ".join(readme.split())


def test_sessions() -> None:
    rows = table(read("README.md"), "Suites and sessions")
    cells = {row[0]: row[1:] for row in rows}
    (head,) = [one[0] for one in tables(read("README.md")) if one[1:] == rows]
    assert head[1:] == [*hardened_suites.HARDENED_SUITES, "classic"]
    hours = Settings().session_lifetime_s * 1000 // HOUR_MS
    most = handshake_messages.MAX_SESSION_MS // HOUR_MS
    minutes = client_session.EPOCH_LIFETIME_MS // MINUTE_MS
    days = confirmation.TICKET_LIFETIME_MS // DAY_MS
    assert cells["a code"][0].startswith(f"{codes.HARDENED_CODE_CHARS} characters")
    assert cells["a code"][2].startswith(f"{codes.CLASSIC_CODE_CHARS} characters")
    assert (
        cells["a session"][0]
        == f"{hours} hour, even if in use; the operator can set up to {most} hours; "
        f"new keys every {minutes} minutes"
    )
    assert cells["a session"][2].startswith(f"{hours} hour, {freshness.MAX_MESSAGES} messages")
    assert cells["coming back without a code"][0] == f"by a ticket, for {days} days"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("docs/limits.md", f"A code allows at most {codes.CODE_ATTEMPTS} attempts"),
        (
            "docs/limits.md",
            f"once, and expires after {codes.CODE_LIFETIME_MS // MINUTE_MS} minutes",
        ),
        ("docs/limits.md", f"session has {freshness.MAX_MESSAGES} messages at most"),
        ("docs/limits.md", f"{handshake_messages.MAX_SESSION_MS // HOUR_MS} hours at most"),
        ("docs/limits.md", f"WebSockets of one user, in one process | {STREAMS_PER_USER} together"),
        ("docs/limits.md", f"more than {str(_AHEAD).split()[0]} early messages in an hour"),
        ("docs/limits.md", f"The period of a rate has at most {_MAX_WINDOW_S // 86400} days"),
        ("docs/limits.md", f"after {listening.IDLE_TIMEOUT_S} s"),
        ("docs/limits.md", f"A body must be complete within {request_body._READ_TIMEOUT_S} s"),
        ("docs/limits.md", f"arrive at {request_body._LEAST_BYTES_PER_S // 1024} KiB a second"),
        ("docs/limits.md", f"no pause can be longer than {request_body._PATIENCE_S} s"),
        ("docs/limits.md", f"A body of more than {body_memory.SMALL_BYTES // 1024} KiB must"),
        ("docs/limits.md", f"can use at most {body_memory._MOST_BYTES >> 20} MiB in a process"),
        ("docs/limits.md", f"suites have {codes.HARDENED_CODE_CHARS};"),
        (
            "docs/suites.md",
            f"{codes.CLASSIC_CODE_CHARS} characters ({26 * codes.BITS_PER_CHAR} bits)",
        ),
        ("docs/serving.md", f"(up to {listening.SHUTDOWN_TIMEOUT_S} s)"),
        (
            "docs/serving.md",
            f"must accept a connection within {upstream_client.CONNECT_TIMEOUT_S} s and answer "
            "within 60 s",
        ),
        ("docs/serving.md", f"at most {proxy._CONNECTIONS} connections to the API"),
        ("docs/serving.md", f"Clients without a session share {proxy._PUBLIC_REQUESTS} of them"),
        ("docs/serving.md", f"can use at most {proxy._PUBLIC_SHARE} of these"),
        ("docs/serving.md", f"below {public_slots._SLOW_BYTES_PER_S // 1024} KiB a second"),
        ("docs/serving.md", f"waits for {public_slots._PATIENCE_S} s gets 503"),
    ],
)
def test_numbers_in_the_text(page: str, said: str) -> None:
    assert said in " ".join(read(page).split())


def test_the_headers_that_an_api_sees() -> None:
    said = {
        name
        for row in table(read("docs/serving.md"), "What the API")
        for name in row[0].split(", ")
    }
    assert {upstream.USER_HEADER, upstream.SESSION_HEADER} <= said
    assert not any(passes_inside(name) for name in said - {"Host"})
    page = read("docs/serving.md").lower()
    told = {name.lower() for name in re.findall(r"`([\w-]+?)-?\*?`", page)}
    for name in (*_OF_A_PROXY, *_BEGINNINGS):
        assert name.rstrip("-") in told, name


def test_mail_urls() -> None:
    rows = table(read("docs/options.md"), "Mail")
    schemes = [row[0].partition(":")[0] for row in rows]
    assert schemes == ["smtp", "smtp+starttls", "smtps", "dir", "console", "webhook"]
    for row in rows[:3]:
        scheme = row[0].partition(":")[0]
        told = [int(number) for number in re.findall(r"\d+", row[1])]
        for port, url in zip(told, (f"{scheme}://h", f"{scheme}://ann:secret@h"), strict=False):
            made = transport_from_url(url, "codes@example.org")
            assert isinstance(made, SmtpTransport)
            assert made.server == f"h:{port}"
    for url in ("dir:mails", "console:", "webhook:http://127.0.0.1:9000/sms"):
        transport_from_url(url, "codes@example.org")


def test_figures_in_readme_are_those_of_the_page_on_sizing() -> None:
    readme, sizing = read("README.md"), read("docs/sizing.md")
    short = readme.partition("## How much machine")[2].partition("\n## ")[0]
    figures = {row[0]: row[1:] for row in table(readme, "Suites and sessions")}
    said = [*figures["1 KiB messages per second and core"], *re.findall(r"\d[\d,]*", short)]
    assert len(said) > 10
    assert [number for number in said if not re.search(rf"\b{number}\b", sizing)] == []
