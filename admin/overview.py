"""The numbers of a day, for the page IT begins with."""

from dataclasses import dataclass
from datetime import datetime

from admin.clock import to_ms
from admin.database import Reader
from policy.decision import Verdict


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts since an instant, and of what stands now."""

    visits: int
    blocked: int
    undecided: int
    in_force: int
    most_blocked: tuple[tuple[str, int], ...]
    """Category ids with their blocked visits, most first."""


async def overview(db: Reader, since: datetime, now: datetime) -> Overview:
    """Count visits that started since an instant (aware), and requests and access as of `now`."""
    visits = await db.fetch_one(
        "SELECT count(*) AS visits, coalesce(sum(verdict = ?), 0) AS blocked"
        " FROM visit WHERE started_at >= ?",
        Verdict.BLOCK.value,
        to_ms(since),
    )
    standing = await db.fetch_one(
        "SELECT (SELECT count(*) FROM access_request WHERE state = 'submitted') AS undecided,"
        " (SELECT count(*) FROM exemption WHERE stopped_at IS NULL AND expires_at > ?) AS in_force",
        to_ms(now),
    )
    categories = await db.fetch_all(
        "SELECT category, count(*) AS visits FROM visit"
        " WHERE started_at >= ? AND verdict = ? AND category IS NOT NULL"
        " GROUP BY category ORDER BY visits DESC, category LIMIT 5",
        to_ms(since),
        Verdict.BLOCK.value,
    )
    if visits is None or standing is None:
        raise LookupError("a count has no row")
    return Overview(
        visits["visits"],
        visits["blocked"],
        standing["undecided"],
        standing["in_force"],
        tuple((row["category"], row["visits"]) for row in categories),
    )
