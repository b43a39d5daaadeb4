"""What lies before whoever looks at emergency access."""

from dataclasses import dataclass
from datetime import datetime

from admin import decided_requests, exemption_use
from admin.asking import AccessRequest, NotAllowedError
from admin.database import Database
from admin.emergency_access import EmergencyAccesses
from admin.emergency_reviews import EmergencyReview
from admin.exemption_use import Use
from admin.request_views import RequestViews
from admin.sessions import Session


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was opened, how its review stands, and what it was used for, None where it opened nothing.

    `earlier` are the department's requests for the site that were decided before, newest first.
    """

    request: AccessRequest
    review: EmergencyReview
    use: Use | None
    earlier: list[AccessRequest]


async def evidence(
    db: Database,
    views: RequestViews,
    accesses: EmergencyAccesses,
    session: Session,
    id_: int,
    now: datetime,
) -> Evidence:
    """Return what is known of emergency access.

    Raises UnknownRequestError, NotAllowedError but for who reviews it.
    """
    request = await views.get(session, id_)
    review = await accesses.review_of(id_)
    if review is None or not accesses.reviews(session, request):
        raise NotAllowedError(f"{request.number} is not for {session.person} to review")
    return Evidence(
        request,
        review,
        use=await exemption_use.of_over(db, db.visits, id_, now),
        earlier=await decided_requests.earlier_decisions(db, request),
    )
