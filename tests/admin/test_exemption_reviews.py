"""Access that is open for long: reviewed with its use as evidence, renewed through the same chain."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from admin import access_requests, audit, exemption_use, exemptions, outbox, stored_requests, submitting
from admin.asked import AccountUse, DeviceUse, Kind
from admin.asking import AccessRequest, NotAllowedError, State, TransitionError
from admin.audit import EventKind
from admin.database import Database
from admin.exemption_reviews import ExemptionReviews
from admin.ingest import Ingest
from admin.one_by_one import RoundError
from admin.outbox import Channel
from policy.access_duration import Duration
from policy.decision import Cause, Lane, Verdict
from policy.town_policy import Asking, PersonKind
from policy.visit_record import new_code
from tests.admin.small_town import (
    COLLEAGUE,
    DELEGATE,
    MONDAY,
    PARKS_CLERK,
    TOWN,
    ask,
    listed,
    unchangeable,
    visit_record,
)
from tests.people import CLERK, HEAD, IT, PARKS_HEAD

A_YEAR = replace(TOWN, asking=Asking(longest=Duration.YEAR))
DAY = timedelta(days=1)


class Reviewing:
    """Reviews by a clock that a test sets."""

    def __init__(self, db: Database) -> None:
        self.at = MONDAY
        self.db = db
        self.reviews = ExemptionReviews(db, lambda: A_YEAR, lambda: self.at)

    async def granted(self, duration: Duration, **changed: object) -> AccessRequest:
        new = ask(duration=duration, **changed)
        request = await submitting.submit(self.db, A_YEAR, listed, new, self.at)
        return await access_requests.approve(self.db, A_YEAR, listed, request.id, actor=HEAD, at=self.at)

    async def is_asked_at(self, id_: int, at: datetime) -> bool:
        self.at = at
        await self.reviews.look()
        return (await stored_requests.get(self.db, id_)).review_since == at


@pytest.fixture
def reviewing(db: Database) -> Reviewing:
    return Reviewing(db)


async def used(
    db: Database,
    at: datetime,
    exemption: str | None = "EX-1",
    cause: Cause = Cause.EXEMPTION,
    **changed: object,
) -> None:
    """Bring a visit that an exemption opened into the log, as the proxy does."""
    record = visit_record(
        started_at=at,
        ended_at=at,
        verdict=Verdict.ALLOW,
        lane=Lane.TUNNEL,
        cause=cause,
        exemption=exemption,
        bytes_up=1000,
        bytes_down=9000,
        **changed,
    )
    spool = db.path.parent / "spool"
    spool.mkdir(exist_ok=True)
    (spool / f"{new_code()}.visits").write_bytes(record.to_line())
    assert await Ingest(db, spool, lambda: MONDAY + timedelta(days=400)).take_in() == 1


async def test_long_access_is_reviewed_every_90_days_and_a_week_before_it_ends(reviewing: Reviewing) -> None:
    request = await reviewing.granted(Duration.YEAR)
    assert request.expires_at is not None
    due = [MONDAY + 90 * DAY, MONDAY + 180 * DAY, MONDAY + 270 * DAY, request.expires_at - 7 * DAY]
    for at in due:
        await used(reviewing.db, at - DAY)
        assert not await reviewing.is_asked_at(request.id, at - timedelta(milliseconds=1))
        assert await reviewing.is_asked_at(request.id, at)
    assert not await reviewing.is_asked_at(request.id, request.expires_at - DAY)
    events = await audit.events_of(reviewing.db, "REQ-1")
    assert [e.kind for e in events][2:] == [EventKind.EXEMPTION_REVIEW_DUE] * 4


async def test_what_is_open_for_a_week_is_not_reviewed_and_a_month_is_once(reviewing: Reviewing) -> None:
    week = await reviewing.granted(Duration.WEEK)
    month = await reviewing.granted(Duration.MONTH, host="poker.example")
    assert not await reviewing.is_asked_at(week.id, MONDAY + 6 * DAY)
    assert month.expires_at is not None
    assert await reviewing.is_asked_at(month.id, month.expires_at - 7 * DAY)


@pytest.mark.parametrize("after", [90, 61], ids=["due", "unused"])
async def test_access_of_which_something_is_wrong_holds_up_no_other_review_and_is_named(
    after: int, reviewing: Reviewing
) -> None:
    damaged = await reviewing.granted(Duration.YEAR)
    other = await reviewing.granted(Duration.YEAR, host="poker.example")
    await unchangeable(reviewing.db, "exemption", f"new.access_request = {damaged.id}")
    at = MONDAY + after * DAY
    with pytest.raises(RoundError, match=rf"{damaged.number}: .*it is damaged"):
        await reviewing.is_asked_at(other.id, at)
    assert (await stored_requests.get(reviewing.db, other.id)).review_since == at


@pytest.mark.parametrize(
    ("days", "reviewed_after"),
    [
        (7, []),
        (8, [1]),
        (13, [6]),
        (97, [90]),
        (98, [91]),
        (103, [96]),
        (104, [90, 97]),
        (200, [90, 180, 193]),
    ],
)
def test_every_access_longer_than_a_week_is_reviewed_a_week_before_its_end(
    days: int, reviewed_after: list[int]
) -> None:
    found, at = [], MONDAY
    while (at := exemptions.next_review(at, MONDAY + days * DAY) or MONDAY) > MONDAY:
        found.append((at - MONDAY).days)
    assert found == reviewed_after


async def test_a_review_is_asked_for_once_whoever_looks_and_told_to_asker_and_approvers(
    db: Database, reviewing: Reviewing
) -> None:
    await reviewing.granted(Duration.YEAR)
    reviewing.at = MONDAY + 200 * DAY
    await asyncio.gather(*(reviewing.reviews.look() for _ in range(4)))
    found = await outbox.due(db, Channel.MAIL, reviewing.at)
    told = [put.letter.to for put in found if put.letter.kind == "exemption_review"]
    assert told == [CLERK, DELEGATE, HEAD]


async def test_use_counts_visits_by_the_exemption_of_30_days(db: Database, reviewing: Reviewing) -> None:
    await reviewing.granted(Duration.YEAR)
    now = MONDAY + 80 * DAY
    assert await exemption_use.of(db, db.visits, 1, now) == exemption_use.Use(MONDAY)
    for days, person in ((40, CLERK), (20, CLERK), (10, COLLEAGUE), (10, CLERK)):
        await used(db, now - days * DAY, person=person)
    await used(db, now - DAY, exemption="EX-2")
    expected = exemption_use.Use(MONDAY, 3, 2, 30_000, now - 10 * DAY)
    assert await exemption_use.of(db, db.visits, 1, now) == expected
    assert await exemption_use.of_all(db, db.visits, now) == {1: expected}


async def allowed(db: Database, at: datetime, address: str, person: str = CLERK) -> None:
    await used(db, at, exemption=None, cause=Cause.DEFAULT, address=address, person=person)


async def test_a_device_of_ones_own_is_used_by_what_its_person_visits_from_it(
    db: Database, reviewing: Reviewing
) -> None:
    phone = DeviceUse("Phone", "10.10.99.7", MONDAY + 300 * DAY)
    request = await reviewing.granted(Duration.YEAR, host="", kind=Kind.DEVICE, asked=phone)
    now = MONDAY + 80 * DAY
    for address, person in (("10.10.99.7", CLERK), ("10.10.20.15", CLERK), ("10.10.99.7", COLLEAGUE)):
        await allowed(db, now - DAY, address, person)
    expected = exemption_use.Use(MONDAY, 1, 1, 10_000, now - DAY)
    assert await exemption_use.of_all(db, db.visits, now) == {request.id: expected}
    assert await exemption_use.of(db, db.visits, request.id, now) == expected


async def test_a_device_is_reviewed_as_other_access_is_and_proposed_for_closing_when_unused(
    db: Database, reviewing: Reviewing
) -> None:
    phone = DeviceUse("Phone", "10.10.99.7", MONDAY + 300 * DAY)
    request = await reviewing.granted(Duration.YEAR, host="", kind=Kind.DEVICE, asked=phone)
    await allowed(db, MONDAY + 20 * DAY, "10.10.99.7")
    # What the person does elsewhere is no use of it.
    await allowed(db, MONDAY + 70 * DAY, "10.10.20.15")
    for days, is_unused in ((80, True), (170, False), (260, False), (293, False)):
        at = MONDAY + days * DAY
        if not is_unused:
            await allowed(db, at - DAY, "10.10.99.7")
        assert await reviewing.is_asked_at(request.id, at), days
        due = (await audit.events_of(db, request.number))[-1]
        assert (due.kind, due.details["is_unused"]) == (EventKind.EXEMPTION_REVIEW_DUE, is_unused), days
        await reviewing.reviews.keep(request.id, HEAD)


async def test_an_internet_account_is_used_by_all_that_its_person_visits_and_can_be_kept(
    db: Database, reviewing: Reviewing
) -> None:
    account = AccountUse(PersonKind.EMPLOYEE, "", "", MONDAY + 300 * DAY, DELEGATE)
    request = await reviewing.granted(Duration.YEAR, host="", kind=Kind.INTERNET_ACCOUNT, asked=account)
    await allowed(db, MONDAY + 70 * DAY, "10.10.20.15")
    assert await reviewing.is_asked_at(request.id, MONDAY + 90 * DAY)
    use = await exemption_use.of(db, db.visits, request.id, reviewing.at)
    assert use == exemption_use.Use(MONDAY, 1, 1, 10_000, MONDAY + 70 * DAY)
    await reviewing.reviews.keep(request.id, IT)
    assert (await stored_requests.get(db, request.id)).review_since is None


@pytest.mark.parametrize(
    ("case", "last_used", "is_unused"),
    [
        ("never, and open for 59 days", None, False),
        ("used 59 days ago", 61, False),
        ("used 60 days ago", 60, True),
    ],
)
async def test_unused_is_what_nobody_used_for_60_days_in_which_it_was_open(
    db: Database, reviewing: Reviewing, case: str, last_used: int | None, is_unused: bool
) -> None:
    await reviewing.granted(Duration.YEAR)
    now = MONDAY + (59 if last_used is None else 120) * DAY
    if last_used is not None:
        await used(db, MONDAY + last_used * DAY)
    use = await exemption_use.of(db, db.visits, 1, now)
    assert use is not None and use.is_unused_at(now) is is_unused, case


async def test_what_nobody_used_for_60_days_is_asked_about_that_day_and_once_in_60(
    db: Database, reviewing: Reviewing
) -> None:
    request = await reviewing.granted(Duration.YEAR)
    used_one = await reviewing.granted(Duration.YEAR, host="poker.example")
    await used(db, MONDAY + 30 * DAY, exemption="EX-2")
    assert not await reviewing.is_asked_at(request.id, MONDAY + 59 * DAY)
    assert await reviewing.is_asked_at(request.id, MONDAY + 60 * DAY)
    assert (await stored_requests.get(db, used_one.id)).review_since is None
    due = (await audit.events_of(db, request.number))[-1]
    assert (due.kind, due.details["is_unused"]) == (EventKind.EXEMPTION_REVIEW_DUE, True)
    await reviewing.reviews.keep(request.id, HEAD)
    assert not await reviewing.is_asked_at(request.id, MONDAY + 119 * DAY), "it was kept"
    assert await reviewing.is_asked_at(request.id, MONDAY + 120 * DAY)


async def test_an_internet_account_that_nobody_used_for_60_days_is_asked_about(
    db: Database, reviewing: Reviewing
) -> None:
    account = AccountUse(PersonKind.EMPLOYEE, "", "", MONDAY + 300 * DAY, DELEGATE)
    request = await reviewing.granted(Duration.YEAR, host="", kind=Kind.INTERNET_ACCOUNT, asked=account)
    await allowed(db, MONDAY + DAY, "10.10.20.15")
    assert not await reviewing.is_asked_at(request.id, MONDAY + 60 * DAY)
    assert await reviewing.is_asked_at(request.id, MONDAY + 61 * DAY)


async def test_an_approver_keeps_it_once_and_it_ends_as_before(db: Database, reviewing: Reviewing) -> None:
    request = await reviewing.granted(Duration.YEAR)
    with pytest.raises(TransitionError):
        await reviewing.reviews.keep(request.id, HEAD)
    await reviewing.is_asked_at(request.id, MONDAY + 90 * DAY)
    for person in (CLERK, PARKS_HEAD, PARKS_CLERK):
        with pytest.raises(NotAllowedError):
            await reviewing.reviews.keep(request.id, person)
    answers = await asyncio.gather(
        reviewing.reviews.keep(request.id, HEAD),
        reviewing.reviews.keep(request.id, IT),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, TransitionError) for answer in answers) == 1
    kept = await stored_requests.get(db, request.id)
    assert (kept.review_since, kept.expires_at) == (None, request.expires_at)


async def test_a_renewal_that_is_approved_ends_the_access_before_it(
    db: Database, reviewing: Reviewing
) -> None:
    first = await reviewing.granted(Duration.YEAR)
    at = MONDAY + 350 * DAY
    renewal = await submitting.submit(
        db, A_YEAR, listed, ask(duration=Duration.YEAR, renews=first.id, sent_by=HEAD), at
    )
    assert [e.actor for e in await audit.events_of(db, renewal.number)] == [HEAD]
    assert [e.id for e in await exemptions.live(db, at)] == ["EX-1"]
    approved = await access_requests.approve(db, A_YEAR, listed, renewal.id, actor=HEAD, at=at)
    assert [e.id for e in await exemptions.live(db, at)] == ["EX-2"]
    assert (await stored_requests.get(db, first.id)).state_at(at) is State.ENDED
    assert approved.expires_at == at + 365 * DAY


async def test_a_renewal_opens_the_further_hosts_that_its_decider_saw(
    db: Database, reviewing: Reviewing
) -> None:
    first = await reviewing.granted(Duration.YEAR)
    await with_host(db, first, "cdn.example")
    at = MONDAY + 350 * DAY
    renewal = await submitting.submit(db, A_YEAR, listed, ask(renews=first.id), at)
    assert renewal.hosts == ("cdn.example",)
    # One that was added meanwhile nobody of the renewal saw: it ends when it would have.
    await with_host(db, first, "fonts.example")
    await access_requests.approve(
        db, A_YEAR, listed, renewal.id, actor=HEAD, at=at, seen_hosts=["cdn.example"], seen_joined=[]
    )
    renewed = await stored_requests.get(db, renewal.id)
    assert {e.host: e.expires_at for e in await exemptions.live(db, at)} == {
        "cardroom.example": renewed.expires_at,
        "cdn.example": renewed.expires_at,
        "fonts.example": first.expires_at,
    }


async def with_host(db: Database, request: AccessRequest, host: str) -> None:
    """Add a further host to access in force, as its decider does."""
    async with db.transaction() as t:
        await t.execute(
            "INSERT INTO access_request_host (access_request, host, added_by, added_at) VALUES (?, ?, ?, ?)",
            request.id,
            host,
            HEAD,
            0,
        )
        await exemptions.widen(t, request.id, host, approved_by=HEAD, at=MONDAY + DAY)
