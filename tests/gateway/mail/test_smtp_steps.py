"""What each answer at each step of SMTP means: accepted, try again, give up, or nobody knows."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator

import pytest
from mailboxes import eventually, parse_mail, text_of
from smtp_peers import (
    CUT,
    DRIP,
    ENDLESS,
    GARBAGE,
    HANG,
    LINES,
    STEPS,
    TOO_LONG,
    ScriptedPeer,
    credentials,
    listening_peer,
)

from gateway import events
from gateway.errors import ConfigError, MailNotSent, MailOutcomeUnknown
from gateway.mail import smtp
from gateway.mail.message import CodeMail
from gateway.mail.queue import MailQueue
from gateway.mail.smtp import Login, SmtpTransport, Timeouts
from gateway.mail.smtp_tls import Tls
from gateway.mail.url import transport_from_url

ANN, BOB, EVE, ZOE = "ann@example.org", "bob@example.org", "eve@example.org", "zoe@example.org"
SENDER = "codes@shop.example"
PASSWORD = "s3cret"
MAIL = CodeMail("Ann's shop", "ann", "0123ABCD", "192.0.2.7", 10)

TAG = bytes(16)
SHORT_S = 1.0
SENT, AGAIN, FINAL, UNKNOWN = "sent", "again", "final", "unknown"
# Of 5yz there are more at some steps than at others; any of them is the last word.
FINAL_CODES = {
    "banner": ("554", "521"),
    "EHLO": ("550", "504"),
    "STARTTLS": ("501", "554"),
    "AUTH": ("535", "534", "504"),
    "MAIL": ("550", "552", "555"),
    "RCPT": ("550", "551", "553", "556"),
    "DATA": ("554", "503"),
    "end": ("550", "552", "554"),
}
LATER_CODES = {
    "banner": ("421", "450"),
    "EHLO": ("421", "451"),
    "STARTTLS": ("421", "454"),
    "AUTH": ("421", "454", "432"),
    "MAIL": ("421", "450", "451", "452", "455"),
    "RCPT": ("421", "450", "451", "452"),
    "DATA": ("421", "451"),
    "end": ("421", "450", "451", "452"),
}


def table() -> list[tuple[str, str, str]]:
    """Step, answer, and what it means."""
    rows = []
    for step in STEPS:
        rows += [(step, f"{code} no", FINAL) for code in FINAL_CODES[step]]
        rows += [(step, f"{code} later", AGAIN) for code in LATER_CODES[step]]
        rows.append((step, f"{FINAL_CODES[step][0]}-no\r\n{FINAL_CODES[step][0]} never", FINAL))
        nobody_knows = UNKNOWN if step == "end" else AGAIN
        for answer in (CUT, HANG, DRIP, GARBAGE, TOO_LONG, ENDLESS, "199 hm", "399 hm"):
            if (step, answer) != ("DATA", "399 hm"):
                rows.append((step, answer, nobody_knows))
    rows += [
        (step, answer, SENT) for step in ("MAIL", "RCPT", "end") for answer in ("252 ok", LINES)
    ]
    rows += [("banner", LINES.replace("250", "220"), SENT), ("RCPT", "251 will forward", SENT)]
    rows.append(("DATA", "250 what?", AGAIN))
    return rows


def delivery(peer: ScriptedPeer, step: str = "", answer: str = "") -> SmtpTransport:
    """To ``peer``; impatient with it where it will not answer."""
    slow = answer in (HANG, DRIP)
    timeouts = {
        "DATA": Timeouts(data_s=SHORT_S),
        "end": Timeouts(end_s=SHORT_S),
    }.get(step, Timeouts(command_s=SHORT_S))
    return SmtpTransport(
        "127.0.0.1",
        peer.port,
        SENDER,
        tls=Tls.STARTTLS if step == "STARTTLS" else Tls.OFFERED,
        login=Login("shop", PASSWORD) if step == "AUTH" else None,
        timeouts=timeouts if slow else None,
    )


def scripted(step: str, answers: list[str]) -> ScriptedPeer:
    offers = ("AUTH PLAIN", *(["STARTTLS"] if step == "STARTTLS" else []))
    by_step = {step: list(answers)}
    if step == "EHLO":
        by_step["HELO"] = list(answers)
    return ScriptedPeer(by_step, offers)


async def outcome(smtp_delivery: SmtpTransport, address: str = ANN) -> str:
    meaning, said = SENT, ""
    try:
        async with asyncio.timeout(20):
            await smtp_delivery.deliver(address, MAIL)
    except MailOutcomeUnknown as error:
        meaning, said = UNKNOWN, str(error)
    except MailNotSent as error:
        meaning, said = (FINAL if error.final else AGAIN), str(error)
    assert PASSWORD not in said
    assert address not in said
    return meaning


def shown(row: object) -> str | None:
    return re.sub(r"\W+", "-", row[:12]) if isinstance(row, str) else None


@pytest.mark.parametrize(("step", "answer", "meaning"), table(), ids=shown)
async def test_each_answer_at_each_step(step: str, answer: str, meaning: str) -> None:
    async with listening_peer(scripted(step, [answer] * 3)) as peer:
        assert await outcome(delivery(peer, step, answer)) == meaning
        assert len(peer.mails) == (1 if step == "end" or meaning == SENT else 0)


def test_the_waits_are_those_of_rfc_5321() -> None:
    assert Timeouts() == Timeouts(command_s=300, data_s=120, end_s=600)


# --- what the mail_queue makes of it ---


class Carried:
    """A mail_queue, and what it told."""

    def __init__(self, to: SmtpTransport) -> None:
        self.told: list[events.Event] = []
        self.mail_queue = MailQueue(to, events.Events(self.told.append))

    def count(self, kind: type[events.Event]) -> int:
        return sum(isinstance(event, kind) for event in self.told)


@contextlib.asynccontextmanager
async def carrying(to: SmtpTransport, *addresses: str) -> AsyncIterator[Carried]:
    """Until every mail is at its end."""
    before = asyncio.all_tasks()
    carried = Carried(to)
    carried.mail_queue.send(addresses, MAIL, TAG)
    mine = asyncio.all_tasks() - before
    try:
        await eventually(lambda: all(task.done() for task in mine))
        yield carried
    finally:
        await carried.mail_queue.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", STEPS)
async def test_4yz_is_tried_again_until_it_is_accepted_once(step: str) -> None:
    if step == "STARTTLS":
        return  # no certificate here: that it is tried again, the table says
    async with listening_peer(scripted(step, [f"{LATER_CODES[step][-1]} later"] * 2)) as peer:
        async with carrying(delivery(peer, step), ANN) as carried:
            assert carried.count(events.CodeSent) == 1
            assert carried.count(events.CodeNotSent) == 2
        assert len(peer.to(ANN)) == (3 if step == "end" else 1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("step", STEPS)
async def test_5yz_is_the_last_word(step: str) -> None:
    async with listening_peer(scripted(step, [f"{FINAL_CODES[step][0]} no"] * 9)) as peer:
        async with carrying(delivery(peer, step), ANN) as carried:
            assert carried.told == [events.CodeNotSent(TAG, True)]
        assert peer.connections == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("answer", [CUT, HANG, DRIP, GARBAGE])
async def test_what_may_have_been_accepted_is_not_sent_again(
    answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening_peer(ScriptedPeer({"end": [answer] * 9})) as peer:
        async with carrying(delivery(peer, "end", answer), ANN) as carried:
            assert [type(event) for event in carried.told] == [events.CodeMaybeSent]
        assert len(peer.mails) == peer.connections == 1
    assert "may have been sent, it is not sent again" in caplog.text


@pytest.mark.usefixtures("quick")
async def test_each_address_has_an_outcome_of_its_own() -> None:
    answers = {
        f"RCPT {BOB}": ["451 later", "421 later", "450 later"],
        f"RCPT {EVE}": ["550 no such user"] * 9,
        f"end {ZOE}": [CUT] * 9,
    }
    async with listening_peer(ScriptedPeer(answers)) as peer:
        async with carrying(delivery(peer), ANN, BOB, EVE, ZOE) as carried:
            assert carried.count(events.CodeSent) == 2
            assert carried.count(events.CodeMaybeSent) == 1
            assert carried.count(events.CodeNotSent) == 4
    assert [len(peer.to(address)) for address in (ANN, BOB, EVE, ZOE)] == [1, 1, 0, 1]
    assert len(peer.said(f"RCPT TO:<{EVE}>")) == 1
    assert len(peer.said(f"RCPT TO:<{BOB}>")) == 4


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("goodbye", [CUT, HANG, GARBAGE, "421 go", "500 what?"])
async def test_what_was_accepted_stays_so_whatever_comes_then(
    goodbye: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "_QUIT_S", 0.2)
    async with listening_peer(ScriptedPeer({"QUIT": [goodbye]})) as peer:
        async with carrying(delivery(peer), ANN) as carried:
            assert [type(event) for event in carried.told] == [events.CodeSent]
    assert len(peer.mails) == 1


@pytest.mark.usefixtures("quick")
async def test_no_password_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening_peer(ScriptedPeer({"AUTH": [f"535 not {PASSWORD}"]})) as peer:
        async with carrying(delivery(peer, "AUTH"), ANN):
            pass
        assert credentials(peer.said("AUTH")[0]) == ["shop", PASSWORD]
    assert "user or password (535)" in caplog.text
    assert PASSWORD not in caplog.text


# --- greetings, logins, STARTTLS ---


@pytest.mark.parametrize("refusal", ["500 what?", "502 no", "550 no"])
async def test_a_server_that_knows_no_ehlo(refusal: str) -> None:
    async with listening_peer(ScriptedPeer({"EHLO": [refusal]})) as peer:
        assert await outcome(delivery(peer)) == SENT
    assert [command.partition(" ")[0] for command in peer.commands[:3]] == ["EHLO", "HELO", "MAIL"]


async def test_a_host_without_a_name_says_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("localhost", "vm", "localhost.localdomain", "my_host.example", "3f2a9c"):
        monkeypatch.setattr(smtp, "_host_name", lambda name=name: name)
        async with listening_peer(ScriptedPeer()) as peer:
            assert await outcome(delivery(peer)) == SENT
        assert peer.commands[0] == "EHLO [127.0.0.1]"


async def test_a_host_with_a_name_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_host_name", lambda: "gateway.shop.example")
    async with listening_peer(ScriptedPeer()) as peer:
        assert await outcome(delivery(peer)) == SENT
    assert peer.commands[0] == "EHLO gateway.shop.example"


@pytest.mark.parametrize(
    ("helo", "said"),
    [
        ("Gateway.Shop.Example", "gateway.shop.example"),
        ("шлюз.рф", "xn--g1ah2bza.xn--p1ai"),
        ("[192.0.2.7]", "[192.0.2.7]"),
        ("[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
    ],
)
async def test_a_name_that_was_set(helo: str, said: str) -> None:
    async with listening_peer(ScriptedPeer()) as peer:
        await transport_from_url(f"smtp://127.0.0.1:{peer.port}", SENDER, helo).deliver(ANN, MAIL)
    assert peer.commands[0] == f"EHLO {said}"


@pytest.mark.parametrize("helo", ["a b", "a\r\nMAIL", "my_host", "-a.b", "[a]", "a..b", "x" * 64])
def test_a_name_that_cannot_be(helo: str) -> None:
    with pytest.raises(ConfigError, match="mail_helo") as caught:
        transport_from_url("smtp://127.0.0.1", SENDER, helo)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", ["454 no", "501 no", "502 what?", "250 eh", GARBAGE, CUT, HANG])
async def test_smtp_takes_a_refusal_of_starttls_as_none(answer: str) -> None:
    peer = ScriptedPeer({"STARTTLS": [answer]}, ("STARTTLS",))
    async with listening_peer(peer):
        smtp_delivery = delivery(peer, "", answer)
        assert smtp_delivery.tls is Tls.OFFERED
        assert await outcome(smtp_delivery) == SENT


async def test_a_login_that_the_server_cannot_check_now_is_not_tried_another_way() -> None:
    peer = ScriptedPeer({"AUTH": ["454 later"]}, ("AUTH PLAIN LOGIN",))
    async with listening_peer(peer):
        assert await outcome(delivery(peer, "AUTH")) == AGAIN
    assert len(peer.said("AUTH")) == 1


async def test_a_way_to_log_in_that_the_server_only_claims_to_know() -> None:
    peer = ScriptedPeer({"AUTH": ["504 not really"]}, ("AUTH CRAM-MD5 PLAIN",))
    async with listening_peer(peer):
        assert await outcome(delivery(peer, "AUTH")) == SENT
    assert [command.split()[1] for command in peer.said("AUTH")] == ["CRAM-MD5", "PLAIN"]


# --- addresses and form ---


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("Ann.O'Hara+Shop@Example.ORG", "Ann.O'Hara+Shop@example.org"),
        ("ann@München.de", "ann@xn--mnchen-3ya.de"),
        ("Ann@xn--MNCHEN-3ya.de", "Ann@xn--mnchen-3ya.de"),
        ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
        ("ann@faß.de", "ann@xn--fa-hia.de"),
        ("ann@例え。テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@localhost", "ann@localhost"),
        ("ann@[192.0.2.7]", "ann@[192.0.2.7]"),
    ],
)
async def test_a_local_part_keeps_its_case_and_a_domain_is_in_ascii(
    address: str, said: str
) -> None:
    async with listening_peer(ScriptedPeer()) as peer:
        assert await outcome(delivery(peer), address) == SENT
    assert peer.said("RCPT") == [f"RCPT TO:<{said}>"]
    assert parse_mail(peer.mails[0][1])["To"] == said


async def test_a_local_part_beyond_ascii_where_the_server_takes_it() -> None:
    peer = ScriptedPeer(offers=("SMTPUTF8", "8BITMIME"))
    async with listening_peer(peer):
        assert await outcome(delivery(peer), "Зоя@пример.рф") == SENT
    assert peer.said("MAIL") == [f"MAIL FROM:<{SENDER}> SMTPUTF8"]
    assert peer.said("RCPT") == ["RCPT TO:<Зоя@xn--e1afmkfd.xn--p1ai>"]
    assert "\r\nTo: Зоя@xn--e1afmkfd.xn--p1ai\r\n".encode() in peer.mails[0][1]


async def test_a_local_part_beyond_ascii_where_the_server_does_not() -> None:
    async with listening_peer(ScriptedPeer()) as peer:
        assert await outcome(delivery(peer), "Зоя@пример.рф") == FINAL
    assert peer.said("MAIL") == []


@pytest.mark.parametrize(
    "address", ["a b@example.org", "a>b@example.org", "a\r\nRSET@example.org", "<a@b.cd>"]
)
async def test_an_address_that_cannot_be_said_is_given_up(address: str) -> None:
    async with listening_peer(ScriptedPeer()) as peer:
        assert await outcome(delivery(peer), address) == FINAL
    assert peer.said("DATA") == []


@pytest.mark.parametrize("site", [".", "..", "Лавка", "Shop " * 20])
@pytest.mark.parametrize("offers", [(), ("8BITMIME", "SMTPUTF8", "SIZE 100000")])
async def test_the_form_of_a_mail(site: str, offers: tuple[str, ...]) -> None:
    mail = CodeMail(site, "зоя" * 80, MAIL.code, "2001:db8::1", 10)
    async with listening_peer(ScriptedPeer(offers=offers)) as peer:
        await delivery(peer).deliver(ANN, mail)
    ((_, content),) = peer.mails
    # Whatever is offered: seven bits, lines of at most 998, one that begins with a dot has two.
    assert content.isascii()
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert not [line for line in lines if re.match(rb"\.(?!\.)", line)]
    # The code can be read in the source as well.
    assert lines.count(MAIL.code.encode()) == 1
    message = parse_mail(content.replace(b"\r\n..", b"\r\n."))
    assert text_of(message) == mail.text
    assert message["Subject"] == mail.subject
    for header in ("From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"):
        assert len(message.get_all(header, [])) == 1


async def test_a_line_that_begins_with_a_dot_arrives() -> None:
    mail = CodeMail("Shop", "ann", ".", "192.0.2.7", 10)
    async with listening_peer(ScriptedPeer()) as peer:
        await delivery(peer).deliver(ANN, mail)
    assert b"\r\n..\r\n" in peer.mails[0][1]


@pytest.mark.parametrize(
    ("sender", "envelope", "domain"),
    [
        ("codes@shop.example", "codes@shop.example", "shop.example"),
        ("Ann's shop <Codes@Shop.Example>", "Codes@shop.example", "shop.example"),
        ('"Ann, of the shop" <codes@münchen.de>', "codes@xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
    ],
)
async def test_the_sender(sender: str, envelope: str, domain: str) -> None:
    async with listening_peer(ScriptedPeer()) as peer:
        await transport_from_url(f"smtp://127.0.0.1:{peer.port}", sender).deliver(ANN, MAIL)
    assert peer.said("MAIL") == [f"MAIL FROM:<{envelope}>"]
    message = parse_mail(peer.mails[0][1])
    assert message["From"].addresses[0].addr_spec == envelope
    assert re.fullmatch(rf"<[^<>@\s]+@{re.escape(domain)}>", message["Message-ID"])
    assert message["Date"].datetime.utcoffset() is not None


@pytest.mark.parametrize(
    "sender", ["", "codes", "a@b.cd, e@f.gh", "a b@c.de", "x <>", "грета@b.cd"]
)
def test_a_sender_that_cannot_be(sender: str) -> None:
    with pytest.raises(ConfigError, match="mail_from"):
        transport_from_url("smtp://127.0.0.1", sender)
