"""Tells by mail, as the policy's `attempts` says, who was stopped too often, and what was stopped as a risk.

Each look is at the visits that came into the log since the last one. How far it got, whom it told of, the
letters and the event are one transaction: whatever is restarted, each is told once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import audit, outbox
from admin.attempt_letters import Repeated, Risk, letters_of
from admin.audit import Event, EventKind
from admin.clock import Clock, from_ms, to_ms
from admin.database import Database, Reader, Transaction
from admin.visit_log import clients, searching
from admin.visit_log.clients import StoppedVisit
from admin.visit_log.searching import Found, VisitFilter
from admin.visit_log.taking_in import host_of
from policy.decision import Cause, Verdict
from policy.town_policy import Attempts, Policy

_ACTOR = "the visit log"
_STOPPED = VisitFilter(verdict=Verdict.BLOCK)
# What a site is listed as was the reason. In a lockdown, say, nobody chose what is stopped.
_CAUSES = frozenset({Cause.RULE, Cause.SECURITY_RISK})
_RISK_AGAIN_AFTER = timedelta(days=1)
_COUNTED = ""

type _Told = Mapping[tuple[str, str], datetime]


@dataclass(frozen=True, slots=True)
class _Place:
    """The last visit that was looked at, and when looking began: what was before that counts for nothing."""

    last_visit: int
    since: datetime


class AttemptsJob:
    """Looks for what is to be told. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def look(self) -> None:
        """Tell of what came since the last look; the first one, and the first under a policy, only begins."""
        policy = self._policy()
        place = await _place(self._db)
        if policy.attempts is None:
            if place is not None:
                async with self._db.transaction() as t:
                    await t.execute("DELETE FROM attempts_place")
            return
        newest = await searching.last_id(self._db.visits)
        if place is None:
            async with self._db.transaction() as t:
                await _keep_place(t, _Place(newest, self._clock()))
            return
        # A backup of the log can be older than one of the database.
        at = min(place.last_visit, newest)
        while True:
            found, last = await searching.arrived_after(self._db.visits, at, _STOPPED)
            if last == place.last_visit:
                return
            place = _Place(last, place.since)
            await self._tell(policy, policy.attempts, place, found)
            at = last

    async def _tell(self, policy: Policy, attempts: Attempts, place: _Place, found: Sequence[Found]) -> None:
        stopped = [one for one in found if Cause(one.row["cause"]) in _CAUSES]
        told = await _told(self._db)
        to_tell: list[Repeated | Risk] = [
            *_new_risks(policy, stopped, told),
            *await self._repeated(policy, attempts, place.since, stopped, told),
        ]
        at = self._clock()
        async with self._db.transaction() as t:
            for news in to_tell:
                about = news.category if isinstance(news, Risk) else _COUNTED
                await t.execute(
                    "INSERT INTO attempts_told (who, about, visit_at) VALUES (?, ?, ?)"
                    " ON CONFLICT DO UPDATE SET visit_at = excluded.visit_at",
                    *(news.who, about, to_ms(news.last_at)),
                )
                letters = letters_of(policy, attempts, news)
                for letter in letters:
                    await outbox.put(t, letter, at)
                await audit.record(t, _event(news, [letter.to for letter in letters], at))
            await _keep_place(t, place)

    async def _repeated(
        self,
        policy: Policy,
        attempts: Attempts,
        since: datetime,
        stopped: Iterable[Found],
        told: _Told,
    ) -> list[Repeated]:
        """Return who was stopped too often, of those who were stopped again and are not told of yet."""
        first: dict[str, datetime] = {}
        for one in stopped:
            person, began = one.row["person"], from_ms(one.row["started_at"])
            if person in policy.people and one.row["category"] in attempts.categories:
                quiet_until = told[person, _COUNTED] + attempts.within if (person, _COUNTED) in told else None
                if quiet_until is None or began >= quiet_until:
                    first[person] = min(began, first.get(person, began))
        found = []
        for person, first_at in first.items():
            visits = await clients.stopped_visits(
                self._db.visits, person, max(first_at - attempts.within, since), attempts.categories, _CAUSES
            )
            began = first_at
            while over := first_over(visits, attempts.more_than, attempts.within, began):
                found.append(Repeated(person, policy.people[person].department, tuple(over)))
                began = over[-1].started_at + attempts.within
        return found


def first_over(
    visits: Sequence[StoppedVisit], more_than: int, within: timedelta, from_: datetime
) -> Sequence[StoppedVisit]:
    """Return the visits, oldest first, of the first span that has more than so many; none where none has.

    A span ends with a visit that began at `from_` or later, and has all that began less than `within` before.
    `visits` are in the order in which they began.
    """
    begin = 0
    for end, visit in enumerate(visits):
        while visit.started_at - visits[begin].started_at >= within:
            begin += 1
        if visit.started_at >= from_ and end + 1 - begin > more_than:
            return visits[begin : end + 1]
    return ()


def _new_risks(policy: Policy, stopped: Iterable[Found], told: _Told) -> list[Risk]:
    """Return the first visit of each client to each kind of risk, but those told of within a day before."""
    found: dict[tuple[str, str], Risk] = {}
    for one in stopped:
        row, began = one.row, from_ms(one.row["started_at"])
        if row["category"] not in policy.security_categories:
            continue
        who = row["device"] or row["person"] or row["address"]
        key = who, row["category"]
        if key in found or (key in told and began < told[key] + _RISK_AGAIN_AFTER):
            continue
        person = policy.people.get(row["person"] or "")
        department = person.department if person is not None else row["department"]
        found[key] = Risk(
            who=who,
            person=row["person"],
            department=department if department in policy.departments else None,
            device=row["device"],
            address=row["address"],
            host=host_of(row["site"]),
            category=row["category"],
            code=row["code"],
            last_at=began,
        )
    return list(found.values())


def _event(news: Repeated | Risk, people: list[str], at: datetime) -> Event:
    if isinstance(news, Repeated):
        counted: dict[str, audit.Detail] = {
            "visits": len(news.visits),
            "categories": sorted(news.categories),
            "people": people,
        }
        return Event(EventKind.ATTEMPTS_TOLD, _ACTOR, news.who, at, counted)
    details: dict[str, audit.Detail] = {
        "category": news.category,
        "person": news.person,
        "device": news.device,
        "code": news.code,
        "people": people,
    }
    return Event(EventKind.SECURITY_RISK_TOLD, _ACTOR, news.host, at, details)


async def _place(db: Reader) -> _Place | None:
    row = await db.fetch_one("SELECT last_visit, since FROM attempts_place")
    return _Place(row["last_visit"], from_ms(row["since"])) if row is not None else None


async def _keep_place(t: Transaction, place: _Place) -> None:
    await t.execute(
        "INSERT INTO attempts_place (id, last_visit, since) VALUES (1, ?, ?)"
        " ON CONFLICT DO UPDATE SET last_visit = excluded.last_visit",
        *(place.last_visit, to_ms(place.since)),
    )


async def _told(db: Reader) -> _Told:
    rows = await db.fetch_all("SELECT who, about, visit_at FROM attempts_told")
    return {(row["who"], row["about"]): from_ms(row["visit_at"]) for row in rows}
