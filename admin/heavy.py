"""What is heavy on the town's line: now, by what workers say of open visits; lately, by the visit log."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from admin import ended_visits, proposing, roles
from admin.asking import NotAllowedError
from admin.clock import Clock
from admin.database import Database
from admin.publisher import Publisher
from admin.sessions import Session
from admin.visit_log import counting
from admin.visit_log.counting import Loaded, LoadedBy
from admin.visit_log.spans import SOFTWARE_UPDATES
from admin.visits import Who, WhoCodes
from admin.worker_facts import facts_since
from policy.town_policy import Policy
from policy.worker_facts import HeavyVisit, WorkerFacts

_OLDEST = timedelta(seconds=20)
_MOST = 10
DAYS = {"today": 1, "week": 7}
"""For how many days it is looked at lately: those since the town's midnight, today with them."""


@dataclass(frozen=True, slots=True)
class HeavyRow:
    """An open visit; `share` (0 to 1) is what it takes of the line, None where its capacity is not known.

    `is_ending`: IT has stopped it, and its worker has not said yet that it is over.
    """

    visit: HeavyVisit
    who: Who
    share: float | None
    is_ending: bool


@dataclass(frozen=True, slots=True)
class HeavyNow:
    """What is heavy now, what carries most first; software updates apart: their visits, computers, and all of
    their bytes and speed."""

    rows: tuple[HeavyRow, ...]
    updates: tuple[HeavyVisit, ...]
    computers: int
    bytes_per_second: int
    in_use: float | None

    @property
    def updates_bytes(self) -> int:
        """What software updates have carried."""
        return sum(visit.bytes_up + visit.bytes_down for visit in self.updates)

    @property
    def updates_per_second(self) -> int:
        """What software updates carry, bytes a second."""
        return sum(visit.bytes_per_second for visit in self.updates)


@dataclass(frozen=True, slots=True)
class HeavySince:
    """What was heavy since an instant, most first; visits count when they have ended."""

    people: tuple[tuple[Who, int], ...]
    departments: tuple[Loaded, ...]
    hosts: tuple[Loaded, ...]
    categories: tuple[Loaded, ...]


class HeavyViews:
    """Heavy visits for one session or another; `secret` is behind the codes of the day."""

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        spool: Path,
        policy: Callable[[], Policy],
        secret: bytes,
        clock: Clock,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._spool = spool
        self._policy = policy
        self._secret = secret
        self._clock = clock

    async def now(self, session: Session) -> HeavyNow:
        """Return what workers said within the last seconds.

        Raises NotAllowedError but for those who see visits.
        """
        self._check(session, roles.sees_visits)
        facts = await self._facts()
        visits = [visit for fact in facts for visit in fact.heavy]
        others = [visit for visit in visits if visit.category != SOFTWARE_UPDATES]
        updates = tuple(visit for visit in visits if visit.category == SOFTWARE_UPDATES)
        speed = sum(fact.bytes_per_second for fact in facts)
        ending = await ended_visits.live(self._db, self._clock())
        return HeavyNow(
            rows=tuple(
                HeavyRow(
                    visit,
                    self._who(session, visit),
                    self._share(visit.bytes_per_second),
                    is_ending=visit.code in ending,
                )
                for visit in sorted(others, key=lambda visit: visit.bytes_per_second, reverse=True)
            ),
            updates=updates,
            computers=len({visit.device or visit.address for visit in updates}),
            bytes_per_second=speed,
            in_use=self._share(speed),
        )

    async def line_in_use(self) -> float | None:
        """Return how much of the line is in use, 0 to 1; None where its capacity is not known."""
        if self._policy().line_bits_per_second is None:
            return None
        return self._share(sum(fact.bytes_per_second for fact in await self._facts()))

    async def since(self, session: Session, days: int) -> HeavySince:
        """Return what was heavy today (1), or in so many days. Raises as `now` does."""
        self._check(session, roles.sees_visits)
        zone = ZoneInfo(self._policy().town.timezone)
        today = self._clock().astimezone(zone).date()
        since = datetime.combine(today - timedelta(days=days - 1), time(), tzinfo=zone)
        log = self._db.visits
        people = await counting.heaviest_people(log, since, _MOST)
        return HeavySince(
            people=tuple((self._who(session, by), by.size_bytes) for by in people),
            departments=tuple(await counting.heaviest(log, since, "department", _MOST)),
            hosts=tuple(await counting.heaviest_hosts(log, since, _MOST)),
            categories=tuple(await counting.heaviest(log, since, "category", _MOST)),
        )

    async def end(self, session: Session, code: str) -> None:
        """End an open visit that is heavy now, which is recorded; published when it returns.

        Raises NotAllowedError but for IT security, LookupError for what another has ended, both recorded;
        LookupError for what is not heavy now.
        """
        try:
            self._check(session, roles.runs_towngate)
        except NotAllowedError as error:
            await proposing.refuse(
                self._db, session, "heavy visits", self._clock(), str(error), move="end a visit"
            )
        actor = session.person or ""
        visits = (visit for fact in await self._facts() for visit in fact.heavy)
        visit = next((visit for visit in visits if visit.code == code), None)
        if visit is None:
            raise LookupError(f"{code} is not heavy now")
        at = self._clock()
        async with self._db.transaction() as t:
            is_first = await ended_visits.end(t, code, visit.host, actor=actor, at=at)
            why = f"{code} is ended already"
            if not is_first:
                await proposing.record_refusal(t, session, "heavy visits", at, why, "end a visit")
        if not is_first:
            raise LookupError(why)
        await self._publisher.publish_state()

    async def _facts(self) -> list[WorkerFacts]:
        now = self._clock()
        return await asyncio.to_thread(facts_since, self._spool, now - _OLDEST, now)

    def _share(self, bytes_per_second: int) -> float | None:
        line = self._policy().line_bits_per_second
        return None if line is None else min(1.0, 8 * bytes_per_second / line)

    def _who(self, session: Session, by: HeavyVisit | LoadedBy) -> Who:
        now = self._clock()
        name = by.person or by.device or (by.address if by.department is None else None)
        codes = WhoCodes(self._secret, ZoneInfo(self._policy().town.timezone))
        code = codes.code(name, now) if name else None
        if not session.shows_names_at(now):
            return Who(by.department, code)
        return Who(by.department, code, by.person, by.device, by.address)

    def _check(self, session: Session, may: roles.Permission) -> None:
        otherwise = "Heavy now: only people with that duty see this, and IT security acts."
        roles.person_with(may, self._policy(), session, otherwise)
