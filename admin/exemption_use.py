"""What access that was granted is used for: the evidence by which it goes on, or is closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row
from admin.visit_log.clients import ExemptedVisits, exempted, of_person
from admin.visit_log.visit_log import VisitLog

COUNTED = timedelta(days=30)
UNUSED_AFTER = timedelta(days=60)
# No review looks further back, so that none has to read a year of visits.
_LOOKS_BACK = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Use:
    """Visits that access opened: in the last 30 days, and when the last one was.

    Of a device of one's own they are its person's from its address, of an internet account all of the
    person's.

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


async def of_all(db: Reader, visits: VisitLog, now: datetime) -> dict[int, Use]:
    """Return the use of all access in force but internet accounts, by the number of its request."""
    return await _of(db, visits, now, None)


async def of(db: Reader, visits: VisitLog, access_request: int, now: datetime) -> Use | None:
    """Return the use of one request's access, None where none is in force."""
    return (await _of(db, visits, now, access_request)).get(access_request)


async def of_over(db: Reader, visits: VisitLog, access_request: int, now: datetime) -> Use | None:
    """As `of`, of access that is over as well; None where none was granted."""
    return (await _of(db, visits, now, access_request, is_over_too=True)).get(access_request)


async def _of(
    db: Reader, visits: VisitLog, now: datetime, access_request: int | None, *, is_over_too: bool = False
) -> dict[int, Use]:
    rows = await db.fetch_all(
        "SELECT id, access_request, granted_at FROM exemption WHERE (?3 OR (stopped_at IS NULL"
        " AND expires_at > ?1)) AND (?2 IS NULL OR access_request = ?2) ORDER BY access_request",
        to_ms(now),
        access_request,
        is_over_too,
    )
    of_exemptions = await exempted(
        visits, [f"EX-{row['id']}" for row in rows], now - _LOOKS_BACK, now - COUNTED
    )
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["access_request"], []).append(row)
    uses = {number: _use(of_request, of_exemptions) for number, of_request in found.items()}
    for row in await _of_people(db, now, access_request, is_over_too=is_over_too):
        begins = max(now - _LOOKS_BACK, from_ms(row["granted_at"]))
        by = await of_person(visits, row["person"], row["address"], begins, now - COUNTED)
        uses[row["access_request"]] = _summed([row], by)
    return uses


async def _of_people(
    db: Reader, now: datetime, access_request: int | None, *, is_over_too: bool
) -> list[Row]:
    """Return access that is a person's, and opens no site by itself: devices, and the account asked for."""
    return await db.fetch_all(
        "SELECT access_request, person, address, granted_at FROM own_device"
        " WHERE (?3 OR (stopped_at IS NULL AND expires_at > ?1)) AND (?2 IS NULL OR access_request = ?2)"
        " UNION ALL SELECT access_request, person, NULL, granted_at FROM internet_account"
        " WHERE (?3 OR (stopped_at IS NULL AND expires_at > ?1)) AND access_request = ?2",
        to_ms(now),
        access_request,
        is_over_too,
    )


def _use(exemptions: list[Row], used: Mapping[str, list[ExemptedVisits]]) -> Use:
    return _summed(exemptions, [client for row in exemptions for client in used[f"EX-{row['id']}"]])


def _summed(access: list[Row], by: list[ExemptedVisits]) -> Use:
    return Use(
        from_ms(min(row["granted_at"] for row in access)),
        sum(client.visits for client in by),
        len({client.who for client in by if client.visits}),
        sum(client.size_bytes for client in by),
        max((client.last_at for client in by), default=None),
    )
