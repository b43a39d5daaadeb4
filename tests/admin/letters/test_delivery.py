"""Mail against a real server on its bad days: nothing is lost, and nothing comes twice."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.headerregistry import Address

import pytest
import trustme

from admin import access_requests, outbox
from admin.database import Database
from admin.letters.delivery import Delivery, pause_after
from admin.letters.mail_carrier import MailCarrier
from admin.letters.mail_server import Patience
from admin.outbox import Channel, Letter, LetterKind
from admin.settings import MailSettings, StartTls
from policy.town_policy import Policy
from tests.admin.small_town import CLERK, HEAD, MONDAY, TOWN, submitted
from tests.post_office import Day, PostOffice, post_office

# Where every server answers, however busy the machine.
PATIENCE = Patience(connect=30, answer=30, taken=30)
PEOPLE = {id_: replace(person, mail=f"{id_}@town.example") for id_, person in TOWN.people.items()}
MAIL_TOWN = replace(TOWN, people=PEOPLE, town=replace(TOWN.town, help_desk_email="helpdesk@town.example"))


@dataclass
class Clock:
    at: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.at


class Sending:
    """A delivery of mail to an office, with a clock to move."""

    def __init__(self, db: Database, office: PostOffice) -> None:
        self.db = db
        self.office = office
        self.clock = Clock()
        self.policy: Policy = MAIL_TOWN
        self.settings: MailSettings | None = MailSettings(
            host="127.0.0.1",
            port=office.port,
            is_tls=False,
            starttls=StartTls.NEVER,
            sender=Address("Towngate", "towngate", "town.example"),
            user=None,
            password=None,
        )
        self.delivery = self.made()

    def made(self, trust: ssl.SSLContext | None = None, patience: Patience = PATIENCE) -> Delivery:
        """Return another one, as after a restart."""
        carrier = MailCarrier(
            self.db,
            lambda: self.settings,
            lambda: self.policy,
            "https://gate.town.example",
            self.clock,
            patience=patience,
            trust=trust,
            reset_key=bytes(32),
        )
        return Delivery(Channel.MAIL, carrier, self.db, self.clock)

    async def put(self, *letters: Letter) -> None:
        async with self.db.transaction() as t:
            for letter in letters:
                await outbox.put(t, letter, self.clock.at)

    async def waiting(self) -> int:
        return (await outbox.depth(self.db, Channel.MAIL, self.clock.at)).waiting

    async def problem(self) -> str:
        row = await self.db.fetch_one("SELECT problem FROM letter ORDER BY id DESC LIMIT 1")
        return row["problem"] if row else ""


@pytest.fixture
async def sending(db: Database) -> AsyncIterator[Sending]:
    async with post_office() as office:
        yield Sending(db, office)


def receipt(title: str, to: str = CLERK) -> Letter:
    values = {
        "title": title,
        "text": "Be kind.",
        "law": "",
        "version": "1",
        "accepted_at": MONDAY.isoformat(),
    }
    return Letter(LetterKind.NOTICE_RECEIPT, to, f"NOTICE-{title}", values)


async def test_a_letter_is_sent_once_and_marked(sending: Sending) -> None:
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: one"]
    assert sending.office.recipients == ["clerk@town.example"]
    depth = await outbox.depth(sending.db, Channel.MAIL, sending.clock.at)
    assert (depth.waiting, depth.failed, depth.last_sent_at) == (0, 0, MONDAY)


async def test_without_a_server_mail_waits(sending: Sending) -> None:
    settings, sending.settings = sending.settings, None
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    assert (await sending.waiting(), sending.delivery.problem) == (1, None)
    sending.settings = settings
    await sending.delivery.send_due()
    assert await sending.waiting() == 0


async def test_a_server_that_is_set_up_late_gets_no_old_news(sending: Sending) -> None:
    settings, sending.settings = sending.settings, None
    await sending.put(receipt("old"))
    sending.clock.at += timedelta(days=4)
    await sending.put(receipt("new"))
    await sending.delivery.send_due()
    assert await sending.waiting() == 2
    sending.clock.at += timedelta(days=2)
    await sending.delivery.send_due()
    sending.settings = settings
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: new"]
    assert (await outbox.depth(sending.db, Channel.MAIL, sending.clock.at)).failed == 0


@pytest.mark.parametrize("day", [Day.NOT_NOW, Day.HANGS, Day.CUTS_INSIDE, Day.CUTS_AFTER])
async def test_a_letter_that_was_not_taken_comes_once_at_a_later_try(sending: Sending, day: Day) -> None:
    sending.office.days.append(day)
    await sending.put(receipt("one"), receipt("two"))
    sending.delivery = sending.made(patience=Patience(connect=30, answer=30, taken=2))
    await sending.delivery.send_due()
    # One letter's bad luck is not another's.
    assert sending.office.subjects == ["Your copy: two"]
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: two"]
    sending.clock.at += timedelta(minutes=1)
    await sending.delivery.send_due()
    await sending.made().send_due()
    assert sending.office.subjects == ["Your copy: two", "Your copy: one"]
    assert await sending.waiting() == 0


async def test_what_was_put_later_to_the_same_about_the_same_never_comes_before(sending: Sending) -> None:
    sending.office.days.append(Day.NOT_NOW)
    first, second = (replace(receipt(title), about="NOTICE", again=title) for title in ("first", "second"))
    await sending.put(first, second, receipt("other"))
    for _ in range(2):
        await sending.delivery.send_due()
        assert sending.office.subjects == ["Your copy: other"]
    sending.clock.at += timedelta(minutes=1)
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: other", "Your copy: first", "Your copy: second"]
    assert sending.office.messages[2]["In-Reply-To"] == sending.office.messages[1]["Message-ID"]


async def test_a_letter_taken_without_an_answer_comes_again_under_the_same_name(sending: Sending) -> None:
    sending.office.days.append(Day.TAKES_AND_CUTS)
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    sending.clock.at += timedelta(minutes=1)
    await sending.delivery.send_due()
    first, again = sending.office.messages
    assert first["Message-ID"] == again["Message-ID"]
    assert first.as_bytes() == again.as_bytes()


async def test_a_letter_whose_mark_was_lost_comes_again_under_the_same_name(sending: Sending) -> None:
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    async with sending.db.transaction() as t:  # as if killed between the server's answer and the mark
        await t.execute("UPDATE letter SET state = 'waiting'")
    await sending.made().send_due()
    assert len({message["Message-ID"] for message in sending.office.messages}) == 1


async def test_an_hour_without_a_server_loses_nothing_and_sends_nothing_twice(sending: Sending) -> None:
    await sending.put(*(receipt(str(n)) for n in range(12)))
    await sending.office.close()
    for _ in range(60):
        await sending.delivery.send_due()
        sending.clock.at += timedelta(minutes=1)
    assert await sending.waiting() == 12
    assert sending.delivery.problem is not None
    assert f"127.0.0.1:{sending.office.port}" in sending.delivery.problem
    await sending.office.open()
    for _ in range(6):  # the carrier's longest pause is five minutes
        await sending.delivery.send_due()
        sending.clock.at += timedelta(minutes=1)
    assert sending.office.subjects == [f"Your copy: {n}" for n in range(12)]
    assert (await sending.waiting(), sending.delivery.problem) == (0, None)


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ("127.0.0.1", 1, "cannot connect to 127.0.0.1:1: Connection refused"),
        ("mail.nowhere.invalid", 25, "cannot connect to mail.nowhere.invalid:25: "),
    ],
)
async def test_a_server_that_is_not_there_is_named(sending: Sending, host: str, port: int, why: str) -> None:
    assert sending.settings is not None
    sending.settings = replace(sending.settings, host=host, port=port)
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    assert sending.delivery.problem is not None
    assert sending.delivery.problem.startswith(why)
    assert "Unknown error" not in sending.delivery.problem
    assert await sending.waiting() == 1


async def test_another_server_is_tried_at_once_and_none_has_no_problem(sending: Sending) -> None:
    right = sending.settings
    assert right is not None
    sending.settings = replace(right, port=1)
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    assert sending.delivery.problem is not None
    sending.settings = None
    await sending.delivery.send_due()
    assert sending.delivery.problem is None
    sending.settings = right
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: one"]


async def test_a_server_that_is_away_is_asked_less_and_less_often(sending: Sending) -> None:
    sending.office.days.extend([Day.NO_SUCH_SENDER] * 1000)
    await sending.put(receipt("one"), receipt("two"))
    for _ in range(3600):
        await sending.delivery.send_due()
        sending.clock.at += timedelta(seconds=1)
    assert 12 <= sending.office.connections <= 20
    assert await sending.waiting() == 2
    sending.office.days.clear()
    sending.delivery.recover()
    await sending.delivery.send_due()
    assert await sending.waiting() == 0


async def test_a_mailbox_that_is_not_there_fails_at_once_and_says_so(sending: Sending) -> None:
    sending.office.days.append(Day.NO_SUCH_MAILBOX)
    await sending.put(receipt("one"))
    await sending.delivery.send_due()
    depth = await outbox.depth(sending.db, Channel.MAIL, sending.clock.at)
    assert (depth.waiting, depth.failed) == (0, 1)
    assert await sending.problem() == "clerk@town.example: 550 5.1.1 no such mailbox"


async def test_a_letter_that_nobody_takes_for_five_days_has_failed(sending: Sending) -> None:
    sending.office.days.extend([Day.NOT_NOW] * 1000)
    await sending.put(receipt("one"))
    while await sending.waiting():
        assert sending.clock.at < MONDAY + timedelta(days=6)
        await sending.delivery.send_due()
        sending.clock.at += timedelta(minutes=30)
    assert sending.clock.at > MONDAY + timedelta(days=5)
    assert await sending.problem() == "clerk@town.example: 451 4.3.0 come again"


def test_pauses_double_from_a_minute_to_an_hour() -> None:
    minutes = [pause_after(tries) // timedelta(minutes=1) for tries in (0, 1, 2, 5, 6, 50)]
    assert minutes == [1, 2, 4, 32, 60, 60]


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (receipt("one", to="stranger"), "stranger has left the policy"),
        (receipt("one", to=HEAD), "head has no mail address"),
        (Letter(LetterKind.REQUEST_ALLOWED, CLERK, "REQ-99"), "there is no request REQ-99"),
        (Letter(LetterKind.REQUEST_ALLOWED, CLERK, "a thing"), "cannot be put into words"),
    ],
)
async def test_a_letter_that_cannot_go_keeps_no_other_waiting(
    sending: Sending, letter: Letter, why: str
) -> None:
    people = {**PEOPLE, HEAD: replace(PEOPLE[HEAD], mail="")}
    sending.policy = replace(MAIL_TOWN, people=people)
    await sending.put(letter, receipt("two"))
    await sending.delivery.send_due()
    assert sending.office.subjects == ["Your copy: two"]
    row = await sending.db.fetch_one("SELECT problem FROM letter WHERE state IN ('dropped', 'failed')")
    assert row is not None
    assert why in row["problem"]


async def test_nobody_is_asked_to_decide_what_is_decided_meanwhile(sending: Sending) -> None:
    request = await submitted(sending.db)
    await access_requests.deny(
        sending.db, MAIL_TOWN, request.id, actor=HEAD, at=MONDAY, reason="Use another site"
    )
    await sending.delivery.send_due()
    assert sending.office.subjects == ["[REQ-1] Not approved"]
    assert await sending.waiting() == 0


# --- TLS and passwords ---


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def secured(db: Database, office: PostOffice, password: str = "correct horse") -> Sending:
    sending = Sending(db, office)
    assert sending.settings is not None
    sending.settings = replace(
        sending.settings, starttls=StartTls.REQUIRED, user="towngate", password=password
    )
    await sending.put(receipt("one"))
    return sending


async def test_the_password_goes_through_tls(db: Database, authority: trustme.CA) -> None:
    async with post_office(tls=server_tls(authority), password=b"correct horse") as office:
        sending = await secured(db, office)
        await sending.made(trusting(authority)).send_due()
        assert office.subjects == ["Your copy: one"]


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("127.0.0.1", "wrong", "does not take the user and password: 535"),
        ("mail.elsewhere.example", "correct horse", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
async def test_a_server_that_is_another_or_does_not_know_us_keeps_all_mail_waiting(
    db: Database, authority: trustme.CA, name: str, password: str, why: str
) -> None:
    async with post_office(tls=server_tls(authority, name), password=b"correct horse") as office:
        sending = await secured(db, office, password)
        delivery = sending.made(trusting(authority))
        await delivery.send_due()
        assert delivery.problem is not None
        assert why in delivery.problem.replace("certificate verify failed", "CERTIFICATE_VERIFY_FAILED")
        assert (office.messages, await sending.waiting()) == ([], 1)


async def test_a_server_without_starttls_gets_neither_password_nor_mail(db: Database) -> None:
    async with post_office() as office:
        sending = await secured(db, office)
        await sending.delivery.send_due()
        assert sending.delivery.problem == (
            f"127.0.0.1:{office.port} offers no STARTTLS, so no mail was sent in the clear;"
            " if it is a server on this network, write 'starttls: never' in settings.yaml"
        )
        assert (office.messages, await sending.waiting()) == ([], 1)
