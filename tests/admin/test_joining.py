"""Joining a colleague's request: one answer for all, and nobody answers their own."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from admin import (
    access_in_force,
    access_requests,
    audit,
    decided_requests,
    exemptions,
    leavers_requests,
    outbox,
    own_requests,
    stored_requests,
    submitting,
)
from admin.asked import Kind
from admin.asking import (
    AccessRequest,
    AlreadyOpenError,
    ForWhom,
    InvalidRequestError,
    JoinInsteadError,
    NotAllowedError,
    State,
    TransitionError,
)
from admin.audit import EventKind
from admin.database import Database
from admin.joining import join
from admin.outbox import Channel
from policy.access_duration import Duration
from policy.decision import Verdict
from policy.leaving import without
from policy.town_policy import AfterApproval, Approver, Policy, Rule
from tests.admin.explaining import Explaining
from tests.admin.small_town import COLLEAGUE, DELEGATE, MONDAY, PARKS_CLERK, TOWN, ask, listed, submitted
from tests.people import CLERK, HEAD, IT

LATER = MONDAY + timedelta(minutes=14)


async def joined(db: Database, id_: int, person: str = COLLEAGUE) -> AccessRequest:
    return await join(db, TOWN, id_, person=person, browser="another browser", at=LATER)


async def letters(db: Database, to: str) -> list[str]:
    found = await outbox.due(db, Channel.MAIL, LATER + timedelta(days=1))
    return [put.letter.kind for put in found if put.letter.to == to]


async def test_who_asks_for_what_a_colleague_has_asked_for_is_to_join_that(db: Database) -> None:
    first = await submitted(db)
    with pytest.raises(JoinInsteadError) as refused:
        await submitted(db, COLLEAGUE)
    assert refused.value.request == first
    # What everyone is to have is more than a colleague's request gives.
    for_all = await submitted(db, COLLEAGUE, for_whom=ForWhom.DEPARTMENT)
    assert for_all.id != first.id
    await access_requests.withdraw(db, TOWN, first.id, actor=CLERK, at=LATER)
    with pytest.raises(JoinInsteadError):
        await submitted(db, for_whom=ForWhom.PERSON)
    assert (await submitted(db, PARKS_CLERK)).state is State.SUBMITTED


async def test_all_downloads_are_more_than_the_one_that_a_colleague_has_asked_for(db: Database) -> None:
    once = await submitted(db, kind=Kind.DOWNLOAD, duration=Duration.ONCE)
    with pytest.raises(JoinInsteadError):
        await submitted(db, COLLEAGUE, kind=Kind.DOWNLOAD, duration=Duration.ONCE)
    for_today = await submitted(db, COLLEAGUE, kind=Kind.DOWNLOAD, duration=Duration.TODAY)
    assert for_today.id != once.id


async def test_who_asks_for_all_downloads_joins_who_did_whatever_older_request_there_is_for_one(
    db: Database,
) -> None:
    await submitted(db, kind=Kind.DOWNLOAD, duration=Duration.ONCE)
    for_today = await submitted(db, COLLEAGUE, kind=Kind.DOWNLOAD, duration=Duration.TODAY)
    with pytest.raises(JoinInsteadError) as refused:
        await submitted(db, kind=Kind.DOWNLOAD, duration=Duration.TODAY)
    assert refused.value.request.id == for_today.id


async def test_own_request_for_one_download_keeps_nobody_from_asking_for_all_or_for_another(
    db: Database,
) -> None:
    rule = Rule("no-programs", Verdict.BLOCK, frozenset({"gambling"}), file_types=frozenset({"executable"}))
    policy = replace(TOWN, rules=(rule, *TOWN.rules))

    async def sent(by: str, duration: Duration) -> AccessRequest:
        new = ask(kind=Kind.DOWNLOAD, duration=duration, rule=by)
        return await submitting.submit(db, policy, listed, new, MONDAY)

    one = await sent("large", Duration.ONCE)
    another = await sent("films", Duration.ONCE)
    program = await sent("no-programs", Duration.ONCE)
    for by, already in (("large", one), ("films", another), ("no-programs", program)):
        with pytest.raises(AlreadyOpenError) as refused:
            await sent(by, Duration.ONCE)
        assert refused.value.request.id == already.id
    for_today = await sent("large", Duration.TODAY)
    for by, duration in (("large", Duration.ONCE), ("films", Duration.TODAY)):
        with pytest.raises(AlreadyOpenError) as refused:
            await sent(by, duration)
        assert refused.value.request.id == for_today.id
    # No rule of file types is lifted by what was asked about a limit.
    assert (await sent("no-programs", Duration.TODAY)).id not in (for_today.id, program.id)


async def test_what_is_asked_of_a_limit_does_not_stand_for_a_rule_of_file_types(db: Database) -> None:
    rule = Rule("no-programs", Verdict.BLOCK, frozenset({"gambling"}), file_types=frozenset({"executable"}))
    policy = replace(TOWN, rules=(rule, *TOWN.rules))

    async def sent(person: str, by: str) -> AccessRequest:
        new = ask(person, kind=Kind.DOWNLOAD, duration=Duration.TODAY, rule=by)
        return await submitting.submit(db, policy, listed, new, MONDAY)

    of_limit, of_rule = await sent(CLERK, "large"), await sent(CLERK, "no-programs")
    assert of_rule.id != of_limit.id
    for by, to_join in (("large", of_limit), ("no-programs", of_rule)):
        with pytest.raises(JoinInsteadError) as refused:
            await sent(COLLEAGUE, by)
        assert refused.value.request.id == to_join.id


async def test_who_asks_for_somebody_else_is_not_to_join_for_them(db: Database) -> None:
    first = await submitted(db)
    assert (await submitted(db, COLLEAGUE, sent_by=IT)).id != first.id


async def test_who_cannot_join_what_a_colleague_has_asked_for_asks(db: Database) -> None:
    first = await submitted(db, chain=(Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY))
    assert (await submitted(db, HEAD)).id != first.id
    await access_requests.approve(db, TOWN, listed, first.id, actor=HEAD, at=LATER)
    assert (await submitted(db, COLLEAGUE)).id != first.id


async def test_who_joined_is_found_by_index_whether_by_person_or_by_browser(db: Database) -> None:
    explaining = Explaining(db)
    await own_requests.mine(explaining, CLERK, "a browser")
    assert explaining.read_whole == [], "every table is searched by an index"
    assert any("access_request_joiner_by_browser" in step for step in explaining.steps)


async def test_who_joined_gets_access_of_their_own_that_ends_with_the_askers(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    assert request.askers == (CLERK, COLLEAGUE)
    await access_requests.approve(
        db, TOWN, listed, request.id, actor=HEAD, at=LATER, seen_joined=[COLLEAGUE], seen_hosts=[]
    )
    granted = await exemptions.live(db, LATER)
    assert [(e.person, e.host, e.department) for e in granted] == [
        (CLERK, "cardroom.example", None),
        (COLLEAGUE, "cardroom.example", None),
    ]
    assert len({e.expires_at for e in granted}) == 1
    # One request, wherever requests are listed.
    assert len(await access_in_force.granted(db, LATER)) == 1
    for person in (CLERK, COLLEAGUE):
        assert [r.id for r in await own_requests.standing(db, person, None, LATER)] == [request.id]
        assert await letters(db, person) == ["request_allowed"]
    await access_requests.stop(db, TOWN, request.id, actor=IT, at=LATER, reason="Unsafe.")
    assert await exemptions.live(db, LATER) == ()


async def test_what_the_pages_need_is_open_for_each(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    async with db.transaction() as t:
        await exemptions.widen(t, request.id, "cdn.example", approved_by=HEAD, at=LATER)
        await exemptions.widen(t, request.id, "cdn.example", approved_by=HEAD, at=LATER)
    live = await exemptions.live(db, LATER)
    assert sorted((e.host, e.person) for e in live if e.host == "cdn.example") == [
        ("cdn.example", CLERK),
        ("cdn.example", COLLEAGUE),
    ]


async def test_a_request_for_the_department_is_for_who_joined_anyway(db: Database) -> None:
    request = await joined(db, (await submitted(db, for_whom=ForWhom.DEPARTMENT)).id)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert [(e.person, e.department) for e in await exemptions.live(db, LATER)] == [(None, "finance")]
    assert await letters(db, COLLEAGUE) == ["request_allowed"]


async def test_who_joined_after_the_page_was_shown_gets_nothing_by_it(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    with pytest.raises(InvalidRequestError, match="Others joined meanwhile"):
        await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER, seen_joined=[])
    assert await exemptions.live(db, LATER) == ()


@pytest.mark.parametrize(
    ("person", "error"),
    [
        (PARKS_CLERK, NotAllowedError),
        (HEAD, NotAllowedError),
        (DELEGATE, NotAllowedError),
        (IT, NotAllowedError),
        (CLERK, AlreadyOpenError),
    ],
)
async def test_who_may_not_join(db: Database, person: str, error: type[Exception]) -> None:
    request = await submitted(db)
    with pytest.raises(error):
        await joined(db, request.id, person)
    assert await stored_requests.get(db, request.id) == request
    refused = [event.actor for event in await audit.events_of(db, "REQ-1")][1:]
    assert refused == ([] if error is AlreadyOpenError else [person])


async def test_who_joined_never_decides_whatever_they_become(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    finance = replace(TOWN.departments["finance"], delegates=(DELEGATE, COLLEAGUE))
    promoted = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    with pytest.raises(NotAllowedError, match="your own request"):
        await access_requests.approve(db, promoted, listed, request.id, actor=COLLEAGUE, at=LATER)
    head_now = replace(TOWN.departments["finance"], head=COLLEAGUE)
    promoted = replace(TOWN, departments={**TOWN.departments, "finance": head_now})
    with pytest.raises(NotAllowedError, match="does not wait for"):
        await access_requests.approve(db, promoted, listed, request.id, actor=DELEGATE, at=LATER)


async def test_what_somebody_agreed_to_is_joined_no_more(db: Database) -> None:
    both = (Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR)
    request = await submitted(db, chain=both)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    with pytest.raises(TransitionError):
        await joined(db, request.id)


async def test_joining_twice_at_once_joins_once(db: Database) -> None:
    request = await submitted(db)
    answers = await asyncio.gather(*(joined(db, request.id) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, AlreadyOpenError) for answer in answers) == 3
    with pytest.raises(AlreadyOpenError):
        await submitted(db, COLLEAGUE)
    kinds = [event.kind for event in await audit.events_of(db, "REQ-1")]
    assert kinds == [EventKind.REQUEST_SUBMITTED, EventKind.REQUEST_JOINED]


async def test_who_joined_and_leaves_has_access_no_more_and_the_asker_keeps_it(db: Database) -> None:
    open_ = await joined(db, (await submitted(db)).id)
    await access_requests.approve(db, TOWN, listed, open_.id, actor=HEAD, at=LATER)
    waiting = await joined(db, (await submitted(db, host="poker.example")).id)
    after = replace(TOWN, people={id_: p for id_, p in TOWN.people.items() if id_ != COLLEAGUE})
    async with db.transaction() as t:
        await leavers_requests.leave(t, TOWN, after, COLLEAGUE, actor=IT, at=LATER)
    assert [e.person for e in await exemptions.live(db, LATER)] == [CLERK]
    approved = await access_requests.approve(db, after, listed, waiting.id, actor=HEAD, at=LATER)
    assert approved.askers == (CLERK,)


async def test_what_the_asker_withdraws_stays_open_for_who_joined_first(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    with pytest.raises(NotAllowedError):
        await access_requests.withdraw(db, TOWN, request.id, actor=COLLEAGUE, at=LATER)
    theirs = await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)
    assert (theirs.state, theirs.askers) == (State.SUBMITTED, (COLLEAGUE,))
    assert await letters(db, COLLEAGUE) == ["request_handed_on"]
    event = (await audit.events_of(db, request.number))[-1]
    assert (event.kind, event.actor, event.details["person"]) == (
        EventKind.REQUEST_HANDED_ON,
        CLERK,
        COLLEAGUE,
    )
    with pytest.raises(NotAllowedError):
        await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)
    with pytest.raises(InvalidRequestError, match="Others joined"):
        await access_requests.approve(
            db, TOWN, listed, request.id, actor=HEAD, at=LATER, seen_joined=[COLLEAGUE]
        )
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER, seen_joined=[])
    assert [exemption.person for exemption in await exemptions.live(db, LATER)] == [COLLEAGUE]


async def test_what_nobody_joined_any_more_is_withdrawn(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    await access_requests.withdraw(db, TOWN, request.id, actor=CLERK, at=LATER)
    done = await access_requests.withdraw(db, TOWN, request.id, actor=COLLEAGUE, at=LATER)
    assert (done.state, done.askers) == (State.WITHDRAWN, (COLLEAGUE,))


async def test_the_answer_before_is_the_newest_that_did_not_allow_it(db: Database) -> None:
    async def before(person: str = CLERK, host: str = "www.cardroom.example", days: int = 30) -> int | None:
        since = LATER - timedelta(days=days)
        found = await decided_requests.answered_before(db, host, Kind.SITE, person, "finance", since)
        return found.id if found else None

    assert await before() is None
    first = await submitted(db)
    await access_requests.deny(db, TOWN, first.id, actor=HEAD, at=MONDAY, reason="Use the library's copy.")
    assert await before() == first.id
    assert await before(COLLEAGUE) is None
    assert await before(host="poker.example") is None
    assert await before(days=0) is None
    second = await submitted(db, for_whom=ForWhom.DEPARTMENT)
    await access_requests.approve(db, TOWN, listed, second.id, actor=HEAD, at=LATER)
    assert await before() is None
    await access_requests.stop(db, TOWN, second.id, actor=IT, at=LATER, reason="Unsafe.")
    assert await before() == second.id
    assert await before(COLLEAGUE) == second.id


async def test_after_the_asker_renews_who_joined_is_still_listed_and_can_be_stopped(db: Database) -> None:
    first = await joined(db, (await submitted(db)).id)
    first = await access_requests.approve(db, TOWN, listed, first.id, actor=HEAD, at=LATER)
    at = LATER + timedelta(days=1)
    renewal = await submitting.submit(db, TOWN, listed, ask(renews=first.id), at)
    renewal = await access_requests.approve(db, TOWN, listed, renewal.id, actor=HEAD, at=at)
    assert [e.person for e in await exemptions.live(db, at)] == [COLLEAGUE, CLERK]
    assert [r.id for r in await access_in_force.granted(db, at)] == [first.id, renewal.id]
    present = await stored_requests.get(db, first.id)
    assert (present.state_at(at), present.expires_at) == (State.APPROVED, first.expires_at)
    await access_requests.stop(db, TOWN, first.id, actor=HEAD, at=at, reason="Unsafe.")
    assert [e.person for e in await exemptions.live(db, at)] == [CLERK]


async def leave(db: Database, person: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    async with db.transaction() as t:
        return await leavers_requests.leave(t, TOWN, without(TOWN, {person}), person, actor=IT, at=LATER)


async def test_who_joined_keeps_access_when_the_asker_leaves_until_they_leave_too(db: Database) -> None:
    request = await joined(db, (await submitted(db)).id)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=LATER)
    assert await leave(db, CLERK) == ((), (request.number,), ())
    assert [e.person for e in await exemptions.live(db, LATER)] == [COLLEAGUE]
    assert (await stored_requests.get(db, request.id)).state_at(LATER) is State.APPROVED
    assert await leave(db, COLLEAGUE) == ((), (request.number,), ())
    assert await exemptions.live(db, LATER) == ()
    assert (await stored_requests.get(db, request.id)).state is State.STOPPED
    assert (await audit.events_of(db, request.number))[-1].kind is EventKind.REQUEST_STOPPED


@pytest.mark.parametrize("policy", [TOWN, replace(TOWN, after_approval=AfterApproval.WAIT_FOR_IT)])
async def test_what_is_not_open_when_the_asker_leaves_is_the_one_s_who_joined_first(
    db: Database, policy: Policy
) -> None:
    request = await joined(db, (await submitted(db)).id)
    if policy is not TOWN:
        await access_requests.approve(db, policy, listed, request.id, actor=HEAD, at=LATER)
    assert await leave(db, CLERK) == ((), (), ())
    present = await stored_requests.get(db, request.id)
    assert (present.askers, present.browser) == ((COLLEAGUE,), "another browser")
    event = (await audit.events_of(db, request.number))[-1]
    assert (event.kind, event.actor) == (EventKind.REQUEST_HANDED_ON, IT)
    assert event.details == {"before": CLERK, "person": COLLEAGUE}
    if policy is TOWN:
        await access_requests.approve(db, policy, listed, request.id, actor=HEAD, at=LATER, seen_joined=[])
    else:
        await access_requests.open_access(db, policy, listed, request.id, actor=IT, at=LATER)
    assert [e.person for e in await exemptions.live(db, LATER)] == [COLLEAGUE]
