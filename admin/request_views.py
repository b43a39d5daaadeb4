"""Requests as the pages see them: what a session may look at (errors: admin.asking)."""

from collections.abc import Callable

from admin import (
    access_in_force,
    decided_requests,
    own_requests,
    request_time_line,
    roles,
    stored_requests,
    waiting_requests,
)
from admin.asked import Kind
from admin.asking import AccessRequest, ForWhom, UnknownRequestError
from admin.clock import Clock
from admin.database import Database
from admin.deciders import involved, took_part
from admin.decision_facts import DecisionFacts, decision_facts
from admin.emergency_access import told
from admin.proposing import decides_for
from admin.request_time_line import Move
from admin.sessions import Session
from policy.town_policy import Policy


class RequestViews:
    """Requests for one session or another. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._clock = clock

    async def get(self, session: Session, id_: int) -> AccessRequest:
        """Return a request its viewer may see: asker, sender's browser, approvers of any step, IT.

        Of emergency access, whoever is told of it. Of what was opened in a department, or is asked for all of
        it, its head and delegates.

        Raises UnknownRequestError for others, too.
        """
        request = await stored_requests.get(self._db, id_)
        if session.browser in (request.browser, *(joined.browser for joined in request.joined)):
            return request
        if session.is_signed_in and session.person is not None:
            policy = self._policy()
            is_departments = request.for_whom is ForWhom.DEPARTMENT or request.expires_at is not None
            if is_departments and request.department in decides_for(policy, session.person):
                return request
            concerned = {*request.askers, *involved(policy, request), *told(policy, request)}
            if session.person in concerned or roles.sees_all_requests(policy, session.person):
                return request
        raise UnknownRequestError(f"there is no request REQ-{id_}")

    async def mine(self, session: Session) -> list[AccessRequest]:
        """Signed in: the person's requests, too; else those sent from this browser. Newest first."""
        person = session.person if session.is_signed_in else None
        return await own_requests.mine(self._db, person, session.browser)

    async def standing(self, session: Session) -> list[AccessRequest]:
        """Return open requests and access in force of the session's person."""
        if session.person is None:
            return []
        department = self._policy().people[session.person].department
        return await own_requests.standing(self._db, session.person, department, self._clock())

    async def to_decide(self, session: Session) -> list[AccessRequest]:
        """Return what waits for this person, nearest deadline first; nothing unless signed in."""
        if session.person is None or not session.is_signed_in:
            return []
        return await waiting_requests.to_decide(self._db, self._policy(), session.person, self._clock())

    async def of_nobody(self) -> list[AccessRequest]:
        """Return the requests that nobody may answer, as the policy's roles are now."""
        return await waiting_requests.of_nobody(self._db, self._policy(), self._clock())

    async def to_open(self, session: Session) -> list[AccessRequest]:
        """Return what was approved and this person may open; nothing unless signed in."""
        if session.person is None or not session.is_signed_in:
            return []
        return await waiting_requests.to_open(self._db, self._policy(), session.person, self._clock())

    async def granted(self, session: Session) -> list[AccessRequest]:
        """Return access in force, but for internet accounts: to sites, devices. Ending soonest first.

        Who heads a department, or stands in there, sees that of the department. Raises NotAllowedError for
        others than them and IT.
        """
        return self._seen_by(session, await access_in_force.granted(self._db, self._clock()))

    async def granted_accounts(self, session: Session) -> list[AccessRequest]:
        """Return internet accounts in force, as `granted` does."""
        return self._seen_by(session, await access_in_force.granted_accounts(self._db, self._clock()))

    async def still_needed(self, session: Session) -> list[AccessRequest]:
        """Return access of which it is asked whether it is needed: what the person decided and may keep."""
        person = session.person
        if person is None or not session.is_signed_in:
            return []
        asked_about = await access_in_force.under_review(self._db, self._clock())
        policy = self._policy()
        return [
            request
            for request in asked_about
            if person not in request.own and person in took_part(policy, request)
        ]

    def _seen_by(self, session: Session, granted: list[AccessRequest]) -> list[AccessRequest]:
        policy, otherwise = self._policy(), "Access that is open: only people with that duty see this."
        person = roles.person_with(roles.sees_exemptions, policy, session, otherwise)
        if roles.sees_all_requests(policy, person):
            return granted
        own = decides_for(policy, person)
        return [request for request in granted if request.department in own]

    async def answered_before(
        self, session: Session, kind: Kind, host: str = "", path: str = ""
    ) -> AccessRequest | None:
        """As decided_requests.answered_before, within 90 days, for the session's person."""
        if session.person is None:
            return None
        department = self._policy().people[session.person].department
        since = self._clock() - decided_requests.ANSWERS_COUNT_FOR
        return await decided_requests.answered_before(
            self._db, host, kind, session.person, department, since, path
        )

    async def decision_facts(self, request: AccessRequest) -> DecisionFacts:
        """Return what whoever decides the request is told of it."""
        return await decision_facts(self._db, self._policy(), request, self._clock())

    async def time_line(self, request: AccessRequest) -> list[Move]:
        """Return what happened to the request, oldest first."""
        return await request_time_line.time_line(self._db, request)
