"""What mails say: subjects that name no site, one link that shows, threads; nothing adds a header."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest

from admin import (
    access_requests,
    emergency_reviews,
    granting,
    joining,
    outbox,
    sessions,
    stored_requests,
    unanswered,
)
from admin.asked import AccountUse, EmergencyUse, Kind, Level, SocialMediaUse, Window
from admin.asking import AccessRequest
from admin.database import Database
from admin.letters.composing import compose
from admin.letters.parts import Words
from admin.names import Names
from admin.outbox import HELP_DESK, Channel, Letter, LetterKind, PutLetter
from policy.access_duration import Duration
from policy.town_policy import AfterApproval, Approver, Asking, PersonKind, SecondPerson, SocialMedia
from tests.admin.letters.test_delivery import MAIL_TOWN, Sending
from tests.admin.small_town import AUDITOR, CLERK, COLLEAGUE, DELEGATE, HEAD, IT, MONDAY, listed, submitted
from tests.post_office import post_office

ADMIN_URL = "https://gate.town.example"
WAITING_TOWN = replace(MAIL_TOWN, after_approval=AfterApproval.WAIT_FOR_IT)
LATER = MONDAY + timedelta(minutes=14)
STANDS_IN = {
    **{"head": HEAD, "department": "finance"},
    **{"begins_at": LATER.isoformat(), "ends_at": (LATER + timedelta(days=30)).isoformat()},
}


@pytest.fixture
async def sending(db: Database) -> AsyncIterator[Sending]:
    async with post_office() as office:
        sending = Sending(db, office)
        sending.clock.at = LATER
        yield sending


async def arrived(sending: Sending) -> dict[str, list[EmailMessage]]:
    """Send what waits; return what has come by its recipient's name before the @."""
    await sending.delivery.send_due()
    assert await sending.waiting() == 0
    found: dict[str, list[EmailMessage]] = {}
    for message in sending.office.messages:
        found.setdefault(message["To"].addresses[0].username, []).append(message)
    return found


async def approved(sending: Sending, request: AccessRequest) -> AccessRequest:
    return await access_requests.approve(sending.db, sending.policy, listed, request.id, actor=HEAD, at=LATER)


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def html_of(message: EmailMessage) -> str:
    body = message.get_body(("html",))
    assert body is not None
    return str(body.get_content())


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def tags_of(message: EmailMessage) -> _Tags:
    tags = _Tags()
    tags.feed(html_of(message))
    return tags


async def test_a_head_is_told_what_a_decision_needs_and_by_when(sending: Sending) -> None:
    await submitted(sending.db)
    (mail,) = (await arrived(sending))[HEAD]
    assert mail["Subject"] == "[REQ-1] Finance: a web request, by Tue, March 3, 9:30 AM"
    text = text_of(mail).replace("\n", " ")
    for said in (
        "Allow cardroom.example for Clerk?",
        "> I need their charity report for the grant file.",
        "For:          this person, to Mon, March 9",
        "Listed as:    Gambling (starter)",
        "Security:     No known risk",
        "Reach:        none in 30 days",
        "Earlier:      never asked",
        f"{ADMIN_URL}/decide/1",
        "Nothing is decided by this mail.",
    ):
        assert said in text, said
        assert said.lstrip("> ").partition(":  ")[2].strip() in html_of(mail).replace("\u00a0", " ")


async def test_mail_to_decide_tells_earlier_access_by_what_became_of_it(sending: Sending) -> None:
    first = await submitted(sending.db)
    await access_requests.deny(sending.db, MAIL_TOWN, first.id, actor=HEAD, at=LATER, reason="Not now")
    await submitted(sending.db)
    assert "Earlier:      not allowed Mon, March 2: “Not now”" in text_of((await arrived(sending))[HEAD][-1])
    await approved(sending, await stored_requests.get(sending.db, 2))
    await access_requests.stop(sending.db, MAIL_TOWN, 2, actor=IT, at=LATER, reason="Malware.")
    await submitted(sending.db)
    said = text_of((await arrived(sending))[HEAD][-1])
    assert "Earlier:      stopped by IT Mon, March 2: “Malware.”" in said
    sending.policy = WAITING_TOWN
    await approved(sending, await stored_requests.get(sending.db, 3))
    await submitted(sending.db, COLLEAGUE)
    said = text_of((await arrived(sending))[HEAD][-1])
    assert "Earlier:      approved Mon, March 2, waiting for IT to open it" in said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "never asked"),
        ("deny", "not allowed Mon, March 2: “Not needed for work”"),
        ("stop", "stopped by IT Mon, March 2: “Malware.”"),
    ],
)
async def test_mail_of_emergency_access_says_what_was_decided_of_the_site_before_as_pages_do(
    sending: Sending, answer: str | None, said: str
) -> None:
    db, until = sending.db, LATER + timedelta(hours=1)
    if answer is not None:
        theirs = await submitted(db, COLLEAGUE)
        if answer == "deny":
            why = "Not needed for work"
            await access_requests.deny(db, MAIL_TOWN, theirs.id, actor=HEAD, at=LATER, reason=why)
        else:
            await approved(sending, theirs)
            await access_requests.stop(db, MAIL_TOWN, theirs.id, actor=IT, at=LATER, reason="Malware.")
    opened = await submitted(db, at=LATER, kind=Kind.EMERGENCY, asked=EmergencyUse(until))
    later = await submitted(db, DELEGATE, at=until, chain=(Approver.IT_SECURITY,))
    await access_requests.deny(db, MAIL_TOWN, later.id, actor=IT, at=until, reason="Later.")
    values = {
        **{"host": "cardroom.example", "person": CLERK, "department": "finance"},
        **{"until": until.isoformat(), "reason": "A threat."},
    }
    await sending.put(Letter(LetterKind.EMERGENCY_OPENED, HEAD, opened.number, values))
    assert f"Earlier:      {said}" in text_of((await arrived(sending))[HEAD][-1])


async def test_access_for_today_is_said_to_be_for_today(sending: Sending) -> None:
    await submitted(sending.db, duration=Duration.TODAY)
    (mail,) = (await arrived(sending))[HEAD]
    assert "For:          this person, to Mon, March 2" in text_of(mail), "it ends at midnight"


async def test_the_asker_and_the_help_desk_hear_of_the_decision(sending: Sending) -> None:
    await approved(sending, await submitted(sending.db))
    found = await arrived(sending)
    assert [m["Subject"] for m in found[CLERK]] == ["[REQ-1] Allowed until Mon, March 9, 10:14 AM"]
    assert [m["Subject"] for m in found["helpdesk"]] == [
        "[REQ-1] Access allowed: cardroom.example until 2026-03-09 10:14"
    ]
    assert "Load cardroom.example again" in text_of(found[CLERK][0])


async def test_what_is_over_when_its_mail_is_sent_is_neither_waiting_for_it_nor_going_on(
    sending: Sending,
) -> None:
    window = Window(("sports",), LATER, LATER + timedelta(hours=1))
    use = await submitted(sending.db, host="", kind=Kind.PERSONAL_USE, asked=window)
    await access_requests.approve(sending.db, WAITING_TOWN, listed, use.id, actor=HEAD, at=LATER)
    request = await submitted(sending.db)
    await joining.join(
        sending.db, MAIL_TOWN, request.id, person=COLLEAGUE, browser="another browser", at=LATER
    )
    await access_requests.withdraw(sending.db, MAIL_TOWN, request.id, actor=CLERK, at=LATER)
    await approved(sending, request)
    sending.clock.at = LATER + timedelta(days=30)
    found = await arrived(sending)
    assert CLERK not in found and COLLEAGUE not in found


async def test_a_denial_says_why_and_who_to_talk_to(sending: Sending) -> None:
    request = await submitted(sending.db)
    await access_requests.deny(
        sending.db, MAIL_TOWN, request.id, actor=HEAD, at=LATER, reason="Not needed for work"
    )
    (mail,) = (await arrived(sending))[CLERK]
    assert mail["Subject"] == "[REQ-1] Not approved"
    assert "> Not needed for work" in text_of(mail)
    assert "ask your department head or the help desk" in text_of(mail)


async def test_a_stop_is_told_to_asker_head_and_help_desk_in_one_thread(sending: Sending) -> None:
    request = await approved(sending, await submitted(sending.db))
    await sending.delivery.send_due()
    await access_requests.stop(
        sending.db, MAIL_TOWN, request.id, actor=IT, at=LATER, reason="Known for malware."
    )
    found = await arrived(sending)
    assert found[HEAD][-1]["Subject"] == "[REQ-1] Stopped by IT"
    allowed, stopped = found[CLERK]
    assert stopped["Subject"] == "[REQ-1] Stopped by IT"
    assert stopped["In-Reply-To"] == allowed["Message-ID"]
    assert stopped["References"] == allowed["Message-ID"]
    ticket, follow_up = found["helpdesk"]
    assert follow_up["Subject"] == "[REQ-1] Access stopped: cardroom.example"
    assert follow_up["References"] == ticket["Message-ID"]
    assert "Known for malware." in text_of(follow_up)


async def test_access_that_ended_while_the_mail_server_was_away_is_not_said_to_be_open(
    sending: Sending,
) -> None:
    stopped = await approved(sending, await submitted(sending.db))
    await access_requests.stop(sending.db, MAIL_TOWN, stopped.id, actor=IT, at=LATER, reason="Known.")
    await approved(sending, await submitted(sending.db, host="dice.example", code="D7M-4QP"))
    sending.clock.at = LATER + timedelta(days=8)
    found = await arrived(sending)
    assert [m["Subject"] for m in found[CLERK]] == ["[REQ-1] Stopped by IT"]
    assert [m["Subject"].partition(" ")[2][:15] for m in found["helpdesk"]] == [
        "Access allowed:",
        "Access stopped:",
        "Access allowed:",
    ], "for the help desk it is on record"


async def test_where_the_policy_waits_the_ticket_leads_to_where_it_is_opened(sending: Sending) -> None:
    sending.policy = WAITING_TOWN
    request = await approved(sending, await submitted(sending.db))
    await sending.delivery.send_due()
    await access_requests.open_access(sending.db, WAITING_TOWN, listed, request.id, actor=IT, at=LATER)
    found = await arrived(sending)
    assert [m["Subject"] for m in found[CLERK]] == [
        "[REQ-1] Approved, waiting for IT to open it",
        "[REQ-1] Allowed until Mon, March 9, 10:14 AM",
    ]
    assert [m["Subject"] for m in found["helpdesk"]] == [
        "[REQ-1] To open: cardroom.example until 2026-03-09 10:14",
        "[REQ-1] Access allowed: cardroom.example until 2026-03-09 10:14",
    ]
    assert f"{ADMIN_URL}/decide/1/done" in text_of(found["helpdesk"][0])
    # Who approved it is said, not who opened it.
    assert "Allowed by:   Your department head" in text_of(found[CLERK][1])
    assert "Approved by:  Head of Finance" in text_of(found["helpdesk"][1])


async def test_a_security_risk_is_said_to_be_one(sending: Sending) -> None:
    await submitted(sending.db, category="malware", chain=(Approver.IT_SECURITY,))
    (mail,) = (await arrived(sending))[IT]
    assert "Security:     A known security risk: Malware" in text_of(mail)


async def test_mail_to_decide_tells_nothing_of_a_site_where_there_is_none(sending: Sending) -> None:
    account = AccountUse(PersonKind.EMPLOYEE, "", "", LATER + timedelta(days=90), DELEGATE)
    window = Window(("sports",), LATER, LATER + timedelta(hours=1))
    for kind, asked in ((Kind.INTERNET_ACCOUNT, account), (Kind.PERSONAL_USE, window)):
        await submitted(
            sending.db, host="", kind=kind, asked=asked, category=None, entry=None, source=None, rule=None
        )
        mail = (await arrived(sending))[HEAD][-1]
        assert "Answer by:" in text_of(mail)
        for line in ("Listed as:", "Security:", "Reach:"):
            assert line not in text_of(mail), kind


async def test_who_proposed_is_not_told_to_keep_what_others_decide_about(sending: Sending) -> None:
    use = SocialMediaUse(Level.VIEW, (), LATER + timedelta(days=90), DELEGATE)
    sending.policy = replace(sending.policy, asking=Asking(social_media=SocialMedia("Write kindly.", "1")))
    request = await submitted(sending.db, host="x.example", kind=Kind.SOCIAL_MEDIA, asked=use)
    async with sending.db.transaction() as t:
        await granting.grant(t, request, frozenset(), at=LATER, ends_at=use.until, approved_by=HEAD)
        await t.execute("UPDATE access_request SET state = 'approved'")
        await t.execute("UPDATE exemption SET review_since = 1")
    await sending.put(*(Letter(LetterKind.EXEMPTION_REVIEW, to, "REQ-1") for to in (CLERK, DELEGATE, HEAD)))
    found = await arrived(sending)
    said = {to: text_of(found[to][-1]) for to in (CLERK, DELEGATE, HEAD)}
    assert "End it on its page." in said[CLERK]
    assert "Renew it or end it on its page." in said[DELEGATE]
    assert "Renew it, keep it or end it on its page." in said[HEAD]


async def test_access_that_nobody_can_allow_any_more_is_said_to_be_that(sending: Sending) -> None:
    await submitted(sending.db)
    sending.policy = replace(sending.policy, asking=Asking(never=frozenset({"gambling"})))
    values = {"host": "cardroom.example", "category": "gambling"}
    async with sending.db.transaction() as t:
        await outbox.put(t, Letter(LetterKind.EXEMPTION_PAUSED, CLERK, "REQ-1", values), LATER)
    mails = (await arrived(sending))[CLERK]
    (mail,) = [mail for mail in mails if mail["Subject"] == "[REQ-1] Paused: now never allowed"]
    assert "Nobody can allow that." in text_of(mail)


def others() -> list[Letter]:
    """Return one letter of each kind that is not put by a request's moves."""
    at = MONDAY.isoformat()
    site = {"host": "cardroom.example"}
    return [
        Letter(LetterKind.EXEMPTION_PAUSED, CLERK, "REQ-1", {"host": "cdn.example", "category": "malware"}),
        Letter(
            LetterKind.CATEGORY_REPORTED,
            IT,
            "WC-1",
            {**site, "listed_as": "gambling", "proposed": "press", "note": "A charity."},
        ),
        Letter(
            LetterKind.CATEGORY_ANSWERED,
            CLERK,
            "WC-1",
            {**site, "answer": "corrected", "category": "press", "note": ""},
        ),
        Letter(LetterKind.REPORT_REMINDER, IT, "REP-1", {**site, "at": at}),
        Letter(
            LetterKind.ACCIDENT_REPORTED,
            HEAD,
            "ACC-1",
            {**site, "category": "gambling", "department": "finance", "at": at},
        ),
        Letter(LetterKind.ACCIDENT_ANSWERED, CLERK, "ACC-1", {**site, "answer": "blocked"}),
        Letter(
            LetterKind.NOTICE_RECEIPT,
            CLERK,
            "NOTICE-1",
            {"title": "Acceptable use", "text": "Be kind.", "law": "", "version": "1", "accepted_at": at},
        ),
        Letter(
            LetterKind.EMERGENCY_OPENED,
            HEAD,
            "REQ-1",
            {**site, "person": CLERK, "department": "finance", "until": at, "reason": "A threat."},
        ),
        Letter(LetterKind.EMERGENCY_REVIEWED, CLERK, "REQ-1", {**site, "answer": "right", "note": "It was."}),
        Letter(LetterKind.DELEGATION_NAMED, CLERK, "DEL-1", STANDS_IN),
        Letter(LetterKind.DELEGATION_ENDED, CLERK, "DEL-1", {**STANDS_IN, "by": HEAD}),
        Letter(LetterKind.PASSWORD_RESET, CLERK, "PASSWORD", {"reset": "1"}),
        Letter(LetterKind.WEEKLY_REPORT, IT, "WEEK", {"department": "", "monday": "2026-02-23"}),
        Letter(
            LetterKind.DOWNLOAD_REMINDER,
            CLERK,
            "DOWNLOAD K7M-4QP",
            {"host": "files.example", "address": "https://files.example/county.zip", "limit": "big"},
        ),
        Letter(
            LetterKind.LIMIT_CLOSED,
            CLERK,
            "LIMIT",
            {"host": "files.example", "limit": "big", "at": MONDAY.isoformat()},
        ),
        Letter(
            LetterKind.ATTEMPTS_REPEATED,
            HEAD,
            "STOPPED",
            {
                **{"person": CLERK, "department": "finance", "visits": "11"},
                **{"categories": "gambling adult", "from": at, "until": LATER.isoformat()},
            },
        ),
        *(
            Letter(
                LetterKind.RISK_STOPPED,
                to,
                "RISK",
                {
                    **{"host": "bad.example", "category": "malware", "person": CLERK},
                    **{"department": "finance", "device": "FIN-PC-15", "at": at, "code": "K7M-4QP"},
                },
            )
            for to in (HEAD, IT)
        ),
    ]


async def every_mail(sending: Sending) -> list[EmailMessage]:
    """Return a mail of every kind there is, but the test's."""
    sending.policy = WAITING_TOWN
    first = await approved(sending, await submitted(sending.db))
    async with sending.db.transaction() as t:
        await unanswered.remind(t, WAITING_TOWN, first, LATER)
    await sending.delivery.send_due()
    await access_requests.open_access(sending.db, WAITING_TOWN, listed, first.id, actor=IT, at=LATER)
    await sending.delivery.send_due()
    await access_requests.stop(sending.db, WAITING_TOWN, first.id, actor=IT, at=LATER, reason="Unsafe.")
    sending.policy = MAIL_TOWN
    second = await submitted(sending.db, host="poker.example")
    await sending.delivery.send_due()
    await access_requests.deny(sending.db, MAIL_TOWN, second.id, actor=HEAD, at=LATER, reason="No.")
    third = await submitted(sending.db, host="dice.example")
    fourth = await submitted(sending.db, host="slots.example")
    await joining.join(sending.db, MAIL_TOWN, fourth.id, person=COLLEAGUE, browser="b", at=LATER)
    await access_requests.withdraw(sending.db, MAIL_TOWN, fourth.id, actor=CLERK, at=LATER)
    async with sending.db.transaction() as t:
        await unanswered.remind(t, MAIL_TOWN, third, LATER)
        await unanswered.pass_on(t, MAIL_TOWN, third, LATER)
    use = SocialMediaUse(Level.VIEW, (), LATER + timedelta(days=7), HEAD)
    sixth = await submitted(sending.db, host="x.example", kind=Kind.SOCIAL_MEDIA, asked=use)
    await access_requests.approve(sending.db, MAIL_TOWN, listed, sixth.id, actor=DELEGATE, at=LATER)
    seventh = await submitted(
        sending.db, host="threat.example", kind=Kind.EMERGENCY, asked=EmergencyUse(LATER)
    )
    async with sending.db.transaction() as t:
        await emergency_reviews.begin(t, MAIL_TOWN, seventh, LATER)
    await sending.put(Letter(LetterKind.EMERGENCY_UNREVIEWED, HEAD, seventh.number))
    fifth = await submitted(sending.db, host="lotto.example")
    await access_requests.approve(sending.db, MAIL_TOWN, listed, fifth.id, actor=HEAD, at=LATER)
    async with sending.db.transaction() as t:
        await t.execute("UPDATE exemption SET review_since = 1 WHERE access_request = ?", fifth.id)
    await _names_asked(sending)
    await sending.put(*others(), Letter(LetterKind.EXEMPTION_REVIEW, HEAD, fifth.number))
    await arrived(sending)
    rows = await sending.db.fetch_all("SELECT DISTINCT kind FROM letter WHERE state = 'sent'")
    assert {row["kind"] for row in rows} == {kind.value for kind in LetterKind} - {"test"}
    return sending.office.messages


async def _names_asked(sending: Sending) -> None:
    """Have IT ask a second person for names, and the auditor agree once the mail is there."""
    policy = replace(MAIL_TOWN, second_person=SecondPerson.ALWAYS)
    names = Names(sending.db, lambda: policy, lambda: LATER)
    async with sending.db.transaction() as t:
        it = (await sessions.open_signed_in(t, IT, LATER, None)).session
        auditor = (await sessions.open_signed_in(t, AUDITOR, LATER, None)).session
    asked = await names.ask(it, "A complaint about mails.", "C-7")
    assert asked is not None
    await sending.delivery.send_due()
    await names.answer(auditor, asked.id, agrees=True)


async def test_mail_about_stopped_visits_says_who_and_what_and_leads_it_alone_to_them(
    sending: Sending,
) -> None:
    await sending.put(*(letter for letter in others() if letter.about in ("STOPPED", "RISK")))
    found = await arrived(sending)
    assert [mail["Subject"] for mail in found[HEAD]] == [
        "Finance: many stopped visits by one person",
        "Finance: a visit was stopped for security",
    ]
    many, risk = map(text_of, found[HEAD])
    assert "was stopped 11 times between Mon, March 2, 10 AM and" in many
    assert "Listed as:    Gambling, Adult" in many
    assert "bad.example is listed as Malware. Nothing was loaded." in risk
    assert "Computer:     FIN-PC-15" in risk
    assert f"{ADMIN_URL}/visits" not in many + risk
    (told,) = map(text_of, found[IT])
    assert f"{ADMIN_URL}/visits?code=K7M-4QP" in told


async def test_no_subject_names_a_site_but_the_help_desks(sending: Sending) -> None:
    for mail in await every_mail(sending):
        is_help_desk = mail["To"].addresses[0].username == "helpdesk"
        assert (".example" in mail["Subject"]) is is_help_desk, mail["Subject"]


async def test_every_mail_leads_to_one_place_at_most_and_loads_nothing(sending: Sending) -> None:
    for mail in await every_mail(sending):
        tags = tags_of(mail)
        ours = [link for link in tags.links if not link.startswith(("mailto:", "tel:"))]
        assert len(ours) <= 1
        is_reminder = mail["Subject"] == "Your reminder: a download"
        to = "https://files.example/county.zip" if is_reminder else f"{ADMIN_URL}/"
        assert all(link.startswith(to) for link in ours)
        assert not tags.tags & {"form", "img", "script", "link", "iframe", "input", "button"}
        assert text_of(mail).count("https://") == len(ours)


async def test_every_mail_says_that_a_machine_sent_it_and_passes_every_server(sending: Sending) -> None:
    for mail in await every_mail(sending):
        assert mail["Auto-Submitted"] == "auto-generated"
        assert str(mail["From"]) == "Towngate <towngate@town.example>"
        is_help_desk = mail["To"].addresses[0].username == "helpdesk"
        assert mail["Reply-To"] == (None if is_help_desk else "helpdesk@town.example")
        sent = mail.as_bytes()
        assert sent.isascii()
        assert max(len(line) for line in sent.splitlines()) <= 998
        assert mail.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "reason",
    [
        "Line one.\nBcc: everyone@elsewhere.example\n\n.\nDATA",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "{{ 7 * 7 }} {% for x in () %}",
        "Größe 大きさ " + "x" * 480,
    ],
)
async def test_what_an_asker_writes_stays_what_it_is(sending: Sending, reason: str) -> None:
    await submitted(sending.db, reason=reason)
    (mail,) = (await arrived(sending))[HEAD]
    assert mail["Bcc"] is None
    quoted = [line.removeprefix("> ") for line in text_of(mail).splitlines() if line.startswith(">")]
    assert quoted == reason.split("\n")
    assert not tags_of(mail).tags & {"script", "img"}
    assert sending.office.recipients == ["finance-delegate@town.example", "head@town.example"]


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_no_value_can_add_a_header(line_end: str) -> None:
    put = PutLetter(1, Channel.MAIL, Letter(LetterKind.TEST, CLERK, "TEST"), "abc", MONDAY, 0)
    sender = Address("Towngate", "towngate", "town.example")
    words = Words(subject=f"Hello{line_end}Bcc: everyone@elsewhere.example", heading="Hello")
    with pytest.raises(ValueError, match="linefeed or carriage return"):
        compose(put, words, sender=sender, to=sender, earlier=(), admin_url=ADMIN_URL, town=MAIL_TOWN.town)


async def test_a_person_whose_name_holds_header_signs_gets_mail_under_that_name(sending: Sending) -> None:
    people = {**MAIL_TOWN.people, AUDITOR: replace(MAIL_TOWN.people[AUDITOR], name='O"Hara, <Ann>; ü')}
    sending.policy = replace(MAIL_TOWN, people=people)
    await sending.put(
        Letter(LetterKind.ACCIDENT_ANSWERED, AUDITOR, "ACC-1", {"host": "a.example", "answer": "blocked"})
    )
    (mail,) = (await arrived(sending))[AUDITOR]
    assert mail["To"].addresses[0].display_name == 'O"Hara, <Ann>; ü'
    assert sending.office.recipients == ["auditor@town.example"]


async def test_a_letter_of_every_kind_has_words(sending: Sending) -> None:
    assert len(await every_mail(sending)) > len(LetterKind)
    assert (await outbox.depth(sending.db, Channel.MAIL, MONDAY)).failed == 0
    assert HELP_DESK not in MAIL_TOWN.people


async def test_what_the_sites_pages_need_is_said_to_be_opened_too(sending: Sending) -> None:
    request = await submitted(sending.db)
    async with sending.db.transaction() as t:
        await t.execute(
            "INSERT INTO access_request_host VALUES (?, 'cdn.example', 'clerk', ?)", request.id, 0
        )
    await approved(sending, await stored_requests.get(sending.db, request.id))
    found = await arrived(sending)
    for mail in (found[CLERK][-1], found["helpdesk"][-1]):
        assert "Also opens:   cdn.example" in text_of(mail)


async def test_it_is_led_to_the_board_and_a_head_is_only_told(sending: Sending) -> None:
    values = {"host": "a.example", "category": "gambling", "department": "finance", "at": MONDAY.isoformat()}
    for person in (IT, HEAD):
        await sending.put(Letter(LetterKind.ACCIDENT_REPORTED, person, "REP-1", values))
    found = await arrived(sending)
    assert f"{ADMIN_URL}/review" in text_of(found[IT][0])
    assert ADMIN_URL not in text_of(found[HEAD][0])
