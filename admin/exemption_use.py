"""What access that was granted is used for: the evidence by which it goes on, or is closed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from admin.clock import from_ms, to_ms
from admin.database import Reader

COUNTED = timedelta(days=30)
UNUSED_AFTER = timedelta(days=60)
# No review looks further back, so that none has to read a year of visits.
_LOOKS_BACK = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Use:
    """Visits that an exemption opened: in the last 30 days, and when the last one was.

    `people` counts devices where nobody is known. `last_used_at` is None for what was not used in 90
    days; `granted_at` is when access began.
    """

    granted_at: datetime
    visits: int = 0
    people: int = 0
    size_bytes: int = 0
    last_used_at: datetime | None = None

    def is_unused_at(self, now: datetime) -> bool:
        """Whether nobody has used it for 60 days, in which it was open."""
        return (self.last_used_at or self.granted_at) <= now - UNUSED_AFTER


async def of_all(db: Reader, now: datetime) -> dict[int, Use]:
    """Return the use of all access in force, by the number of its request."""
    return await _of(db, now, None)


async def of(db: Reader, access_request: int, now: datetime) -> Use | None:
    """Return the use of one request's access, None where none is in force."""
    return (await _of(db, now, access_request)).get(access_request)


async def _of(db: Reader, now: datetime, access_request: int | None) -> dict[int, Use]:
    rows = await db.fetch_all(
        "SELECT exemption.access_request, min(exemption.granted_at) AS granted_at,"
        " count(CASE WHEN started_at >= ?2 THEN 1 END) AS visits,"
        " count(DISTINCT CASE WHEN started_at >= ?2 THEN coalesce(visit.person, device, address) END)"
        "  AS people,"
        " coalesce(sum(CASE WHEN started_at >= ?2 THEN bytes_up + bytes_down END), 0) AS size_bytes,"
        " max(started_at) AS last_used_at"
        " FROM exemption LEFT JOIN visit"
        "  ON visit.exemption = 'EX-' || exemption.id AND visit.started_at >= ?3"
        " WHERE stopped_at IS NULL AND expires_at > ?1 AND (?4 IS NULL OR exemption.access_request = ?4)"
        " GROUP BY exemption.access_request",
        to_ms(now),
        to_ms(now - COUNTED),
        to_ms(now - _LOOKS_BACK),
        access_request,
    )
    return {
        row["access_request"]: Use(
            from_ms(row["granted_at"]),
            row["visits"],
            row["people"],
            row["size_bytes"],
            from_ms(row["last_used_at"]) if row["last_used_at"] is not None else None,
        )
        for row in rows
    }
