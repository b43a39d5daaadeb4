"""What people do with requests from the pages: who acts is a matter of the session (errors: admin.asking).

The moves themselves: `access_requests`. What opens or ends access is published before it returns.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from admin import (
    access_requests,
    joining,
    own_requests,
    proposing,
    roles,
    stored_requests,
    submitting,
    waiting_requests,
)
from admin.ask_links import AskLinks
from admin.asked import Kind
from admin.asking import (
    AccessRequest,
    Extent,
    ForWhom,
    InvalidRequestError,
    NewAccessRequest,
    NotAllowedError,
    TransitionError,
    UnknownRequestError,
    site_of,
)
from admin.asking_terms import durations_of, stops_downloads
from admin.clock import Clock
from admin.database import Database
from admin.deciders import deciders_of, may_renew
from admin.exemption_reviews import ExemptionReviews
from admin.never_granted import Listed
from admin.publisher import Publisher
from admin.request_moves import Refusal, record_refusal
from admin.request_views import RequestViews
from admin.sessions import Session
from admin.visit_views import VisitViews
from admin.visits import NamesHiddenError
from admin.written_text import tidy_text
from policy.access_duration import Duration
from policy.ask_token import AskToken
from policy.decision import Verdict
from policy.town_policy import Approver, Policy

ASKED_BY_IT = "Asked for by IT: "
"""What the reason of a request begins with that IT sent for somebody."""


class SessionRequests:
    """Takes what a session asks for and answers. `policy` returns the running one."""

    def __init__(
        self,
        db: Database,
        publisher: Publisher,
        policy: Callable[[], Policy],
        asks: AskLinks,
        views: RequestViews,
        visit_views: VisitViews,
        listed: Listed,
        reviews: ExemptionReviews,
        clock: Clock,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._policy = policy
        self._asks = asks
        self._views = views
        self._visit_views = visit_views
        self._listed = listed
        self._reviews = reviews
        self._clock = clock

    async def ask_about(self, session: Session, visit_id: int) -> str:
        """Prepare asking for a visit of `visit_views.stopped_here`, as its block page would; return its code.

        Raises UnknownRequestError when it is none of them.
        """
        row = next((row for row in await self._visit_views.stopped_here(session) if row.id == visit_id), None)
        if row is None:
            raise UnknownRequestError("this visit was not stopped here in the last 15 minutes")
        return await self._asks.remember(session, row)

    async def submit(
        self,
        session: Session,
        code: str,
        reason: str,
        duration: Duration,
        for_whom: ForWhom,
        extent: Extent = Extent.SITE,
    ) -> AccessRequest:
        """Send the form of a followed Ask link.

        Raises UnknownRequestError when it was not followed, NotAllowedError when nobody knows who
        asks, InvalidRequestError, AlreadyOpenError.
        """
        ask, person = await self._followed(session, code)
        if extent is Extent.PAGE and not ask.path:
            raise InvalidRequestError(
                "extent", "That page alone cannot be asked for. Ask for all of the site"
            )
        new = replace(
            self._asked_by_link(ask, person, reason, duration),
            for_whom=for_whom,
            browser=session.browser,
            path=ask.path if extent is Extent.PAGE else "",
        )
        return await submitting.submit(self._db, self._policy(), self._listed, new, self._clock())

    async def for_visitor(self, session: Session, visit_id: int) -> AskToken:
        """Return what IT asks for on behalf of whoever was stopped at a visit of the log, who is named.

        Raises NotAllowedError but for IT security, and for who would decide it, both recorded;
        LookupError for no visit, NamesHiddenError while names are hidden, UnknownRequestError where nobody is
        known whom it stopped, or nobody can allow it.
        """
        actor = session.person
        if actor is None or not session.is_signed_in or not roles.reviews(self._policy(), actor):
            await self._refuse_for_visitor(session, "Visits: only IT asks for somebody else.")
        row = await self._visit_views.get(session, visit_id)
        if not session.shows_names_at(self._clock()):
            raise NamesHiddenError("whom it is for is a name")
        person = self._policy().people.get(row.who.person or "")
        ask = await self._asks.of_visit(row, row.who.person)
        if row.verdict is not Verdict.BLOCK or row.who.person is None or person is None or not ask.approval:
            raise UnknownRequestError("nobody was stopped there for whom it could be allowed")
        for role in ask.approval:
            if actor in deciders_of(self._policy(), Approver(role), row.who.person, person.department):
                why = "You would decide this yourself. Let the person ask from the page."
                await self._refuse_for_visitor(session, why)
        return ask

    async def _refuse_for_visitor(self, session: Session, why: str) -> NoReturn:
        await proposing.refuse(self._db, session, "visits", self._clock(), why, move="ask for a visitor")

    async def ask_for_visitor(
        self, session: Session, visit_id: int, reason: str, duration: Duration
    ) -> AccessRequest:
        """Ask so: for the person alone, through the rule's approvers. Raises as for_visitor and submit do."""
        ask = await self.for_visitor(session, visit_id)
        person, said = ask.person or "", tidy_text("reason", reason, "Enter what it is needed for")
        # Whoever decides must not take IT's words for the person's.
        reason = f"{ASKED_BY_IT}{said}"
        new = replace(self._asked_by_link(ask, person, reason, duration), sent_by=session.person)
        return await submitting.submit(self._db, self._policy(), self._listed, new, self._clock())

    def _asked_by_link(self, ask: AskToken, person: str, reason: str, duration: Duration) -> NewAccessRequest:
        """Return what a link has a person ask for: all of the site, for themselves."""
        return NewAccessRequest(
            host=ask.host,
            person=person,
            department=self._policy().people[person].department,
            for_whom=ForWhom.PERSON,
            reason=reason,
            duration=duration,
            chain=tuple(Approver(role) for role in ask.approval),
            code=ask.code,
            policy_version=ask.policy_version,
            rule=ask.rule,
            category=ask.category,
            entry=ask.entry,
            source=ask.source,
            risks=ask.risks,
            kind=self.kind_of(ask),
        )

    async def join(self, session: Session, code: str) -> AccessRequest:
        """Join the open request of the department for the site of a followed Ask link.

        Raises as submit and joining.join do.
        """
        ask, person = await self._followed(session, code)
        request = await self.to_join(person, ask)
        if request is None:
            raise UnknownRequestError("nobody's request for this site is open any more")
        return await joining.join(
            self._db,
            self._policy(),
            request.id,
            person=person,
            browser=session.browser,
            at=self._clock(),
        )

    async def to_join(self, person: str, ask: AskToken) -> AccessRequest | None:
        """Return the open request of the person's department for what a link asks for, or None."""
        record = self._policy().people.get(person)
        if record is None or record.department is None:
            return None
        kind, policy = self.kind_of(ask), self._policy()
        found = await waiting_requests.open_request_for(
            *(self._db, ask.host, kind, record.department, ask.path),
            rule=ask.rule,
            is_of_rule=stops_downloads(policy, ask.rule),
        )
        if found is None or not any(map(found.is_enough_for, durations_of(policy, kind, ask.rule))):
            return None
        return found

    async def own_open(self, person: str, ask: AskToken) -> AccessRequest | None:
        """Return the person's request that waits and gives some of what a link asks for, or None."""
        return await own_requests.open_request_of(
            *(self._db, site_of(ask.host), person, self.kind_of(ask), self._clock()),
            path=ask.path,
            rule=ask.rule,
            is_of_rule=stops_downloads(self._policy(), ask.rule),
        )

    async def to_renew(self, session: Session, id_: int) -> AccessRequest:
        """Return a request whose access the session may ask for again.

        Raises UnknownRequestError, NotAllowedError, TransitionError where it gave no access, all recorded.
        """
        request = await self._seen(session, id_, "renew")
        actor = await self._actor(session, id_)
        if not may_renew(self._policy(), request, actor):
            not_theirs = NotAllowedError(f"{request.number} is not for {actor} to renew")
            await self._refuse(request, not_theirs, actor, "renew")
        if request.expires_at is None:
            await self._refuse(request, _nothing_to_renew(request), actor, "renew")
        return request

    async def renew(self, session: Session, request: AccessRequest) -> AccessRequest:
        """Ask for the site of `to_renew` again, through its chain as it is now.

        Raises NotAllowedError, TransitionError where nobody has a say in it, both recorded;
        InvalidRequestError, AlreadyOpenError.
        """
        actor = await self._actor(session, request.id)
        remaining = (asker for asker in request.askers if asker in self._policy().people)
        person = actor if actor in request.askers else next(remaining, request.person)
        record = self._policy().people.get(person)
        ask = await self._asks.followed(session, await self._asks.remember_request(session, request))
        if record is None or ask is None:
            await self._refuse(request, _nothing_to_renew(request), actor, "renew")
        new = NewAccessRequest(
            host=request.host,
            person=person,
            department=record.department,
            for_whom=request.for_whom,
            reason=request.reason,
            duration=request.duration,
            chain=tuple(Approver(role) for role in ask.approval),
            code=request.code,
            policy_version=self._policy().version,
            rule=request.rule,
            category=request.category,
            entry=request.entry,
            source=request.source,
            browser=session.browser if actor == person else None,
            risks=ask.risks,
            renews=request.id,
            sent_by=actor,
            kind=request.kind,
            path=request.path,
        )
        return await submitting.submit(self._db, self._policy(), self._listed, new, self._clock())

    async def approve(
        self,
        session: Session,
        id_: int,
        *,
        seen_step: int | None = None,
        seen_hosts: Collection[str] | None = None,
        seen_joined: Collection[str] | None = None,
        expires_at: datetime | None = None,
    ) -> AccessRequest:
        """As access_requests.approve; when it returns, the proxy can read the new snapshot."""
        actor = await self._actor(session, id_)
        request = await access_requests.approve(
            self._db,
            self._policy(),
            self._listed,
            id_,
            actor=actor,
            at=self._clock(),
            seen_step=seen_step,
            seen_hosts=seen_hosts,
            seen_joined=seen_joined,
            expires_at=expires_at,
        )
        await self._publisher.publish_state()
        return request

    async def deny(
        self, session: Session, id_: int, reason: str, *, seen_step: int | None = None
    ) -> AccessRequest:
        """As access_requests.deny."""
        actor = await self._actor(session, id_)
        return await access_requests.deny(
            self._db, self._policy(), id_, actor=actor, at=self._clock(), reason=reason, seen_step=seen_step
        )

    async def withdraw(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.withdraw; from the browser that sent it, too."""
        request = await self._seen(session, id_, "withdraw")
        if session.is_signed_in or request.browser != session.browser:
            actor = await self._actor(session, id_)
        else:
            actor = request.person
        return await access_requests.withdraw(self._db, self._policy(), id_, actor=actor, at=self._clock())

    async def stop(self, session: Session, id_: int, reason: str) -> AccessRequest:
        """As access_requests.stop; published when it returns."""
        actor = await self._actor(session, id_)
        request = await access_requests.stop(
            self._db, self._policy(), id_, actor=actor, at=self._clock(), reason=reason
        )
        await self._publisher.publish_state()
        return request

    async def end(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.end; published when it returns."""
        actor = await self._actor(session, id_)
        request = await access_requests.end(self._db, self._policy(), id_, actor=actor, at=self._clock())
        await self._publisher.publish_state()
        return request

    async def open_access(self, session: Session, id_: int) -> AccessRequest:
        """As access_requests.open_access; published when it returns."""
        actor = await self._actor(session, id_)
        request = await access_requests.open_access(
            self._db, self._policy(), self._listed, id_, actor=actor, at=self._clock()
        )
        await self._publisher.publish_state()
        return request

    async def keep(self, session: Session, id_: int) -> None:
        """As ExemptionReviews.keep."""
        await self._seen(session, id_, "keep")
        await self._reviews.keep(id_, await self._actor(session, id_))

    async def _seen(self, session: Session, id_: int, move: str) -> AccessRequest:
        """Return a request that the session may see. Raises UnknownRequestError for others; recorded."""
        try:
            return await self._views.get(session, id_)
        except UnknownRequestError as error:
            request = await stored_requests.get(self._db, id_)
            actor = session.actor
            async with self._db.transaction() as t:
                await record_refusal(t, request, error, actor=actor, at=self._clock(), what=move)
            raise

    async def _refuse(self, request: AccessRequest, refused: Refusal, actor: str, move: str) -> NoReturn:
        """Record that a move was refused, and raise why."""
        async with self._db.transaction() as t:
            await record_refusal(t, request, refused, actor=actor, at=self._clock(), what=move)
        raise refused

    def kind_of(self, ask: AskToken) -> Kind:
        """Return what a link asks for: neither a limit nor a rule of file types stops a site."""
        policy = self._policy()
        is_of_limit = any(limit.id == ask.rule for limit in policy.limits)
        return Kind.DOWNLOAD if is_of_limit or stops_downloads(policy, ask.rule) else Kind.SITE

    async def _followed(self, session: Session, code: str) -> tuple[AskToken, str]:
        """Return the ask of a followed link, and who asks."""
        ask = await self._asks.followed(session, code)
        if ask is None:
            raise UnknownRequestError("this form belongs to no Ask link that was opened here")
        if session.person is None:
            raise NotAllowedError("Sign in to ask: this computer is used by several people.")
        return ask, session.person

    async def _actor(self, session: Session, id_: int) -> str:
        """Return who acts; a session that only knows the device decides nothing, which is recorded."""
        if session.is_signed_in and session.person is not None:
            return session.person
        return await access_requests.refuse(
            self._db,
            id_,
            actor=session.actor,
            at=self._clock(),
            why="Sign in to decide.",
        )


def _nothing_to_renew(request: AccessRequest) -> TransitionError:
    return TransitionError(request, f"{request.number} has given no access that can be renewed")
