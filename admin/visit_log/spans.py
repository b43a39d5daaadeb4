"""What was visited between two instants, by everyone or by a department: the figures of a report.

Both instants are beginnings of a quarter of an hour, as every midnight of a time zone is. A visit is of when
it began, and counts once it has ended.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from admin.clock import from_ms, to_ms
from admin.visit_log.taking_in import host_of
from admin.visit_log.visit_log import VisitLog
from policy.decision import Verdict

HEAVY_BYTES = 100_000_000
"""A visit that carried as much, both ways, is heavy; the index `visit_heavy` has them."""
# As the index says it, or it is not used.
_IS_HEAVY = f"bytes_up + bytes_down >= {HEAVY_BYTES}"
SOFTWARE_UPDATES = "software_updates"


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant until before another (aware); `department` is None for all visits."""

    begins_at: datetime
    ends_at: datetime
    department: str | None = None


@dataclass(slots=True)
class Use:
    """Visits, how many of them were blocked, and the bytes that they took both ways."""

    visits: int = 0
    blocked: int = 0
    size_bytes: int = 0

    def add(self, other: "Use") -> None:
        """Count others in."""
        self.visits += other.visits
        self.blocked += other.blocked
        self.size_bytes += other.size_bytes


async def used(log: VisitLog, span: Span, column: Literal["category", "department"]) -> Mapping[str, Use]:
    """Return the use of each category, or by each department; "" stands for none."""
    found: dict[str, Use] = defaultdict(Use)
    async for file in log.since(span.begins_at, span.ends_at):
        for row in await file.fetch_all(
            f"SELECT {_COLUMNS[column]} AS what, sum(visits) AS visits,"
            " sum(visits * (verdict = ?)) AS blocked, sum(bytes_up + bytes_down) AS size_bytes"
            " FROM quarter_count"
            " WHERE at >= ? AND at < ? AND (? IS NULL OR department = ?) GROUP BY what",
            Verdict.BLOCK.value,
            to_ms(span.begins_at),
            to_ms(span.ends_at),
            span.department,
            span.department,
        ):
            found[row["what"]].add(Use(row["visits"], row["blocked"], row["size_bytes"]))
    return found


@dataclass(frozen=True, slots=True)
class HeavyUse:
    """Heavy visits, but software updates: how many, their bytes, and the bytes by host and by person."""

    visits: int
    size_bytes: int
    hosts: Mapping[str, int]
    people: Mapping[str, int]


async def heavy(log: VisitLog, span: Span) -> HeavyUse:
    """Return what was heavy; people only where they are known."""
    visits, hosts, people = 0, Counter[str](), Counter[str]()
    async for file in log.since(span.begins_at, span.ends_at):
        for row in await file.fetch_all(
            "SELECT site.key AS site, person, count(*) AS visits, sum(bytes_up + bytes_down) AS size_bytes"
            " FROM visit_row JOIN client ON client.id = visit_row.client"
            " JOIN site ON site.id = visit_row.site JOIN decision ON decision.id = visit_row.decision"
            f" WHERE {_IS_HEAVY} AND {_IN_SPAN} AND category IS NOT ? GROUP BY site.key, person",
            *_bounds(span),
            SOFTWARE_UPDATES,
        ):
            visits += row["visits"]
            hosts[host_of(row["site"])] += row["size_bytes"]
            if row["person"] is not None:
                people[row["person"]] += row["size_bytes"]
    return HeavyUse(visits, hosts.total(), hosts, people)


async def blocked_people(log: VisitLog, span: Span) -> Mapping[str, int]:
    """Return how many visits were blocked of each person who is known."""
    found = Counter[str]()
    async for file in log.since(span.begins_at, span.ends_at):
        for row in await file.fetch_all(
            "SELECT person, count(*) AS visits FROM visit_row JOIN client ON client.id = visit_row.client"
            f" WHERE is_blocked = 1 AND {_IN_SPAN} AND person IS NOT NULL GROUP BY person",
            *_bounds(span),
        ):
            found[row["person"]] += row["visits"]
    return found


async def oldest(log: VisitLog) -> datetime | None:
    """Return when the first visit of the oldest month began (UTC); None where there is none."""
    months = await log.months()
    if not months:
        return None
    async with log.reading(months[-1]) as file:
        row = await file.fetch_one("SELECT min(started_at) AS at FROM visit_row")
    return from_ms(row["at"]) if row is not None and row["at"] is not None else None


_COLUMNS = {"category": "category", "department": "department"}
_IN_SPAN = "started_at >= ? AND started_at < ? AND (? IS NULL OR department = ?)"


def _bounds(span: Span) -> tuple[int, int, str | None, str | None]:
    return to_ms(span.begins_at), to_ms(span.ends_at), span.department, span.department
