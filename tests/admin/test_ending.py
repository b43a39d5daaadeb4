"""Ending access of one's own: what is open, and nobody else's; a say over access is to stop it."""

from dataclasses import replace

import pytest

from admin import access_requests, audit, exemptions
from admin.asking import ForWhom, NotAllowedError, State, TransitionError
from admin.audit import EventKind
from admin.database import Database
from policy.town_policy import AfterApproval
from tests.admin.small_town import DELEGATE, MONDAY, TOWN, listed, submitted
from tests.people import CLERK, HEAD, IT

WAITING_TOWN = replace(TOWN, after_approval=AfterApproval.WAIT_FOR_IT)


@pytest.mark.parametrize("actor", [HEAD, DELEGATE, IT])
async def test_who_may_stop_access_does_not_end_it_as_their_own(db: Database, actor: str) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    with pytest.raises(NotAllowedError, match="'s own"):
        await access_requests.end(db, TOWN, request.id, actor=actor, at=MONDAY)
    assert len(await exemptions.live(db, MONDAY)) == 1
    refused = (await audit.events_of(db, request.number))[-1]
    assert (refused.kind, refused.actor) == (EventKind.REQUEST_MOVE_REFUSED, actor)
    assert refused.details["move"] == "end"


async def test_whose_own_it_is_ends_it_and_does_not_stop_it(db: Database) -> None:
    request = await submitted(db)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    with pytest.raises(NotAllowedError, match="no say"):
        await access_requests.stop(db, TOWN, request.id, actor=CLERK, at=MONDAY, reason="No")
    ended = await access_requests.end(db, TOWN, request.id, actor=CLERK, at=MONDAY)
    assert (ended.state, ended.note) == (State.STOPPED, "Not needed any more")
    assert await exemptions.live(db, MONDAY) == ()


@pytest.mark.parametrize("actor", [HEAD, DELEGATE])
async def test_head_and_delegate_end_what_is_the_departments(db: Database, actor: str) -> None:
    request = await submitted(db, for_whom=ForWhom.DEPARTMENT)
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    ended = await access_requests.end(db, TOWN, request.id, actor=actor, at=MONDAY)
    assert ended.state is State.STOPPED


async def test_what_it_has_not_opened_yet_is_withdrawn_and_not_ended(db: Database) -> None:
    request = await submitted(db)
    await access_requests.approve(db, WAITING_TOWN, listed, request.id, actor=HEAD, at=MONDAY)
    with pytest.raises(TransitionError):
        await access_requests.end(db, WAITING_TOWN, request.id, actor=CLERK, at=MONDAY)
    taken_back = await access_requests.withdraw(db, WAITING_TOWN, request.id, actor=CLERK, at=MONDAY)
    assert taken_back.state is State.WITHDRAWN
