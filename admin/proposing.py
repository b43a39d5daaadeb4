"""Proposing a person for what a department answers for: who proposes, and by the forms' words, until when."""

from datetime import date, datetime, time, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

from admin import audit
from admin.asking import InvalidRequestError, NotAllowedError
from admin.audit import Event, EventKind
from admin.database import Database, Transaction
from admin.sessions import Session
from policy.town_policy import Policy


def decides_for(policy: Policy, person: str) -> tuple[str, ...]:
    """Return the departments whose head or delegate the person is."""
    return tuple(
        id_
        for id_, department in policy.departments.items()
        if person in (department.head, *department.delegates)
    )


def proposes_for_social_media(policy: Policy, person: str) -> tuple[str, ...]:
    """Return the departments whose people the person proposes for social media: as above, or coordinator."""
    terms = policy.asking.social_media
    if terms is None:
        return ()
    own = decides_for(policy, person)
    return tuple(id_ for id_ in policy.departments if id_ in own or terms.coordinators.get(id_) == person)


def proposes_for_accounts(policy: Policy, person: str) -> tuple[str | None, ...]:
    """Return the departments whose people the person asks internet accounts for; None: people of none.

    For those IT security and the town administrator do.
    """
    if policy.asking.internet_account is None:
        return ()
    above = (*policy.roles.get("it_security", ()), *policy.roles.get("town_administrator", ()))
    return (*decides_for(policy, person), *((None,) if person in above else ()))


def last_day_ends(day: date, zone: ZoneInfo) -> datetime:
    """Return when a last day is over: the town's midnight after it."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)


def end_of(field: str, last: date | None, now: datetime, zone: ZoneInfo, longest: timedelta) -> datetime:
    """Return when access ends whose last day was chosen; InvalidRequestError for one that may not be."""
    today = now.astimezone(zone).date()
    if last is None or not today <= last <= today + longest:
        raise InvalidRequestError(field, f"Choose a last day, from today on and within {longest.days} days")
    return last_day_ends(last, zone)


async def refuse(
    db: Database, session: Session, about: str, at: datetime, why: str, move: str = "propose"
) -> NoReturn:
    """Record that somebody proposed, or did another move, who may not; raise NotAllowedError."""
    async with db.transaction() as t:
        await record_refusal(t, session, about, at, why, move)
    raise NotAllowedError(why)


async def record_refusal(
    t: Transaction, session: Session, about: str, at: datetime, why: str, move: str
) -> None:
    """Record that a move was refused that is about no request that there is."""
    actor = session.actor
    event = Event(EventKind.REQUEST_MOVE_REFUSED, actor, about, at, {"move": move, "why": why})
    await audit.record(t, event)
