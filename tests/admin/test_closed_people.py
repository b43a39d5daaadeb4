"""Someone leaves: what ends at once, what is passed on, and what stays."""

from datetime import timedelta

import pytest

from admin import (
    access_requests,
    accounts,
    audit,
    closed_people,
    exemptions,
    internet_accounts,
    outbox,
    sessions,
    stored_requests,
    waiting_requests,
)
from admin.asked import AccountUse, Kind
from admin.asking import ForWhom, NotAllowedError, State
from admin.closed_people import AlreadyClosedError, LastOfItError, UnknownPersonError
from admin.database import Database
from admin.delegations import Delegations
from admin.sessions import Level, Session
from policy.leaving import without
from policy.town_policy import Approver, PersonKind, Policy
from tests.admin.small_town import (
    DELEGATE,
    MONDAY,
    PARKS_CLERK,
    SECOND_IT,
    TOWN,
    listed,
    submitted,
)
from tests.people import ADMINISTRATOR, CLERK, HEAD, IT, PARKS_HEAD

LATER = MONDAY + timedelta(minutes=5)


async def close(db: Database, person: str, policy: Policy = TOWN, actor: str = IT) -> closed_people.Ended:
    return await closed_people.close(db, policy, person, why="Retired.", actor=actor, at=LATER)


async def to_decide(db: Database, policy: Policy, person: str) -> list[str]:
    return [request.number for request in await waiting_requests.to_decide(db, policy, person, MONDAY)]


async def test_sessions_and_passwords_of_who_left_end(db: Database) -> None:
    for kind in ("admin", "proxy"):
        for person in (CLERK, HEAD):
            await accounts.set_password(db, person, "a long password", kind, actor=IT, now=MONDAY)  # type: ignore[arg-type]
    opened = await accounts.sign_in(db, CLERK, "a long password", MONDAY)
    other = await accounts.sign_in(db, HEAD, "a long password", MONDAY)
    assert opened.token is not None
    assert other.token is not None
    await close(db, CLERK)
    assert await sessions.session_of(db, opened.token, LATER) is None
    assert await sessions.session_of(db, other.token, LATER) is not None
    assert set(await accounts.proxy_passwords(db)) == {HEAD}
    with pytest.raises(accounts.SignInError):
        await accounts.sign_in(db, CLERK, "a long password", LATER)


async def test_open_requests_are_withdrawn_and_their_own_access_is_stopped(db: Database) -> None:
    granted = await submitted(db)
    await access_requests.approve(db, TOWN, listed, granted.id, actor=HEAD, at=MONDAY)
    for_all = await submitted(db, host="chips.example", for_whom=ForWhom.DEPARTMENT)
    await access_requests.approve(db, TOWN, listed, for_all.id, actor=HEAD, at=MONDAY)
    waiting = await submitted(db, host="dice.example")
    denied = await submitted(db, host="races.example")
    await access_requests.deny(db, TOWN, denied.id, actor=HEAD, at=MONDAY, reason="No.")
    ended = await close(db, CLERK)
    assert (ended.withdrawn, ended.stopped) == ((waiting.number,), (granted.number,))
    assert [e.department for e in await exemptions.live(db, LATER)] == ["finance"]
    states = {
        request.number: (await stored_requests.get(db, request.id)).state
        for request in (granted, for_all, waiting, denied)
    }
    assert states == {
        granted.number: State.STOPPED,
        for_all.number: State.APPROVED,
        waiting.number: State.WITHDRAWN,
        denied.number: State.DENIED,
    }
    assert (await audit.verify(db)).is_whole
    (event,) = await audit.events_of(db, CLERK)
    assert (event.kind, event.actor) == (audit.EventKind.PERSON_CLOSED, IT)
    assert event.details["stopped"] == [granted.number]
    assert event.details["why"] == "Retired."


async def test_the_request_of_an_internet_account_is_stopped_with_it(db: Database) -> None:
    use = AccountUse(PersonKind.EMPLOYEE, "", "", MONDAY + timedelta(days=90), HEAD)
    both = (Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY)
    account = await submitted(
        db, host="", kind=Kind.INTERNET_ACCOUNT, asked=use, chain=both, sent_by=HEAD, category=None
    )
    await access_requests.approve(db, TOWN, listed, account.id, actor=IT, at=MONDAY)
    assert (await close(db, CLERK)).stopped == (account.number,)
    assert (await stored_requests.get(db, account.id)).state is State.STOPPED
    assert await internet_accounts.live(db, LATER) == {}
    last = (await audit.events_of(db, account.number))[-1]
    assert (last.kind, last.actor) == (audit.EventKind.REQUEST_STOPPED, IT)


async def test_what_waits_for_a_head_who_left_goes_to_the_delegate(db: Database) -> None:
    request = await submitted(db)
    ended = await close(db, HEAD)
    assert ended.passed_on == (request.number,)
    policy = without(TOWN, set(await closed_people.closed(db)))
    assert await to_decide(db, policy, DELEGATE) == [request.number]
    with pytest.raises(NotAllowedError):
        await access_requests.approve(db, policy, listed, request.id, actor=HEAD, at=LATER)
    approved = await access_requests.approve(db, policy, listed, request.id, actor=DELEGATE, at=LATER)
    assert approved.state is State.APPROVED


async def test_without_a_delegate_it_goes_up_and_whoever_decides_now_gets_a_letter(db: Database) -> None:
    request = await submitted(db, PARKS_CLERK)
    ended = await close(db, PARKS_HEAD)
    assert ended.passed_on == (request.number,)
    policy = without(TOWN, {PARKS_HEAD})
    assert await to_decide(db, policy, ADMINISTRATOR) == [request.number]
    rows = await db.fetch_all("SELECT recipient FROM letter WHERE about = ? ORDER BY id", request.number)
    assert [row["recipient"] for row in rows] == [PARKS_HEAD, ADMINISTRATOR]
    assert outbox.HELP_DESK not in {row["recipient"] for row in rows}


async def test_who_stands_in_is_told_of_what_waits_when_the_head_leaves(db: Database) -> None:
    request = await submitted(db, PARKS_CLERK)
    head = Session(1, Level.SIGNED_IN, PARKS_HEAD, None, "b", "c", MONDAY, LATER)
    delegations = Delegations(db, lambda: TOWN, lambda: TOWN, lambda: MONDAY)
    day = MONDAY.date()
    await delegations.name(head, "parks", CLERK, day, day)
    assert (await close(db, PARKS_HEAD)).passed_on == (request.number,)
    rows = await db.fetch_all("SELECT recipient FROM letter WHERE about = ? ORDER BY id", request.number)
    assert [row["recipient"] for row in rows] == [PARKS_HEAD, CLERK]
    # What waits for who stands in waits for others when they leave.
    assert (await close(db, CLERK, without(TOWN, {PARKS_HEAD}))).passed_on == (request.number,)


async def test_who_was_closed_moves_nothing_by_the_policy_of_a_moment_before(db: Database) -> None:
    request = await submitted(db)
    await close(db, HEAD)
    with pytest.raises(NotAllowedError, match="head was closed by IT"):
        await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    assert (await audit.events_of(db, request.number))[-1].kind is audit.EventKind.REQUEST_MOVE_REFUSED
    with pytest.raises(NotAllowedError, match="head was closed by IT"):
        await submitted(db, HEAD, chain=(Approver.IT_SECURITY,))
    (refused,) = await audit.events_of(db, "cardroom.example")
    assert (refused.kind, refused.actor) == (audit.EventKind.REQUEST_MOVE_REFUSED, HEAD)
    await access_requests.approve(db, TOWN, listed, request.id, actor=DELEGATE, at=MONDAY)


async def test_a_head_who_left_and_asked_for_themselves_leaves_nothing_open(db: Database) -> None:
    own = await submitted(db, HEAD, chain=(Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY))
    assert (await close(db, HEAD)).withdrawn == (own.number,)


async def test_who_nobody_could_stand_in_for_and_oneself_are_refused_and_recorded(
    db: Database,
) -> None:
    with pytest.raises(LastOfItError, match="nobody closes themselves"):
        await close(db, IT)
    only = without(TOWN, {SECOND_IT})
    with pytest.raises(LastOfItError, match="the only one of IT security; name another"):
        await close(db, IT, only, actor="root at the command line")
    with pytest.raises(LastOfItError, match="the only town administrator; name another"):
        await close(db, ADMINISTRATOR)
    kinds = [event.kind for event in await audit.events_of(db, IT)]
    assert kinds == [audit.EventKind.PERSON_MOVE_REFUSED] * 2
    assert await closed_people.closed(db) == {}


async def test_of_two_of_it_who_close_each_other_at_once_one_stays(db: Database) -> None:
    await close(db, SECOND_IT)
    with pytest.raises(NotAllowedError, match=f"{SECOND_IT} was closed by IT"):
        await close(db, IT, actor=SECOND_IT)
    with pytest.raises(NotAllowedError, match=f"{SECOND_IT} was closed by IT"):
        await closed_people.reopen(db, SECOND_IT, why="Back.", actor=SECOND_IT, at=LATER)
    with pytest.raises(LastOfItError, match="the only one of IT security"):
        await close(db, IT, actor=ADMINISTRATOR)
    assert set(await closed_people.closed(db)) == {SECOND_IT}
    refused = [event.actor for event in await audit.events_of(db, IT)]
    assert refused == [SECOND_IT, ADMINISTRATOR]


async def test_closed_once_and_opened_again_once(db: Database) -> None:
    with pytest.raises(
        UnknownPersonError, match=r"'clark' is not a person of the policy \(nearest: 'clerk'\)"
    ):
        await close(db, "clark")
    await close(db, CLERK)
    with pytest.raises(AlreadyClosedError):
        await close(db, CLERK)
    assert (await closed_people.closed(db))[CLERK].why == "Retired."
    await closed_people.reopen(db, CLERK, why="Back.", actor=SECOND_IT, at=LATER)
    assert await closed_people.closed(db) == {}
    with pytest.raises(UnknownPersonError, match="is not closed"):
        await closed_people.reopen(db, CLERK, why="Back.", actor=SECOND_IT, at=LATER)
    kinds = [event.kind.value for event in await audit.events_of(db, CLERK)]
    assert kinds == ["person.closed", "person.reopened"]
