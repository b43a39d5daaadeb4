"""Exemptions: access that was granted, as the database keeps it and the proxy is told."""

import json
from datetime import datetime

from admin.clock import from_ms, to_ms
from admin.database import Reader, Transaction
from policy.state import Exemption


def exemption_name(id_: int) -> str:
    """Return the id that visits and snapshots carry, like "EX-12"."""
    return f"EX-{id_}"


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


async def stop(t: Transaction, access_request: int, stopped_by: str, at: datetime) -> None:
    """End the access that a request was granted."""
    await t.execute(
        "UPDATE exemption SET stopped_at = ?, stopped_by = ? WHERE access_request = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        access_request,
    )


async def live(db: Reader, at: datetime) -> tuple[Exemption, ...]:
    """Return the exemptions in force at `at` or later: neither stopped nor expired."""
    rows = await db.fetch_all(
        "SELECT * FROM exemption WHERE stopped_at IS NULL AND expires_at > ? ORDER BY id", to_ms(at)
    )
    return tuple(
        Exemption(
            id=exemption_name(row["id"]),
            host=row["host"],
            granted_at=from_ms(row["granted_at"]),
            expires_at=from_ms(row["expires_at"]),
            person=row["person"],
            department=row["department"],
            accepted_risks=frozenset(json.loads(row["accepted_risks"])),
        )
        for row in rows
    )
