"""Where a request stands, for the person who looks, and what became of one for who decides another."""

from markupsafe import Markup

from admin.asked import Kind
from admin.asking import AccessRequest, InvalidRequestError, NotAllowedError, State
from admin.deciding_several import Outcome
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
        decided_by=people.decider(request, viewer),
    )


def said_earlier(request: AccessRequest, policy: Policy, viewer: str | None, times: Times) -> Markup:
    """Return what came of a request that was decided, for who decides on the site again.

    Of one for downloads from it that is said: "one download: allowed ...".
    """
    if request.kind is Kind.DOWNLOAD:
        what = "one download" if request.is_once else "downloads"
        return Markup("{}: {}").format(what, _became_of(request, policy, viewer, times))
    return _became_of(request, policy, viewer, times)


def _became_of(request: AccessRequest, policy: Policy, viewer: str | None, times: Times) -> Markup:
    day, end = times.day(request.decided_at or request.submitted_at), request.expires_at
    quoted = Markup(": “{}”").format(request.note) if request.note else ""
    if request.state is State.DENIED:
        return Markup("not allowed {}{}").format(day, quoted)
    if request.state is State.STOPPED:
        by = People(policy).decider(request, viewer)
        return Markup("stopped by {} {}{}").format(by, day, quoted)
    if request.kind is Kind.EMERGENCY:
        return Markup("opened at once {}, in an emergency").format(day)
    if end is not None:
        return Markup("allowed {} to {}").format(day, times.last_day(end))
    match request.state_at(times.now):
        case State.ENDED:
            then = "and not opened in time"
        case State.AWAITS_SIGNATURE:
            then = "the terms are to be signed"
        case _:
            then = "waiting for IT to open it"
    return Markup("approved {}, {}").format(day, then)


def said_why_not(outcome: Outcome, policy: Policy, session: Session, times: Times) -> Markup:
    """Return why a request, one of several, is not decided, or cannot be: a sentence or two."""
    request, error = outcome.request, outcome.why_not
    if request is None:
        return Markup("There is no such request, or it is for someone else.")
    if isinstance(error, InvalidRequestError):
        return Markup("{}.").format(error)
    if isinstance(error, NotAllowedError):
        is_own = session.person in request.own
        awaited = People(policy).awaited(request, session.person)
        own = "This is your own request. " if is_own else ""
        return Markup("{}{}").format(
            own, f"It waits for {awaited}." if awaited else "It is for someone else."
        )
    if request.state is State.SUBMITTED and request.state_at(times.now) is State.ENDED:
        return Markup("Its time is over.")
    if request.state is State.WITHDRAWN:
        return Markup("Withdrawn.")
    return Markup("Answered already. {}.").format(standing(request, policy, session, times).words)
