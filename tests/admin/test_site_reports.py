"""What people say of a site: kept once, answered once, and told to those whom it concerns."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from admin import answering_reports, audit, reporting_sites, site_reports
from admin.asking import InvalidRequestError, TooMuchError
from admin.audit import EventKind
from admin.database import Database
from admin.site_reports import Answer, ReportKind, SiteReport
from admin.unanswered import Unanswered
from policy.ask_token import AskToken
from policy.town_policy import Asking
from tests.admin.explaining import Explaining
from tests.admin.small_town import MONDAY, PARKS_CLERK, SECOND_IT, TOWN, standing_at
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT

LATER = MONDAY + timedelta(hours=1)
ASK = AskToken(
    host="www.cardroom.example",
    category="gambling",
    entry="cardroom.example",
    source="starter",
    rule="not-town-business",
    approval=("department_head",),
    person=CLERK,
    device="FIN-PC-15",
    department="finance",
    policy_version="one",
    code="K7M-4QP",
    issued_at=MONDAY,
)


async def sent(
    db: Database, kind: ReportKind = ReportKind.WRONG_CATEGORY, proposed: str | None = None, **changed: Any
) -> SiteReport:
    ask = replace(ASK, **changed)
    return await reporting_sites.send(
        db, TOWN, ask, kind, browser="a browser", at=MONDAY, proposed=proposed, remark="A museum"
    )


async def answered(db: Database, report: SiteReport, answer: Answer = Answer.KEPT) -> list[SiteReport]:
    async with db.transaction() as t:
        return await answering_reports.answer(
            t, report, answer, category=None, note="They play for money", actor=IT, at=LATER
        )


async def letters(db: Database) -> list[tuple[str, str, str]]:
    rows = await db.fetch_all("SELECT kind, recipient, about FROM letter ORDER BY id")
    return [(row["kind"], row["recipient"], row["about"]) for row in rows]


async def test_report_is_of_the_site_and_goes_to_it(db: Database) -> None:
    report = await sent(db, proposed="reference")
    assert (report.site, report.category, report.proposed) == ("cardroom.example", "gambling", "reference")
    assert await letters(db) == [
        ("category_reported", IT, "REP-1"),
        ("category_reported", SECOND_IT, "REP-1"),
    ]
    (event,) = await audit.events_of(db, "REP-1")
    assert (event.kind, event.actor) == (EventKind.REPORT_SENT, CLERK)


async def test_a_person_says_so_as_often_a_day_of_the_towns_as_they_may_ask(db: Database) -> None:
    two_a_day = replace(TOWN, asking=Asking(per_day=2))
    midnight = MONDAY.replace(hour=5) + timedelta(days=1)

    async def say(number: int, person: str | None = CLERK, at: datetime = MONDAY) -> SiteReport:
        ask = replace(ASK, host=f"site-{number}.example", code=f"K7M-4Q{number}", person=person)
        browser = f"browser of {person}"
        return await reporting_sites.send(db, two_a_day, ask, ReportKind.ACCIDENT, browser=browser, at=at)

    for person in (CLERK, None):
        numbers = range(0, 3) if person else range(5, 8)
        first, _ = [await say(number, person) for number in numbers[:2]]
        with pytest.raises(TooMuchError, match="2 sites today"):
            await say(numbers[2], person)
        (refused,) = await audit.events_of(db, f"site-{numbers[2]}.example")
        assert (refused.kind, refused.actor) == (
            EventKind.REPORT_MOVE_REFUSED,
            person or audit.AT_A_SHARED_DEVICE,
        )
        assert "2 sites today" in str(refused.details["why"])
        assert await say(numbers[0], person) == first, "it was said before"
    assert len(await letters(db)) == 4 * 3
    await say(2, at=midnight)


async def test_accident_is_told_to_the_head_and_it(db: Database) -> None:
    await sent(db, ReportKind.ACCIDENT)
    assert {recipient for _, recipient, _ in await letters(db)} == {HEAD, IT, SECOND_IT}


@pytest.mark.parametrize(
    ("case", "person", "department", "told"),
    [
        ("a head's own", HEAD, "finance", {ADMINISTRATOR, IT, SECOND_IT}),
        ("one of no department", IT, None, {ADMINISTRATOR, SECOND_IT}),
        ("someone at a shared device", None, "finance", {HEAD, IT, SECOND_IT}),
    ],
)
async def test_whom_an_accident_is_told_to(
    db: Database, case: str, person: str | None, department: str | None, told: set[str]
) -> None:
    await sent(db, ReportKind.ACCIDENT, person=person, department=department)
    assert {recipient for _, recipient, _ in await letters(db)} == told, case


async def test_the_same_said_twice_is_one_report_and_one_mail(db: Database) -> None:
    first = await sent(db)
    assert await sent(db) == first
    assert await sent(db, code="H7M-4QP", host="cardroom.example") == first
    assert len(await letters(db)) == 2


async def test_each_accident_marks_its_visit_and_only_the_first_is_mailed(db: Database) -> None:
    first = await sent(db, ReportKind.ACCIDENT)
    second = await sent(db, ReportKind.ACCIDENT, code="H7M-4QP")
    assert (first.code, second.code) == ("K7M-4QP", "H7M-4QP")
    assert len(await letters(db)) == 3


async def test_one_site_reported_by_several_is_one_card_and_answered_at_once(db: Database) -> None:
    first = await sent(db)
    other = await sent(db, person=PARKS_CLERK, department="parks", code="H7M-4QP")
    elsewhere = await sent(db, host="other.example", code="J7M-4QP")
    assert await site_reports.unanswered(db, ReportKind.WRONG_CATEGORY) == [[first, other], [elsewhere]]
    assert await site_reports.count_sites(db) == 2
    done = await answered(db, first)
    assert [(report.id, report.answer) for report in done] == [(1, Answer.KEPT), (2, Answer.KEPT)]
    assert (await letters(db))[-2:] == [
        ("category_answered", CLERK, "REP-1"),
        ("category_answered", PARKS_CLERK, "REP-2"),
    ]
    assert await site_reports.unanswered(db, ReportKind.WRONG_CATEGORY) == [[elsewhere]]


@pytest.mark.parametrize(
    ("answer", "category", "told"),
    [
        (Answer.KEPT, None, "gambling"),
        (Answer.CORRECTED, "reference", "reference"),
        (Answer.CORRECTED, None, ""),
    ],
)
async def test_the_answer_names_the_category_that_holds_now(
    db: Database, answer: Answer, category: str | None, told: str
) -> None:
    report = await sent(db)
    async with db.transaction() as t:
        await answering_reports.answer(t, report, answer, category=category, note="", actor=IT, at=LATER)
    row = await db.fetch_one("SELECT details FROM letter WHERE kind = 'category_answered'")
    assert row is not None
    values = json.loads(row["details"])["values"]
    assert (values["host"], values["answer"], values["category"]) == ("cardroom.example", answer, told)


async def test_it_is_reminded_once_of_a_site_that_nobody_answered(db: Database) -> None:
    await sent(db)
    await sent(db, person=PARKS_CLERK, department="parks", code="H7M-4QP")
    await answered(db, await sent(db, host="other.example", code="J7M-4QP"))
    remind_at = MONDAY + timedelta(hours=4)
    for at in (remind_at - timedelta(milliseconds=1), remind_at, remind_at + timedelta(days=30)):
        await Unanswered(db, lambda: TOWN, standing_at(at)).look()
    reminders = [letter for letter in await letters(db) if letter[0] == "report_reminder"]
    assert reminders == [("report_reminder", IT, "REP-1"), ("report_reminder", SECOND_IT, "REP-1")]
    kinds = [event.kind for event in await audit.events_of(db, "REP-1")]
    assert kinds == [EventKind.REPORT_SENT, EventKind.REPORT_REMINDED]


@pytest.mark.parametrize("reporters", [(IT,), (IT, SECOND_IT)])
async def test_who_said_it_is_reminded_only_where_nobody_else_can_answer(
    db: Database, reporters: tuple[str, ...]
) -> None:
    for n, person in enumerate(reporters):
        await sent(db, person=person, code=f"H7M-4Q{n}")
    await Unanswered(db, lambda: TOWN, lambda: MONDAY + timedelta(hours=4)).look()
    reminded = {to for kind, to, _ in await letters(db) if kind == "report_reminder"}
    assert reminded == ({SECOND_IT} if reporters == (IT,) else {IT, SECOND_IT})


async def test_a_look_for_what_nobody_answered_reads_none_of_what_was(db: Database) -> None:
    explaining = Explaining(db)
    await Unanswered(explaining, lambda: TOWN, lambda: MONDAY).look()  # type: ignore[arg-type]  # in place of one
    assert explaining.read_whole == [], "every table is searched by an index of what is open"
    assert any("site_report_to_remind (remind_at=?)" in step for step in explaining.steps)


async def test_what_was_answered_can_be_said_again(db: Database) -> None:
    await answered(db, await sent(db))
    again = await sent(db, code="H7M-4QP")
    assert (again.id, again.answer) == (2, None)


async def test_my_reports_are_mine_and_those_of_this_browser(db: Database) -> None:
    report = await sent(db)
    assert await site_reports.mine(db, CLERK, "another browser") == [report]
    assert await site_reports.mine(db, None, "a browser") == [report]
    assert await site_reports.mine(db, HEAD, "another browser") == []


async def test_proposed_category_must_be_one(db: Database) -> None:
    with pytest.raises(InvalidRequestError, match="Choose a category"):
        await sent(db, proposed="security_risk")
