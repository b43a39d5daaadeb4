"""What was asked for until a time is over then, wherever it stands, and does not stand in the way of more."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from admin import (
    access_requests,
    audit,
    outbox,
    overview,
    own_requests,
    request_counts,
    social_media,
    stored_requests,
    submitting,
    waiting_requests,
)
from admin.asked import DeviceUse, Kind, Level, SocialMediaUse, StandingUse, Window
from admin.asking import AccessRequest, ForWhom, NewAccessRequest, State, TransitionError
from admin.audit import EventKind
from admin.database import Database
from admin.outbox import HELP_DESK, Channel, LetterKind
from admin.unanswered import Unanswered
from policy.access_duration import Duration
from policy.town_policy import AfterApproval, Approver, SocialMedia
from tests.admin.small_town import MONDAY, TOWN, ask, listed
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT

WAITING_TOWN = replace(
    TOWN,
    after_approval=AfterApproval.WAIT_FOR_IT,
    asking=replace(TOWN.asking, social_media=SocialMedia("The terms.", "v1")),
)
HOUR = timedelta(hours=1)
OVER_AT = MONDAY + 2 * HOUR
LATE = MONDAY + timedelta(days=3)


def personal_use(begins_at: datetime = MONDAY + HOUR) -> NewAccessRequest:
    window = Window(("shopping",), begins_at, begins_at + HOUR)
    return ask(host="", kind=Kind.PERSONAL_USE, asked=window, duration=Duration.HOUR, category=None)


def device(until: datetime = OVER_AT) -> NewAccessRequest:
    return ask(host="", kind=Kind.DEVICE, asked=DeviceUse("phone", "10.10.20.99", until), category=None)


def standing(until: datetime = OVER_AT) -> NewAccessRequest:
    return ask(
        kind=Kind.STANDING,
        asked=StandingUse("24-117", (), until),
        for_whom=ForWhom.DEPARTMENT,
        chain=(Approver.DEPARTMENT_HEAD,),
    )


def proposal(until: datetime = OVER_AT) -> NewAccessRequest:
    return ask(
        host="facebook.com",
        kind=Kind.SOCIAL_MEDIA,
        asked=SocialMediaUse(Level.FULL, (), until, HEAD),
        chain=(Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR),
        sent_by=HEAD,
        category=None,
    )


async def send(db: Database, new: NewAccessRequest, at: datetime = MONDAY) -> AccessRequest:
    return await submitting.submit(db, WAITING_TOWN, listed, new, at)


async def approve(db: Database, request: AccessRequest, actor: str = HEAD, at: datetime = MONDAY) -> None:
    await access_requests.approve(db, WAITING_TOWN, listed, request.id, actor=actor, at=at)


async def unanswered(db: Database) -> AccessRequest:
    return await send(db, personal_use())


async def unsigned(db: Database) -> AccessRequest:
    request = await send(db, proposal())
    await approve(db, request, ADMINISTRATOR)
    return request


async def unopened(db: Database) -> AccessRequest:
    request = await send(db, personal_use())
    await approve(db, request)
    return request


async def unopened_device(db: Database) -> AccessRequest:
    request = await send(db, device())
    await approve(db, request)
    return request


async def signed_and_unopened(db: Database) -> AccessRequest:
    request = await unsigned(db)
    await social_media.sign(db, WAITING_TOWN, listed, request.id, actor=CLERK, version="v1", at=MONDAY)
    return request


WAITING = pytest.mark.parametrize(
    "waiting", [unanswered, unsigned, unopened, unopened_device, signed_and_unopened]
)
type Making = Callable[[Database], Awaitable[AccessRequest]]


@WAITING
async def test_what_waits_ends_when_the_time_it_was_asked_for_does(db: Database, waiting: Making) -> None:
    request = await stored_requests.get(db, (await waiting(db)).id)
    assert request.state_at(OVER_AT - timedelta(milliseconds=1)) is request.state
    assert request.state_at(OVER_AT) is State.ENDED
    counts = await request_counts.counts(db, OVER_AT)
    assert (counts.by_state[State.ENDED], counts.by_state[request.state]) == (1, 0)
    assert counts.oldest_submitted_at is None


async def test_approved_for_less_than_was_asked_it_is_over_then(db: Database) -> None:
    request = await send(db, personal_use())
    sooner = OVER_AT - HOUR / 2
    await access_requests.approve(
        db, WAITING_TOWN, listed, request.id, actor=HEAD, at=MONDAY, expires_at=sooner
    )
    approved = await stored_requests.get(db, request.id)
    assert approved.state_at(sooner) is State.ENDED
    assert (await request_counts.counts(db, sooner)).by_state[State.ENDED] == 1


@WAITING
async def test_what_is_over_waits_for_nobody(db: Database, waiting: Making) -> None:
    await waiting(db)
    for person in (HEAD, ADMINISTRATOR, IT):
        for look in (waiting_requests.to_decide, waiting_requests.to_open):
            assert await look(db, WAITING_TOWN, person, OVER_AT) == []
    assert await own_requests.standing(db, CLERK, "finance", OVER_AT) == []
    assert (await overview.overview(db, MONDAY, OVER_AT)).undecided == 0


@WAITING
async def test_what_is_over_moves_no_more_and_each_try_is_recorded(db: Database, waiting: Making) -> None:
    request = await waiting(db)
    moves: dict[str, Callable[[], Awaitable[AccessRequest]]] = {
        "withdraw": lambda: access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=OVER_AT),
        "stop": lambda: access_requests.stop(db, TOWN, request.id, actor=IT, at=OVER_AT, reason="Why."),
        "open": lambda: access_requests.open_access(
            db, WAITING_TOWN, listed, request.id, actor=IT, at=OVER_AT
        ),
        "sign": lambda: social_media.sign(
            db, WAITING_TOWN, listed, request.id, actor=CLERK, version="v1", at=OVER_AT
        ),
    }
    for name, move in moves.items():
        with pytest.raises(TransitionError, match=f"the time of {request.number} is over"):
            await move()
        last = (await audit.events_of(db, request.number))[-1]
        assert (last.kind, last.details["move"]) == (EventKind.REQUEST_MOVE_REFUSED, name)


@pytest.mark.parametrize("decide", ["approve", "deny"])
async def test_who_is_asked_too_late_decides_nothing(db: Database, decide: str) -> None:
    request = await unanswered(db)
    with pytest.raises(TransitionError, match="is over"):
        if decide == "approve":
            await approve(db, request, at=OVER_AT)
        else:
            await access_requests.deny(db, TOWN, request.id, actor=HEAD, at=OVER_AT, reason="Too late.")
    assert (await audit.events_of(db, request.number))[-1].kind is EventKind.REQUEST_MOVE_REFUSED


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (unanswered, lambda: personal_use(LATE)),
        (unopened, lambda: personal_use(LATE)),
        (unopened_device, lambda: device(LATE)),
        (unsigned, lambda: proposal(LATE)),
        (signed_and_unopened, lambda: proposal(LATE)),
    ],
)
async def test_the_same_can_be_asked_for_again_once_it_is_over(
    db: Database, first: Making, again: Callable[[], NewAccessRequest]
) -> None:
    before = await first(db)
    assert (await send(db, again(), LATE - HOUR)).id != before.id


@pytest.mark.parametrize("new", [personal_use(), device(), standing()])
async def test_nobody_is_reminded_of_what_is_over(db: Database, new: NewAccessRequest) -> None:
    request = await send(db, new)
    await Unanswered(db, lambda: TOWN, lambda: LATE).look()
    assert [event.kind for event in await audit.events_of(db, request.number)] == [
        EventKind.REQUEST_SUBMITTED
    ]
    assert LetterKind.REQUEST_REMINDER not in [
        put.letter.kind for put in await outbox.due(db, Channel.MAIL, LATE)
    ]


@WAITING
async def test_what_is_over_is_not_read_at_every_look_for_what_waits(db: Database, waiting: Making) -> None:
    await waiting(db)
    await Unanswered(db, lambda: TOWN, lambda: OVER_AT + 4 * HOUR).look()
    assert await db.fetch_all("SELECT id FROM access_request WHERE remind_at IS NOT NULL") == []
    (plan,) = await db.fetch_all(
        "EXPLAIN QUERY PLAN SELECT id FROM access_request"
        f" WHERE state = 'submitted' AND {stored_requests.IN_TIME}",
        0,
    )
    assert "SEARCH" in plan["detail"] and "access_request_open (<expr>>?)" in plan["detail"]


async def test_the_asker_takes_back_what_waits_for_it(db: Database) -> None:
    request = await send(db, ask())
    await approve(db, request)
    withdrawn = await access_requests.withdraw(db, WAITING_TOWN, request.id, actor=CLERK, at=MONDAY + HOUR)
    assert withdrawn.state is State.WITHDRAWN
    assert await waiting_requests.to_open(db, WAITING_TOWN, IT, MONDAY + HOUR) == []
    put = [(one.letter.kind, one.letter.to) for one in await outbox.due(db, Channel.MAIL, LATE)]
    assert put[-2:] == [(LetterKind.TICKET, HELP_DESK), (LetterKind.TICKET_STOPPED, HELP_DESK)]


async def test_a_renewal_that_is_over_does_not_stand_in_the_way_of_another(db: Database) -> None:
    first = await send(db, device(MONDAY + timedelta(days=2)))
    await approve(db, first)
    await send(db, replace(device(MONDAY + timedelta(days=3)), renews=first.id), MONDAY + HOUR)
    over = MONDAY + timedelta(days=5)
    again = await send(db, replace(device(over + timedelta(days=3)), renews=first.id), over)
    assert (again.state, again.renews) == (State.SUBMITTED, first.id)
