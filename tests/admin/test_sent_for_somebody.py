"""What IT sends for somebody: another decides it, wherever it is passed on to; it counts for the sender."""

from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest

from admin import access_requests, exemptions, outbox, stored_requests, submitting
from admin.asking import NotAllowedError, State, TooMuchError
from admin.database import Database
from admin.deciders import deciders
from admin.outbox import Channel
from admin.unanswered import Unanswered
from policy.town_policy import Approver
from tests.admin.small_town import MONDAY, SECOND_IT, TOWN, ask, listed, standing_at, submitted
from tests.people import CLERK, HEAD, IT

LATER = MONDAY + timedelta(days=8)


async def passed_on(db: Database) -> int:
    """Return the number of what IT asked for the clerk and no head answered, so that it went up to IT."""
    request = await submitted(db, sent_by=IT)
    for day in range(1, 9):
        at = MONDAY + timedelta(days=day)
        await Unanswered(db, lambda: TOWN, standing_at(at)).look()
    return request.id


async def test_who_sent_it_does_not_decide_it_when_it_is_passed_on_to_them(db: Database) -> None:
    id_ = await passed_on(db)
    request = await stored_requests.get(db, id_)
    assert SECOND_IT in deciders(TOWN, request) and IT not in deciders(TOWN, request)
    with pytest.raises(NotAllowedError, match="your own request"):
        await access_requests.approve(db, TOWN, listed, id_, actor=IT, at=LATER)
    assert await exemptions.live(db, LATER) == ()
    to_sender = [put.letter for put in await outbox.due(db, Channel.MAIL, LATER) if put.letter.to == IT]
    assert to_sender == []
    approved = await access_requests.approve(db, TOWN, listed, id_, actor=SECOND_IT, at=LATER)
    assert approved.state is State.APPROVED


async def test_what_only_the_sender_could_decide_goes_up(db: Database) -> None:
    alone = replace(TOWN, roles={**TOWN.roles, "it_security": (IT,)})
    new = ask(sent_by=IT, chain=(Approver.DEPARTMENT_HEAD, Approver.IT_SECURITY))
    request = await submitting.submit(db, alone, listed, new, MONDAY)
    request = await access_requests.approve(db, alone, listed, request.id, actor=HEAD, at=MONDAY)
    assert IT not in deciders(alone, request) and deciders(alone, request)


async def test_who_renews_what_another_asked_for_still_decides_it(db: Database) -> None:
    first = await submitted(db)
    await access_requests.approve(db, TOWN, listed, first.id, actor=HEAD, at=MONDAY)
    renewal = await submitted(db, renews=first.id, sent_by=HEAD)
    assert HEAD in deciders(TOWN, renewal)


async def test_who_sent_what_an_older_database_has_is_read_from_the_records(db: Database) -> None:
    sent = await submitted(db, sent_by=IT)
    own = await submitted(db, host="dice.example")
    (update,) = [
        statement
        for statement in files("admin").joinpath("migrations/0034_who_sent_it.sql").read_text().split(";")
        if "UPDATE" in statement
    ]
    async with db.transaction() as t:
        await t.execute("UPDATE access_request SET sent_by = NULL")
        await t.execute(update)
    assert (await stored_requests.get(db, sent.id)).sent_by == IT
    assert (await stored_requests.get(db, own.id)).sent_by is None


async def test_what_it_sends_for_somebody_counts_for_it_and_not_for_them(db: Database) -> None:
    one_a_day = replace(TOWN, asking=replace(TOWN.asking, per_day=1))
    await submitting.submit(db, one_a_day, listed, ask(sent_by=IT), MONDAY)
    with pytest.raises(TooMuchError, match="You have sent 1 requests today"):
        await submitting.submit(db, one_a_day, listed, ask(host="dice.example", sent_by=IT), MONDAY)
    own = await submitting.submit(db, one_a_day, listed, ask(CLERK, host="bingo.example"), MONDAY)
    assert own.state is State.SUBMITTED
