"""Hosts that IT has not opened, whatever a rule says, because programs there do not trust the town's CA.

The table and its moves. Only people put a host there: `admin.untrusting_hosts` lists which they may want
to. A host has one answer in force; it covers its subdomains. Of two people who answer at once one is
first; the other is told, which is recorded.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from admin import audit
from admin.asking import InvalidRequestError, site_of
from admin.audit import Detail, Event, EventKind
from admin.clock import from_ms, to_ms
from admin.database import Database, Reader, Row, Transaction
from admin.site_lists import blocking_categories
from admin.written_text import tidy_text
from categories.match import CategoryMatch
from categories.taxonomy import taxonomy
from policy.town_policy import Policy


class InspectionAnswer(StrEnum):
    """What IT said of a host."""

    NEVER = "never"
    """It is never opened."""
    LEFT = "left"
    """It was looked at, and rules open it as before."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer about a host, who gave it and why; in force unless it was undone. Times aware UTC."""

    id: int
    host: str
    answer: InspectionAnswer
    why: str
    made_by: str
    made_at: datetime
    undone_by: str | None
    undone_at: datetime | None


class InspectionAnsweredError(Exception):
    """The host is on the list already, by `present`, or is not (None); nothing changed."""

    def __init__(self, host: str, present: Answered | None) -> None:
        is_on = f"is not opened any more, by {present.made_by}" if present else "is not on the list"
        super().__init__(f"{host} {is_on}; nothing changed")
        self.host = host
        self.present = present


async def add(
    db: Database,
    host: str,
    *,
    why: str,
    actor: str,
    at: datetime,
    policy: Policy,
    matches: tuple[CategoryMatch, ...],
) -> Answered:
    """Have a canonical host, listed as `matches`, never opened.

    Raises InvalidRequestError without a reason, for what is not one site, and for a host of a category
    that the policy blocks; InspectionAnsweredError when it is on the list. All but the first are recorded.
    """
    reason = tidy_text("why", why, "Enter why")
    async with db.transaction() as t:
        refused: InvalidRequestError | InspectionAnsweredError | None = _why_not(host, policy, matches)
        present = await _in_force(t, host)
        if refused is None and present is not None and present.answer is InspectionAnswer.NEVER:
            refused = InspectionAnsweredError(host, present)
        if refused is None:
            await _end(t, host, actor, at)
            return await _answer(t, host, InspectionAnswer.NEVER, reason, actor, at)
        await _record_refusal(t, host, actor, at, str(refused))
    raise refused


async def leave(db: Database, host: str, *, actor: str, at: datetime) -> Answered:
    """Note that a host was looked at and is opened as before. Raises InspectionAnsweredError, recorded."""
    async with db.transaction() as t:
        present = await _in_force(t, host)
        if present is None or present.answer is InspectionAnswer.LEFT:
            await _end(t, host, actor, at)
            return await _answer(t, host, InspectionAnswer.LEFT, "", actor, at)
        refused = InspectionAnsweredError(host, present)
        await _record_refusal(t, host, actor, at, str(refused))
    raise refused


async def remove(db: Database, host: str, *, why: str, actor: str, at: datetime) -> Answered:
    """Let rules open a host again; return the answer that ended.

    Raises InvalidRequestError without a reason, InspectionAnsweredError (recorded) when it is not
    on the list.
    """
    reason = tidy_text("why", why, "Enter why")
    async with db.transaction() as t:
        present = await _in_force(t, host)
        if present is not None and present.answer is InspectionAnswer.NEVER:
            await _end(t, host, actor, at)
            details: dict[str, Detail] = {"why": reason}
            await audit.record(t, Event(EventKind.SITE_INSPECTED_AGAIN, actor, host, at, details))
            return await get(t, present.id)
        refused = InspectionAnsweredError(host, None)
        await _record_refusal(t, host, actor, at, str(refused))
    raise refused


async def refuse(db: Database, host: str, *, actor: str, at: datetime, why: str) -> None:
    """Record that somebody wanted to do what is not for them to do."""
    async with db.transaction() as t:
        await _record_refusal(t, host, actor, at, why)


async def get(db: Reader, id_: int) -> Answered:
    """Return an answer. Raises LookupError."""
    row = await db.fetch_one("SELECT * FROM inspection_answer WHERE id = ?", id_)
    if row is None:
        raise LookupError(f"there is no answer {id_}")
    return _answered(row)


async def all_never(db: Reader) -> list[Answered]:
    """Return the hosts on the list, newest first."""
    rows = await db.fetch_all(
        "SELECT * FROM inspection_answer WHERE undone_at IS NULL AND answer = 'never' ORDER BY id DESC"
    )
    return [_answered(row) for row in rows]


async def left_since(db: Reader, since: datetime) -> frozenset[str]:
    """Return the hosts that were left as they are at or after an instant (aware)."""
    rows = await db.fetch_all(
        "SELECT host FROM inspection_answer WHERE undone_at IS NULL AND answer = 'left' AND made_at >= ?",
        to_ms(since),
    )
    return frozenset(row["host"] for row in rows)


async def live(db: Reader) -> tuple[str, ...]:
    """Return the hosts on the list, as the proxy is told."""
    return tuple(sorted(answered.host for answered in await all_never(db)))


def _why_not(host: str, policy: Policy, matches: tuple[CategoryMatch, ...]) -> InvalidRequestError | None:
    """Return why a host cannot be on the list, None when it can."""
    try:
        site_of(host)
    except InvalidRequestError:
        return InvalidRequestError("host", f"{host} is not one site")
    blocking = blocking_categories(policy)
    blocked = [match.category for match in matches if match.category in blocking]
    if blocked:
        label = taxonomy().categories[blocked[0]].label
        return InvalidRequestError("host", f"{host} is listed as {label}, which the policy blocks")
    return None


async def _answer(
    t: Transaction, host: str, answer: InspectionAnswer, why: str, actor: str, at: datetime
) -> Answered:
    id_ = await t.insert(
        "INSERT INTO inspection_answer (host, answer, why, made_by, made_at) VALUES (?, ?, ?, ?, ?)",
        host,
        answer.value,
        why,
        actor,
        to_ms(at),
    )
    details: dict[str, Detail] = {"why": why} if why else {}
    await audit.record(t, Event(_KINDS[answer], actor, host, at, details))
    return await get(t, id_)


_KINDS = {
    InspectionAnswer.NEVER: EventKind.SITE_NEVER_INSPECTED,
    InspectionAnswer.LEFT: EventKind.SITE_LEFT_INSPECTED,
}


async def _in_force(t: Transaction, host: str) -> Answered | None:
    row = await t.fetch_one("SELECT * FROM inspection_answer WHERE host = ? AND undone_at IS NULL", host)
    return _answered(row) if row else None


async def _end(t: Transaction, host: str, actor: str, at: datetime) -> None:
    await t.execute(
        "UPDATE inspection_answer SET undone_by = ?, undone_at = ? WHERE host = ? AND undone_at IS NULL",
        actor,
        to_ms(at),
        host,
    )


async def _record_refusal(t: Transaction, host: str, actor: str, at: datetime, why: str) -> None:
    details: dict[str, Detail] = {"why": why}
    await audit.record(t, Event(EventKind.SITE_INSPECTION_REFUSED, actor, host, at, details))


def _answered(row: Row) -> Answered:
    return Answered(
        id=row["id"],
        host=row["host"],
        answer=InspectionAnswer(row["answer"]),
        why=row["why"],
        made_by=row["made_by"],
        made_at=from_ms(row["made_at"]),
        undone_by=row["undone_by"],
        undone_at=from_ms(row["undone_at"]) if row["undone_at"] is not None else None,
    )
