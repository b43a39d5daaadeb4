"""Puts the weekly report into the outbox, when the policy says: each week's once.

1. The last week that is due is compared with the last that was put, which is kept; a look that finds none
   kept, or one that is not over yet, as a clock was wrong, only begins.
2. Weeks that became due while admin was down are all put, four at most.
3. None is, as long as visits of before the week's end are on their way into the log.
4. Letters, place and event are one transaction: whatever is restarted, each is put once.

What a letter says is counted when it is sent (`letters.weekly_words`).
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from admin import audit, outbox, roles
from admin.audit import Event, EventKind
from admin.clock import Clock
from admin.database import Database, Reader, Transaction
from admin.outbox import Letter, LetterKind
from admin.week import Week, last_due
from policy.town_policy import Policy
from policy.town_time import zone_of

_MOST_WEEKS = 4


class WeeklyLetters:
    """Looks whether a report is due. `caught_up_at` returns up to when the visit log has what was written."""

    def __init__(
        self,
        db: Database,
        policy: Callable[[], Policy],
        caught_up_at: Callable[[], datetime | None],
        clock: Clock,
    ) -> None:
        self._db = db
        self._policy = policy
        self._caught_up_at = caught_up_at
        self._clock = clock

    async def look(self) -> None:
        """Put what is due and was not put."""
        policy, at = self._policy(), self._clock()
        place = await _place(self._db)
        if policy.weekly_report is None:
            if place is not None:
                async with self._db.transaction() as t:
                    await t.execute("DELETE FROM weekly_report_place")
            return
        zone = zone_of(policy)
        due = last_due(policy.weekly_report, at, zone)
        if place is None or place >= Week.at(at, zone):
            async with self._db.transaction() as t:
                await _keep(t, due)
        elif place < due and self._has_all_of(due, zone):
            async with self._db.transaction() as t:
                for week in _between(place, due):
                    await _put(t, policy, week, at)
                await _keep(t, due)

    def _has_all_of(self, week: Week, zone: ZoneInfo) -> bool:
        caught_up_at = self._caught_up_at()
        return caught_up_at is not None and caught_up_at >= week.ends_at(zone)


def _between(place: Week, due: Week) -> Iterator[Week]:
    """Yield the weeks after the last that was put, oldest first."""
    weeks = [due]
    while weeks[-1].before > place and len(weeks) < _MOST_WEEKS:
        weeks.append(weeks[-1].before)
    return reversed(weeks)


async def _put(t: Transaction, policy: Policy, week: Week, at: datetime) -> None:
    people = [(to, of) for to in sorted(policy.people) for of in roles.weekly_reports_of(policy, to)]
    for to, of in people:
        department = of or ""
        values = {"department": department, "monday": str(week)}
        about = f"WEEK-{department}" if department else "WEEK"
        await outbox.put(t, Letter(LetterKind.WEEKLY_REPORT, to, about, values, again=str(week)), at)
    told: dict[str, audit.Detail] = {"people": sorted({to for to, _ in people})}
    await audit.record(t, Event(EventKind.WEEKLY_REPORT_SENT, audit.CLOCK, str(week), at, told))


async def _place(db: Reader) -> Week | None:
    row = await db.fetch_one("SELECT monday FROM weekly_report_place")
    return Week.parse(row["monday"]) if row is not None else None


async def _keep(t: Transaction, week: Week) -> None:
    await t.execute(
        "INSERT INTO weekly_report_place (id, monday) VALUES (1, ?)"
        " ON CONFLICT DO UPDATE SET monday = excluded.monday",
        str(week),
    )
