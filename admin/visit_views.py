"""The visit log as the pages see it: for whom, with names or without, and what was stopped here.

What may be seen is a matter of the session that asks (`admin.visits` has the log itself).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from admin import roles, visits
from admin.asking import NotAllowedError
from admin.clock import Clock
from admin.database import Database
from admin.names import Names
from admin.overview import Hour, hours_between
from admin.sessions import NotAtTheDeviceError, Session
from admin.visit_log import searching
from admin.visit_log.searching import Cursor, VisitFilter
from admin.visits import NamesHiddenError, VisitRow, WhoCodes
from policy.identity import Identities
from policy.town_policy import Policy

_STOPPED_WITHIN = timedelta(minutes=15)
_LONGEST_CHART = timedelta(days=31)
_HOUR = timedelta(hours=1)


class VisitViews:
    """The log for one session or another. `secret` is behind the codes of the day."""

    def __init__(
        self, db: Database, policy: Callable[[], Policy], names: Names, secret: bytes, clock: Clock
    ) -> None:
        self._db = db
        self._names = names
        self._policy = policy
        self._secret = secret
        self._clock = clock

    async def query(
        self, session: Session, where: VisitFilter, before: Cursor | None = None, limit: int = 50
    ) -> list[VisitRow]:
        """Return visits, newest first; names only while shown.

        Raises NotAllowedError but for IT, help desk and auditors, NamesHiddenError for a search by
        person while names are hidden, or before a second person agreed to it where one must.
        """
        await self._check_search(session, where)
        return await visits.query(
            self._db,
            where,
            self._codes(),
            names_shown=session.shows_names_at(self._clock()),
            before=before,
            limit=limit,
        )

    async def in_pages(
        self, session: Session, where: VisitFilter, rows_at_once: int
    ) -> AsyncIterator[Sequence[VisitRow]]:
        """Yield all visits, newest first, so many at a time; names if they are shown as it begins.

        Raises as query does.
        """
        await self._check_search(session, where)
        names_shown = session.shows_names_at(self._clock())
        codes, before = self._codes(), None
        while True:
            rows = await visits.query(
                self._db, where, codes, names_shown=names_shown, before=before, limit=rows_at_once
            )
            if rows:
                yield rows
            if len(rows) < rows_at_once:
                return
            before = Cursor(rows[-1].started_at, rows[-1].id)

    async def hours(self, session: Session, where: VisitFilter) -> tuple[Hour, ...]:
        """Count the visits of a filter by the hours of the town's clock, 31 days at most.

        Without a time they are today's. Raises as query does.
        """
        await self._check_search(session, where)
        if where.person is not None and not session.shows_names_at(self._clock()):
            raise NamesHiddenError("a search by person says who it was")
        begin, until = _whole_hours(where, self._clock(), ZoneInfo(self._policy().town.timezone))
        if begin >= until:
            return ()
        return await hours_between(self._db, begin, until - timedelta(milliseconds=1), until, where)

    async def last_id(self) -> int:
        """Return the number of the visit that came into the log last; 0 when there is none."""
        return await searching.last_id(self._db.visits)

    async def count_arrived_after(self, session: Session, id_: int, where: VisitFilter) -> tuple[int, int]:
        """Count the visits of a filter that came into the log after another; return the last's number, too.

        Raises LookupError for what is no visit's number, and as query does.
        """
        await self._check_search(session, where)
        names_shown = session.shows_names_at(self._clock())
        return await visits.count_arrived_after(self._db, id_, where, names_shown=names_shown)

    async def get(self, session: Session, id_: int) -> VisitRow:
        """Return one visit. Raises LookupError, and as query does."""
        self._check(session)
        names_shown = session.shows_names_at(self._clock())
        return await visits.get(self._db, id_, self._codes(), names_shown=names_shown)

    async def own(self, session: Session, before: Cursor | None = None, limit: int = 50) -> list[VisitRow]:
        """Return what is recorded of the session's person by name, newest first; names nobody else.

        Raises NotAllowedError for who has not signed in.
        """
        if session.person is None or not session.is_signed_in:
            raise NotAllowedError("Your visits: sign in to see them.")
        where = VisitFilter(person=session.person)
        return await visits.query(
            self._db, where, self._codes(), names_shown=True, before=before, limit=limit
        )

    async def stopped_here(self, session: Session) -> list[VisitRow]:
        """Return what was stopped for this person or device in the last 15 minutes, newest first.

        Raises NotAtTheDeviceError for a session that only knows the device, and followed no Ask
        link within 15 minutes.
        """
        now = self._clock()
        if not session.is_signed_in and not session.is_at_the_device_at(now):
            raise NotAtTheDeviceError("no Ask link was followed in this browser in the last 15 minutes")
        person, device = session.person, session.device
        if not session.is_signed_in and device is not None:
            person = None  # only what happened at this device: who sits there has not signed in
        return await visits.stopped(self._db, person, device, now - _STOPPED_WITHIN, self._codes())

    async def stopped_at(self, address: str) -> list[VisitRow] | None:
        """Return what was stopped in 15 minutes for a person at their computer, newest first.

        None where the address is of no computer of one person, by the policy in force.
        """
        now = self._clock()
        client = Identities(self._policy()).identify(address, at=now)
        if client.device is None or client.person is None:
            return None
        return await visits.stopped_at(
            self._db, client.person, client.address, now - _STOPPED_WITHIN, self._codes()
        )

    async def _check_search(self, session: Session, where: VisitFilter) -> None:
        self._check(session)
        if where.person is not None and not await self._names.may_search(session, where.person):
            raise NamesHiddenError("nobody agreed to a search for this person")

    def _codes(self) -> WhoCodes:
        return WhoCodes(self._secret, ZoneInfo(self._policy().town.timezone))

    def _check(self, session: Session) -> None:
        otherwise = "Visits: only people with that duty see this."
        roles.person_with(roles.sees_visits, self._policy(), session, otherwise)


def _whole_hours(where: VisitFilter, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when the first hour of a filter's time begins, and the last one ends (UTC)."""
    end = min(where.until or now, now)
    since = where.since or datetime.combine(end.astimezone(zone).date(), time(), tzinfo=zone)
    until = _hour_of(end, zone)
    until = until if until == end else until + _HOUR
    return max(_hour_of(since, zone), until - _LONGEST_CHART), until


def _hour_of(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the hour of an instant began, by the town's clock; in UTC."""
    return at.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
