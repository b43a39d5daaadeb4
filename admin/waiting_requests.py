"""Access requests that wait: for somebody's answer, a reminder, or IT that opens what was approved."""

from datetime import datetime

from admin.asked import Kind
from admin.asking import AccessRequest, site_of
from admin.clock import to_ms
from admin.database import Reader
from admin.deciders import deciders
from admin.opening import may_open
from admin.stored_requests import IN_TIME, find, find_one
from policy.town_policy import Policy


async def to_decide(db: Reader, policy: Policy, person: str, at: datetime) -> list[AccessRequest]:
    """Return the requests that wait for this person's answer at `at`, nearest deadline first."""
    return [request for request in await undecided(db, at) if person in deciders(policy, request)]


async def of_nobody(db: Reader, policy: Policy, at: datetime) -> list[AccessRequest]:
    """Return the requests that nobody may answer at `at`, as roles are now; in the same order."""
    return [request for request in await undecided(db, at) if not deciders(policy, request)]


async def undecided(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return the requests that wait for somebody's answer at `at`, nearest deadline first."""
    return await find(
        db,
        f"state = 'submitted' AND {IN_TIME} ORDER BY due_at, access_request.id",
        to_ms(at),
    )


async def count_undecided(db: Reader, at: datetime) -> int:
    """Return how many requests `undecided` would find."""
    row = await db.fetch_one(
        f"SELECT count(*) AS requests FROM access_request WHERE state = 'submitted' AND {IN_TIME}",  # noqa: S608 - own words
        to_ms(at),
    )
    return row["requests"] if row else 0


async def unanswered(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return waiting requests of which somebody is to be reminded at `at`, and those that go up by then."""
    return await find(
        db,
        "access_request.id IN ("  # noqa: S608 - own words
        "SELECT id FROM access_request WHERE remind_at <= ?1 UNION ALL"
        f" SELECT id FROM access_request WHERE state = 'submitted' AND due_at <= ?1 AND {IN_TIME})"
        f" AND {IN_TIME} ORDER BY due_at, access_request.id",
        to_ms(at),
    )


async def to_open(db: Reader, policy: Policy, person: str, at: datetime) -> list[AccessRequest]:
    """Return what was approved and this person may open at `at`, what waits longest first."""
    approved = await find(
        db,
        f"state = 'awaits_opening' AND {IN_TIME} ORDER BY decided_at, access_request.id",
        to_ms(at),
    )
    return [request for request in approved if may_open(policy, request, person)]


async def open_request_for(
    db: Reader,
    host: str,
    kind: Kind,
    department: str | None,
    path: str = "",
    *,
    rule: str | None = None,
    is_of_rule: bool = False,
) -> AccessRequest | None:
    """Return a department's undecided request of a kind for the site, the oldest, or None.

    Of a page's path, the request for that page, or else the one for all of the site; of downloads, that for
    all of them, or else for one. `rule` and `is_of_rule` as `own_requests.open_request_of` has them.
    """
    return await find_one(
        db,
        "access_request.host = ?1 AND access_request.department IS ?2"
        " AND state = 'submitted' AND kind = ?3 AND access_request.path IN ('', ?4)"
        " AND (rule IS ?5 OR (duration <> 'once' AND NOT ?6))"
        " ORDER BY access_request.path = ?4 DESC, duration = 'once', access_request.id LIMIT 1",
        site_of(host),
        department,
        kind.value,
        path,
        rule,
        is_of_rule,
    )
