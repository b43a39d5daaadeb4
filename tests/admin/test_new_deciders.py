"""Who comes to decide what waits already hears of it by mail."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from admin import access_requests
from admin.clock import to_ms
from admin.database import Database
from admin.delegations import Delegations
from admin.new_deciders import NewDeciders
from admin.sessions import Level, Session
from admin.unanswered import Unanswered
from policy.leaving import without
from policy.town_policy import Approver, DatedDelegate
from tests.admin.small_town import COLLEAGUE, DELEGATE, MONDAY, PARKS_CLERK, TOWN, listed, submitted
from tests.people import ADMINISTRATOR, HEAD

DAY = timedelta(days=1)


class Town:
    """A town whose clock and policy a test sets."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.at = MONDAY
        self.document = TOWN
        self.delegations = Delegations(db, lambda: self.document, lambda: self.document, lambda: self.at)
        self.jobs = [
            job(db, lambda: self.delegations.policy, lambda: self.at) for job in (NewDeciders, Unanswered)
        ]

    async def asked(self) -> list[str]:
        """Look as admin does, twice; return who was written to, oldest letter first."""
        for job in self.jobs * 2:
            await job.look()
        rows = await self.db.fetch_all(
            "SELECT recipient FROM letter WHERE kind = 'request_to_decide' AND put_at <= ? ORDER BY id",
            to_ms(self.at),
        )
        return [row["recipient"] for row in rows]


@pytest.fixture
def town(db: Database) -> Town:
    return Town(db)


async def test_a_new_head_and_a_new_delegate_hear_of_what_waits(db: Database, town: Town) -> None:
    await submitted(db)
    await submitted(db, PARKS_CLERK, host="parks.example", category=None, department="parks")
    asked = [DELEGATE, HEAD, "parks-head"]
    assert await town.asked() == asked
    finance = replace(TOWN.departments["finance"], head=COLLEAGUE, delegates=(DELEGATE, ADMINISTRATOR))
    town.document = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    assert await town.asked() == [*asked, ADMINISTRATOR, COLLEAGUE]
    # Who comes back to it has heard.
    town.document = TOWN
    assert await town.asked() == [*asked, ADMINISTRATOR, COLLEAGUE]


@pytest.mark.parametrize("by", ["the head", "the document"])
async def test_who_stands_in_hears_of_what_waits_on_their_first_day(
    db: Database, town: Town, by: str
) -> None:
    first, last = date(2026, 3, 3), date(2026, 3, 5)
    if by == "the head":
        head = Session(1, Level.SIGNED_IN, HEAD, None, "b", "c", MONDAY, MONDAY + 30 * DAY)
        await town.delegations.name(head, "finance", PARKS_CLERK, first, last)
    else:
        dated = DatedDelegate(PARKS_CLERK, first, last)
        finance = replace(TOWN.departments["finance"], dated_delegates=(dated,))
        town.document = replace(TOWN, departments={**TOWN.departments, "finance": finance})
    await submitted(db)
    assert await town.asked() == [DELEGATE, HEAD]
    town.at += DAY
    assert PARKS_CLERK in await town.asked()
    town.at += 3 * DAY
    await submitted(db, host="poker.example")
    assert (await town.asked()).count(PARKS_CLERK) == 1


async def test_nobody_hears_twice_of_a_step_also_when_it_went_up(db: Database, town: Town) -> None:
    request = await submitted(db, chain=(Approver.DEPARTMENT_HEAD, Approver.TOWN_ADMINISTRATOR))
    town.at += 3 * DAY
    assert await town.asked() == [DELEGATE, HEAD, ADMINISTRATOR]
    town.document = without(TOWN, {PARKS_CLERK})
    assert (await town.asked()).count(HEAD) == 1
    await access_requests.approve(db, TOWN, listed, request.id, actor=HEAD, at=town.at)
    assert (await town.asked()).count(ADMINISTRATOR) == 2
    assert (await town.asked()).count(HEAD) == 1
