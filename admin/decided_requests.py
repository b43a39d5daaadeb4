"""Access requests that were answered: earlier ones for a site, and those of a kind."""

from datetime import datetime, timedelta

from admin.asked import Kind
from admin.asking import AccessRequest, State, site_of
from admin.clock import to_ms
from admin.database import Reader
from admin.stored_requests import find, find_one

# Whatever became of it since.
_DECIDED = "state IN ('awaits_signature', 'awaits_opening', 'approved', 'denied', 'stopped')"
ANSWERS_COUNT_FOR = timedelta(days=90)
"""How long what was answered is told first where somebody asks again."""


async def earlier_decisions(db: Reader, request: AccessRequest) -> list[AccessRequest]:
    """Return the department's other, decided requests for the site of one, newest first, 20 at most.

    Of one for a page, those for that page or for all of the site; of emergency access, what was decided
    before it opened.
    """
    return await find(
        db,
        "access_request.host = ?1 AND access_request.department IS ?2"
        " AND access_request.path IN ('', ?3)"
        f" AND {_DECIDED}"
        " AND access_request.id != ?4 AND (access_request.host != '' OR kind = ?5)"
        " AND (?5 != 'emergency' OR decided_at <= ?6)"
        " ORDER BY access_request.id DESC LIMIT 20",
        request.host,
        request.department,
        request.path,
        request.id,
        request.kind.value,
        to_ms(request.submitted_at),
    )


async def answered_before(
    db: Reader, host: str, kind: Kind, person: str, department: str | None, since: datetime, path: str = ""
) -> AccessRequest | None:
    """Return what was answered last, if that was not to allow the site: to the person or the department.

    Where there is no site (`host` is empty), of requests of the same kind; of a page's path, about that page
    or all of the site.

    None where it was allowed, or long ago (before `since`), or nobody asked.
    """
    found = await find_one(
        db,
        "access_request.host = ?1 AND decided_at >= ?4 AND (?1 != '' OR kind = ?5)"
        " AND access_request.path IN ('', ?6)"
        f" AND {_DECIDED}"
        " AND (access_request.person = ?2 OR (for_whom = 'department' AND access_request.department = ?3))"
        " ORDER BY decided_at DESC, access_request.id DESC LIMIT 1",
        site_of(host) if host else "",
        person,
        department,
        to_ms(since),
        kind.value,
        path,
    )
    return found if found is not None and found.state in (State.DENIED, State.STOPPED) else None


async def of_kind(db: Reader, kind: Kind) -> list[AccessRequest]:
    """Return the requests of a kind (but for sites) that were approved, whatever came since, newest first."""
    return await find(
        db,
        # By the index of what is not a site: SQLite takes it where the query says so.
        "kind = ? AND kind <> 'site'"
        " AND state IN ('awaits_signature', 'awaits_opening', 'approved', 'stopped')"
        " ORDER BY access_request.id DESC",
        kind.value,
    )
