"""Where a request stands, for the person who looks."""

from admin.asking import AccessRequest
from admin.sessions import Session
from admin.web.people import People
from admin.web.words import Status, Times, request_status
from policy.town_policy import Policy


def standing(request: AccessRequest, policy: Policy, session: Session | None, times: Times) -> Status:
    """Return the state in words: whom it waits for, who decided."""
    viewer = session.person if session else None
    people = People(policy)
    # A device's session knows the asker, but never decides.
    awaited = people.awaited(request, viewer if session and session.is_signed_in else request.person)
    return request_status(
        request,
        times,
        waits_for=awaited,
        decided_by=people.part_of(request.decided_by, request, viewer),
    )
