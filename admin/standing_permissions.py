"""Standing permissions: a department holds access for a case, asked for by its head or their delegate."""

from collections.abc import Callable, Collection
from datetime import date

from admin import proposing, submitting
from admin.asked import Kind, StandingUse
from admin.asking import AccessRequest, ForWhom, InvalidRequestError, NewAccessRequest
from admin.asking_for_sites import looked_up, typed_host
from admin.asking_terms import never_allowed
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Session
from admin.site_lists import SiteLists
from categories.taxonomy import taxonomy
from policy.access_duration import Duration
from policy.town_policy import Approver, Policy, StandingPermission
from policy.town_time import zone_of
from policy.visit_record import new_code

MAX_CASE_NUMBER_LENGTH = 60


class StandingPermissions:
    """What a session asks for. `policy` returns the running one."""

    def __init__(self, db: Database, policy: Callable[[], Policy], lists: SiteLists, clock: Clock) -> None:
        self._db = db
        self._policy = policy
        self._lists = lists
        self._clock = clock

    @property
    def terms(self) -> StandingPermission | None:
        """What the policy says of it, None where no department holds any."""
        return self._policy().asking.standing_permission

    @property
    def shut(self) -> frozenset[str]:
        """The categories that nobody can ask for: never allowed, or a risk that nobody asked could accept."""
        policy, terms = self._policy(), self.terms
        has_it = terms is not None and Approver.IT_SECURITY in terms.approval
        return policy.asking.never | (frozenset() if has_it else policy.security_categories)

    def departments_of(self, session: Session) -> tuple[str, ...]:
        """Return the departments for which the person asks: head or delegate of one that the policy names."""
        terms = self.terms
        if terms is None or session.person is None or not session.is_signed_in:
            return ()
        own = proposing.decides_for(self._policy(), session.person)
        return tuple(department for department in own if department in terms.departments)

    async def ask(
        self,
        session: Session,
        *,
        department: str,
        site: str,
        categories: Collection[str],
        case_number: str,
        last: date | None,
        reason: str,
        renews: int | None = None,
    ) -> AccessRequest:
        """Send a request for one site, as it was typed, or for categories, until the last day is over.

        A security risk needs IT security in the policy's chain. Raises NotAllowedError, recorded, but for who
        asks for a department; InvalidRequestError, AlreadyOpenError.
        """
        policy, now, terms, own = self._policy(), self._clock(), self.terms, self.departments_of(session)
        if terms is None or session.person is None or not own:
            why = "Only the head or delegate of a department that may hold standing permissions asks for one."
            await proposing.refuse(self._db, session, "standing permission", now, why, move="ask")
        if department not in own:
            raise InvalidRequestError("department", "Choose for which department you ask")
        if bool(site.strip()) == bool(categories):
            raise InvalidRequestError("site", "Enter one site, or choose categories")
        case_number = " ".join(case_number.split())
        if not case_number or len(case_number) > MAX_CASE_NUMBER_LENGTH or not case_number.isprintable():
            raise InvalidRequestError("case_number", "Enter the case number")
        until = proposing.end_of("last", last, now, zone_of(policy), terms.longest)
        if not taxonomy().listable.keys() >= set(categories):
            raise InvalidRequestError("categories", "Choose categories of the list")
        host = typed_host(site) if site.strip() else ""
        matches = await looked_up(self._lists, host) if host else ()
        listed_as = frozenset(categories) | {match.category for match in matches}
        risks = tuple(sorted(listed_as & policy.security_categories))
        if never_allowed(policy, listed_as):
            raise InvalidRequestError("site" if host else "categories", "The town never opens that")
        if risks and Approver.IT_SECURITY not in terms.approval:
            raise InvalidRequestError(
                "site" if host else "categories", "That is a security risk. Only IT security can open it"
            )
        match = matches[0] if matches else None
        new = NewAccessRequest(
            host=host,
            person=session.person,
            department=department,
            for_whom=ForWhom.DEPARTMENT,
            reason=reason,
            duration=Duration.YEAR,
            chain=terms.approval,
            code=new_code(),
            policy_version=policy.version,
            risks=risks,
            renews=renews,
            kind=Kind.STANDING,
            asked=StandingUse(case_number, tuple(sorted(categories)), until),
        )
        return await submitting.submit(self._db, policy, self._lists.categories, new.listed_as(match), now)
