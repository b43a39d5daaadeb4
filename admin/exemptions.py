"""Exemptions: access that was granted, as the database keeps it and the proxy is told."""

import json
from dataclasses import dataclass
from datetime import datetime

from admin.clock import from_ms, to_ms
from admin.database import Reader, Row, Transaction
from policy.state import Exemption

_PREFIX = "EX-"


def exemption_name(id_: int) -> str:
    """Return the id that visits and snapshots carry, like "EX-12"."""
    return f"{_PREFIX}{id_}"


async def grant(t: Transaction, access_request: int, exemption: Exemption, approved_by: str) -> None:
    """Open access, on the last approval of a request. `exemption.id` is given by the database."""
    await t.execute(
        "INSERT INTO exemption (access_request, host, person, department, accepted_risks,"
        " granted_at, expires_at, approved_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        access_request,
        exemption.host,
        exemption.person,
        exemption.department,
        json.dumps(sorted(exemption.accepted_risks)),
        to_ms(exemption.granted_at),
        to_ms(exemption.expires_at),
        approved_by,
    )


async def widen(t: Transaction, access_request: int, host: str, approved_by: str, at: datetime) -> None:
    """Open a further host for those who have the access of a request, until the same time.

    It accepts no risk.
    """
    await t.execute(
        "INSERT OR IGNORE INTO exemption (access_request, host, person, department, accepted_risks,"
        " granted_at, expires_at, approved_by)"
        " SELECT DISTINCT access_request, ?, person, department, '[]', ?, expires_at, ? FROM exemption"
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


@dataclass(frozen=True, slots=True)
class Paused:
    """An exemption with its request, and the security risks that it is paused for; none: it counts."""

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


async def set_paused(t: Transaction, before: Paused, risks: frozenset[str]) -> bool:
    """Note what an exemption is paused for; False when that is no longer as `before` says."""
    return bool(
        await t.execute(
            "UPDATE exemption SET paused_for = ? WHERE id = ? AND paused_for IS ? AND stopped_at IS NULL",
            _risks_as_text(risks),
            int(before.exemption.id.removeprefix(_PREFIX)),
            _risks_as_text(before.paused_for),
        )
    )


async def live_with_pauses(db: Reader, at: datetime) -> tuple[Paused, ...]:
    """Return the exemptions in force at `at`, paused ones included, with what they are paused for."""
    rows = await db.fetch_all(
        "SELECT * FROM exemption WHERE stopped_at IS NULL AND expires_at > ? ORDER BY id", to_ms(at)
    )
    return tuple(
        Paused(row["access_request"], _exemption(row), frozenset(json.loads(row["paused_for"] or "[]")))
        for row in rows
    )


async def live(db: Reader, at: datetime) -> tuple[Exemption, ...]:
    """Return the exemptions in force at `at` or later: neither stopped nor expired."""
    rows = await db.fetch_all(
        "SELECT * FROM exemption WHERE stopped_at IS NULL AND expires_at > ? ORDER BY id", to_ms(at)
    )
    return tuple(_exemption(row) for row in rows)


def _exemption(row: Row) -> Exemption:
    return Exemption(
        id=exemption_name(row["id"]),
        host=row["host"],
        granted_at=from_ms(row["granted_at"]),
        expires_at=from_ms(row["expires_at"]),
        person=row["person"],
        department=row["department"],
        accepted_risks=frozenset(json.loads(row["accepted_risks"])),
    )


def _risks_as_text(risks: frozenset[str]) -> str | None:
    return json.dumps(sorted(risks)) if risks else None
