"""Asking for personal use: categories that the policy names, in a window of time of one day."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from admin import submitting
from admin.asked import Kind, Window
from admin.asking import (
    AccessRequest,
    ForWhom,
    InvalidRequestError,
    NewAccessRequest,
    NotAllowedError,
)
from admin.clock import Clock
from admin.database import Database
from admin.never_granted import Listed
from admin.sessions import Session
from policy.access_duration import Duration
from policy.town_policy import Policy
from policy.town_time import zone_of
from policy.visit_record import new_code

_FURTHEST = timedelta(days=366)


async def ask(
    db: Database,
    policy: Policy,
    listed: Listed,
    session: Session,
    clock: Clock,
    *,
    categories: Collection[str],
    day: date | None,
    begins: time | None,
    ends: time | None,
    reason: str,
) -> AccessRequest:
    """Send a request for these categories, on a day from a time to another by the town's clock.

    Raises NotAllowedError unless signed in; InvalidRequestError, also where the policy offers no personal
    use; AlreadyOpenError while another one of the person's is undecided.
    """
    person, now, terms = session.person, clock(), policy.asking.personal_use
    record = policy.people.get(person or "")
    if person is None or record is None or not session.is_signed_in:
        raise NotAllowedError("Sign in to ask for personal use.")
    if terms is None:
        raise InvalidRequestError("categories", "The town's policy offers no personal use")
    if not categories or not terms.categories.issuperset(categories):
        raise InvalidRequestError("categories", "Choose what you want to use")
    zone = zone_of(policy)
    today = now.astimezone(zone).date()
    if day is None or not today <= day <= today + _FURTHEST:
        raise InvalidRequestError("day", "Choose a day, from today on and within a year")
    # A time with an offset of its own is not by the town's clock.
    if begins is None or ends is None or begins.tzinfo or ends.tzinfo or begins >= ends:
        raise InvalidRequestError("begins", "Choose from when until when, on one day")
    # In UTC, where a time lasts as long as it says: clocks go forward, and back.
    begins_at, ends_at = (datetime.combine(day, wall, tzinfo=zone).astimezone(UTC) for wall in (begins, ends))
    if begins_at >= ends_at:
        raise InvalidRequestError("begins", "Clocks go forward then: there is no such time on that day")
    if ends_at <= now:
        raise InvalidRequestError("day", "That time is over. Choose another")
    if ends_at - begins_at > terms.longest:
        hours = terms.longest.total_seconds() / 3600
        raise InvalidRequestError("begins", f"At most {hours:g} hours at once")
    new = NewAccessRequest(
        host="",
        person=person,
        department=record.department,
        for_whom=ForWhom.PERSON,
        reason=reason,
        duration=Duration.HOUR,
        chain=terms.approval,
        code=new_code(),
        policy_version=policy.version,
        kind=Kind.PERSONAL_USE,
        asked=Window(tuple(sorted(categories)), begins_at, ends_at),
    )
    return await submitting.submit(db, policy, listed, new, now)
