"""Opening what was approved, where that is left to IT: who may, and until when it is open then. Pure."""

from datetime import datetime, timedelta

from admin.asking import AccessRequest, State
from admin.asking_terms import risks_of
from policy.town_policy import Policy

# However late IT opens what was approved.
OPEN_AT_LEAST = timedelta(hours=1)


def openers(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return the people who may open what was approved: IT; a security risk only IT security.

    Nobody opens their own, nor what they proposed or sent for somebody, but where nobody else is left, since
    others approved it.
    """
    roles = ("it_security",) if risks_of(policy, request) else ("it_security", "help_desk")
    of_it = frozenset().union(*(policy.roles.get(role, ()) for role in roles))
    return of_it - request.own or of_it


def may_open(policy: Policy, request: AccessRequest, person: str) -> bool:
    """Whether the person is one of `openers`."""
    return person in openers(policy, request)


def opens_until(request: AccessRequest, at: datetime) -> datetime | None:
    """Return when access ends that IT opens at an instant: as approved, but an hour later at least.

    What was asked for until a time ends then, or as approved where that is sooner. None for what cannot be
    opened: it does not wait for that, or its time is over.
    """
    if request.state is not State.AWAITS_OPENING or request.approved_until is None:
        return None
    if request.over_at is None:
        return max(request.approved_until, at + OPEN_AT_LEAST)
    return request.over_at if at < request.over_at else None
