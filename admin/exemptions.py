"""Exemptions: access that was granted, as the database keeps it and the proxy is told."""

import functools
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row, Transaction
from policy.state import Exemption

_PREFIX = "EX-"
_IN_FORCE = (
    "SELECT exemption.*, access_request.kind = 'download' AS lifts_limits,"
    " access_request.duration = 'once' AS is_once,"
    " iif(access_request.kind = 'download', access_request.rule, NULL) AS lifts_rule,"
    " json_extract(access_request.asked, '$.case_number') AS case_number FROM exemption"
    " JOIN access_request ON access_request.id = exemption.access_request"
    " WHERE stopped_at IS NULL AND exemption.expires_at > ? ORDER BY exemption.id"
)
_REVIEWED_EVERY = timedelta(days=90)
_REVIEWED_BEFORE_END = timedelta(days=7)
_OPEN_BEFORE_REVIEW = timedelta(days=1)


def exemption_name(id_: int) -> str:
    """Return the id that visits and snapshots carry, like "EX-12"."""
    return f"{_PREFIX}{id_}"


async def grant(t: Transaction, access_request: int, exemption: Exemption, approved_by: str) -> None:
    """Open access, on the last approval of a request. `exemption.id` is given by the database."""
    review_at = next_review(exemption.granted_at, exemption.expires_at)
    await t.execute(
        "INSERT INTO exemption (access_request, host, person, department, accepted_risks,"
        " granted_at, expires_at, approved_by, review_at, categories, is_for_reading, path)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        access_request,
        exemption.host,
        exemption.person,
        exemption.department,
        json.dumps(sorted(exemption.accepted_risks)),
        to_ms(exemption.granted_at),
        to_ms(exemption.expires_at),
        approved_by,
        to_ms(review_at) if review_at is not None else None,
        json.dumps(sorted(exemption.categories)),
        exemption.is_for_reading,
        exemption.path,
    )


def next_review(at: datetime, expires_at: datetime) -> datetime | None:
    """Return when access that goes on at an instant comes up for review next.

    90 days later, or a week before it ends where that is sooner or would come less than a week after; None
    for what ends within eight days from then.
    """
    last, regular = expires_at - _REVIEWED_BEFORE_END, at + _REVIEWED_EVERY
    if last - at < _OPEN_BEFORE_REVIEW:
        return None
    return regular if last - regular >= _REVIEWED_BEFORE_END else last


async def end_renewed(
    t: Transaction, access_request: int, exemption: Exemption, hosts: Collection[str]
) -> None:
    """End the access that another one goes on with, for those whom that is for.

    `hosts` are the further hosts that the other one opens: those that it does not stay open until their end.
    """
    await t.execute(
        "UPDATE exemption SET expires_at = ? WHERE access_request = ? AND person IS ? AND department IS ?"
        " AND host IN (SELECT value FROM json_each(?)) AND stopped_at IS NULL AND granted_at < ?1"
        " AND expires_at > ?1",
        to_ms(exemption.granted_at),
        access_request,
        exemption.person,
        exemption.department,
        json.dumps([exemption.host, *hosts]),
    )


async def widen(t: Transaction, access_request: int, host: str, approved_by: str, at: datetime) -> None:
    """Open a further host for those who have the access of a request, until the same time.

    It accepts no risk.
    """
    await t.execute(
        "INSERT OR IGNORE INTO exemption (access_request, host, person, department, accepted_risks,"
        " granted_at, expires_at, approved_by, is_for_reading)"
        " SELECT DISTINCT access_request, ?, person, department, '[]', ?, expires_at, ?, is_for_reading"
        " FROM exemption"
        " WHERE access_request = ? AND stopped_at IS NULL AND expires_at > ?",
        host,
        to_ms(at),
        approved_by,
        access_request,
        to_ms(at),
    )


async def stop(t: Transaction, access_request: int, stopped_by: str, at: datetime) -> None:
    """End the access that a request was granted."""
    await t.execute(
        "UPDATE exemption SET stopped_at = ?, stopped_by = ? WHERE access_request = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        access_request,
    )


async def stop_of(t: Transaction, person: str, stopped_by: str, at: datetime) -> frozenset[int]:
    """End all access that is a person's own; return the numbers of the requests that it was by."""
    rows = await t.fetch_all(
        "UPDATE exemption SET stopped_at = ?1, stopped_by = ?2 WHERE person = ?3 AND stopped_at IS NULL"
        " RETURNING access_request, expires_at > ?1 AS was_live",
        to_ms(at),
        stopped_by,
        person,
    )
    return frozenset(row["access_request"] for row in rows if row["was_live"])


async def are_live(db: Reader, access_request: int, at: datetime) -> bool:
    """Whether anybody has access by a request at `at`."""
    return (
        await db.fetch_one(
            "SELECT 1 FROM exemption WHERE access_request = ? AND stopped_at IS NULL AND expires_at > ?",
            access_request,
            to_ms(at),
        )
        is not None
    )


@dataclass(frozen=True, slots=True)
class Paused:
    """An exemption with its request, and the categories that it is paused for; none: it counts."""

    access_request: int
    exemption: Exemption
    paused_for: frozenset[str]


async def leave_open(t: Transaction, access_request: int, reviewed_by: str, at: datetime) -> bool:
    """Note that IT looked at access in force and leaves it open; False when somebody has already."""
    return bool(
        await t.execute(
            "UPDATE exemption SET reviewed_at = ?, reviewed_by = ? WHERE access_request = ?"
            " AND reviewed_at IS NULL AND stopped_at IS NULL AND expires_at > ?",
            to_ms(at),
            reviewed_by,
            access_request,
            to_ms(at),
        )
    )


async def set_paused(t: Transaction, before: Paused, categories: frozenset[str]) -> bool:
    """Note what an exemption is paused for; False when that is no longer as `before` says."""
    return bool(
        await t.execute(
            "UPDATE exemption SET paused_for = ? WHERE id = ? AND paused_for IS ? AND stopped_at IS NULL",
            _categories_as_text(categories),
            int(before.exemption.id.removeprefix(_PREFIX)),
            _categories_as_text(before.paused_for),
        )
    )


async def live_with_pauses(db: Reader, at: datetime) -> tuple[Paused, ...]:
    """Return the exemptions in force at `at`, paused ones included, with what they are paused for."""
    rows = await db.fetch_all(_IN_FORCE, to_ms(at))
    return tuple(
        Paused(row["access_request"], _exemption(row), frozenset(json.loads(row["paused_for"] or "[]")))
        for row in rows
    )


async def live(db: Reader, at: datetime) -> tuple[Exemption, ...]:
    """Return the exemptions in force at `at` or later: neither stopped nor expired."""
    rows = await db.fetch_all(_IN_FORCE, to_ms(at))
    return tuple(_exemption(row) for row in rows)


def _exemption(row: Row) -> Exemption:
    return Exemption(
        id=exemption_name(row["id"]),
        host=row["host"],
        granted_at=from_ms(row["granted_at"]),
        expires_at=from_ms(row["expires_at"]),
        person=row["person"],
        department=row["department"],
        accepted_risks=_ids(row["accepted_risks"]),
        categories=_ids(row["categories"]),
        is_for_reading=bool(row["is_for_reading"]),
        lifts_limits=bool(row["lifts_limits"]),
        lifts_rule=row["lifts_rule"] or "",
        is_once=bool(row["is_once"]),
        case_number=row["case_number"] or "",
        path=row["path"],
    )


# Of thousands of exemptions nearly all name the same: none.
@functools.lru_cache(maxsize=1024)
def _ids(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def _categories_as_text(categories: frozenset[str]) -> str | None:
    return json.dumps(sorted(categories)) if categories else None
