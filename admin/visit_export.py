"""The visits of a filter as a table to take away: lines of `towngate visits --csv`, as a session sees them.

Who takes which, and how many, is on record before they have them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO
from zoneinfo import ZoneInfo

from admin import audit
from admin.audit import Detail, Event, EventKind
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Session
from admin.visit_lines import Form, heading, shown_as
from admin.visit_log.searching import VisitFilter
from admin.visit_views import VisitViews
from admin.written_text import one_line

MOST_VISITS = 100_000
_ROWS_AT_ONCE = 500
_MOST_NAME = 64
# The person is told by role, and a time as the instants that it was.
_RECORDED_OTHERWISE = ("person", "span", "since", "until")
_MOMENT = timedelta(milliseconds=1)


class TooManyVisitsError(Exception):
    """More visits match than a table has; none was exported, and nothing is on record."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a table is of: its visits, and the instants (aware) of the first and last moment asked for."""

    visits: int
    first_at: datetime
    last_at: datetime

    def file_name(self, zone: ZoneInfo) -> str:
        """Return a name with the dates by a town's clock: "visits-2026-03-02-to-2026-03-06.csv"."""
        first, last = (at.astimezone(zone).date().isoformat() for at in (self.first_at, self.last_at))
        return f"visits-{first}.csv" if first == last else f"visits-{first}-to-{last}.csv"


class VisitExports:
    """Writes tables, for one session or another."""

    def __init__(self, db: Database, views: VisitViews, clock: Clock) -> None:
        self._db = db
        self._views = views
        self._clock = clock

    async def write(
        self, session: Session, where: VisitFilter, filters: Mapping[str, str], table: IO[bytes]
    ) -> Exported:
        """Write all visits of a filter to a file, newest first, and record that.

        `filters` are what `where` was read from. What was written is no export where this raises:
        TooManyVisitsError, OSError, and as VisitViews.query does.
        """
        now = self._clock()
        show = shown_as(Form.CSV, ZoneInfo("UTC"))
        table.write(f"{heading(Form.CSV)}\n".encode())
        count, oldest = 0, now
        async for rows in self._views.in_pages(session, where, _ROWS_AT_ONCE):
            count += len(rows)
            if count > MOST_VISITS:
                raise TooManyVisitsError(f"over {MOST_VISITS:,} visits")
            table.write("".join(f"{show(row)}\n" for row in rows).encode())
            oldest = rows[-1].started_at
        table.flush()
        details: dict[str, Detail] = {
            "visits": count,
            "names": "shown" if session.shows_names_at(now) else "hidden",
            "person": one_line(where.person)[:_MOST_NAME] if where.person else None,
            "begins_at": where.since.astimezone(UTC).isoformat() if where.since else None,
            "until": where.until.astimezone(UTC).isoformat() if where.until else None,
            "filters": [
                one_line(f"{name}={value}")
                for name, value in filters.items()
                if name not in _RECORDED_OTHERWISE
            ],
        }
        async with self._db.transaction() as t:
            event = Event(EventKind.VISITS_EXPORTED, session.person or "", "visits", self._clock(), details)
            await audit.record(t, event)
        last = now if where.until is None else min(where.until - _MOMENT, now)
        return Exported(count, min(where.since or oldest, last), last)
