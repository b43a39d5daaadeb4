"""Visits that IT ended while they went on."""

from datetime import datetime, timedelta

from admin import audit
from admin.audit import Event, EventKind
from admin.clock import to_ms
from admin.database import Reader, Transaction

_TOLD_FOR = timedelta(hours=1)


async def end(t: Transaction, code: str, host: str, *, actor: str, at: datetime) -> bool:
    """Have the proxy end an open visit, by its code; recorded. False where it is told already."""
    is_first = await t.execute(
        "INSERT INTO ended_visit (code, host, ended_by, ended_at) SELECT ?1, ?2, ?3, ?4"
        " WHERE NOT EXISTS (SELECT 1 FROM ended_visit WHERE code = ?1 AND ended_at > ?5)",
        *(code, host, actor, to_ms(at), to_ms(at - _TOLD_FOR)),
    )
    if not is_first:
        return False
    details: dict[str, audit.Detail] = {"code": code, "host": host}
    await audit.record(t, Event(EventKind.VISIT_ENDED, actor, host, at, details))
    return True


async def live(db: Reader, at: datetime) -> tuple[str, ...]:
    """Return the codes of visits that IT ended lately, as the proxy is told."""
    rows = await db.fetch_all(
        "SELECT code FROM ended_visit WHERE ended_at > ? ORDER BY id", to_ms(at - _TOLD_FOR)
    )
    return tuple(row["code"] for row in rows)
