"""The numbers of a day, for the page IT begins with."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from admin import waiting_requests
from admin.clock import to_ms
from admin.database import Database
from admin.visit_log import counting
from admin.visit_log.counting import Counts
from admin.visit_log.searching import VisitFilter
from policy.decision import Lane

_HOUR = timedelta(hours=1)
_CATEGORIES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Hour:
    """Visits that began within an hour from `starts_at` (aware UTC), and how many were blocked."""

    starts_at: datetime
    visits: int
    blocked: int

    @property
    def ends_at(self) -> datetime:
        """When the next one begins (aware UTC)."""
        return self.starts_at + _HOUR


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts since an instant, and of what stands now. `hours` are all from that instant until now."""

    visits: int
    blocked: int
    checked_inside: int
    hours: tuple[Hour, ...]
    undecided: int
    in_force: int
    most_blocked: tuple[tuple[str, int], ...]
    """Category ids with their blocked visits, most first."""


async def overview(db: Database, since: datetime, now: datetime) -> Overview:
    """Count visits that started since an instant (aware), and requests and access as of `now`.

    A quarter of an hour begins at `since`.
    """
    hours = await hours_between(db, since, now)
    standing = await db.fetch_one(
        "SELECT count(DISTINCT access_request) AS in_force FROM exemption"
        " WHERE stopped_at IS NULL AND expires_at > ?",
        to_ms(now),
    )
    if standing is None:
        raise LookupError("a count has no row")
    return Overview(
        sum(hour.visits for hour in hours),
        sum(hour.blocked for hour in hours),
        await counting.of_lane(db.visits, since, Lane.INSPECT),
        hours,
        await waiting_requests.count_undecided(db, now),
        standing["in_force"],
        await counting.most_blocked(db.visits, since, _CATEGORIES_SHOWN),
    )


async def hours_between(
    db: Database,
    since: datetime,
    last: datetime,
    until: datetime | None = None,
    where: VisitFilter | None = None,
) -> tuple[Hour, ...]:
    """Return each hour from an instant on up to that of another, and later ones where something was visited.

    `until` and `where` are as in counting.hours.
    """
    counted = await counting.hours(db.visits, since, until, where)
    # A record may be of a moment later than our clock says.
    count = max([(last - since) // _HOUR, *counted]) + 1
    return tuple(
        Hour(since.astimezone(UTC) + hour * _HOUR, *_counts(counted.get(hour))) for hour in range(count)
    )


def _counts(counts: Counts | None) -> tuple[int, int]:
    return (counts.visits, counts.blocked) if counts is not None else (0, 0)
