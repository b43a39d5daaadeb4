"""Access requests as the database has them: one by its number, or those for which a condition holds."""

import json

from admin import exemptions
from admin.acting_roles import who_acted
from admin.asked import Kind, from_json
from admin.asking import AccessRequest, ForWhom, Joined, State, UnknownRequestError
from admin.clock import from_ms
from admin.database import Reader, Row, Value
from policy.access_duration import Duration
from policy.town_policy import Approver

IN_TIME = "ifnull(open_until, 9223372036854775807) > ?1"
"""What waits at the instant ?1 and is not over by itself; as the index access_request_open has it."""
# Of the exemptions of a request its own is the one that ends last: as long as anybody has access by it, the
# request says so, and whoever may stop it can. Of those that end together the asker's, for the site, is it;
# of those for one download one that nobody has used up.
_SELECT = """
    SELECT access_request.*, exemption.id AS exemption, exemption.paused_for, exemption.reviewed_by,
        exemption.used_at,
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
        ORDER BY one.stopped_at IS NOT NULL, one.used_at IS NOT NULL, one.expires_at DESC, one.id LIMIT 1
    ) LEFT JOIN own_device ON own_device.access_request = access_request.id
    LEFT JOIN internet_account ON internet_account.access_request = access_request.id
"""


async def get(db: Reader, id_: int) -> AccessRequest:
    """Return a request. Raises UnknownRequestError."""
    found = await find_one(db, "access_request.id = ?", id_)
    if found is None:
        raise UnknownRequestError(f"there is no request REQ-{id_}")
    return found


async def find(db: Reader, where: str, *params: Value) -> list[AccessRequest]:
    """Return the requests for which a condition holds, in the order and to the number that it says."""
    return [_access_request(row) for row in await db.fetch_all(f"{_SELECT} WHERE {where}", *params)]


async def find_one(db: Reader, where: str, *params: Value) -> AccessRequest | None:
    """Return the first request for which a condition holds, None when there is none."""
    row = await db.fetch_one(f"{_SELECT} WHERE {where}", *params)
    return _access_request(row) if row else None


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
        decided_as=who_acted(json.loads(row["decided_as"])),
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
        used_at=from_ms(row["used_at"]) if row["used_at"] is not None else None,
        remind_at=from_ms(row["remind_at"]) if row["remind_at"] is not None else None,
        passed_on=tuple(json.loads(row["passed_on"])),
        answered_by=tuple(json.loads(row["answered_by"])),
        approved_until=from_ms(row["approved_until"]) if row["approved_until"] is not None else None,
    )
