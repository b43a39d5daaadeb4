"""Access requests as people look for them: one, mine, to decide, in force, and a time line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin import audit, exemptions
from admin.asked import Asked, Kind, as_json, from_json
from admin.asking import AccessRequest, ForWhom, Joined, State, UnknownRequestError, site_of
from admin.audit import EventKind
from admin.clock import from_ms, to_ms
from admin.database import Reader, Row
from admin.deciders import deciders
from admin.opening import may_open
from admin.request_time_line import Move, Turn
from policy.access_duration import Duration
from policy.town_policy import Approver, Policy

# Of the exemptions of a request its own is the one that ends last: as long as anybody has access by it, the
# request says so, and whoever may stop it can. Of those that end together the asker's, for the site, is it.
_SELECT = """
    SELECT access_request.*, exemption.id AS exemption, exemption.paused_for, exemption.reviewed_by,
        coalesce(exemption.expires_at, own_device.expires_at, internet_account.expires_at) AS expires_at,
        coalesce(exemption.review_since, internet_account.review_since) AS review_since, (
            SELECT json_group_array(host) FROM (
                SELECT host FROM access_request_host WHERE access_request = access_request.id
                ORDER BY added_at, host
            )
        ) AS hosts, (
            SELECT json_group_array(json_array(person, browser)) FROM (
                SELECT person, browser FROM access_request_joiner WHERE access_request = access_request.id
                ORDER BY joined_at, person
            )
        ) AS joined
    FROM access_request LEFT JOIN exemption ON exemption.id = (
        SELECT one.id FROM exemption AS one WHERE one.access_request = access_request.id
        ORDER BY one.stopped_at IS NOT NULL, one.expires_at DESC, one.id LIMIT 1
    ) LEFT JOIN own_device ON own_device.access_request = access_request.id
    LEFT JOIN internet_account ON internet_account.access_request = access_request.id
"""
# What waits at the instant ?1 and is not over by itself; as the index access_request_open has it.
_IN_TIME = "ifnull(open_until, 9223372036854775807) > ?1"
# Where it stands at the instant ?1; what was approved is so also after its access has ended.
_STANDING = "iif(open_until <= ?1, 'ended', state)"
# What was answered, whatever became of it since.
_DECIDED = "state IN ('awaits_signature', 'awaits_opening', 'approved', 'denied', 'stopped')"
ANSWERS_COUNT_FOR = timedelta(days=90)
"""How long what was answered is told first where somebody asks again."""
_TIME_LINE = frozenset(
    {
        EventKind.REQUEST_SUBMITTED,
        EventKind.REQUEST_ENDORSED,
        EventKind.REQUEST_APPROVED,
        EventKind.REQUEST_OPENED,
        EventKind.REQUEST_OPENED_AT_ONCE,
        EventKind.REQUEST_DENIED,
        EventKind.REQUEST_WITHDRAWN,
        EventKind.REQUEST_STOPPED,
    }
)
_TURNS: Mapping[EventKind, Turn] = {
    EventKind.EXEMPTION_PAUSED: Turn.PAUSED,
    EventKind.EXEMPTION_RESUMED: Turn.RESUMED,
    EventKind.EXEMPTION_LEFT_OPEN: Turn.LEFT_OPEN,
    EventKind.REQUEST_HOST_ADDED: Turn.HOST_ADDED,
    EventKind.REQUEST_JOINED: Turn.JOINED,
    EventKind.REQUEST_SIGNED: Turn.SIGNED,
    EventKind.REQUEST_REVIEWED: Turn.REVIEWED,
    EventKind.REQUEST_HANDED_ON: Turn.HANDED_ON,
    EventKind.EXEMPTION_REVIEW_DUE: Turn.REVIEW_DUE,
    EventKind.EXEMPTION_KEPT: Turn.KEPT,
    EventKind.REQUEST_REMINDED: Turn.REMINDED,
    EventKind.REQUEST_PASSED_ON: Turn.PASSED_ON,
}


@dataclass(frozen=True, slots=True)
class Counts:
    """All requests by where they stand, and when the oldest that waits for an answer was sent."""

    by_state: Mapping[State, int]
    oldest_submitted_at: datetime | None


async def counts(db: Reader, now: datetime) -> Counts:
    """Count the requests as of `now` (aware)."""
    rows = await db.fetch_all(
        "SELECT CASE WHEN state = 'approved' AND NOT EXISTS ("  # noqa: S608 - own words
        "  SELECT 1 FROM exemption WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1) AND NOT EXISTS ("
        "  SELECT 1 FROM own_device WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1) AND NOT EXISTS ("
        "  SELECT 1 FROM internet_account WHERE access_request = access_request.id"
        "  AND stopped_at IS NULL AND expires_at > ?1)"
        f"  THEN 'ended' ELSE {_STANDING} END AS standing,"
        " count(*) AS requests, min(submitted_at) AS oldest FROM access_request GROUP BY standing",
        to_ms(now),
    )
    found = {State(row["standing"]): row for row in rows}
    waiting = found.get(State.SUBMITTED)
    return Counts(
        {state: found[state]["requests"] if state in found else 0 for state in State},
        from_ms(waiting["oldest"]) if waiting else None,
    )


async def count_sent_between(
    db: Reader, begins_at: datetime, ends_at: datetime, department: str | None, now: datetime
) -> Mapping[State, int]:
    """Count what a department, or the town (None), sent from an instant to before another, as of `now`.

    What was approved is APPROVED also after its access has ended; ENDED is what was over before it opened.
    """
    rows = await db.fetch_all(
        f"SELECT {_STANDING} AS standing, count(*) AS requests FROM access_request"  # noqa: S608 - own words
        " WHERE submitted_at >= ?2 AND submitted_at < ?3 AND (?4 IS NULL OR department = ?4)"
        " GROUP BY standing",
        to_ms(now),
        to_ms(begins_at),
        to_ms(ends_at),
        department,
    )
    return {State(row["standing"]): row["requests"] for row in rows}


async def get(db: Reader, id_: int) -> AccessRequest:
    """Return a request. Raises UnknownRequestError."""
    row = await db.fetch_one(f"{_SELECT} WHERE access_request.id = ?", id_)
    if row is None:
        raise UnknownRequestError(f"there is no request REQ-{id_}")
    return _access_request(row)


async def mine(db: Reader, person: str | None, browser: str | None) -> list[AccessRequest]:
    """Return what the person or the browser sent, joined or proposed, newest first, 200 at most."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.person = ?1 OR browser = ?2 OR access_request.id IN ("  # noqa: S608
        "SELECT access_request FROM access_request_joiner WHERE person = ?1 OR browser = ?2)"
        " OR json_extract(asked, '$.proposed_by') = ?1"
        " ORDER BY access_request.id DESC LIMIT 200",
        person,
        browser,
    )
    return [_access_request(row) for row in rows]


async def to_decide(db: Reader, policy: Policy, person: str, at: datetime) -> list[AccessRequest]:
    """Return the requests that wait for this person's answer at `at`, nearest deadline first."""
    return [request for request in await undecided(db, at) if person in deciders(policy, request)]


async def of_nobody(db: Reader, policy: Policy, at: datetime) -> list[AccessRequest]:
    """Return the requests that nobody may answer at `at`, as roles are now; in the same order."""
    return [request for request in await undecided(db, at) if not deciders(policy, request)]


async def undecided(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return the requests that wait for somebody's answer at `at`, nearest deadline first."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE state = 'submitted' AND {_IN_TIME} ORDER BY due_at, access_request.id",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def count_undecided(db: Reader, at: datetime) -> int:
    """Return how many requests `undecided` would find."""
    row = await db.fetch_one(
        f"SELECT count(*) AS requests FROM access_request WHERE state = 'submitted' AND {_IN_TIME}",  # noqa: S608
        to_ms(at),
    )
    return row["requests"] if row else 0


async def unanswered(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return waiting requests of which somebody is to be reminded at `at`, and those that go up by then."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.id IN ("  # noqa: S608 - own words
        "SELECT id FROM access_request WHERE remind_at <= ?1 UNION ALL"
        f" SELECT id FROM access_request WHERE state = 'submitted' AND due_at <= ?1 AND {_IN_TIME})"
        f" AND {_IN_TIME} ORDER BY due_at, access_request.id",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def to_open(db: Reader, policy: Policy, person: str, at: datetime) -> list[AccessRequest]:
    """Return what was approved and this person may open at `at`, what waits longest first."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE state = 'awaits_opening' AND {_IN_TIME} ORDER BY decided_at, access_request.id",
        to_ms(at),
    )
    return [request for request in map(_access_request, rows) if may_open(policy, request, person)]


async def open_request_for(
    db: Reader, host: str, kind: Kind, department: str | None, path: str = ""
) -> AccessRequest | None:
    """Return a department's undecided request of a kind for the site, the oldest, or None.

    Of a page's path, the request for that page, or else the one for all of the site.
    """
    row = await db.fetch_one(
        f"{_SELECT} WHERE access_request.host = ?1 AND access_request.department IS ?2"
        " AND state = 'submitted' AND kind = ?3 AND access_request.path IN ('', ?4)"
        " ORDER BY access_request.path = ?4 DESC, access_request.id LIMIT 1",
        site_of(host),
        department,
        kind.value,
        path,
    )
    return _access_request(row) if row else None


async def open_request_of(
    db: Reader,
    site: str,
    person: str,
    kind: Kind,
    at: datetime,
    asked: Asked | None = None,
    *,
    path: str = "",
) -> AccessRequest | None:
    """Return the request of a kind for the site that the person sent or joined and that waits at `at`.

    `asked` is what it asks for beside the site, None where that does not matter; of a page's path, it is for
    that page or for all of the site.
    """
    row = await db.fetch_one(
        f"{_SELECT} WHERE access_request.host = ?2 AND kind = ?4 AND (?5 IS NULL OR asked = ?5)"  # noqa: S608
        f" AND state IN ('submitted', 'awaits_signature', 'awaits_opening') AND {_IN_TIME}"
        " AND access_request.path IN ('', ?6)"
        " AND (access_request.person = ?3 OR EXISTS (SELECT 1 FROM access_request_joiner AS joiner"
        "  WHERE joiner.access_request = access_request.id AND joiner.person = ?3))",
        to_ms(at),
        site,
        person,
        kind.value,
        json.dumps(as_json(asked)) if asked is not None else None,
        path,
    )
    return _access_request(row) if row else None


async def open_renewal(db: Reader, renews: int, person: str, at: datetime) -> AccessRequest | None:
    """Return the person's request that waits at `at` and is to go on with another's access, or None."""
    row = await db.fetch_one(
        f"{_SELECT} WHERE renews = ?2 AND access_request.person = ?3"
        f" AND state IN ('submitted', 'awaits_signature', 'awaits_opening') AND {_IN_TIME}",
        to_ms(at),
        renews,
        person,
    )
    return _access_request(row) if row else None


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


async def standing(db: Reader, person: str, department: str | None, at: datetime) -> list[AccessRequest]:
    """Return what a person need not ask for: open requests of theirs, access that is theirs at `at`."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE (state = 'submitted' AND {_IN_TIME}"  # noqa: S608 - own words
        " AND (access_request.person = ?2 OR access_request.id IN ("
        "SELECT access_request FROM access_request_joiner WHERE person = ?2)))"
        " OR access_request.id IN (SELECT access_request FROM exemption WHERE stopped_at IS NULL"
        " AND expires_at > ?1 AND (person = ?2 OR department = ?3)) ORDER BY access_request.id",
        to_ms(at),
        person,
        department,
    )
    return [_access_request(row) for row in rows]


async def earlier_decisions(db: Reader, request: AccessRequest) -> list[AccessRequest]:
    """Return the department's other, decided requests for the site of one, newest first, 20 at most.

    Of one for a page, those for that page or for all of the site; of emergency access, what was decided
    before it opened.
    """
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.host = ?1 AND access_request.department IS ?2"
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
    return [_access_request(row) for row in rows]


async def answered_before(
    db: Reader, host: str, kind: Kind, person: str, department: str | None, since: datetime, path: str = ""
) -> AccessRequest | None:
    """Return what was answered last, if that was not to allow the site: to the person or the department.

    Where there is no site (`host` is empty), of requests of the same kind; of a page's path, about that page
    or all of the site.

    None where it was allowed, or long ago (before `since`), or nobody asked.
    """
    row = await db.fetch_one(
        f"{_SELECT} WHERE access_request.host = ?1 AND decided_at >= ?4 AND (?1 != '' OR kind = ?5)"
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
    found = _access_request(row) if row else None
    return found if found is not None and found.state in (State.DENIED, State.STOPPED) else None


async def of_kind(db: Reader, kind: Kind) -> list[AccessRequest]:
    """Return the requests of a kind (but for sites) that were approved, whatever came since, newest first."""
    rows = await db.fetch_all(
        # By the index of what is not a site: SQLite takes it where the query says so.
        f"{_SELECT} WHERE kind = ? AND kind <> 'site'"
        " AND state IN ('awaits_signature', 'awaits_opening', 'approved', 'stopped')"
        " ORDER BY access_request.id DESC",
        kind.value,
    )
    return [_access_request(row) for row in rows]


async def opened_at_once(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return emergency access whose review is due at `at` and that nobody has looked at, oldest first."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.id IN ("  # noqa: S608 - own words
        "SELECT access_request FROM emergency_review WHERE reviewed_at IS NULL AND due_at <= ?)"
        " ORDER BY access_request.id",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def granted(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests whose access is in force at `at`, the one that ends first at the start."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.id IN ("  # noqa: S608 - own words
        "SELECT access_request FROM exemption WHERE stopped_at IS NULL AND expires_at > ?)"
        " ORDER BY exemption.expires_at",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def granted_accounts(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests whose internet account is in force at `at`, the one that ends first at the start."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE internet_account.stopped_at IS NULL AND internet_account.expires_at > ?"
        " ORDER BY internet_account.expires_at, access_request.id",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def under_review(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return requests of whose access in force it is asked whether it is needed, asked longest ago first."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.id IN ("  # noqa: S608 - own words
        "SELECT access_request FROM exemption WHERE review_since IS NOT NULL AND stopped_at IS NULL"
        " AND expires_at > ?1 UNION SELECT access_request FROM internet_account"
        " WHERE review_since IS NOT NULL AND stopped_at IS NULL AND expires_at > ?1)"
        " ORDER BY review_since, access_request.id",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


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


async def unreviewed(db: Reader, at: datetime) -> list[AccessRequest]:
    """Return those of `granted` that IT has not looked at since a host was opened, 200 at most."""
    rows = await db.fetch_all(
        f"{_SELECT} WHERE access_request.id IN ("  # noqa: S608 - own words
        "SELECT access_request FROM exemption WHERE stopped_at IS NULL AND expires_at > ?"
        " AND reviewed_at IS NULL) ORDER BY exemption.expires_at LIMIT 200",
        to_ms(at),
    )
    return [_access_request(row) for row in rows]


async def count_unreviewed(db: Reader, at: datetime) -> int:
    """Return how many requests `unreviewed` would find without its limit."""
    row = await db.fetch_one(
        "SELECT count(DISTINCT access_request) AS requests FROM exemption"
        " WHERE stopped_at IS NULL AND expires_at > ? AND reviewed_at IS NULL",
        to_ms(at),
    )
    return row["requests"] if row else 0


async def time_line(db: Reader, request: AccessRequest) -> list[Move]:
    """Return what happened to a request, oldest first; refused moves are not part of it."""
    moves = []
    for event in await audit.events_of(db, request.number):
        details = event.details
        if event.kind in _TIME_LINE:
            role, note = details.get("role"), details.get("note")
            moves.append(
                Move(
                    at=event.at,
                    actor=event.actor,
                    after=State(str(details["after"])),
                    role=Approver(role) if isinstance(role, str) else None,
                    note=note if isinstance(note, str) else None,
                )
            )
        elif event.kind in _TURNS:
            host = str(details.get("host", request.host))
            moves.append(Move(event.at, event.actor, _TURNS[event.kind], role=None, note=None, host=host))
    return moves


def _access_request(row: Row) -> AccessRequest:
    return AccessRequest(
        id=row["id"],
        state=State(row["state"]),
        host=row["host"],
        person=row["person"],
        department=row["department"],
        for_whom=ForWhom(row["for_whom"]),
        reason=row["reason"],
        duration=Duration(row["duration"]),
        rule=row["rule"],
        category=row["category"],
        entry=row["entry"],
        source=row["source"],
        code=row["code"],
        policy_version=row["policy_version"],
        browser=row["browser"],
        risks=tuple(json.loads(row["risks"])),
        chain=tuple(Approver(role) for role in json.loads(row["chain"])),
        step=row["step"],
        submitted_at=from_ms(row["submitted_at"]),
        due_at=from_ms(row["due_at"]),
        decided_at=from_ms(row["decided_at"]) if row["decided_at"] is not None else None,
        decided_by=row["decided_by"],
        note=row["note"],
        exemption=exemptions.exemption_name(row["exemption"]) if row["exemption"] is not None else None,
        expires_at=from_ms(row["expires_at"]) if row["expires_at"] is not None else None,
        hosts=tuple(json.loads(row["hosts"])),
        renews=row["renews"],
        sent_by=row["sent_by"],
        kind=Kind(row["kind"]),
        path=row["path"],
        asked=from_json(Kind(row["kind"]), json.loads(row["asked"])),
        review_since=from_ms(row["review_since"]) if row["review_since"] is not None else None,
        joined=tuple(Joined(person, browser) for person, browser in json.loads(row["joined"])),
        paused_for=tuple(json.loads(row["paused_for"] or "[]")),
        reviewed_by=row["reviewed_by"],
        remind_at=from_ms(row["remind_at"]) if row["remind_at"] is not None else None,
        passed_on=tuple(json.loads(row["passed_on"])),
        answered_by=tuple(json.loads(row["answered_by"])),
        approved_until=from_ms(row["approved_until"]) if row["approved_until"] is not None else None,
    )
