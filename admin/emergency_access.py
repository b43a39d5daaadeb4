"""Emergency access: people whom the policy names open a site for themselves at once; another looks at it.

Loudly: the head, IT security and who reviews it hear at once. It opens no security risk, nothing that is
never allowed, and nothing while IT has limited the web.
"""

import logging
from datetime import datetime

from admin import audit, emergency_reviews, outbox, proposing, stored_requests, submitting
from admin.asked import EmergencyUse, Kind
from admin.asking import (
    AccessRequest,
    ForWhom,
    InvalidRequestError,
    NewAccessRequest,
    NotAllowedError,
    State,
    TooMuchError,
    TransitionError,
    UnknownRequestError,
)
from admin.asking_ahead import is_for_reading, why_not
from admin.asking_for_sites import AsksForSites, imagine, typed_host
from admin.asking_terms import never_allowed
from admin.audit import Detail, Event, EventKind
from admin.clock import to_ms
from admin.database import Transaction
from admin.deciders import hear_of_emergency
from admin.emergency_reviews import EmergencyReview, reviewers
from admin.granting import grant
from admin.outbox import Letter, LetterKind
from admin.request_moves import move, record_refusal
from admin.sessions import Session
from admin.submitting import day_begins
from admin.written_text import tidy_text
from policy.access_duration import Duration
from policy.decision import Decision
from policy.town_policy import EmergencyAccess, Policy
from policy.town_time import zone_of
from policy.visit import Visit
from policy.visit_record import new_code

logger = logging.getLogger(__name__)


class EmergencyAccesses(AsksForSites):
    """What a session does about emergency access."""

    @property
    def terms(self) -> EmergencyAccess | None:
        """What the policy says of it, None where nobody has it."""
        return self._policy().asking.emergency_access

    def is_named(self, person: str | None) -> bool:
        """Whether the policy names this person."""
        return self.terms is not None and person in self.terms.people

    async def open(self, session: Session, typed: str, reason: str) -> AccessRequest:
        """Open the site that somebody typed for themselves, at once; published when it returns.

        Raises NotAllowedError, recorded, but for who is named and signed in; InvalidRequestError for what it
        does not open, with why, and for more often than the policy's cap.
        """
        policy, now, terms, person = self._policy(), self._clock(), self.terms, session.person
        if terms is None or person is None or not session.is_signed_in or not self.is_named(person):
            why = "Emergency access is for those whom the town's policy names."
            await proposing.refuse(self._db, session, "emergency access", now, why, move="open at once")
        host = typed_host(typed)
        visit, decision = await self._stopped(person, host, now)
        ends_at = now + terms.longest
        new = NewAccessRequest(
            host=host,
            person=person,
            department=policy.people[person].department,
            for_whom=ForWhom.PERSON,
            reason=reason,
            duration=Duration.HOUR,
            chain=(terms.reviewed_by,),
            code=new_code(),
            policy_version=policy.version,
            rule=decision.rule,
            kind=Kind.EMERGENCY,
            asked=EmergencyUse(ends_at),
        )

        async def open_at_once(t: Transaction, request: AccessRequest) -> None:
            await _open(t, policy, terms, request, now, ends_at)

        new = new.listed_as(decision.match)
        sent = await submitting.submit(self._db, policy, self._lists.categories, new, now, then=open_at_once)
        await self._publisher.publish_state()
        logger.warning("emergency access opened: request=%s categories=%d", sent.number, len(visit.matches))
        return sent

    async def to_review(self, session: Session) -> list[AccessRequest]:
        """Return what this person has to review by now, the oldest first; nothing unless signed in."""
        if session.person is None or not session.is_signed_in:
            return []
        policy, due = self._policy(), await emergency_reviews.opened_at_once(self._db, self._clock())
        return [request for request in due if session.person in reviewers(policy, request)]

    def reviews(self, session: Session, request: AccessRequest) -> bool:
        """Whether it is for this session's person to look at."""
        return session.is_signed_in and session.person in reviewers(self._policy(), request)

    async def review_of(self, id_: int) -> EmergencyReview | None:
        """Return how the review of a request stands, None for one that has none."""
        return await emergency_reviews.review_of(self._db, id_)

    async def review(self, session: Session, id_: int, was_right: bool | None, note: str) -> AccessRequest:
        """Say whether emergency access was right; the person hears of it.

        Raises UnknownRequestError, InvalidRequestError; NotAllowedError but for who reviews it,
        TransitionError when somebody has, or it is not due: both recorded.
        """
        at, actor = self._clock(), session.actor
        async with self._db.transaction() as t:
            request = await stored_requests.get(t, id_)
            if request.kind is not Kind.EMERGENCY:
                raise UnknownRequestError(f"{request.number} is no emergency access")
            refused: NotAllowedError | TransitionError
            if not self.reviews(session, request):
                refused = NotAllowedError(f"{request.number} is not for {actor} to review")
            elif was_right is None:
                raise InvalidRequestError("was_right", "Choose whether it was right")
            elif await emergency_reviews.set_reviewed(t, id_, actor, was_right, tidied := _tidy(note), at):
                answer = "right" if was_right else "not_right"
                details: dict[str, Detail] = {"answer": answer, "note": tidied}
                kind, of, asked_as = EventKind.REQUEST_REVIEWED, request.department, request.chain[0].value
                await audit.record(t, Event(kind, actor, request.number, at, details, of, asked_as))
                values = {"host": request.host, "answer": answer, "note": tidied}
                letter = Letter(LetterKind.EMERGENCY_REVIEWED, request.person, request.number, values)
                await outbox.put(t, letter, at)
                return request
            else:
                refused = TransitionError(request, f"{request.number} is reviewed already, or not due")
            await record_refusal(t, request, refused, actor=actor, at=at, what="review")
        raise refused

    async def _stopped(self, person: str, host: str, at: datetime) -> tuple[Visit, Decision]:
        """Return what is decided of the person's visit by what is published; it is one to open.

        Raises InvalidRequestError for any other.
        """
        imagined = await imagine(self._publisher.published, self._lists, person, host, at)
        visit, decision, policy = imagined.visit, imagined.decision, imagined.policy
        if decision.is_allowed and not is_for_reading(decision):
            raise InvalidRequestError("site", f"{host} is open for you. Load it again")
        if (why := why_not(decision, visit, policy)) is not None:
            raise InvalidRequestError("site", why)
        if visit.categories & policy.security_categories:
            raise InvalidRequestError("site", f"{host} is a security risk. Only IT security can open it")
        if never_allowed(policy, visit.categories):
            raise InvalidRequestError("site", f"{host} is of a kind that the town never opens")
        return visit, decision


async def _open(
    t: Transaction,
    policy: Policy,
    terms: EmergencyAccess,
    request: AccessRequest,
    at: datetime,
    ends_at: datetime,
) -> None:
    since = to_ms(day_begins(at, zone_of(policy)))
    row = await t.fetch_one(
        "SELECT count(*) AS opened FROM access_request WHERE person = ? AND kind = 'emergency'"
        " AND submitted_at >= ?",
        request.person,
        since,
    )
    if row is not None and row["opened"] > terms.per_day:
        raise TooMuchError(
            "site", f"You have opened {terms.per_day} sites today, as many as a day has. Ask for this one"
        )
    opener = request.person
    details: dict[str, Detail] = {"expires_at": ends_at.isoformat()}
    await move(t, policy, request, State.APPROVED, actor=opener, at=at, details=details)
    await grant(t, request, frozenset(), at=at, ends_at=ends_at, approved_by=opener)
    await emergency_reviews.begin(t, policy, request, at)
    values = {
        "host": request.host,
        "person": opener,
        "department": request.department or "",
        "until": ends_at.isoformat(),
        "reason": request.reason,
    }
    for person in sorted(told(policy, request)):
        await outbox.put(t, Letter(LetterKind.EMERGENCY_OPENED, person, request.number, values), at)


def told(policy: Policy, request: AccessRequest) -> frozenset[str]:
    """Return who hears of emergency access at once, and may stop it; none of others.

    Those who answer for the department, IT security, and who reviews it.
    """
    if request.kind is not Kind.EMERGENCY:
        return frozenset()
    it_security = policy.roles.get("it_security", ())
    for_department = hear_of_emergency(policy, request)
    return frozenset({*for_department, *it_security, *reviewers(policy, request)}) - {request.person}


def _tidy(note: str) -> str:
    return tidy_text("note", note, "Enter why. The person reads it")
