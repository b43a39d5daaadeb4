"""A person's own access requests: what they sent or joined, and need not ask for again."""

import json
from datetime import datetime

from admin.asked import Asked, Kind, as_json
from admin.asking import AccessRequest
from admin.clock import to_ms
from admin.database import Reader
from admin.stored_requests import IN_TIME, find, find_one


async def mine(db: Reader, person: str | None, browser: str | None) -> list[AccessRequest]:
    """Return what the person or the browser sent, joined or proposed, newest first, 200 at most."""
    return await find(
        db,
        "access_request.person = ?1 OR browser = ?2 OR access_request.id IN ("
        "SELECT access_request FROM access_request_joiner WHERE person = ?1 OR browser = ?2)"
        " OR json_extract(asked, '$.proposed_by') = ?1"
        " ORDER BY access_request.id DESC LIMIT 200",
        person,
        browser,
    )


async def standing(db: Reader, person: str, department: str | None, at: datetime) -> list[AccessRequest]:
    """Return what a person need not ask for: open requests of theirs, access that is theirs at `at`.

    Not that to one download which they have used up, whoever joined and has not.
    """
    return await find(
        db,
        f"(state = 'submitted' AND {IN_TIME}"  # noqa: S608 - own words
        " AND (access_request.person = ?2 OR access_request.id IN ("
        "SELECT access_request FROM access_request_joiner WHERE person = ?2)))"
        " OR access_request.id IN (SELECT access_request FROM exemption WHERE stopped_at IS NULL"
        " AND expires_at > ?1 AND used_at IS NULL AND (person = ?2 OR department = ?3))"
        " ORDER BY access_request.id",
        to_ms(at),
        person,
        department,
    )


async def open_request_of(
    db: Reader,
    site: str,
    person: str,
    kind: Kind,
    at: datetime,
    asked: Asked | None = None,
    *,
    path: str = "",
    rule: str | None = None,
    is_of_rule: bool = False,
) -> AccessRequest | None:
    """Return the request of a kind for the site that the person sent or joined and that waits at `at`.

    `asked` is what it asks for beside the site, None where that does not matter; of a page's path, it is for
    that page or for all of the site. `rule` is what has stopped it, `is_of_rule` as
    `asking_terms.stops_downloads`; of requests for all downloads and for one, it is the former.
    """
    return await find_one(
        db,
        "access_request.host = ?2 AND kind = ?4 AND (?5 IS NULL OR asked = ?5)"  # noqa: S608 - own words
        f" AND state IN ('submitted', 'awaits_signature', 'awaits_opening') AND {IN_TIME}"
        " AND access_request.path IN ('', ?6) AND (rule IS ?7 OR (duration <> 'once' AND NOT ?8))"
        " AND (access_request.person = ?3 OR EXISTS (SELECT 1 FROM access_request_joiner AS joiner"
        "  WHERE joiner.access_request = access_request.id AND joiner.person = ?3))"
        " ORDER BY duration = 'once', access_request.id LIMIT 1",
        to_ms(at),
        site,
        person,
        kind.value,
        json.dumps(as_json(asked)) if asked is not None else None,
        path,
        rule,
        is_of_rule,
    )


async def open_renewal(db: Reader, renews: int, person: str, at: datetime) -> AccessRequest | None:
    """Return the person's request that waits at `at` and is to go on with another's access, or None."""
    return await find_one(
        db,
        "renews = ?2 AND access_request.person = ?3"
        f" AND state IN ('submitted', 'awaits_signature', 'awaits_opening') AND {IN_TIME}",
        to_ms(at),
        renews,
        person,
    )


async def count_sent(db: Reader, person: str, since: datetime) -> int:
    """Return how many requests the person has sent since an instant, for themselves or for somebody else.

    Internet accounts do not count: a department's people are not many, and each has one.
    """
    row = await db.fetch_one(
        "SELECT count(*) AS sent FROM access_request WHERE submitted_at >= ?2 AND kind <> 'internet_account'"
        " AND coalesce(sent_by, person) = ?1",
        person,
        to_ms(since),
    )
    return row["sent"] if row else 0
