"""The numbers of a day, for the page IT begins with."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from admin.clock import to_ms
from admin.database import Reader
from policy.decision import Lane, Verdict

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Hour:
    """Visits that began within an hour from `starts_at` (aware UTC), and how many were blocked."""

    starts_at: datetime
    visits: int
    blocked: int


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


async def overview(db: Reader, since: datetime, now: datetime) -> Overview:
    """Count visits that started since an instant (aware), and requests and access as of `now`."""
    hours = await _hours(db, since, now)
    standing = await db.fetch_one(
        "SELECT (SELECT count(*) FROM access_request WHERE state = 'submitted') AS undecided,"
        " (SELECT count(DISTINCT access_request) FROM exemption"
        " WHERE stopped_at IS NULL AND expires_at > ?) AS in_force,"
        " (SELECT count(*) FROM visit WHERE started_at >= ? AND verdict = ? AND lane = ?) AS checked_inside",
        to_ms(now),
        to_ms(since),
        Verdict.ALLOW.value,
        Lane.INSPECT.value,
    )
    categories = await db.fetch_all(
        "SELECT category, count(*) AS visits FROM visit"
        " WHERE started_at >= ? AND verdict = ? AND category IS NOT NULL"
        " GROUP BY category ORDER BY visits DESC, category LIMIT 5",
        to_ms(since),
        Verdict.BLOCK.value,
    )
    if standing is None:
        raise LookupError("a count has no row")
    return Overview(
        sum(hour.visits for hour in hours),
        sum(hour.blocked for hour in hours),
        standing["checked_inside"],
        hours,
        standing["undecided"],
        standing["in_force"],
        tuple((row["category"], row["visits"]) for row in categories),
    )


async def _hours(db: Reader, since: datetime, now: datetime) -> tuple[Hour, ...]:
    rows = await db.fetch_all(
        "SELECT (started_at - ?) / ? AS hour, count(*) AS visits, sum(verdict = ?) AS blocked"
        " FROM visit WHERE started_at >= ? GROUP BY hour",
        to_ms(since),
        _HOUR_MS,
        Verdict.BLOCK.value,
        to_ms(since),
    )
    counted = {row["hour"]: row for row in rows}
    # A record may be of a moment later than our clock says.
    last = max([(to_ms(now) - to_ms(since)) // _HOUR_MS, *counted])
    return tuple(
        Hour(
            since.astimezone(UTC) + timedelta(hours=hour),
            counted[hour]["visits"] if hour in counted else 0,
            counted[hour]["blocked"] if hour in counted else 0,
        )
        for hour in range(last + 1)
    )
