"""Access requests by the access they gave: what is in force, and what of it is looked at again."""

from datetime import datetime

from admin.asking import AccessRequest
from admin.clock import to_ms
from admin.database import Reader
from admin.stored_requests import find


async def granted(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests whose access is in force at `at`, the one that ends first at the start."""
    return await find(
        db,
        "access_request.id IN ("
        "SELECT access_request FROM exemption WHERE stopped_at IS NULL AND expires_at > ?)"
        " ORDER BY exemption.expires_at",
        to_ms(at),
    )


async def granted_accounts(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests whose internet account is in force at `at`, the one that ends first at the start."""
    return await find(
        db,
        "internet_account.stopped_at IS NULL AND internet_account.expires_at > ?"
        " ORDER BY internet_account.expires_at, access_request.id",
        to_ms(at),
    )


async def unreviewed(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return those of `granted` that IT has not looked at since a host was opened, 200 at most."""
    return await find(
        db,
        "access_request.id IN ("
        "SELECT access_request FROM exemption WHERE stopped_at IS NULL AND expires_at > ?"
        " AND reviewed_at IS NULL) ORDER BY exemption.expires_at LIMIT 200",
        to_ms(at),
    )


async def count_unreviewed(db: Reader, at: datetime) -> int:
    """Return how many requests `unreviewed` would find without its limit."""
    row = await db.fetch_one(
        "SELECT count(DISTINCT access_request) AS requests FROM exemption"
        " WHERE stopped_at IS NULL AND expires_at > ? AND reviewed_at IS NULL",
        to_ms(at),
    )
    return row["requests"] if row else 0


async def under_review(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests of whose access in force it is asked whether it is needed, asked longest ago first."""
    return await find(
        db,
        "access_request.id IN ("
        "SELECT access_request FROM exemption WHERE review_since IS NOT NULL AND stopped_at IS NULL"
        " AND expires_at > ?1 UNION SELECT access_request FROM internet_account"
        " WHERE review_since IS NOT NULL AND stopped_at IS NULL AND expires_at > ?1)"
        " ORDER BY review_since, access_request.id",
        to_ms(at),
    )


async def to_review(db: Reader, at: datetime) -> list[int]:
    """Return the numbers of the requests whose access comes up for review at `at`, as every 90 days."""
    rows = await db.fetch_all(
        "SELECT access_request FROM exemption WHERE review_at <= ?1 AND stopped_at IS NULL"
        " AND expires_at > ?1 UNION SELECT access_request FROM internet_account"
        " WHERE review_at <= ?1 AND stopped_at IS NULL"
        " AND expires_at > ?1 ORDER BY access_request",
        to_ms(at),
    )
    return [row["access_request"] for row in rows]


async def open_unasked_since(db: Reader, since: datetime, at: datetime) -> list[int]:
    """Return the numbers of the requests whose access is open since then, nobody being asked at `at`."""
    rows = await db.fetch_all(
        "SELECT access_request FROM exemption WHERE granted_at <= ?1 AND review_since IS NULL"
        " AND stopped_at IS NULL AND expires_at > ?2 UNION SELECT access_request FROM internet_account"
        " WHERE granted_at <= ?1 AND review_since IS NULL AND stopped_at IS NULL"
        " AND expires_at > ?2 ORDER BY access_request",
        to_ms(since),
        to_ms(at),
    )
    return [row["access_request"] for row in rows]
