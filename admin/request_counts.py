"""How many access requests there are, by where they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from admin.asking import State
from admin.clock import from_ms, to_ms
from admin.database import Reader

# Where it stands at the instant ?1; what was approved is so also after its access has ended.
_STANDING = "iif(open_until <= ?1, 'ended', state)"


@dataclass(frozen=True, slots=True)
class Counts:
    """All requests by where they stand, and when the oldest that waits for an answer was sent."""

    by_state: Mapping[State, int]
    oldest_submitted_at: datetime | None


async def counts(db: Reader, now: datetime) -> Counts:
    """Count the requests as of `now` (aware)."""
    rows = await db.fetch_all(
        "SELECT CASE WHEN state = 'approved' AND NOT EXISTS ("  # noqa: S608 - own words
        "  SELECT 1 FROM exemption WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1) AND NOT EXISTS ("
        "  SELECT 1 FROM own_device WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1) AND NOT EXISTS ("
        "  SELECT 1 FROM internet_account WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1)"
        f"  THEN 'ended' ELSE {_STANDING} END AS standing,"
        " count(*) AS requests, min(submitted_at) AS oldest FROM access_request GROUP BY standing",
        to_ms(now),
    )
    found = {State(row["standing"]): row for row in rows}
    waiting = found.get(State.SUBMITTED)
    return Counts(
        {state: found[state]["requests"] if state in found else 0 for state in State},
        from_ms(waiting["oldest"]) if waiting else None,
    )


async def count_sent_between(
    db: Reader, begins_at: datetime, ends_at: datetime, department: str | None, now: datetime
) -> Mapping[State, int]:
    """Count what a department, or the town (None), sent from an instant to before another, as of `now`.

    What was approved is APPROVED also after its access has ended; ENDED is what was over before it opened.
    """
    rows = await db.fetch_all(
        f"SELECT {_STANDING} AS standing, count(*) AS requests FROM access_request"  # noqa: S608 - own words
        " WHERE submitted_at >= ?2 AND submitted_at < ?3 AND (?4 IS NULL OR department = ?4)"
        " GROUP BY standing",
        to_ms(now),
        to_ms(begins_at),
        to_ms(ends_at),
        department,
    )
    return {State(row["standing"]): row["requests"] for row in rows}
