"""Requests that nobody answers: reminders, and going up, by the town's business hours."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from admin import access_requests, audit, outbox, stored_requests, submitting, waiting_requests
from admin.asked import Kind, Level, SocialMediaUse
from admin.asking import NotAllowedError, State, TransitionError
from admin.audit import EventKind
from admin.database import Database
from admin.deciders import may_stop
from admin.one_by_one import RoundError
from admin.outbox import Channel, LetterKind
from admin.unanswered import Unanswered, pass_on, remind
from policy.business_time import OFFICE_HOURS, BusinessTime
from policy.town_policy import AfterApproval, Approver, Asking, Person, Policy
from tests.admin.small_town import (
    DELEGATE,
    MONDAY,
    PARKS_CLERK,
    SECOND_IT,
    TOWN,
    ask,
    listed,
    submitted,
    unchangeable,
)
from tests.people import ADMINISTRATOR, CLERK, HEAD, HELP_DESK, IT, PARKS_HEAD

REMINDED_AT = MONDAY + timedelta(hours=4)
PASSED_ON_AT = MONDAY + timedelta(hours=23, minutes=30)
"""8 business hours after Monday, 10 AM: on Tuesday at 9:30."""
FRIDAY_AFTERNOON = datetime(2026, 3, 6, 20, 30, tzinfo=UTC)


async def look(db: Database, at: datetime, policy: Policy = TOWN) -> None:
    await Unanswered(db, lambda: policy, lambda: at).look()


async def letters(db: Database) -> list[tuple[LetterKind, str]]:
    """Return what was put by mail, in its order."""
    found = await outbox.due(db, Channel.MAIL, MONDAY + timedelta(days=300))
    return [(put.letter.kind, put.letter.to) for put in found]


async def kinds(db: Database) -> list[EventKind]:
    return [event.kind for event in await audit.events_of(db, "REQ-1")]


async def test_those_who_are_asked_are_reminded_once(db: Database) -> None:
    await submitted(db)
    await look(db, REMINDED_AT - timedelta(milliseconds=1))
    assert (LetterKind.REQUEST_REMINDER, HEAD) not in await letters(db)
    for _ in range(3):
        await look(db, REMINDED_AT)
    put = [letter for letter in await letters(db) if letter[0] is LetterKind.REQUEST_REMINDER]
    assert put == [(LetterKind.REQUEST_REMINDER, DELEGATE), (LetterKind.REQUEST_REMINDER, HEAD)]
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_REMINDED]


async def test_a_request_of_which_something_is_wrong_holds_up_no_other_and_is_named(db: Database) -> None:
    await submitted(db)
    await submitted(db, PARKS_CLERK)
    await unchangeable(db, "access_request", "new.id = 1")
    with pytest.raises(RoundError, match=r"^REQ-1: .*it is damaged"):
        await look(db, REMINDED_AT)
    reminded = [to for kind, to in await letters(db) if kind is LetterKind.REQUEST_REMINDER]
    assert reminded == [PARKS_HEAD]


async def test_what_is_still_unanswered_goes_up_and_those_below_may_still_answer(db: Database) -> None:
    request = await submitted(db)
    await look(db, PASSED_ON_AT - timedelta(milliseconds=1))
    assert await waiting_requests.to_decide(db, TOWN, ADMINISTRATOR, MONDAY) == []
    await look(db, PASSED_ON_AT)
    (passed_on,) = await waiting_requests.to_decide(db, TOWN, ADMINISTRATOR, MONDAY)
    assert passed_on.passed_on == (1,)
    # Those above have as long as those before: 8 hours from Tuesday, 9:30.
    assert passed_on.due_at == PASSED_ON_AT + timedelta(hours=23, minutes=30)
    assert [r.id for r in await waiting_requests.to_decide(db, TOWN, HEAD, MONDAY)] == [request.id]
    assert (await letters(db))[-2:] == [
        (LetterKind.REQUEST_TO_DECIDE, ADMINISTRATOR),
        (LetterKind.REQUEST_PASSED_ON, CLERK),
    ]
    await look(db, passed_on.due_at)
    for person in (HEAD, ADMINISTRATOR, IT):
        assert await waiting_requests.to_decide(db, TOWN, person, MONDAY), person
    last = await stored_requests.get(db, request.id)
    await look(db, last.due_at + timedelta(days=30))
    assert (await stored_requests.get(db, request.id)).passed_on == (2,)
    approved = await access_requests.approve(db, TOWN, listed, request.id, actor=IT, at=last.due_at)
    assert approved.state is State.APPROVED
    assert may_stop(TOWN, approved, ADMINISTRATOR)


async def test_whoever_answers_first_of_below_and_above_has_decided(db: Database) -> None:
    request = await submitted(db)
    await look(db, PASSED_ON_AT)
    answers = await asyncio.gather(
        access_requests.approve(db, TOWN, listed, request.id, actor=ADMINISTRATOR, at=PASSED_ON_AT),
        access_requests.deny(db, TOWN, request.id, actor=HEAD, at=PASSED_ON_AT, reason="No."),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, TransitionError) for answer in answers) == 1


async def test_a_request_that_moves_on_is_asked_anew(db: Database) -> None:
    both = (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR)
    request = await submitted(db, chain=both)
    await look(db, PASSED_ON_AT)
    endorsed = await access_requests.approve(
        db, TOWN, listed, request.id, actor=ADMINISTRATOR, at=PASSED_ON_AT
    )
    assert (endorsed.step, endorsed.passed_on) == (1, (1,))
    assert endorsed.remind_at == PASSED_ON_AT + timedelta(hours=4)
    with pytest.raises(NotAllowedError):
        await access_requests.approve(db, TOWN, listed, request.id, actor=IT, at=PASSED_ON_AT)


async def test_a_security_risk_waits_for_it_security_alone(db: Database) -> None:
    request = await submitted(db, chain=(Approver.IT_SECURITY,), category="malware")
    await look(db, PASSED_ON_AT + timedelta(days=20))
    assert (await stored_requests.get(db, request.id)).passed_on == ()
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_REMINDED]


async def test_it_is_reminded_once_of_what_was_approved_and_waits_to_be_opened(db: Database) -> None:
    waiting = replace(
        TOWN,
        after_approval=AfterApproval.WAIT_FOR_IT,
        people={**TOWN.people, HELP_DESK: Person("Help desk")},
        roles={**TOWN.roles, "help_desk": (HELP_DESK,)},
    )
    request = await submitted(db)
    await access_requests.approve(db, waiting, listed, request.id, actor=HEAD, at=MONDAY)
    await look(db, REMINDED_AT - timedelta(milliseconds=1), waiting)
    assert LetterKind.REQUEST_TO_OPEN not in [kind for kind, _ in await letters(db)]
    for _ in range(3):
        await look(db, REMINDED_AT + timedelta(days=3), waiting)
    assert [to for kind, to in await letters(db) if kind is LetterKind.REQUEST_TO_OPEN] == [
        HELP_DESK,
        IT,
        SECOND_IT,
    ]
    assert (await kinds(db))[1:] == [EventKind.REQUEST_APPROVED, EventKind.REQUEST_REMINDED]


async def test_the_person_is_reminded_once_to_sign_what_was_approved(db: Database) -> None:
    use = SocialMediaUse(Level.VIEW, (), MONDAY + timedelta(days=90), HEAD)
    both = (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR)
    request = await submitted(
        db, host="x.example", kind=Kind.SOCIAL_MEDIA, asked=use, chain=both, sent_by=HEAD
    )
    await access_requests.approve(db, TOWN, listed, request.id, actor=ADMINISTRATOR, at=MONDAY)
    for _ in range(3):
        await look(db, REMINDED_AT)
    assert [letter for letter in await letters(db) if letter[0] is LetterKind.REQUEST_TO_SIGN] == [
        (LetterKind.REQUEST_TO_SIGN, CLERK),
        (LetterKind.REQUEST_TO_SIGN, CLERK),
    ]


async def test_what_is_open_or_decided_is_not_reminded_of(db: Database) -> None:
    opened, denied = await submitted(db), await submitted(db, host="dice.example")
    await access_requests.approve(db, TOWN, listed, opened.id, actor=HEAD, at=MONDAY)
    await access_requests.deny(db, TOWN, denied.id, actor=HEAD, at=MONDAY, reason="No.")
    assert await waiting_requests.unanswered(db, PASSED_ON_AT) == []


@pytest.mark.parametrize("first", [Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR])
async def test_a_risk_goes_up_as_anything_does_until_it_waits_for_it_security(
    db: Database, first: Approver
) -> None:
    request = await submitted(db, chain=(first, Approver.IT_SECURITY), category="malware")
    await look(db, PASSED_ON_AT)
    passed_on = await stored_requests.get(db, request.id)
    assert passed_on.passed_on == (1,)
    actor = ADMINISTRATOR if first is Approver.DEPARTMENT_HEAD else IT
    endorsed = await access_requests.approve(db, TOWN, listed, request.id, actor=actor, at=PASSED_ON_AT)
    assert endorsed.waits_for is Approver.IT_SECURITY
    await look(db, endorsed.due_at)
    assert (await stored_requests.get(db, request.id)).passed_on == (1,)


async def test_nobody_is_reminded_where_nobody_may_answer_until_somebody_may(db: Database) -> None:
    request = await submitted(db)
    alone = replace(TOWN, roles={}, departments={})
    await look(db, REMINDED_AT, alone)
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED]
    (waiting,) = await waiting_requests.of_nobody(db, alone, REMINDED_AT)
    assert waiting.id == request.id
    assert await waiting_requests.of_nobody(db, TOWN, REMINDED_AT) == []
    await look(db, REMINDED_AT)
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_REMINDED]


@pytest.mark.parametrize(
    ("case", "sent_at", "due_at"),
    [
        # From 3:30 PM to Tuesday, since Monday is a holiday and the clock went forward.
        (
            "over a holiday",
            datetime(2026, 3, 6, 20, 30, tzinfo=UTC),
            datetime(2026, 3, 10, 19, 0, tzinfo=UTC),
        ),
        ("at night", datetime(2026, 3, 3, 5, 0, tzinfo=UTC), datetime(2026, 3, 3, 21, 0, tzinfo=UTC)),
    ],
)
async def test_answers_are_expected_in_the_towns_business_hours(
    db: Database, case: str, sent_at: datetime, due_at: datetime
) -> None:
    holiday = replace(TOWN, asking=Asking(time=BusinessTime(OFFICE_HOURS, frozenset({date(2026, 3, 9)}))))
    request = await submitting.submit(db, holiday, listed, ask(), sent_at)
    assert request.due_at == due_at, case


async def test_what_became_due_while_nothing_ran_is_done_once(db: Database) -> None:
    for n in range(5):
        await submitted(db, host=f"site{n}.example")
    late = PASSED_ON_AT + timedelta(days=3)
    async with Database.open(db.path) as other:
        await asyncio.gather(*(look(each, late) for each in (db, other, db, other)))
    found = await waiting_requests.to_decide(db, TOWN, ADMINISTRATOR, MONDAY)
    assert [request.passed_on for request in found] == [(1,)] * 5
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_PASSED_ON]
    assert sum(to == ADMINISTRATOR for _, to in await letters(db)) == 5


async def test_a_decided_request_is_neither_reminded_of_nor_passed_on(db: Database) -> None:
    request = await submitted(db)
    seen = await stored_requests.get(db, request.id)
    await access_requests.deny(db, TOWN, request.id, actor=HEAD, at=MONDAY, reason="No.")
    await look(db, PASSED_ON_AT)
    async with db.transaction() as t:
        assert not await remind(t, TOWN, seen, PASSED_ON_AT)
        assert not await pass_on(t, TOWN, seen, PASSED_ON_AT)
    assert await kinds(db) == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_DENIED]
    assert SECOND_IT not in {to for _, to in await letters(db)}
