"""Asking for an internet account: a department's head, or IT for who has none, for a person of it."""

from collections.abc import Callable, Mapping
from datetime import date

from admin import internet_accounts, proposing, submitting
from admin.asked import AccountUse, Kind
from admin.asking import AccessRequest, ForWhom, InvalidRequestError, NewAccessRequest
from admin.clock import Clock
from admin.database import Database
from admin.internet_accounts import Registered
from admin.never_granted import Listed
from admin.sessions import Session
from admin.written_text import tidy_text
from policy.access_duration import Duration
from policy.town_policy import Person, PersonKind, Policy
from policy.town_time import zone_of
from policy.visit_record import new_code


class InternetAccounts:
    """What a session asks for. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], listed: Listed, clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._listed = listed
        self._clock = clock

    def proposes_for(self, session: Session) -> tuple[str | None, ...]:
        """Return the departments whose people the session's person asks for, None for who has none."""
        if session.person is None or not session.is_signed_in:
            return ()
        return proposing.proposes_for_accounts(self._policy(), session.person)

    def people_of(self, session: Session) -> dict[str, Person]:
        """Return whom the session's person asks for: who needs an account, by name."""
        terms, own = self._policy().asking.internet_account, self.proposes_for(session)
        found = {
            id_: person
            for id_, person in self._policy().people.items()
            if terms is not None and person.kind in terms.required_for and person.department in own
        }
        return dict(sorted(found.items(), key=lambda one: one[1].name.casefold()))

    def sponsors(self) -> dict[str, Person]:
        """Return who can answer for a contractor: every employee, by name."""
        people = self._policy().people.items()
        found = {id_: person for id_, person in people if person.kind is PersonKind.EMPLOYEE}
        return dict(sorted(found.items(), key=lambda one: one[1].name.casefold()))

    async def ask(
        self,
        session: Session,
        *,
        person: str,
        employer: str,
        sponsor: str,
        last: date | None,
        reason: str,
        renews: int | None = None,
    ) -> AccessRequest:
        """Send a request for a person's account, until the last day is over.

        An employee's may leave the last day out: it is the last that the policy allows. Raises
        NotAllowedError, recorded, but for who asks for somebody; InvalidRequestError, AlreadyOpenError.
        """
        policy, now, terms = self._policy(), self._clock(), self._policy().asking.internet_account
        proposer = session.person
        if proposer is None or not self.proposes_for(session):
            why = "Only a department's head or delegate asks for its people."
            await proposing.refuse(self._db, session, "internet account", now, why)
        record = self.people_of(session).get(person)
        if terms is None or proposer is None or record is None:
            raise InvalidRequestError("person", "Choose for whom you ask")
        is_contractor = record.kind is PersonKind.CONTRACTOR
        employer = tidy_text("employer", employer, "Enter whom they work for") if is_contractor else ""
        if is_contractor and (sponsor not in self.sponsors() or sponsor == person):
            raise InvalidRequestError("sponsor", "Choose who in the town answers for them")
        zone = zone_of(policy)
        if last is None and record.kind is PersonKind.EMPLOYEE:
            last = now.astimezone(zone).date() + terms.longest
        until = proposing.end_of("last", last, now, zone, terms.longest)
        new = NewAccessRequest(
            host="",
            person=person,
            department=record.department,
            for_whom=ForWhom.PERSON,
            reason=reason,
            duration=Duration.YEAR,
            chain=terms.approval,
            code=new_code(),
            policy_version=policy.version,
            sent_by=proposer,
            renews=renews,
            kind=Kind.INTERNET_ACCOUNT,
            asked=AccountUse(record.kind, employer, sponsor if is_contractor else "", until, proposer),
        )
        return await submitting.submit(self._db, policy, self._listed, new, now)

    async def register(self) -> Mapping[str, Registered]:
        """As internet_accounts.register, now."""
        return await internet_accounts.register(self._db, self._clock())
