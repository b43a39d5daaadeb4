"""Asking for a site before a visit to it was stopped: what would be decided, and the same form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec import structs

from admin import sessions
from admin.asking import InvalidRequestError, NotAllowedError
from admin.asking_for_sites import imagine, imagine_page, typed_address
from admin.asking_terms import never_allowed
from admin.clock import Clock
from admin.database import Database
from admin.sessions import Session
from admin.site_lists import SiteLists
from policy.ask_token import AskToken
from policy.deciding import decide
from policy.decision import Cause, Decision, Verdict
from policy.page_access import path_to_ask_for
from policy.snapshot import PolicySnapshot
from policy.state import State
from policy.town_policy import Policy
from policy.town_time import zone_of
from policy.visit import Visit
from policy.visit_record import new_code

_LOOKS_AHEAD = timedelta(days=7)
# Access that somebody allowed, and a filter that is off, end by no schedule.
_SCHEDULED = frozenset({Cause.RULE, Cause.DEFAULT})
_NOT_BY_A_REQUEST: Mapping[Cause, str] = {
    Cause.LOCKDOWN: "IT has limited the web for now. When that is over, you can ask for this site",
    Cause.DEVICE_OFF: "IT took your computer off the web, and no request opens it. Call the help desk",
    Cause.NO_ACCOUNT: "You need an internet account first. Your department head asks for it",
    Cause.NOTICE: "You have not accepted the town's notice. Accept it first, then ask for this site",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """What asking ahead leads to: the form of `code`, None where there is nothing to ask for.

    `until` is when the site, which is open now, is not any more by a schedule; None where it is shut now, and
    where it stays open for the next week. `is_open`: for whatever can be done there, by what holds now.
    """

    host: str
    code: str | None
    is_open: bool
    until: datetime | None = None


class AskingAhead:
    """Decides a visit that nobody has made. `published` returns what the proxy decides by."""

    def __init__(
        self, db: Database, lists: SiteLists, published: Callable[[], PolicySnapshot | None], clock: Clock
    ) -> None:
        self._db = db
        self._lists = lists
        self._published = published
        self._clock = clock

    async def ask_for(self, session: Session, text: str) -> Answered:
        """Prepare asking for the site that somebody typed, or a page of it, as its block page would.

        Raises NotAllowedError unless signed in, InvalidRequestError for what is no site, for what no request
        opens, with why, and while there is nothing to decide by.
        """
        person = session.person
        if person is None or not session.is_signed_in:
            raise NotAllowedError("Sign in to ask for a site.")
        address, at = typed_address(text), self._clock()
        host = address.host
        imagined = await imagine(self._published(), self._lists, person, host, at)
        visit, policy, state = imagined.visit, imagined.policy, imagined.state
        decision, until = imagined.decision, None
        judged = await imagine_page(imagined, self._lists, address)
        path = path_to_ask_for(judged)
        if path:
            visit, decision = judged[-1].visit, judged[-1].decision
        is_open = decision.is_allowed and not is_for_reading(decision)
        if is_open:
            found = _shut_by_schedule(visit, policy, state) if decision.cause in _SCHEDULED else None
            if found is None:
                return Answered(host, None, is_open=True)
            decision, until = found
            if not decision.approval:
                return Answered(host, None, is_open=True, until=until)
        elif (why := why_not(decision, visit, policy)) is not None:
            raise InvalidRequestError("site", why)
        risks = visit.categories & policy.security_categories
        match = decision.match
        ask = AskToken(
            host=host,
            category=match.category if match else None,
            entry=match.entry if match else None,
            source=match.source if match else None,
            rule=decision.rule,
            approval=decision.approval,
            person=person,
            device=visit.client.device,
            department=visit.client.department,
            policy_version=policy.version,
            code=new_code(),
            issued_at=at,
            risks=tuple(sorted(risks)),
            path=path,
        )
        await sessions.remember_ask(self._db, ask, at, session)
        return Answered(host, ask.code, is_open=is_open, until=until)


def is_for_reading(decision: Decision) -> bool:
    """Whether the site is open, but for reading alone, and somebody can allow the rest."""
    return decision.verdict is Verdict.VIEW_ONLY and bool(decision.approval)


def _shut_by_schedule(visit: Visit, policy: Policy, state: State) -> tuple[Decision, datetime] | None:
    """Return what stops a visit that goes on now, and when; None where no schedule does within a week."""
    zone, at = zone_of(policy), visit.at
    schedules = [
        policy.schedules[name] for name in {rule.when for rule in policy.rules if rule.when is not None}
    ]
    while True:
        edges = (schedule.next_edge_after(at, zone) for schedule in schedules)
        edge = min((edge for edge in edges if edge is not None), default=None)
        if edge is None or edge > visit.at + _LOOKS_AHEAD:
            return None
        decision, at = decide(structs.replace(visit, at=edge), policy, state), edge
        if not decision.is_allowed:
            return decision, edge


def why_not(decision: Decision, visit: Visit, policy: Policy) -> str | None:
    """Return why nobody can be asked about a site that is shut now, None where somebody can."""
    told = _NOT_BY_A_REQUEST.get(decision.cause)
    if told is not None or decision.approval:
        return told
    if decision.verdict is Verdict.WARN:
        return f"{visit.host} needs no asking: a page warns of it, and you can continue there"
    if never_allowed(policy, visit.categories):
        return f"{visit.host} is of a kind that the town never opens"
    return f"Nobody can be asked to open {visit.host}. The help desk can say more"
