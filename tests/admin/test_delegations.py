"""Who stands in for a head: named with dates by the head alone, over by itself."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from admin import access_requests, audit, submitting, waiting_requests
from admin.asking import InvalidRequestError, NotAllowedError, State
from admin.audit import EventKind
from admin.database import Database
from admin.delegations import Delegations, with_stand_ins
from admin.proposing import decides_for
from admin.sessions import Level, Session
from policy.leaving import without
from policy.town_policy import DatedDelegate, Policy
from tests.admin.small_town import AUDITOR, DELEGATE, MONDAY, PARKS_CLERK, TOWN, ask, listed, submitted
from tests.people import ADMINISTRATOR, CLERK, HEAD, PARKS_HEAD

TUESDAY = date(2026, 3, 3)
THURSDAY = date(2026, 3, 5)
TUESDAY_BEGINS = datetime(2026, 3, 3, 5, tzinfo=UTC)
FRIDAY_BEGINS = datetime(2026, 3, 6, 5, tzinfo=UTC)
TUESDAY_TO_THURSDAY = (
    (TUESDAY_BEGINS - timedelta(milliseconds=1), False),
    (TUESDAY_BEGINS, True),
    (FRIDAY_BEGINS - timedelta(milliseconds=1), True),
    (FRIDAY_BEGINS, False),
)
"""Instants, and whether who stands in from Tuesday to Thursday decides then."""


class Town:
    """A town whose clock and policy a test sets."""

    def __init__(self, db: Database) -> None:
        self.at = MONDAY
        self.document = TOWN
        self.closed = frozenset[str]()
        self.delegations = Delegations(
            db, lambda: without(self.document, self.closed), lambda: self.document, lambda: self.at
        )

    @property
    def policy(self) -> Policy:
        return self.delegations.policy


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db)


def session(person: str, level: Level = Level.SIGNED_IN) -> Session:
    return Session(1, level, person, None, "b", "c", MONDAY, MONDAY + timedelta(days=30))


async def test_who_is_named_decides_from_the_first_day_until_the_last_is_over(
    db: Database, town: Town
) -> None:
    await town.delegations.name(session(HEAD), "finance", PARKS_CLERK, TUESDAY, THURSDAY)
    request = await submitted(db)
    for at, decides in TUESDAY_TO_THURSDAY:
        town.at = at
        waiting = await waiting_requests.to_decide(db, town.policy, PARKS_CLERK, MONDAY)
        assert [r.id for r in waiting] == [request.id] * decides, at
        # The policy's own delegate and the head decide meanwhile, too.
        assert await waiting_requests.to_decide(db, town.policy, DELEGATE, MONDAY)
        assert await waiting_requests.to_decide(db, town.policy, HEAD, MONDAY)
    town.at = TUESDAY_BEGINS
    done = await access_requests.approve(db, town.policy, listed, request.id, actor=PARKS_CLERK, at=town.at)
    assert done.state is State.APPROVED


async def test_who_stands_in_decides_nothing_of_their_own_nor_of_the_heads(db: Database, town: Town) -> None:
    await town.delegations.name(session(HEAD), "finance", CLERK, date(2026, 3, 2), THURSDAY)
    for asker in (CLERK, HEAD):
        request = await submitting.submit(db, town.policy, listed, ask(asker), MONDAY)
        with pytest.raises(NotAllowedError):
            await access_requests.approve(db, town.policy, listed, request.id, actor=CLERK, at=MONDAY)


@pytest.mark.parametrize("person", [PARKS_CLERK, DELEGATE, PARKS_HEAD, CLERK])
async def test_nobody_but_the_head_names_anybody(db: Database, town: Town, person: str) -> None:
    await town.delegations.name(session(HEAD), "finance", PARKS_CLERK, date(2026, 3, 2), THURSDAY)
    assert PARKS_CLERK in town.policy.departments["finance"].delegates
    with pytest.raises(NotAllowedError, match="Only the head"):
        await town.delegations.name(session(person), "finance", CLERK, TUESDAY, THURSDAY)
    with pytest.raises(NotAllowedError, match="Only the head"):
        await town.delegations.end(session(person), 1)
    recorded = [(e.kind, e.actor) for e in await audit.events_of(db, "finance")]
    assert recorded == [(EventKind.DELEGATION_REFUSED, person)] * 2


async def test_a_delegate_who_follows_a_head_who_left_decides_and_names_nobody(
    db: Database, town: Town
) -> None:
    request = await submitted(db)
    town.closed = frozenset({HEAD})
    waiting = await waiting_requests.to_decide(db, town.policy, DELEGATE, MONDAY)
    assert [r.id for r in waiting] == [request.id]
    assert town.delegations.departments_of(session(DELEGATE)) == ()
    with pytest.raises(NotAllowedError, match="Only the head"):
        await town.delegations.name(session(DELEGATE), "finance", CLERK, TUESDAY, THURSDAY)
    # The next one whom policy.yaml names does.
    finance = replace(TOWN.departments["finance"], head=DELEGATE, delegates=())
    town.document = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    await town.delegations.name(session(DELEGATE), "finance", CLERK, TUESDAY, THURSDAY)


async def test_a_browser_that_only_knows_the_device_names_nobody(db: Database, town: Town) -> None:
    with pytest.raises(NotAllowedError):
        await town.delegations.name(session(HEAD, Level.DEVICE), "finance", CLERK, TUESDAY, THURSDAY)


@pytest.mark.parametrize(
    ("delegate", "first", "last", "field"),
    [
        (HEAD, TUESDAY, THURSDAY, "delegate"),
        ("nobody", TUESDAY, THURSDAY, "delegate"),
        (CLERK, date(2026, 3, 1), THURSDAY, "first"),
        (CLERK, None, THURSDAY, "first"),
        (CLERK, date(9999, 6, 1), date(9999, 12, 31), "first"),
        (CLERK, THURSDAY, TUESDAY, "last"),
        (CLERK, TUESDAY, date(2027, 3, 4), "last"),
        (CLERK, TUESDAY, None, "last"),
    ],
)
async def test_what_cannot_be_meant_names_nobody(
    town: Town, delegate: str, first: date | None, last: date | None, field: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await town.delegations.name(session(HEAD), "finance", delegate, first, last)
    assert refused.value.field == field
    assert town.delegations.shown(session(HEAD)) == ()


async def test_an_auditor_stands_in_for_nobody(db: Database, town: Town) -> None:
    with pytest.raises(InvalidRequestError, match="An auditor reads, and decides nothing"):
        await town.delegations.name(session(HEAD), "finance", AUDITOR, TUESDAY, THURSDAY)
    await town.delegations.name(session(HEAD), "finance", CLERK, date(2026, 3, 2), THURSDAY)
    assert CLERK in town.policy.departments["finance"].delegates
    town.document = replace(TOWN, roles={**TOWN.roles, "auditor": (AUDITOR, CLERK)})
    assert town.policy == town.document
    assert town.delegations.shown(session(HEAD)) == ()


async def test_it_ends_when_the_head_ends_it_and_with_the_heads_office(db: Database, town: Town) -> None:
    for delegate in (CLERK, PARKS_CLERK):
        await town.delegations.name(session(HEAD), "finance", delegate, date(2026, 3, 2), THURSDAY)
    await town.delegations.end(session(HEAD), 1)
    assert town.policy.departments["finance"].delegates == (DELEGATE, PARKS_CLERK)
    events = [event.kind for event in await audit.events_of(db, "DEL-1")]
    assert events == [EventKind.DELEGATION_NAMED, EventKind.DELEGATION_ENDED]
    finance = replace(TOWN.departments["finance"], head=CLERK)
    town.document = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    assert town.policy == town.document


async def test_who_was_named_by_a_head_who_left_stands_in_until_then_then_it_goes_up(
    db: Database, town: Town
) -> None:
    await town.delegations.name(session(PARKS_HEAD), "parks", CLERK, date(2026, 3, 2), THURSDAY)
    request = await submitted(db, PARKS_CLERK)
    town.closed = frozenset({PARKS_HEAD})
    assert [r.id for r in await waiting_requests.to_decide(db, town.policy, CLERK, MONDAY)] == [request.id]
    assert await waiting_requests.to_decide(db, town.policy, ADMINISTRATOR, MONDAY) == []
    town.at = FRIDAY_BEGINS
    assert await waiting_requests.to_decide(db, town.policy, CLERK, MONDAY) == []
    assert [r.id for r in await waiting_requests.to_decide(db, town.policy, ADMINISTRATOR, MONDAY)] == [
        request.id
    ]


async def test_a_delegate_of_the_document_with_days_decides_on_these_by_the_towns_clock(
    db: Database, town: Town
) -> None:
    dated = DatedDelegate(PARKS_CLERK, TUESDAY, THURSDAY)
    finance = replace(TOWN.departments["finance"], dated_delegates=(dated,))
    town.document = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    request = await submitted(db)
    for at, decides in TUESDAY_TO_THURSDAY:
        town.at = at
        assert decides_for(town.policy, PARKS_CLERK) == ("finance",) * decides, at
        assert (await with_stand_ins(db, town.document, at)) == town.policy
        waiting = await waiting_requests.to_decide(db, town.policy, PARKS_CLERK, MONDAY)
        assert [r.id for r in waiting] == [request.id] * decides, at
    with pytest.raises(NotAllowedError):
        await access_requests.approve(db, town.policy, listed, request.id, actor=PARKS_CLERK, at=town.at)
    refused = (await audit.events_of(db, request.number))[-1]
    assert (refused.kind, refused.actor) == (EventKind.REQUEST_MOVE_REFUSED, PARKS_CLERK)
    with pytest.raises(NotAllowedError, match="Only the head"):
        await town.delegations.name(session(PARKS_CLERK), "finance", CLERK, THURSDAY, THURSDAY)


async def test_it_is_known_again_after_a_restart(db: Database, town: Town) -> None:
    await town.delegations.name(session(HEAD), "finance", PARKS_CLERK, date(2026, 3, 2), THURSDAY)
    again = Delegations(db, lambda: TOWN, lambda: TOWN, lambda: MONDAY)
    assert again.policy == TOWN
    await again.load()
    assert again.policy == town.policy
