"""Internet accounts: who may reach the web at all, and until when, as the database keeps it.

How they are asked for: `account_requests`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from admin.asked import AccountUse, Kind, from_json
from admin.clock import from_ms, to_ms
from admin.database import Reader, Transaction
from admin.exemptions import next_review


@dataclass(frozen=True, slots=True)
class Registered:
    """An account in force: of the request with this number, for what was asked there, until an instant."""

    request: int
    use: AccountUse
    expires_at: datetime


async def grant(
    t: Transaction, access_request: int, person: str, at: datetime, ends_at: datetime, *, approved_by: str
) -> None:
    """Give a person an account in place of the one that they have, on the last approval of a request."""
    await t.execute(
        "UPDATE internet_account SET expires_at = ?1"
        " WHERE person = ?2 AND stopped_at IS NULL AND expires_at > ?1",
        to_ms(at),
        person,
    )
    review_at = next_review(at, ends_at)
    await t.execute(
        "INSERT INTO internet_account"
        " (access_request, person, granted_at, expires_at, approved_by, review_at) VALUES (?, ?, ?, ?, ?, ?)",
        access_request,
        person,
        to_ms(at),
        to_ms(ends_at),
        approved_by,
        to_ms(review_at) if review_at is not None else None,
    )


async def stop(t: Transaction, access_request: int, stopped_by: str, at: datetime) -> None:
    """End the account that a request was granted."""
    await t.execute(
        "UPDATE internet_account SET stopped_at = ?, stopped_by = ?"
        " WHERE access_request = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        access_request,
    )


async def stop_of(t: Transaction, person: str, stopped_by: str, at: datetime) -> None:
    """End the account of a person."""
    await t.execute(
        "UPDATE internet_account SET stopped_at = ?, stopped_by = ? WHERE person = ? AND stopped_at IS NULL",
        to_ms(at),
        stopped_by,
        person,
    )


async def live(db: Reader, at: datetime) -> Mapping[str, datetime]:
    """Return who has an account at `at`, and until when."""
    rows = await db.fetch_all(
        "SELECT person, expires_at FROM internet_account WHERE stopped_at IS NULL AND expires_at > ?"
        " ORDER BY person",
        to_ms(at),
    )
    return {row["person"]: from_ms(row["expires_at"]) for row in rows}


async def register(db: Reader, at: datetime) -> Mapping[str, Registered]:
    """Return the accounts in force at `at`, by their people."""
    rows = await db.fetch_all(
        "SELECT account.person, account.expires_at, access_request.id, access_request.asked"
        " FROM internet_account AS account JOIN access_request ON access_request.id = account.access_request"
        " WHERE account.stopped_at IS NULL AND account.expires_at > ?",
        to_ms(at),
    )
    found = {}
    for row in rows:
        use = from_json(Kind.INTERNET_ACCOUNT, json.loads(row["asked"]))
        if isinstance(use, AccountUse):
            found[row["person"]] = Registered(row["id"], use, from_ms(row["expires_at"]))
    return found
